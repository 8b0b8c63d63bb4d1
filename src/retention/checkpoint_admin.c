/*-------------------------------------------------------------------------
 *
 * checkpoint_admin.c
 *	  What an operator does about LangGraph's checkpoints: say where they
 *	  are, see how much there is, delete a thread.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/check.h"
#include "base/execute.h"
#include "base/table_owner.h"
#include "retention/checkpoint_shape.h"
#include "retention/checkpoint.h"
#include "retention/prune_thread.h"

PG_FUNCTION_INFO_V1(amelia_register_checkpoints);
PG_FUNCTION_INFO_V1(amelia_unregister_checkpoints);
PG_FUNCTION_INFO_V1(amelia_delete_thread);
PG_FUNCTION_INFO_V1(amelia_checkpoint_stats);

/*
 * The source of a schema; NULL when it is not registered or has no such tables.
 */
static CheckpointSource *
FindSource(const char *schema)
{
	ListCell   *cell;

	foreach(cell, FindCheckpointSources())
	{
		CheckpointSource *source = lfirst(cell);

		if (strcmp(source->schema, schema) == 0)
			return source;
	}
	return NULL;
}

/*
 * register_checkpoints(schema regnamespace) returns void
 */
Datum
amelia_register_checkpoints(PG_FUNCTION_ARGS)
{
	static const Oid types[] = {NAMEOID, NAMEOID};
	Oid			user = GetUserId();
	char	   *schema;
	Datum		values[2];
	RestrictedContext before;
	CheckpointSource *source;

	if (PG_ARGISNULL(0))
		RefuseMissing("schema");
	schema = get_namespace_name(PG_GETARG_OID(0));
	if (schema == NULL || isAnyTempNamespace(PG_GETARG_OID(0)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%u is not a schema whose tables last", PG_GETARG_OID(0))));

	/* Each of them, before the caller learns anything about the tables. */
	for (int i = 0; i < CHECKPOINT_TABLES; i++)
	{
		Oid			table = get_relname_relid(amelia_checkpoint_tables[i], PG_GETARG_OID(0));

		if (OidIsValid(table) && !has_privs_of_role(user, RelationOwner(table)))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, amelia_checkpoint_tables[i]);
	}

	SPI_connect();
	values[0] = DirectFunctionCall1(namein, CStringGetDatum(schema));
	values[1] = DirectFunctionCall1(namein, CStringGetDatum(GetUserNameFromId(user, false)));
	EnterRestricted(TableOwner("checkpoint_schemas"), &before);
	RunSql("INSERT INTO amelia.checkpoint_schemas (schema_name, registered_by)"
		   " VALUES ($1, $2) ON CONFLICT (schema_name) DO UPDATE SET left_alone = false",
		   lengthof(types), types, values, false);
	source = FindSource(schema);
	if (source == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("no checkpoint tables in schema \"%s\"", schema),
				 errhint("LangGraph's saver makes them: call its setup() first.")));
	if (source->problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the checkpoint tables in schema \"%s\" are not as LangGraph makes them",
						schema),
				 errdetail("%s", source->problem)));
	LeaveRestricted(&before);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * unregister_checkpoints(schema_name name) returns boolean
 */
Datum
amelia_unregister_checkpoints(PG_FUNCTION_ARGS)
{
	static const Oid types[] = {NAMEOID, NAMEOID};
	Oid			user = GetUserId();
	Oid			owner = TableOwner("checkpoint_schemas");
	Datum		values[2];
	char	   *schema;
	RestrictedContext before;
	CheckpointSource *source;
	bool		found;

	if (PG_ARGISNULL(0))
		RefuseMissing("schema_name");
	values[0] = PG_GETARG_DATUM(0);
	schema = NameStr(*DatumGetName(values[0]));
	SPI_connect();
	values[1] = DirectFunctionCall1(namein, CStringGetDatum(GetUserNameFromId(user, false)));
	EnterRestricted(owner, &before);
	source = FindSource(schema);
	if (!has_privs_of_role(user, owner) &&
		(source == NULL || !has_privs_of_role(user, source->owner)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of the checkpoint tables in schema \"%s\"",
						schema)));
	found = RunSql("SELECT FROM amelia.checkpoint_schemas AS s WHERE s.schema_name = $1 AND NOT s.left_alone",
				   1, types, values, false) > 0;
	/* Kept in mind, so that nobody is told of tables that nobody looks after. */
	RunSql("INSERT INTO amelia.checkpoint_schemas AS s (schema_name, registered_by, left_alone)"
		   " VALUES ($1, $2, true) ON CONFLICT (schema_name) DO UPDATE SET left_alone = true",
		   lengthof(types), types, values, false);
	LeaveRestricted(&before);
	SPI_finish();
	PG_RETURN_BOOL(found);
}

/*
 * delete_thread(thread_id text) returns bigint
 */
