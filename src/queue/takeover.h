/*-------------------------------------------------------------------------
 *
 * takeover.h
 *	  Workflows whose lease ran out or was given back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_TAKEOVER_H
#define AMELIA_TAKEOVER_H

#include "base/amelia.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"
#include "utils/timestamp.h"

#include "queue/candidate.h"

/* The leases that ran out or were given back. */
typedef struct LostLeases
{
	Relation	leases;
	Relation	index;
	TupleTableSlot *slot;
	AttrNumber	workflow_column;
	IndexScanDesc scan;
	bool		is_done;
} LostLeases;

extern void BeginLostLeases(ClaimSearch *search, LostLeases *lost);
extern void EndLostLeases(LostLeases *lost);
extern List *NextLostLeases(ClaimSearch *search, LostLeases *lost);
extern bool TryLostLease(ClaimSearch *search, List *lost, Candidate *candidate);
extern void ReadLimits(int32 *max_concurrent, Interval *start_timeout);

#endif							/* AMELIA_TAKEOVER_H */
