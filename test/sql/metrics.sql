\i test/helpers.psql
-- What a monitoring system is told: figures that are right, cheap, and no more than it may know.
SELECT amelia.update_settings('{"log_retention_days": 30}') IS NOT NULL AS set;
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, workflow_type, priority, available_at, completed_at)
SELECT t.w(n), 'I-' || n, '/w' || n, status, type, priority, now() - waited, ended
FROM (VALUES (1, 'pending', 'full', 0, interval '10 minutes', NULL::timestamptz),
	(2, 'pending', 'full', 5, '3 hours', NULL), (3, 'pending', 'review', 0, '2 hours', NULL),
	(9, 'pending', 'review', 0, '1 hour', NULL),
	(4, 'pending', 'review', 0, '-1 day', NULL), (5, 'in_progress', 'full', 0, '1 day', NULL),
	(6, 'completed', 'full', 0, '2 days', now() - interval '40 days'), (7, 'failed', 'full', 0, '0', now()),
	(8, 'completed', 'full', 0, '0', now() - interval '20 days'))
	AS v (n, status, type, priority, waited, ended);
UPDATE amelia.workflows SET failures = 3, max_failures = 3, retry_at = NULL WHERE id = t.w(7);
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
-- of tomorrow, so that it does not matter when midnight comes
VALUES (t.w(1), 'a', 'one', 1, 1, 1.5, now() + interval '1 day'), (t.w(2), 'a', 'one', 1, 1, 2, now() + interval '1 day'),
	(t.w(3), 'a', 'two', 1, 1, 4, now() + interval '1 day'), (t.w(3), 'a', 'two', 1, 1, 8, now() - interval '2 days');
INSERT INTO amelia.budgets (scope, target, period, limit_usd, action) VALUES ('everything', NULL, 'total', 100, 'warn');
-- A minute of claims: one in force, one that was lost.
SELECT count(*) AS claimed FROM (SELECT FROM amelia.claim_workflow('a') UNION ALL SELECT FROM amelia.claim_workflow('b')) AS c;
UPDATE amelia.workflow_leases SET expires_at = now() - interval '1 s' WHERE worker = 'b';
-- What is deleted is still what it cost.
DELETE FROM amelia.workflows WHERE id = t.w(1);
SELECT name, labels - 'id' AS labels, value
FROM amelia.metrics()
WHERE name NOT IN ('amelia_table_bytes', 'amelia_table_rows', 'amelia_events_appended_total')
	AND name !~ '_seconds$|^amelia_maintenance'
ORDER BY name COLLATE "C", labels;
SELECT value BETWEEN 3540 AND 3720 AS an_hour FROM amelia.metrics() WHERE name = 'amelia_oldest_claimable_seconds';
SELECT value BETWEEN 0 AND 3600 AS recent FROM amelia.metrics() WHERE name = 'amelia_feed_span_seconds';
-- Every table has its size; each name one help, a form that OpenMetrics takes, and labels of text.
SELECT c.relname FROM pg_class AS c
WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind = 'r'
	AND NOT EXISTS (SELECT FROM amelia.metrics() AS m WHERE m.name = 'amelia_table_bytes' AND m.labels ->> 'table' = c.relname AND m.value > 0);
SELECT name FROM amelia.metrics() GROUP BY name HAVING count(DISTINCT help) > 1 OR name !~ '^amelia_[a-z_]+$';
SELECT name, labels FROM amelia.metrics()
WHERE value IS NULL AND name <> 'amelia_waiting_sessions'
	OR EXISTS (SELECT FROM jsonb_each(labels) AS l WHERE jsonb_typeof(l.value) <> 'string' OR l.key !~ '^[a-z_]+$');
SELECT name, labels FROM amelia.metrics() GROUP BY name, labels HAVING count(*) > 1;

-- No table is read whole, and what is not counted is estimated.
SET client_min_messages = warning;
INSERT INTO amelia.workflows (id, issue_id, status, completed_at)
SELECT t.w(n), 'I-' || n, CASE WHEN n % 4 = 0 THEN 'failed' ELSE 'completed' END, now() - interval '40 days' FROM generate_series(101, 8100) AS n;
INSERT INTO amelia.workflows (id, issue_id, priority) SELECT t.w(n), 'I-' || n, n % 3 FROM generate_series(10001, 14000) AS n;
RESET client_min_messages;
ANALYZE amelia.workflows;
SELECT labels ->> 'status' AS status, round(value / 100) AS hundreds FROM amelia.metrics()
WHERE name = 'amelia_workflows' AND value > 1000 ORDER BY 1;
-- What was read before is counted, too, until it is reported.
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT count(*) > 50 AS told FROM amelia.metrics();
SELECT pg_stat_get_xact_tuples_returned('amelia.workflows'::regclass) AS by_reading_all,
	pg_stat_get_xact_tuples_fetched('amelia.workflows'::regclass) < 6000 AS few_by_index;
ROLLBACK;

-- Who monitors learns figures, and no content.
CREATE ROLE regress_amelia_monitor;
SELECT amelia.grant_monitor('regress_amelia_monitor');
GRANT USAGE ON SCHEMA t TO regress_amelia_monitor;
SET ROLE regress_amelia_monitor;
SELECT count(*) > 50 AS told FROM amelia.metrics();
SELECT * FROM t.errors(
	$$SELECT issue_id FROM amelia.workflows$$,
	$$SELECT message FROM amelia.workflow_log$$,
	$$SELECT worker FROM amelia.workflow_leases$$,
	$$SELECT agent FROM amelia.token_usage$$,
	$$SELECT amelia.grant_monitor('regress_amelia_monitor')$$,
	$$UPDATE amelia.budgets SET limit_usd = 1$$);
RESET ROLE;
SELECT * FROM t.errors(
	$$SELECT amelia.grant_monitor(NULL)$$,
	$$SELECT amelia.grant_monitor('regress_amelia_nobody')$$);
DROP OWNED BY regress_amelia_monitor;
DROP ROLE regress_amelia_monitor;
