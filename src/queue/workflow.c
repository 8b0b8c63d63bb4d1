/*-------------------------------------------------------------------------
 *
 * workflow.c
 *	  The state machine of workflows, for every writer.
 *
 *	  A BEFORE UPDATE row trigger sees each change, whoever makes it, and
 *	  turns down what is not a transition. It fills in the timestamps that
 *	  go with one, and leaves alone what the statement itself changed. An
 *	  INSERT is no transition: it may bring any status.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/check.h"
#include "base/history_mode.h"
#include "base/sequence.h"
#include "base/trigger.h"
#include "base/uuid.h"
#include "lease/fence.h"
#include "lease/said_lease.h"

PG_FUNCTION_INFO_V1(amelia_check_transition);
PG_FUNCTION_INFO_V1(amelia_enforce_workflow_update);

/* Where a workflow may go from a status; the list ends with NULL. */
typedef struct Transitions
{
	const char *from;
	const char *to[5];
} Transitions;

static const Transitions transitions[] = {
	{"pending", {"in_progress", "blocked", "failed", "cancelled", NULL}},
	{"in_progress", {"blocked", "completed", "failed", "cancelled", NULL}},
	{"blocked", {"pending", "in_progress", "failed", "cancelled", NULL}},
	{"failed", {"in_progress", NULL}},
	{"completed", {NULL}},
	{"cancelled", {NULL}},
};

/* The changes that the trigger makes to the new row. */
typedef struct RowChanges
{
	int			count;
	int			columns[8];
	Datum		values[8];
	bool		nulls[8];
} RowChanges;

/*
 * Raise 55000 unless a workflow may go from the one status to the other.
 */
static void
CheckTransition(const pg_uuid_t *workflow, const char *from, const char *to)
{
	const char *const *allowed = NULL;
	StringInfoData targets;

	for (size_t i = 0; i < lengthof(transitions); i++)
	{
		if (strcmp(transitions[i].from, from) == 0)
			allowed = transitions[i].to;
	}
	if (allowed == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("workflow %s has unknown status \"%s\"", UuidText(workflow), from)));

	initStringInfo(&targets);
	for (; *allowed != NULL; allowed++)
	{
		if (strcmp(*allowed, to) == 0)
			return;
		appendStringInfo(&targets, "%s%s", targets.len > 0 ? ", " : "", *allowed);
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot move workflow %s from \"%s\" to \"%s\"",
					UuidText(workflow), from, to),
			 targets.len > 0 ?
			 errhint("Allowed from \"%s\": %s.", from, targets.data) :
			 errhint("Allowed from \"%s\": nothing, it is final.", from)));
}

/*
 * check_transition(workflow_id uuid, old_status text, new_status text)
 * returns void
 */
Datum
amelia_check_transition(PG_FUNCTION_ARGS)
{
	static const char *const arguments[] = {"workflow_id", "old_status", "new_status"};

	for (size_t i = 0; i < lengthof(arguments); i++)
	{
		if (PG_ARGISNULL(i))
			RefuseMissing(arguments[i]);
	}
	CheckTransition(PG_GETARG_UUID_P(0),
					text_to_cstring(PG_GETARG_TEXT_PP(1)),
					text_to_cstring(PG_GETARG_TEXT_PP(2)));
	PG_RETURN_VOID();
}

/*
 * Set a column of the new row, unless the statement changed it.
 */
static void
SetUnlessChanged(RowChanges *changes, TriggerData *data, const char *name, Oid type,
				 Datum value, bool is_null)
{
	TupleDesc	tupdesc = RelationGetDescr(data->tg_relation);
	AttrNumber	column = ColumnOfType(tupdesc, name, type);

	if (!SameValue(tupdesc, column, data->tg_trigtuple, data->tg_newtuple))
		return;
	changes->columns[changes->count] = column;
	changes->values[changes->count] = value;
	changes->nulls[changes->count] = is_null;
	changes->count++;
}

/* Whether a workflow with that status has ended. */
static bool
IsFinal(const char *status)
{
	return strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0 ||
		strcmp(status, "cancelled") == 0;
}

/*
 * Turn down a change of the status that is no transition, and note the
 * timestamps that go with one that is.
 */
