/*-------------------------------------------------------------------------
 *
 * budget.c
 *	  What was spent under the budgets.
 *
 *	  A statement that books usage inserts a row of what it adds to each
 *	  budget, and never updates one: writers do not wait for each other.
 *	  compact_budgets() puts those rows together. The trigger that inserts
 *	  them is put on token_usage with the first budget, and taken off by the
 *	  maintenance worker after the last, so that without budgets booking costs
 *	  nothing more. With a budget comes what was spent in its period before,
 *	  counted while nobody can write.
 *
 *	  All of it with the rights of the tables' owner, whoever books or sets
 *	  a budget.
 *
 *-------------------------------------------------------------------------
 */
#include "usage/budget.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/execute.h"
#include "base/sequence.h"
#include "base/history_mode.h"
#include "base/table_owner.h"
#include "base/trigger.h"
#include "usage/usage_query.h"

PG_FUNCTION_INFO_V1(amelia_spend_budgets);
PG_FUNCTION_INFO_V1(amelia_begin_budget);
PG_FUNCTION_INFO_V1(amelia_compact_budgets);
PG_FUNCTION_INFO_V1(amelia_check_workflow_budgets);

#define BUDGET_TRIGGER "zzz_spend_budgets"

/* Whether a budget b is for workflow w. */
#define BUDGET_OF(workflow, profile) \
	"CASE b.scope WHEN 'everything' THEN true WHEN 'profile' THEN b.target = " profile \
	" ELSE b.target = " workflow "::text END"

/* budget_period(), without the time that the call of a function with a SET clause takes. */
#define PERIOD_START(period, time) \
	"CASE " period " WHEN 'total' THEN '-infinity'::date" \
	" ELSE " BEGIN_DAY(period, "(" time " AT TIME ZONE 'UTC')") " END"

/* What comes back with a workflow was spent before. */
static const char *const spend_query =
"INSERT INTO amelia.budget_spending (budget_id, period_start, amount_usd, workflow_id)"
" SELECT b.id, " PERIOD_START("b.period", "u.\"timestamp\"") ", sum(u.cost_usd),"
" max(u.workflow_id::text)::uuid"
" FROM booked AS u JOIN amelia.workflows AS w ON w.id = u.workflow_id"
" JOIN amelia.budgets AS b ON " BUDGET_OF("w.id", "w.profile_id")
" WHERE u.cost_usd > 0 AND NOT EXISTS (SELECT FROM amelia.workflow_history AS k"
" WHERE k.workflow_id = u.workflow_id AND u.\"timestamp\" <= k.usage_until) GROUP BY 1, 2";

const char *const budget_trigger =
"CREATE OR REPLACE TRIGGER " BUDGET_TRIGGER " AFTER INSERT ON amelia.token_usage"
" REFERENCING NEW TABLE AS booked"
" FOR EACH STATEMENT EXECUTE FUNCTION amelia_internal.spend_budgets()";

/*
 * Whether it stands. Where it does there is nothing to be made: a budget is
 * an INSERT like any other then, also where DDL is watched or forbidden.
 */
static const char *const trigger_query =
"SELECT FROM pg_catalog.pg_trigger AS t"
" WHERE t.tgrelid = 'amelia.token_usage'::regclass AND t.tgname = '" BUDGET_TRIGGER "'"
" AND t.tgfoid = 'amelia_internal.spend_budgets()'::regprocedure AND t.tgenabled IN ('O', 'A')";

/*
 * Only the period that runs now; what is past can be neither blocked nor warned
 * of. With one without an end ($4) goes all usage, whatever its time.
 */
static const char *const period_query =
"SELECT GREATEST(p.start, '4713-01-01 BC'), CASE b.period WHEN 'day' THEN p.start"
" WHEN 'month' THEN (p.start + interval '1 month' - interval '1 day')::date ELSE '294276-12-30' END,"
" b.period = 'total'"
" FROM amelia.budgets AS b, LATERAL (SELECT amelia_internal.budget_period(b.period, now())) AS p (start)"
" WHERE b.id = $1";

static const char *const begin_query =
USAGE
" INSERT INTO amelia.budget_spending (budget_id, period_start, amount_usd, workflow_id)"
" SELECT b.id, amelia_internal.budget_period(b.period, now()), sum(v.cost_usd), max(v.workflow_id::text)::uuid"
" FROM amelia.budgets AS b,"
" (SELECT p.workflow_id, sum(p.cost_usd) FROM (SELECT p.workflow_id, p.cost_usd FROM " WORKFLOW_SUMS
" UNION ALL SELECT t.workflow_id, t.cost_usd FROM amelia.token_usage AS t WHERE $4"
" AND (t.\"timestamp\" < " START_OF("$1") " OR t.\"timestamp\" >= " START_OF("$2 + 1") ")"
" UNION ALL SELECT h.workflow_id, h.cost_usd FROM amelia.kept_usage AS h WHERE $4"
" AND h.day NOT BETWEEN $1 AND $2) AS p GROUP BY 1) AS v (workflow_id, cost_usd)"
" LEFT JOIN " WORKFLOWS " ON k.id = v.workflow_id"
" WHERE b.id = $3 AND " BUDGET_OF("v.workflow_id", "k.profile_id")
" GROUP BY b.id, b.period";

