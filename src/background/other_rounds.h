/*-------------------------------------------------------------------------
 *
 * other_rounds.h
 *	  What the other extensions of ours have done in a round of maintenance.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_OTHER_ROUNDS_H
#define AMELIA_OTHER_ROUNDS_H

#include "base/amelia.h"

#include "background/extension.h"

/*
 * One bounded batch of an extension's work, in the transaction that is open.
 * Counts *phase up when a kind of work is done; false when all of it is.
 */
typedef bool (*OtherBatch) (int *phase);

/* Why an extension's last round left something undone that waits for somebody's word; NULL: it did not. */
typedef char *(*OtherHeldBack) (void);

/* How far a round is. Begins as zeros. */
typedef struct OtherRounds
{
	int			extension;
	bool		is_entered;		/* its schema was looked at */
	int			phase;
} OtherRounds;

extern void AddMaintenance(const char *extension, OtherBatch batch, OtherHeldBack held_back);
extern bool OtherRoundStep(OtherRounds *rounds, ExtensionState *state);
extern void OtherRoundFailed(OtherRounds *rounds);

#endif							/* AMELIA_OTHER_ROUNDS_H */
