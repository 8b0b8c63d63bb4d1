/*-------------------------------------------------------------------------
 *
 * checkpoint.c
 *	  LangGraph's checkpoints: which threads are due, and deleting them.
 *
 *	  LangGraph's tables belong to the application. We read and write them as
 *	  their owner, in a restricted operation, so that a trigger that the
 *	  owner put there never runs with more rights than that. As that role
 *	  nothing of Amelia's can be read: what is decided on one side is handed
 *	  to the other as an array.
 *
 *	  Threads are found from the side of the threads, not of the workflows,
 *	  because finished workflows without a checkpoint may be many. The three
 *	  tables' primary keys begin with thread_id, so that each next thread is
 *	  one probe of each index, however many rows the threads have.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/checkpoint.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/execute.h"
#include "base/table_owner.h"
#include "retention/checkpoint_shape.h"
#include "retention/rules.h"


/*
 * An empty array, for what may be no array.
 */
Datum
EmptyArray(Oid element)
{
	return PointerGetDatum(construct_empty_array(element));
}

int
ArrayCount(Datum array)
{
	ArrayType  *value = DatumGetArrayTypeP(array);

	return ArrayGetNItems(ARR_NDIM(value), ARR_DIMS(value));
}

/* Whether an array of texts holds one. */
bool
HoldsText(Datum array, Datum wanted)
{
	Datum	   *texts;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &texts, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		if (DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID, texts[i], wanted)))
			return true;
	}
	return false;
}

/*
 * The schemas whose tables can be used. Of the others the caller is told.
 */
List *
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

/* The last of some threads, of which there is one at least. */
static char *
LastThread(Datum threads)
{
	Datum	   *values;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(threads), TEXTOID, -1, false, TYPALIGN_INT,
					  &values, NULL, &count);
	return TextDatumGetCString(values[count - 1]);
}

/* An array of a result of one row. */
static Datum
ResultArray(int column, Oid element)
{
	bool		is_null;
	Datum		array = RowValue(0, column, get_array_type(element), &is_null);

	return is_null ? EmptyArray(element) : array;
}

/*
 * Why the tables of a source, which is otherwise all right, cannot be pruned;
 * NULL when they can.
 */
char *
PruningProblem(const CheckpointSource *source)
{
	Oid			schema = get_namespace_oid(source->schema, false);
	char	   *problem = NULL;

	for (int i = 0; i < CHECKPOINT_TABLES && problem == NULL; i++)
		problem = PrunedColumnsProblem(i, get_relname_relid(amelia_checkpoint_tables[i], schema));
	return problem;
}

/*
 * The registered schemas in which there are tables with LangGraph's names.
 * The caller runs as the owner of Amelia's tables.
 */
List *
FindCheckpointSources(void)
{
	static SPIPlanPtr plan = NULL;
	List	   *sources = NIL;

	KeptPlan(&plan, "SELECT s.schema_name, s.owner, s.problem FROM amelia_internal.checkpoint_places() AS s",
			 0, NULL);
	if (SPI_execute_plan(plan, NULL, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for checkpoint tables");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		CheckpointSource *source = palloc0(sizeof(CheckpointSource));
		bool		is_null;

		source->schema = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		source->owner = DatumGetObjectId(RowValue(i, 2, OIDOID, &is_null));
		source->problem = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3);
		for (size_t t = 0; t < CHECKPOINT_TABLES; t++)
			source->tables[t] = quote_qualified_identifier(source->schema, amelia_checkpoint_tables[t]);
		sources = lappend(sources, source);
	}
	return sources;
}

/*
 * Whether none of them has a problem.
 */
bool
CheckpointsAreReadable(List *sources)
{
	ListCell   *cell;

	foreach(cell, sources)
	{
		if (((CheckpointSource *) lfirst(cell))->problem != NULL)
			return false;
	}
	return true;
}

/*
 * Keep a schema from being renamed to the end of the (sub)transaction. Renaming
 * takes no lock that could be taken, but it changes a key of the catalog's row:
 * so that row is locked as a foreign key would. Whoever is renaming it right
 * now is waited for, as long as for any lock. False when it is not there.
 */
