/*-------------------------------------------------------------------------
 *
 * lease.c
 *	  Leases: a worker's right to a workflow until a time.
 *
 *	  A lease is in force when its row says so: the token is the current one
 *	  and expires_at is to come. One that has run out is lost at once,
 *	  whether or not anybody has taken the workflow over yet, so that the
 *	  slot that it held can be given away. The time is the server's clock,
 *	  not the transaction's begin.
 *
 *	  Lock order: the workflow's row, its lease, its slots. A claim locks the
 *	  workflow's row, as every writer who says a token does, so that what a
 *	  writer found to be true holds until he commits. A heartbeat locks the
 *	  lease only, and waits for no append, not even the first, which is
 *	  noted in the lease when it is committed.
 *
 *-------------------------------------------------------------------------
 */
#include "lease/lease.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/check.h"
#include "base/door.h"
#include "base/execute.h"
#include "base/row.h"
#include "base/sequence.h"
#include "base/trigger.h"
#include "base/uuid.h"
#include "lease/said_lease.h"

PG_FUNCTION_INFO_V1(amelia_check_lease);
PG_FUNCTION_INFO_V1(amelia_give_back);
PG_FUNCTION_INFO_V1(amelia_end_lease);

#define LEASE_COLUMNS \
	{ \
		{"workflow_id", UUIDOID, false}, \
		{"worker", TEXTOID, false}, \
		{"lease_token", INT8OID, false}, \
		{"claimed_at", TIMESTAMPTZOID, false}, \
		{"expires_at", TIMESTAMPTZOID, true}, \
		{"seen_at", TIMESTAMPTZOID, false}, \
		{"starts_until", TIMESTAMPTZOID, true}, \
		{"given_back", BOOLOID, false}, \
		{"slot", INT4OID, true}, \
		{"profile_id", TEXTOID, true}, \
		{"profile_slot", INT4OID, true}, \
	}

/* Whose lease it is, is locked. */
static DoorUse insert_use = {
	.table = "workflow_leases",
	.command = CMD_INSERT,
	.held_keys = {{"workflow_id", "workflows"}},
	.columns = LEASE_COLUMNS,
};

static DoorUse change_use = {
	.table = "workflow_leases",
	.command = CMD_UPDATE,
	.held_keys = {{"workflow_id", "workflows"}},
	.key = "workflow_id",
	.columns = LEASE_COLUMNS,
};

/*
 * Keys of the index on expires_at, for the leases that have run out or were
 * given back; those that have ended have none.
 */
void
InitExpiredKeys(ScanKey keys, TimestampTz now)
{
	InitKey(&keys[0], 1, BTGreaterStrategyNumber, F_TIMESTAMPTZ_GT, TimestampTzGetDatum(DT_NOBEGIN));
	InitKey(&keys[1], 1, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE, TimestampTzGetDatum(now));
}

void
OpenLeases(Leases *leases)
{
	leases->table = OpenTable("workflow_leases", RowExclusiveLock);
	leases->index = OpenIndex(leases->table, "workflow_leases_pkey", RowExclusiveLock);
	leases->slot = table_slot_create(leases->table, NULL);
}

void
CloseLeases(Leases *leases)
{
	ExecDropSingleTupleTableSlot(leases->slot);
	index_close(leases->index, NoLock);
	table_close(leases->table, NoLock);
}

/*
 * The lease in the slot. As long as this transaction writes the first thing
 * under it, it lasts as long as the worker asked for.
 */
static void
ReadLease(Leases *leases, const pg_uuid_t *workflow, Lease *lease)
{
	bool		is_null;
	Datum		value;

	lease->token = DatumGetInt64(RowColumn(leases->table, leases->slot, "lease_token", INT8OID, NULL));
	value = RowColumn(leases->table, leases->slot, "expires_at", TIMESTAMPTZOID, &is_null);
	lease->expires_at = is_null ? DT_NOBEGIN : DatumGetTimestampTz(value);
	value = RowColumn(leases->table, leases->slot, "starts_until", TIMESTAMPTZOID, &is_null);
	lease->starts_until = is_null ? DT_NOBEGIN : DatumGetTimestampTz(value);
	lease->given_back = DatumGetBool(RowColumn(leases->table, leases->slot, "given_back", BOOLOID, NULL));
	value = RowColumn(leases->table, leases->slot, "slot", INT4OID, &is_null);
	lease->slot = is_null ? 0 : DatumGetInt32(value);
	value = RowColumn(leases->table, leases->slot, "profile_slot", INT4OID, &is_null);
	lease->profile_slot = is_null ? 0 : DatumGetInt32(value);
	value = RowColumn(leases->table, leases->slot, "profile_id", TEXTOID, &is_null);
	lease->profile = is_null ? NULL : TextDatumGetCString(value);
	value = RowColumn(leases->table, leases->slot, "worker", TEXTOID, NULL);
	lease->worker = TextDatumGetCString(value);
	if (!TIMESTAMP_IS_NOBEGIN(lease->starts_until) && HasBegun(workflow, lease->token))
		lease->expires_at = Max(lease->expires_at, lease->starts_until);
}

