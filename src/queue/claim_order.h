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

/* A range of the index: one type and one profile. */
typedef struct Range
{
	IndexScanDesc scan;
	TupleTableSlot *slot;
	bool		is_open;		/* it has a row in slot, which is due */
	text	   *type;
	text	   *profile;
	bool		limit_known;
	int32		limit;			/* of the profile; 0: none */
	ClaimKey	key;
	bool		is_bounded;		/* the scan ends before the range does: */
	int16		bound;			/* what follows has lower priorities */
} Range;

extern List *OpenRanges(ClaimSearch *search);
extern void NextRow(ClaimSearch *search, Range *range);
extern void EndRange(Range *range);

#endif							/* AMELIA_CLAIM_ORDER_H */
