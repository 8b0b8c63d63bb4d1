/*-------------------------------------------------------------------------
 *
 * parking.c
 *	  Workflows that wait for their worktree stand aside.
 *
 *	  Only one workflow of a worktree is active, and thousands may wait for
 *	  it. If each claim walked past them, it would take as long as they are
 *	  many. So a claim that meets some marks them as parked, which takes them
 *	  out of the index that claims read, and when the active one ends, the
 *	  first of them is taken back in.
 *
 *	  No lock keeps the two apart: that would make a claim wait for appends,
 *	  or appends for a claim whose transaction stays open. So one may be
 *	  parked while the active one ends and does not see it. Claims look after
 *	  that: once a second each session looks through the worktrees that have
 *	  parked workflows, some at a time, and so does a claim that finds
 *	  nothing else.
 *
 *-------------------------------------------------------------------------
 */
#include "queue/parking.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/door.h"
#include "base/row.h"
#include "base/trigger.h"
#include "queue/passed_over.h"

PG_FUNCTION_INFO_V1(amelia_unpark_next);

/* How often a session looks through them, and how many worktrees then. */
#define LOOK_INTERVAL_MS 1000
#define LOOK_WORKTREES 50

/* A mark of the library's own: no trigger of ours has to do with it. */
static DoorUse use = {
	.table = "workflows",
	.command = CMD_UPDATE,
	.key = "id",
	.columns = {{"parked", BOOLOID, false}},
	.triggers = {
		{"zzz_check_budgets", "check_workflow_budgets"},
		{"zzz_workflow_update", "enforce_workflow_update"},
		{"zzz_note_status", "note_status"},
		{"zzz_end_lease", "end_lease"},
		{"zzz_unpark_next", "unpark_next"},
	},
};

/*
 * Mark a workflow, whose row the slot holds, as parked, unless somebody looks
 * at it.
 */
void
Park(Relation workflows, TupleTableSlot *slot, Snapshot snapshot)
{
	RowEdit		edit = {0};

	if (LockRow(workflows, slot, snapshot, false) != TM_Ok)
		return;
	EditColumn(&edit, "parked", BOOLOID, BoolGetDatum(true), false);
	UpdateRow(&use, workflows, slot, &edit);
}

/* A workflow whose row is locked, to be let back in. */
typedef struct Unparked
{
	Relation	workflows;
	TupleTableSlot *slot;
} Unparked;

static void
Unpark(void *state)
{
	Unparked   *unparked = state;
	RowEdit		edit = {0};

	EditColumn(&edit, "parked", BOOLOID, BoolGetDatum(false), false);
	UpdateRow(&use, unparked->workflows, unparked->slot, &edit);
}

/*
 * Let claims see a parked workflow, whose row a slot holds. false when
 * somebody looks at it, or it cannot be moved: then the next one may come.
 */
static bool
TryUnpark(Relation workflows, TupleTableSlot *slot, Snapshot latest)
{
	Unparked	unparked = {workflows, slot};
	pg_uuid_t	id = *DatumGetUUIDP(RowColumn(workflows, slot, "id", UUIDOID, NULL));
	bool		is_kept;
	ErrorData  *fault;

	if ((MayBePassedOver() && IsPassedOver(&id, GetCurrentTimestamp(), &is_kept)) ||
		LockRow(workflows, slot, latest, false) != TM_Ok)
		return false;
	fault = TryWork(Unpark, &unparked);
	if (fault != NULL)
		PassOver(&id, fault);
	return fault == NULL;
}

/*
 * Let claims see the first one that waits for a worktree. Those that somebody
 * looks at, and those that cannot be moved, are passed over.
 */
