/*-------------------------------------------------------------------------
 *
 * history.c
 *	  What is kept of workflows that are deleted: how they ended, and what
 *	  they used and cost.
 *
 *	  A trigger keeps it, so that it does not matter who deletes them and how.
 *	  For a DELETE that trigger fires after the row is gone, when no other
 *	  trigger can keep it any more, and before the foreign keys' cascade to
 *	  token_usage, because triggers fire in the order of their names. A
 *	  TRUNCATE fires it before it empties any table.
 *
 *	  Whoever may delete workflows need not be able to write the history: it
 *	  is written with the rights of that table's owner.
 *
 *-------------------------------------------------------------------------
 */
#include "usage/history.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "base/execute.h"
#include "base/table_owner.h"
#include "base/trigger.h"

PG_FUNCTION_INFO_V1(amelia_keep_history);

/*
 * The same workflow may come back, from an export, and be deleted again: the
 * usage that came with it is there already.
 */
#define DROP_RETURNED(condition) \
	"DELETE FROM amelia.usage_history AS h WHERE EXISTS (SELECT FROM amelia.workflow_history AS k" \
	" JOIN amelia.token_usage AS u ON u.workflow_id = k.workflow_id" \
	" WHERE k.workflow_id = h.workflow_id AND u.\"timestamp\" <= k.usage_until" \
	" AND (u.\"timestamp\" AT TIME ZONE 'UTC')::date = h.day)" condition

#define USAGE_UNTIL(workflow) \
	"(SELECT max(u.\"timestamp\") FROM amelia.token_usage AS u" \
	" WHERE u.workflow_id = " workflow " AND isfinite(u.\"timestamp\"))"

#define INSERT_WORKFLOWS(source) \
	"INSERT INTO amelia.workflow_history AS h (workflow_id, profile_id, workflow_type," \
	" status, started_at, completed_at, deleted_at, usage_until) " source

#define KEEP_WORKFLOWS(source) \
	INSERT_WORKFLOWS(source) " ON CONFLICT (workflow_id) DO UPDATE SET profile_id = excluded.profile_id," \
	" workflow_type = excluded.workflow_type, status = excluded.status," \
	" started_at = excluded.started_at, completed_at = excluded.completed_at," \
	" deleted_at = excluded.deleted_at," \
	" usage_until = GREATEST(h.usage_until, excluded.usage_until)"

#define KEEP_USAGE(condition) \
	"INSERT INTO amelia.usage_history AS h (workflow_id, day, agent, model," \
	" input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens," \
	" cost_usd, duration_ms, num_turns)" \
	" SELECT u.workflow_id, (u.\"timestamp\" AT TIME ZONE 'UTC')::date, u.agent, u.model," \
	" sum(u.input_tokens), sum(u.output_tokens), sum(COALESCE(u.cache_read_tokens, 0))," \
	" sum(COALESCE(u.cache_creation_tokens, 0)), sum(u.cost_usd)," \
	" sum(u.duration_ms), sum(u.num_turns)" \
	" FROM amelia.token_usage AS u" condition \
	" GROUP BY 1, 2, 3, 4" \
	" ON CONFLICT (workflow_id, day, agent, model) DO UPDATE SET" \
	" input_tokens = h.input_tokens + excluded.input_tokens," \
	" output_tokens = h.output_tokens + excluded.output_tokens," \
	" cache_read_tokens = h.cache_read_tokens + excluded.cache_read_tokens," \
	" cache_creation_tokens = h.cache_creation_tokens + excluded.cache_creation_tokens," \
	" cost_usd = h.cost_usd + excluded.cost_usd," \
	" duration_ms = h.duration_ms + excluded.duration_ms," \
	" num_turns = h.num_turns + excluded.num_turns"

#define ROW_VALUES "VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp(), " USAGE_UNTIL("$1") ")"

/* The columns of a deleted workflow that are kept, as parameters. */
static const struct
{
	const char *name;
	Oid			type;
}			kept_columns[] =

{
	{"id", UUIDOID}, {"profile_id", TEXTOID}, {"workflow_type", TEXTOID}, {"status", TEXTOID},
	{"started_at", TIMESTAMPTZOID}, {"completed_at", TIMESTAMPTZOID}
};

/* The workflow that was kept last, and in which transaction. */
static pg_uuid_t last_kept;
static TransactionId last_kept_by = InvalidTransactionId;

