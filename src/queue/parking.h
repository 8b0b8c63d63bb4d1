/*-------------------------------------------------------------------------
 *
 * parking.h
 *	  Workflows that wait for their worktree.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_PARKING_H
#define AMELIA_PARKING_H

#include "base/amelia.h"

#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

extern void Park(Relation workflows, TupleTableSlot *slot, Snapshot snapshot);
extern bool WorktreeIsBusy(Relation workflows, Relation active, Datum worktree,
						   TupleTableSlot *slot, bool *certain);
extern void UnparkNext(Relation workflows, Datum worktree);
extern bool LookAfterParked(Relation workflows, Relation active, TimestampTz now, bool at_once);

#endif							/* AMELIA_PARKING_H */
