/*-------------------------------------------------------------------------
 *
 * usage.c
 *	  What agents used and cost over a range of days: summary, trend, by
 *	  model, agent and profile.
 *
 *	  Each answer is one SQL statement, and so one snapshot: a day that is
 *	  closed and has no mark (usage_close.c) is taken from its sums, any
 *	  other from token_usage and usage_history. The days to read row by row
 *	  are put together to ranges, which the indexes on time serve. What
 *	  counts workflows or goes by profile reads usage_workflow_days, the rest
 *	  the few rows of usage_day_sums. How a workflow ended and which profile
 *	  it has is looked up by its id, in workflows or in workflow_history if it
 *	  was deleted, so no sum has to follow when that changes.
 *
 *	  The plans are made once and without looking at the dates: the time to
 *	  plan would show.
 *
 *-------------------------------------------------------------------------
 */
#include "usage.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"

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

#define START_OF(day) "(" day ")::timestamp AT TIME ZONE 'UTC'"

/*
 * closed: the days to take from the sums. gap: what lies between them. live:
 * the rows of the gaps.
 */
#define USAGE \
	"WITH closed AS MATERIALIZED (SELECT d.day, d.workflows FROM amelia.usage_days AS d" \
	" WHERE d.state = 'closed' AND d.day BETWEEN $1 AND $2" \
	" AND NOT EXISTS (SELECT FROM amelia.usage_dirty_days AS m WHERE m.day = d.day))," \
	" gap AS MATERIALIZED (SELECT g.first, g.until" \
	" FROM (SELECT COALESCE(lag(e.day) OVER (ORDER BY e.day) + 1, $1), e.day" \
	" FROM (SELECT c.day FROM closed AS c UNION ALL SELECT $2 + 1) AS e (day)) AS g (first, until)" \
	" WHERE g.first < g.until)," \
	" live AS (SELECT (u.\"timestamp\" AT TIME ZONE 'UTC')::date AS day, u.workflow_id, u.agent," \
	" u.model, u.cost_usd, u.input_tokens::bigint + u.output_tokens AS tokens, u.duration_ms::bigint" \
	" FROM gap AS g CROSS JOIN LATERAL (SELECT t.* FROM amelia.token_usage AS t" \
	" WHERE t.\"timestamp\" >= " START_OF("g.first") \
	" AND t.\"timestamp\" < " START_OF("g.until") " OFFSET 0) AS u" \
	" UNION ALL" \
	" SELECT h.day, h.workflow_id, h.agent, h.model, h.cost_usd, h.input_tokens + h.output_tokens," \
	" h.duration_ms FROM gap AS g CROSS JOIN LATERAL (SELECT t.* FROM amelia.kept_usage AS t" \
	" WHERE t.day >= g.first AND t.day < g.until OFFSET 0) AS h)"

#define SUM_COLUMNS(t) \
	t ".day, " t ".agent, " t ".model, " t ".cost_usd, " t ".tokens, " t ".duration_ms"
#define STORED_COLUMNS(t) \
	t ".agent, " t ".model, " t ".cost_usd, " t ".input_tokens + " t ".output_tokens," \
	" " t ".duration_ms"

/* All usage, without the workflows: few rows. */
#define SUMS \
	"(SELECT c.day, " STORED_COLUMNS("s") " FROM closed AS c" \
	" JOIN amelia.usage_day_sums AS s ON s.day = c.day AND s.day BETWEEN $1 AND $2" \
	" UNION ALL SELECT " SUM_COLUMNS("l") " FROM live AS l)" \
	" AS p (day, agent, model, cost_usd, tokens, duration_ms)"

/* All usage by workflow. */
#define WORKFLOW_SUMS \
	"(SELECT c.day, s.workflow_id, " STORED_COLUMNS("s") " FROM closed AS c" \
	" JOIN amelia.usage_workflow_days AS s ON s.day = c.day AND s.day BETWEEN $1 AND $2" \
	" UNION ALL SELECT l.day, l.workflow_id, l.agent, l.model, l.cost_usd, l.tokens, l.duration_ms" \
	" FROM live AS l)" \
	" AS p (day, workflow_id, agent, model, cost_usd, tokens, duration_ms)"

