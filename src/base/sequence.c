/*-------------------------------------------------------------------------
 *
 * sequence.c
 *	  Gapless sequence allocation, for events and for chat messages.
 *
 *	  A child row (an event, a message) is numbered 1, 2, 3, ... below its
 *	  parent (a workflow, a session). To allocate, we
 *
 *	  1. lock the parent's row FOR NO KEY UPDATE, on its latest version,
 *		 and hold it to the end of the transaction. Allocations of one
 *		 parent thus come one after the other, in commit order. It is done
 *		 here and not in SQL because a snapshot that is older than the lock
 *		 would give 40001 under REPEATABLE READ. No entry stays in the lock
 *		 table, so one COPY may touch any number of parents.
 *	  2. probe the unique index (parent, sequence) backwards for the highest
 *		 number. What counts is newer than the lock: rows that are committed
 *		 or our own, and those that this very statement deleted, because the
 *		 floor is raised for them only when it ends. What others deleted is
 *		 gone, also while an older snapshot shows it: either the floor was
 *		 raised for it, or it went with a former parent of the same key. If
 *		 the highest row was brought by a client whose transaction is still
 *		 open, we wait for its end, because there is a gap if we count on it
 *		 and it aborts, and a clash if we do not and it commits.
 *	  3. take the next number above that and above the parent's
 *		 sequence_floor, which is the highest number that was removed or
 *		 reserved.
 *
 *	  Nothing is written, so a number of an aborted transaction is given
 *	  again, and a crash leaves neither gap nor duplicate.
 *
 *	  Lock order: the parent's row before its children, as in changes of the
 *	  status and in claims. A DELETE of children is the exception, since SQL
 *	  has locked them before any trigger of ours runs: it can deadlock with
 *	  one who deletes the parent. Several parents are locked in the order of
 *	  their keys wherever we choose it.
 *
 *-------------------------------------------------------------------------
 */
#include "base/sequence.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_trigger.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/execute.h"
#include "base/row.h"
#include "base/trigger.h"
#include "base/uuid.h"

/* A pair of tables, and where their columns and indexes are. */
typedef struct Allocator
{
	const char *child_name;
	const char *child_key_name;
	const char *parent_name;

	/* looked up anew after one of the tables changed */
	bool		is_valid;
	Oid			child;
	Oid			child_index;	/* unique on (key, sequence) */
	AttrNumber	child_key;
	AttrNumber	child_sequence;
	AttrNumber	child_allocated;
	Oid			parent;
	Oid			parent_index;	/* primary key, on id */
	AttrNumber	parent_id;
	AttrNumber	parent_floor;
	RegProcedure equal;			/* of the keys' type */
} Allocator;

static Allocator allocators[] = {
	[EVENT_SEQUENCE] = {.child_name = "workflow_log",.child_key_name = "workflow_id",
	.parent_name = "workflows"},
	[MESSAGE_SEQUENCE] = {.child_name = "brainstorm_messages",.child_key_name = "session_id",
	.parent_name = "brainstorm_sessions"},
};

/* counts the calls of ForgetTable() */
static uint64 table_changes = 0;

/* whether a client had brought the highest number of the last allocation */
static bool is_contested = false;

/*
 * Relcache callback: forget what is known of a table that changed.
 */
static void
ForgetTable(Datum arg, Oid relation)
{
	table_changes++;
	for (size_t i = 0; i < lengthof(allocators); i++)
	{
		if (relation == InvalidOid || relation == allocators[i].child ||
			relation == allocators[i].parent)
			allocators[i].is_valid = false;
	}
}

/*
 * Called once, when the library is loaded.
 */
void
InitSequence(void)
{
	CacheRegisterRelcacheCallback(ForgetTable, (Datum) 0);
}

/*
 * The unique index of a table whose key columns are these two, or only the
 * first if the second is 0; 55000 when there is none that can be relied on.
 */
