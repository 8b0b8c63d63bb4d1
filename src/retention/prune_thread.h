/*-------------------------------------------------------------------------
 *
 * prune_thread.h
 *	  Pruning one LangGraph thread.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_PRUNE_THREAD_H
#define AMELIA_PRUNE_THREAD_H

#include "base/amelia.h"

#include "retention/checkpoint.h"
#include "retention/prune_plan.h"

typedef struct PruneOptions
{
	bool		whole;			/* all of the thread goes, whatever it is */
	int			keep;			/* so many checkpoints of each namespace */
	Datum	   *runs;			/* texts: instead of that, what these runs
								 * made goes */
	int			nruns;
	bool		squash;			/* anchors are folded */
	bool		dry_run;
	bool		exact;			/* a dry run leaves alone what a run would */
	bool		force;			/* without a fence, too */
	int64		limit;			/* about so many rows at once; 0: all */
} PruneOptions;

extern bool HasFence(const CheckpointSource *source, bool hold);
extern char *TryPruneThread(const CheckpointSource *source, const char *thread,
							const PruneOptions *options, PrunePlan *done, bool *is_in_use);

#endif							/* AMELIA_PRUNE_THREAD_H */
