/*-------------------------------------------------------------------------
 *
 * claim_order.h
 *	  The order of claims.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_CLAIM_ORDER_H
#define AMELIA_CLAIM_ORDER_H

#include "base/amelia.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "executor/tuptable.h"
#include "nodes/pg_list.h"
#include "utils/uuid.h"

#include "queue/candidate.h"

/* The place of the profile in the index of all profiles, where the index has it. */
#define ORDER_PROFILE 5

/* A range of an index: one type, and one profile or all of them. */
typedef struct Range
{
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	bool		is_open;		/* it has a row in slot, which is due */
	text	   *type;
	text	   *profile;		/* NULL: all of them, one among another */
	ClaimKey	key;
	bool		is_bounded;		/* the scan ends before the range does: */
	int16		bound;			/* what follows has lower priorities */
} Range;

extern List *OpenRanges(ClaimSearch *search);
extern void NextRow(ClaimSearch *search, Range *range);
extern void EndRange(Range *range);
extern int	LookAhead(ClaimSearch *search, const Range *range, pg_uuid_t *ids, int count);
extern bool ForgetMark(ClaimSearch *search);
extern void MarkFound(ClaimSearch *search, const Range *range);

#endif							/* AMELIA_CLAIM_ORDER_H */
