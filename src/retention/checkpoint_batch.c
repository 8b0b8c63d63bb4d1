/*-------------------------------------------------------------------------
 *
 * checkpoint_batch.c
 *	  Batches of rule 2, and of threads that belong to no workflow.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/checkpoint_batch.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "retention/checkpoint.h"
#include "retention/walk.h"

#define SMALL_PAGE 50
#define MIN_THREADS 10
#define MAX_THREADS 1000

/* A batch above the one had better be smaller, one below the other larger. */
#define SLOW_BATCH_MS 1000
#define FAST_BATCH_MS 200

/*
 * A batch of rule 2, or of the threads that belong to no workflow. Returns
 * whether the phase goes on.
 */
bool
CheckpointBatch(RetentionRound *round, const Horizons *horizons)
{
	bool		orphans = round->phase == PHASE_ORPHANS;
	TimestampTz begin = GetCurrentTimestamp();
	int			limit = round->singles > 0 ? 1 :
	Min(round->thread_limit, horizons->max_workflows - round->touched);
	List	   *sources;
	CheckpointSource *source;
	ThreadPage	page;
	Datum		threads;
	Datum		workflows;

	if (TIMESTAMP_IS_NOBEGIN(orphans ? horizons->orphan : horizons->checkpoint) || limit < 1)
		return false;
	sources = FindCheckpointSources();
	source = CurrentSource(round, sources);
	if (source == NULL)
		return false;
	if (source->problem == NULL)
		ResumeWalk(round, source);
	if (source->problem == NULL)
		ReadThreadPage(source, round->thread, round->singles > 0 ? SMALL_PAGE : PAGE_THREADS, &page);
	if (source->problem != NULL || page.count == 0)
	{
		if (source->problem == NULL)
			EndWalk(round, source);
		NextSource(round);
		return true;
	}

	threads = orphans ? OrphanThreads(source, &page, horizons, limit) :
		DueThreads(sources, &page, horizons, limit, true, &workflows);
	round->taken = ArrayCount(threads);
	round->next_thread = MemoryContextStrdup(round->context, page.last);
	if (round->taken > 0)
	{
		round->checkpoint_rows = DeleteThreads(source, threads);
		*(orphans ? &round->orphan_threads : &round->checkpoint_threads) = round->taken;
		round->touched += orphans ? round->taken : ArrayCount(workflows);
		if (TimestampDifferenceExceeds(begin, GetCurrentTimestamp(), SLOW_BATCH_MS))
			round->thread_limit = Max(round->thread_limit / 2, MIN_THREADS);
		else if (!TimestampDifferenceExceeds(begin, GetCurrentTimestamp(), FAST_BATCH_MS))
			round->thread_limit = Min(round->thread_limit * 2, MAX_THREADS);
	}
	if (round->singles > 0)
		round->singles -= Max(round->taken, 1);
	round->failures_in_row = 0;
	round->thread = round->next_thread;
	if (PauseWalk(round, source, begin, round->taken > 0))
		NextSource(round);
	return true;
}
