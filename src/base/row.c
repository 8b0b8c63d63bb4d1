/*-------------------------------------------------------------------------
 *
 * row.c
 *	  Single rows of our own tables, found, locked and written without SQL.
 *
 *	  A claim looks at an index in its order, skips what others look at, and
 *	  writes some narrow rows; each query would cost more than all of that,
 *	  and a plan could choose another way. The rows that are written here
 *	  are the library's own (leases, slots, the feed): whoever may claim need
 *	  not be able to write them. No trigger fires for them but the deletes'.
 *
 *-------------------------------------------------------------------------
 */
#include "base/row.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/execute.h"
#include "base/trigger.h"

#define MAX_KEYS 5

/* The indexes that are looked up by name, and the types that they compare. */
static const struct
{
	const char *name;
	Oid			types[MAX_KEYS];
}			our_indexes[] =
{
	{"workflows_pkey", {UUIDOID}},
	{"idx_workflows_claim", {TEXTOID, TEXTOID, INT2OID, TIMESTAMPTZOID, UUIDOID}},
	{"idx_workflows_parked", {TEXTOID, INT2OID, TIMESTAMPTZOID, UUIDOID}},
	{"idx_workflows_active_worktree", {TEXTOID}},
	{"workflow_leases_pkey", {UUIDOID}},
	{"idx_workflow_leases_expires_at", {TIMESTAMPTZOID}},
	{"idx_workflow_leases_slot", {INT4OID}},
	{"idx_workflow_leases_profile_slot", {TEXTOID, INT4OID}},
	{"workflow_threads_pkey", {TEXTOID}},
	{"profiles_pkey", {TEXTOID}},
};

/*
 * The relation of a name in our schema; 55000 when it is not there.
 */
static Oid
OurRelation(const char *name)
{
	Oid			schema = get_namespace_oid(AMELIA_SCHEMA, true);
	Oid			relation = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;

	if (!OidIsValid(relation))
		RefuseOlderSchema(name);
	return relation;
}

/* The lock's tag, in static memory. */
static const LOCKTAG *
TextLock(LockKind kind, const char *text)
{
	static LOCKTAG tag;
	uint64		hash = hash_bytes_extended((const unsigned char *) text, strlen(text), 0);

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (hash >> 32), (uint32) hash, kind);
	return &tag;
}

/*
 * Whether an index has the columns that we read it by. Somebody may have put
 * another one in its place.
 */
static bool
HasOurColumns(Relation index, const char *name)
{
	for (size_t i = 0; i < lengthof(our_indexes); i++)
	{
		int			column = 0;

		if (strcmp(our_indexes[i].name, name) != 0)
			continue;
		if (index->rd_rel->relam != BTREE_AM_OID)
			return false;
		while (column < MAX_KEYS && OidIsValid(our_indexes[i].types[column]))
		{
			if (column >= IndexRelationGetNumberOfKeyAttributes(index) ||
				index->rd_opcintype[column] != our_indexes[i].types[column])
				return false;
			column++;
		}
		return true;
	}
	return false;
}

/*
 * Open an index of ours by name; 55000 when it is not there, or of no use.
 */
Relation
OpenIndex(Relation table, const char *name, LOCKMODE lock)
{
	Oid			relation = OurRelation(name);
	Relation	index;

	if (get_rel_relkind(relation) != RELKIND_INDEX)
		RefuseOlderSchema(name);
	index = index_open(relation, lock);
	if (!index->rd_index->indisvalid || index->rd_index->indrelid != RelationGetRelid(table) ||
		!HasOurColumns(index, name))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid, or not the one that we made", name),
				 errhint("Drop it, and run SELECT amelia.migrate() as the owner of the tables.")));
	return index;
}

/*
 * Take a lock on a text to the end of the transaction, unless somebody else
 * has it. The kind keeps those of different things apart; applications'
 * advisory locks have 1 and 2 in its place.
 */
bool
TryLockText(LockKind kind, const char *text)
{
	return LockAcquire(TextLock(kind, text), ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Give such a lock back before the transaction's end.
 */
void
UnlockText(LockKind kind, const char *text)
{
	LockRelease(TextLock(kind, text), ExclusiveLock, false);
}

/*
 * A scan key on a column of text, compared as the index does.
 */
void
InitTextKey(ScanKey key, AttrNumber column, Relation index, int strategy,
			RegProcedure function, Datum value)
{
	ScanKeyEntryInitialize(key, 0, column, strategy, InvalidOid,
						   index->rd_indcollation[column - 1], function, value);
}

void
InitKey(ScanKey key, AttrNumber column, int strategy, RegProcedure function, Datum value)
{
	ScanKeyInit(key, column, strategy, function, value);
}

/*
 * The first row in an index that the keys match; false when there is none.
 */
bool
FindRow(Relation table, Relation index, ScanKey keys, int nkeys,
		Snapshot snapshot, TupleTableSlot *slot)
{
	IndexScanDesc scan = CompatBeginIndexScan(table, index, snapshot, nkeys);
	bool		found;

	index_rescan(scan, keys, nkeys, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	index_endscan(scan);
	return found;
}

/*
 * The same, as a snapshot that is taken now shows it.
 */
bool
FindLatestRow(Relation table, Relation index, ScanKey keys, int nkeys, TupleTableSlot *slot)
{
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	bool		found = FindRow(table, index, keys, nkeys, latest, slot);

	if (found)
		ExecMaterializeSlot(slot);
	UnregisterSnapshot(latest);
	return found;
}

/*
 * Lock the row that a slot holds FOR NO KEY UPDATE. Waiting, its latest
 * version is locked and fills the slot; not waiting, what is locked or has
 * changed since the snapshot is left alone.
 */
TM_Result
LockRow(Relation table, TupleTableSlot *slot, Snapshot snapshot, bool wait)
{
	ItemPointerData place = slot->tts_tid;
	TM_FailureData failure;

	return table_tuple_lock(table, &place, wait ? SnapshotAny : snapshot, slot,
							GetCurrentCommandId(false), LockTupleNoKeyExclusive,
							wait ? LockWaitBlock : LockWaitSkip,
							wait ? TUPLE_LOCK_FLAG_FIND_LAST_VERSION : 0, &failure);
}

/*
 * The number of a column of a table of ours; 55000 when it is not there, or
 * somebody has given it another type.
 */
AttrNumber
OurColumn(Relation table, const char *name, Oid type)
{
	AttrNumber	number = ColumnNumber(RelationGetDescr(table), name);

	if (TupleDescAttr(RelationGetDescr(table), number - 1)->atttypid != type)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of \"%s\" must be of type %s",
						name, RelationGetRelationName(table), format_type_be(type))));
	return number;
}