/*
 * Read a workflow's lease, whatever has become of it; false when it never had
 * one.
 */
bool
FindLease(Leases *leases, const pg_uuid_t *workflow, Lease *lease)
{
	ScanKeyData key;

	InitKey(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(workflow));
	if (!FindLatestRow(leases->table, leases->index, &key, 1, leases->slot))
		return false;
	ReadLease(leases, workflow, lease);
	return true;
}

/*
 * The same, and lock it; not waiting, false also when somebody else has.
 */
bool
LockLease(Leases *leases, const pg_uuid_t *workflow, bool wait, Lease *lease)
{
	if (!FindLease(leases, workflow, lease) ||
		LockRow(leases->table, leases->slot, GetActiveSnapshot(), wait) != TM_Ok)
		return false;
	ReadLease(leases, workflow, lease);
	return true;
}

/*
 * Raise 55000 because a token gives no right any more.
 */
void
RefuseLostLease(const pg_uuid_t *workflow, int64 token, bool found, const Lease *lease)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("lease " INT64_FORMAT " of workflow %s is lost", token, UuidText(workflow)),
			 !found ? errdetail("The workflow was never claimed.") :
			 lease->token != token ?
			 errdetail("The current one is " INT64_FORMAT ", of worker \"%s\".",
					   lease->token, lease->worker) :
			 lease->given_back ? errdetail("The worker has given it back.") :
			 TIMESTAMP_IS_NOBEGIN(lease->expires_at) ?
			 errdetail("The attempt that it was for has ended.") :
			 errdetail("It ran out at %s.", timestamptz_to_str(lease->expires_at)),
			 errhint("Stop working on it; claim_workflow() gives a new lease.")));
}

/* Whether a lease is in force under a token. */
bool
InForce(const Lease *lease, int64 token, TimestampTz now)
{
	return lease->token == token && lease->expires_at > now;
}

/*
 * Note that the worker was seen: from now on the lease lasts as long as it
 * asked for.
 */
void
NoteSeen(Leases *leases, Lease *lease, TimestampTz now, TimestampTz expires_at)
{
	RowEdit		edit = {0};

	EditColumn(&edit, "expires_at", TIMESTAMPTZOID, TimestampTzGetDatum(expires_at), false);
	EditColumn(&edit, "seen_at", TIMESTAMPTZOID, TimestampTzGetDatum(now), false);
	EditColumn(&edit, "starts_until", TIMESTAMPTZOID, (Datum) 0, true);
	UpdateRow(&change_use, leases->table, leases->slot, &edit);
	lease->expires_at = expires_at;
	lease->starts_until = DT_NOBEGIN;
}

/*
 * Note that the worker has written the first thing under its lease, unless a
 * heartbeat did. Whoever has the lease locked is a heartbeat that notes the
 * same, and is not waited for.
 */
static void
NoteBegun(const pg_uuid_t *workflow, int64 token)
{
	Leases		leases;
	Lease		lease;

	PushActiveSnapshot(GetTransactionSnapshot());
	OpenLeases(&leases);
	RequireOpenDoor(&change_use, leases.table);
	if (LockLease(&leases, workflow, false, &lease) && lease.token == token &&
		!TIMESTAMP_IS_NOBEGIN(lease.starts_until))
		NoteSeen(&leases, &lease, GetCurrentTimestamp(), lease.expires_at);
	CloseLeases(&leases);
	PopActiveSnapshot();
}

/*
 * What is noted with the first write waits for the commit: before, heartbeats
 * would have to wait for the transaction. Until then nobody takes the workflow
 * over, or its slots, because its row is held.
 */
