/*-------------------------------------------------------------------------
 *
 * feed.c
 *	  The live feed: a narrow table of what happened, over all workflows.
 *
 *	  Triggers note in memory which events and which changes of a status a
 *	  transaction brings. As the last thing before it commits, the notes
 *	  become rows of workflow_feed, with its transaction id: one row for each
 *	  run of events, however many they are. They get their ids while the
 *	  workflow's row is still locked, so for each workflow the order of the
 *	  ids is the order of its events. After the commit, who waits for one of
 *	  the workflows is woken.
 *
 *	  A reader's cursor is a snapshot, and feed_after() returns what is
 *	  visible now and was not in that one: what commits late is met later,
 *	  and a transaction that stays open holds up nothing but itself.
 *
 *-------------------------------------------------------------------------
 */
#include "feed.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "catalog/namespace.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "fence.h"
#include "row.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(amelia_note_event);
PG_FUNCTION_INFO_V1(amelia_note_status);
PG_FUNCTION_INFO_V1(amelia_feed_identity);
PG_FUNCTION_INFO_V1(amelia_feed_snapshot);

/* A run of events, or a new status. */
typedef struct FeedNote
{
	struct FeedNote *next;		/* the one before */
	pg_uuid_t	workflow;
	int32		first;			/* 0: the note is of a status */
	int32		last;
	char		status[16];
	int			level;			/* of the subtransaction that it belongs to */
} FeedNote;

static bool amelia_feed = true;

/* The newest first; in TopTransactionContext. */
static FeedNote *notes = NULL;

static FeedNote *
AddNote(const pg_uuid_t *workflow)
{
	FeedNote   *note = MemoryContextAllocZero(TopTransactionContext, sizeof(FeedNote));

	note->workflow = *workflow;
	note->level = GetCurrentTransactionNestLevel();
	note->next = notes;
	notes = note;
	return note;
}

/*
 * Note events that this transaction brings; those that follow the ones before
 * only prolong their note.
 */
void
NoteEvents(const pg_uuid_t *workflow, int32 first, int32 last)
{
	FeedNote   *note = notes;

	if (!amelia_feed && !AnyoneWaits())
		return;
	if (note != NULL && note->first > 0 && note->last + 1 == first &&
		note->level == GetCurrentTransactionNestLevel() &&
		memcmp(&note->workflow, workflow, sizeof(pg_uuid_t)) == 0)
	{
		note->last = last;
		return;
	}
	note = AddNote(workflow);
	note->first = first;
	note->last = last;
}

/*
 * note_event() returns trigger
 */
Datum
amelia_note_event(PG_FUNCTION_ARGS)
{
	TriggerData *data = GetTriggerData(fcinfo, "note_event",
									   TRIGGER_EVENT_AFTER, TRIGGER_EVENT_INSERT, true);
	TupleDesc	tupdesc = RelationGetDescr(data->tg_relation);
	bool		is_null;
	pg_uuid_t  *workflow = DatumGetUUIDP(heap_getattr(data->tg_trigtuple, ColumnNumber(tupdesc, "workflow_id"),
													  tupdesc, &is_null));
	int32		sequence = DatumGetInt32(heap_getattr(data->tg_trigtuple, ColumnNumber(tupdesc, "sequence"),
													  tupdesc, &is_null));

	if (MayBeFenced())
		FenceWorkflow(workflow, false);
	NoteEvents(workflow, sequence, sequence);
	return PointerGetDatum(NULL);
}

/*
 * Note a workflow's new status.
 */
void
NoteStatus(const pg_uuid_t *workflow, const char *status)
{
	if (amelia_feed)
		strlcpy(AddNote(workflow)->status, status, sizeof(notes->status));
}

/*
 * note_status() returns trigger
 */
Datum
amelia_note_status(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	bool		is_update = CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_BY_UPDATE(data->tg_event);
	HeapTuple	row;
	TupleDesc	tupdesc;
	bool		is_null;

	data = GetTriggerData(fcinfo, "note_status", TRIGGER_EVENT_AFTER,
						  is_update ? TRIGGER_EVENT_UPDATE : TRIGGER_EVENT_INSERT, true);
	row = is_update ? data->tg_newtuple : data->tg_trigtuple;
	tupdesc = RelationGetDescr(data->tg_relation);
	NoteStatus(DatumGetUUIDP(heap_getattr(row, ColumnNumber(tupdesc, "id"), tupdesc, &is_null)),
			   TextDatumGetCString(heap_getattr(row, ColumnNumber(tupdesc, "status"), tupdesc, &is_null)));
	return PointerGetDatum(NULL);
}

