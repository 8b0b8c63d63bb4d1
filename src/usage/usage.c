/*-------------------------------------------------------------------------
 *
 * usage.c
 *	  What agents used and cost over a range of days: summary, trend, by
 *	  model, agent and profile.
 *
 *	  An answer takes one or two SQL statements with the same snapshot, the
 *	  caller's: a day that is closed and has no mark (usage_close.c) is taken
 *	  from its sums, any other from token_usage and kept_usage. The days to
 *	  read row by row are put together to ranges, which the indexes on time
 *	  serve. Costs come from the few rows of usage_day_sums, distinct workflows
 *	  from arrays (usage_count.c), and what goes by profile from the sums of
 *	  each workflow. How a workflow ended and which profile it has is looked up
 *	  by its id, in workflows or in workflow_history if it was deleted, so no
 *	  sum has to follow when that changes.
 *
 *	  The plans are made once and without looking at the dates: the time to
 *	  plan would show. They outlive the sizes of the tables that they were made
 *	  for, so the functions have enable_seqscan off.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "base/check.h"
#include "base/execute.h"
#include "usage/usage_count.h"
#include "usage/usage_query.h"

PG_FUNCTION_INFO_V1(amelia_usage_summary);
PG_FUNCTION_INFO_V1(amelia_usage_trend);
PG_FUNCTION_INFO_V1(amelia_usage_by_model);
PG_FUNCTION_INFO_V1(amelia_usage_by_agent);
PG_FUNCTION_INFO_V1(amelia_usage_by_profile);

/* the longest range: 100 years */
#define MAX_DAYS 36525

/* Parameters of all queries. */
enum
{
	FIRST_DAY,					/* $1, of what is read */
	LAST_DAY,					/* $2 */
	START_DAY,					/* $3, of the range that was asked for */
	PROFILE,					/* $4 */
	BUCKET,						/* $5 */
	USAGE_PARAMS
};

/* A function's queries: sums, and workflows to count. */
typedef struct UsageQuery
{
	const char *sums;
	const char *workflows;
} UsageQuery;

typedef struct UsagePlan
{
	SPIPlanPtr	sums;
	SPIPlanPtr	workflows;
} UsagePlan;

typedef struct UsageParams
{
	Datum		values[USAGE_PARAMS];
	char		nulls[USAGE_PARAMS];
	DateADT		first;
	DateADT		last;
} UsageParams;

/* Usage by workflow of one profile. */
#define PROFILE_SUMS \
	"(SELECT p.* FROM " WORKFLOW_SUMS \
	" WHERE p.workflow_id IN (SELECT k.id FROM " WORKFLOWS " WHERE k.profile_id = $4)) AS p"

#define ENDED_IN_RANGE(t) \
	t ".status IN ('completed', 'failed', 'cancelled')" \
	" AND " t ".completed_at >= " START_OF("$3") " AND " t ".completed_at < " START_OF("$2 + 1")

#define ENDED(condition) \
	"(SELECT sum(f.finished)::bigint AS finished, sum(f.successful)::bigint AS successful" \
	" FROM (SELECT count(*), count(*) FILTER (WHERE w.status = 'completed')" \
	" FROM amelia.workflows AS w WHERE " ENDED_IN_RANGE("w") condition("w") \
	" UNION ALL SELECT count(*), count(*) FILTER (WHERE h.status = 'completed')" \
	" FROM amelia.workflow_history AS h WHERE " ENDED_IN_RANGE("h") condition("h") \
	" AND NOT EXISTS (SELECT FROM amelia.workflows AS w WHERE w.id = h.workflow_id))" \
	" AS f (finished, successful)) AS e"

#define OF_ALL(t) ""
#define OF_PROFILE(t) " AND " t ".profile_id = $4"