static void
NoteAtEnd(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		ForEachBegun(NoteBegun);
}

/*
 * Called once, when the library is loaded.
 */
void
InitLease(void)
{
	InitSaidLease();
	RegisterXactCallback(NoteAtEnd, NULL);
}

/*
 * This transaction writes the first thing under a lease: that is noted at its
 * end, for which all is locked now that it will need; or at once, if only a
 * statement can do it.
 */
static void
BeginUnder(Leases *leases, const pg_uuid_t *workflow, int64 token)
{
	Lease		lease;

	if (HasBegun(workflow, token))
		return;
	if (DoorIsOpen(&change_use, leases->table))
	{
		HoldDoor(leases->table);
		SayBegun(workflow, token);
	}
	else if (LockLease(leases, workflow, true, &lease) && lease.token == token)
		NoteSeen(leases, &lease, GetCurrentTimestamp(), Max(lease.expires_at, lease.starts_until));
}

/*
 * Raise 55000 unless the token is the workflow's current one and its lease is
 * in force. The workflow's row must be locked: then this stays true to the
 * end of the transaction.
 */
void
CheckLease(const pg_uuid_t *workflow, int64 token)
{
	TimestampTz now = GetCurrentTimestamp();
	Leases		leases;
	Lease		lease;
	bool		found;

	OpenLeases(&leases);
	found = FindLease(&leases, workflow, &lease);
	if (!found || !InForce(&lease, token, now))
		RefuseLostLease(workflow, token, found, &lease);
	if (!TIMESTAMP_IS_NOBEGIN(lease.starts_until))
		BeginUnder(&leases, workflow, token);
	CloseLeases(&leases);
}

/*
 * Check a lease, and say that this transaction works under it.
 */
void
UseLease(const pg_uuid_t *workflow, int64 token)
{
	CheckLease(workflow, token);
	SayLease(workflow, token);
}

/*
 * Whether a worker holds the workflow, or held it and it may be taken over.
 */
bool
HasLease(const pg_uuid_t *workflow)
{
	Leases		leases;
	Lease		lease;
	bool		found;

	OpenLeases(&leases);
	found = FindLease(&leases, workflow, &lease) && !TIMESTAMP_IS_NOBEGIN(lease.expires_at);
	CloseLeases(&leases);
	return found;
}

/*
 * When the workflow's lease runs out.
 */
TimestampTz
LeaseExpiry(const pg_uuid_t *workflow)
{
	Leases		leases;
	Lease		lease;
	TimestampTz expires_at = DT_NOBEGIN;

	OpenLeases(&leases);
	if (FindLease(&leases, workflow, &lease))
		expires_at = lease.expires_at;
	CloseLeases(&leases);
	return expires_at;
}

/*
 * Give a new lease. before is the one that the workflow had, locked and in
 * the slot, NULL when it never had one; its token grows. Nobody can delete
 * the workflow meanwhile, whose row is locked, so no foreign key is checked.
 */
void
GiveLease(Leases *leases, const pg_uuid_t *workflow, const Lease *before, Lease *lease,
		  TimestampTz now)
{
	bool		is_confirmed = TIMESTAMP_IS_NOBEGIN(lease->starts_until);
	RowEdit		row = {0};

	if (before != NULL && before->token == PG_INT64_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("no lease_token is left for workflow %s after " INT64_FORMAT,
						UuidText(workflow), before->token)));
	lease->token = before != NULL ? before->token + 1 : 1;
	EditColumn(&row, "workflow_id", UUIDOID, UUIDPGetDatum(workflow), false);
	EditColumn(&row, "worker", TEXTOID, CStringGetTextDatum(lease->worker), false);
	EditColumn(&row, "lease_token", INT8OID, Int64GetDatum(lease->token), false);
	EditColumn(&row, "claimed_at", TIMESTAMPTZOID, TimestampTzGetDatum(now), false);
	EditColumn(&row, "expires_at", TIMESTAMPTZOID, TimestampTzGetDatum(lease->expires_at), false);
	EditColumn(&row, "seen_at", TIMESTAMPTZOID, TimestampTzGetDatum(now), false);
	EditColumn(&row, "starts_until", TIMESTAMPTZOID, TimestampTzGetDatum(lease->starts_until), is_confirmed);
	EditColumn(&row, "given_back", BOOLOID, BoolGetDatum(false), false);
	EditColumn(&row, "slot", INT4OID, Int32GetDatum(lease->slot), lease->slot == 0);
	EditColumn(&row, "profile_id", TEXTOID,
			   lease->profile_slot == 0 ? (Datum) 0 : CStringGetTextDatum(lease->profile),
			   lease->profile_slot == 0);
	EditColumn(&row, "profile_slot", INT4OID, Int32GetDatum(lease->profile_slot),
			   lease->profile_slot == 0);
	if (before != NULL)
		UpdateRow(&change_use, leases->table, leases->slot, &row);
	else
		InsertRow(&insert_use, leases->table, &row);
}

