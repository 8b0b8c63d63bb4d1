/*-------------------------------------------------------------------------
 *
 * claim.c
 *	  Claiming: of what is waiting, the first one that nobody else looks at.
 *
 *	  What can be claimed lies in one index, in one range for each type and
 *	  profile, in the order in which it is taken: priority, then time. A
 *	  claim reads the ranges that it may take from side by side, as a merge
 *	  does. In each it takes the first row whose time has come, jumping over
 *	  the rest of a priority when nothing in it is due. So its cost depends
 *	  neither on how many wait nor on how many cannot be taken: a profile at
 *	  its limit costs its range's first row, and what waits for a worktree
 *	  stands aside (parking.c). Leases that ran out compete by the same order.
 *
 *	  A claim never waits for another, nor for an append. It skips rows that
 *	  are locked; two in one worktree are told apart by a lock that the
 *	  second does not wait for; slots are taken the same way. What it found
 *	  to be free is looked at once more under the lock.
 *
 *	  Lock order: the worktree, the workflow's row, its lease, its slots.
 *
 *-------------------------------------------------------------------------
 */
#include "claim.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "parking.h"

/* Workflows that one claim parks at most. */
#define MAX_PARKED 1000

/* Rescans because of workflows that changed while they were looked at. */
#define MAX_RETRIES 3

/* A range of the index: one type and one profile. */
typedef struct Range
{
	IndexScanDesc scan;
	TupleTableSlot *slot;
	bool		is_open;		/* it has a row in slot, which is due */
	text	   *type;
	text	   *profile;
	bool		limit_known;
	int32		limit;			/* of the profile; 0: none */
	ClaimKey	key;
	bool		is_bounded;		/* the scan ends before the range does: */
	int16		bound;			/* what follows has lower priorities */
} Range;

/*
 * Where the first row was the last time, if it took long to get there: when
 * many rows have just left the queue and are not vacuumed yet, the index still
 * leads past each of them. For a moment claims then begin there, so that a row
 * of the same priority which comes in before it waits that long; one of a
 * higher priority does not.
 */
typedef struct Mark
{
	TimestampTz until;			/* 0: there is none */
	text	   *type;
	text	   *profile;
	ClaimKey	key;
} Mark;

#define SLOW_START_US 500
#define MARK_LIFE_US USECS_PER_SEC

static Mark mark = {0};