static Oid
FindUniqueIndex(Relation table, AttrNumber first, AttrNumber second)
{
	List	   *indexes = RelationGetIndexList(table);
	int			columns = second == 0 ? 1 : 2;
	Oid			found = InvalidOid;
	ListCell   *cell;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);
		Form_pg_index form = index->rd_index;

		if (form->indisunique && form->indisvalid && form->indimmediate &&
			index->rd_rel->relam == BTREE_AM_OID &&
			form->indnkeyatts == columns && form->indkey.values[0] == first &&
			(columns == 1 || form->indkey.values[1] == second) &&
			RelationGetIndexPredicate(index) == NIL)
			found = RelationGetRelid(index);
		index_close(index, AccessShareLock);
		if (OidIsValid(found))
			break;
	}
	list_free(indexes);
	if (!OidIsValid(found))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has lost the unique index that sequences are allocated by",
						RelationGetRelationName(table)),
				 err_generic_string(PG_DIAG_SCHEMA_NAME, AMELIA_SCHEMA)));
	return found;
}

/*
 * Open a table of ours by name, holding the lock to the end of the
 * transaction; 55000 when it is not there.
 */
Relation
OpenTable(const char *name, LOCKMODE lock)
{
	Oid			schema = get_namespace_oid(AMELIA_SCHEMA, true);
	Oid			table = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;

	if (!OidIsValid(table))
		RefuseOlderSchema(name);
	return table_open(table, lock);
}

/*
 * The allocator with its tables looked up; they must be open.
 */
static Allocator *
GetAllocator(SequenceKind kind, Relation child, Relation parent)
{
	Allocator  *allocator = &allocators[kind];
	TupleDesc	child_desc = RelationGetDescr(child);
	uint64		before;
	Oid			key_type;

	if (allocator->is_valid && allocator->child == RelationGetRelid(child) &&
		allocator->parent == RelationGetRelid(parent))
		return allocator;

	allocator->is_valid = false;
	allocator->child = RelationGetRelid(child);
	allocator->parent = RelationGetRelid(parent);
	before = table_changes;
	allocator->child_key = ColumnNumber(child_desc, allocator->child_key_name);
	key_type = TupleDescAttr(child_desc, allocator->child_key - 1)->atttypid;
	/* An orchestrator may have made its texts UUIDs. */
	if (key_type != UUIDOID && (kind == EVENT_SEQUENCE || key_type != TEXTOID))
		key_type = kind == EVENT_SEQUENCE ? UUIDOID : TEXTOID;
	(void) OurColumn(child, allocator->child_key_name, key_type);
	allocator->equal = key_type == UUIDOID ? F_UUID_EQ : F_TEXTEQ;
	allocator->child_sequence = OurColumn(child, "sequence", INT4OID);
	allocator->child_allocated = OurColumn(child, "sequence_allocated", BOOLOID);
	allocator->parent_id = OurColumn(parent, "id", key_type);
	allocator->parent_floor = OurColumn(parent, "sequence_floor", INT4OID);
	allocator->child_index = FindUniqueIndex(child, allocator->child_key,
											 allocator->child_sequence);
	allocator->parent_index = FindUniqueIndex(parent, allocator->parent_id, 0);
	/* A change while we looked may be in none of it. */
	allocator->is_valid = before == table_changes;
	return allocator;
}

/* A scan key that compares a column with the key of a parent. */
static void
InitKeyEqual(ScanKey key, const Allocator *allocator, Relation index, Datum parent)
{
	ScanKeyEntryInitialize(key, 0, 1, BTEqualStrategyNumber, InvalidOid,
						   index->rd_indcollation[0], allocator->equal, parent);
}

