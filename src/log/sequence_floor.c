/*-------------------------------------------------------------------------
 *
 * sequence_floor.c
 *	  What keeps a sequence from being given twice: the parent's
 *	  sequence_floor, which the next number is above.
 *
 *	  It is raised when children are deleted, by whomever, and when a caller
 *	  reserves numbers. Whoever may delete events need not be able to write
 *	  workflows, so it is raised with the rights of that table's owner.
 *	  Parents are locked in the order of their keys.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/check.h"
#include "base/execute.h"
#include "base/sequence.h"
#include "base/sequence_trigger.h"
#include "base/table_owner.h"
#include "base/trigger.h"
#include "lease/fence.h"
#include "lease/said_lease.h"

PG_FUNCTION_INFO_V1(amelia_keep_sequence);
PG_FUNCTION_INFO_V1(amelia_keep_sequence_floor);
PG_FUNCTION_INFO_V1(amelia_raise_sequence_floor);
PG_FUNCTION_INFO_V1(amelia_next_sequence);

/*
 * How the floors of a child's parents are raised: the rows that go are those
 * of a DELETE's transition table, or all there are when a TRUNCATE begins.
 * Rows that go together with their parent find no parent to update.
 */
#define RAISE_EVENT_FLOORS(source) \
	"UPDATE amelia.workflows AS w" \
	" SET sequence_floor = GREATEST(w.sequence_floor, gone.highest)," \
	" events_removed = w.events_removed + gone.number" \
	" FROM (SELECT p.id, g.highest, g.number FROM amelia.workflows AS p" \
	" JOIN (SELECT r.workflow_id, pg_catalog.max(r.sequence) AS highest," \
	" pg_catalog.count(*) AS number FROM " source " AS r GROUP BY r.workflow_id) AS g" \
	" ON g.workflow_id = p.id" \
	" ORDER BY p.id FOR NO KEY UPDATE OF p) AS gone" \
	" WHERE w.id = gone.id"

#define RAISE_MESSAGE_FLOORS(source) \
	"UPDATE amelia.brainstorm_sessions AS s" \
	" SET sequence_floor = GREATEST(s.sequence_floor, gone.highest)" \
	" FROM (SELECT p.id, g.highest FROM amelia.brainstorm_sessions AS p" \
	" JOIN (SELECT r.session_id, pg_catalog.max(r.sequence) AS highest" \
	" FROM " source " AS r GROUP BY r.session_id) AS g" \
	" ON g.session_id = p.id" \
	" ORDER BY p.id FOR NO KEY UPDATE OF p) AS gone" \
	" WHERE s.id = gone.id"

typedef struct FloorQueries
{
	const char *child;
	const char *parent;
	const char *after_delete;
	const char *before_truncate;
	SPIPlanPtr	delete_plan;
	SPIPlanPtr	truncate_plan;
} FloorQueries;

static FloorQueries floor_queries[] = {
	[EVENT_SEQUENCE] = {"workflow_log", "workflows", RAISE_EVENT_FLOORS("removed"),
	RAISE_EVENT_FLOORS("amelia.workflow_log"), NULL, NULL},
	[MESSAGE_SEQUENCE] = {"brainstorm_messages", "brainstorm_sessions", RAISE_MESSAGE_FLOORS("removed"),
	RAISE_MESSAGE_FLOORS("amelia.brainstorm_messages"), NULL, NULL},
};

/*
 * keep_sequence() returns trigger
 *
 * Events' trigger fires only when one of the columns changes. That of messages
 * names none, because a column that a WHEN names keeps its type for ever, and
 * so we look here.
 */
Datum
amelia_keep_sequence(PG_FUNCTION_ARGS)
{
	TriggerData *data = GetTriggerData(fcinfo, "keep_sequence",
									   TRIGGER_EVENT_BEFORE, TRIGGER_EVENT_UPDATE, true);
	static const char *const kept[] = {"id", "session_id", "sequence"};
	Relation	table = data->tg_relation;
	bool		is_kept = RelationGetRelid(table) ==
	get_relname_relid(floor_queries[MESSAGE_SEQUENCE].child, get_namespace_oid(AMELIA_SCHEMA, true));

	for (size_t i = 0; is_kept && i < lengthof(kept); i++)
	{
		TupleDesc	tupdesc = RelationGetDescr(table);

		is_kept = SameValue(tupdesc, ColumnNumber(tupdesc, kept[i]), data->tg_trigtuple, data->tg_newtuple);
	}
	if (is_kept)
		return PointerGetDatum(data->tg_newtuple);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot change the id, the parent or the sequence of a row in \"%s\"",
					RelationGetRelationName(table)),
			 errhint("Rows are numbered once. Delete the row and insert another.")));
}

