/*-------------------------------------------------------------------------
 *
 * walk.c
 *	  The way of a round through the threads of LangGraph.
 *
 *	  Which threads are due is found by looking at them, a page of the primary
 *	  keys after the other. A round that somebody asked for looks at all. The
 *	  maintenance worker comes every minute, and where there are very many, it
 *	  spends only so much time of a round on threads of which none is due: the
 *	  next one goes on where it stopped. What it finds does not count.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/walk.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/execute.h"

/* In vain, for each rule and schema. */
#define WALK_US (200 * INT64CONST(1000))

/*
 * The schema that the round is at, NULL behind the last. A round after a crash
 * begins with another one.
 */
CheckpointSource *
CurrentSource(RetentionRound *round, List *sources)
{
	int64		first = round->after_crash ? round->id : 0;

	if (round->source >= list_length(sources))
		return NULL;
	round->in_source = true;
	return list_nth(sources, (round->source + first) % list_length(sources));
}

/*
 * On to the next schema.
 */
void
NextSource(RetentionRound *round)
{
	round->source++;
	round->walked_us = 0;
	round->thread = NULL;
	round->singles = 0;
	round->failures_in_row = 0;
}

/* The key of the way that a rule has in a schema. */
static void
SetWalkKey(const RetentionRound *round, const CheckpointSource *source, Datum *values)
{
	values[0] = DirectFunctionCall1(namein, CStringGetDatum(source->schema));
	values[1] = CStringGetTextDatum(round->phase == PHASE_CHECKPOINTS ? "checkpoints" :
									round->phase == PHASE_ORPHANS ? "orphan threads" : "older checkpoints");
}

/*
 * At the beginning of a schema, go on where the worker stopped.
 */
void
ResumeWalk(RetentionRound *round, const CheckpointSource *source)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {NAMEOID, TEXTOID};
	Datum		values[lengthof(types)];
	bool		is_null;

	if (!round->by_worker || round->thread != NULL)
		return;
	SetWalkKey(round, source, values);
	KeptPlan(&plan, "SELECT w.thread_id FROM amelia.checkpoint_walks AS w"
			 " WHERE w.schema_name = $1 AND w.rule = $2", lengthof(types), types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read checkpoint_walks");
	if (SPI_processed > 0)
	{
		Datum		thread = RowValue(0, 1, TEXTOID, &is_null);

		if (!is_null)
			round->thread = MemoryContextStrdup(round->context, TextDatumGetCString(thread));
	}
}

/*
 * After a batch that began at a time: whether the worker has looked long
 * enough at threads of which none was due. It is noted where.
 */
bool
PauseWalk(RetentionRound *round, const CheckpointSource *source, TimestampTz begin, bool found)
{
	static const Oid types[] = {NAMEOID, TEXTOID, TEXTOID};
	Datum		values[lengthof(types)];

	if (!round->by_worker || found)
		return false;
	round->walked_us += GetCurrentTimestamp() - begin;
	if (round->walked_us < WALK_US)
		return false;
	SetWalkKey(round, source, values);
	values[2] = CStringGetTextDatum(round->thread);
	RunSql("INSERT INTO amelia.checkpoint_walks AS w (schema_name, rule, thread_id) VALUES ($1, $2, $3)"
		   " ON CONFLICT (schema_name, rule) DO UPDATE SET thread_id = EXCLUDED.thread_id",
		   lengthof(types), types, values, false);
	return true;
}

/*
 * All threads of the schema were looked at: the next time from the first one.
 */
void
EndWalk(RetentionRound *round, const CheckpointSource *source)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {NAMEOID, TEXTOID};
	Datum		values[lengthof(types)];

	if (!round->by_worker)
		return;
	SetWalkKey(round, source, values);
	KeptPlan(&plan, "DELETE FROM amelia.checkpoint_walks AS w"
			 " WHERE w.schema_name = $1 AND w.rule = $2", lengthof(types), types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not write checkpoint_walks");
}