static bool
TextEquals(const text *a, const text *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* A column of the row in a slot, which is not NULL. */
static Datum
Column(ClaimSearch *search, TupleTableSlot *slot, ClaimColumn column)
{
	bool		is_null;

	return slot_getattr(slot, search->columns[column], &is_null);
}

static bool
ColumnIsNull(ClaimSearch *search, TupleTableSlot *slot, ClaimColumn column)
{
	return slot_attisnull(slot, search->columns[column]);
}

/* The profile that a row counts for; none is the empty one. */
static text *
RowProfile(ClaimSearch *search, TupleTableSlot *slot)
{
	return ColumnIsNull(search, slot, COLUMN_PROFILE) ? cstring_to_text("") :
		DatumGetTextPP(Column(search, slot, COLUMN_PROFILE));
}

static bool
StatusIs(ClaimSearch *search, TupleTableSlot *slot, const char *status)
{
	text	   *value = DatumGetTextPP(Column(search, slot, COLUMN_STATUS));

	return VARSIZE_ANY_EXHDR(value) == strlen(status) &&
		memcmp(VARDATA_ANY(value), status, strlen(status)) == 0;
}

/*
 * The place in the order of the row in a slot.
 */
void
ReadClaimKey(ClaimSearch *search, TupleTableSlot *slot, ClaimKey *key)
{
	key->priority = DatumGetInt16(Column(search, slot, COLUMN_PRIORITY));
	key->available_at = DatumGetTimestampTz(Column(search, slot, COLUMN_AVAILABLE_AT));
	key->id = *DatumGetUUIDP(Column(search, slot, COLUMN_ID));
}

/*
 * Whether the first is to be taken before the second.
 */
bool
ClaimsBefore(const ClaimKey *a, const ClaimKey *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (a->available_at != b->available_at)
		return a->available_at < b->available_at;
	return memcmp(&a->id, &b->id, sizeof(pg_uuid_t)) < 0;
}

static void
EndRange(Range *range)
{
	range->is_open = false;
	if (range->scan != NULL)
		index_endscan(range->scan);
	range->scan = NULL;
	if (range->slot != NULL)
		ExecDropSingleTupleTableSlot(range->slot);
	range->slot = NULL;
}

/*
 * Begin to read below a priority in the range.
 */
static void
JumpBelow(ClaimSearch *search, Range *range, int16 priority)
{
	ScanKeyData keys[3];

	index_endscan(range->scan);
	range->scan = CompatBeginIndexScan(search->workflows, search->index, search->snapshot,
									   lengthof(keys));
	InitTextKey(&keys[0], 1, search->index, BTEqualStrategyNumber, F_TEXTEQ,
				PointerGetDatum(range->type));
	InitTextKey(&keys[1], 2, search->index, BTEqualStrategyNumber, F_TEXTEQ,
				PointerGetDatum(range->profile));
	InitKey(&keys[2], 3, BTLessStrategyNumber, F_INT2LT, Int16GetDatum(priority));
	index_rescan(range->scan, keys, lengthof(keys), NULL, 0);
}

/*
 * Settle on the row that the scan has come to, or on the next one that is
 * due; the range ends where another one begins.
 */
static void
Settle(ClaimSearch *search, Range *range, bool found)
{
	while (found || range->is_bounded)
	{
		if (!found)
		{
			range->is_bounded = false;
			JumpBelow(search, range, range->bound);
			found = index_getnext_slot(range->scan, ForwardScanDirection, range->slot);
			continue;
		}
		if (!TextEquals(DatumGetTextPP(Column(search, range->slot, COLUMN_TYPE)), range->type) ||
			!TextEquals(RowProfile(search, range->slot), range->profile))
			break;
		ReadClaimKey(search, range->slot, &range->key);
		if (range->key.available_at <= search->now)
		{
			range->is_open = true;
			return;
		}
		range->is_bounded = false;
		JumpBelow(search, range, range->key.priority);
		found = index_getnext_slot(range->scan, ForwardScanDirection, range->slot);
	}
	EndRange(range);
}

static void
NextRow(ClaimSearch *search, Range *range)
{
	Settle(search, range, index_getnext_slot(range->scan, ForwardScanDirection, range->slot));
}

/*
 * Open the first range that the keys lead to; NULL when there is none.
 */
static Range *
OpenRange(ClaimSearch *search, ScanKey keys, int nkeys, bool is_bounded, int16 bound)
{
	Range	   *range = palloc0(sizeof(Range));

	range->is_bounded = is_bounded;
	range->bound = bound;
	range->slot = table_slot_create(search->workflows, NULL);
	range->scan = CompatBeginIndexScan(search->workflows, search->index, search->snapshot, nkeys);
	index_rescan(range->scan, nkeys > 0 ? keys : NULL, nkeys, NULL, 0);
	if (!index_getnext_slot(range->scan, ForwardScanDirection, range->slot))
	{
		EndRange(range);
		return NULL;
	}
	range->type = DatumGetTextPCopy(Column(search, range->slot, COLUMN_TYPE));
	range->profile = (text *) pg_detoast_datum_copy((struct varlena *) RowProfile(search, range->slot));
	Settle(search, range, true);
	return range;
}

/* Note where the first range begins, because it took long to find. */
static void
SetMark(const Range *range, TimestampTz now)
{
	if (mark.type != NULL)
	{
		pfree(mark.type);
		pfree(mark.profile);
	}
	mark.type = memcpy(MemoryContextAlloc(TopMemoryContext, VARSIZE_ANY(range->type)),
					   range->type, VARSIZE_ANY(range->type));
	mark.profile = memcpy(MemoryContextAlloc(TopMemoryContext, VARSIZE_ANY(range->profile)),
						  range->profile, VARSIZE_ANY(range->profile));
	mark.key = range->key;
	mark.until = now + MARK_LIFE_US;
}

/*
 * Open the first range at the mark, or at what has a higher priority.
 */
static Range *
OpenAtMark(ClaimSearch *search)
{
	ScanKeyData keys[4];
	Range	   *range;

	InitTextKey(&keys[0], 1, search->index, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(mark.type));
	InitTextKey(&keys[1], 2, search->index, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(mark.profile));
	InitKey(&keys[2], 3, BTGreaterStrategyNumber, F_INT2GT, Int16GetDatum(mark.key.priority));
	range = mark.key.priority == PG_INT16_MAX ? NULL :
		OpenRange(search, keys, 3, true, mark.key.priority + 1);
	if (range != NULL && range->is_open)
		return range;
	InitKey(&keys[2], 3, BTEqualStrategyNumber, F_INT2EQ, Int16GetDatum(mark.key.priority));
	InitKey(&keys[3], 4, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE,
			TimestampTzGetDatum(mark.key.available_at));
	return OpenRange(search, keys, 4, true, mark.key.priority);
}

/*
 * Open the first range of all.
 */
static Range *
OpenFirstRange(ClaimSearch *search)
{
	TimestampTz begin = GetCurrentTimestamp();
	Range	   *range = NULL;

	if (begin < mark.until)
		range = OpenAtMark(search);
	if (range != NULL && range->is_open)
		return range;
	mark.until = 0;
	range = OpenRange(search, NULL, 0, false, 0);
	if (range != NULL && range->is_open)
	{
		TimestampTz end = GetCurrentTimestamp();

		if (end - begin > SLOW_START_US)
			SetMark(range, end);
	}
	return range;
}

/*
 * Whether a range is the last one: it is when the index ends in it.
 */
static bool
IsLastRange(ClaimSearch *search, const text *type, const text *profile)
{
	IndexScanDesc scan = CompatBeginIndexScan(search->workflows, search->index, search->snapshot, 0);
	bool		is_last;

	index_rescan(scan, NULL, 0, NULL, 0);
	is_last = index_getnext_slot(scan, BackwardScanDirection, search->other) &&
		TextEquals(DatumGetTextPP(Column(search, search->other, COLUMN_TYPE)), type) &&
		TextEquals(RowProfile(search, search->other), profile);
	ExecClearTuple(search->other);
	index_endscan(scan);
	return is_last;
}

/* Whether the caller wants workflows of that type. */
static bool
IsWantedType(ClaimSearch *search, const text *type)
{
	if (search->types == NULL)
		return true;
	for (int i = 0; i < search->type_count; i++)
	{
		if (TextEquals(DatumGetTextPP(search->types[i]), type))
			return true;
	}
	return false;
}

/*
 * Open all ranges that the caller may take from: from the first on, the next
 * profile of its type, then the next type.
 */
static List *
OpenRanges(ClaimSearch *search)
{
	List	   *ranges = NIL;
	ScanKeyData keys[2];
	Range	   *range = OpenFirstRange(search);
	text	   *type = NULL;
	bool		is_first = true;

	for (;;)
	{
		text	   *profile;

		if (range == NULL)
		{
			if (type == NULL)
				return ranges;
			InitTextKey(&keys[0], 1, search->index, BTGreaterStrategyNumber, F_TEXT_GT,
						PointerGetDatum(type));
			range = OpenRange(search, keys, 1, false, 0);
			if (range == NULL)
				return ranges;
		}
		type = range->type;
		profile = range->profile;
		if (range->is_open && IsWantedType(search, type) && !IsOverBudget(search->spent, profile, NULL) &&
			(search->profile == NULL || TextEquals(search->profile, profile)))
			ranges = lappend(ranges, range);
		else
			EndRange(range);
		if (is_first && IsLastRange(search, type, profile))
			return ranges;
		is_first = false;
		InitTextKey(&keys[0], 1, search->index, BTEqualStrategyNumber, F_TEXTEQ,
					PointerGetDatum(type));
		InitTextKey(&keys[1], 2, search->index, BTGreaterStrategyNumber, F_TEXT_GT,
					PointerGetDatum(profile));
		range = OpenRange(search, keys, 2, false, 0);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Whether a worktree is known to be busy, from an earlier row of this claim. */
static bool
IsKnownBusy(ClaimSearch *search, const char *worktree)
{
	ListCell   *cell;

	foreach(cell, search->busy_worktrees)
	{
		if (strcmp(lfirst(cell), worktree) == 0)
			return true;
	}
	return false;
}

/*
 * Lock the worktree of the row in a slot, if nobody is active there. One that
 * is busy for certain is remembered, and the workflow stands aside.
 */
static bool
LockWorktree(ClaimSearch *search, TupleTableSlot *slot, char **worktree)
{
	bool		certain;

	*worktree = TextDatumGetCString(Column(search, slot, COLUMN_WORKTREE));
	if (!IsKnownBusy(search, *worktree))
	{
		if (!TryLockText(LOCK_WORKTREE, *worktree))
			return false;
		if (!WorktreeIsBusy(search->workflows, search->active,
							Column(search, slot, COLUMN_WORKTREE), search->other, &certain))
			return true;
		UnlockText(LOCK_WORKTREE, *worktree);
		if (!certain)
			return false;
		search->busy_worktrees = lcons(*worktree, search->busy_worktrees);
	}
	if (search->parked < MAX_PARKED)
	{
		/* The range still needs its slot: the scan goes on from there. */
		ExecCopySlot(search->other, slot);
		search->other->tts_tid = slot->tts_tid;
		Park(search->workflows, search->other, search->snapshot);
		ExecClearTuple(search->other);
		search->parked++;
	}
	return false;
}

/*
 * What the candidate's row says, for those who take it.
 */
static void
ReadCandidate(ClaimSearch *search, TupleTableSlot *slot, Candidate *candidate)
{
	candidate->id = *DatumGetUUIDP(Column(search, slot, COLUMN_ID));
	candidate->status = TextDatumGetCString(Column(search, slot, COLUMN_STATUS));
	candidate->profile = ColumnIsNull(search, slot, COLUMN_PROFILE) ? NULL :
		TextDatumGetCString(Column(search, slot, COLUMN_PROFILE));
	candidate->failures = DatumGetInt32(Column(search, slot, COLUMN_FAILURES));
	candidate->max_failures = DatumGetInt32(Column(search, slot, COLUMN_MAX_FAILURES));
	candidate->cancel_requested = DatumGetBool(Column(search, slot, COLUMN_CANCEL_REQUESTED));
}

/*
 * Whether somebody else has the row of a slot, or has changed it since the
 * snapshot: seen from the row itself, before any lock is tried, because the
 * first rows of the queue are those that all claims look at.
 */
static bool
IsOthers(ClaimSearch *search, TupleTableSlot *slot)
{
	HeapTupleHeader header = ExecFetchSlotHeapTuple(slot, false, NULL)->t_data;
	TransactionId locker = HeapTupleHeaderGetRawXmax(header);

	if ((header->t_infomask & (HEAP_XMAX_INVALID | HEAP_XMAX_IS_MULTI)) != 0 ||
		HEAP_XMAX_IS_KEYSHR_LOCKED(header->t_infomask) ||
		TransactionIdIsCurrentTransactionId(locker))
		return false;
	if (TransactionIdIsInProgress(locker))
		return true;
	if (HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask) || !TransactionIdDidCommit(locker))
		return false;
	search->changed = true;
	return true;
}

/*
 * Lock the first row of a range, if it can be claimed. false: look at the
 * next one, if the range is still open.
 */
static bool
TryRange(ClaimSearch *search, Range *range, Candidate *candidate)
{
	char	   *worktree;
	TM_Result	result;

	if (!range->limit_known)
	{
		range->limit = ProfileLimit(range->profile);
		range->limit_known = true;
		if (range->limit > 0 &&
			!HasFreeSlot(ProfileScope(text_to_cstring(range->profile)), range->limit))
		{
			EndRange(range);
			return false;
		}
	}
	if (StatusIs(search, range->slot, "failed") &&
		(DatumGetTimestampTz(Column(search, range->slot, COLUMN_RETRY_AT)) > search->now ||
		 DatumGetInt32(Column(search, range->slot, COLUMN_FAILURES)) >=
		 DatumGetInt32(Column(search, range->slot, COLUMN_MAX_FAILURES))))
		return false;
	if (IsOverBudget(search->spent, range->profile, &range->key.id) ||
		IsOthers(search, range->slot) || !LockWorktree(search, range->slot, &worktree))
		return false;

	ExecCopySlot(search->other, range->slot);
	search->other->tts_tid = range->slot->tts_tid;
	result = LockRow(search->workflows, search->other, search->snapshot, false);
	if (result != TM_Ok)
	{
		UnlockText(LOCK_WORKTREE, worktree);
		search->changed = search->changed || result == TM_Updated;
		return false;
	}
	ReadCandidate(search, search->other, candidate);
	candidate->profile_limit = range->limit;
	ExecClearTuple(search->other);
	return true;
}

/*
 * Find and lock what comes first, in the ranges and among the lost leases.
 */
static bool
SearchOnce(ClaimSearch *search, Candidate *candidate)
{
	List	   *ranges = OpenRanges(search);
	List	   *lost = FindLostLeases(search);
	bool		found = false;
	ListCell   *cell;

	while (!found)
	{
		Range	   *first = NULL;
		LostLease  *first_lost = lost == NIL ? NULL : linitial(lost);

		CHECK_FOR_INTERRUPTS();
		foreach(cell, ranges)
		{
			Range	   *range = lfirst(cell);

			if (range->is_open && (first == NULL || ClaimsBefore(&range->key, &first->key)))
				first = range;
		}
		if (first_lost != NULL && (first == NULL || ClaimsBefore(&first_lost->key, &first->key)))
		{
			lost = list_delete_first(lost);
			found = TryLostLease(search, first_lost, candidate);
		}
		else if (first != NULL)
		{
			found = TryRange(search, first, candidate);
			if (!found && first->is_open)
				NextRow(search, first);
		}
		else
			break;
	}
	foreach(cell, ranges)
		EndRange(lfirst(cell));
	return found;
}

/*
 * Find and lock the workflow to claim; false when there is none.
 */
bool
FindCandidate(ClaimSearch *search, Candidate *candidate)
{
	static const char *const names[] = {
		[COLUMN_ID] = "id", [COLUMN_STATUS] = "status", [COLUMN_TYPE] = "workflow_type",
		[COLUMN_PROFILE] = "profile_id", [COLUMN_WORKTREE] = "worktree_path",
		[COLUMN_PRIORITY] = "priority", [COLUMN_AVAILABLE_AT] = "available_at",
		[COLUMN_RETRY_AT] = "retry_at", [COLUMN_FAILURES] = "failures",
		[COLUMN_MAX_FAILURES] = "max_failures", [COLUMN_CANCEL_REQUESTED] = "cancel_requested",
	};
	bool		found = false;
	bool		looked = false;

	search->workflows = OpenTable("workflows", RowExclusiveLock);
	search->index = OpenIndex("idx_workflows_claim", RowExclusiveLock);
	search->active = OpenIndex("idx_workflows_active_worktree", RowExclusiveLock);
	search->other = table_slot_create(search->workflows, NULL);
	for (size_t i = 0; i < lengthof(names); i++)
		search->columns[i] = ColumnNumber(RelationGetDescr(search->workflows), names[i]);

	LookAfterParked(search->workflows, search->active, search->now, false);
	for (int retries = 0; !found; retries++)
	{
		search->changed = false;
		search->snapshot = RegisterSnapshot(GetLatestSnapshot());
		found = SearchOnce(search, candidate);
		UnregisterSnapshot(search->snapshot);
		if (!found && search->changed && retries < MAX_RETRIES)
			continue;
		if (found || looked ||
			!LookAfterParked(search->workflows, search->active, search->now, true))
			break;
		looked = true;
	}
	ExecDropSingleTupleTableSlot(search->other);
	index_close(search->active, NoLock);
	index_close(search->index, NoLock);
	table_close(search->workflows, NoLock);
	return found;
}