static bool
HoldSchemaName(const char *name)
{
	Relation	schemas = table_open(NamespaceRelationId, RowShareLock);
	TM_Result	result = TM_Updated;

	while (result == TM_Updated)
	{
		HeapTuple	found;
		HeapTupleData row;
		Buffer		buffer;
		TM_FailureData failure;

		CHECK_FOR_INTERRUPTS();
		AcceptInvalidationMessages();
		found = SearchSysCache1(NAMESPACENAME, CStringGetDatum(name));
		if (!HeapTupleIsValid(found))
			break;
		row.t_self = found->t_self;
		ReleaseSysCache(found);
		result = heap_lock_tuple(schemas, &row, GetCurrentCommandId(false), LockTupleKeyShare,
								 LockWaitBlock, true, &buffer, &failure);
		ReleaseBuffer(buffer);
	}
	table_close(schemas, NoLock);
	/* One that this very transaction has just renamed or made is its own. */
	return result == TM_Ok || result == TM_SelfModified || result == TM_Invisible;
}

/*
 * Run what follows as the owner of a source's tables, until LeaveRestricted().
 * The statements that follow name the tables, and what stands under such a name
 * brings code that would run with that role's rights, and before anybody asks
 * for rights: so neither a table nor the schema can change its name from here to
 * the end of the (sub)transaction. Then the tables are looked at again: whoever
 * owns the schema could have put others in their place, and the owner could
 * have changed their columns. On a standby nothing can be written, by nobody,
 * and nothing be held.
 */
void
EnterSource(const CheckpointSource *source, RestrictedContext *before)
{
	EnterRestricted(source->owner, before);
	if (!RecoveryInProgress() && !HoldSchemaName(source->schema))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("schema \"%s\" was replaced while it was being looked at", source->schema)));
	for (int i = 0; i < CHECKPOINT_TABLES; i++)
	{
		RangeVar   *name = makeRangeVar(source->schema, unconstify(char *, amelia_checkpoint_tables[i]), -1);
		Oid			table = RangeVarGetRelid(name, AccessShareLock, true);

		if (!OidIsValid(table) || get_rel_relkind(table) != RELKIND_RELATION ||
			RelationOwner(table) != source->owner)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("%s was replaced while it was being looked at", source->tables[i])));
		CheckCheckpointColumns(i, table);
	}
}

/*
 * Read the threads of a source, at most limit of those behind one (all, if it
 * is NULL), in order.
 */
void
ReadThreadPage(const CheckpointSource *source, const char *after, int limit, ThreadPage *page)
{
	static const Oid types[] = {INT4OID, TEXTOID};
	Datum		values[] = {
		Int32GetDatum(limit), after == NULL ? (Datum) 0 : CStringGetTextDatum(after)
	};
	RestrictedContext before;
	char	   *query;
	bool		is_null;

#define NEXT_THREAD(behind) \
	"LEAST((SELECT min(a.thread_id) FROM ONLY %1$s AS a " behind ")," \
	" (SELECT min(a.thread_id) FROM ONLY %2$s AS a " behind ")," \
	" (SELECT min(a.thread_id) FROM ONLY %3$s AS a " behind "))"
#define THREAD_PAGE(first) \
	"WITH RECURSIVE page (thread_id, n) AS (SELECT " first ", 1" \
	" UNION ALL SELECT " NEXT_THREAD("WHERE a.thread_id > p.thread_id") ", p.n + 1" \
	" FROM page AS p WHERE p.thread_id IS NOT NULL AND p.n < $1)" \
	" SELECT count(p.thread_id)::integer, array_agg(p.thread_id ORDER BY p.n)" \
	" FILTER (WHERE p.thread_id IS NOT NULL)," \
	" (array_agg(p.thread_id ORDER BY p.n DESC) FILTER (WHERE p.thread_id IS NOT NULL))[1]" \
	" FROM page AS p"

	query = psprintf(after == NULL ? THREAD_PAGE(NEXT_THREAD("")) :
					 THREAD_PAGE(NEXT_THREAD("WHERE a.thread_id > $2")),
					 source->tables[0], source->tables[1], source->tables[2]);
	EnterSource(source, &before);
	RunSql(query, after == NULL ? 1 : 2, types, values, false);
	LeaveRestricted(&before);
	page->count = DatumGetInt32(RowValue(0, 1, INT4OID, &is_null));
	page->threads = ResultArray(2, TEXTOID);
	page->last = page->count == 0 ? NULL :
		SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3);
}

/*
 * When the newest checkpoint of each of some threads was made: the threads
 * of which it can be told, and the times.
 */
