\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\set platform :abs_srcdir '/platform.psql'
-- The server may have a maintenance worker, which would do what is done here.
DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET amelia.enabled = off', current_database()); END$$;
\i :helpers
\i :platform
-- A clock that jumps ahead takes nothing that cannot be had again. Instead of the clock, everything else is set back,
-- without the triggers, which this is not about.
SET search_path = amelia_platform, public;
SELECT count(register_agent('a' || n, 'master_operator', id => t.a(n))) FROM generate_series(1, 2) AS n;
SET amelia.history = on;
CREATE FUNCTION t.ended_tasks(number integer, age interval) RETURNS void LANGUAGE sql SET session_replication_role = replica AS $$
INSERT INTO amelia_platform.tasks (title, status, created_at, completed_at) SELECT 'old', 'completed', now() - age, now() - age FROM generate_series(1, number)
$$;
CREATE FUNCTION t.jump(days interval) RETURNS void LANGUAGE sql SET session_replication_role = replica AS $$
UPDATE amelia_platform.tasks SET created_at = created_at - days, completed_at = completed_at - days, leased_until = leased_until - days;
UPDATE amelia_platform.workflow_executions SET started_at = started_at - days, completed_at = completed_at - days;
UPDATE amelia_platform.agent_messages SET created_at = created_at - days, expires_at = expires_at - days, available_at = available_at - days, visible_at = visible_at - days;
UPDATE amelia_platform.agent_performance SET recorded_at = recorded_at - days;
UPDATE amelia_platform.agents SET last_heartbeat = last_heartbeat - days;
UPDATE amelia_platform.maintenance_runs SET started_at = started_at - days, seen_at = seen_at - days
$$;
CREATE VIEW t.runs AS
SELECT r.outcome, regexp_replace(r.reason, '\d{4}-[-\d]+ [:.+\d]+', 'T', 'g') AS reason, r.agents_offline AS agents, r.tasks_returned AS returned,
	r.messages_expired AS expired, r.tasks_deleted AS tasks, r.messages_deleted AS messages, r.executions_deleted AS executions, r.metrics_deleted AS metrics
FROM amelia_platform.maintenance_runs AS r ORDER BY r.started_at;
CREATE FUNCTION t.reason() RETURNS text LANGUAGE sql AS $$
SELECT regexp_replace(s.reason, '\d{4}-[-\d]+ [:.+\d]+', 'T', 'g') FROM amelia.maintenance_status() AS s
$$;
SELECT t.ended_tasks(3000, '1 day');
CALL run_maintenance();
SELECT * FROM t.runs;
-- What can be taken back goes on: an agent comes back by itself, a task and a message can be had again.
INSERT INTO tasks (id, title, status, assigned_agent_id, attempts, leased_until) VALUES (t.k(1), 'k', 'in_progress', t.a(1), 1, now() + interval '1 hour');
INSERT INTO agent_messages (id, recipient_id, message_type, status, expires_at, visible_at, available_at)
SELECT t.m(n), t.a(2), 'x', s, now() + interval '30 days', v, now() FROM (VALUES (1, 'pending', NULL), (2, 'delivered', now())) AS v (n, s, v);
SELECT t.jump('400 days');
SET client_min_messages = error;
CALL run_maintenance();
CALL run_maintenance();
RESET client_min_messages;
SELECT count(*) AS old_tasks FROM tasks WHERE title = 'old';
SELECT t.n(id) AS agent, status FROM agents ORDER BY id;
SELECT t.n(id) AS task, status FROM tasks WHERE title = 'k';
SELECT t.n(id) AS message, status FROM agent_messages ORDER BY id;
SELECT * FROM t.runs;
SELECT t.reason();
-- What was held back is no round that was there, and nor is it once many others have been.
INSERT INTO maintenance_runs (id, outcome, reason, agents_offline) SELECT amelia.uuid_v7(), 'held back', 'r', 1 FROM generate_series(1, 1000);
SET client_min_messages = error;
CALL run_maintenance();
RESET client_min_messages;
SELECT count(*) AS old_tasks FROM tasks WHERE title = 'old';
SELECT outcome, count(*) FROM maintenance_runs GROUP BY outcome ORDER BY outcome;
SELECT * FROM t.errors($$CALL run_maintenance('all')$$, $$CALL run_maintenance(NULL)$$, $$CALL run_maintenance(held_back => '')$$);
-- The clock set right again: nothing is lost, and there is no more to be said. What was noted ahead counts for nothing.
SELECT t.jump('-400 days');
SELECT t.reason() LIKE '%held back%' AS held_back;
CALL run_maintenance();
SELECT count(*) AS old_tasks FROM tasks WHERE title = 'old';
SELECT t.n(m.id) AS message FROM receive_messages(t.a(2), 5) AS m ORDER BY m.id;
DELETE FROM maintenance_runs WHERE outcome = 'held back';

