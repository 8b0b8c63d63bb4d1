/*-------------------------------------------------------------------------
 *
 * prune.c
 *	  The function prune(): LangGraph's threads, shortened by hand.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/check.h"
#include "base/execute.h"
#include "retention/checkpoint.h"
#include "retention/prune_thread.h"

PG_FUNCTION_INFO_V1(amelia_prune);

/*
 * The schemas whose tables can be used. Of the others the caller is told.
 */
static List *
UsableSources(void)
{
	List	   *usable = NIL;
	ListCell   *cell;

	foreach(cell, FindCheckpointSources())
	{
		CheckpointSource *source = lfirst(cell);

		if (source->problem == NULL)
			usable = lappend(usable, source);
		else
			ereport(WARNING,
					(errmsg("the checkpoint tables in schema \"%s\" are left alone", source->schema),
					 errdetail("%s", source->problem)));
	}
	return usable;
}

/*
 * Say of which tables anybody can go on from a checkpoint that is pruned.
 */
static void
WarnOfNoFence(List *sources)
{
	ListCell   *cell;

	foreach(cell, sources)
	{
		CheckpointSource *source = lfirst(cell);

		if (!HasFence(source))
			ereport(WARNING,
					(errmsg("there is no fence on the checkpoint tables in schema \"%s\"", source->schema),
					 errdetail("Who goes on from a checkpoint that was pruned begins with an empty state, and stores it as the newest."),
					 errhint("SELECT amelia.fence_checkpoints(%s), as the owner of the tables.",
							 quote_literal_cstr(source->schema))));
	}
}

/*
 * A thread in all sources. Returns what was wrong, or NULL.
 */
static char *
PruneEverywhere(List *sources, const char *thread, const PruneOptions *options, PrunePlan *sum)
{
	char	   *problems = NULL;
	ListCell   *cell;

	memset(sum, 0, sizeof(PrunePlan));
	foreach(cell, sources)
	{
		PrunePlan	done;
		bool		is_in_use;
		char	   *problem = TryPruneThread(lfirst(cell), thread, options, &done, &is_in_use);

		if (problem != NULL)
			problems = problems == NULL ? problem : psprintf("%s; %s", problems, problem);
		sum->checkpoints += done.checkpoints;
		sum->blobs += done.blobs;
		sum->writes += done.writes;
		sum->bytes += done.bytes;
		sum->anchors += done.anchors;
	}
	return problems;
}

/*
 * prune(thread_ids text[], strategy text, keep integer, dry_run boolean,
 * force boolean) returns setof record
 */
Datum
amelia_prune(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"thread_ids", "strategy", "keep", "dry_run", "force"};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	PruneOptions options = {0};
	RestrictedContext before;
	List	   *sources;
	char	   *strategy;
	Datum	   *threads;
	bool	   *nulls;
	int			count;

	for (int i = 0; i < (int) lengthof(names); i++)
	{
		if (PG_ARGISNULL(i))
			RefuseMissing(names[i]);
	}
	if (!PG_GETARG_BOOL(3))
		PreventCommandIfReadOnly("prune()");
	strategy = text_to_cstring(PG_GETARG_TEXT_PP(1));
	options.keep = PG_GETARG_INT32(2);
	options.dry_run = PG_GETARG_BOOL(3);
	options.force = PG_GETARG_BOOL(4);
	options.whole = strcmp(strategy, "delete") == 0;
	if (!options.whole && strcmp(strategy, "keep_latest") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid strategy \"%s\"", strategy),
				 errhint("Use keep_latest or delete.")));
	if (options.keep < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("keep must be at least 1, not %d", options.keep)));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT,
					  &threads, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			RefuseMissing("each of thread_ids");
	}

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	EnterRestricted(TableOwner("checkpoint_schemas"), &before);
	sources = UsableSources();
	LeaveRestricted(&before);
	if (options.force && !options.dry_run && !options.whole)
		WarnOfNoFence(sources);
	if (!options.dry_run)
		FireTriggersAtOnce();
	for (int i = 0; i < count; i++)
	{
		PrunePlan	done;
		char	   *problem;
		Datum		values[7] = {threads[i]};
		bool		is_null[7] = {0};

		CHECK_FOR_INTERRUPTS();
		problem = PruneEverywhere(sources, TextDatumGetCString(threads[i]), &options, &done);
		values[1] = Int64GetDatum(done.checkpoints);
		values[2] = Int64GetDatum(done.blobs);
		values[3] = Int64GetDatum(done.writes);
		values[4] = Int64GetDatum(done.bytes);
		values[5] = Int64GetDatum(done.anchors);
		is_null[6] = problem == NULL;
		if (problem != NULL)
			values[6] = CStringGetTextDatum(problem);
		tuplestore_putvalues(result->setResult, result->setDesc, values, is_null);
	}
	SPI_finish();
	return (Datum) 0;
}
