/*-------------------------------------------------------------------------
 *
 * execute.c
 *	  Running SQL: with whose rights, and with plans that are kept.
 *
 *-------------------------------------------------------------------------
 */
#include "base/execute.h"

#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/uuid.h"

/*
 * What holds while we run as a tables' owner whom we need not trust, so that
 * what the session was set to does not change what is done.
 */
static const char *const restricted_settings[][2] = {
	{"search_path", "pg_catalog, pg_temp"},
	{"session_replication_role", "origin"},
	{"row_security", "on"},
	{"DateStyle", "ISO, YMD"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},
};

/*
 * Run what follows with the rights of a table's owner, until BecomeSelf().
 * For the rows that triggers keep up to date: whoever may write the table
 * that has the trigger need not be able to write those. Never the rights of
 * the function's owner, because a trigger that a user put on such a table
 * would have them too. An error restores the caller's by itself.
 */
void
BecomeOwner(Oid owner, OwnerContext *before)
{
	GetUserIdAndSecContext(&before->user, &before->security);
	SetUserIdAndSecContext(owner, before->security |
						   SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
}

/*
 * End what BecomeOwner() began.
 */
void
BecomeSelf(const OwnerContext *before)
{
	SetUserIdAndSecContext(before->user, before->security);
}

/*
 * Resolve the names of what follows in pg_catalog, until LeaveSafePath(). A SET
 * clause of the function would cost more than the function, and each change of
 * the path makes the session plan its foreign key checks anew: so only where
 * SQL is run. An error restores the caller's path by itself.
 */
int
EnterSafePath(void)
{
	int			nest_level = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return nest_level;
}

/*
 * End what EnterSafePath() began.
 */
void
LeaveSafePath(int nest_level)
{
	AtEOXact_GUC(true, nest_level);
}

/*
 * EnterRestricted() for what waits for locks as long as the caller would.
 */
void
EnterRestrictedPatiently(Oid owner, RestrictedContext *before)
{
	GetUserIdAndSecContext(&before->owner.user, &before->owner.security);
	before->guc_level = NewGUCNestLevel();
	for (size_t i = 0; i < lengthof(restricted_settings); i++)
		(void) set_config_option(restricted_settings[i][0], restricted_settings[i][1],
								 PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	SetUserIdAndSecContext(owner, before->owner.security | SECURITY_RESTRICTED_OPERATION |
						   SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
}

/*
 * Run what follows as a tables' owner, in a restricted operation, until
 * LeaveRestricted(): triggers that the owner or others put on the tables can
 * neither do more than that role may, nor change the session. A lock is waited
 * for no longer than a second, so that one who holds it stops nobody else. An
 * error restores the caller's state once the (sub)transaction is rolled back.
 */
void
EnterRestricted(Oid owner, RestrictedContext *before)
{
	EnterRestrictedPatiently(owner, before);
	(void) set_config_option("lock_timeout", "1000", PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * End what EnterRestricted() began. Settings that a trigger changed are
 * undone with ours.
 */
void
LeaveRestricted(const RestrictedContext *before)
{
	AtEOXact_GUC(false, before->guc_level);
	BecomeSelf(&before->owner);
}

/*
 * Who owns a relation.
 */
Oid
RelationOwner(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relation);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Run a statement whose parameters are all given, and return the number of
 * its rows. SPI must be connected; the result is in its memory. What the caller
 * allocates next is where it was before: SPI leaves another context.
 */
uint64
RunSql(const char *query, int nargs, const Oid *types, const Datum *values, bool read_only)
{
	MemoryContext context = CurrentMemoryContext;
	int			result = SPI_execute_with_args(query, nargs, unconstify(Oid *, types),
											   unconstify(Datum *, values), NULL, read_only, 0);

	MemoryContextSwitchTo(context);
	if (result < 0)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(result));
	return SPI_processed;
}

/*
 * Run a plan that writes, on what a snapshot shows.
 */
static uint64
RunPlanOn(SPIPlanPtr plan, const Datum *values, Snapshot snapshot)
{
	MemoryContext context = CurrentMemoryContext;
	int			result = SPI_execute_snapshot(plan, unconstify(Datum *, values), NULL, snapshot,
											  InvalidSnapshot, false, true, 0);

	MemoryContextSwitchTo(context);
	if (result < 0)
		elog(ERROR, "SPI_execute_snapshot failed: %s", SPI_result_code_string(result));
	return SPI_processed;
}

/*
 * Run a plan that writes, on what is there now: the snapshot of the
 * transaction may be older than the lock that makes this the last word.
 */
uint64
RunPlanOnLatest(SPIPlanPtr plan, const Datum *values)
{
	return RunPlanOn(plan, values, GetLatestSnapshot());
}

/* The plan of a statement, for once. */
static SPIPlanPtr
PlanOnce(const char *query, int nargs, const Oid *types)
{
	MemoryContext context = CurrentMemoryContext;
	SPIPlanPtr	plan = SPI_prepare(query, nargs, unconstify(Oid *, types));

	MemoryContextSwitchTo(context);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	return plan;
}

/*
 * The same for a statement.
 */
uint64
RunSqlOnLatest(const char *query, int nargs, const Oid *types, const Datum *values)
{
	return RunPlanOnLatest(PlanOnce(query, nargs, types), values);
}

/*
 * Run a statement that writes, on what a snapshot shows that others go by, too.
 */
uint64
RunSqlOnSnapshot(const char *query, int nargs, const Oid *types, const Datum *values, Snapshot snapshot)
{
	return RunPlanOn(PlanOnce(query, nargs, types), values, snapshot);
}

/*
 * A value of the last statement's result, of a type that the caller goes by;
 * columns count from 1. Whoever owns the tables that it comes from could have
 * given their columns another type, also a moment ago, or let NULLs in, or a
 * trigger keep a row away that was written: 55000. is_null is NULL where there
 * must be a value.
 */
Datum
RowValue(uint64 row, int column, Oid type, bool *is_null)
{
	bool		no_value;
	Oid			actual;
	Datum		value;

	if (SPI_tuptable == NULL || row >= SPI_tuptable->numvals)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a statement that returns \"%s\" returned no row",
						SPI_tuptable == NULL ? "" : SPI_fname(SPI_tuptable->tupdesc, column)),
				 errhint("A trigger or a policy on one of the tables keeps rows away.")));
	actual = SPI_gettypeid(SPI_tuptable->tupdesc, column);
	if (actual != type)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" must be of type %s, not %s",
						SPI_fname(SPI_tuptable->tupdesc, column),
						format_type_be(type), format_type_be(actual)),
				 errhint("Somebody has changed the type of a column in one of the tables.")));
	value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &no_value);
	if (is_null != NULL)
		*is_null = no_value;
	else if (no_value)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" must not be null", SPI_fname(SPI_tuptable->tupdesc, column)),
				 errhint("Somebody has let NULLs into a column of one of the tables.")));
	return value;
}

/*
 * The plan of a query, prepared once per session. SPI must be connected.
 */
SPIPlanPtr
KeptPlan(SPIPlanPtr *plan, const char *query, int nargs, const Oid *types)
{
	if (*plan == NULL)
	{
		SPIPlanPtr	prepared = PlanOnce(query, nargs, types);

		SPI_keepplan(prepared);
		*plan = prepared;
	}
	return *plan;
}

/*
 * Raise 55000 because a table, column or index that the code needs is not
 * there: after the restore of an older dump, or in the middle of one.
 */
void
RefuseOlderSchema(const char *missing)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the schema \"%s\" is not complete: \"%s\" is missing",
					AMELIA_SCHEMA, missing),
			 errhint("Run SELECT amelia.migrate() as the owner of the tables."),
			 err_generic_string(PG_DIAG_SCHEMA_NAME, AMELIA_SCHEMA)));
}

/*
 * Raise P0002 because there is no such workflow.
 */
void
RefuseNoWorkflow(const pg_uuid_t *workflow)
{
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA_FOUND),
			 errmsg("no workflow %s", UuidText(workflow))));
}
