/*-------------------------------------------------------------------------
 *
 * checkpoint_verify.c
 *	  What is wrong with LangGraph's checkpoints: the part of verify() that reads
 *	  them, with the rights of their owner.
 *
 *	  A parent that is not there may be right: the first checkpoint of a run
 *	  can name one that never came, and one that is needed by its id only stays named
 *	  after pruning. A blob that is not there may be right, too: Python's saver keeps
 *	  simple values in the checkpoint, and stores nothing for a channel without
 *	  a value. JavaScript's stores a row for each version, and its versions are
 *	  numbers.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/execute.h"
#include "base/table_owner.h"
#include "retention/checkpoint.h"

PG_FUNCTION_INFO_V1(amelia_verify_checkpoints);

/* A column of JSON, an object or nothing. */
#define OBJECT(json) "CASE WHEN jsonb_typeof(" json ") = 'object' THEN " json " END"

/* The rows that are wrong, as thread and id; %1$s, %2$s: checkpoints, blobs. */
static const struct
{
	const char *problem;
	const char *rows;
	const char *meaning;
}			checks[] =

{
	{
		"checkpoints whose parent is not there",
		"SELECT a.thread_id, a.checkpoint_id FROM ONLY %1$s AS a WHERE a.parent_checkpoint_id IS NOT NULL"
		" AND a.checkpoint -> 'v' >= '4' AND COALESCE(a.metadata ->> 'source', '') NOT IN ('update', 'fork')"
		" AND NOT COALESCE(a.metadata -> 'step' < '0', false)"
		" AND NOT EXISTS (SELECT FROM ONLY %1$s AS p WHERE p.thread_id = a.thread_id"
		" AND p.checkpoint_ns = a.checkpoint_ns AND p.checkpoint_id = a.parent_checkpoint_id)",
		"a delta channel has lost what it was made from, if there is one"
	},
	{
		"blobs that checkpoints name and that are not there",
		"SELECT a.thread_id, a.checkpoint_id FROM ONLY %1$s AS a"
		" CROSS JOIN LATERAL jsonb_each(" OBJECT("a.checkpoint -> 'channel_versions'") ") AS v (channel, version)"
		" WHERE jsonb_typeof(v.version) = 'number'"
		" AND NOT COALESCE(" OBJECT("a.checkpoint -> 'channel_values'") " ? v.channel, false)"
		" AND NOT EXISTS (SELECT FROM ONLY %2$s AS b WHERE b.thread_id = a.thread_id"
		" AND b.checkpoint_ns = a.checkpoint_ns AND b.channel = v.channel AND b.version = v.version #>> '{}')",
		"these channels are empty in them"
	}
};

/*
 * verify_checkpoints() returns setof record
 */
Datum
amelia_verify_checkpoints(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			owner = RelationOwner(OurTable("checkpoint_schemas"));
	RestrictedContext before;
	List	   *sources;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	/* verify() tells of that elsewhere. */
	if (OwnersProblem(AMELIA_SCHEMA, owner) != NULL)
		return (Datum) 0;
	SPI_connect();
	EnterRestricted(owner, &before);
	sources = FindCheckpointSources();
	LeaveRestricted(&before);
	foreach(cell, sources)
	{
		CheckpointSource *source = lfirst(cell);

		if (source->problem != NULL || PruningProblem(source) != NULL)
			continue;
		for (size_t i = 0; i < lengthof(checks); i++)
		{
			char	   *rows = psprintf(checks[i].rows, source->tables[CHECKPOINTS], source->tables[BLOBS]);
			Datum		values[3];
			bool		nulls[3] = {0};
			bool		is_null;
			int64		count;

			EnterSource(source, &before);
			RunSql(psprintf("SELECT count(*), format('%%s, such as \"%%s\" of thread \"%%s\": %s', count(*),"
							" (array_agg(r.checkpoint_id ORDER BY r.thread_id, r.checkpoint_id))[1], min(r.thread_id))"
							" FROM (%s) AS r", checks[i].meaning, rows), 0, NULL, NULL, true);
			LeaveRestricted(&before);
			count = DatumGetInt64(RowValue(0, 1, INT8OID, &is_null));
			values[0] = CStringGetTextDatum(checks[i].problem);
			values[1] = CStringGetTextDatum(psprintf("schema %s", quote_identifier(source->schema)));
			values[2] = RowValue(0, 2, TEXTOID, &is_null);
			if (count > 0)
				tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		}
	}
	SPI_finish();
	return (Datum) 0;
}
