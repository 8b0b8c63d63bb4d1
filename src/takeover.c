/*-------------------------------------------------------------------------
 *
 * takeover.c
 *	  Workflows whose lease ran out or was given back, and the limits that
 *	  claims keep.
 *
 *	  There are no more such workflows than may be held at the same time, so
 *	  a claim looks at all of them, and at none when all is well.
 *
 *-------------------------------------------------------------------------
 */
#include "claim.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

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

/* A text column of the row in a slot; NULL counts as empty. */
static text *
TextColumn(ClaimSearch *search, TupleTableSlot *slot, ClaimColumn column)
{
	bool		is_null;
	Datum		value = slot_getattr(slot, search->columns[column], &is_null);

	return is_null ? cstring_to_text("") : DatumGetTextPP(value);
}

static bool
TextIs(const text *value, const char *data, size_t length)
{
	return VARSIZE_ANY_EXHDR(value) == length && memcmp(VARDATA_ANY(value), data, length) == 0;
}

/* Whether the workflow in a slot can be taken over by the caller. */
static bool
IsWanted(ClaimSearch *search, TupleTableSlot *slot)
{
	text	   *type = TextColumn(search, slot, COLUMN_TYPE);
	text	   *profile = TextColumn(search, slot, COLUMN_PROFILE);
	bool		wanted = search->types == NULL;
	ClaimKey	key;

	if (!TextIs(TextColumn(search, slot, COLUMN_STATUS), "in_progress", strlen("in_progress")))
		return false;
	ReadClaimKey(search, slot, &key);
	for (int i = 0; i < search->type_count; i++)
	{
		text	   *given = DatumGetTextPP(search->types[i]);

		wanted = wanted || TextIs(type, VARDATA_ANY(given), VARSIZE_ANY_EXHDR(given));
	}
	return wanted &&
		(search->profile == NULL ||
		 TextIs(profile, VARDATA_ANY(search->profile), VARSIZE_ANY_EXHDR(search->profile))) &&
		!IsOverBudget(search->spent, profile, &key.id);
}

static int
CompareLost(const ListCell *a, const ListCell *b)
{
	return ClaimsBefore(&((LostLease *) lfirst(a))->key, &((LostLease *) lfirst(b))->key) ? -1 : 1;
}

/*
 * The workflows in progress whose lease ran out or was given back, and that
 * the caller may take, in the order of claims.
 */
List *
FindLostLeases(ClaimSearch *search)
{
	Relation	leases = OpenTable("workflow_leases", RowExclusiveLock);
	Relation	index = OpenIndex("idx_workflow_leases_expires_at", RowExclusiveLock);
	Relation	pkey = OpenIndex("workflows_pkey", RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(leases, NULL);
	IndexScanDesc scan;
	ScanKeyData keys[2];
	List	   *lost = NIL;

	scan = CompatBeginIndexScan(leases, index, search->snapshot, lengthof(keys));
	InitExpiredKeys(keys, search->now);
	index_rescan(scan, keys, lengthof(keys), NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		bool		is_null;
		pg_uuid_t  *workflow = DatumGetUUIDP(RowColumn(leases, slot, "workflow_id", &is_null));

		if (FindWorkflow(search, pkey, workflow, search->other) && IsWanted(search, search->other))
		{
			LostLease  *one = palloc(sizeof(LostLease));

			ReadClaimKey(search, search->other, &one->key);
			lost = lappend(lost, one);
		}
		ExecClearTuple(search->other);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(pkey, NoLock);
	index_close(index, NoLock);
	table_close(leases, NoLock);
	list_sort(lost, CompareLost);
	return lost;
}

/*
 * Lock a workflow whose lease was lost, if nobody else does and it still is.
 * An append in flight is somebody who does: it is let finish.
 */
bool
TryLostLease(ClaimSearch *search, const LostLease *lost, Candidate *candidate)
{
	Relation	pkey = OpenIndex("workflows_pkey", RowExclusiveLock);
	bool		found = FindWorkflow(search, pkey, &lost->key.id, search->other);
	TM_Result	result;
	Leases		leases;
	Lease		lease;
	text	   *profile;

	index_close(pkey, NoLock);
	if (!found)
		return false;
	ExecMaterializeSlot(search->other);
	profile = (text *) pg_detoast_datum_copy((struct varlena *) TextColumn(search, search->other, COLUMN_PROFILE));
	candidate->profile_limit = ProfileLimit(profile);
	OpenLeases(&leases);
	/* Its slot is kept; if that was given away, there must be another. */
	found = FindLease(&leases, &lost->key.id, &lease) && lease.expires_at <= search->now &&
		(candidate->profile_limit == 0 || lease.profile_slot > 0 ||
		 HasFreeSlot(ProfileScope(text_to_cstring(profile)), candidate->profile_limit));
	result = found ? LockRow(search->workflows, search->other, search->snapshot, false) : TM_Deleted;
	search->changed = search->changed || result == TM_Updated;
	found = result == TM_Ok && LockLease(&leases, &lost->key.id, false, &lease) &&
		lease.expires_at <= search->now && !TIMESTAMP_IS_NOBEGIN(lease.expires_at);
	if (found)
	{
		candidate->id = lost->key.id;
		candidate->status = text_to_cstring(TextColumn(search, search->other, COLUMN_STATUS));
		candidate->profile = VARSIZE_ANY_EXHDR(profile) == 0 ? NULL : text_to_cstring(profile);
		candidate->failures = DatumGetInt32(slot_getattr(search->other, search->columns[COLUMN_FAILURES], &found));
		candidate->max_failures = DatumGetInt32(slot_getattr(search->other, search->columns[COLUMN_MAX_FAILURES], &found));
		candidate->cancel_requested = DatumGetBool(slot_getattr(search->other, search->columns[COLUMN_CANCEL_REQUESTED], &found));
		found = true;
	}
	CloseLeases(&leases);
	ExecClearTuple(search->other);
	return found;
}

/*
 * How many workflows of a profile may be held at the same time; 0 when it has
 * no limit, or is none of profiles.
 */
int32
ProfileLimit(const text *profile)
{
	Relation	table;
	Relation	index;
	TupleTableSlot *slot;
	ScanKeyData key;
	int32		limit = 0;

	if (VARSIZE_ANY_EXHDR(profile) == 0)
		return 0;
	table = OpenTable("profiles", AccessShareLock);
	index = OpenIndex("profiles_pkey", AccessShareLock);
	slot = table_slot_create(table, NULL);
	InitTextKey(&key, 1, index, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(profile));
	if (FindLatestRow(table, index, &key, 1, slot))
	{
		bool		is_null;
		Datum		value = RowColumn(table, slot, "max_concurrent", &is_null);

		limit = is_null ? 0 : DatumGetInt32(value);
	}
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	table_close(table, NoLock);
	return limit;
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
		bool		is_null;

		*max_concurrent = DatumGetInt32(RowColumn(table, slot, "max_concurrent", &is_null));
		seconds = DatumGetFloat8(DirectFunctionCall1(numeric_float8,
													 RowColumn(table, slot, "workflow_start_timeout_seconds", &is_null)));
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(latest);
	table_close(table, NoLock);
	memset(start_timeout, 0, sizeof(Interval));
	/* A century is as good as any longer time, and does not overflow. */
	start_timeout->time = (TimeOffset) (Min(seconds, 3.2e9) * USECS_PER_SEC);
}
