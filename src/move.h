/*-------------------------------------------------------------------------
 *
 * move.h
 *	  A workflow that is locked changes its status, without a statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_MOVE_H
#define AMELIA_MOVE_H

#include "row.h"

extern void InitMove(void);
extern bool MayMoveDirectly(Relation workflows);
extern HeapTuple MoveToProgress(Relation workflows, TupleTableSlot *row, int32 failures);
extern HeapTuple MoveToCompleted(Relation workflows, TupleTableSlot *row);

#endif							/* AMELIA_MOVE_H */
