-- The views for dashboards.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers
\set usage :abs_srcdir '/usage.psql'
\i :usage

SELECT * FROM amelia.usage_daily;
SELECT * FROM amelia.workflow_overview;
-- The first and the last day there is, and times that belong to no day.
BEGIN;
INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(1), 'I', '/1'), (t.w(2), 'I', '/2');
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
SELECT t.w(n), 'a', 'm', 1, 1, 1, s FROM unnest(ARRAY['-infinity', 'infinity', '4714-11-24 00:00Z BC', '294276-12-31 12:00Z']::timestamptz[]) AS s,
	generate_series(1, 2) AS n;
DELETE FROM amelia.workflows WHERE id = t.w(2);
SELECT day, cost_usd FROM amelia.usage_daily;
ROLLBACK;
SELECT t.fill();
-- usage_daily is what the rows are, from rows, closed days, days with a mark,
-- and deleted workflows.
CREATE VIEW t.wrong AS
(SELECT day, agent, model, input_tokens + output_tokens AS tokens, cost_usd, duration_ms FROM amelia.usage_daily
	EXCEPT SELECT day, agent, model, sum(tokens), sum(cost_usd), sum(duration_ms) FROM t.usage GROUP BY 1, 2, 3)
UNION ALL
(SELECT day, agent, model, sum(tokens), sum(cost_usd), sum(duration_ms) FROM t.usage GROUP BY 1, 2, 3
	EXCEPT SELECT day, agent, model, input_tokens + output_tokens, cost_usd, duration_ms FROM amelia.usage_daily);
SELECT * FROM t.wrong;
CALL amelia.close_days();
SELECT * FROM t.wrong;
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
VALUES (t.w(3), 'late', 'x', 5, 5, 3, '2020-01-10 12:00Z'), (t.w(3), 'late', 'x', 5, 5, 3, now()), (t.w(3), 'late', 'x', 5, 5, 3, '2019-01-10 12:00Z');
SELECT * FROM t.wrong;
DELETE FROM amelia.workflows WHERE id IN (t.w(3), t.w(4));
SELECT * FROM t.wrong;
CALL amelia.close_days();
SELECT * FROM t.wrong;
SELECT count(*) FROM amelia.usage_daily;

SELECT id, status, running_for IS NULL AS never_started FROM amelia.active_workflows ORDER BY id LIMIT 2;
SELECT status FROM amelia.create_workflow('I-30', '/30', id => t.w(30));
SELECT status FROM amelia.set_workflow_status(t.w(30), 'in_progress');
SELECT id, issue_id, status, duration >= '0' AS runs, last_sequence, last_event_type, last_message, cost_usd, tokens
FROM amelia.workflow_overview WHERE id IN (t.w(1), t.w(30)) ORDER BY id;
SELECT duration = interval '2 days 23:59:59.5' AS as_long_as_it_ran FROM amelia.workflow_overview WHERE id = t.w(1);

-- A reader may look; the trend in a line.
CREATE ROLE regress_view_reader;
SELECT amelia.grant_reader('regress_view_reader');
SET ROLE regress_view_reader;
SELECT count(*) > 0 AS daily FROM amelia.usage_daily;
SELECT count(*) > 0 AS active FROM amelia.active_workflows;
SELECT count(*) > 0 AS overview FROM amelia.workflow_overview;
SELECT m.model, amelia.sparkline(m.trend) FROM amelia.usage_by_model('2020-01-01', '2020-01-25') AS m ORDER BY m.model;
RESET ROLE;
DROP OWNED BY regress_view_reader;
DROP ROLE regress_view_reader;
