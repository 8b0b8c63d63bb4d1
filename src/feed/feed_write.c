/*-------------------------------------------------------------------------
 *
 * feed_write.c
 *	  The rows of workflow_feed.
 *
 *	  Every append pays for this, so where the door (base/door.c) is open the
 *	  rows are written as the last thing before the commit, one for a run of
 *	  events. Nobody is waited for then, because what that needs is locked
 *	  when the first thing is noted, and nothing of a user's runs. With the
 *	  door shut each note becomes a row at once, by a statement.
 *
 *-------------------------------------------------------------------------
 */
#include "feed/feed_write.h"

#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/pg_lsn.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "base/door.h"
#include "base/row.h"
#include "feed/feed_reader.h"

static DoorUse use = {
	.table = "workflow_feed",
	.command = CMD_INSERT,
	.columns = {
		{"origin", INT8OID, false},
		{"lsn", LSNOID, false},
		{"xid", XID8OID, false},
		{"number", INT4OID, false},
		{"written_at", TIMESTAMPTZOID, false},
		{"workflow_id", UUIDOID, false},
		{"first_sequence", INT4OID, true},
		{"last_sequence", INT4OID, true},
		{"moved_to", TEXTOID, true},
	},
};

/* Where the rows of this transaction stand in its part of the feed. */
static int32 last_number = 0;

/*
 * Open the table; NULL when somebody has dropped it, or it is not there yet.
 */
static Relation
OpenFeed(void)
{
	Oid			schema = get_namespace_oid(AMELIA_SCHEMA, true);
	Oid			table = OidIsValid(schema) ? get_relname_relid(use.table, schema) : InvalidOid;

	return OidIsValid(table) ? table_open(table, RowExclusiveLock) : NULL;
}

/*
 * Find out how this transaction's notes get into the feed, and lock what that
 * needs.
 */
FeedWay
ChooseFeedWay(void)
{
	Relation	table = OpenFeed();
	FeedWay		way = FEED_NOWHERE;

	last_number = 0;
	if (table == NULL)
		return way;
	way = DoorIsOpen(&use, table) ? FEED_AT_COMMIT : FEED_AT_ONCE;
	if (way == FEED_AT_COMMIT)
		HoldDoor(table);
	table_close(table, NoLock);
	return way;
}

/*
 * The values of a note's row, in the order of the use's columns.
 */
static void
NoteValues(const FeedNote *note, XLogRecPtr lsn, Datum *values, bool *nulls)
{
	bool		is_status = note->first == 0;
	int			column = 0;

	memset(nulls, false, DOOR_COLUMNS * sizeof(bool));
	values[column++] = Int64GetDatum(FeedOrigin());
	values[column++] = LSNGetDatum(lsn);
	values[column++] = FullTransactionIdGetDatum(GetTopFullTransactionId());
	values[column++] = Int32GetDatum(++last_number);
	values[column++] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[column++] = UUIDPGetDatum(&note->workflow);
	nulls[column] = is_status;
	values[column++] = Int32GetDatum(note->first);
	nulls[column] = is_status;
	values[column++] = Int32GetDatum(note->last);
	nulls[column] = !is_status;
	values[column] = is_status ? CStringGetTextDatum(note->status) : (Datum) 0;
}

/*
 * Write one note, by a statement.
 */
void
WriteNote(const FeedNote *note)
{
	Relation	table = OpenFeed();
	RowEdit		row = {0};
	Datum		values[DOOR_COLUMNS];
	bool		nulls[DOOR_COLUMNS];

	if (table == NULL)
		return;
	NoteValues(note, GetXLogInsertRecPtr(), values, nulls);
	for (int i = 0; use.columns[i].name != NULL; i++)
		EditColumn(&row, use.columns[i].name, use.columns[i].type, values[i], nulls[i]);
	InsertRow(&use, table, &row);
	table_close(table, NoLock);
}

/*
 * Write the notes of this transaction, in the order in which they are given,
 * as the last thing before it commits.
 */
void
WriteFeed(const FeedNote *notes)
{
	Relation	table = OpenFeed();
	XLogRecPtr	lsn;
	DoorWrite  *write;
	MemoryContext caller;

	if (table == NULL)
		return;
	/* The statement's own is gone, and a row that is written wants one. */
	PushActiveSnapshot(GetTransactionSnapshot());
	RequireOpenDoor(&use, table);
	(void) GetTopFullTransactionId();
	lsn = GetXLogInsertRecPtr();
	write = BeginDoorWrite(&use, table, 0);
	for (const FeedNote *note = notes; note != NULL; note = note->next)
	{
		Datum		values[DOOR_COLUMNS];
		bool		nulls[DOOR_COLUMNS];

		CHECK_FOR_INTERRUPTS();
		if (note->is_history)
			continue;
		caller = MemoryContextSwitchTo(GetPerTupleMemoryContext(write->estate));
		ExecClearTuple(write->slot);
		memset(write->slot->tts_isnull, true, RelationGetDescr(table)->natts * sizeof(bool));
		NoteValues(note, lsn, values, nulls);
		for (int i = 0; use.columns[i].name != NULL; i++)
		{
			write->slot->tts_values[write->columns[i] - 1] = values[i];
			write->slot->tts_isnull[write->columns[i] - 1] = nulls[i];
		}
		ExecStoreVirtualTuple(write->slot);
		DoorInsert(write);
		MemoryContextSwitchTo(caller);
	}
	EndDoorWrite(write);
	PopActiveSnapshot();
	table_close(table, NoLock);
}