/* The place of the parent's row as a snapshot shows it; false: it shows none. */
static bool
FindParent(const Allocator *allocator, Relation table, Relation index,
		   Datum parent, Snapshot snapshot, TupleTableSlot *slot)
{
	IndexScanDesc scan = CompatBeginIndexScan(table, index, snapshot, 1);
	ScanKeyData key;
	bool		found;

	InitKeyEqual(&key, allocator, index, parent);
	index_rescan(scan, &key, 1, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	index_endscan(scan);
	return found;
}

/* What came of locking a row. */
typedef enum LockOutcome
{
	ROW_LOCKED,
	ROW_MOVED,					/* deleted or renamed meanwhile: look again */
	ROW_DELETED_BY_US			/* or hidden from us: none that we could have */
} LockOutcome;

/* Lock the row that a slot holds, on its latest version, and fill the slot with that. */
static LockOutcome
LockLatest(const Allocator *allocator, Relation table, Datum parent, TupleTableSlot *slot)
{
	ItemPointerData place = slot->tts_tid;
	TM_FailureData failure;
	bool		is_null;
	Datum		id;

	switch (table_tuple_lock(table, &place, SnapshotAny, slot, GetCurrentCommandId(false),
							 LockTupleNoKeyExclusive, LockWaitBlock,
							 TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure))
	{
		case TM_Ok:
		case TM_Invisible:		/* this very command made it: it is ours */
			break;
		case TM_Deleted:
			return ROW_MOVED;
		case TM_SelfModified:
			return ROW_DELETED_BY_US;
		default:
			elog(ERROR, "could not lock a row of \"%s\"", RelationGetRelationName(table));
	}
	id = slot_getattr(slot, allocator->parent_id, &is_null);
	if (is_null ||
		!DatumGetBool(OidFunctionCall2Coll(allocator->equal, DEFAULT_COLLATION_OID, id, parent)))
		return ROW_MOVED;
	return ROW_LOCKED;
}

/* Whether this transaction wrote a row. */
static bool
IsOurRow(TupleTableSlot *slot)
{
	bool		is_null;

	return TransactionIdIsCurrentTransactionId(
											   DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber, &is_null)));
}

/* A parent's row, which is locked. */
typedef struct LockedParent
{
	int32		floor;			/* its sequence_floor */
	CommandId	since;			/* our command that wrote it; 0: nobody of
								 * ours */
} LockedParent;

/*
 * Lock the parent's row to the end of the transaction, and read it. Returns
 * false when there is no such parent.
 *
 * SnapshotSelf shows what this statement made itself, but it may miss a row
 * that moves from one place to another while it looks; a fresh MVCC snapshot
 * does not, and has the last word.
 */
static bool
LockParent(const Allocator *allocator, Relation table, Datum parent, LockedParent *locked)
{
	Relation	index = index_open(allocator->parent_index, RowShareLock);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	LockOutcome outcome = ROW_MOVED;

	while (outcome == ROW_MOVED)
	{
		bool		found = FindParent(allocator, table, index, parent, SnapshotSelf, slot);

		/* Nobody else can lock or change what we have written. */
		if (found && IsOurRow(slot))
			outcome = ROW_LOCKED;
		else if (!found)
		{
			Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());

			found = FindParent(allocator, table, index, parent, latest, slot);
			UnregisterSnapshot(latest);
		}
		if (!found)
			break;
		if (outcome != ROW_LOCKED)
			outcome = LockLatest(allocator, table, parent, slot);
		CHECK_FOR_INTERRUPTS();
	}
	if (outcome == ROW_LOCKED && allocator == &allocators[EVENT_SEQUENCE] &&
		!IsVisibleWorkflow(table, DatumGetUUIDP(parent)))
		outcome = ROW_DELETED_BY_US;
	if (outcome == ROW_LOCKED)
	{
		bool		is_null;

		locked->floor = DatumGetInt32(slot_getattr(slot, allocator->parent_floor, &is_null));
		locked->since = IsOurRow(slot) ?
			HeapTupleHeaderGetCmin(ExecFetchSlotHeapTuple(slot, false, NULL)->t_data) : FirstCommandId;
	}
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	return outcome == ROW_LOCKED;
}

