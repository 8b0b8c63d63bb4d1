\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\set platform :abs_srcdir '/platform.psql'
-- The server may have a maintenance worker, which would do what is done here.
DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET amelia.enabled = off', current_database()); END$$;
\i :helpers
\i :platform
-- Maintenance: what has run out, what is old, and what refuses.
SET search_path = amelia_platform, public;
SELECT count(register_agent('a' || n, 'master_operator', id => t.a(n))) FROM generate_series(1, 4) AS n;
CREATE FUNCTION t.last_run() RETURNS TABLE (agents_offline bigint, tasks_returned bigint, messages_returned bigint, messages_expired bigint,
	messages_deleted bigint, tasks_deleted bigint, executions_deleted bigint, metrics_deleted bigint, faults bigint)
LANGUAGE sql AS $$SELECT r.agents_offline, r.tasks_returned, r.messages_returned, r.messages_expired, r.messages_deleted, r.tasks_deleted, r.executions_deleted,
	r.metrics_deleted, r.faults FROM amelia_platform.maintenance_runs AS r ORDER BY r.started_at DESC LIMIT 1$$;

-- Of the rounds with nothing to do the newest leaves a trace.
CALL run_maintenance();
CALL run_maintenance();
SELECT count(*), min(outcome) AS outcome FROM maintenance_runs;
BEGIN;
CALL run_maintenance();
ROLLBACK;

-- An agent that was not heard of is offline, what it had is pending again, or failed; another's lease has run out.
INSERT INTO tasks (id, title, status, assigned_agent_id, attempts, max_attempts, leased_until, lease_token)
SELECT t.k(n), 'k' || n, 'in_progress', t.a(a), at, 3, now() + l, 1
FROM (VALUES (1, 1, 1, '1 day'::interval), (2, 1, 3, '1 day'), (3, 1, 1, NULL), (4, 2, 1, '-1 s'), (5, 2, 1, '1 day'), (6, 2, 1, NULL), (7, 3, 1, '1 day')) AS v (n, a, at, l);
UPDATE agents SET last_heartbeat = now() - interval '301 s' WHERE id = t.a(1);
UPDATE agents SET status = 'offline' WHERE id = t.a(3);
CALL run_maintenance();
SELECT t.n(id) AS task, status, t.n(assigned_agent_id) AS agent, attempts, leased_until IS NOT NULL AS leased, error_message FROM tasks ORDER BY id;
SELECT t.n(id) AS agent, status FROM agents ORDER BY id;
SELECT * FROM t.last_run();
-- It comes back.
SELECT status FROM agent_heartbeat(t.a(1));
SELECT status FROM update_agent(t.a(3), '{"status": "offline"}');
SELECT t.n(c.id) AS task FROM claim_task(t.a(3), '1 day') AS c;
SELECT status FROM agents WHERE id = t.a(3);

-- Messages: expired ones are marked, even delivered ones that nobody has any more; what was not acknowledged comes again or dies.
INSERT INTO agent_messages (id, recipient_id, message_type, status, expires_at, visible_at, available_at, retry_count, max_retries)
SELECT t.m(n), t.a(2), 'x', s, now() + e, now() + v, now() + COALESCE(a, '0 s'), r, 3
FROM (VALUES (1, 'pending', '-1 s'::interval, NULL::interval, NULL::interval, 0), (2, 'sent', '-1 s', NULL, NULL, 0), (3, 'delivered', '-1 s', '1 hour', '2 hours', 0),
	(4, 'delivered', '-1 s', '-1 s', '1 hour', 0), (5, 'delivered', '1 day', '-2 s', '-1 s', 0), (6, 'delivered', NULL, '-2 s', '-1 s', 3), (7, 'delivered', NULL, '-2 s', '1 hour', 0),
	(8, 'pending', '1 day', NULL, NULL, 0), (9, 'acknowledged', '-1 s', NULL, NULL, 0)) AS v (n, s, e, v, a, r);
CALL run_maintenance();
SELECT t.n(id) AS message, status, retry_count, error_message FROM agent_messages ORDER BY id;
SELECT * FROM t.last_run();

