/*-------------------------------------------------------------------------
 *
 * scripts.c
 *	  The scripts that make the schema, and whether what the api layer makes
 *	  is there.
 *
 *	  There is no list of the layer's objects beside the scripts that could
 *	  grow old: the scripts are parsed, and each function, view, trigger,
 *	  index, statistics object, column and default that they make is looked
 *	  for. A function counts as
 *	  intact when its body is the script's, which also tells an older layer,
 *	  a trigger when it fires as the script's does, an index when it is like
 *	  it in outline. The trigger that comes with the first budget is no
 *	  statement of the layer, and looked for where there is one.
 *
 *-------------------------------------------------------------------------
 */
#include "schema/scripts.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/check.h"
#include "base/execute.h"
#include "usage/budget.h"

PG_FUNCTION_INFO_V1(amelia_api_objects);

/* Called for each object of the api layer; returns whether to go on. */
typedef bool (*ApiObjectVisitor) (const char *kind, const char *object, bool intact, void *arg);

/*
 * The scripts of an extension of ours, in order. SPI must be connected; the
 * result is in its memory.
 */
List *
ReadScripts(const char *extension)
{
	List	   *scripts = NIL;
	char	   *function = quote_qualified_identifier(AMELIA_INTERNAL_SCHEMA, psprintf("%s_scripts", extension));

	if (SPI_execute(psprintf("SELECT s.version, s.name, s.script FROM %s() AS s", function),
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the scripts");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	tupdesc = SPI_tuptable->tupdesc;
		Script	   *script = palloc0(sizeof(Script));

		script->version = DatumGetInt32(SPI_getbinval(row, tupdesc, 1, &script->is_api));
		script->name = SPI_getvalue(row, tupdesc, 2);
		script->text = SPI_getvalue(row, tupdesc, 3);
		scripts = lappend(scripts, script);
	}
	return scripts;
}

/*
 * Whether what stands in a schema of ours belongs to the tables' owner, or to
 * a superuser: anybody else could make it another thing at any time.
 */
static bool
OwnerIsOurs(Oid schema, Oid owner)
{
	Oid			table = get_relname_relid("schema_versions", schema);

	return (OidIsValid(table) && owner == RelationOwner(table)) || superuser_arg(owner);
}

/*
 * Whether there is a function of that name with the statement's body, the
 * caller's rights, and settings of its own exactly if the statement has any.
 */
static bool
FunctionIsIntact(Oid schema, const char *name, CreateFunctionStmt *statement)
{
	const char *body = NULL;
	bool		has_settings = false;
	CatCList   *candidates;
	bool		intact = false;
	ListCell   *cell;

	foreach(cell, statement->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "as") == 0)
			body = strVal(linitial((List *) option->arg));
		else if (strcmp(option->defname, "set") == 0)
			has_settings = true;
	}
	if (body == NULL)
		elog(ERROR, "function \"%s\" of the api layer has no body", name);

	candidates = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	for (int i = 0; i < candidates->n_members && !intact; i++)
	{
		HeapTuple	tuple = &candidates->members[i]->tuple;
		Form_pg_proc function = (Form_pg_proc) GETSTRUCT(tuple);
		bool		is_null;
		bool		no_settings;
		Datum		source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &is_null);

		SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &no_settings);
		intact = function->pronamespace == schema && !is_null &&
			strcmp(TextDatumGetCString(source), body) == 0 &&
			!function->prosecdef && has_settings == !no_settings &&
			OwnerIsOurs(schema, function->proowner);
	}
	ReleaseSysCacheList(candidates);
	return intact;
}

/*
 * Whether a table has the trigger, enabled, for the same function, and fired
 * at the same time by the same events.
 */
static bool
TriggerIsIntact(Oid table, CreateTrigStmt *statement)
{
	const char *function = strVal(llast(statement->funcname));
	int16		type = statement->timing | statement->events |
	(statement->row ? TRIGGER_TYPE_ROW : 0);
	Relation	relation;
	TriggerDesc *triggers;
	bool		intact = false;

	if (!OidIsValid(table))
		return false;
	relation = relation_open(table, AccessShareLock);
	/* A copy: looking up a name may rebuild the relation's own. */
	triggers = CopyTriggerDesc(relation->trigdesc);
	for (int i = 0; triggers != NULL && i < triggers->numtriggers && !intact; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];
		char	   *actual = get_func_name(trigger->tgfoid);

		intact = strcmp(trigger->tgname, statement->trigname) == 0 &&
			(trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN ||
			 trigger->tgenabled == TRIGGER_FIRES_ALWAYS) &&
			actual != NULL && strcmp(actual, function) == 0 &&
			trigger->tgtype == type &&
			(trigger->tgqual != NULL) == (statement->whenClause != NULL) &&
			(trigger->tgoldtable != NULL || trigger->tgnewtable != NULL) ==
			(statement->transitionRels != NIL);
	}
	relation_close(relation, AccessShareLock);
	return intact;
}

