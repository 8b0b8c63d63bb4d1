/*-------------------------------------------------------------------------
 *
 * squash.h
 *	  Folding the checkpoints that delta channels are made from.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_SQUASH_H
#define AMELIA_SQUASH_H

#include "base/amelia.h"

#include "retention/thread_rows.h"

/* A write that gets another place: with a row that stays, and behind what is there. */
typedef struct ImageMove
{
	int			ns;
	int			id;
	int			task;
	int			place;
	int			target_id;
	int			target_task;
} ImageMove;

extern bool FoldAnchors(ThreadImage *image, HTAB *deltas, int64 limit);
extern ImageMove *PlanMoves(const ThreadImage *image, HTAB *deltas, int *count);
extern bool IsMoved(const ThreadImage *image, HTAB *deltas, const ImageGroup *group, const ImageWrite *write);

#endif							/* AMELIA_SQUASH_H */