/*
 * Write the notes, in the order in which they were made.
 */
static void
WriteNotes(void)
{
	Oid			schema = get_namespace_oid(AMELIA_SCHEMA, true);
	Oid			sequence;
	Relation	table;
	FeedNote   *first = NULL;
	FullTransactionId xid;

	/* Somebody has dropped the table, or it is not there yet. */
	if (!OidIsValid(schema) || !OidIsValid(get_relname_relid("workflow_feed", schema)))
		return;
	sequence = get_relname_relid("workflow_feed_id_seq", schema);
	for (FeedNote *note = notes, *before; note != NULL; note = before)
	{
		before = note->next;
		note->next = first;
		first = note;
	}
	notes = first;
	xid = GetTopFullTransactionId();
	table = OpenTable("workflow_feed", RowExclusiveLock);
	for (FeedNote *note = notes; note != NULL; note = note->next)
	{
		RowEdit		row = {0};
		bool		is_status = note->first == 0;

		CHECK_FOR_INTERRUPTS();
		EditColumn(&row, table, "id", Int64GetDatum(nextval_internal(sequence, false)), false);
		EditColumn(&row, table, "xid", FullTransactionIdGetDatum(xid), false);
		EditColumn(&row, table, "written_at", TimestampTzGetDatum(GetCurrentTimestamp()), false);
		EditColumn(&row, table, "workflow_id", UUIDPGetDatum(&note->workflow), false);
		EditColumn(&row, table, "first_sequence", Int32GetDatum(note->first), is_status);
		EditColumn(&row, table, "last_sequence", Int32GetDatum(note->last), is_status);
		EditColumn(&row, table, "moved_to", is_status ? CStringGetTextDatum(note->status) : (Datum) 0,
				   !is_status);
		InsertRow(table, &row);
	}
	table_close(table, NoLock);
}

/*
 * Wake whoever waits for what was committed.
 */
static void
TellWaiters(void)
{
	if (!AnyoneWaits())
		return;
	for (FeedNote *note = notes; note != NULL; note = note->next)
	{
		if (note->first > 0)
			WakeWaiters(&note->workflow);
	}
}

static void
FeedAtEnd(XactEvent event, void *arg)
{
	if (notes == NULL)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			if (amelia_feed)
				WriteNotes();
			break;
		case XACT_EVENT_COMMIT:
			TellWaiters();
			notes = NULL;
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			notes = NULL;
			break;
		default:
			break;
	}
}

static void
FeedAtSubEnd(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		while (notes != NULL && notes->level >= level)
			notes = notes->next;
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (FeedNote *note = notes; note != NULL && note->level >= level; note = note->next)
			note->level = level - 1;
	}
}

/*
 * feed_identity() returns text
 *
 * Which cluster and database transaction ids are of: in another one they mean
 * nothing.
 */
Datum
amelia_feed_identity(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(UINT64_FORMAT ".%u", GetSystemIdentifier(), MyDatabaseId)));
}

/*
 * Where the log has got to. The position that the server gives lies behind
 * the header of a page that has nothing on it yet, which cannot be flushed.
 */
static XLogRecPtr
EndOfLog(void)
{
	XLogRecPtr	end = GetXLogInsertRecPtr();

	if (XLogSegmentOffset(end, wal_segment_size) == SizeOfXLogLongPHD)
		end -= SizeOfXLogLongPHD;
	else if (end % XLOG_BLCKSZ == SizeOfXLogShortPHD)
		end -= SizeOfXLogShortPHD;
	return end;
}

/*
 * feed_snapshot() returns pg_snapshot
 *
 * A transaction that was rolled back need not be on disk. After a crash the
 * server would give its number again, and a reader whose cursor has it in its
 * past would miss what comes under it. So the log is flushed up to here: it
 * has a record of each transaction that had ended when the snapshot was taken.
 */
Datum
amelia_feed_snapshot(PG_FUNCTION_ARGS)
{
	Datum		snapshot = DirectFunctionCall1(pg_current_snapshot, (Datum) 0);

	if (!RecoveryInProgress())
		XLogFlush(EndOfLog());
	return snapshot;
}

/*
 * Called once, when the library is loaded.
 */
void
InitFeed(void)
{
	DefineCustomBoolVariable("amelia.feed",
							 "Whether what happens is noted for feed_after().",
							 NULL,
							 &amelia_feed, true,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	RegisterXactCallback(FeedAtEnd, NULL);
	RegisterSubXactCallback(FeedAtSubEnd, NULL);
}