-- It was right: somebody says so once, and from then on it goes by itself.
SELECT t.jump('400 days');
CALL run_maintenance(held_back => 'delete');
SELECT count(*) AS old_tasks FROM tasks WHERE title = 'old';
SELECT status, count(*) FROM agent_messages GROUP BY status;
SELECT outcome, tasks, expired, messages FROM t.runs WHERE tasks > 0;
SELECT t.reason() LIKE '%held back%' AS held_back;
SELECT t.ended_tasks(1500, '100 days');
CALL run_maintenance();
SELECT count(*) AS old_tasks FROM tasks WHERE title = 'old';

-- A server that was off for some days, or of which most is young, or that has little: nothing to ask.
SELECT t.ended_tasks(1500, '89 days');
SELECT t.jump('6 days');
CALL run_maintenance();
SELECT count(*) AS old_tasks FROM tasks WHERE title = 'old';
SELECT t.ended_tasks(1500, '85 days'), t.ended_tasks(1600, '1 day');
SELECT t.jump('10 days');
CALL run_maintenance();
SELECT count(*) AS old_tasks FROM tasks WHERE title = 'old';
DELETE FROM tasks;
SELECT t.ended_tasks(1000, '1 day');
SELECT t.jump('400 days');
CALL run_maintenance();
SELECT count(*) AS old_tasks FROM tasks WHERE title = 'old';

-- Each kind by itself.
INSERT INTO agent_messages (recipient_id, message_type, status, created_at) SELECT t.a(1), 'x', 'acknowledged', now() FROM generate_series(1, 1001);
SELECT t.jump('400 days');
SET client_min_messages = error;
CALL run_maintenance();
SELECT reason FROM t.runs ORDER BY reason NULLS LAST LIMIT 1;
DELETE FROM agent_messages;
SELECT count(create_workflow('w', '{"steps": [{"step_id": "e", "step_type": "end"}]}', id => t.f(1)));
INSERT INTO workflow_executions (workflow_id, status, completed_at, definition) SELECT t.f(1), 'completed', now() - interval '100 days', '{"steps": []}' FROM generate_series(1, 1001);
CALL run_maintenance();
SELECT reason FROM t.runs WHERE reason LIKE '%executions%';
DELETE FROM workflow_executions;
INSERT INTO agent_performance (agent_id, metric_name, metric_value, recorded_at) SELECT t.a(1), 'm', 1, now() - interval '100 days' FROM generate_series(1, 1001);
CALL run_maintenance();
SELECT reason FROM t.runs WHERE reason LIKE '%metrics%';
DELETE FROM agent_performance;
INSERT INTO agent_messages (recipient_id, message_type, created_at, expires_at) SELECT t.a(1), 'x', now() - interval '30 days', now() - interval '1 day' FROM generate_series(1, 1001);
CALL run_maintenance();
SELECT reason FROM t.runs WHERE reason LIKE '%expire%';
SELECT status, count(*) FROM agent_messages GROUP BY status;
-- What waited for a week at most has expired in any case; so is what is kept for a week only old.
UPDATE agent_messages SET created_at = expires_at - interval '7 days';
RESET client_min_messages;
CALL run_maintenance();
SELECT status, count(*) FROM agent_messages GROUP BY status;
SELECT message_retention_days, metric_retention_days FROM update_settings('{"message_retention_days": 7, "metric_retention_days": 7}');
INSERT INTO agent_performance (agent_id, metric_name, metric_value, recorded_at) SELECT t.a(1), 'm', 1, now() - interval '1 days' FROM generate_series(1, 1001);
SELECT t.jump('400 days');
CALL run_maintenance();
SELECT count(*) AS messages FROM agent_messages;
SELECT count(*) AS metrics FROM agent_performance;

-- No round yet: what was done last tells the time, and a history that came from elsewhere waits for a word.
SELECT t.ended_tasks(1500, '400 days');
TRUNCATE maintenance_runs;
UPDATE agents SET last_heartbeat = NULL;
UPDATE workflow_executions SET started_at = started_at - interval '1 year';
SET client_min_messages = error;
CALL run_maintenance();
RESET client_min_messages;
SELECT reason FROM t.runs;
TRUNCATE maintenance_runs;
SELECT status FROM agent_heartbeat(t.a(1));
CALL run_maintenance();
SELECT count(*) AS old_tasks FROM tasks WHERE title = 'old';
-- A look that fails is none that went well: nothing is deleted, and the next round looks again.
SELECT metric_retention_days FROM update_settings('{"metric_retention_days": 30}');
SELECT t.jump('30 days');
SELECT t.ended_tasks(10, '400 days');
ALTER TABLE agent_performance RENAME TO elsewhere;
CALL run_maintenance();
SELECT count(*) AS old_tasks FROM tasks WHERE title = 'old';
ALTER TABLE elsewhere RENAME TO agent_performance;
SELECT outcome, agents FROM t.runs;
SELECT t.ended_tasks(1500, '400 days');
SET client_min_messages = error;
CALL run_maintenance();
RESET client_min_messages;
SELECT count(*) AS old_tasks FROM tasks WHERE title = 'old';
SELECT * FROM verify();
DO $$BEGIN EXECUTE format('ALTER DATABASE %I RESET amelia.enabled', current_database()); END$$;