/*
 * Change a locked lease's end, DT_NOBEGIN: it has ended with its attempt, and
 * free the slots that it holds. seen_at:
 * when its worker was seen first; DT_NOBEGIN: that stays.
 */
static void
StopLease(Leases *leases, TimestampTz expires_at, bool given_back, TimestampTz seen_at)
{
	RowEdit		edit = {0};

	if (!TIMESTAMP_IS_NOBEGIN(seen_at))
		EditColumn(&edit, "seen_at", TIMESTAMPTZOID, TimestampTzGetDatum(seen_at), false);
	EditColumn(&edit, "expires_at", TIMESTAMPTZOID, TimestampTzGetDatum(expires_at),
			   TIMESTAMP_IS_NOBEGIN(expires_at));
	EditColumn(&edit, "given_back", BOOLOID, BoolGetDatum(given_back), false);
	EditColumn(&edit, "starts_until", TIMESTAMPTZOID, (Datum) 0, true);
	EditColumn(&edit, "slot", INT4OID, (Datum) 0, true);
	EditColumn(&edit, "profile_id", TEXTOID, (Datum) 0, true);
	EditColumn(&edit, "profile_slot", INT4OID, (Datum) 0, true);
	UpdateRow(&change_use, leases->table, leases->slot, &edit);
}

/* For StopLease(): when the worker was seen first, if that was just now. */
static TimestampTz
SeenNow(const pg_uuid_t *workflow, const Lease *lease)
{
	return !TIMESTAMP_IS_NOBEGIN(lease->starts_until) && HasBegun(workflow, lease->token) ?
		GetCurrentTimestamp() : DT_NOBEGIN;
}

/*
 * Whether somebody holds the workflow of a lease. If not, we do.
 */
static bool
IsHeld(Relation workflows, const pg_uuid_t *workflow, Snapshot snapshot)
{
	Relation	index = OpenIndex(workflows, "workflows_pkey", RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(workflows, NULL);
	ScanKeyData key;
	bool		is_held;

	InitKey(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(workflow));
	is_held = FindRow(workflows, index, &key, 1, snapshot, slot) &&
		LockRow(workflows, slot, snapshot, false) != TM_Ok;
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	return is_held;
}

/*
 * Free the slots of the leases that have run out, whoever has them: a lost
 * lease counts against no limit. Those that somebody looks at stay, and that
 * of the workflow in except, unless that is NULL; and those under which
 * somebody may just write the first thing.
 */
bool
FreeExpiredSlots(TimestampTz now, const pg_uuid_t *except)
{
	Relation	index;
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	bool		any = false;
	IndexScanDesc scan;
	ScanKeyData keys[2];
	Leases		leases;
	Relation	workflows = OpenTable("workflows", RowExclusiveLock);

	OpenLeases(&leases);
	index = OpenIndex(leases.table, "idx_workflow_leases_expires_at", RowExclusiveLock);
	scan = CompatBeginIndexScan(leases.table, index, latest, lengthof(keys));
	InitExpiredKeys(keys, now);
	index_rescan(scan, keys, lengthof(keys), NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, leases.slot))
	{
		Lease		lease;
		pg_uuid_t	workflow = *DatumGetUUIDP(RowColumn(leases.table, leases.slot, "workflow_id", UUIDOID, NULL));

		CHECK_FOR_INTERRUPTS();
		ReadLease(&leases, &workflow, &lease);
		if ((lease.slot == 0 && lease.profile_slot == 0) || lease.expires_at > now ||
			(except != NULL && memcmp(&workflow, except, sizeof(pg_uuid_t)) == 0))
			continue;
		ExecMaterializeSlot(leases.slot);
		if (!TIMESTAMP_IS_NOBEGIN(lease.starts_until) && IsHeld(workflows, &workflow, latest))
			continue;
		if (LockRow(leases.table, leases.slot, latest, false) != TM_Ok)
			continue;
		StopLease(&leases, lease.expires_at, lease.given_back, DT_NOBEGIN);
		any = true;
	}
	index_endscan(scan);
	CloseLeases(&leases);
	UnregisterSnapshot(latest);
	index_close(index, NoLock);
	table_close(workflows, NoLock);
	return any;
}