-- Retention: by the settings, and never what is not over.
SELECT * FROM settings();
SELECT message_retention_days, task_retention_days, metric_retention_days, stale_after
FROM update_settings('{"message_retention_days": 10, "task_retention_days": 20, "metric_retention_days": 30, "stale_after": "10 minutes"}');
DELETE FROM agent_messages;
DELETE FROM tasks;
INSERT INTO agent_messages (id, recipient_id, message_type, status, created_at)
SELECT t.m(n), t.a(2), 'x', s, now() - d * interval '1 day'
FROM (VALUES (1, 'pending', 11), (2, 'acknowledged', 11), (3, 'acknowledged', 9), (4, 'failed', 11), (5, 'expired', 11)) AS v (n, s, d);
INSERT INTO tasks (id, title, status, completed_at)
SELECT t.k(n), 'x', s, now() - d * interval '1 day'
FROM (VALUES (1, 'completed', 21), (2, 'failed', 21), (3, 'cancelled', 19), (4, 'pending', 21), (5, 'completed', NULL)) AS v (n, s, d);
SELECT count(create_workflow('w', '{"steps": [{"step_id": "a", "step_type": "task", "next_steps": ["e"]}, {"step_id": "e", "step_type": "end"}]}', id => t.f(1)));
SELECT count(start_execution(t.f(1), id => t.x(n))) FROM generate_series(1, 3) AS n;
UPDATE tasks SET status = 'completed', completed_at = now() - interval '21 days' WHERE execution_id IN (t.x(1), t.x(2));
UPDATE workflow_executions SET completed_at = now() - interval '21 days' WHERE id = t.x(1);
SELECT count(record_metric(t.a(1), 'm', n, recorded_at => now() - n * interval '1 day')) FROM generate_series(28, 33) AS n;
CALL run_maintenance();
SELECT t.n(id) AS message, status FROM agent_messages ORDER BY id;
SELECT t.n(id) AS task, status FROM tasks WHERE execution_id IS NULL ORDER BY id;
SELECT t.n(id) AS execution, status, (SELECT count(*) FROM tasks AS k WHERE k.execution_id = e.id) AS tasks, (SELECT count(*) FROM execution_steps AS s WHERE s.execution_id = e.id) AS steps
FROM workflow_executions AS e ORDER BY id;
SELECT count(*) AS metrics FROM agent_performance;
SELECT * FROM t.last_run();
-- -1 never deletes, 0 at once.
SELECT task_retention_days FROM update_settings('{"message_retention_days": -1, "task_retention_days": 0, "metric_retention_days": -1}');
UPDATE agent_messages SET created_at = '2000-01-01';
CALL run_maintenance();
SELECT count(*) AS messages FROM agent_messages;
SELECT status, count(*) FROM tasks GROUP BY status ORDER BY status;
SELECT count(*) AS executions FROM workflow_executions;

-- A row that refuses does not keep the others.
DELETE FROM tasks WHERE execution_id IS NULL;
INSERT INTO tasks (id, title, status, assigned_agent_id, attempts, leased_until) SELECT t.k(n), 'k' || n, 'in_progress', t.a(2), 1, now() - interval '1 s' FROM generate_series(1, 3) AS n;
CREATE FUNCTION t.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.title = 'k2' THEN
		RAISE EXCEPTION 'not this one' USING ERRCODE = 'P0001';
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER ours BEFORE UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION t.refuse();
CALL run_maintenance();
SELECT t.n(id) AS task, status FROM tasks WHERE execution_id IS NULL ORDER BY id;
SELECT relation, t.n(row_id) AS row, times, sqlstate, reason FROM platform_faults;
SELECT tasks_returned, faults FROM t.last_run();
DROP TRIGGER ours ON tasks;
DELETE FROM platform_faults;
-- Nothing of a user's runs with more rights than the tables' owner, nor changes the session.
CREATE FUNCTION t.seize() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RESET ROLE;
	RETURN NEW;
END
$$;
CREATE TRIGGER ours BEFORE UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION t.seize();
CALL run_maintenance();
SELECT t.n(row_id) AS row, sqlstate, reason FROM platform_faults;
DROP TRIGGER ours ON tasks;
DELETE FROM platform_faults;
CALL run_maintenance();
SELECT t.n(id) AS task, status FROM tasks WHERE execution_id IS NULL ORDER BY id;

