-- What a monitoring system asks for.

CREATE OR REPLACE FUNCTION amelia.metrics()
RETURNS TABLE (name text, labels jsonb, value double precision, help text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET jit = off
SET max_parallel_workers_per_gather = 0
AS $$
#variable_conflict use_column
BEGIN
	-- Planned once in a session: a plan of so many parts costs more than what it reads.
	RETURN QUERY
	WITH
		retention AS (
			SELECT r.* FROM amelia.retention_runs AS r
			WHERE r.outcome <> 'running' ORDER BY r.id DESC LIMIT 1),
		budgets AS (
			SELECT jsonb_build_object('scope', b.scope, 'target', COALESCE(b.target, ''), 'period', b.period, 'id', b.id) AS labels,
				b.limit_usd, b.spent_usd
			FROM amelia_internal.budgets_now() AS b),
		relations AS (
			SELECT jsonb_build_object('schema', n.nspname, 'table', c.relname) AS labels, c.oid
			FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
			WHERE n.nspname IN ('amelia', 'amelia_saga', 'amelia_platform') AND c.relkind IN ('r', 'p')),
		maintenance AS (SELECT m.state, m.failures FROM amelia_internal.maintenance_state() AS m)
	SELECT 'amelia_schema_info', jsonb_build_object('schema_version',
			(SELECT max(v.version)::text FROM amelia.schema_versions AS v)), 1,
		'Always 1; the schema version that the tables are at.'
	UNION ALL
	SELECT 'amelia_workflows', jsonb_build_object('status', s.status), s.number,
		'Workflows by status; above a thousand as ANALYZE saw them last.'
	FROM amelia_internal.status_counts() AS s
	UNION ALL
	SELECT 'amelia_oldest_claimable_seconds', '{}',
		COALESCE(EXTRACT(epoch FROM now() - amelia_internal.oldest_claimable()), 0),
		'For how long the workflow has waited that could be claimed for longest; 0: none could.'
	UNION ALL
	SELECT 'amelia_moves_last_minute', jsonb_build_object('status', m.status), m.number,
		'Workflows that came to a status within the last minute, by the newest 5000 rows of the feed; those that came to in_progress were claimed or resumed.'
	FROM amelia_internal.moves_within('1 minute') AS m
	UNION ALL
	SELECT 'amelia_worker_leases', jsonb_build_object('state', 'held'),
		(SELECT count(*) FROM amelia.workflow_leases AS l WHERE l.expires_at > clock_timestamp()
			AND ((SELECT NOT row_security_active('amelia.workflows'))
				OR EXISTS (SELECT FROM amelia.workflows AS w WHERE w.id = l.workflow_id))),
		'Leases in force (held), and those that ran out and were not taken over (lost).'
	UNION ALL
	SELECT 'amelia_worker_leases', jsonb_build_object('state', 'lost'),
		(SELECT count(*) FROM amelia.workflow_leases AS l WHERE l.expires_at <= clock_timestamp() AND NOT l.given_back
			AND ((SELECT NOT row_security_active('amelia.workflows'))
				OR EXISTS (SELECT FROM amelia.workflows AS w WHERE w.id = l.workflow_id))),
		'Leases in force (held), and those that ran out and were not taken over (lost).'
	UNION ALL
	SELECT 'amelia_dead_workflows_last_day', '{}', amelia_internal.newly_dead(),
		'Workflows that failed as often as they may, of the newest thousand that ended within a day.'
	UNION ALL
	SELECT 'amelia_claims_passed_over', '{}', (SELECT count(*) FROM amelia.claim_faults AS f WHERE f.retry_at > now()
			AND ((SELECT NOT row_security_active('amelia.workflows'))
				OR EXISTS (SELECT FROM amelia.workflows AS w WHERE w.id = f.workflow_id))),
		'Workflows that claims pass over because moving them failed.'
	UNION ALL
	SELECT 'amelia_events_appended_total', '{}', pg_stat_get_tuples_inserted('amelia.workflow_log'::regclass),
		'Events written since the server''s statistics were reset, those of transactions that rolled back included.'
	UNION ALL
	SELECT 'amelia_oldest_writer_seconds', '{}', COALESCE(EXTRACT(epoch FROM clock_timestamp() - (
			SELECT min(o.since)
			FROM (SELECT a.xact_start FROM pg_stat_activity AS a
					WHERE a.datname = current_database() AND a.backend_xid IS NOT NULL
					UNION ALL
					SELECT p.prepared FROM pg_prepared_xacts AS p WHERE p.database = current_database()) AS o (since))), 0),
		'Age of the oldest transaction that has written: until it commits no reader of the feed has its events, and vacuum keeps what it might see. 0: none.'
	UNION ALL
	SELECT 'amelia_feed_span_seconds', '{}', COALESCE(EXTRACT(epoch FROM clock_timestamp() - (
			SELECT f.written_at FROM amelia.workflow_feed AS f
			WHERE f.origin = (SELECT n.origin FROM amelia_internal.feed_now() AS n)
			ORDER BY f.lsn, f.xid, f.number LIMIT 1)), 0),
		'How far back the feed goes: a reader who was away for longer begins anew.'
	UNION ALL
	SELECT 'amelia_waiting_sessions', '{}', amelia_internal.waiting_sessions(),
		'Sessions that wait for events, tasks or messages.'
	UNION ALL
	SELECT 'amelia_cost_today_usd', jsonb_build_object('model', c.model), c.cost_usd,
		'What each model has cost since the UTC day began, in US dollars.'
	FROM amelia_internal.cost_today() AS c
	UNION ALL
	SELECT 'amelia_budget_limit_usd', b.labels, b.limit_usd, 'The limit of a budget, in US dollars.' FROM budgets AS b
	UNION ALL
	SELECT 'amelia_budget_spent_usd', b.labels, b.spent_usd,
		'What was spent of a budget in its period that runs, in US dollars.'
	FROM budgets AS b
	UNION ALL
	SELECT 'amelia_retention_due_workflows', '{}', d.due,
		'Finished workflows that retention is to delete, counted up to a thousand.'
	FROM (SELECT amelia_internal.due_workflows()) AS d (due) WHERE d.due IS NOT NULL
	UNION ALL
	SELECT 'amelia_retention_last_run_timestamp_seconds', '{}', EXTRACT(epoch FROM r.started_at),
		'When the newest run of retention that has ended began.'
	FROM retention AS r
	UNION ALL
	SELECT 'amelia_retention_last_run_completed', '{}', (r.outcome = 'completed')::integer,
		'Whether it came to its end.'
	FROM retention AS r
	UNION ALL
	SELECT 'amelia_retention_last_run_batches_failed', '{}', r.batches_failed,
		'Batches of it that raised an error.'
	FROM retention AS r
	UNION ALL
	SELECT 'amelia_maintenance_up', '{}', (m.state IN ('waiting', 'running'))::integer,
		'Whether maintenance runs by itself in this database and fails in nothing.'
	FROM maintenance AS m
	UNION ALL
	SELECT 'amelia_maintenance_errors_in_a_row', '{}', m.failures,
		'Rounds of maintenance with an error, in a row.'
	FROM maintenance AS m
	UNION ALL
	SELECT 'amelia_table_bytes', t.labels, pg_total_relation_size(t.oid),
		'Size of a table with its indexes and TOAST.'
	FROM relations AS t
	UNION ALL
	SELECT 'amelia_table_rows', t.labels, pg_stat_get_live_tuples(t.oid),
		'Rows of a table, as the server''s statistics estimate them.'
	FROM relations AS t;
END
$$;
COMMENT ON FUNCTION amelia.metrics() IS
'Figures for a monitoring system, a row each: a name in the words of OpenMetrics, with its unit (_seconds, _bytes, _usd) and _total for what only grows; labels as strings; the value; and what it is. Reads no table whole: counts go up to a thousand and are estimated above. grant_monitor() lets a role call it. What row security hides from the role is not counted.';

CREATE OR REPLACE FUNCTION amelia.grant_monitor(role name) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT amelia_internal.grant_privileges(ARRAY['monitor'], grant_monitor.role)
$$;
COMMENT ON FUNCTION amelia.grant_monitor(name) IS
'Lets a role, such as pg_monitor, call metrics(), and read the few columns that it counts: no event, no prompt, no message. Errors: 42704 no such role, 42501 not the owner, 22023 NULL.';

REVOKE ALL ON FUNCTION
	amelia.metrics(),
	amelia.grant_monitor(name)
FROM PUBLIC;
