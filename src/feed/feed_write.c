/*-------------------------------------------------------------------------
 *
 * feed_write.c
 *	  The rows of workflow_feed, at the end of a transaction.
 *
 *	  Every append pays for this, so what the table looks like is kept, and
 *	  the rows go in without SQL. No trigger fires for them.
 *
 *-------------------------------------------------------------------------
 */
#include "feed/feed_write.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/pg_lsn.h"
#include "utils/rel.h"
#include "utils/xid8.h"

#include "base/execute.h"
#include "feed/feed_note.h"
#include "feed/feed_reader.h"

/* The columns that we write. */
enum
{
	ORIGIN, LSN, XID, NUMBER, WRITTEN_AT, WORKFLOW_ID, FIRST_SEQUENCE, LAST_SEQUENCE, MOVED_TO,
	FEED_COLUMNS
};

static const char *const column_names[FEED_COLUMNS] = {
	"origin", "lsn", "xid", "number", "written_at", "workflow_id", "first_sequence",
	"last_sequence", "moved_to"
};

/* Where the table is; looked up anew after it changed. */
static struct
{
	bool		is_valid;
	Oid			table;
	AttrNumber	columns[FEED_COLUMNS];
} shape;

/*
 * Relcache callback.
 */
static void
ForgetShape(Datum arg, Oid relation)
{
	if (relation == InvalidOid || relation == shape.table)
		shape.is_valid = false;
}

/*
 * Open the table; NULL when somebody has dropped it, or it is not there yet.
 */
static Relation
OpenFeed(void)
{
	Oid			schema;
	Relation	table;

	if (shape.is_valid)
	{
		table = table_open(shape.table, RowExclusiveLock);
		if (shape.is_valid)
			return table;
		table_close(table, NoLock);
	}
	schema = get_namespace_oid(AMELIA_SCHEMA, true);
	shape.table = OidIsValid(schema) ? get_relname_relid("workflow_feed", schema) : InvalidOid;
	if (!OidIsValid(shape.table))
		return NULL;
	table = table_open(shape.table, RowExclusiveLock);
	shape.is_valid = true;
	for (int i = 0; i < FEED_COLUMNS; i++)
	{
		int			number = SPI_fnumber(RelationGetDescr(table), column_names[i]);

		if (number <= 0)
		{
			shape.is_valid = false;
			RefuseOlderSchema(column_names[i]);
		}
		shape.columns[i] = number;
	}
	return table;
}

static void
SetColumn(TupleTableSlot *slot, int column, Datum value, bool is_null)
{
	slot->tts_values[shape.columns[column] - 1] = value;
	slot->tts_isnull[shape.columns[column] - 1] = is_null;
}

static void
FillSlot(TupleTableSlot *slot, const FeedNote *note)
{
	bool		is_status = note->first == 0;

	SetColumn(slot, WORKFLOW_ID, UUIDPGetDatum(&note->workflow), false);
	SetColumn(slot, FIRST_SEQUENCE, Int32GetDatum(note->first), is_status);
	SetColumn(slot, LAST_SEQUENCE, Int32GetDatum(note->last), is_status);
	SetColumn(slot, MOVED_TO, is_status ? CStringGetTextDatum(note->status) : (Datum) 0, !is_status);
}

/*
 * Write the notes of this transaction, in the order in which they are given.
 */
void
WriteFeed(const FeedNote *notes)
{
	Relation	table = OpenFeed();
	FullTransactionId xid;
	XLogRecPtr	lsn;
	TimestampTz now;
	EState	   *estate;
	ResultRelInfo *relation;
	TupleTableSlot *slot;
	MemoryContext caller;
	int32		number = 0;

	if (table == NULL)
		return;
	xid = GetTopFullTransactionId();
	lsn = GetXLogInsertRecPtr();
	now = GetCurrentTimestamp();
	estate = CreateExecutorState();
	caller = MemoryContextSwitchTo(estate->es_query_cxt);
	relation = makeNode(ResultRelInfo);
	InitResultRelInfo(relation, table, 0, NULL, 0);
	ExecOpenIndices(relation, false);
	slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(table), table_slot_callbacks(table));
	MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));
	for (const FeedNote *note = notes; note != NULL; note = note->next)
	{
		CHECK_FOR_INTERRUPTS();
		if (note->is_history)
			continue;
		ExecClearTuple(slot);
		memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
		SetColumn(slot, ORIGIN, Int64GetDatum(FeedOrigin()), false);
		SetColumn(slot, LSN, LSNGetDatum(lsn), false);
		SetColumn(slot, XID, FullTransactionIdGetDatum(xid), false);
		SetColumn(slot, NUMBER, Int32GetDatum(++number), false);
		SetColumn(slot, WRITTEN_AT, TimestampTzGetDatum(now), false);
		FillSlot(slot, note);
		ExecStoreVirtualTuple(slot);
		simple_table_tuple_insert(table, slot);
		if (relation->ri_NumIndices > 0)
			(void) CompatInsertIndexTuples(relation, slot, estate, COMPAT_ALL_INDEXES);
		ResetPerTupleExprContext(estate);
	}
	MemoryContextSwitchTo(caller);
	ExecCloseIndices(relation);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	table_close(table, NoLock);
}

/*
 * Called once, when the library is loaded.
 */
void
InitFeedWrite(void)
{
	CacheRegisterRelcacheCallback(ForgetShape, (Datum) 0);
}
