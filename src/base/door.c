/*-------------------------------------------------------------------------
 *
 * door.c
 *	  The one door to rows of our tables without a statement.
 *
 *	  A statement for one row that is found and locked already spends more
 *	  time on the start and end of its plan than on the row. So where a table
 *	  is as migrate() made it, give or take an operator's columns, indexes,
 *	  CHECKs and foreign keys, rows go in and change by the executor's own
 *	  ExecSimpleRelationInsert() and ...Update(), as those of logical
 *	  replication do: constraints, table, indexes. Each use says which
 *	  columns it writes and which of our triggers it stands in for.
 *
 *	  The door is open only for a plain heap table with the columns and types
 *	  that the use names, without inheritance, rules and generated columns,
 *	  whose triggers are ours and enabled, whose indexes can be kept without
 *	  a constraint's trigger, and whose CHECKs, index expressions, predicates
 *	  and operator classes call only what PostgreSQL itself brought, and of
 *	  that only what is immutable and cannot be made to run anything: nothing
 *	  that a user wrote runs behind it. A column that nobody but its owner
 *	  knows must be one that an INSERT leaves NULL. A caller's write also
 *	  wants no policies, rights on the whole table, and nobody who watches
 *	  permission checks. All of that is looked at here, kept until the
 *	  relcache says that the table changed, and nowhere else.
 *
 *	  Where the door is shut, the caller sends a statement; what the library
 *	  writes for itself goes through InsertRow() and UpdateRow(), which send
 *	  one as the table's owner in a restricted operation.
 *
 *	  Nothing of the relcache is held across a call that may look something
 *	  up: the trigger list is copied, and what is kept is our own. What was
 *	  kept lives on to the end of the transaction in which it is replaced,
 *	  because an outer call may be using it.
 *
 *-------------------------------------------------------------------------
 */
#include "base/door.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/execute.h"
#include "base/trigger.h"

struct DoorShape
{
	MemoryContext context;
	bool		is_open;
	AttrNumber	columns[DOOR_COLUMNS];
	Oid			functions[DOOR_TRIGGERS];
	ExprState **checks;			/* ready to use, one for each CHECK */
};

/* "on", "off", or a table, or TABLE.COLUMN for the use that begins with it, for which alone it is shut */
static char *door_setting = NULL;

/* all uses that were asked for */
static DoorUse *known_uses = NULL;

/* counts the calls of ForgetShapes() */
static uint64 table_changes = 0;

/*
 * Relcache callback: forget what is known of a table that changed.
 */
static void
ForgetShapes(Datum arg, Oid relation)
{
	table_changes++;
	for (DoorUse *use = known_uses; use != NULL; use = use->next)
	{
		if (relation == InvalidOid || relation == use->relation)
			use->is_valid = false;
	}
}

/*
 * The same for a function that changed: it may be one of a trigger.
 */
static void
ForgetFunction(Datum arg, int cache, uint32 hash)
{
	ForgetShapes(arg, InvalidOid);
}

/*
 * Called once, when the library is loaded.
 */