/* How workflows ended, and their profiles; those that came back are not history. */
#define WORKFLOWS \
	"(SELECT w.id, w.status, w.profile_id, w.completed_at FROM amelia.workflows AS w" \
	" UNION ALL SELECT h.workflow_id, h.status, h.profile_id, h.completed_at" \
	" FROM amelia.workflow_history AS h" \
	" WHERE NOT EXISTS (SELECT FROM amelia.workflows AS w WHERE w.id = h.workflow_id))" \
	" AS k (id, status, profile_id, completed_at)"

/* Usage by workflow of one profile. */
#define PROFILE_SUMS \
	"(SELECT p.* FROM " WORKFLOW_SUMS \
	" WHERE p.workflow_id IN (SELECT k.id FROM " WORKFLOWS " WHERE k.profile_id = $4)) AS p"

#define ENDED \
	"SELECT count(*) AS finished, count(*) FILTER (WHERE e.status = 'completed') AS successful" \
	" FROM (SELECT w.status, w.profile_id FROM amelia.workflows AS w" \
	" WHERE w.status IN ('completed', 'failed', 'cancelled')" \
	" AND w.completed_at >= " START_OF("$3") " AND w.completed_at < " START_OF("$2 + 1") \
	" UNION ALL SELECT h.status, h.profile_id FROM amelia.workflow_history AS h" \
	" WHERE h.status IN ('completed', 'failed', 'cancelled')" \
	" AND h.completed_at >= " START_OF("$3") " AND h.completed_at < " START_OF("$2 + 1") \
	" AND NOT EXISTS (SELECT FROM amelia.workflows AS w WHERE w.id = h.workflow_id)) AS e"

#define SUMMARY(sums, used, ended) \
	USAGE \
	" SELECT s.cost, u.workflows, s.tokens, s.duration, s.previous, e.finished, e.successful," \
	" COALESCE(e.successful::numeric / NULLIF(e.finished, 0), 0)" \
	" FROM (SELECT COALESCE(sum(p.cost_usd) FILTER (WHERE p.day >= $3), 0) AS cost," \
	" COALESCE(sum(p.tokens) FILTER (WHERE p.day >= $3), 0)::bigint AS tokens," \
	" COALESCE(sum(p.duration_ms) FILTER (WHERE p.day >= $3), 0)::bigint AS duration," \
	" COALESCE(sum(p.cost_usd) FILTER (WHERE p.day < $3), 0) AS previous" \
	" FROM " sums ") AS s," \
	" (SELECT count(*) AS workflows FROM (" used ") AS d) AS u," \
	" (" ended ") AS e"

static const char *const summary_query =
	SUMMARY(SUMS,
			"SELECT i.id FROM closed AS c JOIN amelia.usage_days AS d ON d.day = c.day,"
			" unnest(d.workflow_ids) AS i (id) WHERE c.day >= $3"
			" UNION SELECT l.workflow_id FROM live AS l WHERE l.day >= $3",
			ENDED);
static const char *const profile_summary_query =
	SUMMARY(PROFILE_SUMS,
			"SELECT DISTINCT p.workflow_id FROM " PROFILE_SUMS " WHERE p.day >= $3",
			ENDED " WHERE e.profile_id = $4");

/* A day's workflows are counted when it is closed. */
static const char *const trend_query =
	USAGE
	" SELECT t.day, sum(t.cost), n.workflows, jsonb_object_agg(t.model, t.cost)"
	" FROM (SELECT p.day, p.model, sum(p.cost_usd) AS cost FROM " SUMS " GROUP BY p.day, p.model) AS t"
	" JOIN (SELECT c.day, c.workflows FROM closed AS c UNION ALL"
	" SELECT l.day, count(DISTINCT l.workflow_id) FROM live AS l GROUP BY l.day) AS n ON n.day = t.day"
	" GROUP BY t.day, n.workflows ORDER BY t.day";