static void
ApplyTransition(RowChanges *changes, TriggerData *data, const pg_uuid_t *workflow, Datum now)
{
	TupleDesc	tupdesc = RelationGetDescr(data->tg_relation);
	AttrNumber	column = ColumnOfType(tupdesc, "status", TEXTOID);
	bool		old_null;
	bool		new_null;
	Datum		old_value = heap_getattr(data->tg_trigtuple, column, tupdesc, &old_null);
	Datum		new_value = heap_getattr(data->tg_newtuple, column, tupdesc, &new_null);
	char	   *status;

	/* The table's constraints refuse a NULL and an unknown status. */
	if (old_null || new_null ||
		SameValue(tupdesc, column, data->tg_trigtuple, data->tg_newtuple))
		return;
	status = TextDatumGetCString(new_value);
	if (!IsChoice("status", status))
		return;
	CheckTransition(workflow, TextDatumGetCString(old_value), status);

	if (strcmp(status, "in_progress") == 0)
	{
		bool		never_started;

		heap_getattr(data->tg_trigtuple, ColumnOfType(tupdesc, "started_at", TIMESTAMPTZOID),
					 tupdesc, &never_started);
		if (never_started)
			SetUnlessChanged(changes, data, "started_at", TIMESTAMPTZOID, now, false);
		SetUnlessChanged(changes, data, "completed_at", TIMESTAMPTZOID, (Datum) 0, true);
		SetUnlessChanged(changes, data, "failure_reason", TEXTOID, (Datum) 0, true);

		/*
		 * This is the attempt that was due; if it fails, whoever says so says
		 * when the next is.
		 */
		SetUnlessChanged(changes, data, "retry_at", TIMESTAMPTZOID, (Datum) 0, true);
		/* The attempt writes trace events that retention is to look for. */
		SetUnlessChanged(changes, data, "traces_removed_to", INT4OID, (Datum) 0, true);
	}
	else if (IsFinal(status))
		SetUnlessChanged(changes, data, "completed_at", TIMESTAMPTZOID, now, false);
}

/* So many events are removed from no workflow. */
#define REMOVED_LIMIT INT64CONST(1000000000000000)

/*
 * Turn down a counter that goes back: numbers would be given twice; and one
 * that somebody else than the table's owner, as whom the library keeps it,
 * puts so far ahead that nothing is left behind it.
 */
static void
CheckCounter(TriggerData *data, const char *name, Oid type, int64 limit, const pg_uuid_t *workflow)
{
	TupleDesc	tupdesc = RelationGetDescr(data->tg_relation);
	AttrNumber	column = ColumnOfType(tupdesc, name, type);
	bool		is_wide = type == INT8OID;
	bool		old_null;
	bool		new_null;
	Datum		old_value = heap_getattr(data->tg_trigtuple, column, tupdesc, &old_null);
	Datum		new_value = heap_getattr(data->tg_newtuple, column, tupdesc, &new_null);
	int64		before;
	int64		after;

	/* The table's constraints refuse a NULL. */
	if (old_null || new_null)
		return;
	before = is_wide ? DatumGetInt64(old_value) : DatumGetInt32(old_value);
	after = is_wide ? DatumGetInt64(new_value) : DatumGetInt32(new_value);
	if (after < before)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot lower %s of workflow %s from " INT64_FORMAT " to " INT64_FORMAT,
						name, UuidText(workflow), before, after),
				 errhint("It only grows, so that no sequence is given twice.")));
	if (after > limit && after > before &&
		!has_privs_of_role(GetUserId(), data->tg_relation->rd_rel->relowner))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s of workflow %s must not be above " INT64_FORMAT ": " INT64_FORMAT,
						name, UuidText(workflow), limit, after)));
}

/* How far from now somebody who may not delete a workflow can put its end. */
#define END_NEAR_US USECS_PER_DAY

/*
 * Turn down a time, which retention counts from, that is far from now. Who sets
 * it decides when the workflow is deleted, so that is for those who may
 * delete it.
 */
