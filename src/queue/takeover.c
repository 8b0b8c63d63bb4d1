/*-------------------------------------------------------------------------
 *
 * takeover.c
 *	  Workflows whose lease ran out or was given back, and the limits that
 *	  claims keep.
 *
 *	  When all is well there are none. A claim looks at those that it finds
 *	  only as long as it has not taken one.
 *
 *-------------------------------------------------------------------------
 */
#include "queue/takeover.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/sequence.h"
#include "lease/lease.h"
#include "lease/slot.h"
#include "queue/candidate.h"
#include "queue/closed_profiles.h"

/* Leases that are put into the order of claims at a time. */
#define LOST_AT_A_TIME 100

/* What holds while server_settings has no row. */
#define DEFAULT_MAX_CONCURRENT 5
#define DEFAULT_START_TIMEOUT_S 60

/* The workflow of an id, as a snapshot shows it. */
static bool
FindWorkflow(ClaimSearch *search, Relation pkey, const pg_uuid_t *id, TupleTableSlot *slot)
{
	ScanKeyData key;

	InitKey(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(id));
	return FindRow(search->workflows, pkey, &key, 1, search->snapshot, slot);
}

static int
CompareLost(const ListCell *a, const ListCell *b)
{
	return ClaimsBefore(lfirst(a), lfirst(b)) ? -1 : 1;
}

/*
 * Begin to look at the leases that ran out or were given back.
 */
void
BeginLostLeases(ClaimSearch *search, LostLeases *lost)
{
	ScanKeyData keys[2];

	lost->leases = OpenTable("workflow_leases", RowExclusiveLock);
	lost->index = OpenIndex(lost->leases, "idx_workflow_leases_expires_at", RowExclusiveLock);
	lost->slot = table_slot_create(lost->leases, NULL);
	lost->workflow_column = OurColumn(lost->leases, "workflow_id", UUIDOID);
	lost->scan = CompatBeginIndexScan(lost->leases, lost->index, search->snapshot, lengthof(keys));
	InitExpiredKeys(keys, search->now);
	index_rescan(lost->scan, keys, lengthof(keys), NULL, 0);
	lost->is_done = false;
}

/*
 * Stop looking at them.
 */
void
EndLostLeases(LostLeases *lost)
{
	index_endscan(lost->scan);
	ExecDropSingleTupleTableSlot(lost->slot);
	index_close(lost->index, NoLock);
	table_close(lost->leases, NoLock);
}

/*
 * The next ones, of workflows in progress that the caller may take, in the
 * order of claims. They are looked at some at a time, those that ran out first
 * before others: when all workers have died at once there are many.
 */
List *
NextLostLeases(ClaimSearch *search, LostLeases *lost)
{
	List	   *found = NIL;
	Relation	pkey;

	if (lost->is_done)
		return NIL;
	pkey = OpenIndex(search->workflows, "workflows_pkey", RowExclusiveLock);
	while (list_length(found) < LOST_AT_A_TIME)
	{
		bool		is_null;
		pg_uuid_t  *workflow;

		CHECK_FOR_INTERRUPTS();
		if (!index_getnext_slot(lost->scan, ForwardScanDirection, lost->slot))
		{
			lost->is_done = true;
			break;
		}
		workflow = DatumGetUUIDP(slot_getattr(lost->slot, lost->workflow_column, &is_null));
		if (!is_null && FindWorkflow(search, pkey, workflow, search->other) &&
			StatusIs(search, search->other, "in_progress") &&
			IsWanted(search, QueueText(search, search->other, COLUMN_TYPE),
					 QueueText(search, search->other, COLUMN_PROFILE), workflow))
		{
			ClaimKey   *key = palloc(sizeof(ClaimKey));

			ReadClaimKey(search, search->other, key);
			found = lappend(found, key);
		}
		ExecClearTuple(search->other);
	}
	index_close(pkey, NoLock);
	list_sort(found, CompareLost);
	return found;
}

/* The ids of the workflows of lost leases; how many there are. */
static int
LostIds(List *lost, pg_uuid_t *ids)
{
	ListCell   *cell;
	int			count = 0;

	foreach(cell, lost)
		ids[count++] = ((ClaimKey *) lfirst(cell))->id;
	return count;
}

/*
 * Lock the first workflow of a list whose lease was lost, if nobody else does
 * and it still is. An append in flight is somebody who does: it is let finish.
 */
bool
TryLostLease(ClaimSearch *search, List *lost, Candidate *candidate)
{
	const pg_uuid_t *id = &((ClaimKey *) linitial(lost))->id;
	pg_uuid_t	ids[LOST_AT_A_TIME];
	int			count;
	Relation	pkey = OpenIndex(search->workflows, "workflows_pkey", RowExclusiveLock);
	bool		found = FindWorkflow(search, pkey, id, search->other);
	TM_Result	result;
	Leases		leases;
	Lease		lease;
	text	   *profile;

	index_close(pkey, NoLock);
	if (!found || IsHidden(search, id))
		return false;
	count = WantsLookAhead(search) ? LostIds(lost, ids) : 1;
	ids[0] = *id;
	ExecMaterializeSlot(search->other);
	profile = (text *) pg_detoast_datum_copy((struct varlena *) QueueText(search, search->other, COLUMN_PROFILE));
	candidate->profile_limit = ProfileLimit(profile);
	OpenLeases(&leases);
	/* Its slot is kept; if that was given away, there must be another. */
	found = FindLease(&leases, id, &lease) && lease.expires_at <= search->now &&
		(candidate->profile_limit == 0 || lease.profile_slot > 0 ||
		 HasFreeSlot(text_to_cstring(profile), candidate->profile_limit)) &&
		MayTake(search, ids, count);
	result = found ? LockRow(search->workflows, search->other, search->snapshot, false) : TM_Deleted;
	search->changed = search->changed || result == TM_Updated;
	found = result == TM_Ok && LockLease(&leases, id, false, &lease) &&
		lease.expires_at <= search->now && !TIMESTAMP_IS_NOBEGIN(lease.expires_at);
	if (found)
		ReadCandidate(search, search->other, candidate);
	CloseLeases(&leases);
	if (!found)
		ExecClearTuple(search->other);
	return found;
}

/*
 * What server_settings says: how many workflows may be held at the same time,
 * and how long a worker has to begin.
 */
void
ReadLimits(int32 *max_concurrent, Interval *start_timeout)
{
	Relation	table = OpenTable("server_settings", AccessShareLock);
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(table, NULL);
	TableScanDesc scan = table_beginscan(table, latest, 0, NULL);
	double		seconds = DEFAULT_START_TIMEOUT_S;

	*max_concurrent = DEFAULT_MAX_CONCURRENT;
	if (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		*max_concurrent = DatumGetInt32(RowColumn(table, slot, "max_concurrent", INT4OID, NULL));
		seconds = DatumGetFloat8(DirectFunctionCall1(numeric_float8,
													 RowColumn(table, slot, "workflow_start_timeout_seconds", NUMERICOID, NULL)));
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(latest);
	table_close(table, NoLock);
	memset(start_timeout, 0, sizeof(Interval));
	/* A century is as good as any longer time, and does not overflow. */
	start_timeout->time = (TimeOffset) (Min(seconds, 3.2e9) * USECS_PER_SEC);
}
