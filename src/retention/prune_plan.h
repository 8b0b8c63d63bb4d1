/*-------------------------------------------------------------------------
 *
 * prune_plan.h
 *	  Which rows of a LangGraph thread no resume can need.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_PRUNE_PLAN_H
#define AMELIA_PRUNE_PLAN_H

#include "base/amelia.h"

#include "retention/thread_rows.h"

/* What a plan deletes, and what it keeps because of delta channels. */
typedef struct PrunePlan
{
	int64		checkpoints;
	int64		blobs;
	int64		writes;
	int64		bytes;
	int64		anchors;
	int64		anchor_bytes;	/* their rows and what was written to them */
	bool		more;			/* there is more than the limit let through */
} PrunePlan;

/* What is to be kept, and how much may go. */
typedef struct PruneRules
{
	int			keep;			/* so many checkpoints of each namespace */
	bool		of_runs;		/* instead of that: all but those of the runs */
	bool		squash;			/* fold the anchors */
	int64		limit;			/* about so many rows at once; 0: all */
} PruneRules;

extern void PlanPruning(ThreadImage *image, HTAB *deltas, const PruneRules *rules, PrunePlan *plan);

#endif							/* AMELIA_PRUNE_PLAN_H */
