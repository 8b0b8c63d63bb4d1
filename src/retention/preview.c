/*-------------------------------------------------------------------------
 *
 * preview.c
 *	  retention_preview(): what the next round of retention would delete.
 *
 *	  The conditions are those of the batches (rules.h), and which threads
 *	  are due is decided by the same functions (checkpoint.c), without locks.
 *	  Rule 4 is told as the round would find it after rule 2.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "base/execute.h"
#include "base/table_owner.h"
#include "retention/checkpoint.h"
#include "retention/older.h"
#include "retention/prune_thread.h"
#include "retention/rules.h"
#include "retention/second_look.h"

PG_FUNCTION_INFO_V1(amelia_retention_preview);

/* What a relation takes on disk for each byte of its rows. */
#define WITH_INDEXES(relation) \
	"(pg_total_relation_size(" relation ")::float8 / GREATEST(pg_table_size(" relation "), 1))"

#define EVENT_SIZE \
	"(150 + pg_column_size(e.message) + COALESCE(pg_column_size(e.data), 0)" \
	" + COALESCE(pg_column_size(e.tool_input), 0))"

/* Counted by workflow, so that the limit of a round is seen. */
#define COUNT_EVENTS(due, which) \
	"SELECT count(*), NULL::bigint, COALESCE(sum(d.number), 0)::bigint," \
	" COALESCE(sum(d.size) * " WITH_INDEXES("'amelia.workflow_log'") ", 0)::bigint" \
	" FROM (SELECT g.number, g.size FROM amelia.workflows AS w" \
	" CROSS JOIN LATERAL (SELECT count(*) AS number, sum(" EVENT_SIZE ") AS size" \
	" FROM amelia.workflow_log AS e WHERE e.workflow_id = w.id" which ") AS g" \
	" WHERE g.number > 0 AND " due \
	" ORDER BY w.completed_at, w.id LIMIT $4) AS d"

#define COUNT_OF(relation) \
	"(SELECT count(*) FROM amelia." relation " AS c WHERE c.workflow_id = w.id)"

static const char *const count_traces =
COUNT_EVENTS(DUE("$1", "$2") " AND NOT " ENDED_BEFORE("$3"), " AND e.level = 'trace'");
static const char *const count_events =
COUNT_EVENTS(DUE("$1", "$2") " AND $3::timestamptz IS NOT NULL", "");
static const char *const count_workflows =
"SELECT count(*), NULL::bigint, COALESCE(sum(d.number), 0)::bigint,"
" COALESCE(sum(d.size) * " WITH_INDEXES("'amelia.workflows'") ", 0)::bigint"
" FROM (SELECT 1 + u.number AS number, u.number * 200 + 300"
" + COALESCE(pg_column_size(w.plan_cache), 0) + COALESCE(pg_column_size(w.issue_cache), 0) AS size"
" FROM amelia.workflows AS w"
" CROSS JOIN LATERAL (SELECT " COUNT_OF("token_usage") " + " COUNT_OF("workflow_prompt_versions")
" + " COUNT_OF("workflow_threads") " + " COUNT_OF("workflow_leases") " AS number) AS u"
" WHERE " DUE("$1", "$2") " AND $3::timestamptz IS NOT NULL AND w.id <> ALL ($5)"
" ORDER BY w.completed_at, w.id LIMIT $4) AS d";

/* What the preview finds out about threads. */
typedef struct ThreadCounts
{
	Datum		workflows;		/* uuid[], of those that go */
	int64		threads;
	int64		rows;
	int64		bytes;
} ThreadCounts;

/*
 * Put a row of the result: workflows, threads, rows and bytes.
 */
