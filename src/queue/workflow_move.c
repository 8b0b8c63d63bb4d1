/*-------------------------------------------------------------------------
 *
 * workflow_move.c
 *	  What a claim and the end of an attempt change in the workflow, without
 *	  the detour of an UPDATE.
 *
 *	  A statement for one row that is found and locked already spends more
 *	  time on its plan, and on reading constraints and the conditions of
 *	  triggers, than on the row. So the row is changed in its table and its
 *	  indexes, our triggers' functions are called as the executor would, and
 *	  the constraints that such a change could violate are kept ready.
 *
 *	  That holds what an UPDATE holds only while the table is as migrate()
 *	  made it, give or take an operator's indexes, columns and CHECKs that
 *	  call no function of his. For anything else (a policy, a rule, somebody's trigger, one of ours that
 *	  is switched off, a role whose grants are by column, somebody who
 *	  watches permission checks) we decline, and the caller sends an UPDATE.
 *	  event_insert.c does the same for events.
 *
 *-------------------------------------------------------------------------
 */
#include "queue/workflow_move.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/trigger.h"
#include "feed/feed.h"

/* What is changed, by our triggers too. */
typedef enum MovedColumn
{
	MOVED_STATUS,
	MOVED_FAILURES,
	MOVED_RETRY_AT,
	MOVED_STARTED_AT,
	MOVED_COMPLETED_AT,
	MOVED_FAILURE_REASON,
	MOVED_TRACES,
	MOVED_UPDATED_AT,
	MOVED_PARKED
} MovedColumn;

#define MOVED_COLUMNS (MOVED_PARKED + 1)

static const struct
{
	const char *name;
	Oid			type;
	bool		may_become_null;
}			moved_columns[MOVED_COLUMNS] =
{
	[MOVED_STATUS] = {"status", TEXTOID, false},
	[MOVED_FAILURES] = {"failures", INT4OID, false},
	[MOVED_RETRY_AT] = {"retry_at", TIMESTAMPTZOID, true},
	[MOVED_STARTED_AT] = {"started_at", TIMESTAMPTZOID, false},
	[MOVED_COMPLETED_AT] = {"completed_at", TIMESTAMPTZOID, true},
	[MOVED_FAILURE_REASON] = {"failure_reason", TEXTOID, true},
	[MOVED_TRACES] = {"traces_removed_to", INT4OID, true},
	[MOVED_UPDATED_AT] = {"updated_at", TIMESTAMPTZOID, false},
	[MOVED_PARKED] = {"parked", BOOLOID, false},
};

/* When one of our triggers on an UPDATE of workflows has something to do. */
typedef enum MoveCall
{
	CALL_NEVER,					/* what it does is done here, or by the caller */
	CALL_ON_START,				/* in a move to in_progress */
	CALL_ALWAYS
} MoveCall;

static const struct
{
	const char *name;
	const char *function;
	MoveCall	call;
}			our_triggers[] =
{
	{"zzz_check_budgets", "check_workflow_budgets", CALL_ON_START},
	{"zzz_workflow_update", "enforce_workflow_update", CALL_ALWAYS},
	{"zzz_note_status", "note_status", CALL_NEVER},
	/* the caller's, when it leaves in_progress, and when it leaves a worktree */
	{"zzz_end_lease", "end_lease", CALL_NEVER},
	{"zzz_unpark_next", "unpark_next", CALL_NEVER},
};

/* What is known of the table; looked up anew after it changed. */
static struct
{
	bool		is_valid;
	Oid			table;
	bool		is_ordinary;
	AttrNumber	columns[MOVED_COLUMNS];
	int			trigger_count;
	struct
	{
		MoveCall	call;
		FmgrInfo	function;
	}			triggers[lengthof(our_triggers)];	/* in their order */
	int			check_count;
	const char **check_names;
	ExprState **checks;
} shape;

/* holds what shape points to */
static MemoryContext shape_context = NULL;

/* counts the calls of ForgetShape() */
static uint64 table_changes = 0;

/*
 * Relcache callback: forget what is known of the table when it changed.
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
InitQueue(void)
{
	CacheRegisterRelcacheCallback(ForgetShape, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, ForgetFunction, (Datum) 0);
}

/* Whether any of some columns is moved. */
static bool
AnyMoved(const AttrNumber *columns, int count, const Bitmapset *moved)
{
	for (int i = 0; i < count; i++)
	{
		if (bms_is_member(columns[i] - FirstLowInvalidHeapAttributeNumber, moved))
			return true;
	}
	return false;
}

/*
 * Whether a constraint is a foreign key, from or to workflows, in whose
 * columns nothing changes.
 */
