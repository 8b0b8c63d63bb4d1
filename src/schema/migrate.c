/*-------------------------------------------------------------------------
 *
 * migrate.c
 *	  Bringing the schema to the version of the code.
 *
 *	  The extension owns its C functions and migrate(); tables, views,
 *	  triggers and SQL functions belong to the database, so that every form
 *	  of pg_dump keeps them and DROP EXTENSION takes no row. migrate() makes
 *	  them, from the scripts that travel in the extension: those of each
 *	  schema version that schema_versions does not have, and then the api
 *	  layer, whose parts replace what stands there.
 *
 *	  CREATE EXTENSION calls it, and what a script of CREATE EXTENSION makes
 *	  would become a member. So creating_extension is put out of sight while
 *	  our scripts run. Without that, CREATE OR REPLACE would also refuse to
 *	  touch what an earlier migrate() left to the database.
 *
 *	  When a dump is being restored, CREATE EXTENSION must leave the tables
 *	  to the dump. It knows by row_security, which every dump sets in its
 *	  session, to off or to on; an ordinary session does not touch it, and
 *	  what a role or a database has set for its sessions does not count.
 *
 *	  A dump of the schema alone brings tables without rows. If all of them
 *	  are empty, migrate() fills in what its scripts insert. The version is told
 *	  by a comment, which such a dump has.
 *
 *	  Each extension of ours has a migrate() for the schema of its own name,
 *	  and all are this one.
 *
 *	  The scripts run with the rights of the tables' owner, whoever calls,
 *	  under a lock on the extension that two sessions cannot both hold.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/execute.h"
#include "base/launcher_state.h"
#include "base/table_owner.h"
#include "usage/budget.h"
#include "schema/scripts.h"

PG_FUNCTION_INFO_V1(amelia_migrate);

/* What stands before the version in the comment of schema_versions.version. */
#define VERSION_COMMENT "The highest one is "

/* Where an error context callback finds the statement that runs. */
typedef struct ScriptPlace
{
	const char *name;
	int			line;
} ScriptPlace;

static void
ScriptErrorContext(void *arg)
{
	ScriptPlace *place = (ScriptPlace *) arg;

	errcontext("statement at line %d of Amelia's script \"%s\"", place->line, place->name);
}

/*
 * Turn down a function or view that a statement has just replaced and that
 * somebody else owns, who could make it anything afterwards. Only a superuser
 * gets so far: anybody else may not replace it.
 */
static void
CheckOwnerOfMade(Node *statement, Oid schema)
{
	Oid			owner = GetUserId();
	const char *name;

	if (IsA(statement, CreateFunctionStmt))
	{
		CatCList   *candidates;

		name = strVal(llast(((CreateFunctionStmt *) statement)->funcname));
		candidates = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
		for (int i = 0; i < candidates->n_members; i++)
		{
			HeapTuple	tuple = &candidates->members[i]->tuple;
			Form_pg_proc function = (Form_pg_proc) GETSTRUCT(tuple);

			if (function->pronamespace == schema &&
				TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data)))
				owner = function->proowner == GetUserId() ? owner : function->proowner;
		}
		ReleaseSysCacheList(candidates);
	}
	else if (IsA(statement, ViewStmt))
	{
		HeapTuple	tuple;

		name = ((ViewStmt *) statement)->view->relname;
		tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(get_relname_relid(name, schema)));
		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for view \"%s\"", name);
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	else
		return;
	if (owner != GetUserId())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" owns what stands in the place of \"%s\"",
						GetUserNameFromId(owner, false), name),
				 errhint("Drop it, then run migrate() again.")));
}

/*
 * Run the statements of a script one by one, so that an error shows the one
 * that failed. only_rows: those that insert rows.
 */