/*
 * Whether a table has the column that a command adds.
 */
static bool
ColumnIsThere(Oid table, const AlterTableCmd *command)
{
	return OidIsValid(table) &&
		get_attnum(table, ((ColumnDef *) command->def)->colname) != InvalidAttrNumber;
}

/*
 * Whether the table has the column, and it is generated if the command says so.
 */
static bool
ColumnIsIntact(Oid table, const AlterTableCmd *command)
{
	const ColumnDef *column = (ColumnDef *) command->def;
	HeapTuple	tuple = OidIsValid(table) ? SearchSysCacheAttName(table, column->colname) : NULL;
	bool		is_generated = false;
	bool		intact;
	ListCell   *cell;

	if (!HeapTupleIsValid(tuple))
		return false;
	foreach(cell, column->constraints)
		is_generated |= lfirst_node(Constraint, cell)->contype == CONSTR_GENERATED;
	intact = (((Form_pg_attribute) GETSTRUCT(tuple))->attgenerated != '\0') == is_generated;
	ReleaseSysCache(tuple);
	return intact;
}

/*
 * Whether the schema has a statistics object of that name.
 */
static bool
StatisticsAreThere(Oid schema, const char *name)
{
	return OidIsValid(GetSysCacheOid2(STATEXTNAMENSP, Anum_pg_statistic_ext_oid,
									  CStringGetDatum(name), ObjectIdGetDatum(schema)));
}

/*
 * Whether a statement makes something that cannot be replaced, or would take
 * long to make anew, and of whose name there is something: an index, a
 * column, a statistics object.
 */
bool
IsThereAlready(Oid schema, Node *statement)
{
	if (IsA(statement, IndexStmt))
		return OidIsValid(get_relname_relid(((IndexStmt *) statement)->idxname, schema));
	if (IsA(statement, CreateStatsStmt))
		return StatisticsAreThere(schema, strVal(llast(((CreateStatsStmt *) statement)->defnames)));
	if (IsA(statement, AlterTableStmt))
	{
		AlterTableStmt *alter = (AlterTableStmt *) statement;
		AlterTableCmd *command = linitial_node(AlterTableCmd, alter->cmds);

		return command->subtype == AT_AddColumn &&
			ColumnIsThere(get_relname_relid(alter->relation->relname, schema), command);
	}
	return false;
}

static bool
ViewIsIntact(Oid schema, Oid view)
{
	return OidIsValid(view) && get_rel_relkind(view) == RELKIND_VIEW &&
		OwnerIsOurs(schema, RelationOwner(view));
}

/*
 * Whether the table has the index, and that can be used as the one of the
 * statement.
 */
static bool
IndexIsIntact(Oid schema, Oid table, IndexStmt *statement)
{
	Oid			index = get_relname_relid(statement->idxname, schema);
	Relation	relation;
	bool		intact;

	if (!OidIsValid(index) || get_rel_relkind(index) != RELKIND_INDEX)
		return false;
	relation = index_open(index, AccessShareLock);
	intact = relation->rd_index->indrelid == table && relation->rd_index->indisvalid &&
		relation->rd_index->indisunique == statement->unique &&
		relation->rd_index->indnkeyatts == list_length(statement->indexParams) &&
		heap_attisnull(relation->rd_indextuple, Anum_pg_index_indpred, NULL) ==
		(statement->whereClause == NULL);
	index_close(relation, AccessShareLock);
	return intact;
}

/*
 * Whether a column has a default.
 */
static bool
DefaultIsIntact(Oid table, const char *column)
{
	HeapTuple	tuple = OidIsValid(table) ? SearchSysCacheAttName(table, column) : NULL;
	bool		intact;

	if (!HeapTupleIsValid(tuple))
		return false;
	intact = ((Form_pg_attribute) GETSTRUCT(tuple))->atthasdef;
	ReleaseSysCache(tuple);
	return intact;
}

/*
 * Visit what a statement of the api layer makes; false to stop.
 */
