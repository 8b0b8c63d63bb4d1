/*-------------------------------------------------------------------------
 *
 * feed.c
 *	  The live feed: a narrow table of what happened, over all workflows.
 *
 *	  Triggers note in memory which events and which changes of a status a
 *	  transaction brings. As the last thing before it commits, the notes
 *	  become rows of workflow_feed, with its transaction id: one row for each
 *	  run of events, however many they are (feed_write.c says when not). With
 *	  them goes the place where
 *	  the write-ahead log is then. The workflow's row is still locked, and who
 *	  locks it next finds the log further on: so for each workflow the order
 *	  of these places is that of its events, and nothing needs to be counted.
 *	  After the commit, who waits for one of the workflows is woken, and the
 *	  notifier has something to tell.
 *
 *	  A reader's cursor is a snapshot, and feed_after() returns what is
 *	  visible now and was not in that one: what commits late is met later,
 *	  and a transaction that stays open holds up nothing but itself.
 *	  feed_reader.c has more.
 *
 *-------------------------------------------------------------------------
 */
#include "feed/feed.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "port/atomics.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/history_mode.h"
#include "base/trigger.h"
#include "lease/fence.h"
#include "lease/said_lease.h"
#include "feed/feed_note.h"
#include "feed/feed_write.h"
#include "feed/notify.h"
#include "feed/wait.h"

/* How far a transaction that goes to and fro between workflows is looked back. */
#define LOOK_BACK 16

PG_FUNCTION_INFO_V1(amelia_note_event);
PG_FUNCTION_INFO_V1(amelia_note_status);

static bool amelia_feed = true;

/* The newest first, and so the deepest level; in TopTransactionContext. */
static FeedNote *notes = NULL;

/* How they get into the feed, and the subtransaction that holds the locks for it. */
static FeedWay feed_way = FEED_UNDECIDED;
static int	feed_way_level = 0;

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
 * Whether anybody wants to know what transactions bring.
 */
static bool
AnyoneAsks(void)
{
	return amelia_feed || amelia_notify_interval > 0 || AnyoneWaits();
}

/*
 * Find out, with the first note, how the notes get into the feed: what waits
 * for a lock waits here, where the statement can be stopped, and not at commit.
 */
static void
PrepareFeed(void)
{
	if (amelia_feed && feed_way == FEED_UNDECIDED)
	{
		feed_way = ChooseFeedWay();
		feed_way_level = GetCurrentTransactionNestLevel();
	}
}

/*
 * A note is complete: with the door shut it becomes a row.
 */
static void
WriteAtOnce(const FeedNote *note)
{
	if (amelia_feed && feed_way == FEED_AT_ONCE)
		WriteNote(note);
}

/*
 * Note events that this transaction brings; those that follow the ones before
 * only prolong their note. Between workflows there is no order to be kept, so
 * that need not be the last one.
 */
void
NoteEvents(const pg_uuid_t *workflow, int32 first, int32 last)
{
	int			level = GetCurrentTransactionNestLevel();
	FeedNote   *note = notes;

	if (!AnyoneAsks())
		return;
	PrepareFeed();
	for (int i = 0; i < LOOK_BACK && note != NULL && note->level == level && feed_way != FEED_AT_ONCE;
		 i++, note = note->next)
	{
		if (memcmp(&note->workflow, workflow, sizeof(pg_uuid_t)) != 0)
			continue;
		if (note->first == 0 || note->last + 1 != first || note->is_history)
			break;
		note->last = last;
		return;
	}
	note = AddNote(workflow);
	note->first = first;
	note->last = last;
	WriteAtOnce(note);
}

/*
 * Note that events of a workflow came that happened before: whoever waits for
 * it is woken, once for all of them, and the feed, which tells what happens,
 * is not told.
 */
