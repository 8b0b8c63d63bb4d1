-- Cost and outcome outlive the workflow, whatever deletes it: every answer is
-- the same before and after, from rows and from closed days.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers
\set usage :abs_srcdir '/usage.psql'
\i :usage

SELECT t.fill();
CREATE TEMP TABLE answers AS SELECT * FROM t.answers();
SELECT count(*) FROM amelia.workflows;

-- A user's DELETE, in the same transaction and after it; it dirties no day.
BEGIN;
DELETE FROM amelia.workflows WHERE id IN (t.w(1), t.w(2), t.w(3));
SELECT * FROM answers EXCEPT SELECT * FROM t.answers();
COMMIT;
SELECT * FROM answers EXCEPT SELECT * FROM t.answers();
CALL amelia.close_days();
SELECT * FROM answers EXCEPT SELECT * FROM t.answers();
DELETE FROM amelia.workflows WHERE id IN (t.w(4), t.w(5));
SELECT dirty FROM t.days();
SELECT * FROM answers EXCEPT SELECT * FROM t.answers();

-- Retention purges all that have ended, by its own deletes.
SELECT log_retention_days FROM amelia.update_settings('{"log_retention_days": 1, "recovery_hours": 0}');
CALL amelia.run_retention();
SELECT count(*), count(*) FILTER (WHERE status = 'pending') AS pending FROM amelia.workflows;
SELECT count(*) FROM amelia.workflow_history;
SELECT dirty FROM t.days();
SELECT * FROM answers EXCEPT SELECT * FROM t.answers();
CALL amelia.close_days(anew => true);
SELECT * FROM answers EXCEPT SELECT * FROM t.answers();
SELECT * FROM t.differences();

-- A cascade of somebody's own table, a TRUNCATE.
CREATE TABLE t.issues (id text PRIMARY KEY);
INSERT INTO t.issues SELECT DISTINCT issue_id FROM amelia.workflows;
ALTER TABLE amelia.workflows ADD FOREIGN KEY (issue_id) REFERENCES t.issues ON DELETE CASCADE;
DELETE FROM t.issues WHERE id = (SELECT min(issue_id) FROM amelia.workflows);
SELECT count(*) FROM amelia.workflows;
SELECT dirty FROM t.days();
SELECT * FROM answers EXCEPT SELECT * FROM t.answers();
SET client_min_messages = warning;
TRUNCATE amelia.workflows CASCADE;
RESET client_min_messages;
SELECT count(*) FROM amelia.token_usage;
SELECT * FROM answers EXCEPT SELECT * FROM t.answers();
CALL amelia.close_days();
SELECT * FROM t.days();
SELECT * FROM answers EXCEPT SELECT * FROM t.answers();

ALTER TABLE amelia.workflows DROP CONSTRAINT workflows_issue_id_fkey;

-- A workflow that comes back and goes on: what it adds counts, once.
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, profile_id) VALUES (t.w(5), 'I-1', '/w', 'in_progress', 'home');
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
VALUES (t.w(5), 'architect', 'model-1', 1, 1, 0.5, '2020-01-08 23:00Z');
SELECT * FROM t.differences();
SELECT total_cost_usd - (SELECT (regexp_match(answer, '[(]([0-9.]+),'))[1]::numeric FROM answers WHERE question = 'summary 2020-01-01 2020-01-31 ') AS added
FROM amelia.usage_summary('2020-01-01', '2020-01-31');
CREATE TEMP TABLE then_answers AS SELECT * FROM t.answers();
DELETE FROM amelia.workflows;
SELECT * FROM then_answers EXCEPT SELECT * FROM t.answers();
SELECT * FROM t.differences();
CALL amelia.close_days();
SELECT * FROM then_answers EXCEPT SELECT * FROM t.answers();
SELECT amelia.forget_workflow(t.w(5));
CALL amelia.close_days();

-- One that comes back from an export, with its usage: nothing counts twice,
-- neither from rows, nor from sums, nor while it is there, nor when it goes again.
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, profile_id, completed_at)
VALUES (t.w(5), 'I-5', '/w5', 'completed', 'home', '2020-01-09Z'), (t.w(98), 'I-98', '/w98', 'failed', 'work', '2020-01-09Z');
INSERT INTO amelia.token_usage (id, workflow_id, agent, model, input_tokens, output_tokens, cost_usd, duration_ms, "timestamp")
SELECT t.u(9000 + i), t.w(CASE WHEN i < 20 THEN 5 ELSE 98 END), (ARRAY['architect', 'developer'])[1 + i % 2], 'model-' || i / 7 % 4,
	i, i, i * 0.010001, i, '2020-01-06Z'::timestamptz + i % 20 * interval '3 hours 7 minutes'