void
InitDoor(void)
{
	DefineCustomStringVariable("amelia.door",
							   "Whether rows may be written without a statement: on, off, or a table (or the first column that a use of it writes) for which they may not.",
							   "For tests: both ways do the same.",
							   &door_setting, "on",
							   PGC_SUSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	CacheRegisterRelcacheCallback(ForgetShapes, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, ForgetFunction, (Datum) 0);
}

static bool
IsUsersFunction(Oid function, void *context)
{
	return function >= FirstNormalObjectId || func_volatile(function) != PROVOLATILE_IMMUTABLE;
}

/*
 * Whether an expression is other than plain: it may come to run what a user
 * wrote. Some of PostgreSQL's own functions do, with SQL that they are given or
 * by the input of a type: so only immutable ones are plain, of PostgreSQL's own
 * types, in kinds of expressions that are known here.
 */
static bool
UsesUsersObjects(Node *expression, void *context)
{
	if (expression == NULL)
		return false;
	switch (nodeTag(expression))
	{
		case T_List:
			break;
		case T_Var:
		case T_Const:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_BoolExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_FuncExpr:
		case T_ArrayExpr:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CaseTestExpr:
		case T_CoalesceExpr:
		case T_MinMaxExpr:
			if (exprType(expression) >= FirstNormalObjectId || exprType(expression) == RECORDOID)
				return true;
			break;
		default:
			return true;
	}
	return check_functions_in_node(expression, IsUsersFunction, context) ||
		expression_tree_walker(expression, UsesUsersObjects, context);
}

/*
 * Whether the table's columns are as the use needs them.
 */
static bool
FindColumns(const DoorUse *use, TupleDesc tupdesc, DoorShape *shape)
{
	Bitmapset  *ours = NULL;
	bool		suits = true;

	for (int i = 0; i < DOOR_COLUMNS && use->columns[i].name != NULL && suits; i++)
	{
		int			number = SPI_fnumber(tupdesc, use->columns[i].name);
		Form_pg_attribute attribute;

		if (number <= 0)
			return false;
		shape->columns[i] = number;
		ours = bms_add_member(ours, number);
		attribute = TupleDescAttr(tupdesc, number - 1);
		suits = attribute->atttypid == use->columns[i].type && attribute->atttypmod == -1 &&
			attribute->attidentity == '\0' &&
			!(use->columns[i].may_be_null && attribute->attnotnull);
	}
	for (int i = 1; i <= tupdesc->natts && suits; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(tupdesc, i - 1);

		if (attribute->attisdropped)
			continue;
		/* It would have to be computed anew. */
		suits = attribute->attgenerated == '\0';
		if (suits && use->command == CMD_INSERT && !bms_is_member(i, ours))
			suits = !attribute->atthasdef && attribute->attidentity == '\0' &&
				!attribute->attnotnull && get_typtype(attribute->atttypid) != TYPTYPE_DOMAIN;
	}
	bms_free(ours);
	return suits;
}

/*
 * Whether the write leaves a foreign key alone, from or to the table: none of
 * its columns is written, or the first so many of the use's held keys are it.
 */
static bool
LeavesKeyAlone(const DoorUse *use, Relation table, const AttrNumber *written, Oid constraint, int held)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	AttrNumber	own[INDEX_MAX_KEYS];
	AttrNumber	referenced[INDEX_MAX_KEYS];
	Form_pg_constraint form;
	const AttrNumber *columns;
	bool		is_touched = use->command == CMD_INSERT;
	bool		is_held = false;
	int			count;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	if (form->contype != CONSTRAINT_FOREIGN)
	{
		ReleaseSysCache(tuple);
		return false;
	}
	DeconstructFkConstraintRow(tuple, &count, own, referenced, NULL, NULL, NULL, NULL, NULL);
	columns = form->conrelid == RelationGetRelid(table) ? own : referenced;
	for (int i = 0; i < count; i++)
	{
		for (int j = 0; j < DOOR_COLUMNS && use->columns[j].name != NULL; j++)
			is_touched = is_touched || written[j] == columns[i];
	}
	for (int i = 0; i < held && columns == own && count == 1 && use->held_keys[i].column != NULL; i++)
		is_held = is_held ||
			(SPI_fnumber(RelationGetDescr(table), use->held_keys[i].column) == own[0] &&
			 form->confrelid == get_relname_relid(use->held_keys[i].table, RelationGetNamespace(table)));
	ReleaseSysCache(tuple);
	return is_held || !is_touched;
}

/* The place of a trigger among those that the use stands in for, or -1. */
static int
OwnTrigger(const DoorUse *use, const Trigger *trigger)
{
	for (int i = 0; i < DOOR_TRIGGERS && use->triggers[i].name != NULL; i++)
	{
		if (IsOurTrigger(trigger, use->triggers[i].name, use->triggers[i].function))
			return i;
	}
	return -1;
}

/*
 * Whether the write fires no triggers but those that the use stands in for,
 * all of which are enabled, and foreign keys'.
 */
static bool
FindTriggers(const DoorUse *use, Relation table, DoorShape *shape)
{
	TriggerDesc *triggers = CopyTriggerDesc(table->trigdesc);
	int			wanted = 0;
	int			found = 0;

	while (wanted < DOOR_TRIGGERS && use->triggers[wanted].name != NULL)
		wanted++;
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];
		int			place;

		if (use->command == CMD_INSERT ? !TRIGGER_FOR_INSERT(trigger->tgtype) :
			!TRIGGER_FOR_UPDATE(trigger->tgtype))
			continue;
		if (trigger->tgisinternal && OidIsValid(trigger->tgconstraint))
		{
			/* A deferred one would wait for the commit, and that may be now. */
			if (!use->for_caller &&
				!LeavesKeyAlone(use, table, shape->columns, trigger->tgconstraint, DOOR_KEYS))
				return false;
			continue;
		}
		place = OwnTrigger(use, trigger);
		if (place < 0 || trigger->tgenabled != TRIGGER_FIRES_ON_ORIGIN)
			return false;
		shape->functions[place] = trigger->tgfoid;
		found++;
	}
	return found == wanted;
}

/*
 * Whether an index can be kept without calling anything of a user's.
 */