static void
RunScript(const Script *script, Oid schema, bool only_rows)
{
	ScriptPlace place = {.name = script->name,.line = 1};
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = ScriptErrorContext,
		.arg = &place
	};
	const char *counted = script->text;
	ListCell   *cell;

	error_context_stack = &callback;
	foreach(cell, pg_parse_query(script->text))
	{
		RawStmt    *statement = lfirst_node(RawStmt, cell);
		const char *start = script->text +statement->stmt_location;
		char	   *text;
		int			result;

		CHECK_FOR_INTERRUPTS();
		if (only_rows && !IsA(statement->stmt, InsertStmt))
			continue;
		if (script->is_api && IsThereAlready(schema, statement->stmt))
			continue;
		text = statement->stmt_len > 0 ?
		pnstrdup(start, statement->stmt_len) : pstrdup(start);

		for (; counted < start; counted++)
			place.line += *counted == '\n';
		result = SPI_execute(text, false, 0);
		if (result < 0)
			elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
		CheckOwnerOfMade(statement->stmt, schema);
		pfree(text);
	}
	error_context_stack = callback.previous;
}

/*
 * Whether this session is one that restores a dump.
 */
static bool
IsRestoring(void)
{
	if (SPI_execute("SELECT FROM pg_catalog.pg_settings AS s WHERE s.name = 'row_security'"
					" AND s.source IN ('session', 'client')", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read pg_settings");
	return SPI_processed > 0;
}

/*
 * The highest schema version that the database went through, 0 for none. It
 * is read with a snapshot that is newer than the lock, whatever the caller's
 * isolation level.
 */
static int32
DatabaseVersion(const char *extension, Oid schema)
{
	SPIPlanPtr	plan;
	bool		is_null;
	Datum		version;

	if (!OidIsValid(get_relname_relid("schema_versions", schema)))
		return 0;
	plan = SPI_prepare(psprintf("SELECT pg_catalog.max(m.version) FROM %s AS m",
								quote_qualified_identifier(extension, "schema_versions")), 0, NULL);
	if (plan == NULL ||
		SPI_execute_snapshot(plan, NULL, NULL, GetLatestSnapshot(), InvalidSnapshot,
							 true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read schema_versions");
	version = RowValue(0, 1, INT4OID, &is_null);
	if (is_null)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the tables of Amelia are there, but schema_versions does not say of which version"),
				 errhint("A dump was restored without these rows, while other tables have some: restore those of schema_versions and event_types at least.")));
	return DatumGetInt32(version);
}

/*
 * Note a schema version in schema_versions.
 */
static void
NoteVersion(const char *extension, int32 version)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(version)};

	if (SPI_execute_with_args(psprintf("INSERT INTO %s (version) VALUES ($1)",
									   quote_qualified_identifier(extension, "schema_versions")),
							  1, types, values, NULL, false, 0) != SPI_OK_INSERT ||
		SPI_execute(psprintf("COMMENT ON COLUMN %s.version IS '" VERSION_COMMENT "%d'",
							 quote_qualified_identifier(extension, "schema_versions"), version),
					false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not write schema_versions");
}

/*
 * Whether none of the tables that belong to the current user has a row.
 */
static bool
AllAreEmpty(Oid schema)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(schema)};
	SPITupleTable *tables;
	uint64		count;

	if (SPI_execute_with_args("SELECT pg_catalog.format('SELECT FROM %s LIMIT 1', c.oid::pg_catalog.regclass)"
							  " FROM pg_catalog.pg_class AS c"
							  " WHERE c.relnamespace = $1 AND c.relkind IN ('r', 'p')"
							  " AND c.relowner = CURRENT_USER::pg_catalog.regrole",
							  lengthof(types), types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not list the tables");
	tables = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		if (SPI_execute(SPI_getvalue(tables->vals[i], tables->tupdesc, 1), true, 1) != SPI_OK_SELECT)
			elog(ERROR, "could not look for rows");
		if (SPI_processed > 0)
			return false;
	}
	return true;
}

/*
 * Fill tables in that came without any row, and say so in done.
 */
static void
FillEmptySchema(const char *extension, List *scripts, Oid schema, StringInfo done)
{
	Oid			table = get_relname_relid("schema_versions", schema);
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(table)};
	int32		noted = 0;
	bool		is_null = true;
	ListCell   *cell;

	if (!OidIsValid(table) || !AllAreEmpty(schema))
		return;
	if (SPI_execute_with_args("SELECT pg_catalog.\"substring\"(pg_catalog.col_description($1, a.attnum),"
							  " '^" VERSION_COMMENT "([0-9]{1,9})$')::pg_catalog.int4"
							  " FROM pg_catalog.pg_attribute AS a"
							  " WHERE a.attrelid = $1 AND a.attname = 'version'",
							  lengthof(types), types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the comment of schema_versions");
	if (SPI_processed == 1)
		noted = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
	if (is_null)
		return;
	foreach(cell, scripts)
	{
		Script	   *script = lfirst(cell);

		if (!script->is_api && script->version <= noted)
			RunScript(script, schema, true);
	}
	NoteVersion(extension, noted);
	appendStringInfo(done, "rows of schema version %d put into empty tables", noted);
}

/*
 * Run what the database lacks, and say in done what that was. anew: the api
 * layer is made anew even if it looks intact.
 */
static void
RunScripts(const char *extension, List *scripts, Oid schema, bool anew, StringInfo done)
{
	int32		before = DatabaseVersion(extension, schema);
	int32		version = before;
	bool		has_budgets = strcmp(extension, AMELIA_SCHEMA) == 0;
	ListCell   *cell;

	foreach(cell, scripts)
	{
		Script	   *script = lfirst(cell);

		if (script->is_api || script->version <= before)
			continue;
		if (script->version != version && version != before)
			NoteVersion(extension, version);
		version = script->version;
		RunScript(script, schema, false);
	}
	if (version != before)
	{
		NoteVersion(extension, version);
		appendStringInfo(done, "%sschema brought from version %d to %d", done->len > 0 ? "; " : "", before, version);
	}
	if (version == before && !anew && ApiIsIntact(extension, scripts) && (!has_budgets || BudgetsAreIntact()))
	{
		appendStringInfo(done, done->len > 0 ? "; schema version %d is complete" :
						 "schema version %d is complete, nothing to do", version);
		return;
	}

	foreach(cell, scripts)
	{
		Script	   *script = lfirst(cell);

		if (script->is_api)
			RunScript(script, schema, false);
	}
	if (has_budgets && HaveBudgets())
		RunSql(budget_trigger, 0, NULL, NULL, false);
	appendStringInfo(done, "%sfunctions, triggers and defaults made anew",
					 done->len > 0 ? "; " : "");
}

/*
 * Turn down a database that has been through a version that this code does
 * not know.
 */
static void
CheckNotNewer(const char *extension, List *scripts, Oid schema)
{
	int32		database_version = DatabaseVersion(extension, schema);
	int32		code_version = 0;
	ListCell   *cell;

	foreach(cell, scripts)
	{
		Script	   *script = lfirst(cell);

		if (!script->is_api)
			code_version = Max(code_version, script->version);
	}
	if (database_version > code_version)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema version %d is newer than this extension, which knows %d",
						database_version, code_version),
				 errhint("Install the newer extension, then run ALTER EXTENSION %s UPDATE.", extension)));
}

