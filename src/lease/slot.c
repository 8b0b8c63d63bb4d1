/*-------------------------------------------------------------------------
 *
 * slot.c
 *	  The slots that limit how many workflows are held at the same time.
 *
 *	  A slot is a number from 1 to the limit, and taken while a lease has it;
 *	  a unique index sees to it that only one does. A claim looks for a number
 *	  that no lease has, from a random one on, and takes it under a lock on
 *	  that number which nobody waits for: so the limit holds exactly, and no
 *	  claim waits for another. Far from the limit the first number that it
 *	  tries is free. Numbers are drawn from a range a little wider than what
 *	  is taken, which keeps the index narrow.
 *
 *	  When the limit has been lowered, numbers above it may still be taken.
 *	  As long as any is, claims come one after the other, and count.
 *
 *-------------------------------------------------------------------------
 */
#include "lease/slot.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/row.h"
#include "base/sequence.h"

/* Free numbers that there are at least in the range that is drawn from. */
#define SPARE_SLOTS 32

/* The slots of a limit: over everything, or of a profile. */
typedef struct Slots
{
	Relation	table;
	Relation	index;
	TupleTableSlot *row;
	AttrNumber	number;			/* the column */
	const char *profile;		/* NULL: over everything */
	Datum		profile_key;
	int32		limit;
} Slots;

static void
OpenSlots(Slots *slots, const char *profile, int32 limit)
{
	slots->table = OpenTable("workflow_leases", RowExclusiveLock);
	slots->index = OpenIndex(slots->table, profile == NULL ? "idx_workflow_leases_slot" :
							 "idx_workflow_leases_profile_slot", RowExclusiveLock);
	slots->row = table_slot_create(slots->table, NULL);
	slots->number = OurColumn(slots->table, profile == NULL ? "slot" : "profile_slot", INT4OID);
	slots->profile = profile;
	slots->profile_key = profile == NULL ? (Datum) 0 : CStringGetTextDatum(profile);
	slots->limit = limit;
}

static void
CloseSlots(Slots *slots)
{
	ExecDropSingleTupleTableSlot(slots->row);
	index_close(slots->index, NoLock);
	table_close(slots->table, NoLock);
}

/* The number of the row. */
static int32
SlotNumber(Slots *slots)
{
	bool		is_null;

	return DatumGetInt32(slot_getattr(slots->row, slots->number, &is_null));
}

/* What a lock on a number is on. */
static char *
SlotLock(const char *profile, int32 number)
{
	return psprintf("%d%s%s", number, profile == NULL ? "" : " ", profile == NULL ? "" : profile);
}

/* Begin to read the numbers from one to another. */
static IndexScanDesc
ScanSlots(Slots *slots, int32 from, int32 to, Snapshot snapshot)
{
	ScanKeyData keys[3];
	int			count = 0;
	AttrNumber	column = 1;
	IndexScanDesc scan;

	if (slots->profile != NULL)
		InitTextKey(&keys[count++], column++, slots->index, BTEqualStrategyNumber, F_TEXTEQ,
					slots->profile_key);
	InitKey(&keys[count++], column, BTGreaterEqualStrategyNumber, F_INT4GE, Int32GetDatum(from));
	InitKey(&keys[count++], column, BTLessEqualStrategyNumber, F_INT4LE, Int32GetDatum(to));
	scan = CompatBeginIndexScan(slots->table, slots->index, snapshot, count);
	index_rescan(scan, keys, count, NULL, 0);
	return scan;
}

/*
 * The highest number that is taken; 0 when none is. What is not committed
 * counts: a claim may have taken it before the limit was lowered.
 */
static int32
HighestSlot(Slots *slots)
{
	SnapshotData dirty;
	IndexScanDesc scan;
	int32		highest = 0;

	InitDirtySnapshot(dirty);
	scan = ScanSlots(slots, 1, PG_INT32_MAX, &dirty);

	if (index_getnext_slot(scan, BackwardScanDirection, slots->row))
		highest = SlotNumber(slots);
	index_endscan(scan);
	return highest;
}

/*
 * Whether a number is taken: it is while who takes or frees it has not
 * committed.
 */
