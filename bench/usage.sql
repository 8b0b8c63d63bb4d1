-- What bench/usage measures with: rows of usage, the same table without
-- triggers of ours, and plain queries for what the functions answer.
-- :rows rows over :days days up to yesterday; a workflow has 200 in 20 hours.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SET synchronous_commit = off;
SELECT setseed(0.4) \g /dev/null
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, profile_id, started_at, completed_at)
SELECT amelia.uuid_v7(), 'I-' || n, '/w' || n,
	(ARRAY['completed', 'completed', 'completed', 'failed', 'cancelled'])[1 + n % 5],
	(ARRAY['work', 'home', 'lab', NULL])[1 + n / 5 % 4], t, t + interval '20 hours'
FROM (SELECT n, (current_date - :days)::timestamp AT TIME ZONE 'UTC'
		+ (n - 1) * (interval '1 day' * (:days - 1) / (:rows / 200)) AS t
	FROM generate_series(1, :rows / 200) AS n) AS g;
ALTER TABLE amelia.token_usage DISABLE TRIGGER ALL;
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cache_read_tokens,
	cache_creation_tokens, cost_usd, duration_ms, "timestamp")
SELECT w.id, (ARRAY['architect', 'developer', 'reviewer', 'evaluator'])[1 + i % 4],
	(ARRAY['opus', 'sonnet', 'haiku', 'gpt', 'gemini'])[1 + ((hashtext(w.id::text) + i / 100) & 7) % 5],
	(random() * 5000)::integer, (random() * 1000)::integer, (random() * 20000)::integer,
	(random() * 1000)::integer, (random() * 0.5)::numeric(10,6), (random() * 30000)::integer,
	w.started_at + i * interval '6 minutes'
FROM amelia.workflows AS w, generate_series(0, 199) AS i;
ALTER TABLE amelia.token_usage ENABLE TRIGGER ALL;
VACUUM ANALYZE amelia.token_usage;
VACUUM ANALYZE amelia.workflows;

CREATE SCHEMA twin;
CREATE TABLE twin.token_usage (LIKE amelia.token_usage INCLUDING ALL,
	FOREIGN KEY (workflow_id) REFERENCES amelia.workflows (id) ON DELETE CASCADE);

-- a and b are the first and the last day; each passes over the rows once.
CREATE FUNCTION twin.plain(what text) RETURNS text LANGUAGE sql AS $$
SELECT CASE what
WHEN 'usage_trend' THEN
	'WITH p AS MATERIALIZED (SELECT (u."timestamp" AT TIME ZONE ''UTC'')::date AS day, u.model, u.workflow_id, sum(u.cost_usd) AS cost
		FROM amelia.token_usage AS u WHERE u."timestamp" >= %1$L::timestamp AT TIME ZONE ''UTC''
			AND u."timestamp" < (%2$L::date + 1)::timestamp AT TIME ZONE ''UTC'' GROUP BY 1, 2, 3)
	SELECT m.day, sum(m.cost), (SELECT count(DISTINCT p.workflow_id) FROM p WHERE p.day = m.day), jsonb_object_agg(m.model, m.cost)
	FROM (SELECT p.day, p.model, sum(p.cost) AS cost FROM p GROUP BY 1, 2) AS m GROUP BY m.day ORDER BY m.day'
WHEN 'trend by model' THEN -- the least that a dashboard asks for
	'SELECT (u."timestamp" AT TIME ZONE ''UTC'')::date AS day, u.model, sum(u.cost_usd) FROM amelia.token_usage AS u
	WHERE u."timestamp" >= %1$L::timestamp AT TIME ZONE ''UTC'' AND u."timestamp" < (%2$L::date + 1)::timestamp AT TIME ZONE ''UTC''
	GROUP BY 1, 2 ORDER BY 1, 2'