#define BUCKET_TREND(sums) \
	USAGE ", part AS (SELECT date_trunc($5, p.day::timestamp)::date AS day, p.workflow_id, p.model," \
	" sum(p.cost_usd) AS cost FROM " sums " GROUP BY 1, 2, 3)" \
	" SELECT t.day, sum(t.cost), n.workflows, jsonb_object_agg(t.model, t.cost)" \
	" FROM (SELECT p.day, p.model, sum(p.cost) AS cost FROM part AS p GROUP BY p.day, p.model) AS t" \
	" JOIN (SELECT d.day, count(*) AS workflows FROM" \
	" (SELECT DISTINCT p.day, p.workflow_id FROM part AS p) AS d GROUP BY d.day) AS n ON n.day = t.day" \
	" GROUP BY t.day, n.workflows ORDER BY t.day"

static const char *const bucket_trend_query = BUCKET_TREND(WORKFLOW_SUMS);
static const char *const profile_trend_query = BUCKET_TREND(PROFILE_SUMS);

/*
 * By a key: pair has each key's workflows, part its sums by day. The trend is
 * put together from all days of the range, so that the empty ones are 0.
 */
#define BY_KEY(key, sums, pairs) \
	USAGE ", part AS (SELECT " key " AS key, p.day, sum(p.cost_usd) AS cost, sum(p.tokens) AS tokens" \
	" FROM " sums " GROUP BY 1, 2)," \
	" total AS (SELECT t.key, sum(t.cost) AS cost, sum(t.tokens)::bigint AS tokens" \
	" FROM part AS t GROUP BY t.key)," \
	" trend AS (SELECT t.key, array_agg(COALESCE(d.cost, 0) ORDER BY g.day) AS trend" \
	" FROM total AS t CROSS JOIN (SELECT $1 + n FROM generate_series(0, $2 - $1) AS n) AS g (day)" \
	" LEFT JOIN part AS d ON d.key IS NOT DISTINCT FROM t.key AND d.day = g.day GROUP BY t.key)," \
	" counted AS (SELECT q.key, count(*) AS workflows," \
	" count(*) FILTER (WHERE q.status = 'completed') AS successful" \
	" FROM (" pairs ") AS q (key, status) GROUP BY q.key)" \
	" SELECT t.key, n.workflows, t.tokens, t.cost, r.trend, n.successful," \
	" round(n.successful::numeric / n.workflows, 4)" \
	" FROM total AS t JOIN trend AS r ON r.key IS NOT DISTINCT FROM t.key" \
	" JOIN counted AS n ON n.key IS NOT DISTINCT FROM t.key" \
	" ORDER BY t.cost DESC, t.key"

#define PAIRS(column, sums) \
	"SELECT x.key, COALESCE(w.status, h.status)" \
	" FROM (SELECT DISTINCT p." column ", p.workflow_id FROM " sums ") AS x (key, workflow_id)" \
	" LEFT JOIN amelia.workflows AS w ON w.id = x.workflow_id" \
	" LEFT JOIN amelia.workflow_history AS h ON h.workflow_id = x.workflow_id"

/* Sums by workflow, with the profile of each. */
#define WITH_PROFILE \
	"(SELECT v.*, k.profile_id FROM (SELECT p.day, p.workflow_id, sum(p.cost_usd), sum(p.tokens)" \
	" FROM " WORKFLOW_SUMS " GROUP BY p.day, p.workflow_id) AS v (day, workflow_id, cost_usd, tokens)" \
	" LEFT JOIN " WORKFLOWS " ON k.id = v.workflow_id" \
	" WHERE $4 IS NULL OR k.profile_id = $4) AS p"

static const char *const model_query =
	BY_KEY("p.model", SUMS, PAIRS("model", WORKFLOW_SUMS));
static const char *const profile_model_query =
	BY_KEY("p.model", PROFILE_SUMS, PAIRS("model", PROFILE_SUMS));
