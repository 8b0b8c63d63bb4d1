-- What agents used and cost, over days.

CREATE FUNCTION amelia_internal.mark_usage_day() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_mark_usage_day';
COMMENT ON FUNCTION amelia_internal.mark_usage_day() IS
'BEFORE INSERT, UPDATE or DELETE row trigger, and BEFORE TRUNCATE statement trigger, of token_usage: marks days that are closed in usage_dirty_days, with the rights of the table''s owner. Rows that are deleted with their workflow change no day.';

CREATE FUNCTION amelia_internal.mark_history_day() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_mark_history_day';
COMMENT ON FUNCTION amelia_internal.mark_history_day() IS
'AFTER DELETE row trigger, and BEFORE TRUNCATE statement trigger, of usage_history: marks the days in usage_dirty_days.';

-- A procedure that commits may not have a search_path of its own; it sets one
-- for what it does.
CREATE PROCEDURE amelia.close_days(anew boolean DEFAULT false)
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_close_days';
COMMENT ON PROCEDURE amelia.close_days(boolean) IS
'Sums up the usage of the UTC days that ended more than an hour ago, and of closed days that have changed since; the maintenance worker does the same. anew: of all of them again. Waits for transactions that were writing usage when it began. Commits day by day; runs as the owner of the tables, whoever calls it. Answers are exact without it, and slower. Errors: 25001 in a transaction block, 25006 on a standby, 55P03 after lock_timeout: the next call goes on.';

CREATE FUNCTION amelia.usage_summary(
	start_date date, end_date date, profile_id text DEFAULT NULL,
	OUT total_cost_usd numeric, OUT total_workflows bigint, OUT total_tokens bigint,
	OUT total_duration_ms bigint, OUT previous_period_cost_usd numeric,
	OUT finished_workflows bigint, OUT successful_workflows bigint, OUT success_rate numeric)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE ROWS 1
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS 'MODULE_PATHNAME', 'amelia_usage_summary';
COMMENT ON FUNCTION amelia.usage_summary(date, date, text) IS
'One row about the UTC days from start_date to end_date, both included: cost in US dollars, workflows with usage, input and output tokens, milliseconds, the cost of as many days just before, and of the workflows that ended in the range (completed, failed, cancelled) how many were completed, and their share, 0 when none ended. profile_id NULL: of all. Deleted workflows count. Errors: 22023 a date is NULL or infinite, a range that runs backwards or is longer than 100 years.';

CREATE FUNCTION amelia.usage_trend(
	start_date date, end_date date, profile_id text DEFAULT NULL, bucket text DEFAULT 'day',
	OUT date date, OUT cost_usd numeric, OUT workflows bigint, OUT by_model jsonb)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE ROWS 100
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS 'MODULE_PATHNAME', 'amelia_usage_trend';
COMMENT ON FUNCTION amelia.usage_trend(date, date, text, text) IS
'A row per UTC day that has usage, in order: cost in US dollars, distinct workflows, and model -> cost. bucket: day, week or month; date is then the Monday or the first of the month, also where that lies before start_date, but only days of the range count. profile_id NULL: of all. Errors: 22023 as usage_summary(), and an unknown bucket.';

CREATE FUNCTION amelia.usage_by_model(
	start_date date, end_date date, profile_id text DEFAULT NULL,
	OUT model text, OUT workflows bigint, OUT tokens bigint, OUT cost_usd numeric,
	OUT trend numeric[], OUT successful_workflows bigint, OUT success_rate numeric)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE ROWS 10
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS 'MODULE_PATHNAME', 'amelia_usage_by_model';
COMMENT ON FUNCTION amelia.usage_by_model(date, date, text) IS
'A row per model, dearest first: distinct workflows, input and output tokens, cost in US dollars, the cost of each day of the range, how many of the workflows are completed, and their share, rounded to 4 digits. profile_id NULL: of all. Errors: 22023 as usage_summary().';

CREATE FUNCTION amelia.usage_by_agent(
	start_date date, end_date date, profile_id text DEFAULT NULL,
	OUT agent text, OUT workflows bigint, OUT tokens bigint, OUT cost_usd numeric,
	OUT trend numeric[], OUT successful_workflows bigint, OUT success_rate numeric)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE ROWS 10
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS 'MODULE_PATHNAME', 'amelia_usage_by_agent';
COMMENT ON FUNCTION amelia.usage_by_agent(date, date, text) IS
'As usage_by_model(), a row per agent.';

CREATE FUNCTION amelia.usage_by_profile(
	start_date date, end_date date, profile_id text DEFAULT NULL,
	OUT profile text, OUT workflows bigint, OUT tokens bigint, OUT cost_usd numeric,
	OUT trend numeric[], OUT successful_workflows bigint, OUT success_rate numeric)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE ROWS 10
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
AS 'MODULE_PATHNAME', 'amelia_usage_by_profile';
COMMENT ON FUNCTION amelia.usage_by_profile(date, date, text) IS
'As usage_by_model(), a row per profile; NULL stands for workflows without one.';

CREATE FUNCTION amelia_internal.token_sums(workflow_ids uuid[])
RETURNS TABLE (
	workflow_id uuid,
	total_input_tokens bigint,
	total_output_tokens bigint,
	total_cache_read_tokens bigint,
	total_cache_creation_tokens bigint,
	total_cost_usd numeric,
	total_duration_ms bigint,
	total_turns bigint)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT asked.id, sum(u.input_tokens), sum(u.output_tokens),
	sum(CASE WHEN u.id IS NOT NULL THEN COALESCE(u.cache_read_tokens, 0) END),
	sum(CASE WHEN u.id IS NOT NULL THEN COALESCE(u.cache_creation_tokens, 0) END),
	sum(u.cost_usd), sum(u.duration_ms), sum(u.num_turns)
FROM (SELECT DISTINCT a.id FROM unnest(token_sums.workflow_ids) AS a (id)
	WHERE a.id IS NOT NULL) AS asked
LEFT JOIN amelia.token_usage AS u ON u.workflow_id = asked.id
GROUP BY asked.id
ORDER BY asked.id
$$;
COMMENT ON FUNCTION amelia_internal.token_sums(uuid[]) IS
'What token_summaries() returns, and token_summary() for one.';

REVOKE ALL ON FUNCTION
	amelia_internal.token_sums(uuid[]),
	amelia_internal.mark_usage_day(),
	amelia_internal.mark_history_day(),
	amelia.usage_summary(date, date, text),
	amelia.usage_trend(date, date, text, text),
	amelia.usage_by_model(date, date, text),
	amelia.usage_by_agent(date, date, text),
	amelia.usage_by_profile(date, date, text)
FROM PUBLIC;
REVOKE ALL ON PROCEDURE amelia.close_days(boolean) FROM PUBLIC;
