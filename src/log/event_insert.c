/*-------------------------------------------------------------------------
 *
 * event_insert.c
 *	  Events into the log without the detour of an INSERT statement.
 *
 *	  A third of a batch's time in a statement goes into queries that ask
 *	  whether the workflow is there, whose row we hold locked, and a single
 *	  event's into the plan. So where the door (base/door.c) is open, events
 *	  go through it; else the caller sends an INSERT.
 *
 *-------------------------------------------------------------------------
 */
#include "log/event_insert.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/door.h"
#include "base/row.h"
#include "feed/feed.h"
#include "log/event_json.h"

/* Behind the fields of an event, in the order of EventField. */
enum
{
	COLUMN_WORKFLOW_ID = EVENT_FIELDS,
	COLUMN_SEQUENCE,
	COLUMN_ALLOCATED
};

/*
 * Our triggers have nothing to do: the numbers are given, the lease is
 * checked, and the feed is told of all at once.
 */
static DoorUse use = {
	.table = "workflow_log",
	.command = CMD_INSERT,
	.for_caller = true,
	.held_keys = {{"workflow_id", "workflows"}, {"parent_id", "workflow_log"}},
	.columns = {
		[EVENT_TYPE] = {"event_type", TEXTOID, false},
		[EVENT_MESSAGE] = {"message", TEXTOID, false},
		[EVENT_LEVEL] = {"level", TEXTOID, false},
		[EVENT_AGENT] = {"agent", TEXTOID, true},
		[EVENT_DATA] = {"data", JSONBOID, true},
		[EVENT_IS_ERROR] = {"is_error", BOOLOID, false},
		[EVENT_TIMESTAMP] = {"timestamp", TIMESTAMPTZOID, false},
		[EVENT_ID] = {"id", UUIDOID, false},
		[EVENT_CORRELATION_ID] = {"correlation_id", TEXTOID, true},
		[EVENT_TOOL_NAME] = {"tool_name", TEXTOID, true},
		[EVENT_TOOL_INPUT] = {"tool_input", JSONBOID, true},
		[EVENT_TRACE_ID] = {"trace_id", TEXTOID, true},
		[EVENT_PARENT_ID] = {"parent_id", UUIDOID, true},
		[COLUMN_WORKFLOW_ID] = {"workflow_id", UUIDOID, false},
		[COLUMN_SEQUENCE] = {"sequence", INT4OID, false},
		[COLUMN_ALLOCATED] = {"sequence_allocated", BOOLOID, false},
	},
	.triggers = {
		{"zzz_allocate_sequence", "allocate_sequence"},
		{"zzz_note_event", "note_event"},
	},
};

/*
 * Whether the current user's events may go in directly.
 */
bool
MayInsertDirectly(Relation log)
{
	return DoorIsOpen(&use, log);
}

/*
 * Look for an event by its id; and who inserts or deletes it, if that is a
 * transaction that is still open.
 */
static bool
ProbeEvent(Relation log, Relation index, Datum id, TupleTableSlot *slot, TransactionId *writer)
{
	SnapshotData dirty;
	IndexScanDesc scan;
	ScanKeyData key;
	bool		found;

	InitDirtySnapshot(dirty);
	scan = CompatBeginIndexScan(log, index, &dirty, 1);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, id);
	index_rescan(scan, &key, 1, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	index_endscan(scan);
	*writer = TransactionIdIsValid(dirty.xmin) ? dirty.xmin : dirty.xmax;
	return found;
}

/*
 * Whether one of the events is there already. Who is about to insert or
 * delete it is waited for, as an INSERT does. MayInsertDirectly() must have
 * said yes.
 */
bool
IsAnyStored(Relation log, const Event *events, int count)
{
	Relation	index = OpenIndex(log, "workflow_log_pkey", AccessShareLock);
	TupleTableSlot *slot = table_slot_create(log, NULL);
	bool		found = false;

	for (int i = 0; i < count && !found; i++)
	{
		TransactionId writer = InvalidTransactionId;

		if (events[i].nulls[EVENT_ID])
			continue;
		while ((found = ProbeEvent(log, index, events[i].values[EVENT_ID], slot, &writer)) &&
			   TransactionIdIsValid(writer))
		{
			ItemPointerData place = slot->tts_tid;

			ExecClearTuple(slot);
			XactLockTableWait(writer, log, &place, XLTW_InsertIndex);
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	return found;
}

/*
 * Begin to insert: what can be done before the workflow is locked, so that
 * it is locked for a shorter time.
 */
DoorWrite *
BeginInsert(Relation log, const Event *events, int count)
{
	bool		has_parents = false;

	for (int i = 0; i < count; i++)
		has_parents = has_parents || !events[i].nulls[EVENT_PARENT_ID];

	/*
	 * We hold the workflow's row; without parents there is nothing to look
	 * for.
	 */
	return BeginDoorWrite(&use, log, has_parents ? 1 : 2);
}

static void
FillSlot(DoorWrite *write, const Event *event, Datum workflow, int32 sequence)
{
	TupleTableSlot *slot = write->slot;
	Datum		own[] = {workflow, Int32GetDatum(sequence), BoolGetDatum(true)};

	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	for (int i = 0; i < EVENT_FIELDS; i++)
	{
		slot->tts_values[write->columns[i] - 1] = event->values[i];
		slot->tts_isnull[write->columns[i] - 1] = event->nulls[i];
	}
	for (size_t i = 0; i < lengthof(own); i++)
	{
		slot->tts_values[write->columns[COLUMN_WORKFLOW_ID + i] - 1] = own[i];
		slot->tts_isnull[write->columns[COLUMN_WORKFLOW_ID + i] - 1] = false;
	}
	ExecStoreVirtualTuple(slot);
}

/*
 * Insert the events, in which nothing may be missing, with numbers from first
 * on. Their workflow must be locked.
 */
void
FinishInsert(DoorWrite *write, const Event *events, int count, Datum workflow, int32 first)
{
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		FillSlot(write, &events[i], workflow, first + i);
		DoorInsert(write);
	}
	EndDoorWrite(write);
	NoteEvents(DatumGetUUIDP(workflow), first, first + count - 1);
}