static bool
VisitStatement(Node *statement, Oid schema, ApiObjectVisitor visit, void *arg)
{
	if (IsA(statement, CreateFunctionStmt))
	{
		CreateFunctionStmt *function = (CreateFunctionStmt *) statement;
		const char *name = strVal(llast(function->funcname));

		return visit(function->is_procedure ? "procedure" : "function", name,
					 FunctionIsIntact(schema, name, function), arg);
	}
	if (IsA(statement, CreateTrigStmt))
	{
		CreateTrigStmt *trigger = (CreateTrigStmt *) statement;
		const char *table = trigger->relation->relname;

		return visit("trigger", psprintf("%s on %s", trigger->trigname, table),
					 TriggerIsIntact(get_relname_relid(table, schema), trigger), arg);
	}
	if (IsA(statement, IndexStmt))
	{
		IndexStmt  *index = (IndexStmt *) statement;

		return visit("index", index->idxname,
					 IndexIsIntact(schema, get_relname_relid(index->relation->relname, schema), index),
					 arg);
	}
	if (IsA(statement, CreateStatsStmt))
	{
		const char *name = strVal(llast(((CreateStatsStmt *) statement)->defnames));

		return visit("statistics", name, StatisticsAreThere(schema, name), arg);
	}
	if (IsA(statement, ViewStmt))
	{
		const char *view = ((ViewStmt *) statement)->view->relname;

		return visit("view", view, ViewIsIntact(schema, get_relname_relid(view, schema)), arg);
	}
	if (IsA(statement, AlterTableStmt))
	{
		AlterTableStmt *alter = (AlterTableStmt *) statement;
		const char *table = alter->relation->relname;
		ListCell   *cell;

		foreach(cell, alter->cmds)
		{
			AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

			if (command->subtype == AT_AddColumn &&
				!visit("column", psprintf("%s.%s", table, ((ColumnDef *) command->def)->colname),
					   ColumnIsIntact(get_relname_relid(table, schema), command), arg))
				return false;
			if (command->subtype == AT_ColumnDefault && command->def != NULL &&
				!visit("default", psprintf("%s.%s", table, command->name),
					   DefaultIsIntact(get_relname_relid(table, schema), command->name), arg))
				return false;
		}
	}
	return true;
}

/*
 * Visit all that the api layer consists of, until the visitor has enough.
 */
static void
VisitApi(const char *extension, List *scripts, ApiObjectVisitor visit, void *arg)
{
	Oid			schema = get_namespace_oid(extension, false);
	ListCell   *cell;

	foreach(cell, scripts)
	{
		Script	   *script = lfirst(cell);
		ListCell   *statement;

		if (!script->is_api)
			continue;
		foreach(statement, pg_parse_query(script->text))
		{
			CHECK_FOR_INTERRUPTS();
			if (!VisitStatement(lfirst_node(RawStmt, statement)->stmt, schema, visit, arg))
				return;
		}
	}
}

/*
 * Visit the trigger that comes with the first budget, where there is one. It
 * does not come along when budgets are replicated, and maintenance does not
 * need it. SPI must be connected.
 */
static void
VisitBudgetTrigger(ApiObjectVisitor visit, void *arg)
{
	if (HaveBudgets())
		VisitStatement(linitial_node(RawStmt, pg_parse_query(budget_trigger))->stmt,
					   get_namespace_oid(AMELIA_SCHEMA, false), visit, arg);
}

static bool
StopAtMissing(const char *kind, const char *object, bool intact, void *arg)
{
	*(bool *) arg = intact;
	return intact;
}

/*
 * Whether everything that the api layer makes is there.
 */
bool
ApiIsIntact(const char *extension, List *scripts)
{
	bool		intact = true;

	VisitApi(extension, scripts, StopAtMissing, &intact);
	return intact;
}

/*
 * Whether the trigger is there that budgets need.
 */
bool
BudgetsAreIntact(void)
{
	bool		intact = true;

	VisitBudgetTrigger(StopAtMissing, &intact);
	return intact;
}

static bool
PutRow(const char *kind, const char *object, bool intact, void *arg)
{
	ReturnSetInfo *result = (ReturnSetInfo *) arg;
	Datum		values[] = {
		CStringGetTextDatum(kind), CStringGetTextDatum(object), BoolGetDatum(intact)
	};
	bool		nulls[] = {false, false, false};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	return true;
}

/*
 * api_objects(extension name) returns setof (kind text, object text,
 * intact boolean)
 */
Datum
amelia_api_objects(PG_FUNCTION_ARGS)
{
	const char *extension;

	if (PG_ARGISNULL(0))
		RefuseMissing("extension");
	extension = NameStr(*PG_GETARG_NAME(0));
	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	VisitApi(extension, ReadScripts(extension), PutRow, fcinfo->resultinfo);
	if (strcmp(extension, AMELIA_SCHEMA) == 0)
		VisitBudgetTrigger(PutRow, fcinfo->resultinfo);
	SPI_finish();
	return (Datum) 0;
}
