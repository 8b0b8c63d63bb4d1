/*-------------------------------------------------------------------------
 *
 * claim.c
 *	  Claiming: of what is waiting, the first one that nobody else looks at.
 *
 *	  A claim reads the queue (claim_order.c) and what lies beside it, the leases
 *	  that ran out (takeover.c), in one order. Its cost depends neither on how
 *	  many wait, and of how many profiles, nor on how many cannot be taken: those
 *	  of a profile at its limit are passed over in the index or left out
 *	  (claim_order.c), and what waits for a worktree stands aside (parking.c).
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
#include "queue/claim.h"

#include "access/genam.h"
#include "access/htup_details.h"
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
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/sequence.h"
#include "base/trigger.h"
#include "usage/spent_budgets.h"
#include "lease/slot.h"
#include "queue/candidate.h"
#include "queue/claim_order.h"
#include "queue/closed_profiles.h"
#include "queue/parking.h"
#include "queue/passed_over.h"
#include "queue/takeover.h"

/* Workflows that one claim parks at most. */
#define MAX_PARKED 1000

/* Rescans because of workflows that changed while they were looked at. */
#define MAX_RETRIES 3

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
 * Lock the worktree of the row in a slot, if nobody is active there; NULL is
 * none, and never busy. One that is busy for certain is remembered, and the
 * workflow stands aside.
 */
