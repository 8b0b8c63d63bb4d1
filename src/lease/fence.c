/*-------------------------------------------------------------------------
 *
 * fence.c
 *	  Fencing: what a worker with a lost lease writes is refused.
 *
 *	  A transaction that said which lease it works under (said_lease.c) has its
 *	  writes to that workflow checked, by the tables' triggers, whatever
 *	  statement makes them. Before anything is checked the workflow's row is
 *	  locked, which a claim needs too: so the answer holds to the commit. A
 *	  transaction that said nothing is not restricted, unless the operator
 *	  sets amelia.require_lease.
 *
 *	  A claim passes over what is locked. A worker that stalls in the middle
 *	  of a transaction would thus keep its workflow for ever; so set_worker()
 *	  limits how long the transaction may idle to what is left of the lease.
 *
 *-------------------------------------------------------------------------
 */
#include "lease/fence.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/check.h"
#include "base/execute.h"
#include "base/sequence.h"
#include "base/trigger.h"
#include "base/uuid.h"
#include "lease/lease.h"
#include "lease/said_lease.h"

PG_FUNCTION_INFO_V1(amelia_set_worker);
PG_FUNCTION_INFO_V1(amelia_fence_workflow);

/*
 * Refuse a write to a workflow that is not under its lease. locked: its row
 * is locked by this transaction.
 */
void
FenceWorkflow(const pg_uuid_t *workflow, bool locked)
{
	int64		token;

	switch (SaidLeaseOf(workflow, &token))
	{
		case LEASE_SAID:
			if (locked || LockSequence(EVENT_SEQUENCE, UUIDPGetDatum(workflow)))
				CheckLease(workflow, token);
			break;
		case LEASE_NOT_NEEDED:
			break;
		case LEASE_NOT_SAID:
			/* One that is being deleted takes its rows along. */
			if (amelia_require_lease && HasLease(workflow) &&
				(locked || LockSequence(EVENT_SEQUENCE, UUIDPGetDatum(workflow))))
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("workflow %s is held by a worker", UuidText(workflow)),
						 errdetail("amelia.require_lease is set, and this transaction said no lease."),
						 errhint("Call set_worker(), or give the lease_token.")));
			break;
	}
}

/*
 * set_worker(workflow_id uuid, lease_token bigint) returns void
 *
 * Has no search_path of its own: that would undo the limit on idle time when
 * it returns.
 */
Datum
amelia_set_worker(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *workflow;
	int64		token;
	int			left;

	if (PG_ARGISNULL(0))
		RefuseMissing("workflow_id");
	if (PG_ARGISNULL(1))
		RefuseMissing("lease_token");
	workflow = PG_GETARG_UUID_P(0);
	token = PG_GETARG_INT64(1);
	PreventCommandIfReadOnly("set_worker()");
	if (!LockSequence(EVENT_SEQUENCE, PG_GETARG_DATUM(0)))
		RefuseNoWorkflow(workflow);
	UseLease(workflow, token);

	left = (int) Max(1, Min(PG_INT32_MAX, TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
																		  LeaseExpiry(workflow))));
	if (IdleInTransactionSessionTimeout == 0 || left < IdleInTransactionSessionTimeout)
		(void) set_config_option("idle_in_transaction_session_timeout", psprintf("%d", left),
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	PG_RETURN_VOID();
}

/*
 * Refuse a row, as it was or as it is to be, whose column names a workflow that
 * is not written to under its lease. Who takes a row away from a workflow has
 * written to that one too.
 */
HeapTuple
FenceRow(FunctionCallInfo fcinfo, const char *function, const char *name, Oid type,
		 void (*fence) (Datum value))
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	TupleDesc	tupdesc;
	HeapTuple	row;
	AttrNumber	column;
	Datum		value;
	bool		is_null;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_ROW(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by a row trigger", function)));
	row = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
	if (!MayBeFenced())
		return row;
	tupdesc = RelationGetDescr(data->tg_relation);
	column = ColumnOfType(tupdesc, name, type);
	value = heap_getattr(row, column, tupdesc, &is_null);
	if (!is_null)
		fence(value);
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event) &&
		!SameValue(tupdesc, column, data->tg_trigtuple, row))
	{
		value = heap_getattr(data->tg_trigtuple, column, tupdesc, &is_null);
		if (!is_null)
			fence(value);
	}
	return row;
}

static void
FenceWorkflowId(Datum workflow)
{
	FenceWorkflow(DatumGetUUIDP(workflow), false);
}

/*
 * fence_workflow() returns trigger
 *
 * For tables with a column workflow_id.
 */
Datum
amelia_fence_workflow(PG_FUNCTION_ARGS)
{
	return PointerGetDatum(FenceRow(fcinfo, "fence_workflow", "workflow_id", UUIDOID, FenceWorkflowId));
}
