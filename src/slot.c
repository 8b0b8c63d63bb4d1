/*-------------------------------------------------------------------------
 *
 * slot.c
 *	  The slots that limit how many workflows are held at the same time.
 *
 *	  A slot is a row, free or taken by a workflow. A claim takes a free one
 *	  that nobody else has locked, so that the limit holds exactly and no
 *	  claim waits for another. It begins to look at a random one: far from
 *	  the limit the first or second that it meets is free. There are no more
 *	  rows than were needed so far; when a claim meets too many that are
 *	  taken and the limit allows more, it adds as many again.
 *
 *	  Numbers count from 1, and only those up to the limit can be taken. When
 *	  the limit has been lowered, those above it may still be held: as long as
 *	  any is, only as many are given as keep the sum below the limit.
 *
 *-------------------------------------------------------------------------
 */
#include "lease.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "common/pg_prng.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Rows that are looked at before more are made. */
#define PATIENCE 64

/* Rows that are made at once, at least. */
#define GROWTH 16

typedef struct Slots
{
	Relation	table;
	Relation	index;
	TupleTableSlot *row;
	const char *scope_text;
	Datum		scope;
	int32		limit;
} Slots;

static void
OpenSlots(Slots *slots, const char *scope, int32 limit)
{
	slots->table = OpenOurTable("workflow_slots", RowExclusiveLock);
	slots->index = OpenOurIndex("workflow_slots_pkey", RowExclusiveLock);
	slots->row = table_slot_create(slots->table, NULL);
	slots->scope_text = scope;
	slots->scope = CStringGetTextDatum(scope);
	slots->limit = limit;
}

static void
CloseSlots(Slots *slots)
{
	ExecDropSingleTupleTableSlot(slots->row);
	index_close(slots->index, NoLock);
	table_close(slots->table, NoLock);
}

/*
 * The scope of a profile's slots.
 */
char *
ProfileScope(const char *profile)
{
	return psprintf(PROFILE_SLOTS "%s", profile);
}

/* The number of the row. */
static int32
SlotNumber(Slots *slots)
{
	bool		is_null;

	return DatumGetInt32(RowColumn(slots->table, slots->row, "slot", &is_null));
}

static bool
SlotIsFree(Slots *slots)
{
	bool		is_null;

	RowColumn(slots->table, slots->row, "workflow_id", &is_null);
	return is_null;
}

/*
 * The highest number that there is; 0 when there is none.
 */
static int32
HighestSlot(Slots *slots, Snapshot snapshot)
{
	IndexScanDesc scan = CompatBeginIndexScan(slots->table, slots->index, snapshot, 1);
	ScanKeyData key;
	int32		highest = 0;

	InitTextKey(&key, 1, slots->index, BTEqualStrategyNumber, F_TEXTEQ, slots->scope);
	index_rescan(scan, &key, 1, NULL, 0);
	if (index_getnext_slot(scan, BackwardScanDirection, slots->row))
		highest = SlotNumber(slots);
	index_endscan(scan);
	return highest;
}

/*
 * How many slots above the limit are held, and how many up to it.
 */
static void
CountHeld(Slots *slots, Snapshot snapshot, int32 *above, int32 *below)
{
	IndexScanDesc scan = CompatBeginIndexScan(slots->table, slots->index, snapshot, 1);
	ScanKeyData key;

	*above = *below = 0;
	InitTextKey(&key, 1, slots->index, BTEqualStrategyNumber, F_TEXTEQ, slots->scope);
	index_rescan(scan, &key, 1, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, slots->row))
	{
		if (SlotIsFree(slots))
			continue;
		if (SlotNumber(slots) > slots->limit)
			(*above)++;
		else
			(*below)++;
	}
	index_endscan(scan);
}

/*
 * Look for a free slot from one number to another, at some rows at most; with
 * take, lock it. Returns its number, 0 when there is none; looked counts.
 */
static int32
FindFree(Slots *slots, int32 from, int32 to, int *patience, bool take, Snapshot snapshot)
{
	IndexScanDesc scan;
	ScanKeyData keys[3];
	int32		found = 0;

	if (from > to)
		return 0;
	scan = CompatBeginIndexScan(slots->table, slots->index, snapshot, lengthof(keys));
	InitTextKey(&keys[0], 1, slots->index, BTEqualStrategyNumber, F_TEXTEQ, slots->scope);
	InitKey(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT4GE, Int32GetDatum(from));
	InitKey(&keys[2], 2, BTLessEqualStrategyNumber, F_INT4LE, Int32GetDatum(to));
	index_rescan(scan, keys, lengthof(keys), NULL, 0);
	while (*patience > 0 && index_getnext_slot(scan, ForwardScanDirection, slots->row))
	{
		(*patience)--;
		if (!SlotIsFree(slots))
			continue;
		if (!take)
		{
			found = SlotNumber(slots);
			break;
		}
		ExecMaterializeSlot(slots->row);
		if (LockRow(slots->table, slots->row, snapshot, false) == TM_Ok)
		{
			found = SlotNumber(slots);
			break;
		}
	}
	index_endscan(scan);
	return found;
}