static bool
IsIdleForeignKey(Relation workflows, Oid constraint, const Bitmapset *moved)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	AttrNumber	own[INDEX_MAX_KEYS];
	AttrNumber	referenced[INDEX_MAX_KEYS];
	Form_pg_constraint form;
	bool		is_idle;
	int			count;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", constraint);
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	is_idle = form->contype == CONSTRAINT_FOREIGN;
	if (is_idle)
	{
		DeconstructFkConstraintRow(tuple, &count, own, referenced, NULL, NULL, NULL, NULL, NULL);
		is_idle = !(form->conrelid == RelationGetRelid(workflows) && AnyMoved(own, count, moved)) &&
			!(form->confrelid == RelationGetRelid(workflows) && AnyMoved(referenced, count, moved));
	}
	ReleaseSysCache(tuple);
	return is_idle;
}

/*
 * Look at the triggers on an UPDATE; false when not all of them are ours and
 * switched on, or of foreign keys that have nothing to look at.
 */
static bool
FindTriggers(Relation workflows, const Bitmapset *moved)
{
	/* A copy: looking up a name may rebuild the relation's own. */
	TriggerDesc *triggers = CopyTriggerDesc(workflows->trigdesc);
	size_t		found = 0;

	shape.trigger_count = 0;
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];
		size_t		place = 0;

		if (!TRIGGER_FOR_UPDATE(trigger->tgtype) ||
			(OidIsValid(trigger->tgconstraint) &&
			 IsIdleForeignKey(workflows, trigger->tgconstraint, moved)))
			continue;
		while (place < lengthof(our_triggers) &&
			   !IsOurTrigger(trigger, our_triggers[place].name, our_triggers[place].function))
			place++;
		if (place == lengthof(our_triggers) || trigger->tgenabled != TRIGGER_FIRES_ON_ORIGIN)
			return false;
		found++;
		if (our_triggers[place].call == CALL_NEVER)
			continue;
		shape.triggers[shape.trigger_count].call = our_triggers[place].call;
		fmgr_info_cxt(trigger->tgfoid, &shape.triggers[shape.trigger_count].function, shape_context);
		shape.trigger_count++;
	}
	return found == lengthof(our_triggers);
}

/*
 * Make the constraints ready that a move could violate; false when there is
 * one that we cannot tell this of.
 */
static bool
FindChecks(Relation workflows, const Bitmapset *moved)
{
	TupleConstr *constraints = RelationGetDescr(workflows)->constr;
	int			count = constraints == NULL ? 0 : constraints->num_check;

	shape.check_count = 0;
	shape.checks = palloc(Max(count, 1) * sizeof(ExprState *));
	shape.check_names = palloc(Max(count, 1) * sizeof(char *));
	for (int i = 0; i < count; i++)
	{
		ConstrCheck *check = &constraints->check[i];
		Expr	   *expression = stringToNode(check->ccbin);
		Bitmapset  *used = NULL;

		if (!check->ccvalid)
			return false;
		pull_varattnos((Node *) expression, 1, &used);
		if (!bms_is_member(InvalidAttrNumber - FirstLowInvalidHeapAttributeNumber, used) &&
			!bms_overlap(used, moved))
			continue;
		if (UsesUsersObjects((Node *) expression, NULL))
			return false;
		shape.check_names[shape.check_count] = pstrdup(check->ccname);
		shape.checks[shape.check_count++] =
			ExecInitExpr((Expr *) expression_planner(expression), NULL);
	}
	return true;
}

/*
 * Look at the table.
 */
static void
FindShape(Relation workflows)
{
	TupleDesc	tupdesc = RelationGetDescr(workflows);
	bool		is_ordinary = workflows->rd_rel->relkind == RELKIND_RELATION &&
		!workflows->rd_rel->relispartition && !workflows->rd_rel->relrowsecurity &&
		workflows->rd_rules == NULL;
	uint64		before = table_changes;
	Bitmapset  *moved = NULL;
	MemoryContext caller;

	/* Not valid before all is known: an error leaves by here. */
	shape.is_valid = false;
	shape.table = RelationGetRelid(workflows);
	if (shape_context == NULL)
		shape_context = AllocSetContextCreate(TopMemoryContext, "amelia workflows",
											  ALLOCSET_SMALL_SIZES);
	MemoryContextReset(shape_context);
	caller = MemoryContextSwitchTo(shape_context);
	/* A generated column would have to be computed anew. */
	for (int i = 0; i < tupdesc->natts; i++)
		is_ordinary = is_ordinary && TupleDescAttr(tupdesc, i)->attgenerated == '\0';
	for (int i = 0; i < MOVED_COLUMNS; i++)
	{
		Form_pg_attribute attribute;

		shape.columns[i] = ColumnNumber(tupdesc, moved_columns[i].name);
		attribute = TupleDescAttr(tupdesc, shape.columns[i] - 1);
		moved = bms_add_member(moved, shape.columns[i] - FirstLowInvalidHeapAttributeNumber);
		is_ordinary = is_ordinary && attribute->atttypid == moved_columns[i].type &&
			attribute->atttypmod == -1 &&
			!(moved_columns[i].may_become_null && attribute->attnotnull);
	}
	is_ordinary = is_ordinary && FindTriggers(workflows, moved) && FindChecks(workflows, moved);
	MemoryContextSwitchTo(caller);
	shape.is_ordinary = is_ordinary;
	shape.is_valid = before == table_changes;
}

