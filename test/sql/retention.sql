-- Retention as a caller sees it: settings, preview, runs, privileges, history.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
-- The server may have a maintenance worker, which would do what is done here.
DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET amelia.enabled = off', current_database()); END$$;
\i :helpers

-- Settings
SELECT orphan_thread_retention_days, checkpoint_grace_minutes, retention_max_workflows FROM amelia.settings();
SELECT * FROM t.errors(
	$$SELECT amelia.update_settings('{"orphan_thread_retention_days": -2}')$$,
	$$SELECT amelia.update_settings('{"checkpoint_grace_minutes": -1}')$$,
	$$SELECT amelia.update_settings('{"retention_max_workflows": 0}')$$,
	$$INSERT INTO amelia.server_settings (orphan_thread_retention_days) VALUES (-2)$$,
	$$INSERT INTO amelia.server_settings (checkpoint_grace_minutes) VALUES (-1)$$,
	$$INSERT INTO amelia.server_settings (retention_max_workflows) VALUES (0)$$);
SELECT orphan_thread_retention_days, checkpoint_grace_minutes, retention_max_workflows
FROM amelia.update_settings('{"orphan_thread_retention_days": 0, "checkpoint_grace_minutes": 0, "retention_max_workflows": 1}');
DELETE FROM amelia.server_settings;

-- Nothing to do
CALL amelia.run_retention();
SELECT rule, workflows, threads, row_count, bytes, waits_for FROM amelia.retention_preview();

-- One workflow for each rule
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, started_at, completed_at)
VALUES (t.w(1), 'rule 1', '/1', 'completed', now() - interval '9 days', now() - interval '8 days'),
	(t.w(3), 'rules 3 and 4', '/3', 'cancelled', NULL, now() - interval '31 days'),
	(t.w(4), 'rule 4', '/4', 'failed', NULL, now() - interval '31 days'),
	(t.w(5), 'young', '/5', 'completed', NULL, now() - interval '6 days'),
	(t.w(6), 'to be tried again', '/6', 'failed', NULL, now() - interval '31 days'),
	(t.w(7), 'runs', '/7', 'in_progress', now() - interval '99 days', NULL);
UPDATE amelia.workflows SET retry_at = now() WHERE id = t.w(6);
INSERT INTO amelia.workflow_log (workflow_id, level, event_type, message)
SELECT w.id, l.level, 'x', 'm'
FROM amelia.workflows AS w, unnest(ARRAY['trace', 'info']) AS l (level) WHERE w.id <> t.w(4);
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
SELECT t.w(3), 'a', 'm', 1, 2, 0.25, '2024-02-29 23:59:59+00' FROM generate_series(1, 2);
SELECT rule, workflows, threads, row_count, bytes > 0 AS has_size, waits_for FROM amelia.retention_preview();
CALL amelia.run_retention(dry_run => false);
SELECT requested_by = current_user AS who, worker, pid = pg_backend_pid() AS here, thorough, trace_events, checkpoint_threads,
	checkpoint_rows, events, workflows, orphan_threads, batches_failed, outcome, sqlstate, error,
	finished_at >= started_at AS took_time
FROM amelia.retention_runs ORDER BY id DESC LIMIT 1;
SELECT w.issue_id, string_agg(e.level, ', ' ORDER BY e.sequence) AS events
FROM amelia.workflows AS w LEFT JOIN amelia.workflow_log AS e ON e.workflow_id = w.id GROUP BY 1 ORDER BY 1;
SELECT rule, workflows, row_count FROM amelia.retention_preview() WHERE row_count > 0;

-- What is kept of the deleted
SELECT h.workflow_id = t.w(3) AS third, h.profile_id, h.workflow_type, h.status, h.started_at, h.completed_at < now() AS ended
FROM amelia.workflow_history AS h ORDER BY 1, 4;
SELECT workflow_id = t.w(3) AS third, day, agent, model, input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens,
	cost_usd, duration_ms, num_turns FROM amelia.usage_history;