static const char *const compact_query =
"WITH gone AS (DELETE FROM amelia.budget_spending AS s"
" USING (SELECT p.budget_id, p.period_start FROM amelia.budget_spending AS p"
" WHERE p.budget_id = $1 GROUP BY 1, 2 HAVING count(*) > 1) AS g"
" WHERE s.budget_id = g.budget_id AND s.period_start = g.period_start RETURNING s.*)"
" INSERT INTO amelia.budget_spending (budget_id, period_start, amount_usd, workflow_id)"
" SELECT g.budget_id, g.period_start, sum(g.amount_usd), max(g.workflow_id::text)::uuid"
" FROM gone AS g GROUP BY 1, 2";

/* Periods that are over by a year, and all of a budget that is gone. */
static const char *const forget_query =
"DELETE FROM amelia.budget_spending AS s"
" WHERE s.budget_id = $1"
" AND ((isfinite(s.period_start) AND s.period_start < (now() AT TIME ZONE 'UTC')::date - 366)"
" OR NOT EXISTS (SELECT FROM amelia.budgets AS b WHERE b.id = s.budget_id))";

/*
 * The event goes to the newest workflow that spent, or if that is gone to the
 * newest that comes under the budget; without any, the next call looks again.
 * A period that ended long ago was not over its limit then: the limit was
 * lowered since, or usage was booked late.
 */
static const char *const warn_query =
"WITH due AS MATERIALIZED (SELECT b.*, s.period_start, s.amount, COALESCE("
"(SELECT w.id FROM amelia.budget_spending AS q JOIN amelia.workflows AS w ON w.id = q.workflow_id"
" WHERE q.budget_id = b.id AND q.period_start = s.period_start ORDER BY w.created_at DESC LIMIT 1),"
" (SELECT w.id FROM amelia.workflows AS w WHERE " BUDGET_OF("w.id", "w.profile_id")
" ORDER BY w.created_at DESC LIMIT 1)) AS workflow_id"
" FROM amelia.budgets AS b JOIN (SELECT p.budget_id, p.period_start, sum(p.amount_usd) AS amount"
" FROM amelia.budget_spending AS p WHERE p.budget_id = $1 GROUP BY 1, 2) AS s ON s.budget_id = b.id"
" WHERE b.action = 'warn' AND s.amount >= b.limit_usd"
" AND s.period_start >= amelia_internal.budget_period(b.period, now() - interval '1 day')"
" AND NOT EXISTS (SELECT FROM amelia.budget_warnings AS n"
" WHERE n.budget_id = b.id AND n.period_start = s.period_start)),"
" warned AS (INSERT INTO amelia.budget_warnings (budget_id, period_start)"
" SELECT d.id, d.period_start FROM due AS d WHERE d.workflow_id IS NOT NULL"
" ON CONFLICT DO NOTHING RETURNING budget_id, period_start)"
" SELECT amelia_internal.write_event(d.workflow_id, 'system_warning',"
" format('the budget of %s US dollars for %s is spent: %s', d.limit_usd,"
" concat_ws(' ', d.scope, d.target), d.amount),"
" data => jsonb_build_object('budget_id', d.id, 'period', d.period,"
" 'period_start', NULLIF(d.period_start, '-infinity'),"
" 'limit_usd', d.limit_usd, 'spent_usd', d.amount))"
" FROM warned AS n JOIN due AS d ON d.id = n.budget_id AND d.period_start = n.period_start";

/*
 * spend_budgets() returns trigger
 */
