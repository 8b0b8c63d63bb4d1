/*-------------------------------------------------------------------------
 *
 * event_insert.c
 *	  Events into the log without the detour of an INSERT statement.
 *
 *	  A statement for one row spends more time on the start and end of its
 *	  plan than on the row, and a third of a batch's goes into queries that
 *	  ask whether the workflow is there, whose row we hold locked. So the
 *	  rows go in as those of logical replication do, by the executor's own
 *	  ExecSimpleRelationInsert(): constraints, table, indexes, triggers.
 *
 *	  That holds what an INSERT holds only while the table is as migrate()
 *	  made it, give or take an operator's indexes, CHECKs, foreign keys and
 *	  columns without a default. For anything else (a policy, a rule,
 *	  somebody's trigger, a role whose grants are by column, somebody who
 *	  watches permission checks) we decline, and the caller sends an INSERT.
 *
 *-------------------------------------------------------------------------
 */
#include "log/event_insert.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/trigger.h"
#include "feed/feed.h"
#include "log/event_json.h"
#include "log/event_record.h"

/* what tells the feed, and fences */
#define NOTE_TRIGGER "zzz_note_event"

/* What is known of the log; looked up anew after it changed. */
static struct
{
	bool		is_valid;
	Oid			table;
	bool		is_ordinary;
	AttrNumber	columns[EVENT_FIELDS];
	AttrNumber	workflow;
	AttrNumber	sequence;
	AttrNumber	allocated;
	Oid			id_index;
	Oid			workflow_key;	/* the foreign keys */
	Oid			parent_key;
	ExprState **checks;			/* ready to use; NULL: they are made each time */
} shape;

/* holds what shape points to */
static MemoryContext shape_context = NULL;

struct EventInsert
{
	bool		is_noted;		/* the feed is to be told */
	EState	   *estate;
	ResultRelInfo *relation;
	TupleTableSlot *slot;
};

/* counts the calls of ForgetShape() */
static uint64 table_changes = 0;

/*
 * Relcache callback: forget what is known of the log when it changed.
 */
static void
ForgetShape(Datum arg, Oid relation)
{
	table_changes++;
	if (relation == InvalidOid || relation == shape.table)
		shape.is_valid = false;
}

/*
 * The same for a function that changed: it may be part of a CHECK.
 */
static void
ForgetFunction(Datum arg, int cache, uint32 hash)
{
	ForgetShape(arg, InvalidOid);
}

/*
 * Called once, when the library is loaded.
 */
void
InitLog(void)
{
	CacheRegisterRelcacheCallback(ForgetShape, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, ForgetFunction, (Datum) 0);
}

/*
 * The foreign key from one column to a table, or InvalidOid.
 */
static Oid
ForeignKeyOn(Relation log, AttrNumber column, Oid referenced)
{
	ListCell   *cell;

	foreach(cell, RelationGetFKeyList(log))
	{
		ForeignKeyCacheInfo *key = lfirst_node(ForeignKeyCacheInfo, cell);

		if (key->nkeys == 1 && key->conkey[0] == column && key->confrelid == referenced)
			return key->conoid;
	}
	return InvalidOid;
}

/*
 * Whether an INSERT fires no triggers but ours and those of foreign keys.
 */
static bool
HasOnlyOurTriggers(Relation log)
{
	/* A copy: looking up a name may rebuild the relation's own. */
	TriggerDesc *triggers = CopyTriggerDesc(log->trigdesc);

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		if (TRIGGER_FOR_INSERT(trigger->tgtype) && trigger->tgfoid != F_RI_FKEY_CHECK_INS &&
			!IsOurTrigger(trigger, "zzz_allocate_sequence", "allocate_sequence") &&
			!IsOurTrigger(trigger, NOTE_TRIGGER, "note_event"))
			return false;
	}
	return true;
}

/*
 * Find a column of ours; false when it is not as we made it.
 */
static bool
FindColumn(TupleDesc tupdesc, const char *name, Oid type, AttrNumber *column, Bitmapset **ours)
{
	Form_pg_attribute attribute;

	*column = ColumnNumber(tupdesc, name);
	*ours = bms_add_member(*ours, *column);
	attribute = TupleDescAttr(tupdesc, *column - 1);
	return attribute->atttypid == type && attribute->atttypmod == -1 &&
		attribute->attgenerated == '\0' && attribute->attidentity == '\0';
}

