/*-------------------------------------------------------------------------
 *
 * workflow_move.h
 *	  What a claim and the end of an attempt change in the workflow.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_WORKFLOW_MOVE_H
#define AMELIA_WORKFLOW_MOVE_H

#include "base/amelia.h"

#include "access/htup.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"

extern bool MayMoveDirectly(Relation workflows);
extern HeapTuple MoveToProgress(Relation workflows, TupleTableSlot *row, int32 failures);
extern HeapTuple MoveToCompleted(Relation workflows, TupleTableSlot *row);

#endif							/* AMELIA_WORKFLOW_MOVE_H */
