/*-------------------------------------------------------------------------
 *
 * complete_workflow.c
 *	  The end of an attempt that has completed its workflow.
 *
 *	  It is what a queue does most, besides claims, and set_workflow_status()
 *	  takes several times as long as a claim: three queries and an UPDATE,
 *	  with the start and end of their plans. So where the workflow can be
 *	  changed without a statement (workflow_move.c), its row is locked, its lease
 *	  looked up once, and what triggers would do is done here, in their order.
 *	  Where it cannot, or is not in progress, or the caller's snapshot has a
 *	  say in what may be changed, set_workflow_status() does all of it, and
 *	  raises what there is to be raised.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/execute.h"
#include "base/row.h"
#include "base/sequence.h"
#include "lease/lease.h"
#include "log/event.h"
#include "queue/parking.h"
#include "queue/workflow_move.h"

PG_FUNCTION_INFO_V1(amelia_complete_workflow);

static const char *const complete_query =
"SELECT amelia_internal.move_workflow($1, 'completed', NULL, $2)";

/*
 * Have set_workflow_status() complete it, and return the row.
 */
static Datum
CompleteByStatement(const pg_uuid_t *workflow, int64 token)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {UUIDOID, INT8OID};
	Datum		values[] = {UUIDPGetDatum(workflow), Int64GetDatum(token)};
	int			nest_level = EnterSafePath();
	int			result;
	bool		is_null;
	Datum		row;

	SPI_connect();
	result = SPI_execute_plan(KeptPlan(&plan, complete_query, lengthof(types), types),
							  values, NULL, false, 0);
	if (result != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
	row = SPI_datumTransfer(RowValue(0, 1, RECORDOID, &is_null), false, -1);
	SPI_finish();
	LeaveSafePath(nest_level);
	return row;
}

/*
 * Lock the workflow's latest version and read it. Returns whether it is in
 * progress.
 */
static bool
LockInProgress(Relation workflows, const pg_uuid_t *workflow, TupleTableSlot *slot)
{
	Relation	index = OpenIndex(workflows, "workflows_pkey", AccessShareLock);
	ScanKeyData key;
	bool		found;

	InitKey(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(workflow));
	found = FindLatestRow(workflows, index, &key, 1, slot) &&
		LockRow(workflows, slot, GetActiveSnapshot(), true) == TM_Ok &&
		memcmp(DatumGetUUIDP(RowColumn(workflows, slot, "id", UUIDOID, NULL)), workflow, sizeof(pg_uuid_t)) == 0 &&
		strcmp(TextDatumGetCString(RowColumn(workflows, slot, "status", TEXTOID, NULL)), "in_progress") == 0;
	index_close(index, NoLock);
	return found;
}

/*
 * complete_workflow(workflow_id uuid, lease_token bigint) returns record,
 * which is a row of workflows
 */
Datum
amelia_complete_workflow(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *workflow;
	int64		token;
	Relation	workflows;
	TupleTableSlot *slot;
	bool		is_direct;
	Datum		completed;

	GetLeaseArguments(fcinfo, &workflow, &token);
	if (XactReadOnly || IsolationUsesXactSnapshot())
		return CompleteByStatement(workflow, token);

	workflows = OpenTable("workflows", RowExclusiveLock);
	slot = table_slot_create(workflows, NULL);
	is_direct = MayMoveDirectly(workflows) && LockInProgress(workflows, workflow, slot);
	if (is_direct)
	{
		bool		is_null;
		Datum		worktree;
		HeapTuple	row;

		FinishLease(workflow, token);
		row = MoveToCompleted(workflows, slot);
		worktree = heap_getattr(row, OurColumn(workflows, "worktree_path", TEXTOID),
								RelationGetDescr(workflows), &is_null);
		if (!is_null)
			UnparkNext(workflows, worktree);
		TellEvent(workflow, "workflow_completed", "workflow moved from in_progress to completed",
				  "{\"from\": \"in_progress\", \"to\": \"completed\"}");
		completed = heap_copy_tuple_as_datum(row, RelationGetDescr(workflows));
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(workflows, NoLock);
	return is_direct ? completed : CompleteByStatement(workflow, token);
}
