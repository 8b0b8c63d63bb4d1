-- Figures for a monitoring system, each cheap however large the tables are: no
-- count goes further than a thousand rows, what is behind that is estimated.

CREATE FUNCTION amelia_internal.waiting_sessions() RETURNS integer
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_waiting_sessions';
COMMENT ON FUNCTION amelia_internal.waiting_sessions() IS
'How many sessions of this database wait in wait_events() or for what another extension of ours has them wait for; NULL when the library was not preloaded.';

CREATE FUNCTION amelia_internal.status_counts() RETURNS TABLE (status text, number double precision)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
-- A few rows through the index on status, whatever the planner makes of LIMIT.
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
SELECT s.status, CASE WHEN c.number <= 1000 THEN c.number ELSE GREATEST(c.number, e.number) END
FROM unnest(ARRAY['pending', 'in_progress', 'blocked', 'completed', 'failed', 'cancelled']) AS s (status)
CROSS JOIN LATERAL (SELECT count(*) FROM (SELECT FROM amelia.workflows AS w WHERE w.status = s.status LIMIT 1001) AS f) AS c (number)
LEFT JOIN (SELECT v.value, t.reltuples::double precision * v.share
	FROM pg_stats AS p
	JOIN pg_class AS t ON t.oid = 'amelia.workflows'::regclass
	CROSS JOIN unnest(p.most_common_vals::text::text[], p.most_common_freqs) AS v (value, share)
	WHERE p.schemaname = 'amelia' AND p.tablename = 'workflows' AND p.attname = 'status') AS e (value, number)
	ON e.value = s.status
$$;
COMMENT ON FUNCTION amelia_internal.status_counts() IS
'How many workflows have each status: counted up to a thousand, above that by the statistics that ANALYZE keeps.';

CREATE FUNCTION amelia_internal.oldest_claimable() RETURNS timestamptz
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
-- From one type and priority to the next through the index of claims, of each the
-- first; no more than a hundred.
WITH RECURSIVE first AS (
	(SELECT w.workflow_type, w.priority, w.available_at
	FROM amelia.workflows AS w
	WHERE NOT w.parked AND (w.status = 'pending' OR (w.status = 'failed' AND w.retry_at IS NOT NULL))
	ORDER BY w.workflow_type COLLATE "C", w.priority DESC, w.available_at LIMIT 1)
	UNION ALL
	SELECT n.workflow_type, n.priority, n.available_at
	FROM first AS f CROSS JOIN LATERAL (
		(SELECT w.workflow_type, w.priority, w.available_at
		FROM amelia.workflows AS w
		WHERE NOT w.parked AND (w.status = 'pending' OR (w.status = 'failed' AND w.retry_at IS NOT NULL))
			AND w.workflow_type COLLATE "C" = f.workflow_type AND w.priority < f.priority
		ORDER BY w.workflow_type COLLATE "C", w.priority DESC, w.available_at LIMIT 1)
		UNION ALL
		(SELECT w.workflow_type, w.priority, w.available_at
		FROM amelia.workflows AS w
		WHERE NOT w.parked AND (w.status = 'pending' OR (w.status = 'failed' AND w.retry_at IS NOT NULL))
			AND w.workflow_type COLLATE "C" > f.workflow_type
		ORDER BY w.workflow_type COLLATE "C", w.priority DESC, w.available_at LIMIT 1)
		LIMIT 1) AS n
)
SELECT min(o.available_at) FROM (SELECT f.available_at FROM first AS f LIMIT 100) AS o WHERE o.available_at <= now()
$$;
COMMENT ON FUNCTION amelia_internal.oldest_claimable() IS
'Since when the workflow waits that could be claimed for longest; NULL: none could. Of the first hundred types and priorities in the order of claims.';