/*
 * Make the CHECKs ready that each row is to satisfy, as the executor would
 * for each statement anew.
 */
static void
FindChecks(Relation log)
{
	TupleConstr *constraints = RelationGetDescr(log)->constr;
	int			count = constraints == NULL ? 0 : constraints->num_check;
	MemoryContext caller;

	shape.checks = NULL;
	if (shape_context == NULL)
		shape_context = AllocSetContextCreate(TopMemoryContext, "amelia workflow_log",
											  ALLOCSET_SMALL_SIZES);
	MemoryContextReset(shape_context);
	/* One that is not valid may be one that does not even hold. */
	for (int i = 0; i < count; i++)
	{
		if (!constraints->check[i].ccvalid ||
			UsesUsersObjects(stringToNode(constraints->check[i].ccbin), NULL))
			return;
	}
	caller = MemoryContextSwitchTo(shape_context);
	shape.checks = palloc(Max(count, 1) * sizeof(ExprState *));
	for (int i = 0; i < count; i++)
	{
		Expr	   *expression = stringToNode(constraints->check[i].ccbin);

		shape.checks[i] = ExecInitExpr(expression_planner(expression), NULL);
	}
	MemoryContextSwitchTo(caller);
}

/*
 * Look at the log.
 */
static void
FindShape(Relation log)
{
	TupleDesc	tupdesc = RelationGetDescr(log);
	Oid			workflows = get_relname_relid("workflows", RelationGetNamespace(log));
	Bitmapset  *ours = NULL;
	bool		is_ordinary = log->rd_rel->relkind == RELKIND_RELATION &&
		!log->rd_rel->relispartition && !log->rd_rel->relrowsecurity &&
		log->rd_rules == NULL && HasOnlyOurTriggers(log);
	uint64		before = table_changes;

	/* Not valid before all is known: an error leaves by here. */
	shape.is_valid = false;
	shape.table = RelationGetRelid(log);
	for (int i = 0; i < EVENT_FIELDS; i++)
		is_ordinary &= FindColumn(tupdesc, event_fields[i].name, event_fields[i].type,
								  &shape.columns[i], &ours);
	is_ordinary &= FindColumn(tupdesc, "workflow_id", UUIDOID, &shape.workflow, &ours);
	is_ordinary &= FindColumn(tupdesc, "sequence", INT4OID, &shape.sequence, &ours);
	is_ordinary &= FindColumn(tupdesc, "sequence_allocated", BOOLOID, &shape.allocated, &ours);
	for (int i = 1; i <= tupdesc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(tupdesc, i - 1);

		/* Anybody else's column must be one that an INSERT leaves NULL. */
		if (!attribute->attisdropped && !bms_is_member(i, ours) &&
			(attribute->atthasdef || attribute->attidentity != '\0' ||
			 get_typtype(attribute->atttypid) == TYPTYPE_DOMAIN))
			is_ordinary = false;
	}
	bms_free(ours);
	shape.id_index = CompatPrimaryKeyIndex(log);
	shape.workflow_key = ForeignKeyOn(log, shape.workflow, workflows);
	shape.parent_key = ForeignKeyOn(log, shape.columns[EVENT_PARENT_ID], shape.table);
	FindChecks(log);
	shape.is_ordinary = is_ordinary && OidIsValid(shape.id_index);
	shape.is_valid = before == table_changes;
}

/*
 * Whether the current user's events may go in directly.
 */
bool
MayInsertDirectly(Relation log)
{
	const AclMode needed = ACL_INSERT | ACL_SELECT;

	if (!shape.is_valid || shape.table != RelationGetRelid(log))
		FindShape(log);
	return shape.is_ordinary && ExecutorCheckPerms_hook == NULL &&
		SessionReplicationRole == SESSION_REPLICATION_ROLE_ORIGIN &&
		pg_class_aclmask(RelationGetRelid(log), GetUserId(), needed, ACLMASK_ALL) == needed;
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
	Relation	index = index_open(shape.id_index, AccessShareLock);
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
	index_close(index, AccessShareLock);
	return found;
}