/*
 * End the workflow's lease with its attempt, if it has one. The workflow's
 * row must be locked.
 */
void
EndLease(const pg_uuid_t *workflow)
{
	Leases		leases;
	Lease		lease;

	OpenLeases(&leases);
	if (FindLease(&leases, workflow, &lease) && !TIMESTAMP_IS_NOBEGIN(lease.expires_at) &&
		LockLease(&leases, workflow, true, &lease))
	{
		StopLease(&leases, DT_NOBEGIN, false, SeenNow(workflow, &lease));
		SayUnfenced(workflow);
	}
	CloseLeases(&leases);
}

/*
 * Raise 55000 unless the token's lease is in force, and end it with its
 * attempt: CheckLease() and EndLease() at once.
 */
void
FinishLease(const pg_uuid_t *workflow, int64 token)
{
	Leases		leases;
	Lease		lease;
	bool		found;
	TimestampTz now;

	OpenLeases(&leases);
	found = LockLease(&leases, workflow, true, &lease);
	now = GetCurrentTimestamp();
	if (!found || !InForce(&lease, token, now))
		RefuseLostLease(workflow, token, found, &lease);
	StopLease(&leases, DT_NOBEGIN, false,
			  TIMESTAMP_IS_NOBEGIN(lease.starts_until) ? DT_NOBEGIN : now);
	SayUnfenced(workflow);
	CloseLeases(&leases);
}

/* The arguments that all functions of a lease begin with; NULL is refused. */
void
GetLeaseArguments(FunctionCallInfo fcinfo, pg_uuid_t **workflow, int64 *token)
{
	if (PG_ARGISNULL(0))
		RefuseMissing("workflow_id");
	if (PG_ARGISNULL(1))
		RefuseMissing("lease_token");
	*workflow = PG_GETARG_UUID_P(0);
	*token = PG_GETARG_INT64(1);
}

/*
 * check_lease(workflow_id uuid, lease_token bigint) returns void
 */
Datum
amelia_check_lease(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *workflow;
	int64		token;

	GetLeaseArguments(fcinfo, &workflow, &token);
	PreventCommandIfReadOnly("check_lease()");
	if (!LockSequence(EVENT_SEQUENCE, UUIDPGetDatum(workflow)))
		RefuseNoWorkflow(workflow);
	UseLease(workflow, token);
	PG_RETURN_VOID();
}

/*
 * give_back(workflow_id uuid, lease_token bigint) returns void
 */
Datum
amelia_give_back(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *workflow;
	int64		token;
	Leases		leases;
	Lease		lease;

	GetLeaseArguments(fcinfo, &workflow, &token);
	PreventCommandIfReadOnly("give_back()");
	if (!LockSequence(EVENT_SEQUENCE, UUIDPGetDatum(workflow)))
		RefuseNoWorkflow(workflow);
	CheckLease(workflow, token);
	OpenLeases(&leases);
	if (LockLease(&leases, workflow, true, &lease))
	{
		StopLease(&leases, GetCurrentTimestamp(), true, SeenNow(workflow, &lease));
		SayUnfenced(workflow);
	}
	CloseLeases(&leases);
	PG_RETURN_VOID();
}

/*
 * end_lease() returns trigger
 *
 * A workflow that leaves in_progress, whoever moves it, has no worker.
 */
Datum
amelia_end_lease(PG_FUNCTION_ARGS)
{
	TriggerData *data = GetTriggerData(fcinfo, "end_lease",
									   TRIGGER_EVENT_AFTER, TRIGGER_EVENT_UPDATE, true);

	EndLease(DatumGetUUIDP(ColumnValue(data->tg_relation, data->tg_trigtuple, "id", UUIDOID, NULL)));
	return PointerGetDatum(NULL);
}
