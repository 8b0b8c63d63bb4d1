/*-------------------------------------------------------------------------
 *
 * fence_thread.c
 *	  The fence on LangGraph's tables.
 *
 *	  It does three things for each row. It shares the thread's lock, so that
 *	  nobody prunes the thread before this transaction ends. It refuses what a
 *	  worker writes whose lease is lost (fence.c). And it refuses a checkpoint
 *	  whose parent is not there, and writes to a checkpoint that is not there,
 *	  or is only there because others are made from it (anchor_marks.c).
 *	  LangGraph itself does not: asked to go on from a checkpoint that is gone, it
 *	  begins with an empty state, and stores that as the thread's newest.
 *
 *	  Some come before what they refer to. A saver may store the writes to a
 *	  checkpoint before it, and with durability "exit" a thread's first
 *	  checkpoint before the empty one that it follows; older versions write to
 *	  an empty one that never comes. But a run stores its
 *	  checkpoints one after the other: a parent that is not newer than the
 *	  newest one of its namespace will not come any more.
 *
 *	  And some come late: a run does not wait until what its tasks wrote to a
 *	  checkpoint is stored, so that the next one may be there before, and the
 *	  first one pruned. Such writes are let through, and count for nothing:
 *	  the next checkpoint holds what they brought.
 *
 *	  What is there is looked up by the primary key, as of now, whoever writes.
 *	  Tables whose columns or key are others than LangGraph's are not looked up.
 *
 *-------------------------------------------------------------------------
 */
#include "lease/fence.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/sequence.h"
#include "base/trigger.h"
#include "base/uuid.h"
#include "retention/checkpoint_shape.h"
#include "retention/thread_lock.h"

PG_FUNCTION_INFO_V1(amelia_fence_thread);

/* Where a checkpoint is looked up. */
typedef struct Checkpoints
{
	Relation	table;
	Relation	index;			/* NULL: the table has another key */
	TupleTableSlot *slot;
	Datum		thread;
	Datum		ns;
} Checkpoints;

/* The columns of the primary key. */
static const char *const key_columns[] = {"thread_id", "checkpoint_ns", "checkpoint_id"};

/* Whether a text is a UUID as we write it; the UUID. */
static bool
ReadThreadId(const char *thread, pg_uuid_t *workflow)
{
	if (strlen(thread) != UUID_TEXT_SIZE - 1 ||
		strspn(thread, "0123456789abcdef-") != UUID_TEXT_SIZE - 1 ||
		thread[8] != '-' || thread[13] != '-' || thread[18] != '-' || thread[23] != '-')
		return false;
	*workflow = *DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(thread)));
	return true;
}

/*
 * The workflow of a thread that link_thread() knows; read with the rights of
 * its table's owner, because LangGraph's need not have any there.
 */
static bool
FindLinkedWorkflow(const char *thread, pg_uuid_t *workflow)
{
	Relation	table = OpenTable("workflow_threads", AccessShareLock);
	Relation	index = OpenIndex(table, "workflow_threads_pkey", AccessShareLock);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	ScanKeyData key;
	bool		found;

	InitTextKey(&key, 1, index, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(thread));
	found = FindLatestRow(table, index, &key, 1, slot);
	if (found)
		*workflow = *DatumGetUUIDP(RowColumn(table, slot, "workflow_id", UUIDOID, NULL));
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	table_close(table, NoLock);
	return found;
}

static void
FenceThreadId(Datum value)
{
	char	   *thread = TextDatumGetCString(value);
	pg_uuid_t	workflow;

	if (ReadThreadId(thread, &workflow) || FindLinkedWorkflow(thread, &workflow))
		FenceWorkflow(&workflow, false);
}

/*
 * A column of text of a row; false when there is none, or it is NULL.
 */
static bool
TextColumn(TupleDesc tupdesc, HeapTuple row, const char *name, Datum *value)
{
	int			number = SPI_fnumber(tupdesc, name);
	bool		is_null;

	if (number <= 0 || TupleDescAttr(tupdesc, number - 1)->atttypid != TEXTOID)
		return false;
	*value = heap_getattr(row, number, tupdesc, &is_null);
	return !is_null;
}

/*
 * Whether a column of text is what it was, or is not there at all.
 */
static bool
SameText(TriggerData *data, const char *name)
{
	TupleDesc	tupdesc = RelationGetDescr(data->tg_relation);
	int			number = SPI_fnumber(tupdesc, name);

	return number <= 0 || SameValue(tupdesc, number, data->tg_trigtuple, data->tg_newtuple);
}

/*
 * The primary key of LangGraph's checkpoints; NULL when it is another one.
 */