static void
NoteHistory(const pg_uuid_t *workflow, int32 last)
{
	int			level = GetCurrentTransactionNestLevel();
	FeedNote   *note = notes;

	if (amelia_notify_interval == 0 && !AnyoneWaits())
		return;
	for (int i = 0; i < LOOK_BACK && note != NULL && note->level == level; i++, note = note->next)
	{
		if (!note->is_history || memcmp(&note->workflow, workflow, sizeof(pg_uuid_t)) != 0)
			continue;
		note->last = Max(note->last, last);
		return;
	}
	note = AddNote(workflow);
	note->first = note->last = last;
	note->is_history = true;
}

/*
 * note_event() returns trigger
 */
Datum
amelia_note_event(PG_FUNCTION_ARGS)
{
	TriggerData *data = GetTriggerData(fcinfo, "note_event",
									   TRIGGER_EVENT_AFTER, TRIGGER_EVENT_INSERT, true);
	Relation	log = data->tg_relation;
	pg_uuid_t  *workflow = DatumGetUUIDP(ColumnValue(log, data->tg_trigtuple, "workflow_id", UUIDOID, NULL));
	int32		sequence = DatumGetInt32(ColumnValue(log, data->tg_trigtuple, "sequence", INT4OID, NULL));

	if (MayBeFenced())
		FenceWorkflow(workflow, false);
	if (IsHistory(data))
		NoteHistory(workflow, sequence);
	else
		NoteEvents(workflow, sequence, sequence);
	return PointerGetDatum(NULL);
}

/*
 * Note a workflow's new status.
 */
void
NoteStatus(const pg_uuid_t *workflow, const char *status)
{
	FeedNote   *note;

	if (!AnyoneAsks())
		return;
	PrepareFeed();
	note = AddNote(workflow);
	strlcpy(note->status, status, sizeof(note->status));
	WriteAtOnce(note);
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

	data = GetTriggerData(fcinfo, "note_status", TRIGGER_EVENT_AFTER,
						  is_update ? TRIGGER_EVENT_UPDATE : TRIGGER_EVENT_INSERT, true);
	if (IsHistory(data))
		return PointerGetDatum(NULL);
	row = is_update ? data->tg_newtuple : data->tg_trigtuple;
	NoteStatus(DatumGetUUIDP(ColumnValue(data->tg_relation, row, "id", UUIDOID, NULL)),
			   TextDatumGetCString(ColumnValue(data->tg_relation, row, "status", TEXTOID, NULL)));
	return PointerGetDatum(NULL);
}

/*
 * Put the notes into the order in which they were made, and write them.
 */
static void
WriteNotes(void)
{
	FeedNote   *first = NULL;

	for (FeedNote *note = notes, *before; note != NULL; note = before)
	{
		before = note->next;
		note->next = first;
		first = note;
	}
	notes = first;
	WriteFeed(notes);
}

/*
 * Wake whoever waits for what was committed, and mark it for the notifier.
 * The commit cannot be taken back: nothing here may fail.
 */
static void
TellOthers(void)
{
	/* Who begins to wait from here on sees the commit. */
	pg_memory_barrier();
	if (AnyoneWaits())
	{
		for (FeedNote *note = notes; note != NULL; note = note->next)
		{
			if (note->first > 0)
				WakeWaiters(&note->workflow);
		}
	}
	if (amelia_notify_interval > 0)
		MarkForNotifier(notes);
}

static void
ForgetNotes(void)
{
	notes = NULL;
	feed_way = FEED_UNDECIDED;
}

static void
FeedAtEnd(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			if (notes != NULL && feed_way == FEED_AT_COMMIT)
				WriteNotes();
			break;
		case XACT_EVENT_COMMIT:
			if (notes != NULL)
				TellOthers();
			ForgetNotes();
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			ForgetNotes();
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
		/* Its locks are gone. */
		if (feed_way_level >= level)
			feed_way = FEED_UNDECIDED;
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		feed_way_level = Min(feed_way_level, level - 1);
		for (FeedNote *note = notes; note != NULL && note->level >= level; note = note->next)
			note->level = level - 1;
	}
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
	InitNotify();
	InitWait();
	RegisterXactCallback(FeedAtEnd, NULL);
	RegisterSubXactCallback(FeedAtSubEnd, NULL);
}