static void
NewestCheckpoints(const CheckpointSource *source, Datum threads, Datum *known, Datum *times)
{
	static const Oid types[] = {TEXTARRAYOID};
	RestrictedContext before;

	/* Ids of version 6 sort by time; the time of one is told for each thread. */
	char	   *query = psprintf(
								 "SELECT array_agg(n.thread_id), array_agg(n.at) FROM ("
								 "SELECT c.thread_id, GREATEST(" TIME_OF_ID("c.id") ", " TIME_OF_TEXT("c.ts") ") AS at"
								 " FROM (SELECT a.thread_id,"
								 " max(a.checkpoint_id COLLATE \"C\") FILTER (WHERE substr(a.checkpoint_id, 15, 1) = '6') AS id,"
								 " max((a.checkpoint ->> 'ts') COLLATE \"C\") FILTER (WHERE substr(a.checkpoint_id, 15, 1) <> '6') AS ts"
								 " FROM ONLY %s AS a WHERE a.thread_id = ANY ($1)"
								 " GROUP BY a.thread_id) AS c) AS n WHERE n.at IS NOT NULL",
								 source->tables[0]);

	EnterSource(source, &before);
	RunSql(query, lengthof(types), types, &threads, false);
	LeaveRestricted(&before);
	*known = ResultArray(1, TEXTOID);
	*times = ResultArray(2, TIMESTAMPTZOID);
}

/*
 * Of the threads of finished workflows on a page, those that rule 2 takes:
 * every workflow that they belong to is due, and quiet. At most limit of
 * them; page->last is then the last that was decided. lock: the workflows are
 * locked, those that somebody holds are left out. Sets *workflows to theirs.
 */
