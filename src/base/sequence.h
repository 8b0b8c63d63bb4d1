/*-------------------------------------------------------------------------
 *
 * sequence.h
 *	  Gapless sequence allocation, for events and for chat messages.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_SEQUENCE_H
#define AMELIA_SEQUENCE_H

#include "base/amelia.h"

#include "storage/lock.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

/*
 * The highest number that a client may choose, so that what follows it is not
 * at the end of what an integer holds.
 */
#define SEQUENCE_LIMIT 2000000000

typedef enum SequenceKind
{
	EVENT_SEQUENCE,
	MESSAGE_SEQUENCE
} SequenceKind;

extern void InitSequence(void);
extern Relation OpenTable(const char *name, LOCKMODE lock);
extern bool LockSequence(SequenceKind kind, Datum parent);
extern int32 AllocateSequence(SequenceKind kind, Datum parent, int32 count);
extern bool AllocationIsContested(void);
extern bool IsNumberTaken(SequenceKind kind, const ErrorData *error);
extern void SequenceNames(SequenceKind kind, const char **child, const char **key, const char **parent);
extern bool KeyIsUuid(SequenceKind kind);
extern bool IsSequenceOpen(SequenceKind kind, Datum parent);

#endif							/* AMELIA_SEQUENCE_H */
