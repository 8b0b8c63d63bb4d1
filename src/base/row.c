/*-------------------------------------------------------------------------
 *
 * row.c
 *	  Single rows of our own tables, found, locked and written without SQL.
 *
 *	  A claim looks at an index in its order, skips what others look at, and
 *	  writes some narrow rows; each query would cost more than all of that,
 *	  and a plan could choose another way. The rows that are written here
 *	  are the library's own (leases, marks): whoever may claim need not be
 *	  able to write them. They go through the door where that is open, else
 *	  the table's owner sends a statement, in a restricted operation.
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
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "base/door.h"
#include "base/execute.h"
#include "base/table_owner.h"
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
	{"workflow_log_pkey", {UUIDOID}},
	{"idx_workflows_claim", {TEXTOID, TEXTOID, INT2OID, TIMESTAMPTZOID, UUIDOID}},
	{"idx_workflows_claim_order", {TEXTOID, INT2OID, TIMESTAMPTZOID, UUIDOID}},
	{"idx_workflows_parked", {TEXTOID, INT2OID, TIMESTAMPTZOID, UUIDOID}},
	{"idx_workflows_active_worktree", {TEXTOID}},
	{"workflow_leases_pkey", {UUIDOID}},
	{"idx_workflow_leases_expires_at", {TIMESTAMPTZOID}},
	{"idx_workflow_leases_slot", {INT4OID}},
	{"idx_workflow_leases_profile_slot", {TEXTOID, INT4OID}},
	{"workflow_threads_pkey", {TEXTOID}},
	{"claim_faults_pkey", {UUIDOID}},
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

/*
 * Whether policies on workflows show the caller one that is there. What hides
 * it hides all that belongs to it; where there are none, nothing is asked.
 */
bool
IsVisibleWorkflow(Relation workflows, const pg_uuid_t *workflow)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {UUIDOID};
	Datum		values[] = {UUIDPGetDatum(workflow)};
	int			nest_level;
	bool		is_visible;
	Snapshot	latest;

	if (check_enable_rls(RelationGetRelid(workflows), InvalidOid, true) != RLS_ENABLED)
		return true;
	nest_level = EnterSafePath();
	SPI_connect();
	latest = RegisterSnapshot(GetLatestSnapshot());
	if (SPI_execute_snapshot(KeptPlan(&plan, "SELECT FROM amelia.workflows AS w WHERE w.id = $1",
									  lengthof(types), types),
							 values, NULL, latest, InvalidSnapshot, true, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for a workflow");
	is_visible = SPI_processed == 1;
	UnregisterSnapshot(latest);
	SPI_finish();
	LeaveSafePath(nest_level);
	return is_visible;
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
				 errhint("Drop it, and run SELECT amelia.migrate() as the owner of the tables."),
				 err_generic_string(PG_DIAG_SCHEMA_NAME, AMELIA_SCHEMA)));
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
						name, RelationGetRelationName(table), format_type_be(type)),
				 err_generic_string(PG_DIAG_SCHEMA_NAME, AMELIA_SCHEMA)));
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
EditColumn(RowEdit *edit, const char *name, Oid type, Datum value, bool is_null)
{
	if (edit->count == DOOR_COLUMNS)
		elog(ERROR, "too many columns in a row of ours");
	edit->names[edit->count] = name;
	edit->types[edit->count] = type;
	edit->values[edit->count] = value;
	edit->nulls[edit->count] = is_null;
	edit->count++;
}

/*
 * Put a row's values into the write's slot, over what stands there.
 */
static void
FillSlot(const DoorUse *use, DoorWrite *write, const RowEdit *edit)
{
	for (int i = 0; i < edit->count; i++)
	{
		int			place = 0;

		while (place < DOOR_COLUMNS && use->columns[place].name != NULL &&
			   strcmp(use->columns[place].name, edit->names[i]) != 0)
			place++;
		if (place == DOOR_COLUMNS || use->columns[place].name == NULL)
			elog(ERROR, "column \"%s\" is not one that is written to \"%s\"", edit->names[i], use->table);
		write->slot->tts_values[write->columns[place] - 1] = edit->values[i];
		write->slot->tts_isnull[write->columns[place] - 1] = edit->nulls[i];
	}
	ExecStoreVirtualTuple(write->slot);
}

/*
 * Send a statement for one row, as the table's owner in a restricted
 * operation; 55000 when somebody's trigger or rule left it out.
 */