static bool
UnparkFirst(Relation workflows, Relation index, Datum worktree)
{
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(workflows, NULL);
	IndexScanDesc scan = CompatBeginIndexScan(workflows, index, latest, 1);
	bool		found = false;
	ScanKeyData key;

	InitTextKey(&key, 1, index, BTEqualStrategyNumber, F_TEXTEQ, worktree);
	index_rescan(scan, &key, 1, NULL, 0);
	while (!found && index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		ExecMaterializeSlot(slot);
		found = TryUnpark(workflows, slot, latest);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(latest);
	return found;
}

/*
 * Whether a workflow is active in the worktree, or about to be: what others
 * have not committed counts. certain: it is, and nobody is about to end it.
 */
bool
WorktreeIsBusy(Relation workflows, Relation active, Datum worktree, TupleTableSlot *slot,
			   bool *certain)
{
	SnapshotData dirty;
	ScanKeyData key;
	bool		found;

	InitDirtySnapshot(dirty);
	InitTextKey(&key, 1, active, BTEqualStrategyNumber, F_TEXTEQ, worktree);
	found = FindRow(workflows, active, &key, 1, &dirty, slot);
	*certain = found && !TransactionIdIsValid(dirty.xmin) && !TransactionIdIsValid(dirty.xmax);
	ExecClearTuple(slot);
	return found;
}

/*
 * The first worktree with parked workflows behind one, as a copy; NULL when
 * there is none.
 */
static text *
NextParkedWorktree(Relation workflows, Relation index, const text *behind, TupleTableSlot *slot)
{
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData key;
	text	   *worktree = NULL;

	if (behind != NULL)
		InitTextKey(&key, 1, index, BTGreaterStrategyNumber, F_TEXT_GT, PointerGetDatum(behind));
	if (FindRow(workflows, index, &key, behind != NULL ? 1 : 0, latest, slot))
	{
		bool		is_null;
		Datum		value = RowColumn(workflows, slot, "worktree_path", TEXTOID, &is_null);

		/* They come last, where somebody has dropped the CHECK. */
		if (!is_null)
			worktree = DatumGetTextPCopy(value);
	}
	ExecClearTuple(slot);
	UnregisterSnapshot(latest);
	return worktree;
}

/*
 * Look for workflows that are parked though their worktree is free. at_once:
 * the caller found nothing else. Returns whether there were any.
 */
bool
LookAfterParked(Relation workflows, Relation active, TimestampTz now, bool at_once)
{
	static TimestampTz looked_at = 0;
	static text *last = NULL;
	Relation	index;
	TupleTableSlot *slot;
	text	   *worktree = last;
	bool		any = false;

	/* A clock that was set back is no reason to wait. */
	if (!at_once && now >= looked_at && !TimestampDifferenceExceeds(looked_at, now, LOOK_INTERVAL_MS))
		return false;
	looked_at = now;
	index = OpenIndex(workflows, "idx_workflows_parked", RowExclusiveLock);
	slot = table_slot_create(workflows, NULL);
	for (int i = 0; i < LOOK_WORKTREES; i++)
	{
		bool		certain;

		worktree = NextParkedWorktree(workflows, index, worktree, slot);
		if (worktree == NULL)
			break;
		if (!WorktreeIsBusy(workflows, active, PointerGetDatum(worktree), slot, &certain) &&
			UnparkFirst(workflows, index, PointerGetDatum(worktree)))
			any = true;
		CHECK_FOR_INTERRUPTS();
	}
	/* The next look goes on where this one stopped. */
	if (last != NULL)
		pfree(last);
	last = worktree == NULL ? NULL :
		(text *) memcpy(MemoryContextAlloc(TopMemoryContext, VARSIZE_ANY(worktree)),
						worktree, VARSIZE_ANY(worktree));
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	return any;
}

/*
 * A workflow has left a worktree: the first one that waits for it may come.
 */
void
UnparkNext(Relation workflows, Datum worktree)
{
	Relation	index = OpenIndex(workflows, "idx_workflows_parked", RowExclusiveLock);

	UnparkFirst(workflows, index, worktree);
	index_close(index, NoLock);
}

/*
 * unpark_next() returns trigger
 *
 * A workflow that is no longer active, or no longer waits, makes room in its
 * worktree.
 */
Datum
amelia_unpark_next(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	bool		is_delete = CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_BY_DELETE(data->tg_event);
	bool		is_null;
	Datum		worktree;

	data = GetTriggerData(fcinfo, "unpark_next", TRIGGER_EVENT_AFTER,
						  is_delete ? TRIGGER_EVENT_DELETE : TRIGGER_EVENT_UPDATE, true);
	worktree = heap_getattr(data->tg_trigtuple,
							OurColumn(data->tg_relation, "worktree_path", TEXTOID),
							RelationGetDescr(data->tg_relation), &is_null);
	if (!is_null)
		UnparkNext(data->tg_relation, worktree);
	return PointerGetDatum(NULL);
}
