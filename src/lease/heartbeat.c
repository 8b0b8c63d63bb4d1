/*-------------------------------------------------------------------------
 *
 * heartbeat.c
 *	  heartbeat(): a worker says that it is there, and hears what it should
 *	  know.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/check.h"
#include "base/execute.h"
#include "base/row.h"
#include "base/sequence.h"
#include "usage/spent_budgets.h"
#include "lease/lease.h"
#include "lease/lease_time.h"

PG_FUNCTION_INFO_V1(amelia_heartbeat);

/*
 * heartbeat(workflow_id uuid, lease_token bigint, lease interval)
 * returns expires_at timestamptz, cancel_requested boolean,
 * budget_spent boolean, budget_message text
 *
 * Waits for no append, and for a claim only if that takes this very workflow
 * over.
 */
Datum
amelia_heartbeat(PG_FUNCTION_ARGS)
{
	TimestampTz now;
	pg_uuid_t  *workflow;
	int64		token;
	Leases		leases;
	Lease		lease;
	bool		found;
	Relation	table;
	Relation	index;
	TupleTableSlot *slot;
	ScanKeyData key;
	TupleDesc	tupdesc;
	Datum		values[4];
	bool		nulls[4] = {false, false, false, false};
	bool		no_profile;
	Datum		profile;
	char	   *spent;

	GetLeaseArguments(fcinfo, &workflow, &token);
	if (PG_ARGISNULL(2))
		RefuseMissing("lease");
	PreventCommandIfReadOnly("heartbeat()");
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "heartbeat() must return a row");

	table = OpenTable("workflows", AccessShareLock);
	index = OpenIndex(table, "workflows_pkey", AccessShareLock);
	slot = table_slot_create(table, NULL);
	InitKey(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(workflow));
	if (!FindLatestRow(table, index, &key, 1, slot) || !IsVisibleWorkflow(table, workflow))
		RefuseNoWorkflow(workflow);

	OpenLeases(&leases);
	found = LockLease(&leases, workflow, true, &lease);
	/* It may have run out while a claim had it locked, and freed its slots. */
	now = GetCurrentTimestamp();
	if (!found || !InForce(&lease, token, now))
		RefuseLostLease(workflow, token, found, &lease);
	NoteSeen(&leases, &lease, now, LeaseEnd(now, PG_GETARG_INTERVAL_P(2)));
	CloseLeases(&leases);

	values[0] = TimestampTzGetDatum(lease.expires_at);
	values[1] = RowColumn(table, slot, "cancel_requested", BOOLOID, &nulls[1]);
	profile = RowColumn(table, slot, "profile_id", TEXTOID, &no_profile);
	spent = SpentBudgetOf(workflow, profile, !no_profile);
	values[2] = BoolGetDatum(spent != NULL);
	nulls[3] = spent == NULL;
	values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(spent);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	table_close(table, NoLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}