static void
SendRow(const DoorUse *use, Relation table, const char *query, const RowEdit *edit)
{
	RestrictedContext before;
	Oid			types[DOOR_COLUMNS];
	Datum		values[DOOR_COLUMNS];
	char		nulls[DOOR_COLUMNS + 1] = {0};
	Snapshot	latest;
	SPIPlanPtr	plan;
	int			result;

	for (int i = 0; i < edit->count; i++)
	{
		(void) OurColumn(table, edit->names[i], edit->types[i]);
		types[i] = edit->types[i];
		values[i] = edit->values[i];
		nulls[i] = edit->nulls[i] ? 'n' : ' ';
	}
	RequireSchemaOwner(AMELIA_SCHEMA, table->rd_rel->relowner);
	EnterRestricted(table->rd_rel->relowner, &before);
	SPI_connect();
	plan = SPI_prepare(query, edit->count, types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));

	/*
	 * What is there now: the row is locked, whatever the caller's snapshot
	 * shows.
	 */
	latest = RegisterSnapshot(GetLatestSnapshot());
	result = SPI_execute_snapshot(plan, values, nulls, latest,
								  InvalidSnapshot, false, true, 0);
	UnregisterSnapshot(latest);
	if (result < 0)
		elog(ERROR, "SPI_execute_snapshot failed: %s", SPI_result_code_string(result));
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a row of \"%s\" could not be written", use->table),
				 errdetail("A trigger or a rule on the table left it out.")));
	SPI_finish();
	LeaveRestricted(&before);
}

/*
 * Insert a row for the library. Columns that it does not name are NULL where
 * the door is open: the use names all that need a value.
 */
void
InsertRow(DoorUse *use, Relation table, const RowEdit *row)
{
	StringInfoData query;
	StringInfoData values;

	if (DoorIsOpen(use, table))
	{
		DoorWrite  *write = BeginDoorWrite(use, table, DOOR_KEYS);

		ExecClearTuple(write->slot);
		memset(write->slot->tts_isnull, true, RelationGetDescr(table)->natts * sizeof(bool));
		FillSlot(use, write, row);
		DoorInsert(write);
		EndDoorWrite(write);
		return;
	}
	initStringInfo(&query);
	initStringInfo(&values);
	appendStringInfo(&query, "INSERT INTO %s.%s (", AMELIA_SCHEMA, quote_identifier(use->table));
	for (int i = 0; i < row->count; i++)
	{
		appendStringInfo(&query, "%s%s", i > 0 ? ", " : "", quote_identifier(row->names[i]));
		appendStringInfo(&values, "%s$%d", i > 0 ? ", " : "", i + 1);
	}
	appendStringInfo(&query, ") VALUES (%s)", values.data);
	SendRow(use, table, query.data, row);
}

/*
 * Change some columns of a row that is locked, in its latest version, for the
 * library.
 */
void
UpdateRow(DoorUse *use, Relation table, TupleTableSlot *before, const RowEdit *edit)
{
	RowEdit		with_key = *edit;
	int			key;
	Form_pg_attribute attribute;
	StringInfoData query;
	bool		is_null;
	Datum		value;

	if (DoorIsOpen(use, table))
	{
		DoorWrite  *write = BeginDoorWrite(use, table, DOOR_KEYS);

		slot_getallattrs(before);
		ExecClearTuple(write->slot);
		memcpy(write->slot->tts_values, before->tts_values, before->tts_tupleDescriptor->natts * sizeof(Datum));
		memcpy(write->slot->tts_isnull, before->tts_isnull, before->tts_tupleDescriptor->natts * sizeof(bool));
		FillSlot(use, write, edit);
		DoorUpdate(write, before);
		EndDoorWrite(write);
		return;
	}
	key = ColumnNumber(RelationGetDescr(table), use->key);
	attribute = TupleDescAttr(RelationGetDescr(table), key - 1);
	value = slot_getattr(before, key, &is_null);
	EditColumn(&with_key, use->key, attribute->atttypid, value, is_null);
	initStringInfo(&query);
	appendStringInfo(&query, "UPDATE %s.%s SET", AMELIA_SCHEMA, quote_identifier(use->table));
	for (int i = 0; i < edit->count; i++)
		appendStringInfo(&query, "%s %s = $%d", i > 0 ? "," : "", quote_identifier(edit->names[i]), i + 1);
	appendStringInfo(&query, " WHERE %s OPERATOR(pg_catalog.=) $%d", quote_identifier(use->key), with_key.count);
	SendRow(use, table, query.data, &with_key);
}