SELECT amelia.forget_workflow(t.w(3)), amelia.forget_workflow(t.w(7));
SELECT (SELECT count(*) FROM amelia.usage_history) AS usage, (SELECT count(*) FROM amelia.workflow_history) AS ends,
	(SELECT count(*) FROM amelia.workflows) AS workflows;
SELECT * FROM t.errors(
	$$SELECT amelia.forget_workflow(t.w(3))$$, $$SELECT amelia.forget_workflow(NULL)$$,
	$$CALL amelia.run_retention(NULL)$$, $$CALL amelia.run_retention()$$,
	$$SELECT amelia_internal.keep_history()$$);
BEGIN;
CALL amelia.run_retention();
ROLLBACK;

-- The mark of rule 1 is no client's change, and goes when a workflow is resumed.
SELECT traces_removed_to FROM amelia.workflows WHERE id = t.w(1);
UPDATE amelia.workflows SET status = 'in_progress', traces_removed_to = 7 WHERE id = t.w(6);
SELECT status, traces_removed_to FROM amelia.workflows WHERE id = t.w(6);
UPDATE amelia.workflows SET status = 'failed' WHERE id = t.w(6);
UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(6);
SELECT status, traces_removed_to FROM amelia.workflows WHERE id = t.w(6);

-- Who may
CREATE ROLE regress_reader;
CREATE ROLE regress_worker;
CREATE ROLE regress_admin;
SELECT amelia.grant_reader('regress_reader'), amelia.grant_worker('regress_worker'), amelia.grant_admin('regress_admin');
GRANT USAGE ON SCHEMA t TO PUBLIC;
SET ROLE regress_reader;
SELECT count(*) FROM amelia.retention_preview();
SELECT count(*) FROM amelia.retention_runs;
CALL amelia.run_retention();
SET ROLE regress_worker;
CALL amelia.run_retention();
SELECT amelia.forget_workflow(t.w(1));
SET ROLE regress_admin;
CALL amelia.run_retention();
SELECT amelia.forget_workflow(t.w(1));
INSERT INTO amelia.usage_history VALUES (t.w(1), '2024-01-01', 'a', 'm', 1, 1, 1, 1, 1, 1, 1);
INSERT INTO amelia.retention_runs (requested_by, pid, thorough) VALUES ('x', 1, false);
RESET ROLE;
SELECT requested_by, outcome FROM amelia.retention_runs ORDER BY id DESC LIMIT 1;
SELECT * FROM amelia.verify();
DROP OWNED BY regress_reader, regress_worker, regress_admin;
DROP ROLE regress_reader, regress_worker, regress_admin;

-- Events that a trigger puts back keep their workflow, and the run comes to its end, also where it takes one by one.
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, created_at, completed_at)
SELECT t.w(n), 'BACK', '/back' || n, 'completed', now() - interval '500 days', now() - interval '400 days' FROM generate_series(20, 22) AS n;
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) SELECT t.w(n), 'x', 'm' FROM generate_series(20, 22) AS n;
CREATE FUNCTION t.put_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.workflow_id = t.w(22) THEN RAISE 'this one not'; END IF;
	INSERT INTO amelia.workflow_log VALUES (OLD.*);
	RETURN NULL;
END $$;
CREATE TRIGGER put_back AFTER DELETE ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION t.put_back();
SET statement_timeout = '5min';
CALL amelia.run_retention(held_back => 'delete');
RESET statement_timeout;
SELECT outcome, workflows, error FROM amelia.retention_runs ORDER BY id DESC LIMIT 1;
SELECT w.id, count(*) FROM amelia.workflows AS w JOIN amelia.workflow_log AS e ON e.workflow_id = w.id WHERE w.issue_id = 'BACK' GROUP BY w.id ORDER BY w.id;
DROP TRIGGER put_back ON amelia.workflow_log;