/*
 * Who owns the tables, or will: the owner of schema_versions, before there
 * is one that of the schema.
 */
static Oid
TablesOwner(Oid schema)
{
	Oid			table = get_relname_relid("schema_versions", schema);

	return OidIsValid(table) ? RelationOwner(table) : SchemaOwner(schema);
}

/*
 * Who owns the extension's functions, of which one is given.
 */
static Oid
CodeOwner(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Let the tables' owner execute the extension's functions, if somebody else
 * owns those: the triggers are made with the rights of the tables' owner. To
 * be called with the rights of the functions' owner.
 */
static void
GrantMembers(const char *extension, Oid owner)
{
	Oid			types[] = {OIDOID, TEXTOID};
	Datum		values[] = {ObjectIdGetDatum(owner), CStringGetTextDatum(extension)};
	SPITupleTable *statements;
	uint64		count;
	char	   *grant;

	if (owner == GetUserId())
		return;
	if (SPI_execute_with_args("SELECT pg_catalog.format('GRANT EXECUTE ON ROUTINE %s TO %s',"
							  " d.objid::pg_catalog.regprocedure, $1::pg_catalog.regrole)"
							  " FROM pg_catalog.pg_depend AS d"
							  " JOIN pg_catalog.pg_extension AS e ON d.refobjid = e.oid"
							  " WHERE e.extname = $2 AND d.deptype = 'e'"
							  " AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass"
							  " AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
							  " AND NOT pg_catalog.has_function_privilege($1, d.objid, 'EXECUTE')",
							  lengthof(types), types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not list the members of the extension");
	statements = SPI_tuptable;
	count = SPI_processed;
	grant = psprintf("GRANT USAGE ON SCHEMA " AMELIA_INTERNAL_SCHEMA " TO %s",
					 quote_identifier(GetUserNameFromId(owner, false)));
	if (SPI_execute(grant, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not grant on the schema of the members");
	for (uint64 i = 0; i < count; i++)
	{
		if (SPI_execute(SPI_getvalue(statements->vals[i], statements->tupdesc, 1),
						false, 0) != SPI_OK_UTILITY)
			elog(ERROR, "could not grant on the members of the extension");
	}
}

/*
 * Bring the schema to the version of the code, with the owner's rights and
 * outside of the extension whose script may be running. In a restricted
 * operation: what the owner put there, deferred to the commit too, must not
 * come to run with the caller's rights.
 */
static void
Migrate(const char *extension, Oid schema, Oid owner, Oid code_owner, StringInfo done)
{
	bool		in_extension_script = creating_extension;
	OwnerContext before;
	RestrictedContext restricted;
	List	   *scripts;

	/* What is granted then is no initial privilege, and pg_dump keeps it. */
	creating_extension = false;
	PG_TRY();
	{
		BecomeOwner(code_owner, &before);
		scripts = ReadScripts(extension);
		GrantMembers(extension, owner);
		BecomeSelf(&before);
		EnterRestrictedPatiently(owner, &restricted);
		FillEmptySchema(extension, scripts, schema, done);
		CheckNotNewer(extension, scripts, schema);
		RunScripts(extension, scripts, schema, in_extension_script, done);
		LeaveRestricted(&restricted);
	}
	PG_FINALLY();
	{
		creating_extension = in_extension_script;
	}
	PG_END_TRY();
}

/*
 * The name of the extension that a function is a member of, which is that of
 * its tables' schema too.
 */
static const char *
ExtensionOf(Oid function)
{
	const char *extension = get_extension_name(getExtensionOfObject(ProcedureRelationId, function));

	if (extension == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migrate() does not belong to an extension"),
				 errhint("Drop it, then create the extension again.")));
	return extension;
}

/*
 * migrate() returns text
 *
 * Whoever may execute it may have it done: what it runs is the extension's,
 * and whose rights it takes is not the caller's to say.
 */
Datum
amelia_migrate(PG_FUNCTION_ARGS)
{
	const char *extension = ExtensionOf(fcinfo->flinfo->fn_oid);
	Oid			schema = get_namespace_oid(extension, false);
	Oid			owner = TablesOwner(schema);
	StringInfoData done;

	PreventCommandDuringRecovery("migrate()");

	/*
	 * Before SPI_connect(): what is allocated after it goes with
	 * SPI_finish().
	 */
	initStringInfo(&done);
	SPI_connect();
	if (creating_extension && IsRestoring())
	{
		/* CREATE EXTENSION lets no NOTICE through while its script runs. */
		SPI_finish();
		WakeLauncherAtCommit();
		ereport(INFO,
				(errmsg("the tables of Amelia are left to the dump that is being restored"),
				 errdetail("row_security was set in this session, as every dump does."),
				 errhint("If no dump follows, run SELECT %s.migrate().", extension)));
		PG_RETURN_TEXT_P(cstring_to_text("left to the dump that is being restored"));
	}
	LockDatabaseObject(ExtensionRelationId, get_extension_oid(extension, false), 0,
					   ShareUpdateExclusiveLock);
	RequireOneOwner(extension, owner);
	Migrate(extension, schema, owner, CodeOwner(fcinfo->flinfo->fn_oid), &done);
	SPI_finish();
	WakeLauncherAtCommit();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(done.data, done.len));
}