static bool
IsPlainIndex(Oid relation)
{
	Relation	index = index_open(relation, AccessShareLock);
	bool		is_null;
	oidvector  *classes = (oidvector *)
	DatumGetPointer(SysCacheGetAttr(INDEXRELID, index->rd_indextuple, Anum_pg_index_indclass, &is_null));
	bool		is_plain = index->rd_rel->relam < FirstNormalObjectId &&
	!index->rd_index->indisexclusion && index->rd_index->indimmediate;

	for (int i = 0; i < classes->dim1 && is_plain; i++)
		is_plain = classes->values[i] < FirstNormalObjectId;
	is_plain = is_plain && !UsesUsersObjects((Node *) RelationGetIndexExpressions(index), NULL) &&
		!UsesUsersObjects((Node *) RelationGetIndexPredicate(index), NULL);
	index_close(index, NoLock);
	return is_plain;
}

static bool
FindIndexes(Relation table)
{
	List	   *indexes = RelationGetIndexList(table);
	ListCell   *cell;
	bool		suits = true;

	foreach(cell, indexes)
		suits = suits && IsPlainIndex(lfirst_oid(cell));
	list_free(indexes);
	return suits;
}

/*
 * Make the CHECKs ready, as the executor would for each statement anew; false
 * when one of them calls something of a user's.
 */
static bool
FindChecks(TupleDesc tupdesc, DoorShape *shape)
{
	int			count = tupdesc->constr == NULL ? 0 : tupdesc->constr->num_check;

	shape->checks = palloc0(Max(count, 1) * sizeof(ExprState *));
	for (int i = 0; i < count; i++)
	{
		Node	   *expression = stringToNode(tupdesc->constr->check[i].ccbin);

		if (UsesUsersObjects(expression, NULL))
			return false;
		shape->checks[i] = ExecInitExpr(expression_planner((Expr *) expression), NULL);
	}
	return true;
}

/*
 * Whether Citus has spread the table over nodes: its rows are elsewhere, and
 * what were written here nobody would find. Citus says in its catalog which
 * tables those are, and tells the relcache when that changes.
 */
static bool
IsDistributed(Oid relation)
{
	Oid			catalog = get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE);
	Relation	tables;
	ScanKeyData key;
	SysScanDesc scan;
	int			column;
	bool		is_distributed = false;

	if (!OidIsValid(catalog))
		return false;
	tables = table_open(catalog, AccessShareLock);
	column = SPI_fnumber(RelationGetDescr(tables), "logicalrelid");
	if (column > 0)
	{
		ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relation));
		scan = systable_beginscan(tables, InvalidOid, false, NULL, 1, &key);
		is_distributed = HeapTupleIsValid(systable_getnext(scan));
		systable_endscan(scan);
	}
	table_close(tables, AccessShareLock);
	return is_distributed;
}

/*
 * Look at the table.
 */
static void
FindShape(DoorUse *use, Relation table)
{
	const FormData_pg_class *class = table->rd_rel;
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "amelia door", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	TupleDesc	tupdesc = CreateTupleDescCopyConstr(RelationGetDescr(table));
	DoorShape  *shape = palloc0(sizeof(DoorShape));
	uint64		before = table_changes;

	if (!use->is_known)
	{
		use->next = known_uses;
		known_uses = use;
		use->is_known = true;
	}
	/* An outer call may be using it: it goes with the transaction. */
	if (use->shape != NULL)
		MemoryContextSetParent(use->shape->context, TopTransactionContext);
	use->shape = shape;
	use->is_valid = false;
	use->relation = RelationGetRelid(table);
	shape->context = context;
	shape->is_open = class->relkind == RELKIND_RELATION && class->relam == HEAP_TABLE_AM_OID &&
		!class->relispartition && !class->relhassubclass && table->rd_rules == NULL &&
		!(use->for_caller && class->relrowsecurity) && !IsDistributed(RelationGetRelid(table)) &&
		FindColumns(use, tupdesc, shape) && FindTriggers(use, table, shape) &&
		FindIndexes(table) && FindChecks(tupdesc, shape);
	MemoryContextSwitchTo(caller);
	use->is_valid = before == table_changes;
}

static bool
IsShut(const DoorUse *use)
{
	const char *column;

	if (strncmp(door_setting, use->table, strlen(use->table)) != 0)
		return strcmp(door_setting, "off") == 0;
	column = door_setting + strlen(use->table);
	return *column == '\0' || (*column == '.' && strcmp(column + 1, use->columns[0].name) == 0);
}

/*
 * Whether the write may go through the door. The table must be locked as for
 * the write, and by the name that the use has; the answer holds as long as
 * nothing else is done that could change the table.
 */
bool
DoorIsOpen(DoorUse *use, Relation table)
{
	const AclMode needed = (use->command == CMD_INSERT ? ACL_INSERT : ACL_UPDATE) | ACL_SELECT;

	if (IsShut(use) || SessionReplicationRole != SESSION_REPLICATION_ROLE_ORIGIN)
		return false;
	if (!use->is_valid || use->relation != RelationGetRelid(table))
		FindShape(use, table);
	if (!use->shape->is_open || !use->for_caller)
		return use->shape->is_open;
	return ExecutorCheckPerms_hook == NULL &&
		pg_class_aclmask(RelationGetRelid(table), GetUserId(), needed, ACLMASK_ALL) == needed;
}