-- A plain statement that leaves a task to nobody, or says not when something ended, leaves nothing for ever.
DELETE FROM tasks WHERE execution_id IS NULL;
INSERT INTO tasks (id, title) SELECT t.k(n), 'k' FROM generate_series(1, 3) AS n;
INSERT INTO tasks (id, title, status, created_at, updated_at) VALUES (t.k(4), 'k', 'completed', now() - interval '90 days', now() - interval '30 days'), (t.k(5), 'k', 'in_progress', now(), now());
UPDATE tasks SET status = 'in_progress' WHERE id = t.k(1);
UPDATE tasks SET status = 'in_progress', assigned_agent_id = t.a(2) WHERE id = t.k(2);
UPDATE tasks SET status = 'failed' WHERE id = t.k(3);
UPDATE tasks SET completed_at = NULL WHERE id = t.k(3);
INSERT INTO workflow_executions (id, workflow_id, status, definition, started_at) VALUES (t.x(10), t.f(1), 'completed', '{"steps": []}', now() - interval '30 days');
UPDATE workflow_executions SET completed_at = NULL WHERE id = t.x(10);
SELECT t.n(id) AS task, status, leased_until - now() BETWEEN '9 min' AND '11 min' AS leased, now() - completed_at < '1 min' AS just_ended FROM tasks WHERE execution_id IS NULL ORDER BY id;
SELECT now() - completed_at < '1 min' AS just_ended FROM workflow_executions WHERE id = t.x(10);
UPDATE tasks SET leased_until = NULL WHERE id = t.k(1) RETURNING leased_until IS NOT NULL AS leased;
UPDATE tasks SET leased_until = now() WHERE id = t.k(5);
CALL run_maintenance();
SELECT t.n(id) AS task, status FROM tasks WHERE execution_id IS NULL ORDER BY id;
SELECT count(*) AS executions FROM workflow_executions WHERE id = t.x(10);
DELETE FROM tasks WHERE execution_id IS NULL AND id <> t.k(1);
UPDATE tasks SET status = 'pending' WHERE id = t.k(1);

-- What fails in every phase ends too, and says so.
ALTER TABLE platform_settings RENAME TO elsewhere;
SET statement_timeout = '60s';
CALL run_maintenance();
RESET statement_timeout;
ALTER TABLE elsewhere RENAME TO platform_settings;

-- Settings that cannot be.
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT update_settings(NULL)$$,
	$$SELECT update_settings('[]')$$,
	$$SELECT update_settings('{"retention": 1}')$$,
	$$SELECT update_settings('{"task_retention_days": -2}')$$,
	$$SELECT update_settings('{"task_retention_days": 1.5}')$$,
	$$SELECT update_settings('{"task_retention_days": null}')$$,
	$$SELECT update_settings('{"task_retention_days": 3000000000}')$$,
	$$SELECT update_settings('{"stale_after": 300}')$$,
	$$SELECT update_settings('{"stale_after": "0"}')$$,
	$$SELECT update_settings('{"stale_after": "soon"}')$$,
	$$UPDATE platform_settings SET stale_after = '100000 years'$$,
	$$INSERT INTO platform_settings (id) VALUES (2)$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- What verify() finds.
ALTER TABLE tasks DISABLE TRIGGER USER;
ALTER TABLE workflow_executions DISABLE TRIGGER USER;
UPDATE tasks SET leased_until = now() WHERE id = t.k(1);
SELECT count(start_execution(t.f(1), id => t.x(20)));
UPDATE workflow_executions SET status = 'running' WHERE id = t.x(20);
UPDATE tasks SET status = 'completed', completed_at = now() WHERE execution_id = t.x(3);
INSERT INTO tasks (id, title, execution_id, step_id) SELECT t.k(30), 'x', t.x(20), 'a';
INSERT INTO tasks (id, title, status) VALUES (t.k(31), 'x', 'in_progress'), (t.k(32), 'x', 'failed');
INSERT INTO workflow_executions (id, workflow_id, status, definition) VALUES (t.x(21), t.f(1), 'completed', '{"steps": []}');
UPDATE workflow_executions SET status = 'failed' WHERE id = t.x(20);
ALTER TABLE tasks ENABLE TRIGGER USER;
INSERT INTO workflow_executions (id, workflow_id, status, definition) SELECT t.x(n), t.f(1), 'running', d::jsonb
FROM (VALUES (22, '{"steps": "none"}'), (23, '[]'), (24, '{"steps": [1, {"step_id": 2}, {"step_id": "a", "step_type": "task"}]}')) AS v (n, d);
INSERT INTO execution_steps (execution_id, step_id, status) SELECT t.x(n), 'a', 'running' FROM generate_series(22, 24) AS n;
SELECT problem, object, detail FROM verify() ORDER BY 1, 2;
ALTER TABLE workflow_executions ENABLE TRIGGER USER;
SELECT migrate();
DROP TRIGGER zzz_move_task ON tasks;
DROP FUNCTION claim_task(uuid, interval);
DROP INDEX idx_tasks_claim;
SELECT problem, object, detail FROM verify() WHERE problem LIKE '%missing%' ORDER BY 1, 2;
SELECT migrate();
DO $$BEGIN EXECUTE format('ALTER DATABASE %I RESET amelia.enabled', current_database()); END$$;