/*
 * Whether the child's row that a slot holds takes its number, and the
 * transaction that this depends on, if one is open. since: see LockedParent.
 */
static bool
TakesNumber(TupleTableSlot *slot, CommandId since, TransactionId *writer)
{
	HeapTuple	row = ExecFetchSlotHeapTuple(slot, false, NULL);
	Buffer		buffer = ((BufferHeapTupleTableSlot *) slot)->buffer;
	SnapshotData dirty;
	bool		takes;

	InitDirtySnapshot(dirty);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	takes = HeapTupleSatisfiesVisibility(row, &dirty, buffer);
	*writer = takes ? dirty.xmin : InvalidTransactionId;

	/*
	 * If we deleted it, and the parent is no newer, its floor may not know
	 * yet.
	 */
	if (!takes && !(row->t_data->t_infomask & HEAP_XMAX_INVALID) &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(row->t_data)))
		takes = HeapTupleHeaderGetCmax(row->t_data) >= since;
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	return takes;
}

/*
 * The highest number above bound that a child of the parent has, or bound;
 * and who brought it, when that transaction is still open.
 */
static int32
ProbeHighest(const Allocator *allocator, Relation table, Relation index, Datum parent,
			 int32 bound, CommandId since, TupleTableSlot *slot, TransactionId *writer)
{
	SnapshotData snapshot;
	IndexScanDesc scan;
	ScanKeyData keys[2];
	int32		highest = bound;

	InitNonVacuumableSnapshot(snapshot, GlobalVisTestFor(table));
	scan = CompatBeginIndexScan(table, index, &snapshot, 2);
	InitKeyEqual(&keys[0], allocator, index, parent);
	ScanKeyInit(&keys[1], 2, BTGreaterStrategyNumber, F_INT4GT, Int32GetDatum(bound));
	index_rescan(scan, keys, 2, NULL, 0);
	*writer = InvalidTransactionId;
	is_contested = false;
	while (highest == bound && index_getnext_slot(scan, BackwardScanDirection, slot))
	{
		bool		is_null;

		CHECK_FOR_INTERRUPTS();
		if (!TakesNumber(slot, since, writer))
			continue;
		highest = DatumGetInt32(slot_getattr(slot, allocator->child_sequence, &is_null));
		is_contested = !DatumGetBool(slot_getattr(slot, allocator->child_allocated, &is_null)) || is_null;
	}
	index_endscan(scan);
	return highest;
}

/*
 * The number that this session gave or saw last in a workflow, 0 when it has
 * forgotten. Others may have gone on since, and what we gave may have been
 * aborted or deleted.
 */
static int32 *
LastNumber(const Allocator *allocator, Datum parent)
{
	static struct
	{
		pg_uuid_t	parent;
		int32		number;
	}			last[256];
	pg_uuid_t  *uuid;
	uint32		place;

	if (allocator != &allocators[EVENT_SEQUENCE])
		return NULL;
	uuid = DatumGetUUIDP(parent);
	place = hash_bytes(uuid->data, UUID_LEN) % lengthof(last);
	if (memcmp(&last[place].parent, uuid, UUID_LEN) != 0)
	{
		last[place].parent = *uuid;
		last[place].number = 0;
	}
	return &last[place].number;
}

/*
 * The highest number that is taken: the floor, or what a child has above it.
 * The parent must be locked.
 *
 * A scan from above looks at all children of the parent on the index's last
 * page, some hundreds, before it returns the first. So we begin by asking for
 * the highest one from the number on that we remember; if there is any, it is
 * the highest one of all. If there is none, we ask again without.
 */
