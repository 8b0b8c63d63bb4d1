/*-------------------------------------------------------------------------
 *
 * move.h
 *	  A workflow that is locked moves to in_progress, without a statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_MOVE_H
#define AMELIA_MOVE_H

#include "row.h"

extern void InitMove(void);
extern bool MayMoveDirectly(Relation workflows);
extern HeapTuple MoveToProgress(Relation workflows, TupleTableSlot *row, int32 failures);

#endif							/* AMELIA_MOVE_H */