/*
 * The same at commit, where no statement can take its place. It was open when
 * the write was announced, and the table is locked since, so only this very
 * transaction can have shut it: 55000.
 */
void
RequireOpenDoor(DoorUse *use, Relation table)
{
	if (!DoorIsOpen(use, table))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" was changed in a transaction that had still to write to it",
						use->table),
				 errhint("Change the table in a transaction of its own."),
				 err_generic_string(PG_DIAG_SCHEMA_NAME, AMELIA_SCHEMA)));
}

/*
 * Take all locks that a write to the table needs later, to the end of the
 * transaction: what is written at commit must wait for nobody there.
 */
void
HoldDoor(Relation table)
{
	List	   *indexes = RelationGetIndexList(table);
	ListCell   *cell;

	foreach(cell, indexes)
		LockRelationOid(lfirst_oid(cell), RowExclusiveLock);
	list_free(indexes);
}

/*
 * Switch off the triggers that the use stands in for, in the write's own copy
 * of the list, and those of foreign keys that need not be looked at.
 */
static void
OmitTriggers(const DoorUse *use, DoorWrite *write, int held)
{
	TriggerDesc *triggers = write->relation->ri_TrigDesc;
	Relation	table = write->relation->ri_RelationDesc;

	write->has_events = false;
	if (triggers == NULL)
		return;
	triggers->trig_insert_before_row = triggers->trig_update_before_row = false;
	for (int i = 0; i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		if (!trigger->tgisinternal || !OidIsValid(trigger->tgconstraint) ||
			LeavesKeyAlone(use, table, write->columns, trigger->tgconstraint, held))
			trigger->tgenabled = TRIGGER_DISABLED;
		else if (use->command == CMD_INSERT ? TRIGGER_FOR_INSERT(trigger->tgtype) :
				 TRIGGER_FOR_UPDATE(trigger->tgtype))
			write->has_events = true;
	}
	if (!write->has_events)
		triggers->trig_insert_after_row = triggers->trig_update_after_row = false;
}

/*
 * Begin to write. DoorIsOpen() must have said yes. held: of so many of the
 * use's held keys the referenced row is held, or there is none.
 */
DoorWrite *
BeginDoorWrite(DoorUse *use, Relation table, int held)
{
	EState	   *estate = CreateExecutorState();
	MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
	DoorWrite  *write = palloc0(sizeof(DoorWrite));

	write->columns = use->shape->columns;
	write->functions = use->shape->functions;
	write->estate = estate;
	write->relation = makeNode(ResultRelInfo);
	InitResultRelInfo(write->relation, table, 0, NULL, 0);
	write->relation->COMPAT_CHECK_EXPRESSIONS = use->shape->checks;
	OmitTriggers(use, write, held);
	ExecOpenIndices(write->relation, false);
	estate->es_opened_result_relations = list_make1(write->relation);
	write->slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(table), table_slot_callbacks(table));
	MemoryContextSwitchTo(caller);
	return write;
}

/*
 * Before the first row: collect what foreign keys have to look at. They do at
 * the end, when all rows are there.
 */
static void
ExpectEvents(DoorWrite *write)
{
	if (write->has_events && !write->is_query)
	{
		AfterTriggerBeginQuery();
		write->is_query = true;
	}
}

/*
 * Insert the row in the write's slot.
 */
void
DoorInsert(DoorWrite *write)
{
	MemoryContext caller = MemoryContextSwitchTo(write->estate->es_query_cxt);

	ExpectEvents(write);
	ExecSimpleRelationInsert(write->relation, write->estate, write->slot);
	ResetPerTupleExprContext(write->estate);
	MemoryContextSwitchTo(caller);
}

/*
 * Put the row in the write's slot in the place of one that is locked, in its
 * latest version.
 */
void
DoorUpdate(DoorWrite *write, TupleTableSlot *before)
{
	MemoryContext caller = MemoryContextSwitchTo(write->estate->es_query_cxt);

	ExpectEvents(write);
	ExecSimpleRelationUpdate(write->relation, write->estate, NULL, before, write->slot);
	ResetPerTupleExprContext(write->estate);
	MemoryContextSwitchTo(caller);
}

/*
 * End what BeginDoorWrite() began, and show what was written.
 */
void
EndDoorWrite(DoorWrite *write)
{
	if (write->is_query)
		AfterTriggerEndQuery(write->estate);
	ExecCloseIndices(write->relation);
	ExecResetTupleTable(write->estate->es_tupleTable, false);
	FreeExecutorState(write->estate);
	CommandCounterIncrement();
}