static void
CheckEnd(TriggerData *data, const char *name, const pg_uuid_t *workflow)
{
	TupleDesc	tupdesc = RelationGetDescr(data->tg_relation);
	AttrNumber	column = ColumnOfType(tupdesc, name, TIMESTAMPTZOID);
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz end;
	bool		is_null;

	if (SameValue(tupdesc, column, data->tg_trigtuple, data->tg_newtuple))
		return;
	end = DatumGetTimestampTz(heap_getattr(data->tg_newtuple, column, tupdesc, &is_null));
	if (is_null || (end >= now - END_NEAR_US && end <= now + END_NEAR_US) ||
		pg_class_aclcheck(RelationGetRelid(data->tg_relation), GetUserId(), ACL_DELETE) == ACLCHECK_OK)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s of workflow %s is more than a day from now: %s",
					name, UuidText(workflow), timestamptz_to_str(end)),
			 errhint("Retention counts from it: only who may delete workflows sets another time.")));
}

/*
 * The same for the time that the age of a finished workflow counts from.
 */
static void
CheckAge(TriggerData *data, const pg_uuid_t *workflow)
{
	TupleDesc	tupdesc = RelationGetDescr(data->tg_relation);
	bool		is_null;
	Datum		status;

	CheckEnd(data, "completed_at", workflow);
	heap_getattr(data->tg_newtuple, ColumnOfType(tupdesc, "completed_at", TIMESTAMPTZOID), tupdesc, &is_null);
	if (!is_null)
		return;
	/* Without it, the last update of one that has ended counts. */
	status = heap_getattr(data->tg_newtuple, ColumnOfType(tupdesc, "status", TEXTOID), tupdesc, &is_null);
	if (!is_null && IsFinal(TextDatumGetCString(status)))
		CheckEnd(data, "updated_at", workflow);
}

/*
 * A parked workflow shows itself to claims again when its place in the queue
 * changes, or it leaves the queue.
 */
static void
Unpark(RowChanges *changes, TriggerData *data)
{
	static const char *const places[] = {
		"status", "priority", "available_at", "worktree_path", "retry_at"
	};
	TupleDesc	tupdesc = RelationGetDescr(data->tg_relation);
	bool		is_null;

	if (!DatumGetBool(ColumnValue(data->tg_relation, data->tg_newtuple, "parked", BOOLOID, &is_null)) || is_null)
		return;
	for (size_t i = 0; i < lengthof(places); i++)
	{
		if (SameValue(tupdesc, ColumnNumber(tupdesc, places[i]), data->tg_trigtuple, data->tg_newtuple))
			continue;
		SetUnlessChanged(changes, data, "parked", BOOLOID, BoolGetDatum(false), false);
		return;
	}
}

/*
 * Refuse what is not written under the workflow's lease. Its place in the
 * queue is not the worker's: anybody may ask for its end.
 */
static void
Fence(TriggerData *data, const pg_uuid_t *workflow)
{
	static const char *const queue_columns[] = {
		"sequence_floor", "events_removed", "parked", "priority", "available_at",
		"max_failures", "cancel_requested", NULL
	};

	if (MayBeFenced() && !OnlyChanged(data, queue_columns))
		FenceWorkflow(workflow, true);
}

/*
 * enforce_workflow_update() returns trigger
 */
Datum
amelia_enforce_workflow_update(PG_FUNCTION_ARGS)
{
	TriggerData *data = GetTriggerData(fcinfo, "enforce_workflow_update",
									   TRIGGER_EVENT_BEFORE, TRIGGER_EVENT_UPDATE, true);
	TupleDesc	tupdesc = RelationGetDescr(data->tg_relation);
	Datum		now = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	RowChanges	changes = {0};
	pg_uuid_t  *workflow = DatumGetUUIDP(ColumnValue(data->tg_relation, data->tg_trigtuple, "id", UUIDOID, NULL));

	Fence(data, workflow);
	CheckCounter(data, "sequence_floor", INT4OID, SEQUENCE_LIMIT, workflow);
	CheckCounter(data, "events_removed", INT8OID, REMOVED_LIMIT, workflow);
	if (!IsHistory(data))
	{
		CheckAge(data, workflow);
		ApplyTransition(&changes, data, workflow, now);
	}
	Unpark(&changes, data);
	if (!IsHistory(data) && !OnlyCountersChanged(data))
		SetUnlessChanged(&changes, data, "updated_at", TIMESTAMPTZOID, now, false);

	if (changes.count == 0)
		return PointerGetDatum(data->tg_newtuple);
	return PointerGetDatum(heap_modify_tuple_by_cols(data->tg_newtuple, tupdesc, changes.count,
													 changes.columns, changes.values,
													 changes.nulls));
}
