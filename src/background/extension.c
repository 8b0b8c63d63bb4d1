/*-------------------------------------------------------------------------
 *
 * extension.c
 *	  Whether the extension is there, and whether maintenance may run now.
 *
 *	  A maintenance worker comes into a database at any time: while the
 *	  extension is created, dropped or updated, while a dump is restored,
 *	  while the database itself is to be dropped, renamed or copied. Each of
 *	  its transactions begins with locks that say so, none of which it waits
 *	  for: who wants the database or the extension is served first, and waits
 *	  for one batch at most.
 *
 *-------------------------------------------------------------------------
 */
#include "background/extension.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/execute.h"
#include "base/table_owner.h"
#include "schema/scripts.h"

/*
 * Lock an object until the transaction's end, if nobody is in the way and
 * nobody waits who would be.
 */
static bool
TryLockObject(Oid database, Oid class, Oid object, LOCKMODE mode)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, database, class, object, 0);
	if (LockAcquire(&tag, mode, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	AcceptInvalidationMessages();
	return true;
}

/*
 * Lock the database against those who want it for themselves: DROP, RENAME
 * and TEMPLATE hold or wait for a lock that this one conflicts with.
 */
bool
TryLockDatabase(void)
{
	return TryLockObject(InvalidOid, DatabaseRelationId, MyDatabaseId, RowExclusiveLock);
}

/*
 * Read the extension's owner and version; false when it is not there. The
 * version is in CurrentMemoryContext.
 */
static bool
ReadExtension(const char *name, Oid *owner, char **version)
{
	Relation	catalog = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(name));
	scan = systable_beginscan(catalog, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		bool		is_null;
		Datum		value = heap_getattr(tuple, Anum_pg_extension_extversion,
										 RelationGetDescr(catalog), &is_null);

		*owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
		*version = TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

/*
 * Begin a transaction of maintenance: lock the database and an extension of
 * ours against those who need them for themselves.
 */
ExtensionState
LockExtension(const char *name)
{
	Oid			extension = get_extension_oid(name, true);
	Oid			owner;
	char	   *version;

	if (!OidIsValid(extension))
		return EXTENSION_MISSING;
	if (!TryLockDatabase())
		return DATABASE_WANTED;
	/* DROP EXTENSION, and migrate() for CREATE and ALTER EXTENSION UPDATE. */
	if (!TryLockObject(MyDatabaseId, ExtensionRelationId, extension, ShareUpdateExclusiveLock))
		return EXTENSION_CHANGING;
	/* Until the lock was taken, it may have gone or become another. */
	if (get_extension_oid(name, true) != extension || !ReadExtension(name, &owner, &version))
		return EXTENSION_MISSING;
	return strcmp(version, AMELIA_VERSION) == 0 ? EXTENSION_READY : EXTENSION_OTHER_VERSION;
}

/*
 * How many constraints of the types in a string a table has.
 */
static int
CountConstraints(Oid table, const char *types)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			count = 0;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		count += strchr(types, ((Form_pg_constraint) GETSTRUCT(tuple))->contype) != NULL;
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return count;
}

/*
 * Count the keys among the constraints of a column or table.
 */
static int
CountKeys(List *constraints)
{
	int			count = 0;
	ListCell   *cell;

	foreach(cell, constraints)
	{
		Node	   *node = lfirst(cell);

		if (IsA(node, ColumnDef))
			count += CountKeys(((ColumnDef *) node)->constraints);
		else if (IsA(node, Constraint))
		{
			ConstrType	type = ((Constraint *) node)->contype;

			count += type == CONSTR_PRIMARY || type == CONSTR_UNIQUE || type == CONSTR_FOREIGN;
		}
	}
	return count;
}

/*
 * What a statement of a schema script makes and the database lacks, or NULL.
 * Tables, with their keys, and indexes are looked at: a restore makes the
 * keys last, and without them deletes would go slowly, or not be cascaded.
 */
static const char *
MissingFrom(Node *statement, Oid schema)
{
	if (IsA(statement, CreateStmt))
	{
		CreateStmt *create = (CreateStmt *) statement;
		Oid			table = get_relname_relid(create->relation->relname, schema);

		if (!OidIsValid(table))
			return psprintf("table \"%s\"", create->relation->relname);
		if (CountConstraints(table, "puf") < CountKeys(create->tableElts))
			return psprintf("a key of table \"%s\"", create->relation->relname);
	}
	else if (IsA(statement, IndexStmt))
	{
		const char *index = ((IndexStmt *) statement)->idxname;

		if (!OidIsValid(get_relname_relid(index, schema)))
			return psprintf("index \"%s\"", index);
	}
	return NULL;
}

/*
 * The versions of the schema that the database has been through and the code
 * has, 0 for none. SPI is connected. What stands under the name of
 * schema_versions is read as its owner, who may have made it a view.
 */
static void
ReadVersions(const char *extension, List *scripts, Oid schema, int32 *database, int32 *code)
{
	Oid			table = get_relname_relid("schema_versions", schema);
	RestrictedContext before;
	bool		is_null;
	ListCell   *cell;

	*database = *code = 0;
	foreach(cell, scripts)
	{
		Script	   *script = lfirst(cell);

		if (!script->is_api)
			*code = Max(*code, script->version);
	}
	if (!OidIsValid(table))
		return;
	EnterRestricted(OneTableOwner(extension, table), &before);
	RunSql(psprintf("SELECT pg_catalog.max(m.version) FROM %s AS m",
					quote_qualified_identifier(extension, "schema_versions")), 0, NULL, NULL, true);
	LeaveRestricted(&before);
	*database = DatumGetInt32(RowValue(0, 1, INT4OID, &is_null));
	if (is_null)
		*database = 0;
}

/*
 * What of the schema is missing or of another version, or NULL. SPI is
 * connected.
 */
static const char *
FindSchemaProblem(const char *extension)
{
	Oid			schema = get_namespace_oid(extension, false);
	List	   *scripts = ReadScripts(extension);
	int32		database_version;
	int32		code_version;
	ListCell   *cell;

	ReadVersions(extension, scripts, schema, &database_version, &code_version);
	if (database_version < code_version)
		return psprintf("the schema is at version %d, the code at %d: run SELECT %s.migrate(), unless a dump is being restored",
						database_version, code_version, extension);
	if (database_version > code_version)
		return psprintf("the schema is at version %d, the code at %d: install the newer extension",
						database_version, code_version);
	foreach(cell, scripts)
	{
		Script	   *script = lfirst(cell);
		ListCell   *statement;

		if (script->is_api)
			continue;
		foreach(statement, pg_parse_query(script->text))
		{
			const char *missing;

			CHECK_FOR_INTERRUPTS();
			missing = MissingFrom(lfirst_node(RawStmt, statement)->stmt, schema);
			if (missing != NULL)
				return psprintf("the schema is not complete, unless a dump is being restored that brings it: no %s",
								missing);
		}
	}
	if (!ApiIsIntact(extension, scripts))
		return psprintf("functions, triggers or defaults are missing or older than the code: run SELECT %s.migrate(), unless a dump is being restored",
						extension);
	return NULL;
}

/*
 * Why maintenance must not run with the schema as it is, in
 * CurrentMemoryContext, or NULL when it may: in a database that is being
 * restored, its triggers and keys arrive last. The extension is locked.
 */
char *
SchemaProblem(const char *extension)
{
	MemoryContext context = CurrentMemoryContext;
	const char *problem;
	char	   *version;
	char	   *result = NULL;
	Oid			owner;
	RestrictedContext before;

	if (!ReadExtension(extension, &owner, &version))
		return psprintf("there is no extension \"%s\"", extension);
	if (strcmp(version, AMELIA_VERSION) != 0)
		return psprintf("the extension is version %s, the library %s: run ALTER EXTENSION %s UPDATE, or restart the server when the library was updated",
						version, AMELIA_VERSION, extension);

	/* scripts() is code that the extension's owner can change. */
	EnterRestricted(owner, &before);
	SPI_connect();
	problem = FindSchemaProblem(extension);
	if (problem != NULL)
		result = MemoryContextStrdup(context, problem);
	SPI_finish();
	LeaveRestricted(&before);
	return result;
}