/*
 * A column of a row, by name. is_null NULL: it must have a value, whoever
 * has dropped its NOT NULL.
 */
Datum
RowColumn(Relation table, TupleTableSlot *slot, const char *name, Oid type, bool *is_null)
{
	bool		no_value;
	Datum		value = slot_getattr(slot, OurColumn(table, name, type), &no_value);

	if (is_null != NULL)
		*is_null = no_value;
	else if (no_value)
		RefuseNoValue(table, name);
	return value;
}

/*
 * Raise 23502 because a column has no value that must have one.
 */
void
RefuseNoValue(Relation table, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_NOT_NULL_VIOLATION),
			 errmsg("null value in column \"%s\" of relation \"%s\"",
					name, RelationGetRelationName(table))));
}

/*
 * Note a column's value.
 */
void
EditColumn(RowEdit *edit, Relation table, const char *name, Oid type, Datum value, bool is_null)
{
	Assert(edit->count < (int) lengthof(edit->columns));
	edit->columns[edit->count] = OurColumn(table, name, type);
	edit->values[edit->count] = value;
	edit->nulls[edit->count] = is_null;
	edit->count++;
}

/*
 * Put a row that was written into the table's indexes, an operator's too.
 */
static void
InsertIndexEntries(Relation table, TupleTableSlot *slot, CompatUpdateIndexes indexes)
{
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *result = makeNode(ResultRelInfo);

	InitResultRelInfo(result, table, 0, NULL, 0);
	ExecOpenIndices(result, false);
	if (result->ri_NumIndices > 0)
		list_free(CompatInsertIndexTuples(result, slot, estate, indexes));
	ExecCloseIndices(result);
	FreeExecutorState(estate);
}

/*
 * Insert a row. Columns that it does not name are NULL: defaults are the
 * caller's to give. 23502 when somebody has added one that must not be NULL.
 */
void
InsertRow(Relation table, const RowEdit *row)
{
	TupleTableSlot *slot = table_slot_create(table, NULL);

	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, RelationGetDescr(table)->natts * sizeof(bool));
	memset(slot->tts_values, 0, RelationGetDescr(table)->natts * sizeof(Datum));
	for (int i = 0; i < row->count; i++)
	{
		slot->tts_values[row->columns[i] - 1] = row->values[i];
		slot->tts_isnull[row->columns[i] - 1] = row->nulls[i];
	}
	for (int i = 0; i < RelationGetDescr(table)->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(table), i);

		if (slot->tts_isnull[i] && attribute->attnotnull && !attribute->attisdropped)
			RefuseNoValue(table, NameStr(attribute->attname));
	}
	ExecStoreVirtualTuple(slot);
	simple_table_tuple_insert(table, slot);
	InsertIndexEntries(table, slot, COMPAT_ALL_INDEXES);
	ExecDropSingleTupleTableSlot(slot);
	CommandCounterIncrement();
}

/*
 * Put what a slot holds in the place of a row that is locked, in its latest
 * version.
 */
void
ReplaceRow(Relation table, ItemPointer place, TupleTableSlot *changed)
{
	CompatUpdateIndexes update_indexes = COMPAT_NO_INDEXES;

	simple_table_tuple_update(table, place, changed, SnapshotAny, &update_indexes);
	if (update_indexes != COMPAT_NO_INDEXES)
		InsertIndexEntries(table, changed, update_indexes);
	CommandCounterIncrement();
}

/*
 * Change some columns of a row that is locked, in its latest version.
 */
void
UpdateRow(Relation table, TupleTableSlot *slot, const RowEdit *edit)
{
	TupleTableSlot *changed = table_slot_create(table, NULL);
	ItemPointerData place = slot->tts_tid;

	slot_getallattrs(slot);
	ExecClearTuple(changed);
	memcpy(changed->tts_values, slot->tts_values, slot->tts_tupleDescriptor->natts * sizeof(Datum));
	memcpy(changed->tts_isnull, slot->tts_isnull, slot->tts_tupleDescriptor->natts * sizeof(bool));
	for (int i = 0; i < edit->count; i++)
	{
		changed->tts_values[edit->columns[i] - 1] = edit->values[i];
		changed->tts_isnull[edit->columns[i] - 1] = edit->nulls[i];
	}
	ExecStoreVirtualTuple(changed);
	ReplaceRow(table, &place, changed);
	ExecDropSingleTupleTableSlot(changed);
}

/*
 * Delete a row, unless somebody else has deleted it meanwhile.
 */
void
DeleteRow(Relation table, TupleTableSlot *slot)
{
	ItemPointerData place = slot->tts_tid;
	TM_FailureData failure;

	(void) table_tuple_delete(table, &place, GetCurrentCommandId(true), SnapshotAny,
							  InvalidSnapshot, true, &failure, false);
	CommandCounterIncrement();
}