/* The workflows themselves are counted apart. */
#define SUMMARY(sums, condition) \
	USAGE \
	" SELECT s.cost, NULL::bigint, s.tokens, s.duration, s.previous, e.finished, e.successful," \
	" COALESCE(e.successful::numeric / NULLIF(e.finished, 0), 0)" \
	" FROM (SELECT COALESCE(sum(p.cost_usd) FILTER (WHERE p.day >= $3), 0) AS cost," \
	" COALESCE(sum(p.tokens) FILTER (WHERE p.day >= $3), 0)::bigint AS tokens," \
	" COALESCE(sum(p.duration_ms) FILTER (WHERE p.day >= $3), 0)::bigint AS duration," \
	" COALESCE(sum(p.cost_usd) FILTER (WHERE p.day < $3), 0) AS previous" \
	" FROM " sums ") AS s, " ENDED(condition)

static const UsageQuery summary_queries[] = {
	{SUMMARY(SUMS, OF_ALL),
		USAGE " SELECT NULL::text, d.workflow_ids FROM closed AS c JOIN amelia.usage_days AS d ON d.day = c.day"
	" WHERE c.day >= $3 UNION ALL SELECT NULL, array_agg(l.workflow_id) FROM live AS l WHERE l.day >= $3"},
	{SUMMARY(PROFILE_SUMS, OF_PROFILE),
	USAGE " SELECT NULL::text, array_agg(p.workflow_id) FROM " PROFILE_SUMS " WHERE p.day >= $3"}
};

/* A day's workflows are counted when it is closed. */
static const char *const trend_query =
USAGE
" SELECT t.day, sum(t.cost), n.workflows, jsonb_object_agg(t.model, t.cost)"
" FROM (SELECT p.day, p.model, sum(p.cost_usd) AS cost FROM " SUMS " GROUP BY p.day, p.model) AS t"
" JOIN (SELECT c.day, c.workflows FROM closed AS c UNION ALL"
" SELECT l.day, count(DISTINCT l.workflow_id) FROM live AS l GROUP BY l.day) AS n ON n.day = t.day"
" GROUP BY t.day, n.workflows ORDER BY t.day";

#define BUCKET_TREND(sums) \
	USAGE ", part AS (SELECT " BEGIN_DAY("$5", "p.day::timestamp") " AS day, p.workflow_id, p.model," \
	" sum(p.cost_usd) AS cost FROM " sums " GROUP BY 1, 2, 3)" \
	" SELECT t.day, sum(t.cost), n.workflows, jsonb_object_agg(t.model, t.cost)" \
	" FROM (SELECT p.day, p.model, sum(p.cost) AS cost FROM part AS p GROUP BY p.day, p.model) AS t" \
	" JOIN (SELECT d.day, count(*) AS workflows FROM" \
	" (SELECT DISTINCT p.day, p.workflow_id FROM part AS p) AS d GROUP BY d.day) AS n ON n.day = t.day" \
	" GROUP BY t.day, n.workflows ORDER BY t.day"

static const char *const bucket_trend_query = BUCKET_TREND(WORKFLOW_SUMS);
static const char *const profile_trend_query = BUCKET_TREND(PROFILE_SUMS);

/*
 * By a key: its sums, and the cost of each day that has any.
 */
#define BY_KEY(key, sums) \
	USAGE " SELECT t.key, sum(t.tokens)::bigint, sum(t.cost)," \
	" array_agg(t.day ORDER BY t.day), array_agg(t.cost ORDER BY t.day)" \
	" FROM (SELECT " key ", p.day, sum(p.cost_usd), sum(p.tokens) FROM " sums " GROUP BY 1, 2)" \
	" AS t (key, day, cost, tokens) GROUP BY t.key ORDER BY 3 DESC, 1"

/* The workflows of each key, in arrays. */
#define DAY_WORKFLOWS(kind) \
	USAGE " SELECT s.name, s.workflow_ids FROM closed AS c" \
	" JOIN amelia.usage_day_workflows AS s ON s.day = c.day AND s.kind = '" kind "'" \
	" UNION ALL SELECT l." kind ", array_agg(l.workflow_id) FROM live AS l GROUP BY 1"

#define WORKFLOWS_BY(key, sums) \
	USAGE " SELECT " key ", array_agg(p.workflow_id) FROM " sums " GROUP BY 1"