WHEN 'usage_summary' THEN
	'SELECT s.cost, s.workflows, s.tokens, s.duration, COALESCE(r.cost, 0), e.finished, e.successful,
		COALESCE(e.successful::numeric / NULLIF(e.finished, 0), 0)
	FROM (SELECT sum(cost) AS cost, count(*) AS workflows, sum(tokens)::bigint AS tokens, sum(duration)::bigint AS duration
		FROM (SELECT u.workflow_id, sum(u.cost_usd) AS cost, sum(u.input_tokens + u.output_tokens) AS tokens, sum(u.duration_ms) AS duration
			FROM amelia.token_usage AS u WHERE u."timestamp" >= %1$L::timestamp AT TIME ZONE ''UTC''
				AND u."timestamp" < (%2$L::date + 1)::timestamp AT TIME ZONE ''UTC'' GROUP BY 1) AS w) AS s,
		(SELECT sum(u.cost_usd) AS cost FROM amelia.token_usage AS u
			WHERE u."timestamp" >= (%1$L::date - (%2$L::date - %1$L::date + 1))::timestamp AT TIME ZONE ''UTC''
				AND u."timestamp" < %1$L::timestamp AT TIME ZONE ''UTC'') AS r,
		(SELECT count(*) AS finished, count(*) FILTER (WHERE w.status = ''completed'') AS successful FROM amelia.workflows AS w
			WHERE w.status IN (''completed'', ''failed'', ''cancelled'') AND w.completed_at >= %1$L::timestamp AT TIME ZONE ''UTC''
				AND w.completed_at < (%2$L::date + 1)::timestamp AT TIME ZONE ''UTC'') AS e'
ELSE
	'WITH p AS MATERIALIZED (SELECT (u."timestamp" AT TIME ZONE ''UTC'')::date AS day, '
	|| CASE what WHEN 'usage_by_model' THEN 'u.model' WHEN 'usage_by_agent' THEN 'u.agent' ELSE 'w.profile_id' END || ' AS key,
		u.workflow_id, w.status, sum(u.cost_usd) AS cost, sum(u.input_tokens + u.output_tokens) AS tokens
		FROM amelia.token_usage AS u JOIN amelia.workflows AS w ON w.id = u.workflow_id
		WHERE u."timestamp" >= %1$L::timestamp AT TIME ZONE ''UTC''
			AND u."timestamp" < (%2$L::date + 1)::timestamp AT TIME ZONE ''UTC'' GROUP BY 1, 2, 3, 4),
	c AS MATERIALIZED (SELECT p.key, p.day, sum(p.cost) AS cost FROM p GROUP BY 1, 2)
	SELECT k.key, k.workflows, k.tokens, k.cost,
		(SELECT array_agg(COALESCE(c.cost, 0) ORDER BY d.day) FROM generate_series(0, %2$L::date - %1$L::date) AS n,
			LATERAL (SELECT %1$L::date + n) AS d (day) LEFT JOIN c ON c.key IS NOT DISTINCT FROM k.key AND c.day = d.day),
		k.successful, round(k.successful::numeric / k.workflows, 4)
	FROM (SELECT p.key, count(DISTINCT p.workflow_id) AS workflows, sum(p.tokens)::bigint AS tokens, sum(p.cost) AS cost,
			count(DISTINCT p.workflow_id) FILTER (WHERE p.status = ''completed'') AS successful FROM p GROUP BY 1) AS k
	ORDER BY k.cost DESC, k.key'
END
$$;

-- Milliseconds of a query, and what it answered.
CREATE FUNCTION twin.measure(query text, OUT ms numeric, OUT digest text)
LANGUAGE plpgsql AS $$
DECLARE
	started CONSTANT timestamptz := clock_timestamp();
BEGIN
	EXECUTE format('SELECT md5(COALESCE(string_agg(x::text, '' ''), '''')) FROM (%s) AS x', query) INTO digest;
	ms := round(1000 * extract(epoch FROM clock_timestamp() - started), 3);
END
$$;
-- A row per round, in which the two take turns; ours is the middle one of three.
CREATE FUNCTION twin.compare(what text, days integer, last date, rounds integer)
RETURNS TABLE (plain_ms numeric, ours_ms numeric, equal boolean)
LANGUAGE plpgsql AS $$
DECLARE
	first CONSTANT date := last - days + 1;
	query CONSTANT text := format('SELECT * FROM amelia.%I(%L, %L)', what, first, last);
	plain record;
	ours record;
BEGIN
	ours := twin.measure(query);
	plain := twin.measure(format(twin.plain(what), first, last));
	equal := plain.digest = ours.digest;
	FOR i IN 1 .. rounds LOOP
		plain := twin.measure(format(twin.plain(CASE what WHEN 'usage_trend' THEN 'trend by model' ELSE what END), first, last));
		plain_ms := plain.ms;
		SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY m.ms) INTO ours_ms
		FROM generate_series(1, 3), LATERAL twin.measure(query) AS m;
		RETURN NEXT;
	END LOOP;
END
$$;