/*
 * keep_sequence_floor() returns trigger
 */
Datum
amelia_keep_sequence_floor(PG_FUNCTION_ARGS)
{
	TriggerData *data = GetTriggerData(fcinfo, "keep_sequence_floor",
									   TRIGGER_EVENT_BEFORE, TRIGGER_EVENT_UPDATE, true);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot lower sequence_floor in \"%s\"",
					RelationGetRelationName(data->tg_relation)),
			 errhint("It only grows, so that no sequence is given twice.")));
}

/*
 * raise_sequence_floor() returns trigger
 */
Datum
amelia_raise_sequence_floor(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	bool		is_truncate = CALLED_AS_TRIGGER(fcinfo) &&
	TRIGGER_FIRED_BY_TRUNCATE(data->tg_event);
	FloorQueries *queries = NULL;
	OwnerContext before;
	SPIPlanPtr	plan;
	int			result;

	data = is_truncate ?
		GetTriggerData(fcinfo, "raise_sequence_floor",
					   TRIGGER_EVENT_BEFORE, TRIGGER_EVENT_TRUNCATE, false) :
		GetTriggerData(fcinfo, "raise_sequence_floor",
					   TRIGGER_EVENT_AFTER, TRIGGER_EVENT_DELETE, false);
	for (size_t i = 0; i < lengthof(floor_queries); i++)
	{
		if (get_relname_relid(floor_queries[i].child, get_namespace_oid(AMELIA_SCHEMA, true)) ==
			RelationGetRelid(data->tg_relation))
			queries = &floor_queries[i];
	}
	if (queries == NULL || (!is_truncate && data->tg_oldtable == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was fired by a trigger of another kind than it is for",
						"raise_sequence_floor")));
	if (!is_truncate && tuplestore_tuple_count(data->tg_oldtable) == 0)
		return PointerGetDatum(NULL);

	SPI_connect();
	if (SPI_register_trigger_data(data) != SPI_OK_TD_REGISTER)
		elog(ERROR, "SPI_register_trigger_data failed");
	BecomeOwner(TableOwner(queries->parent), &before);
	plan = is_truncate ?
		KeptPlan(&queries->truncate_plan, queries->before_truncate, 0, NULL) :
		KeptPlan(&queries->delete_plan, queries->after_delete, 0, NULL);
	result = SPI_execute_plan(plan, NULL, NULL, false, 0);
	if (result != SPI_OK_UPDATE)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
	BecomeSelf(&before);
	SPI_finish();
	return PointerGetDatum(NULL);
}

/*
 * next_sequence(workflow_id uuid, count integer) returns integer
 */
Datum
amelia_next_sequence(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {UUIDOID, INT4OID};
	Datum		values[2];
	OwnerContext before;
	int32		count;
	int32		first;

	if (PG_ARGISNULL(0))
		RefuseMissing("workflow_id");
	if (PG_ARGISNULL(1))
		RefuseMissing("count");
	count = PG_GETARG_INT32(1);
	if (count < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("count must be 1 or more: %d", count)));
	PreventCommandIfReadOnly("next_sequence()");
	first = AllocateSequence(EVENT_SEQUENCE, PG_GETARG_DATUM(0), count);
	if (first == 0)
		RefuseNoWorkflow(PG_GETARG_UUID_P(0));
	if ((int64) first + count - 1 > SEQUENCE_LIMIT)
		RefuseHighSequence((int64) first + count - 1);
	/* The workflows' trigger lets floors be raised, because retention does. */
	if (MayBeFenced())
		FenceWorkflow(PG_GETARG_UUID_P(0), true);

	values[0] = PG_GETARG_DATUM(0);
	values[1] = Int32GetDatum(first + count - 1);
	SPI_connect();
	BecomeOwner(TableOwner("workflows"), &before);
	KeptPlan(&plan,
			 "UPDATE amelia.workflows AS w SET sequence_floor = $2"
			 " WHERE w.id = $1",
			 lengthof(types), types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not raise sequence_floor");
	BecomeSelf(&before);
	SPI_finish();
	PG_RETURN_INT32(first);
}
