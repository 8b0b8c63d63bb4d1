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

-- A workflow that comes back, from an export: it counts once, with what it adds.
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, profile_id) VALUES (t.w(5), 'I-1', '/w', 'in_progress', 'home');
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
VALUES (t.w(5), 'architect', 'model-1', 1, 1, 0.5, '2020-01-08Z');
SELECT * FROM t.differences();
DELETE FROM amelia.workflows;
SELECT * FROM t.differences();
CALL amelia.close_days();
SELECT * FROM t.differences();

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