Datum
amelia_delete_thread(PG_FUNCTION_ARGS)
{
	RestrictedContext before;
	Datum		thread;
	Datum		threads;
	int64		rows = 0;
	ListCell   *cell;

	if (PG_ARGISNULL(0))
		RefuseMissing("thread_id");
	thread = PG_GETARG_DATUM(0);
	SPI_connect();
	FireTriggersAtOnce();
	EnterRestricted(TableOwner("checkpoint_schemas"), &before);
	threads = PointerGetDatum(construct_array(&thread, 1, TEXTOID, -1, false, TYPALIGN_INT));
	foreach(cell, FindCheckpointSources())
	{
		CheckpointSource *source = lfirst(cell);

		if (source->problem != NULL)
			ereport(WARNING,
					(errmsg("the checkpoint tables in schema \"%s\" are left alone", source->schema),
					 errdetail("%s", source->problem)));
		else
			rows += DeleteThreads(source, threads);
	}
	LeaveRestricted(&before);
	SPI_finish();
	PG_RETURN_INT64(rows);
}

/*
 * The row of checkpoint_stats() for a source, behind schema, owner and problem.
 */
static void
ReadStats(const CheckpointSource *source, Datum *values, bool *nulls)
{
	static const Oid types[] = {INT8OID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, JSONBOID};
	RestrictedContext before;
	char	   *query = psprintf(
								 "WITH r AS ("
								 "SELECT a.thread_id, a.checkpoint_id AS id, a.checkpoint ->> 'ts' AS ts, "
								 CHECKPOINT_SIZE " AS size FROM ONLY %1$s AS a"
								 " UNION ALL SELECT a.thread_id, NULL, NULL, " BLOB_SIZE " FROM ONLY %2$s AS a"
								 " UNION ALL SELECT a.thread_id, NULL, NULL, " WRITE_SIZE " FROM ONLY %3$s AS a),"
								 " t AS (SELECT r.thread_id, count(*) AS number, count(r.id) AS checkpoints,"
								 " sum(r.size) AS size,"
								 " min(COALESCE(" TIME_OF_ID("r.id") ", " TIME_OF_TEXT("r.ts") ")) AS oldest,"
								 " max(COALESCE(" TIME_OF_ID("r.id") ", " TIME_OF_TEXT("r.ts") ")) AS newest"
								 " FROM r GROUP BY r.thread_id)"
								 " SELECT count(*), COALESCE(sum(t.checkpoints), 0)::bigint, COALESCE(sum(t.number), 0)::bigint,"
								 " pg_total_relation_size(%4$s::regclass) + pg_total_relation_size(%5$s::regclass)"
								 " + pg_total_relation_size(%6$s::regclass), min(t.oldest), max(t.newest),"
								 " (SELECT jsonb_agg(jsonb_build_object('thread_id', l.thread_id,"
								 " 'rows', l.number, 'bytes', l.size) ORDER BY l.size DESC, l.thread_id)"
								 " FROM (SELECT t.* FROM t ORDER BY t.size DESC, t.thread_id LIMIT 10) AS l)"
								 " FROM t",
								 source->tables[0], source->tables[1], source->tables[2],
								 quote_literal_cstr(source->tables[0]),
								 quote_literal_cstr(source->tables[1]),
								 quote_literal_cstr(source->tables[2]));

	EnterSource(source, &before);
	RunSql(query, 0, NULL, NULL, false);
	LeaveRestricted(&before);
	for (size_t i = 0; i < lengthof(types); i++)
		values[i] = RowValue(0, i + 1, types[i], &nulls[i]);
}

/*
 * About how many bytes prune() would free in a source.
 */
static int64
CountPrunable(const CheckpointSource *source)
{
	PruneOptions options = {.dry_run = true};
	Horizons	horizons;
	ThreadPage	page = {0};
	int64		bytes = 0;

	GetHorizons(&horizons);
	options.keep = horizons.keep_latest;
	for (;;)
	{
		Datum	   *threads;
		int			count;

		ReadThreadPage(source, page.last, PAGE_THREADS, &page);
		if (page.count == 0)
			return bytes;
		deconstruct_array(DatumGetArrayTypeP(page.threads), TEXTOID, -1, false, TYPALIGN_INT,
						  &threads, NULL, &count);
		for (int i = 0; i < count; i++)
		{
			PrunePlan	plan;
			bool		is_in_use;

			CHECK_FOR_INTERRUPTS();
			(void) TryPruneThread(source, TextDatumGetCString(threads[i]), &options, &plan, &is_in_use);
			bytes += plan.bytes;
		}
	}
}

/*
 * checkpoint_stats() returns setof record
 */
Datum
amelia_checkpoint_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	RestrictedContext before;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	EnterRestricted(TableOwner("checkpoint_schemas"), &before);
	foreach(cell, FindCheckpointSources())
	{
		CheckpointSource *source = lfirst(cell);
		Datum		values[11] = {0};
		bool		nulls[11];

		memset(nulls, true, sizeof(nulls));
		values[0] = DirectFunctionCall1(namein, CStringGetDatum(source->schema));
		values[1] = DirectFunctionCall1(namein,
										CStringGetDatum(GetUserNameFromId(source->owner, false)));
		nulls[0] = nulls[1] = false;
		if (source->problem == NULL)
		{
			ReadStats(source, &values[2], &nulls[2]);
			values[9] = Int64GetDatum(CountPrunable(source));
			nulls[9] = false;
		}
		else
		{
			values[10] = CStringGetTextDatum(source->problem);
			nulls[10] = false;
		}
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	LeaveRestricted(&before);
	SPI_finish();
	return (Datum) 0;
}
