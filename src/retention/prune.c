/*-------------------------------------------------------------------------
 *
 * prune.c
 *	  The functions prune() and delete_for_runs(): LangGraph's threads, shortened
 *	  by hand.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/check.h"
#include "base/execute.h"
#include "base/table_owner.h"
#include "retention/checkpoint.h"
#include "retention/prune_thread.h"

PG_FUNCTION_INFO_V1(amelia_prune);
PG_FUNCTION_INFO_V1(amelia_delete_for_runs);

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

		if (!HasFence(source, false))
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
 * Refuse an argument, and an element of the array that is the first one, that
 * is NULL. Returns the elements.
 */
static Datum *
TextArguments(FunctionCallInfo fcinfo, const char *const *names, int nargs, int *count)
{
	Datum	   *texts;
	bool	   *nulls;

	for (int i = 0; i < nargs; i++)
	{
		if (PG_ARGISNULL(i))
			RefuseMissing(names[i]);
	}
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT,
					  &texts, &nulls, count);
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			RefuseMissing(psprintf("each of %s", names[0]));
	}
	return texts;
}

/*
 * Prune some threads, in all sources, and return a row for each.
 */
static void
PruneThreads(ReturnSetInfo *result, List *sources, const Datum *threads, int count,
			 const PruneOptions *options)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "amelia threads",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);

	for (int i = 0; i < count; i++)
	{
		PrunePlan	done;
		char	   *problem;
		Datum		values[7] = {threads[i]};
		bool		is_null[7] = {0};

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(context);
		problem = PruneEverywhere(sources, TextDatumGetCString(threads[i]), options, &done);
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
	MemoryContextSwitchTo(before);
	MemoryContextDelete(context);
}

/*
 * The sources that can be used, once the caller has been told of what is to be known.
 */
static List *
OpenSources(const PruneOptions *options)
{
	RestrictedContext before;
	List	   *sources;
	ListCell   *cell;

	EnterRestricted(TableOwner("checkpoint_schemas"), &before);
	sources = UsableSources();
	LeaveRestricted(&before);

	/*
	 * What is held now need not be held anew, with a transaction id, for each
	 * thread.
	 */
	foreach(cell, sources)
	{
		EnterSource(lfirst(cell), &before);
		LeaveRestricted(&before);
	}
	if (options->force && !options->dry_run && !options->whole)
		WarnOfNoFence(sources);
	if (!options->dry_run)
		FireTriggersAtOnce();
	return sources;
}

/*
 * prune(thread_ids text[], strategy text, keep integer, squash boolean,
 * dry_run boolean, force boolean) returns setof record
 */
Datum
amelia_prune(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"thread_ids", "strategy", "keep", "squash", "dry_run", "force"};
	PruneOptions options = {0};
	int			count;
	Datum	   *threads = TextArguments(fcinfo, names, lengthof(names), &count);
	char	   *strategy = text_to_cstring(PG_GETARG_TEXT_PP(1));

	options.keep = PG_GETARG_INT32(2);
	options.squash = PG_GETARG_BOOL(3);
	options.dry_run = PG_GETARG_BOOL(4);
	options.force = PG_GETARG_BOOL(5);
	options.whole = strcmp(strategy, "delete") == 0;
	if (!options.dry_run)
		PreventCommandIfReadOnly("prune()");
	if (!options.whole && strcmp(strategy, "keep_latest") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid strategy \"%s\"", strategy),
				 errhint("Use keep_latest or delete.")));
	if (options.keep < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("keep must be at least 1, not %d", options.keep)));

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	PruneThreads((ReturnSetInfo *) fcinfo->resultinfo, OpenSources(&options), threads, count, &options);
	SPI_finish();
	return (Datum) 0;
}

/*
 * The threads that have checkpoints of some runs, in all sources that have what
 * pruning reads.
 */
static Datum *
ThreadsOfRuns(List *sources, Datum runs, int *count)
{
	static const Oid types[] = {TEXTARRAYOID, TEXTARRAYOID};
	Datum		values[] = {runs, EmptyArray(TEXTOID)};
	Datum	   *threads;
	ListCell   *cell;

	foreach(cell, sources)
	{
		CheckpointSource *source = lfirst(cell);
		RestrictedContext before;
		bool		is_null;

		if (PruningProblem(source) != NULL)
			continue;
		EnterSource(source, &before);
		RunSql(psprintf("SELECT ARRAY(SELECT a.thread_id FROM ONLY %s AS a WHERE a.metadata ->> 'run_id' = ANY ($1)"
						" UNION SELECT t FROM unnest($2) AS t ORDER BY 1)", source->tables[CHECKPOINTS]),
			   lengthof(types), types, values, false);
		LeaveRestricted(&before);
		values[1] = RowValue(0, 1, TEXTARRAYOID, &is_null);
	}
	deconstruct_array(DatumGetArrayTypeP(values[1]), TEXTOID, -1, false, TYPALIGN_INT, &threads, NULL, count);
	return threads;
}

/*
 * delete_for_runs(run_ids text[], dry_run boolean, force boolean) returns setof
 * record
 */
Datum
amelia_delete_for_runs(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"run_ids", "dry_run", "force"};
	PruneOptions options = {0};
	List	   *sources;
	Datum	   *threads;
	int			count;

	options.runs = TextArguments(fcinfo, names, lengthof(names), &options.nruns);
	options.dry_run = PG_GETARG_BOOL(1);
	options.force = PG_GETARG_BOOL(2);
	if (!options.dry_run)
		PreventCommandIfReadOnly("delete_for_runs()");
	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	sources = OpenSources(&options);
	threads = ThreadsOfRuns(sources, PG_GETARG_DATUM(0), &count);
	PruneThreads((ReturnSetInfo *) fcinfo->resultinfo, sources, threads, count, &options);
	SPI_finish();
	return (Datum) 0;
}