/* The sums of each workflow on each day, with its profile. */
#define WITH_PROFILE \
	"(SELECT v.day, v.workflow_id, v.cost_usd, v.tokens, k.profile_id FROM (" \
	"SELECT c.day, n.workflow_id, n.cost_usd, n.tokens FROM closed AS c" \
	" JOIN amelia.usage_days AS d ON d.day = c.day," \
	" unnest(d.workflow_ids, d.workflow_costs, d.workflow_tokens) AS n (workflow_id, cost_usd, tokens)" \
	" UNION ALL SELECT l.day, l.workflow_id, l.cost_usd, l.tokens FROM live AS l)" \
	" AS v (day, workflow_id, cost_usd, tokens)" \
	" LEFT JOIN " WORKFLOWS " ON k.id = v.workflow_id" \
	" WHERE $4 IS NULL OR k.profile_id = $4) AS p"

static const UsageQuery model_queries[] = {
	{BY_KEY("p.model", SUMS), DAY_WORKFLOWS("model")},
	{BY_KEY("p.model", PROFILE_SUMS), WORKFLOWS_BY("p.model", PROFILE_SUMS)}
};
static const UsageQuery agent_queries[] = {
	{BY_KEY("p.agent", SUMS), DAY_WORKFLOWS("agent")},
	{BY_KEY("p.agent", PROFILE_SUMS), WORKFLOWS_BY("p.agent", PROFILE_SUMS)}
};
static const UsageQuery profile_queries[] = {
	{BY_KEY("p.profile_id", WITH_PROFILE), WORKFLOWS_BY("p.profile_id", WITH_PROFILE)}
};

/*
 * Check the range in the first two arguments; 22023.
 */
static void
CheckDateRange(FunctionCallInfo fcinfo, DateADT *start, DateADT *end)
{
	static const char *const names[] = {"start_date", "end_date"};
	DateADT		days[2];

	for (int i = 0; i < 2; i++)
	{
		if (PG_ARGISNULL(i))
			RefuseMissing(names[i]);
		days[i] = PG_GETARG_DATEADT(i);
		if (DATE_NOT_FINITE(days[i]) ||
			days[i] < DATETIME_MIN_JULIAN - POSTGRES_EPOCH_JDATE ||
			days[i] >= TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE - 1)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s must be a day in the calendar: %s", names[i],
							DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum(days[i]))))));
	}
	if (days[0] > days[1])
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the range runs backwards, from %s to %s",
						DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum(days[0]))),
						DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum(days[1]))))));
	if (days[1] - days[0] >= MAX_DAYS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the range is longer than 100 years: %d days", days[1] - days[0] + 1)));
	*start = days[0];
	*end = days[1];
}

/*
 * Begin a function: its result, its parameters, SPI.
 */
static ReturnSetInfo *
BeginUsage(FunctionCallInfo fcinfo, UsageParams *params,
		   DateADT first, DateADT last, DateADT start, const char *bucket)
{
	bool		of_all = PG_ARGISNULL(2);

	InitMaterializedSRF(fcinfo, 0);
	params->first = first;
	params->last = last;
	params->values[FIRST_DAY] = DateADTGetDatum(first);
	params->values[LAST_DAY] = DateADTGetDatum(last);
	params->values[START_DAY] = DateADTGetDatum(start);
	params->values[PROFILE] = of_all ? (Datum) 0 : PG_GETARG_DATUM(2);
	params->values[BUCKET] = CStringGetTextDatum(bucket);
	memset(params->nulls, ' ', sizeof(params->nulls));
	params->nulls[PROFILE] = of_all ? 'n' : ' ';
	SPI_connect();
	return (ReturnSetInfo *) fcinfo->resultinfo;
}

/*
 * Run a query; its rows are in SPI_tuptable.
 */