static Relation
OpenCheckpointKey(Relation table)
{
	Oid			key = CompatPrimaryKeyIndex(table);
	Relation	index;

	if (!OidIsValid(key))
		return NULL;
	index = index_open(key, AccessShareLock);
	for (int i = 0; i < (int) lengthof(key_columns); i++)
	{
		if (index->rd_rel->relam != BTREE_AM_OID || !index->rd_index->indisvalid ||
			IndexRelationGetNumberOfKeyAttributes(index) != lengthof(key_columns) ||
			index->rd_opcintype[i] != TEXTOID ||
			index->rd_index->indkey.values[i] != SPI_fnumber(RelationGetDescr(table), key_columns[i]))
		{
			index_close(index, AccessShareLock);
			return NULL;
		}
	}
	return index;
}

/*
 * Find the first checkpoint of the namespace whose id compares so with a
 * value. The row is in the slot.
 */
static bool
FindCheckpoint(Checkpoints *checkpoints, int strategy, RegProcedure function, Datum id)
{
	ScanKeyData keys[lengthof(key_columns)];

	InitTextKey(&keys[0], 1, checkpoints->index, BTEqualStrategyNumber, F_TEXTEQ, checkpoints->thread);
	InitTextKey(&keys[1], 2, checkpoints->index, BTEqualStrategyNumber, F_TEXTEQ, checkpoints->ns);
	InitTextKey(&keys[2], 3, checkpoints->index, strategy, function, id);
	return FindLatestRow(checkpoints->table, checkpoints->index, keys, lengthof(keys), checkpoints->slot);
}

/*
 * Whether a checkpoint is the first of its run in a namespace: that run's input
 * is step -1, and the empty checkpoint before it -2.
 */
static bool
IsFirstStep(TupleDesc tupdesc, HeapTuple row)
{
	int			number = SPI_fnumber(tupdesc, "metadata");
	bool		is_null;
	Datum		metadata;
	JsonbValue *step;

	if (number <= 0 || TupleDescAttr(tupdesc, number - 1)->atttypid != JSONBOID)
		return false;
	metadata = heap_getattr(row, number, tupdesc, &is_null);
	if (is_null || !JB_ROOT_IS_OBJECT(DatumGetJsonbP(metadata)))
		return false;
	step = getKeyJsonValueFromContainer(&DatumGetJsonbP(metadata)->root, "step", strlen("step"), NULL);
	return step != NULL && step->type == jbvNumeric &&
		DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(step->val.numeric),
										  DirectFunctionCall1(int4_numeric, Int32GetDatum(0)))) < 0;
}

/*
 * Whether a checkpoint that is not there is the empty one before a
 * namespace's first: it is on its way, or never comes, as with older versions
 * of LangGraph that write to it nevertheless.
 */
static bool
IsFollowedByFirst(Checkpoints *checkpoints, Datum id)
{
	TupleDesc	tupdesc = RelationGetDescr(checkpoints->table);
	HeapTuple	row;
	Datum		parent;

	if (FindCheckpoint(checkpoints, BTLessStrategyNumber, F_TEXT_LT, id) ||
		!FindCheckpoint(checkpoints, BTGreaterStrategyNumber, F_TEXT_GT, id))
		return false;
	row = ExecFetchSlotHeapTuple(checkpoints->slot, false, NULL);
	return TextColumn(tupdesc, row, "parent_checkpoint_id", &parent) ?
		DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID, parent, id)) :
		IsFirstStep(tupdesc, row);
}

/*
 * Whether a checkpoint is stored already: savers update it then, and leave its
 * parent as it is.
 */
static bool
IsStored(Checkpoints *checkpoints, TupleDesc tupdesc, HeapTuple row)
{
	Datum		id;
	Datum		parent;
	Datum		stored_parent;

	return TextColumn(tupdesc, row, "checkpoint_id", &id) &&
		TextColumn(tupdesc, row, "parent_checkpoint_id", &parent) &&
		FindCheckpoint(checkpoints, BTEqualStrategyNumber, F_TEXTEQ, id) &&
		TextColumn(tupdesc, ExecFetchSlotHeapTuple(checkpoints->slot, false, NULL),
				   "parent_checkpoint_id", &stored_parent) &&
		DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID, parent, stored_parent));
}

/*
 * Whether nobody may go on from the checkpoint that was found.
 */
static bool
IsMarked(const Checkpoints *checkpoints)
{
	TupleDesc	tupdesc = RelationGetDescr(checkpoints->table);
	HeapTuple	row = ExecFetchSlotHeapTuple(checkpoints->slot, false, NULL);
	int			number = SPI_fnumber(tupdesc, "metadata");
	bool		is_null;
	Datum		metadata;

	if (number <= 0 || TupleDescAttr(tupdesc, number - 1)->atttypid != JSONBOID)
		return false;
	metadata = heap_getattr(row, number, tupdesc, &is_null);
	return !is_null && JB_ROOT_IS_OBJECT(DatumGetJsonbP(metadata)) &&
		getKeyJsonValueFromContainer(&DatumGetJsonbP(metadata)->root, ANCHOR_MARK,
									 strlen(ANCHOR_MARK), NULL) != NULL;
}