/*
 * Whether the usage of a workflow has just been kept by this transaction, or
 * by a part of it that was undone.
 */
bool
UsageWasKept(const pg_uuid_t *workflow)
{
	return TransactionIdIsValid(last_kept_by) &&
		TransactionIdEquals(GetTopTransactionIdIfAny(), last_kept_by) &&
		memcmp(workflow, &last_kept, UUID_LEN) == 0;
}

/*
 * Keep the history of one workflow, from its row.
 */
static void
KeepDeleted(TupleDesc tupdesc, HeapTuple row)
{
	static SPIPlanPtr lock_plan = NULL;
	static SPIPlanPtr first_plan = NULL;
	static SPIPlanPtr returned_plan = NULL;
	static SPIPlanPtr workflow_plan = NULL;
	static SPIPlanPtr usage_plan = NULL;
	Oid			types[lengthof(kept_columns)];
	Datum		values[lengthof(kept_columns)];
	char		nulls[lengthof(kept_columns)];

	for (size_t i = 0; i < lengthof(kept_columns); i++)
	{
		bool		is_null;

		types[i] = kept_columns[i].type;
		values[i] = heap_getattr(row, ColumnOfType(tupdesc, kept_columns[i].name, kept_columns[i].type),
								 tupdesc, &is_null);
		nulls[i] = is_null ? 'n' : ' ';
	}

	/*
	 * Whoever changes usage of it at this time is waited for: it is kept as
	 * it goes.
	 */
	KeptPlan(&lock_plan, "SELECT FROM amelia.token_usage AS u WHERE u.workflow_id = $1 FOR UPDATE", 1, types);
	if (SPI_execute_plan(lock_plan, values, nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not lock usage");
	KeptPlan(&first_plan, INSERT_WORKFLOWS(ROW_VALUES) " ON CONFLICT (workflow_id) DO NOTHING",
			 lengthof(types), types);
	KeptPlan(&returned_plan, DROP_RETURNED(" AND h.workflow_id = $1"), 1, types);
	KeptPlan(&workflow_plan, KEEP_WORKFLOWS(ROW_VALUES), lengthof(types), types);
	KeptPlan(&usage_plan, KEEP_USAGE(" WHERE u.workflow_id = $1"), 1, types);
	if (SPI_execute_plan(first_plan, values, nulls, false, 0) != SPI_OK_INSERT ||
	/* Only who was deleted before can have come back. */
		(SPI_processed == 0 &&
		 (SPI_execute_plan(returned_plan, values, nulls, false, 0) != SPI_OK_DELETE ||
		  SPI_execute_plan(workflow_plan, values, nulls, false, 0) != SPI_OK_INSERT)) ||
		SPI_execute_plan(usage_plan, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write the history");
	last_kept = *DatumGetUUIDP(values[0]);
	last_kept_by = GetTopTransactionId();
}

/*
 * keep_history() returns trigger
 */
Datum
amelia_keep_history(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	bool		is_truncate = CALLED_AS_TRIGGER(fcinfo) &&
	TRIGGER_FIRED_BY_TRUNCATE(data->tg_event);
	OwnerContext before;

	data = is_truncate ?
		GetTriggerData(fcinfo, "keep_history",
					   TRIGGER_EVENT_BEFORE, TRIGGER_EVENT_TRUNCATE, false) :
		GetTriggerData(fcinfo, "keep_history",
					   TRIGGER_EVENT_AFTER, TRIGGER_EVENT_DELETE, true);
	SPI_connect();
	BecomeTablesOwner(data->tg_relation->rd_rel->relowner, &before);
	if (is_truncate)
	{
		/* All that the lock on the table has waited for goes too. */
		RunSqlOnLatest(DROP_RETURNED(""), 0, NULL, NULL);
		RunSqlOnLatest(KEEP_WORKFLOWS("SELECT w.id, w.profile_id, w.workflow_type, w.status,"
									  " w.started_at, w.completed_at, clock_timestamp(), " USAGE_UNTIL("w.id")
									  " FROM amelia.workflows AS w"), 0, NULL, NULL);
		RunSqlOnLatest(KEEP_USAGE(""), 0, NULL, NULL);
	}
	else
		KeepDeleted(RelationGetDescr(data->tg_relation), data->tg_trigtuple);
	BecomeSelf(&before);
	SPI_finish();
	return PointerGetDatum(NULL);
}