static void
RunUsage(SPIPlanPtr *plan, const char *query, UsageParams *params)
{
	Oid			types[] = {DATEOID, DATEOID, DATEOID, TEXTOID, TEXTOID};

	if (*plan == NULL)
	{
		SPIPlanPtr	prepared = SPI_prepare_cursor(query, USAGE_PARAMS, types,
												  CURSOR_OPT_GENERIC_PLAN);

		if (prepared == NULL)
			elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
		SPI_keepplan(prepared);
		*plan = prepared;
	}
	if (SPI_execute_plan(*plan, params->values, params->nulls, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not sum up usage");
}

/*
 * usage_summary(start_date date, end_date date, profile_id text)
 *
 * It also reads as many days before, from the first that there is.
 */
Datum
amelia_usage_summary(PG_FUNCTION_ARGS)
{
	static UsagePlan plans[lengthof(summary_queries)];
	int			query = !PG_ARGISNULL(2);
	DateADT		start;
	DateADT		end;
	DateADT		first;
	UsageParams params;
	ReturnSetInfo *result;
	WorkflowCount *count;
	Datum		values[8];
	bool		nulls[8];

	CheckDateRange(fcinfo, &start, &end);
	first = Max(start - (end - start + 1), DATETIME_MIN_JULIAN - POSTGRES_EPOCH_JDATE);
	result = BeginUsage(fcinfo, &params, first, end, start, "day");
	RunUsage(&plans[query].workflows, summary_queries[query].workflows, &params);
	count = BeginCount(1);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		is_null;
		Datum		ids = RowValue(i, 2, UUIDARRAYOID, &is_null);

		if (!is_null)
			AddToCount(count, 0, ids);
	}
	RunUsage(&plans[query].sums, summary_queries[query].sums, &params);
	heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, values, nulls);
	values[1] = Int64GetDatum(WorkflowsOf(count, 0));
	nulls[1] = false;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	SPI_finish();
	return (Datum) 0;
}

/*
 * usage_trend(start_date date, end_date date, profile_id text, bucket text)
 */
Datum
amelia_usage_trend(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plans[3];
	const char *const queries[] = {trend_query, bucket_trend_query, profile_trend_query};
	DateADT		start;
	DateADT		end;
	char	   *bucket;
	int			query;
	UsageParams params;
	ReturnSetInfo *result;

	CheckDateRange(fcinfo, &start, &end);
	if (PG_ARGISNULL(3))
		RefuseMissing("bucket");
	bucket = text_to_cstring(PG_GETARG_TEXT_PP(3));
	CheckChoice("bucket", bucket);
	query = !PG_ARGISNULL(2) ? 2 : strcmp(bucket, "day") != 0 ? 1 : 0;
	result = BeginUsage(fcinfo, &params, start, end, start, bucket);
	RunUsage(&plans[query], queries[query], &params);
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
	return (Datum) 0;
}

/* A key, where its row is. Without a text: NULL. */
typedef struct UsageKey
{
	char	   *text;
	int			row;
} UsageKey;

static int
CompareKeys(const void *a, const void *b)
{
	const char *x = ((const UsageKey *) a)->text;
	const char *y = ((const UsageKey *) b)->text;

	if (x == NULL || y == NULL)
		return (y == NULL) - (x == NULL);
	return strcmp(x, y);
}

/*
 * The key in the first column of a row.
 */
static UsageKey
RowKey(SPITupleTable *table, uint64 row)
{
	UsageKey	key = {SPI_getvalue(table->vals[row], table->tupdesc, 1), row};

	return key;
}

/*
 * Count the workflows of the keys, which have a row each.
 */
static WorkflowCount *
CountByKey(SPITupleTable *rows, int count, UsagePlan *plan, const UsageQuery *query,
		   UsageParams *params)
{
	WorkflowCount *result = BeginCount(count);
	UsageKey   *keys = palloc(Max(count, 1) * sizeof(UsageKey));

	for (int i = 0; i < count; i++)
		keys[i] = RowKey(rows, i);
	qsort(keys, count, sizeof(UsageKey), CompareKeys);
	RunUsage(&plan->workflows, query->workflows, params);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		UsageKey	wanted = RowKey(SPI_tuptable, i);
		UsageKey   *key = bsearch(&wanted, keys, count, sizeof(UsageKey), CompareKeys);
		bool		is_null;

		if (key != NULL)
			AddToCount(result, key->row, RowValue(i, 2, UUIDARRAYOID, &is_null));
		if (wanted.text !=NULL)
			pfree(wanted.text);
	}
	SPI_freetuptable(SPI_tuptable);
	CountSuccess(result);
	return result;
}