/*
 * Make more slots, unless somebody else is about to.
 */
static bool
AddSlots(Slots *slots, int32 highest)
{
	int32		wanted = Min((int64) slots->limit, Max((int64) highest * 2, highest + GROWTH));
	Snapshot	latest;

	if (!TryLockText(LOCK_SLOTS, slots->scope_text))
		return false;
	/* Who had the lock before has committed: see what he made. */
	latest = RegisterSnapshot(GetLatestSnapshot());
	highest = HighestSlot(slots, latest);
	UnregisterSnapshot(latest);
	for (int32 slot = highest + 1; slot <= wanted; slot++)
	{
		RowEdit		row = {0};

		EditColumn(&row, slots->table, "scope", slots->scope, false);
		EditColumn(&row, slots->table, "slot", Int32GetDatum(slot), false);
		InsertRow(slots->table, &row);
	}
	return true;
}

/*
 * Find a free slot, and lock it if it is to be taken. Returns its number, 0
 * when there is none.
 */
static int32
SearchSlots(Slots *slots, bool take)
{
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	int32		highest = HighestSlot(slots, latest);
	int32		top = Min(highest, slots->limit);
	bool		may_grow = highest < slots->limit;
	int			patience = may_grow ? PATIENCE : PG_INT32_MAX;
	int32		found = 0;

	if (highest > slots->limit)
	{
		int32		above;
		int32		below;

		CountHeld(slots, latest, &above, &below);
		if (above > 0)
		{
			/* One after the other, until those above the limit are gone. */
			if (above + below >= slots->limit ||
				(take && !TryLockText(LOCK_SLOTS, slots->scope_text)))
				top = 0;
			if (take && top > 0)
			{
				UnregisterSnapshot(latest);
				latest = RegisterSnapshot(GetLatestSnapshot());
				CountHeld(slots, latest, &above, &below);
				if (above + below >= slots->limit)
					top = 0;
			}
		}
	}
	if (top > 0)
	{
		int32		start = 1 + (int32) pg_prng_uint64_range(&pg_global_prng_state, 0, top - 1);

		found = FindFree(slots, start, top, &patience, take, latest);
		if (found == 0)
			found = FindFree(slots, 1, start - 1, &patience, take, latest);
	}
	UnregisterSnapshot(latest);
	if (found == 0 && may_grow && !take)
		return highest + 1;		/* it can be made */
	return found;
}

/*
 * Whether a slot is free, or can be made; without locking anything.
 */
bool
HasFreeSlot(const char *scope, int32 limit)
{
	Slots		slots;
	bool		found;

	OpenSlots(&slots, scope, limit);
	found = SearchSlots(&slots, false) > 0;
	CloseSlots(&slots);
	return found;
}

/*
 * Take a slot for a workflow. Returns its number, 0 when all are held or
 * looked at by others.
 */
int32
TakeSlot(const char *scope, int32 limit, const pg_uuid_t *workflow)
{
	Slots		slots;
	int32		found;

	OpenSlots(&slots, scope, limit);
	found = SearchSlots(&slots, true);
	if (found == 0)
	{
		Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
		int32		highest = HighestSlot(&slots, latest);

		UnregisterSnapshot(latest);
		if (highest < limit && AddSlots(&slots, highest))
			found = SearchSlots(&slots, true);
	}
	if (found > 0)
	{
		RowEdit		edit = {0};

		EditColumn(&edit, slots.table, "workflow_id", UUIDPGetDatum(workflow), false);
		UpdateRow(slots.table, slots.row, &edit);
	}
	CloseSlots(&slots);
	return found;
}

/*
 * Free a slot, if the workflow still holds it.
 */
void
FreeSlot(const char *scope, int32 slot, const pg_uuid_t *workflow)
{
	Slots		slots;
	ScanKeyData keys[2];

	OpenSlots(&slots, scope, slot);
	InitTextKey(&keys[0], 1, slots.index, BTEqualStrategyNumber, F_TEXTEQ, slots.scope);
	InitKey(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(slot));
	if (FindLatestRow(slots.table, slots.index, keys, lengthof(keys), slots.row) &&
		LockRow(slots.table, slots.row, NULL, true) == TM_Ok)
	{
		bool		is_null;
		Datum		holder = RowColumn(slots.table, slots.row, "workflow_id", &is_null);

		if (!is_null && memcmp(DatumGetUUIDP(holder), workflow, sizeof(pg_uuid_t)) == 0)
		{
			RowEdit		edit = {0};

			EditColumn(&edit, slots.table, "workflow_id", (Datum) 0, true);
			UpdateRow(slots.table, slots.row, &edit);
		}
	}
	CloseSlots(&slots);
}