static void
PutRule(ReturnSetInfo *result, const char *rule, const Datum *counts, const bool *counts_null,
		const char *waits_for)
{
	Datum		values[6];
	bool		nulls[6];

	values[0] = CStringGetTextDatum(rule);
	nulls[0] = false;
	for (int i = 0; i < 4; i++)
	{
		values[i + 1] = counts[i];
		nulls[i + 1] = counts_null[i];
	}
	nulls[5] = waits_for == NULL;
	values[5] = nulls[5] ? (Datum) 0 : CStringGetTextDatum(waits_for);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * The row of a rule that is counted by one query.
 */
static void
PutCounted(ReturnSetInfo *result, const char *rule, const char *query, TimestampTz horizon,
		   const Horizons *horizons, Datum held, const char *waits_for)
{
	static const Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, UUIDARRAYOID};
	Datum		values[] = {
		TimestampTzGetDatum(horizon), TimestampTzGetDatum(horizons->recovery),
		TimestampTzGetDatum(horizons->log), Int32GetDatum(horizons->max_workflows), held
	};
	Datum		counts[4];
	bool		nulls[4];

	RunSql(query, lengthof(types), types, values, false);
	for (int i = 0; i < 4; i++)
		counts[i] = RowValue(0, i + 1, INT8OID, &nulls[i]);
	PutRule(result, rule, counts, nulls, waits_for);
}

/*
 * Count the rows of some threads in a source.
 */
static void
CountThreads(const CheckpointSource *source, Datum threads, ThreadCounts *counts)
{
	static const char *const sizes[] = {CHECKPOINT_SIZE, BLOB_SIZE, WRITE_SIZE};
	static const Oid types[] = {TEXTARRAYOID};
	RestrictedContext before;
	bool		is_null;

	if (ArrayCount(threads) == 0)
		return;
	counts->threads += ArrayCount(threads);
	EnterSource(source, &before);
	for (size_t i = 0; i < lengthof(sizes); i++)
	{
		const char *table = quote_literal_cstr(source->tables[i]);

		RunSql(psprintf("SELECT count(*), COALESCE(sum(%s) * "
						WITH_INDEXES("%s") ", 0)::bigint"
						" FROM ONLY %s AS a WHERE a.thread_id = ANY ($1)",
						sizes[i], table, table, source->tables[i]),
			   lengthof(types), types, &threads, false);
		counts->rows += DatumGetInt64(RowValue(0, 1, INT8OID, &is_null));
		counts->bytes += DatumGetInt64(RowValue(0, 2, INT8OID, &is_null));
	}
	LeaveRestricted(&before);
}

/*
 * The workflows that rule 4 would take but for those of a page's threads that
 * stay.
 */
static Datum
HeldWorkflows(const ThreadPage *page, Datum due, const Horizons *horizons)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTARRAYOID, TEXTARRAYOID};
	Datum		values[] = {
		TimestampTzGetDatum(horizons->log), TimestampTzGetDatum(horizons->recovery),
		page->threads, due
	};
	bool		is_null;
	Datum		held;

	KeptPlan(&plan,
			 "SELECT array_agg(w.id) FROM unnest($3) AS t (thread_id)"
			 " CROSS JOIN LATERAL " THREAD_WORKFLOWS " AS o"
			 " JOIN amelia.workflows AS w ON w.id = o.id"
			 " WHERE t.thread_id <> ALL ($4) AND " DUE("$1", "$2"), lengthof(types), types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the workflows of threads");
	held = RowValue(0, 1, UUIDARRAYOID, &is_null);
	return is_null ? EmptyArray(UUIDOID) : held;
}

/*
 * Go through the threads of a source. held is NULL when it is the orphans
 * that are wanted.
 */