/*
 * The cost of each day of the range, 0 for those that are not in the row.
 */
static Datum
Trend(SPITupleTable *rows, int row, const UsageParams *params, Datum zero, Datum *trend)
{
	int			length = params->last - params->first + 1;
	Datum	   *days;
	Datum	   *costs;
	int			count;
	bool		is_null;

	deconstruct_array(DatumGetArrayTypeP(SPI_getbinval(rows->vals[row], rows->tupdesc, 4, &is_null)),
					  DATEOID, sizeof(DateADT), true, TYPALIGN_INT, &days, NULL, &count);
	deconstruct_array(DatumGetArrayTypeP(SPI_getbinval(rows->vals[row], rows->tupdesc, 5, &is_null)),
					  NUMERICOID, -1, false, TYPALIGN_INT, &costs, NULL, &count);
	for (int i = 0; i < length; i++)
		trend[i] = zero;
	for (int i = 0; i < count; i++)
		trend[DatumGetDateADT(days[i]) - params->first] = costs[i];
	return PointerGetDatum(construct_array(trend, length, NUMERICOID, -1, false, TYPALIGN_INT));
}

/*
 * usage_by_...(start_date date, end_date date, profile_id text)
 */
static Datum
UsageByKey(FunctionCallInfo fcinfo, UsagePlan *plan, const UsageQuery *query)
{
	DateADT		start;
	DateADT		end;
	UsageParams params;
	ReturnSetInfo *result;
	SPITupleTable *rows;
	int			row_count;
	WorkflowCount *count;
	Datum		zero = DirectFunctionCall1(int4_numeric, Int32GetDatum(0));
	Datum	   *trend;
	MemoryContext of_row;

	CheckDateRange(fcinfo, &start, &end);
	result = BeginUsage(fcinfo, &params, start, end, start, "day");
	RunUsage(&plan->sums, query->sums, &params);
	rows = SPI_tuptable;
	row_count = SPI_processed;
	count = CountByKey(rows, row_count, plan, query, &params);
	trend = palloc((end - start + 1) * sizeof(Datum));
	/* A trend may have 100 years, and there may be many keys. */
	of_row = AllocSetContextCreate(CurrentMemoryContext, "Amelia usage by key", ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < row_count; i++)
	{
		int64		workflows = WorkflowsOf(count, i);
		int64		successful = SuccessfulOf(count, i);
		Datum		values[7];
		bool		nulls[7] = {false};

		MemoryContext before = MemoryContextSwitchTo(of_row);

		CHECK_FOR_INTERRUPTS();
		values[0] = SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &nulls[0]);
		values[1] = Int64GetDatum(workflows);
		values[2] = SPI_getbinval(rows->vals[i], rows->tupdesc, 2, &nulls[2]);
		values[3] = SPI_getbinval(rows->vals[i], rows->tupdesc, 3, &nulls[3]);
		values[4] = Trend(rows, i, &params, zero, trend);
		values[5] = Int64GetDatum(successful);
		values[6] = DirectFunctionCall2(numeric_round,
										DirectFunctionCall2(numeric_div,
															DirectFunctionCall1(int8_numeric, values[5]),
															DirectFunctionCall1(int8_numeric, values[1])),
										Int32GetDatum(4));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		MemoryContextSwitchTo(before);
		MemoryContextReset(of_row);
	}
	SPI_finish();
	return (Datum) 0;
}

Datum
amelia_usage_by_model(PG_FUNCTION_ARGS)
{
	static UsagePlan plans[lengthof(model_queries)];
	int			query = !PG_ARGISNULL(2);

	return UsageByKey(fcinfo, &plans[query], &model_queries[query]);
}

Datum
amelia_usage_by_agent(PG_FUNCTION_ARGS)
{
	static UsagePlan plans[lengthof(agent_queries)];
	int			query = !PG_ARGISNULL(2);

	return UsageByKey(fcinfo, &plans[query], &agent_queries[query]);
}

Datum
amelia_usage_by_profile(PG_FUNCTION_ARGS)
{
	static UsagePlan plan;

	return UsageByKey(fcinfo, &plan, &profile_queries[0]);
}