static bool
IsTaken(Slots *slots, int32 number)
{
	SnapshotData dirty;
	IndexScanDesc scan;
	bool		found;

	InitDirtySnapshot(dirty);
	scan = ScanSlots(slots, number, number, &dirty);
	found = index_getnext_slot(scan, ForwardScanDirection, slots->row);
	index_endscan(scan);
	return found;
}

/*
 * Lock a number and return it, if nobody else has; otherwise 0.
 */
static int32
LockNumber(Slots *slots, int32 number)
{
	char	   *lock = SlotLock(slots->profile, number);

	if (!TryLockText(LOCK_SLOT, lock))
		return 0;
	if (!IsTaken(slots, number))
		return number;
	UnlockText(LOCK_SLOT, lock);
	return 0;
}

/*
 * How many numbers are taken, all that somebody takes included.
 */
static int64
CountTaken(Slots *slots)
{
	SnapshotData dirty;
	IndexScanDesc scan;
	int64		count = 0;

	InitDirtySnapshot(dirty);
	scan = ScanSlots(slots, 1, PG_INT32_MAX, &dirty);
	while (index_getnext_slot(scan, ForwardScanDirection, slots->row))
	{
		CHECK_FOR_INTERRUPTS();
		count++;
	}
	index_endscan(scan);
	return count;
}

/*
 * The first free number from one to another, 0 when there is none; with lock,
 * one that nobody else has locked, and it is.
 */
static int32
FindFree(Slots *slots, int32 from, int32 to, bool lock)
{
	SnapshotData dirty;
	IndexScanDesc scan;
	int32		number = from;
	int32		found = 0;

	if (from > to)
		return 0;
	InitDirtySnapshot(dirty);
	scan = ScanSlots(slots, from, to, &dirty);
	while (found == 0 && number <= to)
	{
		bool		has_row = index_getnext_slot(scan, ForwardScanDirection, slots->row);
		int32		taken = has_row ? SlotNumber(slots) : to + 1;

		for (; number < taken && found == 0; number++)
		{
			CHECK_FOR_INTERRUPTS();
			found = lock ? LockNumber(slots, number) : number;
		}
		number = Max(number, taken + 1);
	}
	index_endscan(scan);
	return found;
}

/*
 * Find a free number, and lock it if it is to be taken. Returns 0 when there
 * is none.
 */
static int32
SearchSlots(Slots *slots, bool lock)
{
	int64		highest = HighestSlot(slots);
	int32		top = Min(slots->limit, highest + highest / 4 + SPARE_SLOTS);
	int32		start;
	int32		found;

	if (top < 1)
		return 0;
	start = 1 + (int32) pg_prng_uint64_range(&pg_global_prng_state, 0, top - 1);
	if (highest > slots->limit)
	{
		if (lock && !TryLockText(LOCK_SLOT, SlotLock(slots->profile, 0)))
			return 0;
		if (CountTaken(slots) >= slots->limit)
			return 0;
	}
	found = lock ? LockNumber(slots, start) : 0;
	if (found == 0)
		found = FindFree(slots, start, top, lock);
	if (found == 0)
		found = FindFree(slots, 1, start - 1, lock);
	if (found == 0)
		found = FindFree(slots, top + 1, slots->limit, lock);
	return found;
}

/*
 * Whether a slot is free, of a profile's or, with NULL, over everything;
 * without locking anything.
 */
bool
HasFreeSlot(const char *profile, int32 limit)
{
	Slots		slots;
	bool		found;

	OpenSlots(&slots, profile, limit);
	found = SearchSlots(&slots, false) > 0;
	CloseSlots(&slots);
	return found;
}

/*
 * Find a free slot and lock its number: the caller's is the only lease that
 * may have it. Returns 0 when all are taken or looked at by others.
 */
int32
LockFreeSlot(const char *profile, int32 limit)
{
	Slots		slots;
	int32		found;

	OpenSlots(&slots, profile, limit);
	found = SearchSlots(&slots, true);
	CloseSlots(&slots);
	return found;
}

/*
 * Give back what LockFreeSlot() found, and no lease has got.
 */
void
UnlockSlot(const char *profile, int32 slot)
{
	UnlockText(LOCK_SLOT, SlotLock(profile, slot));
}