static const char *const agent_query =
	BY_KEY("p.agent", SUMS, PAIRS("agent", WORKFLOW_SUMS));
static const char *const profile_agent_query =
	BY_KEY("p.agent", PROFILE_SUMS, PAIRS("agent", PROFILE_SUMS));
static const char *const by_profile_query =
	BY_KEY("p.profile_id", WITH_PROFILE, PAIRS("profile_id", WITH_PROFILE));

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
 * Run a query and return its rows as they are.
 */
static Datum
ReturnUsage(FunctionCallInfo fcinfo, SPIPlanPtr *plan, const char *query,
			DateADT first, DateADT last, DateADT start, const char *bucket)
{
	Oid			types[] = {DATEOID, DATEOID, DATEOID, TEXTOID, TEXTOID};
	ReturnSetInfo *result;
	Datum		values[USAGE_PARAMS];
	char		nulls[USAGE_PARAMS] = {' ', ' ', ' ', ' ', ' '};
	const char *profile = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));

	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	values[FIRST_DAY] = DateADTGetDatum(first);
	values[LAST_DAY] = DateADTGetDatum(last);
	values[START_DAY] = DateADTGetDatum(start);
	values[PROFILE] = profile != NULL ? CStringGetTextDatum(profile) : (Datum) 0;
	nulls[PROFILE] = profile != NULL ? ' ' : 'n';
	values[BUCKET] = CStringGetTextDatum(bucket);

	SPI_connect();
	if (*plan == NULL)
	{
		SPIPlanPtr	prepared = SPI_prepare_cursor(query, USAGE_PARAMS, types,
												  CURSOR_OPT_GENERIC_PLAN);

		if (prepared == NULL)
			elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
		SPI_keepplan(prepared);
		*plan = prepared;
	}
	if (SPI_execute_plan(*plan, values, nulls, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not sum up usage");
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
	return (Datum) 0;
}

/*
 * usage_summary(start_date date, end_date date, profile_id text)
 *
 * It also reads as many days before, from the first that there is.
 */
Datum
amelia_usage_summary(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plans[2];
	bool		by_profile = !PG_ARGISNULL(2);
	DateADT		start;
	DateADT		end;
	DateADT		first;

	CheckDateRange(fcinfo, &start, &end);
	first = Max(start - (end - start + 1), DATETIME_MIN_JULIAN - POSTGRES_EPOCH_JDATE);
	return ReturnUsage(fcinfo, &plans[by_profile],
					   by_profile ? profile_summary_query : summary_query,
					   first, end, start, "day");
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

	CheckDateRange(fcinfo, &start, &end);
	if (PG_ARGISNULL(3))
		RefuseMissing("bucket");
	bucket = text_to_cstring(PG_GETARG_TEXT_PP(3));
	CheckChoice("bucket", bucket);
	query = !PG_ARGISNULL(2) ? 2 : strcmp(bucket, "day") != 0 ? 1 : 0;
	return ReturnUsage(fcinfo, &plans[query], queries[query], start, end, start, bucket);
}

/*
 * usage_by_...(start_date date, end_date date, profile_id text)
 */
static Datum
UsageByKey(FunctionCallInfo fcinfo, SPIPlanPtr *plan, const char *query)
{
	DateADT		start;
	DateADT		end;

	CheckDateRange(fcinfo, &start, &end);
	return ReturnUsage(fcinfo, plan, query, start, end, start, "day");
}

Datum
amelia_usage_by_model(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plans[2];
	bool		by_profile = !PG_ARGISNULL(2);

	return UsageByKey(fcinfo, &plans[by_profile], by_profile ? profile_model_query : model_query);
}

Datum
amelia_usage_by_agent(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plans[2];
	bool		by_profile = !PG_ARGISNULL(2);

	return UsageByKey(fcinfo, &plans[by_profile], by_profile ? profile_agent_query : agent_query);
}

Datum
amelia_usage_by_profile(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;

	return UsageByKey(fcinfo, &plan, by_profile_query);
}