/*
 * Whether the current user may move workflows directly.
 */
bool
MayMoveDirectly(Relation workflows)
{
	const AclMode needed = ACL_UPDATE | ACL_SELECT;

	if (!shape.is_valid || shape.table != RelationGetRelid(workflows))
		FindShape(workflows);
	return shape.is_ordinary && ExecutorCheckPerms_hook == NULL &&
		SessionReplicationRole == SESSION_REPLICATION_ROLE_ORIGIN &&
		pg_class_aclmask(RelationGetRelid(workflows), GetUserId(), needed, ACLMASK_ALL) == needed;
}

/*
 * Call our triggers, in their order, and return the row that they make.
 */
static HeapTuple
CallTriggers(Relation workflows, HeapTuple before, HeapTuple after, bool starts)
{
	TriggerData data = {
		.type = T_TriggerData,
		.tg_event = TRIGGER_EVENT_UPDATE | TRIGGER_EVENT_ROW | TRIGGER_EVENT_BEFORE,
		.tg_relation = workflows,
		.tg_trigtuple = before,
		.tg_newtuple = after
	};

	for (int i = 0; i < shape.trigger_count; i++)
	{
		LOCAL_FCINFO(fcinfo, 0);

		if (shape.triggers[i].call == CALL_ON_START && !starts)
			continue;
		InitFunctionCallInfoData(*fcinfo, &shape.triggers[i].function, 0, InvalidOid, (Node *) &data, NULL);
		data.tg_newtuple = (HeapTuple) DatumGetPointer(FunctionCallInvoke(fcinfo));
	}
	return data.tg_newtuple;
}

/*
 * Raise 23514 if a constraint does not hold for the row in a slot.
 */
static void
CheckRow(Relation workflows, TupleTableSlot *slot)
{
	ExprContext *context = CreateStandaloneExprContext();

	context->ecxt_scantuple = slot;
	for (int i = 0; i < shape.check_count; i++)
	{
		if (!ExecCheck(shape.checks[i], context))
			ereport(ERROR,
					(errcode(ERRCODE_CHECK_VIOLATION),
					 errmsg("new row for relation \"%s\" violates check constraint \"%s\"",
							RelationGetRelationName(workflows), shape.check_names[i]),
					 errtableconstraint(workflows, shape.check_names[i])));
	}
	FreeExprContext(context, true);
}

/*
 * Change some columns of the workflow in row, whose latest version is locked,
 * the first of which is its status. Returns its new row.
 */
static HeapTuple
ChangeRow(Relation workflows, TupleTableSlot *row, const char *status,
		  int count, int *columns, Datum *values, bool *nulls)
{
	TupleDesc	tupdesc = RelationGetDescr(workflows);
	HeapTuple	before = ExecCopySlotHeapTuple(row);
	HeapTuple	after = heap_modify_tuple_by_cols(before, tupdesc, count, columns, values, nulls);
	bool		is_new_status = !SameValue(tupdesc, columns[0], before, after);
	TupleTableSlot *slot = table_slot_create(workflows, NULL);

	CheckCmdReplicaIdentity(workflows, CMD_UPDATE);
	after = CallTriggers(workflows, before, after,
						 is_new_status && strcmp(status, "in_progress") == 0);
	ExecForceStoreHeapTuple(after, slot, false);
	CheckRow(workflows, slot);
	ReplaceRow(workflows, &row->tts_tid, slot);
	ExecDropSingleTupleTableSlot(slot);
	if (is_new_status)
	{
		bool		is_null;

		NoteStatus(DatumGetUUIDP(heap_getattr(before, ColumnNumber(tupdesc, "id"), tupdesc, &is_null)),
				   status);
	}
	return after;
}

/*
 * Move the workflow in row, whose latest version is locked, to in_progress,
 * with that many failures. Returns its new row. MayMoveDirectly() must have
 * said yes in this transaction.
 */
HeapTuple
MoveToProgress(Relation workflows, TupleTableSlot *row, int32 failures)
{
	int			columns[] = {
		shape.columns[MOVED_STATUS], shape.columns[MOVED_FAILURES], shape.columns[MOVED_RETRY_AT]
	};
	Datum		values[] = {CStringGetTextDatum("in_progress"), Int32GetDatum(failures), (Datum) 0};
	bool		nulls[] = {false, false, true};

	return ChangeRow(workflows, row, "in_progress", lengthof(columns), columns, values, nulls);
}

/*
 * The same from in_progress to completed. Its lease, and what waits for its
 * worktree, are left to the caller.
 */
HeapTuple
MoveToCompleted(Relation workflows, TupleTableSlot *row)
{
	int			columns[] = {shape.columns[MOVED_STATUS]};
	Datum		values[] = {CStringGetTextDatum("completed")};
	bool		nulls[] = {false};

	return ChangeRow(workflows, row, "completed", lengthof(columns), columns, values, nulls);
}