Datum
amelia_spend_budgets(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	TriggerData *data = GetTriggerData(fcinfo, "spend_budgets",
									   TRIGGER_EVENT_AFTER, TRIGGER_EVENT_INSERT, false);
	OwnerContext before;

	if (data->tg_newtable == NULL || tuplestore_tuple_count(data->tg_newtable) == 0 || IsHistory(data))
		return PointerGetDatum(NULL);
	SPI_connect();
	if (SPI_register_trigger_data(data) != SPI_OK_TD_REGISTER)
		elog(ERROR, "SPI_register_trigger_data failed");
	BecomeTablesOwner(data->tg_relation->rd_rel->relowner, &before);
	KeptPlan(&plan, spend_query, 0, NULL);
	if (SPI_execute_plan(plan, NULL, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write what was spent");
	BecomeSelf(&before);
	SPI_finish();
	return PointerGetDatum(NULL);
}

/*
 * Whether a budget has become one for something else. A client may set all
 * columns to what they were.
 */
static bool
IsAnother(TriggerData *data)
{
	static const char *const names[] = {"id", "scope", "target", "period"};
	TupleDesc	tupdesc = RelationGetDescr(data->tg_relation);

	for (size_t i = 0; i < lengthof(names); i++)
	{
		if (!SameValue(tupdesc, ColumnNumber(tupdesc, names[i]), data->tg_trigtuple, data->tg_newtuple))
			return true;
	}
	return false;
}

/*
 * begin_budget() returns trigger
 */
Datum
amelia_begin_budget(PG_FUNCTION_ARGS)
{
	static const Oid types[] = {UUIDOID};
	static const Oid begin_types[] = {DATEOID, DATEOID, UUIDOID, BOOLOID};
	TriggerData *data = (TriggerData *) fcinfo->context;
	TriggerEvent event = CALLED_AS_TRIGGER(fcinfo) ? data->tg_event & TRIGGER_EVENT_OPMASK : 0;
	OwnerContext before;
	Datum		values[1];
	Datum		begin_values[4];
	bool		is_null;

	data = GetTriggerData(fcinfo, "begin_budget", TRIGGER_EVENT_AFTER, event, true);
	if (event == TRIGGER_EVENT_UPDATE && !IsAnother(data))
		return PointerGetDatum(NULL);
	values[0] = ColumnValue(data->tg_relation, event == TRIGGER_EVENT_UPDATE ? data->tg_newtuple : data->tg_trigtuple,
							"id", UUIDOID, NULL);
	SPI_connect();
	BecomeTablesOwner(data->tg_relation->rd_rel->relowner, &before);
	/* Who books waits until this has committed, and finds the budget then. */
	RunSql("LOCK TABLE amelia.token_usage IN SHARE ROW EXCLUSIVE MODE", 0, NULL, NULL, false);
	if (RunSqlOnLatest(trigger_query, 0, NULL, NULL) == 0)
		RunSql(budget_trigger, 0, NULL, NULL, false);
	/* Nor may somebody put its rows together meanwhile. */
	RunSql("LOCK TABLE amelia.budget_spending IN SHARE ROW EXCLUSIVE MODE", 0, NULL, NULL, false);
	RunSqlOnLatest("DELETE FROM amelia.budget_spending AS s WHERE s.budget_id = $1",
				   lengthof(types), types, values);
	begin_values[2] = values[0];
	if (RunSql(period_query, lengthof(types), types, values, false) == 1)
	{
		begin_values[0] = RowValue(0, 1, DATEOID, &is_null);
		begin_values[1] = RowValue(0, 2, DATEOID, &is_null);
		begin_values[3] = RowValue(0, 3, BOOLOID, &is_null);
		RunSqlOnLatest(begin_query, lengthof(begin_types), begin_types, begin_values);
	}
	BecomeSelf(&before);
	SPI_finish();
	return PointerGetDatum(NULL);
}

/*
 * HaveBudgets(): see budget.h. Whoever asks need not be able to see them.
 */
bool
HaveBudgets(void)
{
	Oid			table = get_relname_relid("budgets", get_namespace_oid(AMELIA_SCHEMA, false));
	OwnerContext before;
	bool		result;

	if (!OidIsValid(table) || SchemaOwnerProblem(AMELIA_SCHEMA, RelationOwner(table)) != NULL)
		return false;
	BecomeOwner(RelationOwner(table), &before);
	result = RunSql("SELECT FROM amelia.budgets LIMIT 1", 0, NULL, NULL, true) > 0;
	BecomeSelf(&before);
	return result;
}

/*
 * Begin work as the owner of the tables.
 */
static void
EnterBudgets(RestrictedContext *before)
{
	SPI_connect();
	EnterRestricted(TableOwner("budget_spending"), before);
}

static void
LeaveBudgets(const RestrictedContext *before)
{
	LeaveRestricted(before);
	SPI_finish();
}

/*
 * RetireBudgets(): see budget.h.
 *
 * Nobody is waited for, because whoever waits for that lock keeps others
 * waiting. Who is about to make a budget makes the trigger under a lock that
 * excludes this one.
 */
void
RetireBudgets(void)
{
	Oid			table = get_relname_relid("token_usage", get_namespace_oid(AMELIA_SCHEMA, false));
	RestrictedContext before;

	EnterBudgets(&before);
	if (OidIsValid(table) && OidIsValid(get_trigger_oid(table, BUDGET_TRIGGER, true)) &&
		ConditionalLockRelationOid(table, AccessExclusiveLock) &&
		RunSqlOnLatest("SELECT FROM amelia.budgets LIMIT 1", 0, NULL, NULL) == 0)
		RunSql("DROP TRIGGER IF EXISTS " BUDGET_TRIGGER " ON amelia.token_usage", 0, NULL, NULL, false);
	LeaveBudgets(&before);
}

/*
 * ListBudgets(): see budget.h.
 */
int
ListBudgets(MemoryContext context, Datum **budgets)
{
	RestrictedContext before;
	int			count;

	EnterBudgets(&before);
	count = RunSql("SELECT b.id FROM amelia.budgets AS b"
				   " UNION SELECT s.budget_id FROM amelia.budget_spending AS s",
				   0, NULL, NULL, true);
	*budgets = MemoryContextAlloc(context, Max(count, 1) * sizeof(Datum));
	for (int i = 0; i < count; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		(*budgets)[i] = datumCopy(RowValue(i, 1, UUIDOID, NULL), false, UUID_LEN);
		MemoryContextSwitchTo(old);
	}
	LeaveBudgets(&before);
	return count;
}

/*
 * WarnOfBudget(): see budget.h.
 */
int32
WarnOfBudget(Datum budget)
{
	static const Oid types[] = {UUIDOID};
	RestrictedContext before;
	int32		warned;

	EnterBudgets(&before);
	warned = RunSql(warn_query, lengthof(types), types, &budget, false);
	LeaveBudgets(&before);
	return warned;
}

/*
 * CompactBudget(): see budget.h.
 */
void
CompactBudget(Datum budget)
{
	static const Oid types[] = {UUIDOID};
	RestrictedContext before;

	EnterBudgets(&before);
	RunSql(forget_query, lengthof(types), types, &budget, false);
	RunSql(compact_query, lengthof(types), types, &budget, false);
	LeaveBudgets(&before);
}

/*
 * compact_budgets() returns integer
 */
Datum
amelia_compact_budgets(PG_FUNCTION_ARGS)
{
	Datum	   *budgets;
	int			count;
	int32		warned = 0;

	/* Also where there is nothing to be done. */
	PreventCommandIfReadOnly("compact_budgets()");
	count = ListBudgets(CurrentMemoryContext, &budgets);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		/* Before the rows are put together they say more about who spent. */
		warned += WarnOfBudget(budgets[i]);
		CompactBudget(budgets[i]);
	}
	PG_RETURN_INT32(warned);
}

/*
 * Whether there are budgets, and who owns them: without any, nothing more is
 * looked at. The size of their table tells.
 */
bool
MayHaveBudgets(Oid *owner)
{
	Relation	table = OpenTable("budgets", AccessShareLock);
	bool		result = RelationGetNumberOfBlocks(table) > 0;

	*owner = table->rd_rel->relowner;
	table_close(table, AccessShareLock);
	return result;
}

/*
 * check_workflow_budgets() returns trigger
 *
 * Whoever may move a workflow need not be able to see the budgets.
 */
Datum
amelia_check_workflow_budgets(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {UUIDOID, TEXTOID};
	TriggerData *data = GetTriggerData(fcinfo, "check_workflow_budgets",
									   TRIGGER_EVENT_BEFORE, TRIGGER_EVENT_UPDATE, true);
	TupleDesc	tupdesc = RelationGetDescr(data->tg_relation);
	OwnerContext before;
	Datum		values[2];
	char		nulls[2];
	bool		is_null;
	Oid			owner;

	if (!MayHaveBudgets(&owner))
		return PointerGetDatum(data->tg_newtuple);
	values[0] = heap_getattr(data->tg_newtuple, ColumnOfType(tupdesc, "id", UUIDOID),
							 tupdesc, &is_null);
	nulls[0] = is_null ? 'n' : ' ';
	values[1] = heap_getattr(data->tg_newtuple, ColumnOfType(tupdesc, "profile_id", TEXTOID),
							 tupdesc, &is_null);
	nulls[1] = is_null ? 'n' : ' ';
	SPI_connect();
	BecomeTablesOwner(data->tg_relation->rd_rel->relowner, &before);
	KeptPlan(&plan, "SELECT amelia_internal.check_budgets($1, $2)", lengthof(types), types);
	if (SPI_execute_plan(plan, values, nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not check the budgets");
	BecomeSelf(&before);
	SPI_finish();
	return PointerGetDatum(data->tg_newtuple);
}
