/*-------------------------------------------------------------------------
 *
 * spent_budgets.c
 *	  Budgets that are spent, for claims and for workers that are at work.
 *
 *	  Once a block budget is spent, no work is begun under it. A claim that
 *	  could take nothing else is refused; any other passes over the workflows
 *	  that come under it, so that one profile's budget does not hold up the
 *	  rest of the queue. Whoever is at work already is told.
 *
 *	  What was spent is summed up only where there are budgets at all, which
 *	  the size of their table tells. The caller need not be able to see them.
 *
 *-------------------------------------------------------------------------
 */
#include "usage/spent_budgets.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "base/execute.h"
#include "base/table_owner.h"
#include "base/uuid.h"
#include "usage/budget.h"

/* A budget that is spent, of one profile or one workflow. */
typedef struct SpentBudget
{
	bool		of_profile;
	char	   *target;
} SpentBudget;

/*
 * Run a query as the owner of the tables, on what is there now whatever the
 * caller's snapshot is. SPI must be connected.
 */
static void
QuerySpent(SPIPlanPtr plan, Datum *values, const char *nulls, Oid owner)
{
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	OwnerContext before;
	int			result;

	BecomeTablesOwner(owner, &before);
	result = SPI_execute_snapshot(plan, values, nulls, latest, InvalidSnapshot, true, false, 0);
	BecomeSelf(&before);
	UnregisterSnapshot(latest);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not read what is spent: %s", SPI_result_code_string(result));
}

/*
 * The budgets that are spent, each of a profile or a workflow, for a claim
 * of that profile, or if that is NULL of any. 53400 when such a claim can take
 * nothing at all.
 */
List *
FindSpentBudgets(const text *profile)
{
	static SPIPlanPtr find_plan = NULL;
	static SPIPlanPtr check_plan = NULL;
	static const Oid types[] = {TEXTOID};
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[] = {PointerGetDatum(profile)};
	List	   *spent = NIL;
	Oid			owner;
	int			nest_level;

	if (!MayHaveBudgets(&owner))
		return NIL;
	nest_level = EnterSafePath();
	SPI_connect();
	KeptPlan(&find_plan, "SELECT s.scope, s.target FROM amelia_internal.budgets_now() AS s"
			 " WHERE s.is_spent AND s.action = 'block'", 0, NULL);
	QuerySpent(find_plan, NULL, NULL, owner);
	if (SPI_processed > 0)
	{
		MemoryContext before = MemoryContextSwitchTo(caller);

		for (uint64 i = 0; i < SPI_processed; i++)
		{
			char	   *scope = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
			char	   *target = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);
			SpentBudget *budget = palloc(sizeof(SpentBudget));

			if (scope == NULL || target == NULL)
				continue;
			budget->of_profile = strcmp(scope, "profile") == 0;
			budget->target = pstrdup(target);
			spent = lappend(spent, budget);
		}
		MemoryContextSwitchTo(before);
		KeptPlan(&check_plan, "SELECT amelia_internal.check_budgets(NULL, $1)", lengthof(types), types);
		QuerySpent(check_plan, values, profile == NULL ? "n" : " ", owner);
	}
	SPI_finish();
	LeaveSafePath(nest_level);
	return spent;
}

/*
 * Whether a workflow of a profile, which is empty for none, comes under one
 * of them; workflow NULL: whether all of the profile do.
 */
bool
IsOverBudget(const List *spent, const text *profile, const pg_uuid_t *workflow)
{
	ListCell   *cell;

	foreach(cell, spent)
	{
		SpentBudget *budget = lfirst(cell);
		size_t		length = strlen(budget->target);

		if (budget->of_profile ?
			length > 0 && VARSIZE_ANY_EXHDR(profile) == length &&
			memcmp(VARDATA_ANY(profile), budget->target, length) == 0 :
			workflow != NULL && strcmp(UuidText(workflow), budget->target) == 0)
			return true;
	}
	return false;
}

/*
 * What a worker is told whose workflow comes under a budget that is spent;
 * NULL when there is none.
 */
char *
SpentBudgetOf(const pg_uuid_t *workflow, Datum profile, bool has_profile)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {UUIDOID, TEXTOID};
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[] = {UUIDPGetDatum(workflow), profile};
	char	   *message = NULL;
	Oid			owner;

	if (!MayHaveBudgets(&owner))
		return NULL;
	SPI_connect();
	KeptPlan(&plan, "SELECT s.message FROM amelia_internal.spent_budget($1, $2) AS s", lengthof(types), types);
	QuerySpent(plan, values, has_profile ? NULL : " n", owner);
	if (SPI_processed > 0)
		message = MemoryContextStrdup(caller, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	return message;
}
