/*-------------------------------------------------------------------------
 *
 * copy_thread.c
 *	  The function copy_thread(): a LangGraph thread under another name.
 *
 *	  All rows are copied, ancestors too, because delta channels are made from them;
 *	  and all columns, also those that an operator added. The source is locked
 *	  against pruning, and read as one snapshot shows it.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "base/check.h"
#include "base/execute.h"
#include "base/table_owner.h"
#include "retention/checkpoint.h"
#include "retention/thread_lock.h"

PG_FUNCTION_INFO_V1(amelia_copy_thread);

/* Children come behind their parents: the fence looks for these. */
static const char *const copy_order[CHECKPOINT_TABLES] = {
	[CHECKPOINTS] = "a.checkpoint_ns, a.checkpoint_id",[BLOBS] = "a.checkpoint_ns, a.channel, a.version",
	[WRITES] = "a.checkpoint_ns, a.checkpoint_id, a.task_id, a.idx"
};

/*
 * Refuse a target that has rows in a table.
 */
static void
CheckTarget(const CheckpointSource *source, int table, const Datum *threads)
{
	static const Oid types[] = {TEXTOID};

	if (RunSqlOnLatest(psprintf("SELECT FROM ONLY %s AS a WHERE a.thread_id = $1 LIMIT 1", source->tables[table]),
					   lengthof(types), types, &threads[1]) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("thread \"%s\" has rows already in schema \"%s\"",
						TextDatumGetCString(threads[1]), source->schema),
				 errhint("Choose another name, or delete_thread() it first.")));
}

/*
 * Copy what one table has of a thread, as a snapshot shows it. Returns the
 * number of rows.
 */
static int64
CopyRows(const CheckpointSource *source, int table, Datum *threads, Snapshot snapshot)
{
	static const Oid column_types[] = {TEXTOID};
	static const Oid types[] = {TEXTOID, TEXTOID};
	Datum		name = CStringGetTextDatum(source->tables[table]);
	char	   *columns;

	RunSql("SELECT string_agg(', ' || quote_ident(t.attname), '' ORDER BY t.attnum)"
		   " FROM pg_attribute AS t WHERE t.attrelid = $1::regclass AND t.attnum > 0"
		   " AND NOT t.attisdropped AND t.attname <> 'thread_id'"
		   " AND t.attgenerated = '' AND t.attidentity = ''", lengthof(column_types), column_types, &name, true);
	columns = TextDatumGetCString(RowValue(0, 1, TEXTOID, NULL));
	return RunSqlOnSnapshot(psprintf("INSERT INTO %1$s (thread_id%2$s) SELECT $2%2$s FROM ONLY %1$s AS a"
									 " WHERE a.thread_id = $1 ORDER BY %3$s",
									 source->tables[table], columns, copy_order[table]),
							lengthof(types), types, threads, snapshot);
}

/*
 * Copy a thread in one source. All tables are read as of one moment: of a put that
 * commits meanwhile, all is copied or nothing.
 */
static int64
CopyThread(const CheckpointSource *source, Datum *threads)
{
	static const int order[] = {BLOBS, CHECKPOINTS, WRITES};
	Oid			schema = get_namespace_oid(source->schema, false);
	RestrictedContext before;
	int64		rows = 0;
	Snapshot	snapshot;

	for (int i = 0; i < 2; i++)
		ShareThread(schema, TextDatumGetCString(threads[i]));
	EnterSource(source, &before);
	for (size_t i = 0; i < lengthof(order); i++)
		CheckTarget(source, order[i], threads);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	PG_TRY();
	{
		TrustRows(true);
		for (size_t i = 0; i < lengthof(order); i++)
			rows += CopyRows(source, order[i], threads, snapshot);
	}
	PG_FINALLY();
	{
		TrustRows(false);
	}
	PG_END_TRY();
	UnregisterSnapshot(snapshot);
	LeaveRestricted(&before);
	return rows;
}

/*
 * copy_thread(source_thread_id text, target_thread_id text) returns bigint
 */
Datum
amelia_copy_thread(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"source_thread_id", "target_thread_id"};
	Datum		threads[lengthof(names)];
	RestrictedContext before;
	List	   *sources;
	ListCell   *cell;
	int64		rows = 0;

	for (size_t i = 0; i < lengthof(names); i++)
	{
		if (PG_ARGISNULL(i))
			RefuseMissing(names[i]);
		threads[i] = PG_GETARG_DATUM(i);
	}
	PreventCommandIfReadOnly("copy_thread()");
	if (strcmp(TextDatumGetCString(threads[0]), TextDatumGetCString(threads[1])) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot copy thread \"%s\" to itself", TextDatumGetCString(threads[0]))));
	SPI_connect();
	FireTriggersAtOnce();
	EnterRestricted(TableOwner("checkpoint_schemas"), &before);
	sources = UsableSources();
	LeaveRestricted(&before);
	foreach(cell, sources)
		rows += CopyThread(lfirst(cell), threads);
	if (rows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("no thread \"%s\"", TextDatumGetCString(threads[0]))));
	SPI_finish();
	PG_RETURN_INT64(rows);
}