static void
CountSource(List *sources, const CheckpointSource *source, const Horizons *horizons,
			ThreadCounts *counts, Datum *held)
{
	char	   *after = NULL;

	for (;;)
	{
		ThreadPage	page;
		int			limit = Min(PAGE_THREADS, horizons->max_workflows - counts->threads);
		Datum		due = EmptyArray(TEXTOID);
		Datum		workflows;

		CHECK_FOR_INTERRUPTS();
		ReadThreadPage(source, after, Max(Min(limit, PAGE_THREADS), 1), &page);
		if (page.count == 0)
			break;
		after = page.last;
		if (limit > 0 && held != NULL)
		{
			due = DueThreads(sources, &page, horizons, limit + 1, false, &workflows);
			counts->workflows = OidFunctionCall2(F_ARRAY_CAT, counts->workflows, workflows);
		}
		else if (limit > 0)
			due = OrphanThreads(source, &page, horizons, limit + 1);
		CountThreads(source, due, counts);
		if (held != NULL)
			*held = OidFunctionCall2(F_ARRAY_CAT, *held, HeldWorkflows(&page, due, horizons));
	}
}

/*
 * The row of a rule about threads.
 */
static void
PutThreads(ReturnSetInfo *result, const char *rule, const ThreadCounts *counts, bool of_workflows,
		   const char *waits_for)
{
	static const Oid types[] = {UUIDARRAYOID};
	bool		nulls[4] = {!of_workflows, false, false, false};
	Datum		values[4];
	bool		is_null;

	RunSql("SELECT count(DISTINCT i.id) FROM unnest($1) AS i (id)",
		   lengthof(types), types, &counts->workflows, false);
	values[0] = RowValue(0, 1, INT8OID, &is_null);
	values[1] = Int64GetDatum(counts->threads);
	values[2] = Int64GetDatum(counts->rows);
	values[3] = Int64GetDatum(counts->bytes);
	PutRule(result, rule, values, nulls, waits_for);
}

/*
 * What the rule of older checkpoints would delete from the threads of a
 * source that the rules before it leave. Adds the bytes of anchors.
 */
static void
CountOlder(List *sources, const CheckpointSource *source, const Horizons *horizons,
		   ThreadCounts *counts, int64 *anchor_bytes)
{
	PruneOptions options = {.keep = horizons->keep_latest,.dry_run = true,.exact = true};
	char	   *after = NULL;

	for (;;)
	{
		ThreadPage	page;
		Datum		workflows;
		Datum		due = EmptyArray(TEXTOID);
		Datum		orphans = EmptyArray(TEXTOID);
		Datum		squash;
		Datum	   *threads;
		int			count;

		ReadThreadPage(source, after, PAGE_THREADS, &page);
		if (page.count == 0)
			break;
		after = page.last;
		deconstruct_array(DatumGetArrayTypeP(IdleThreads(source, page.threads, horizons, &squash)),
						  TEXTOID, -1, false, TYPALIGN_INT, &threads, NULL, &count);
		if (count > 0 && !TIMESTAMP_IS_NOBEGIN(horizons->checkpoint))
			due = DueThreads(sources, &page, horizons, PAGE_THREADS + 1, false, &workflows);
		if (count > 0 && !TIMESTAMP_IS_NOBEGIN(horizons->orphan))
			orphans = OrphanThreads(source, &page, horizons, PAGE_THREADS + 1);
		for (int i = 0; i < count && counts->threads < horizons->max_workflows; i++)
		{
			PrunePlan	plan;
			bool		is_in_use;

			CHECK_FOR_INTERRUPTS();
			options.squash = HoldsText(squash, threads[i]);
			if (HoldsText(due, threads[i]) || HoldsText(orphans, threads[i]) ||
				TryPruneThread(source, TextDatumGetCString(threads[i]), &options, &plan, &is_in_use) != NULL)
				continue;
			*anchor_bytes += plan.anchor_bytes;
			if (plan.checkpoints + plan.blobs + plan.writes == 0)
				continue;
			counts->threads++;
			counts->rows += plan.checkpoints + plan.blobs + plan.writes;
			counts->bytes += plan.bytes;
		}
	}
}

/*
 * The row of older checkpoints. What it waits for is, where all else is well, how
 * much is held by anchors.
 */