static int32
HighestSequence(const Allocator *allocator, Relation table, Datum parent,
				const LockedParent *locked, int32 count)
{
	int32		floor = locked->floor;
	int32	   *last = LastNumber(allocator, parent);
	int32		bound = last != NULL && *last - 1 > floor ? *last - 1 : floor;
	Relation	index = index_open(allocator->child_index, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	int32		highest;

	for (;;)
	{
		TransactionId writer;
		ItemPointerData place;

		highest = ProbeHighest(allocator, table, index, parent, bound, locked->since, slot, &writer);
		if (highest == bound && bound > floor)
		{
			bound = floor;
			continue;
		}
		if (!TransactionIdIsValid(writer))
			break;
		place = slot->tts_tid;
		ExecClearTuple(slot);
		XactLockTableWait(writer, table, &place, XLTW_InsertIndex);
	}
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	if (last != NULL)
		*last = highest > PG_INT32_MAX - count ? 0 : highest + count;
	return highest;
}

/*
 * Lock a parent's row as an allocation does. Returns false when there is no
 * such parent.
 */
bool
LockSequence(SequenceKind kind, Datum parent)
{
	Relation	child = OpenTable(allocators[kind].child_name, AccessShareLock);
	Relation	table = OpenTable(allocators[kind].parent_name, RowShareLock);
	LockedParent locked;
	bool		found = LockParent(GetAllocator(kind, child, table), table, parent, &locked);

	table_close(table, NoLock);
	table_close(child, NoLock);
	return found;
}

/*
 * Allocate some numbers, in a row, to children of a parent, and return the
 * first; 0 when there is no such parent. They are given again unless rows
 * with them come before the next allocation. 22003 when they are exhausted.
 */
int32
AllocateSequence(SequenceKind kind, Datum parent, int32 count)
{
	Relation	child = OpenTable(allocators[kind].child_name, AccessShareLock);
	Relation	table = OpenTable(allocators[kind].parent_name, RowShareLock);
	Allocator  *allocator = GetAllocator(kind, child, table);
	LockedParent locked;
	int32		first = 0;

	if (LockParent(allocator, table, parent, &locked))
	{
		int32		highest = HighestSequence(allocator, child, parent, &locked, count);

		if (highest > PG_INT32_MAX - count)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("no sequence is left in \"%s\" after %d",
							allocator->child_name, highest)));
		first = highest + 1;
	}
	table_close(table, NoLock);
	table_close(child, NoLock);
	return first;
}

/*
 * Whether others count the numbers of the last allocation's parent by
 * themselves, and one of them may take the very number first.
 */
bool
AllocationIsContested(void)
{
	return is_contested;
}

/*
 * Whether an error is that of a child whose number is taken.
 */
bool
IsNumberTaken(SequenceKind kind, const ErrorData *error)
{
	const char *name = get_rel_name(allocators[kind].child_index);

	return error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION && name != NULL &&
		error->constraint_name != NULL && strcmp(error->constraint_name, name) == 0;
}

/*
 * Whether an allocation to a parent would have to wait for a child whose
 * transaction is open.
 */
bool
IsSequenceOpen(SequenceKind kind, Datum parent)
{
	Relation	child = OpenTable(allocators[kind].child_name, AccessShareLock);
	Relation	table = OpenTable(allocators[kind].parent_name, RowShareLock);
	Allocator  *allocator = GetAllocator(kind, child, table);
	Relation	index = index_open(allocator->child_index, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(child, NULL);
	TransactionId writer;

	ProbeHighest(allocator, child, index, parent, 0, FirstCommandId, slot, &writer);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	table_close(table, NoLock);
	table_close(child, NoLock);
	return TransactionIdIsValid(writer);
}

/*
 * The names of an allocator's tables, and of the child's column for the parent.
 */
void
SequenceNames(SequenceKind kind, const char **child, const char **key, const char **parent)
{
	*child = allocators[kind].child_name;
	*key = allocators[kind].child_key_name;
	*parent = allocators[kind].parent_name;
}

/*
 * Whether the parents' keys are UUIDs, and not texts. An allocation must have
 * been tried before.
 */
bool
KeyIsUuid(SequenceKind kind)
{
	return allocators[kind].equal == F_UUID_EQ;
}