FROM generate_series(0, 39) AS i;
CREATE TEMP TABLE exported_workflows AS SELECT * FROM amelia.workflows WHERE id IN (t.w(5), t.w(98));
CREATE TEMP TABLE exported_usage AS SELECT * FROM amelia.token_usage WHERE workflow_id IN (t.w(5), t.w(98));
DROP TABLE answers;
CREATE TEMP TABLE answers AS SELECT * FROM t.answers();
CREATE FUNCTION t.come_back() RETURNS void LANGUAGE sql AS $$
INSERT INTO amelia.workflows SELECT * FROM exported_workflows;
INSERT INTO amelia.token_usage SELECT * FROM exported_usage;
$$;
CREATE FUNCTION t.changed() RETURNS SETOF text LANGUAGE sql AS $$
SELECT x::text FROM (SELECT * FROM answers EXCEPT SELECT * FROM t.answers()) AS x
UNION ALL SELECT d::text FROM t.differences() AS d
$$;
DELETE FROM amelia.workflows;
SELECT * FROM t.changed();
SELECT t.come_back();
SELECT * FROM t.changed();
CALL amelia.close_days();
SELECT dirty FROM t.days();
SELECT * FROM t.changed();
DELETE FROM amelia.workflows;
SELECT * FROM t.changed();
CALL amelia.close_days(anew => true);
SELECT * FROM t.changed();
-- gone and back again in one transaction, while the days are closed; undone in part; by TRUNCATE
BEGIN;
SELECT t.come_back();
SELECT * FROM t.changed();
SAVEPOINT s;
DELETE FROM amelia.workflows;
SELECT * FROM t.changed();
SELECT t.come_back();
SELECT * FROM t.changed();
ROLLBACK TO s;
SELECT * FROM t.changed();
COMMIT;
SELECT * FROM t.changed();
SET client_min_messages = warning;
TRUNCATE amelia.workflows CASCADE;
RESET client_min_messages;
SELECT * FROM t.changed();
CALL amelia.close_days();
SELECT * FROM t.changed();
-- with one more row, with its own later usage too, without one of its days
SELECT t.come_back();
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
VALUES (t.w(5), 'architect', 'model-1', 1, 1, 0.25, '2020-01-08 23:00Z'), (t.w(5), 'architect', 'model-1', 1, 1, 0.25, '2020-01-20Z');
DELETE FROM amelia.token_usage WHERE workflow_id = t.w(98) AND "timestamp" < '2020-01-07Z';
SELECT * FROM t.differences();
SELECT s.total_cost_usd - (SELECT sum(cost_usd) FROM exported_usage)
	- (SELECT sum(cost_usd) FROM amelia.usage_history WHERE workflow_id NOT IN (t.w(5), t.w(98))) AS added, s.total_workflows
FROM amelia.usage_summary('2020-01-01', '2020-01-31') AS s;
DROP TABLE answers;
CREATE TEMP TABLE answers AS SELECT * FROM t.answers();
DELETE FROM amelia.workflows;
SELECT * FROM t.changed();
CALL amelia.close_days();
SELECT * FROM t.changed();
SELECT sum(d.cost_usd) = (SELECT total_cost_usd FROM amelia.usage_summary('2020-01-01', '2020-01-31')) FROM amelia.usage_daily AS d;

-- Only forgetting erases: it marks the days, and the sums follow.
SELECT sum(cost_usd) FROM amelia.usage_history WHERE workflow_id = t.w(7);
SELECT total_cost_usd, total_workflows, finished_workflows FROM amelia.usage_summary('2020-01-01', '2020-01-31');
SELECT amelia.forget_workflow(t.w(7));
SELECT total_cost_usd, total_workflows, finished_workflows FROM amelia.usage_summary('2020-01-01', '2020-01-31');
SELECT * FROM t.differences();
CALL amelia.close_days();
SELECT count(*) FROM amelia.usage_workflow_days WHERE workflow_id = t.w(7);
SELECT total_cost_usd, total_workflows, finished_workflows FROM amelia.usage_summary('2020-01-01', '2020-01-31');
SELECT * FROM t.differences();

-- Usage that a statement deletes itself along with its workflow is not kept,
-- and its days know; a savepoint that undoes it leaves all as it was.
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status) VALUES (t.w(50), 'I', '/w50', 'completed'), (t.w(51), 'I', '/w51', 'completed');
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
SELECT t.w(50 + n % 2), 'a', 'm', 1, 1, 1, '2020-01-02Z'::timestamptz + n * interval '1 day' FROM generate_series(0, 3) AS n;
CALL amelia.close_days();
BEGIN;
SAVEPOINT s;
DELETE FROM amelia.workflows WHERE id = t.w(50);
SELECT dirty FROM t.days();
ROLLBACK TO s;
DELETE FROM amelia.token_usage WHERE workflow_id = t.w(50) AND "timestamp" < '2020-01-03Z';
SELECT dirty FROM t.days();
SELECT * FROM t.differences();
ROLLBACK;
WITH gone AS (DELETE FROM amelia.workflows WHERE id IN (t.w(50), t.w(51)) RETURNING id)
DELETE FROM amelia.token_usage AS u USING gone WHERE u.workflow_id = gone.id;
SELECT dirty FROM t.days();
SELECT * FROM t.differences();

-- The longest names there may be are summed up and kept.
INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(60), 'I', '/w60');
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
SELECT t.w(60), left(string_agg(md5('a' || n), ''), 1000), left(string_agg(md5('m' || n), ''), 1000), 1, 1, 1, '2020-02-02Z'
FROM generate_series(1, 32) AS n;
CALL amelia.close_days();
DELETE FROM amelia.workflows WHERE id = t.w(60);
SELECT length(model), cost_usd FROM amelia.usage_by_model('2020-02-02', '2020-02-02');
SELECT t.error(format('SELECT amelia.record_usage(t.w(1), %L, %L, 1, 1, cost_usd => 1)', a.agent, a.model))
FROM (VALUES (repeat('a', 1001), 'm'), ('a', repeat('ä', 501))) AS a (agent, model);