static void
PutOlder(ReturnSetInfo *result, List *sources, const Horizons *horizons, char *waits_for)
{
	ThreadCounts older = {.workflows = EmptyArray(UUIDOID)};
	int64		anchor_bytes = 0;
	ListCell   *cell;

	foreach(cell, sources)
	{
		CheckpointSource *source = lfirst(cell);

		if (source->problem != NULL || TIMESTAMP_IS_NOBEGIN(horizons->latest))
			continue;
		if (HasFence(source, false))
			CountOlder(sources, source, horizons, &older, &anchor_bytes);
		else if (waits_for == NULL)
			waits_for = psprintf("there is no fence on the checkpoint tables in schema \"%s\"", source->schema);
	}
	if (waits_for == NULL && anchor_bytes > 0)
		waits_for = psprintf("delta channels: about %lld more bytes are older checkpoints that these are made from",
							 (long long) anchor_bytes);
	PutThreads(result, "older checkpoints", &older, false, waits_for);
}

/*
 * What to say of checkpoint tables that nobody registered; NULL when there
 * are none.
 */
static char *
UnknownCheckpoints(void)
{
	bool		is_null;
	Datum		schemas;

	RunSql("SELECT string_agg(quote_ident(u.schema_name), ', ' ORDER BY u.schema_name)"
		   " FROM amelia_internal.unknown_checkpoints() AS u", 0, NULL, NULL, true);
	schemas = RowValue(0, 1, TEXTOID, &is_null);
	return is_null ? NULL :
		psprintf("nobody registered the checkpoint tables in %s: their threads stay", TextDatumGetCString(schemas));
}

/*
 * retention_preview() returns setof record
 */
Datum
amelia_retention_preview(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	RestrictedContext before;
	Horizons	horizons;
	List	   *sources;
	ListCell   *cell;
	ThreadCounts due = {.workflows = EmptyArray(UUIDOID)};
	ThreadCounts orphans = {.workflows = EmptyArray(UUIDOID)};
	Datum		held = EmptyArray(UUIDOID);
	char	   *waits_for = NULL;
	char	   *held_back;
	char	   *left_out;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	EnterRestricted(TableOwner("workflows"), &before);
	GetHorizons(&horizons);
	left_out = UnknownCheckpoints();
	held_back = NeedsSecondLook(&horizons);
	if (held_back != NULL)
		held_back = psprintf("a second look: %s. %s", held_back, SECOND_LOOK_HINT);
	sources = FindCheckpointSources();
	foreach(cell, sources)
	{
		CheckpointSource *source = lfirst(cell);

		if (source->problem != NULL)
			waits_for = psprintf("checkpoint tables in schema \"%s\": %s",
								 source->schema, source->problem);
		else
		{
			CountSource(sources, source, &horizons, &due, &held);
			if (!TIMESTAMP_IS_NOBEGIN(horizons.orphan))
				CountSource(sources, source, &horizons, &orphans, NULL);
		}
	}

	PutCounted(result, "trace events", count_traces, horizons.trace, &horizons, held, held_back);
	PutThreads(result, "checkpoints", &due, true, waits_for != NULL ? waits_for : held_back != NULL ? held_back : left_out);
	PutCounted(result, "events", count_events, horizons.log, &horizons, held, held_back);
	if (waits_for == NULL)
		PutCounted(result, "workflows", count_workflows, horizons.log, &horizons, held, held_back);
	else
	{
		Datum		none[4] = {0};
		bool		nulls[4] = {false, true, false, false};

		PutRule(result, "workflows", none, nulls, waits_for);
	}
	PutThreads(result, "orphan threads", &orphans, false, waits_for != NULL ? waits_for : held_back != NULL ? held_back : left_out);
	PutOlder(result, sources, &horizons, waits_for != NULL ? waits_for : held_back != NULL ? held_back : left_out);
	LeaveRestricted(&before);
	SPI_finish();
	return (Datum) 0;
}
