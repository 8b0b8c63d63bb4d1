/*-------------------------------------------------------------------------
 *
 * execute.c
 *	  Running SQL: with whose rights, and with plans that are kept.
 *
 *-------------------------------------------------------------------------
 */
#include "amelia.h"

#include "miscadmin.h"
#include "utils/guc.h"

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
 * The plan of a query, prepared once per session. SPI must be connected.
 */
SPIPlanPtr
KeptPlan(SPIPlanPtr *plan, const char *query, int nargs, const Oid *types)
{
	if (*plan == NULL)
	{
		SPIPlanPtr	prepared = SPI_prepare(query, nargs, unconstify(Oid *, types));

		if (prepared == NULL)
			elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
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
			 errhint("Run SELECT amelia.migrate() as the owner of the tables.")));
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