/*
 * Refuse a row that refers to a checkpoint that nobody may go on from, or that
 * is not there and will not come: the row itself is one (follows), or belongs to it.
 */
static void
CheckCheckpoint(Relation table, TupleDesc tupdesc, HeapTuple row, Datum id, bool follows)
{
	Checkpoints checkpoints = {.table = table};
	bool		is_gone;
	bool		is_marked;

	if (!TextColumn(tupdesc, row, "thread_id", &checkpoints.thread) ||
		!TextColumn(tupdesc, row, "checkpoint_ns", &checkpoints.ns))
		return;
	checkpoints.index = OpenCheckpointKey(table);
	if (checkpoints.index == NULL)
		return;
	checkpoints.slot = table_slot_create(table, NULL);
	is_gone = !FindCheckpoint(&checkpoints, BTEqualStrategyNumber, F_TEXTEQ, id);
	is_marked = !is_gone && IsMarked(&checkpoints) &&
		!(follows ? IsStored(&checkpoints, tupdesc, row) : IsRecentCheckpoint(TextDatumGetCString(id)));
	is_gone = is_gone && FindCheckpoint(&checkpoints, BTGreaterStrategyNumber, F_TEXT_GT, id) &&
		!(follows ? IsStored(&checkpoints, tupdesc, row) :
		  IsFollowedByFirst(&checkpoints, id) || IsRecentCheckpoint(TextDatumGetCString(id)));
	ExecDropSingleTupleTableSlot(checkpoints.slot);
	index_close(checkpoints.index, AccessShareLock);
	if (is_gone)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("checkpoint \"%s\" of thread \"%s\" is not there, and others came after it",
						TextDatumGetCString(id), TextDatumGetCString(checkpoints.thread)),
				 follows ? errdetail("A checkpoint that follows it would begin with an empty state.") :
				 errdetail("What is written to it would be lost."),
				 errhint("It was pruned or deleted. Go on from a checkpoint that is there, such as the thread's newest.")));
	if (is_marked)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("checkpoint \"%s\" of thread \"%s\" is only there because later ones are made from it",
						TextDatumGetCString(id), TextDatumGetCString(checkpoints.thread)),
				 errdetail("What it needs itself was pruned."),
				 errhint("Go on from another checkpoint, such as the thread's newest.")));
}

/*
 * The part of the fence that needs no lease, for a row that is to be written.
 */
static void
FenceCheckpoints(TriggerData *data, HeapTuple row)
{
	Relation	relation = data->tg_relation;
	TupleDesc	tupdesc = RelationGetDescr(relation);
	bool		is_update = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
	Datum		value;

	if (TextColumn(tupdesc, row, "thread_id", &value))
		ShareThread(RelationGetNamespace(relation), TextDatumGetCString(value));
	if (is_update && !SameText(data, "thread_id") &&
		TextColumn(tupdesc, data->tg_trigtuple, "thread_id", &value))
		ShareThread(RelationGetNamespace(relation), TextDatumGetCString(value));
	if (TRIGGER_FIRED_BY_DELETE(data->tg_event) || AreRowsTrusted())
		return;
	if (is_update && SameText(data, "thread_id") && SameText(data, "checkpoint_ns") &&
		SameText(data, "checkpoint_id") && SameText(data, "parent_checkpoint_id"))
		return;
	if (strcmp(RelationGetRelationName(relation), amelia_checkpoint_tables[CHECKPOINTS]) == 0)
	{
		if (TextColumn(tupdesc, row, "parent_checkpoint_id", &value))
			CheckCheckpoint(relation, tupdesc, row, value, true);
	}
	else if (strcmp(RelationGetRelationName(relation), amelia_checkpoint_tables[WRITES]) == 0 &&
			 TextColumn(tupdesc, row, "checkpoint_id", &value))
	{
		Oid			parent = get_relname_relid(amelia_checkpoint_tables[CHECKPOINTS],
											   RelationGetNamespace(relation));
		Relation	table = OidIsValid(parent) ? try_relation_open(parent, AccessShareLock) : NULL;

		if (table != NULL)
		{
			if (table->rd_rel->relkind == RELKIND_RELATION)
				CheckCheckpoint(table, tupdesc, row, value, false);
			relation_close(table, NoLock);
		}
	}
}

/*
 * fence_thread() returns trigger
 *
 * For LangGraph's tables, whose column thread_id names the workflow.
 */
Datum
amelia_fence_thread(PG_FUNCTION_ARGS)
{
	HeapTuple	row = FenceRow(fcinfo, "fence_thread", "thread_id", TEXTOID, FenceThreadId);
	TriggerData *data = (TriggerData *) fcinfo->context;

	FenceCheckpoints(data, row);
	return PointerGetDatum(row);
}
