/*-------------------------------------------------------------------------
 *
 * workflow_move.c
 *	  What a claim and the end of an attempt change in the workflow, without
 *	  the detour of an UPDATE.
 *
 *	  A statement for one row that is found and locked already spends more
 *	  time on its plan, and on reading constraints and the conditions of
 *	  triggers, than on the row. So where the door (base/door.c) is open, the
 *	  row goes through it, and our triggers' functions are called as the
 *	  executor would. Else the caller sends an UPDATE.
 *
 *-------------------------------------------------------------------------
 */
#include "queue/workflow_move.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "base/door.h"
#include "base/trigger.h"
#include "feed/feed.h"

/* What is changed, by our triggers too. */
typedef enum MovedColumn
{
	MOVED_STATUS,
	MOVED_FAILURES,
	MOVED_RETRY_AT,
	MOVED_STARTED_AT,
	MOVED_COMPLETED_AT,
	MOVED_FAILURE_REASON,
	MOVED_TRACES,
	MOVED_UPDATED_AT,
	MOVED_PARKED
} MovedColumn;

/* Our triggers on an UPDATE of workflows, in the order in which they fire. */
typedef enum OurTrigger
{
	CHECK_BUDGETS,				/* called in a move to in_progress */
	WORKFLOW_UPDATE,			/* called always */
	NOTE_STATUS,				/* done here */
	END_LEASE,					/* done by the caller, when it leaves
								 * in_progress, */
	UNPARK_NEXT					/* and when it leaves a worktree */
} OurTrigger;

static DoorUse use = {
	.table = "workflows",
	.command = CMD_UPDATE,
	.for_caller = true,
	.columns = {
		[MOVED_STATUS] = {"status", TEXTOID, false},
		[MOVED_FAILURES] = {"failures", INT4OID, false},
		[MOVED_RETRY_AT] = {"retry_at", TIMESTAMPTZOID, true},
		[MOVED_STARTED_AT] = {"started_at", TIMESTAMPTZOID, false},
		[MOVED_COMPLETED_AT] = {"completed_at", TIMESTAMPTZOID, true},
		[MOVED_FAILURE_REASON] = {"failure_reason", TEXTOID, true},
		[MOVED_TRACES] = {"traces_removed_to", INT4OID, true},
		[MOVED_UPDATED_AT] = {"updated_at", TIMESTAMPTZOID, false},
		[MOVED_PARKED] = {"parked", BOOLOID, false},
	},
	.triggers = {
		[CHECK_BUDGETS] = {"zzz_check_budgets", "check_workflow_budgets"},
		[WORKFLOW_UPDATE] = {"zzz_workflow_update", "enforce_workflow_update"},
		[NOTE_STATUS] = {"zzz_note_status", "note_status"},
		[END_LEASE] = {"zzz_end_lease", "end_lease"},
		[UNPARK_NEXT] = {"zzz_unpark_next", "unpark_next"},
	},
};

/*
 * Whether the current user may move workflows directly.
 */
bool
MayMoveDirectly(Relation workflows)
{
	return DoorIsOpen(&use, workflows);
}

/*
 * Call a trigger function of ours, and return the row that it makes.
 */
static HeapTuple
CallTrigger(Oid function, Relation workflows, HeapTuple before, HeapTuple after)
{
	LOCAL_FCINFO(fcinfo, 0);
	FmgrInfo	info;
	TriggerData data = {
		.type = T_TriggerData,
		.tg_event = TRIGGER_EVENT_UPDATE | TRIGGER_EVENT_ROW | TRIGGER_EVENT_BEFORE,
		.tg_relation = workflows,
		.tg_trigtuple = before,
		.tg_newtuple = after
	};

	fmgr_info(function, &info);
	InitFunctionCallInfoData(*fcinfo, &info, 0, InvalidOid, (Node *) &data, NULL);
	return (HeapTuple) DatumGetPointer(FunctionCallInvoke(fcinfo));
}

/* A change of the workflow that a caller asks for. */
typedef struct Change
{
	int			count;
	MovedColumn columns[3];
	Datum		values[3];
	bool		nulls[3];
} Change;

/*
 * Change some columns of the workflow in row, whose latest version is locked,
 * the first of which is its status. Returns its new row.
 */
static HeapTuple
ChangeRow(Relation workflows, TupleTableSlot *row, const char *status, Change *change)
{
	TupleDesc	tupdesc = RelationGetDescr(workflows);
	HeapTuple	before = ExecCopySlotHeapTuple(row);
	DoorWrite  *write = BeginDoorWrite(&use, workflows, 0);
	int			columns[lengthof(change->columns)];
	HeapTuple	after;
	pg_uuid_t	id;
	bool		is_new_status;

	for (int i = 0; i < change->count; i++)
		columns[i] = write->columns[change->columns[i]];
	after = heap_modify_tuple_by_cols(before, tupdesc, change->count, columns, change->values, change->nulls);
	id = *DatumGetUUIDP(ColumnValue(workflows, before, "id", UUIDOID, NULL));
	is_new_status = !SameValue(tupdesc, write->columns[MOVED_STATUS], before, after);
	if (is_new_status && strcmp(status, "in_progress") == 0)
		after = CallTrigger(write->functions[CHECK_BUDGETS], workflows, before, after);
	after = CallTrigger(write->functions[WORKFLOW_UPDATE], workflows, before, after);
	ExecForceStoreHeapTuple(after, write->slot, false);
	DoorUpdate(write, row);
	EndDoorWrite(write);
	if (is_new_status)
		NoteStatus(&id, status);
	return after;
}

/*
 * Move the workflow in row, whose latest version is locked, to in_progress,
 * with that many failures. Returns its new row. MayMoveDirectly() must have
 * said yes in this transaction.
 */
HeapTuple
MoveToProgress(Relation workflows, TupleTableSlot *row, int32 failures)
{
	Change		change = {
		.count = 3,
		.columns = {MOVED_STATUS, MOVED_FAILURES, MOVED_RETRY_AT},
		.values = {CStringGetTextDatum("in_progress"), Int32GetDatum(failures), (Datum) 0},
		.nulls = {false, false, true}
	};

	return ChangeRow(workflows, row, "in_progress", &change);
}

/*
 * The same from in_progress to completed. Its lease, and what waits for its
 * worktree, are left to the caller.
 */
HeapTuple
MoveToCompleted(Relation workflows, TupleTableSlot *row)
{
	Change		change = {
		.count = 1,
		.columns = {MOVED_STATUS},
		.values = {CStringGetTextDatum("completed")}
	};

	return ChangeRow(workflows, row, "completed", &change);
}