/*
 * Leave out the triggers that have nothing to do: ours, because the numbers
 * are given, the lease is checked and the feed is told of all at once; the
 * check for the workflow, because we hold its row; the check for the parents,
 * when no event has one. Returns whether the feed is to be told.
 */
static bool
OmitTriggers(TriggerDesc *triggers, bool has_parents)
{
	bool		is_noted = false;

	if (triggers == NULL)
		return false;
	triggers->trig_insert_before_row = false;
	for (int i = 0; i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		if (strcmp(trigger->tgname, NOTE_TRIGGER) == 0)
			is_noted = trigger->tgenabled != TRIGGER_DISABLED &&
				trigger->tgenabled != TRIGGER_FIRES_ON_REPLICA;
		else if (!OidIsValid(trigger->tgconstraint) ||
				 (trigger->tgconstraint != shape.workflow_key &&
				  (trigger->tgconstraint != shape.parent_key || has_parents)))
			continue;
		trigger->tgenabled = TRIGGER_DISABLED;
	}
	return is_noted;
}

/*
 * Begin to insert: what can be done before the workflow is locked, so that
 * it is locked for a shorter time.
 */
EventInsert *
BeginInsert(Relation log, const Event *events, int count)
{
	EState	   *estate = CreateExecutorState();
	MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
	EventInsert *insert = palloc(sizeof(EventInsert));
	bool		has_parents = false;

	for (int i = 0; i < count; i++)
		has_parents = has_parents || !events[i].nulls[EVENT_PARENT_ID];
	insert->estate = estate;
	insert->relation = makeNode(ResultRelInfo);
	InitResultRelInfo(insert->relation, log, 0, NULL, 0);
	insert->relation->COMPAT_CHECK_EXPRESSIONS = shape.checks;
	insert->is_noted = OmitTriggers(insert->relation->ri_TrigDesc, has_parents);
	ExecOpenIndices(insert->relation, false);
	estate->es_opened_result_relations = list_make1(insert->relation);
	insert->slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(log), table_slot_callbacks(log));
	MemoryContextSwitchTo(caller);
	return insert;
}

static void
FillSlot(TupleTableSlot *slot, const Event *event, Datum workflow, int32 sequence)
{
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	for (int i = 0; i < EVENT_FIELDS; i++)
	{
		slot->tts_values[shape.columns[i] - 1] = event->values[i];
		slot->tts_isnull[shape.columns[i] - 1] = event->nulls[i];
	}
	slot->tts_values[shape.workflow - 1] = workflow;
	slot->tts_isnull[shape.workflow - 1] = false;
	slot->tts_values[shape.sequence - 1] = Int32GetDatum(sequence);
	slot->tts_isnull[shape.sequence - 1] = false;
	slot->tts_values[shape.allocated - 1] = BoolGetDatum(true);
	slot->tts_isnull[shape.allocated - 1] = false;
	ExecStoreVirtualTuple(slot);
}

/*
 * Insert the events, in which nothing may be missing, with numbers from first
 * on. Their workflow must be locked.
 */
void
FinishInsert(EventInsert *insert, const Event *events, int count, Datum workflow, int32 first)
{
	MemoryContext caller = MemoryContextSwitchTo(insert->estate->es_query_cxt);

	AfterTriggerBeginQuery();
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		FillSlot(insert->slot, &events[i], workflow, first + i);
		ExecSimpleRelationInsert(insert->relation, insert->estate, insert->slot);
		ResetPerTupleExprContext(insert->estate);
	}
	AfterTriggerEndQuery(insert->estate);
	MemoryContextSwitchTo(caller);
	if (insert->is_noted)
		NoteEvents(DatumGetUUIDP(workflow), first, first + count - 1);
	EndInsert(insert);
	CommandCounterIncrement();
}

/*
 * Give up what BeginInsert() began.
 */
void
EndInsert(EventInsert *insert)
{
	ExecCloseIndices(insert->relation);
	ExecResetTupleTable(insert->estate->es_tupleTable, false);
	FreeExecutorState(insert->estate);
}