Datum
DueThreads(List *sources, ThreadPage *page, const Horizons *horizons, int limit, bool lock,
		   Datum *workflows)
{
	static SPIPlanPtr candidate_plan = NULL;
	static SPIPlanPtr quiet_plan = NULL;
	static SPIPlanPtr lock_plan = NULL;
	static SPIPlanPtr take_plan = NULL;
	static const Oid candidate_types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTARRAYOID, INT4OID};
	static const Oid quiet_types[] = {UUIDARRAYOID, TIMESTAMPTZOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID};
	static const Oid lock_types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDARRAYOID};
	static const Oid take_types[] = {TEXTARRAYOID, UUIDARRAYOID};
	Datum		values[4];
	Datum		candidates;
	Datum		theirs;
	Datum		known = EmptyArray(TEXTOID);
	Datum		times = EmptyArray(TIMESTAMPTZOID);
	ListCell   *cell;

	/* Which of the threads, whose, and all other threads of those. */
	values[0] = TimestampTzGetDatum(horizons->checkpoint);
	values[1] = TimestampTzGetDatum(horizons->recovery);
	values[2] = page->threads;
	values[3] = Int32GetDatum(limit);
	KeptPlan(&candidate_plan,
			 "WITH due AS MATERIALIZED ("
			 "SELECT t.thread_id, t.n, array_agg(w.id) AS ids"
			 " FROM unnest($3) WITH ORDINALITY AS t (thread_id, n)"
			 " CROSS JOIN LATERAL " THREAD_WORKFLOWS " AS o"
			 " JOIN amelia.workflows AS w ON w.id = o.id"
			 " GROUP BY t.thread_id, t.n HAVING bool_and(" DUE("$1", "$2") ")"
			 " ORDER BY t.n LIMIT $4),"
			 " theirs AS (SELECT DISTINCT i.id FROM due AS d, unnest(d.ids) AS i (id))"
			 " SELECT (SELECT array_agg(d.thread_id ORDER BY d.n) FROM due AS d),"
			 " (SELECT array_agg(o.id) FROM theirs AS o),"
			 " (SELECT array_agg(t.thread_id) FROM"
			 " (SELECT o.id::text AS thread_id FROM theirs AS o"
			 " UNION SELECT l.thread_id FROM amelia.workflow_threads AS l"
			 " JOIN theirs AS o ON o.id = l.workflow_id) AS t)",
			 lengthof(candidate_types), candidate_types);
	if (SPI_execute_plan(candidate_plan, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for threads");
	candidates = ResultArray(1, TEXTOID);
	*workflows = ResultArray(2, UUIDOID);
	theirs = ResultArray(3, TEXTOID);
	if (ArrayCount(candidates) == 0)
		return candidates;

	/* A workflow is quiet when its newest checkpoint is, in whatever schema. */
	foreach(cell, sources)
	{
		CheckpointSource *source = lfirst(cell);
		Datum		more_known;
		Datum		more_times;

		if (source->problem != NULL)
			continue;
		NewestCheckpoints(source, theirs, &more_known, &more_times);
		known = OidFunctionCall2(F_ARRAY_CAT, known, more_known);
		times = OidFunctionCall2(F_ARRAY_CAT, times, more_times);
	}
	values[0] = *workflows;
	values[1] = TimestampTzGetDatum(horizons->grace);
	values[2] = known;
	values[3] = times;
	KeptPlan(&quiet_plan,
			 "SELECT array_agg(w.id) FROM amelia.workflows AS w LEFT JOIN"
			 " (SELECT o.id, max(n.at) AS at FROM unnest($3, $4) AS n (thread_id, at)"
			 " CROSS JOIN LATERAL (SELECT n.thread_id) AS t"
			 " CROSS JOIN LATERAL " THREAD_WORKFLOWS " AS o GROUP BY o.id) AS newest"
			 " ON newest.id = w.id"
			 " WHERE w.id = ANY ($1) AND (newest.at <= COALESCE(w.completed_at, w.updated_at)"
			 " OR newest.at < $2 OR newest.at IS NULL AND " ENDED_BEFORE("$2") ")",
			 lengthof(quiet_types), quiet_types);
	if (SPI_execute_plan(quiet_plan, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for quiet workflows");
	*workflows = ResultArray(1, UUIDOID);

	if (lock)
	{
		values[0] = TimestampTzGetDatum(horizons->checkpoint);
		values[1] = TimestampTzGetDatum(horizons->recovery);
		values[2] = *workflows;
		KeptPlan(&lock_plan,
				 "SELECT array_agg(l.id) FROM (SELECT w.id FROM amelia.workflows AS w"
				 " WHERE w.id = ANY ($3) AND " DUE("$1", "$2")
				 " ORDER BY w.id FOR NO KEY UPDATE SKIP LOCKED) AS l",
				 lengthof(lock_types), lock_types);
		if (SPI_execute_plan(lock_plan, values, NULL, false, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not lock workflows");
		*workflows = ResultArray(1, UUIDOID);
	}

	/* The threads of which every workflow is still in the choice. */
	values[0] = candidates;
	values[1] = *workflows;
	KeptPlan(&take_plan,
			 "SELECT array_agg(t.thread_id) FROM unnest($1) AS t (thread_id)"
			 " WHERE NOT EXISTS (SELECT FROM " THREAD_WORKFLOWS " AS o"
			 " JOIN amelia.workflows AS w ON w.id = o.id WHERE o.id <> ALL ($2))",
			 lengthof(take_types), take_types);
	if (SPI_execute_plan(take_plan, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not choose threads");
	if (ArrayCount(candidates) == limit)
		page->last = LastThread(candidates);
	return ResultArray(1, TEXTOID);
}

/*
 * Of the threads on a page, those that belong to no workflow and whose newest
 * checkpoint is older than the setting. One whose age cannot be told stays.
 */
Datum
OrphanThreads(const CheckpointSource *source, ThreadPage *page, const Horizons *horizons, int limit)
{
	static SPIPlanPtr orphan_plan = NULL;
	static SPIPlanPtr old_plan = NULL;
	static const Oid orphan_types[] = {TEXTARRAYOID};
	static const Oid old_types[] = {TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID,
	TIMESTAMPTZOID, INT4OID};
	Datum		values[5];
	Datum		orphans;

	values[0] = page->threads;
	KeptPlan(&orphan_plan,
			 "SELECT array_agg(t.thread_id ORDER BY t.n)"
			 " FROM unnest($1) WITH ORDINALITY AS t (thread_id, n)"
			 " WHERE NOT EXISTS (SELECT FROM " THREAD_WORKFLOWS " AS o"
			 " JOIN amelia.workflows AS w ON w.id = o.id)",
			 lengthof(orphan_types), orphan_types);
	if (SPI_execute_plan(orphan_plan, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for orphan threads");
	orphans = ResultArray(1, TEXTOID);
	if (ArrayCount(orphans) == 0)
		return orphans;

	values[0] = orphans;
	NewestCheckpoints(source, orphans, &values[1], &values[2]);
	values[3] = TimestampTzGetDatum(horizons->orphan);
	values[4] = Int32GetDatum(limit);
	KeptPlan(&old_plan,
			 "SELECT array_agg(o.thread_id ORDER BY o.n) FROM"
			 " (SELECT t.thread_id, t.n FROM unnest($1) WITH ORDINALITY AS t (thread_id, n)"
			 " JOIN unnest($2, $3) AS c (thread_id, at) ON c.thread_id = t.thread_id"
			 " WHERE c.at < $4 ORDER BY t.n LIMIT $5) AS o",
			 lengthof(old_types), old_types);
	if (SPI_execute_plan(old_plan, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not choose orphan threads");
	orphans = ResultArray(1, TEXTOID);
	if (ArrayCount(orphans) == limit)
		page->last = LastThread(orphans);
	return orphans;
}

/*
 * Of some workflows, those of which a thread is in one of the sources. None
 * of these may have a problem.
 */
Datum
WorkflowsWithThreads(List *sources, Datum workflows)
{
	static SPIPlanPtr threads_plan = NULL;
	static SPIPlanPtr workflows_plan = NULL;
	static const Oid types[] = {UUIDARRAYOID, TEXTARRAYOID};
	static const Oid text_types[] = {TEXTARRAYOID};
	Datum		values[2] = {workflows, 0};
	Datum		threads;
	Datum		found = EmptyArray(TEXTOID);
	ListCell   *cell;

	KeptPlan(&threads_plan,
			 "SELECT array_agg(t.thread_id) FROM"
			 " (SELECT i.id::text AS thread_id FROM unnest($1) AS i (id)"
			 " UNION SELECT l.thread_id FROM amelia.workflow_threads AS l"
			 " WHERE l.workflow_id = ANY ($1)) AS t", 1, types);
	if (SPI_execute_plan(threads_plan, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the threads of workflows");
	threads = ResultArray(1, TEXTOID);

	foreach(cell, sources)
	{
		CheckpointSource *source = lfirst(cell);
		RestrictedContext before;
		char	   *query = psprintf(
									 "SELECT array_agg(t.thread_id) FROM unnest($1) AS t (thread_id)"
									 " WHERE EXISTS (SELECT FROM ONLY %s AS a WHERE a.thread_id = t.thread_id)"
									 " OR EXISTS (SELECT FROM ONLY %s AS a WHERE a.thread_id = t.thread_id)"
									 " OR EXISTS (SELECT FROM ONLY %s AS a WHERE a.thread_id = t.thread_id)",
									 source->tables[0], source->tables[1], source->tables[2]);

		/* With a snapshot of now: the workflows' rows are locked already. */
		EnterSource(source, &before);
		RunSql(query, lengthof(text_types), text_types, &threads, false);
		LeaveRestricted(&before);
		found = OidFunctionCall2(F_ARRAY_CAT, found, ResultArray(1, TEXTOID));
	}
	if (ArrayCount(found) == 0)
		return EmptyArray(UUIDOID);

	values[1] = found;
	KeptPlan(&workflows_plan,
			 "SELECT array_agg(i.id) FROM unnest($1) AS i (id)"
			 " WHERE i.id::text = ANY ($2) OR EXISTS (SELECT FROM amelia.workflow_threads AS l"
			 " WHERE l.workflow_id = i.id AND l.thread_id = ANY ($2))", lengthof(types), types);
	if (SPI_execute_plan(workflows_plan, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the workflows of threads");
	return ResultArray(1, UUIDOID);
}

/*
 * Delete threads from a source, all or none. Returns the number of rows.
 */
int64
DeleteThreads(const CheckpointSource *source, Datum threads)
{
	static const Oid types[] = {TEXTARRAYOID};
	int64		rows = 0;

	for (int i = CHECKPOINT_TABLES - 1; i >= 0; i--)
	{
		RestrictedContext before;

		/* For each anew: a trigger may have changed settings. */
		EnterSource(source, &before);
		rows += RunSql(psprintf("DELETE FROM ONLY %s AS a WHERE a.thread_id = ANY ($1)",
								source->tables[i]),
					   lengthof(types), types, &threads, false);
		LeaveRestricted(&before);
	}
	return rows;
}

/*
 * Whether the tables of a source have triggers that are deferred, or that the
 * transaction may have deferred, which could not fire in a restricted operation.
 */
static bool
HasDeferredTriggers(const CheckpointSource *source)
{
	static const Oid types[] = {NAMEOID};
	Datum		schema = DirectFunctionCall1(namein, CStringGetDatum(source->schema));

	return RunSql("SELECT FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid"
				  " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
				  " WHERE n.nspname = $1 AND t.tgdeferrable"
				  " AND c.relname IN (SELECT k.relation FROM amelia_internal.checkpoint_columns() AS k)",
				  lengthof(types), types, &schema, false) > 0;
}

/*
 * Let the deferred triggers of the sources' tables fire with each statement,
 * to the end of the caller's transaction: in a restricted operation they could
 * not fire later. As the caller, because it fires the caller's own; and only
 * where there are some, because it lasts.
 */
void
FireTriggersAtOnce(void)
{
	RestrictedContext before;
	bool		deferred = false;
	ListCell   *cell;

	EnterRestricted(TableOwner("checkpoint_schemas"), &before);
	foreach(cell, FindCheckpointSources())
		deferred |= ((CheckpointSource *) lfirst(cell))->problem == NULL &&
		HasDeferredTriggers(lfirst(cell));
	LeaveRestricted(&before);
	if (deferred)
		RunSql("SET CONSTRAINTS ALL IMMEDIATE", 0, NULL, NULL, false);
}