CREATE FUNCTION amelia_internal.moves_within(span interval) RETURNS TABLE (status text, number bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	since CONSTANT timestamptz := clock_timestamp() - span;
	guarded CONSTANT boolean := row_security_active('amelia.workflows');
	row record;
	moves jsonb := '{"pending": 0, "in_progress": 0, "blocked": 0, "completed": 0, "failed": 0, "cancelled": 0}';
BEGIN
	-- From the newest back, through the key, and no further than it must.
	FOR row IN
		SELECT f.moved_to, f.written_at, f.workflow_id
		FROM amelia.workflow_feed AS f
		WHERE f.origin = (SELECT n.origin FROM amelia_internal.feed_now() AS n)
		ORDER BY f.lsn DESC, f.xid DESC, f.number DESC
		LIMIT 5000
	LOOP
		EXIT WHEN row.written_at < since;
		-- A policy on workflows hides what is told of them.
		IF moves ? row.moved_to
			AND (NOT guarded OR EXISTS (SELECT FROM amelia.workflows AS w WHERE w.id = row.workflow_id)) THEN
			moves := jsonb_set(moves, ARRAY[row.moved_to], to_jsonb((moves ->> row.moved_to)::integer + 1));
		END IF;
	END LOOP;
	RETURN QUERY SELECT m.key, m.value::bigint FROM jsonb_each_text(moves) AS m;
END
$$;
COMMENT ON FUNCTION amelia_internal.moves_within(interval) IS
'How many workflows came to each status within the last span, by the newest 5000 rows of the feed.';

CREATE FUNCTION amelia_internal.due_workflows() RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
SELECT CASE WHEN s.days >= 0 THEN (SELECT count(*) FROM (SELECT FROM amelia.workflows AS w
		WHERE w.status IN ('completed', 'failed', 'cancelled') AND w.completed_at < now() - make_interval(days => s.days)
		LIMIT 1000) AS d) END
FROM (SELECT (amelia_internal.current_settings() -> 'log_retention_days')::integer) AS s (days)
$$;
COMMENT ON FUNCTION amelia_internal.due_workflows() IS
'How many finished workflows are past log_retention_days, counted up to a thousand; NULL when none ever is.';

CREATE FUNCTION amelia_internal.newly_dead() RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
SELECT count(*)
FROM (SELECT w.status, w.retry_at, w.failures, w.max_failures
	FROM amelia.workflows AS w
	WHERE w.status IN ('completed', 'failed', 'cancelled') AND w.completed_at > now() - interval '1 day'
	ORDER BY w.completed_at DESC, w.id DESC LIMIT 1000) AS e
WHERE e.status = 'failed' AND e.retry_at IS NULL AND e.failures > 0 AND e.failures >= e.max_failures
$$;
COMMENT ON FUNCTION amelia_internal.newly_dead() IS
'How many of the newest thousand workflows that ended within a day are dead_workflows().';

-- The day is not an argument: with one, the planner takes it for a third of the table.
CREATE FUNCTION amelia_internal.cost_today() RETURNS TABLE (model text, cost_usd numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT u.model, sum(u.cost_usd)
FROM (SELECT t.model, t.cost_usd FROM amelia.token_usage AS t
		WHERE t."timestamp" >= date_trunc('day', now(), 'UTC')
		UNION ALL
		SELECT h.model, h.cost_usd FROM amelia.usage_history AS h WHERE h.day >= (now() AT TIME ZONE 'UTC')::date) AS u
GROUP BY u.model
$$;
COMMENT ON FUNCTION amelia_internal.cost_today() IS
'What each model cost since the UTC day began, with that of workflows that were deleted since, in US dollars.';

REVOKE ALL ON FUNCTION
	amelia_internal.waiting_sessions(),
	amelia_internal.status_counts(),
	amelia_internal.oldest_claimable(),
	amelia_internal.moves_within(interval),
	amelia_internal.due_workflows(),
	amelia_internal.newly_dead(),
	amelia_internal.cost_today()
FROM PUBLIC;
