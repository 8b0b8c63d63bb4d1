/*-------------------------------------------------------------------------
 *
 * older.c
 *	  Older checkpoints of LangGraph threads that live on.
 *
 *	  A thread to which nothing was added for as long as keep_latest_days says
 *	  loses what no resume can need, whatever its workflow's state. Each is
 *	  pruned in a subtransaction: one that cannot be is passed over, and named
 *	  in retention_runs, unless it is only in use. A batch takes as many as it can
 *	  in a short time; of a thread with very many rows it takes a part that
 *	  leaves the rest whole, and the next batch goes on with it.
 *
 *	  One that was idle for squash_idle_days as well is squashed, too.
 *
 *	  Without the fence nothing is pruned: who goes on from a checkpoint that is
 *	  gone would begin with an empty state.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/older.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/execute.h"
#include "retention/prune_thread.h"
#include "retention/thread_lock.h"
#include "retention/walk.h"

#define BATCH_MS 500
#define ROWS_AT_ONCE 20000

/*
 * Of some threads, those whose newest checkpoint is older than that, and that
 * have more than they are to keep. One whose age cannot be told stays.
 */
static Datum
ThreadsBefore(const CheckpointSource *source, Datum threads, TimestampTz time, int keep)
{
	static const Oid types[] = {TEXTARRAYOID, TIMESTAMPTZOID, INT4OID};
	Datum		values[] = {
		threads, TimestampTzGetDatum(time), Int32GetDatum(keep)
	};
	RestrictedContext before;
	bool		is_null;
	Datum		idle;

	EnterSource(source, &before);
	RunSql(psprintf("SELECT array_agg(t.thread_id ORDER BY t.n)"
					" FROM unnest($1) WITH ORDINALITY AS t (thread_id, n)"
					" CROSS JOIN LATERAL (SELECT a.checkpoint_id AS id, a.checkpoint ->> 'ts' AS ts"
					" FROM ONLY %1$s AS a WHERE a.thread_id = t.thread_id AND a.checkpoint_ns = ''"
					" ORDER BY a.checkpoint_id DESC LIMIT 1) AS c"
					" WHERE COALESCE(" TIME_OF_ID("c.id") ", " TIME_OF_TEXT("c.ts") ") < $2"
					" AND EXISTS (SELECT FROM ONLY %1$s AS a WHERE a.thread_id = t.thread_id"
					" AND a.checkpoint_ns = '' OFFSET $3 LIMIT 1)",
					source->tables[CHECKPOINTS]),
		   lengthof(types), types, values, false);
	LeaveRestricted(&before);
	idle = RowValue(0, 1, TEXTARRAYOID, &is_null);
	return is_null ? EmptyArray(TEXTOID) : idle;
}

/*
 * Of some threads, those that the settings say are to be pruned. Of these,
 * squash says which ones have been idle for so long that they are to be squashed.
 */
Datum
IdleThreads(const CheckpointSource *source, Datum threads, const Horizons *horizons, Datum *squash)
{
	Datum		idle = ThreadsBefore(source, threads, horizons->latest, horizons->keep_latest);

	*squash = TIMESTAMP_IS_NOBEGIN(horizons->squash) || ArrayCount(idle) == 0 ? EmptyArray(TEXTOID) :
		ThreadsBefore(source, idle, Min(horizons->squash, horizons->latest), horizons->keep_latest);
	return idle;
}

/*
 * Prune a thread for the round. Returns whether the batch has to come back to
 * it.
 */
static bool
PruneForRound(RetentionRound *round, const CheckpointSource *source, const char *thread,
			  const Horizons *horizons, bool squash)
{
	PruneOptions options = {
		.keep = horizons->keep_latest,.squash = squash,.limit = ROWS_AT_ONCE
	};
	PrunePlan	done;
	bool		is_in_use;
	char	   *problem = TryPruneThread(source, thread, &options, &done, &is_in_use);
	int64		rows = done.checkpoints + done.blobs + done.writes;

	if (problem != NULL)
	{
		if (!is_in_use)
			round->left_alone = psprintf("thread \"%s\" in schema \"%s\": %s",
										 thread, source->schema, problem);
		return false;
	}
	if (rows > 0)
	{
		round->pruned_threads++;
		round->pruned_rows += rows;
		round->pruned_bytes += done.bytes;
	}
	return done.more;
}

/*
 * A batch of older checkpoints. Returns whether the phase goes on.
 */
bool
OlderBatch(RetentionRound *round, const Horizons *horizons)
{
	TimestampTz begin = GetCurrentTimestamp();
	int			limit = horizons->max_workflows - round->touched;
	CheckpointSource *source;
	ThreadPage	page;
	Datum	   *threads;
	Datum		squash;
	int			count;
	char	   *last;

	if (TIMESTAMP_IS_NOBEGIN(horizons->latest) || limit < 1)
		return false;
	source = CurrentSource(round, FindCheckpointSources());
	if (source == NULL)
		return false;
	if (source->problem != NULL || !HasFence(source, false))
	{
		NextSource(round);
		return true;
	}
	ResumeWalk(round, source);
	ReadThreadPage(source, round->thread, PAGE_THREADS, &page);
	if (page.count == 0)
	{
		EndWalk(round, source);
		NextSource(round);
		return true;
	}

	last = page.last;
	deconstruct_array(DatumGetArrayTypeP(IdleThreads(source, page.threads, horizons, &squash)),
					  TEXTOID, -1, false, TYPALIGN_INT, &threads, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *thread = TextDatumGetCString(threads[i]);

		CHECK_FOR_INTERRUPTS();
		/* Should the batch fail with it, the next one goes on behind it. */
		round->taken = 1;
		round->next_thread = MemoryContextStrdup(round->context, thread);
		if (PruneForRound(round, source, thread, horizons, HoldsText(squash, threads[i])))
		{
			last = i > 0 ? TextDatumGetCString(threads[i - 1]) : round->thread;
			break;
		}
		if (round->pruned_threads >= limit || !CanHoldThread() ||
			(i + 1 < count && TimestampDifferenceExceeds(begin, GetCurrentTimestamp(), BATCH_MS)))
		{
			last = thread;
			break;
		}
	}
	round->touched += round->pruned_threads;
	round->failures_in_row = 0;
	round->thread = last == NULL ? NULL : MemoryContextStrdup(round->context, last);
	if (round->thread != NULL && PauseWalk(round, source, begin, round->pruned_threads > 0))
		NextSource(round);
	return true;
}