static bool
LockWorktree(ClaimSearch *search, TupleTableSlot *slot, char **worktree)
{
	bool		certain;
	bool		is_null;
	Datum		path = slot_getattr(slot, search->columns[COLUMN_WORKTREE], &is_null);

	*worktree = is_null ? NULL : TextDatumGetCString(path);
	if (is_null)
		return true;
	if (!IsKnownBusy(search, *worktree))
	{
		if (!TryLockText(LOCK_WORKTREE, *worktree))
			return false;
		if (!WorktreeIsBusy(search->workflows, search->active, path, search->other, &certain))
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
 * Lock the row of a range that is come to, if it can be claimed.
 */
static bool
TryRow(ClaimSearch *search, Range *range, int32 limit, Candidate *candidate)
{
	char	   *worktree;
	TM_Result	result;
	pg_uuid_t  *ids;
	int			count;

	ids = palloc(search->look_ahead * sizeof(pg_uuid_t));
	count = LookAhead(search, range, ids, WantsLookAhead(search) ? search->look_ahead : 1);
	if (!MayTake(search, ids, count) || !LockWorktree(search, range->slot, &worktree))
		return false;
	ExecCopySlot(search->other, range->slot);
	search->other->tts_tid = range->slot->tts_tid;
	result = LockRow(search->workflows, search->other, search->snapshot, false);
	if (result != TM_Ok)
	{
		if (worktree != NULL)
			UnlockText(LOCK_WORKTREE, worktree);
		search->changed = search->changed || result == TM_Updated;
		return false;
	}
	ReadCandidate(search, search->other, candidate);
	candidate->profile_limit = limit;
	return true;
}

/*
 * Lock the first row of a range, if it can be claimed. false: look at the
 * next one, if the range is still open.
 */
static bool
TryRange(ClaimSearch *search, Range *range, Candidate *candidate)
{
	text	   *profile = QueueText(search, range->slot, COLUMN_PROFILE);
	int32		limit;

	if (IsHidden(search, &range->key.id))
		return false;
	if (!ProfileHasRoom(search, profile, &limit))
	{
		if (range->profile != NULL)
			EndRange(range);
		return false;
	}
	if (StatusIs(search, range->slot, "failed") &&
		(DatumGetTimestampTz(QueueColumn(search, range->slot, COLUMN_RETRY_AT)) > search->now ||
		 DatumGetInt32(QueueColumn(search, range->slot, COLUMN_FAILURES)) >=
		 DatumGetInt32(QueueColumn(search, range->slot, COLUMN_MAX_FAILURES))))
		return false;
	if (IsOverBudget(search->spent, profile, &range->key.id) ||
		IsOthers(search, range->slot) || !ComeTo(search, &range->key.id))
		return false;
	if (TryRow(search, range, limit, candidate))
		return true;
	LeaveRow(search);
	return false;
}

/*
 * Find and lock what comes first, in the ranges and among the lost leases.
 */
static bool
SearchThisWay(ClaimSearch *search, Candidate *candidate)
{
	List	   *ranges;
	LostLeases	leases;
	List	   *lost;
	bool		found = false;
	ListCell   *cell;

	search->gave_up = false;
	ranges = OpenRanges(search);
	BeginLostLeases(search, &leases);
	lost = NextLostLeases(search, &leases);
	while (!found && !search->gave_up)
	{
		Range	   *first = NULL;
		ClaimKey   *first_lost = lost == NIL ? NULL : linitial(lost);

		CHECK_FOR_INTERRUPTS();
		foreach(cell, ranges)
		{
			Range	   *range = lfirst(cell);

			if (range->is_open && (first == NULL || ClaimsBefore(&range->key, &first->key)))
				first = range;
		}
		if (first_lost != NULL && (first == NULL || ClaimsBefore(first_lost, &first->key)))
		{
			found = ComeTo(search, &first_lost->id) && TryLostLease(search, lost, candidate);
			if (!found)
				LeaveRow(search);
			lost = list_delete_first(lost);
			if (lost == NIL && !found)
				lost = NextLostLeases(search, &leases);
		}
		else if (first != NULL)
		{
			found = TryRange(search, first, candidate);
			if (found)
				MarkFound(search, first);
			else if (first->is_open)
				NextRow(search, first);
		}
		else
			break;
	}
	EndLostLeases(&leases);
	foreach(cell, ranges)
		EndRange(lfirst(cell));
	return found;
}

/*
 * The same, the longer ways if need be.
 */
static bool
SearchOnce(ClaimSearch *search, Candidate *candidate)
{
	bool		found;

	search->changed = search->at_mark = false;
	search->skipped = 0;
	search->way = WAY_IN_ORDER;
	found = SearchThisWay(search, candidate);
	while (!found && search->gave_up && search->way != WAY_TO_THE_END)
	{
		search->way++;
		found = SearchThisWay(search, candidate);
	}
	return found;
}

/*
 * Open what FindCandidate() looks at.
 */
void
BeginSearch(ClaimSearch *search)
{
	static const struct
	{
		const char *name;
		Oid			type;
	}			columns[CLAIM_COLUMNS] =
	{
		[COLUMN_ID] = {"id", UUIDOID},[COLUMN_STATUS] = {"status", TEXTOID},
		[COLUMN_TYPE] = {"workflow_type", TEXTOID},[COLUMN_PROFILE] = {"profile_id", TEXTOID},
		[COLUMN_WORKTREE] = {"worktree_path", TEXTOID},[COLUMN_PRIORITY] = {"priority", INT2OID},
		[COLUMN_AVAILABLE_AT] = {"available_at", TIMESTAMPTZOID},
		[COLUMN_RETRY_AT] = {"retry_at", TIMESTAMPTZOID},[COLUMN_FAILURES] = {"failures", INT4OID},
		[COLUMN_MAX_FAILURES] = {"max_failures", INT4OID},
		[COLUMN_CANCEL_REQUESTED] = {"cancel_requested", BOOLOID},
	};

	search->is_at_row = false;
	search->may_be_passed_over = MayBePassedOver();
	search->workflows = OpenTable("workflows", RowExclusiveLock);
	search->order = OpenIndex(search->workflows, "idx_workflows_claim_order", RowExclusiveLock);
	search->index = OpenIndex(search->workflows, "idx_workflows_claim", RowExclusiveLock);
	search->active = OpenIndex(search->workflows, "idx_workflows_active_worktree", RowExclusiveLock);
	search->other = table_slot_create(search->workflows, NULL);
	for (size_t i = 0; i < lengthof(columns); i++)
		search->columns[i] = ColumnOfType(RelationGetDescr(search->workflows),
										  columns[i].name, columns[i].type);
	search->order_has_profile = search->order->rd_index->indnatts >= ORDER_PROFILE &&
		search->order->rd_index->indkey.values[ORDER_PROFILE - 1] == search->columns[COLUMN_PROFILE];
	search->look_ahead = 1;
	search->has_policies =
		check_enable_rls(RelationGetRelid(search->workflows), InvalidOid, true) != RLS_NONE;
	LookAfterParked(search->workflows, search->active, search->now, false);
}

/*
 * Close it. The locks stay to the end of the transaction.
 */
void
EndSearch(ClaimSearch *search)
{
	ExecDropSingleTupleTableSlot(search->other);
	index_close(search->active, NoLock);
	index_close(search->index, NoLock);
	index_close(search->order, NoLock);
	table_close(search->workflows, NoLock);
}

/*
 * Find and lock the workflow to claim; false when there is none.
 */
bool
FindCandidate(ClaimSearch *search, Candidate *candidate)
{
	bool		found = false;
	bool		looked = false;

	LeaveRow(search);
	for (int retries = 0; !found; retries++)
	{
		search->snapshot = RegisterSnapshot(GetLatestSnapshot());
		found = SearchOnce(search, candidate);
		UnregisterSnapshot(search->snapshot);
		if (!found && ((search->changed && retries < MAX_RETRIES) || ForgetMark(search)))
			continue;
		if (found || looked ||
			!LookAfterParked(search->workflows, search->active, search->now, true))
			break;
		looked = true;
	}
	return found;
}
