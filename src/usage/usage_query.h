/*-------------------------------------------------------------------------
 *
 * usage_query.h
 *	  Parts of the queries on usage. In all of them $1 and $2 are the first
 *	  and the last day.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_USAGE_QUERY_H
#define AMELIA_USAGE_QUERY_H

#define START_OF(day) "(" day ")::timestamp AT TIME ZONE 'UTC'"

/*
 * The day on which a day, week or month begins. The first month there is
 * began before the first day there is.
 */
#define BEGIN_DAY(unit, time) \
	"CASE WHEN " unit " = 'month' AND isfinite(" time ") AND " time " < '4714-12-01 BC'" \
	" THEN '4714-11-24 BC'::date ELSE date_trunc(" unit ", " time ")::date END"

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

#endif							/* AMELIA_USAGE_QUERY_H */
