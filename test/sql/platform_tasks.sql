-- Tasks: made, assigned, claimed, and brought to an end.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\set platform :abs_srcdir '/platform.psql'
\i :helpers
\i :platform
SET search_path = amelia_platform, public;
SELECT count(register_agent('a' || n, 'master_operator', id => t.a(n))) FROM generate_series(1, 3) AS n;
SELECT count(set_capability(t.a(1), c, 0.8)) FROM unnest(ARRAY['sql', 'python']) AS c;
SELECT count(set_capability(t.a(2), 'sql', 0.9));

-- Made, and sent again.
SELECT t.n(id) AS task, title, status, priority, assigned_agent_id, step_order, context_data, result_data, required_capabilities,
	attempts, max_attempts, lease_token FROM create_task('one', id => t.k(1));
SELECT t.n(id) AS task FROM create_task('one', id => t.k(1));
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT create_task('other', id => t.k(1))$$,
	$$SELECT create_task(NULL)$$,
	$$SELECT create_task('')$$,
	$$SELECT create_task(repeat('x', 501))$$,
	$$SELECT create_task('x', priority => NULL)$$,
	$$SELECT create_task('x', priority => 'normal')$$,
	$$SELECT create_task('x', assigned_agent_id => t.a(9))$$,
	$$SELECT create_task('x', required_capabilities => NULL)$$,
	$$SELECT create_task('x', required_capabilities => '{a,NULL}')$$,
	$$SELECT create_task('x', context_data => NULL)$$,
	$$SELECT create_task('x', context_data => '"x"')$$,
	$$SELECT create_task('x', workflow_id => t.f(9))$$,
	$$SELECT create_task('x', step_order => NULL)$$,
	$$SELECT create_task('x', max_attempts => 0)$$,
	$$SELECT create_task('x', max_attempts => NULL)$$,
	$$INSERT INTO tasks (title, required_capabilities) VALUES ('x', ARRAY[repeat('x', 2001)])$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- Assigned: to somebody, to who can do it best.
SELECT t.n(assigned_agent_id) AS agent FROM assign_task(t.k(1), t.a(3));
SELECT count(create_task('two', required_capabilities => '{sql}', id => t.k(2)));
SELECT t.n(assigned_agent_id) AS agent FROM assign_task(t.k(2));
SELECT count(create_task('three', required_capabilities => '{cobol}', id => t.k(3)));
SELECT * FROM t.errors(
	$$SELECT assign_task(NULL)$$,
	$$SELECT assign_task(t.k(99))$$,
	$$SELECT assign_task(t.k(1), t.a(9))$$,
	$$SELECT assign_task(t.k(3))$$);
DELETE FROM tasks;

-- The order of claims: urgent first, then the deadline, then the oldest; what is somebody else's, not yet due or beyond it is not taken.
INSERT INTO tasks (id, title, priority, deadline, created_at, required_capabilities, assigned_agent_id, available_at)
SELECT t.k(n), 'k' || n, p, now() + d * interval '1 hour', now() - interval '1 day' + n * interval '1 s', c::text[], t.a(a), now() + later
FROM (VALUES (1, 'low', NULL, '{}', NULL, '0 s'::interval), (2, 'medium', NULL, '{}', NULL, '0 s'), (3, 'medium', 2, '{sql}', NULL, '0 s'),
	(4, 'medium', 1, '{}', NULL, '0 s'), (5, 'high', NULL, '{sql,python}', NULL, '0 s'), (6, 'urgent', NULL, '{cobol}', NULL, '0 s'),
	(7, 'urgent', NULL, '{}', 3, '0 s'), (8, 'urgent', NULL, '{}', NULL, '1 hour'), (9, 'medium', NULL, '{}', 1, '0 s'),
	(10, 'medium', NULL, '{python}', NULL, '0 s')) AS v (n, p, d, c, a, later);
SELECT t.n(c.id) AS task, c.title, c.status, t.n(c.assigned_agent_id) AS agent, c.attempts, c.lease_token,
	c.leased_until > now() AS leased, c.started_at IS NOT NULL AS started
FROM generate_series(1, 8) AS n, LATERAL claim_task(t.a(1 + n * 0), '1 day') AS c;
SELECT t.n(c.id) AS task FROM claim_task(t.a(2)) AS c;
SELECT t.n(c.id) AS task FROM claim_task(t.a(3), '1 day') AS c;
SELECT * FROM t.errors(
	$$SELECT claim_task(NULL)$$,
	$$SELECT claim_task(t.a(9))$$,
	$$SELECT claim_task(t.a(1), NULL)$$,
	$$SELECT claim_task(t.a(1), '0')$$,
	$$SELECT claim_task(t.a(1), '-1 s')$$,
	$$SELECT claim_task(t.a(1), '200 years')$$,
	$$SELECT assign_task(t.k(1), t.a(1))$$);

-- Prolonged, completed, sent again, late.
SELECT heartbeat_task(t.k(5), 1, '2 days') > now() + interval '1 day' AS prolonged;
SELECT status, result_data, completed_at IS NOT NULL AS ended, leased_until FROM complete_task(t.k(5), 1, '{"lines": 7}');
SELECT status, result_data FROM complete_task(t.k(5), 1, '{"lines": 7}');
SELECT t.n(agent_id) AS agent, capability_name, usage_count, last_used IS NOT NULL AS used FROM agent_capabilities ORDER BY 1, 2;
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT complete_task(t.k(5), 1, '{"lines": 8}')$$,
	$$SELECT complete_task(t.k(5), 2)$$,
	$$SELECT complete_task(NULL, 1)$$,
	$$SELECT complete_task(t.k(4), NULL)$$,
	$$SELECT complete_task(t.k(4), 1, NULL)$$,
	$$SELECT complete_task(t.k(4), 1, '"done"')$$,
	$$SELECT complete_task(t.k(99), 1)$$,
	$$SELECT complete_task(t.k(4), 0)$$,
	$$SELECT complete_task(t.k(8), 0)$$,
	$$SELECT heartbeat_task(t.k(5), 1)$$,
	$$SELECT heartbeat_task(t.k(4), 2)$$,
	$$SELECT heartbeat_task(t.k(4), NULL)$$,
	$$SELECT heartbeat_task(NULL, 1)$$,
	$$SELECT heartbeat_task(t.k(99), 1)$$,
	$$SELECT heartbeat_task(t.k(4), 1, '0')$$,
	$$SELECT fail_task(NULL, 1, 'x')$$,
	$$SELECT fail_task(t.k(4), NULL, 'x')$$,
	$$SELECT fail_task(t.k(4), 1, NULL)$$,
	$$SELECT fail_task(t.k(4), 1, 'x', '-1 s')$$,
	$$SELECT fail_task(t.k(4), 3, 'x')$$,
	$$SELECT fail_task(t.k(5), 1, 'x')$$,
	$$SELECT fail_task(t.k(99), 1, 'x')$$);
SELECT t.digest() = :'before' AS nothing_stored;
-- Its lease is over: whatever it brings is late, whether somebody else has the task or not.
UPDATE tasks SET leased_until = now() - interval '1 s' WHERE id = t.k(4);
SELECT t.error($$SELECT complete_task(t.k(4), 1)$$) AS error;
SELECT t.error($$SELECT heartbeat_task(t.k(4), 1)$$) AS error;
SELECT t.n(c.id) AS task, t.n(c.assigned_agent_id) AS agent, c.attempts, c.lease_token, c.error_message
FROM claim_task(t.a(2), '1 day') AS c;
SELECT t.error($$SELECT complete_task(t.k(4), 1, '{"late": true}')$$) AS error;
SELECT status FROM complete_task(t.k(4), 2, '{"late": false}');

-- Failed: tried again for as long as attempts are left, later and later.
SELECT count(create_task('again', priority => 'urgent', assigned_agent_id => t.a(3), id => t.k(20)));
SELECT lease_token FROM claim_task(t.a(3), '1 day');
SELECT status, attempts, assigned_agent_id, error_message, available_at > now() + interval '4 s' AS later
FROM fail_task(t.k(20), 1, 'the model was busy');
UPDATE tasks SET available_at = now() + interval '1 day' WHERE id = t.k(20);
SELECT count(*) AS due FROM claim_task(t.a(3), '1 day');
UPDATE tasks SET available_at = now() WHERE id = t.k(20);
SELECT lease_token FROM claim_task(t.a(3), '1 day');
SELECT status, available_at <= clock_timestamp() AS at_once FROM fail_task(t.k(20), 2, 'again', '0 s');
SELECT lease_token FROM claim_task(t.a(3), '1 day');
SELECT status, attempts, error_message, completed_at IS NOT NULL AS ended FROM fail_task(t.k(20), 3, 'for good');
-- An operator gives it another attempt.
UPDATE tasks SET status = 'pending', available_at = now() WHERE id = t.k(20) RETURNING status, attempts, max_attempts, completed_at;
SELECT lease_token, attempts FROM claim_task(t.a(3), '1 day');

-- Cancelled; again is harmless.
SELECT status, error_message, leased_until FROM cancel_task(t.k(20), 'nobody needs it');
SELECT status, error_message FROM cancel_task(t.k(20));
SELECT * FROM t.errors(
	$$SELECT complete_task(t.k(20), 4)$$,
	$$SELECT cancel_task(t.k(5))$$,
	$$SELECT cancel_task(t.k(99))$$,
	$$SELECT cancel_task(NULL)$$);

-- The state machine, for a plain UPDATE too.
CREATE TABLE t.moves AS SELECT o.s AS old_status, n.s AS new_status, NULL::text AS result
FROM unnest(ARRAY['pending', 'in_progress', 'completed', 'failed', 'cancelled']) AS o (s), unnest(ARRAY['pending', 'in_progress', 'completed', 'failed', 'cancelled']) AS n (s)
WHERE o.s <> n.s;
DO $$
DECLARE
	move record;
BEGIN
	FOR move IN SELECT * FROM t.moves LOOP
		DELETE FROM tasks WHERE id = t.k(50);
		INSERT INTO tasks (id, title, status) VALUES (t.k(50), 'moves', move.old_status);
		UPDATE t.moves SET result = t.error(format('UPDATE amelia_platform.tasks SET status = %L WHERE id = t.k(50)', move.new_status))
		WHERE old_status = move.old_status AND new_status = move.new_status;
	END LOOP;
END
$$;
SELECT old_status, new_status, result FROM t.moves ORDER BY old_status, new_status;
INSERT INTO tasks (id, title, status, assigned_agent_id, lease_token, attempts) VALUES (t.k(51), 'held', 'in_progress', t.a(1), 4, 1);
SELECT * FROM t.errors(
	$$UPDATE tasks SET lease_token = 3 WHERE id = t.k(51)$$,
	$$UPDATE tasks SET status = NULL WHERE id = t.k(51)$$,
	$$UPDATE tasks SET status = 'done' WHERE id = t.k(51)$$,
	$$UPDATE tasks SET priority = NULL WHERE id = t.k(51)$$,
	$$UPDATE tasks SET assigned_agent_id = t.a(9) WHERE id = t.k(51)$$);
-- Another holder: the token of the first one is worth nothing.
UPDATE tasks SET assigned_agent_id = t.a(2) WHERE id = t.k(51) RETURNING lease_token;
SELECT t.error($$SELECT complete_task(t.k(51), 4)$$) AS error;
-- No holder: pending again; none left and no attempt either: failed.
DELETE FROM agents WHERE id = t.a(2);
SELECT status, assigned_agent_id, lease_token FROM tasks WHERE id = t.k(51);
UPDATE tasks SET status = 'in_progress', max_attempts = 2 WHERE id = t.k(51) RETURNING status, attempts, lease_token;
UPDATE tasks SET status = 'pending' WHERE id = t.k(51) RETURNING status, error_message, completed_at IS NOT NULL AS ended;

-- One task's fault does not keep the others from being claimed.
DELETE FROM tasks;
SELECT count(create_task('k' || n, id => t.k(n))) FROM generate_series(1, 3) AS n;
UPDATE tasks SET created_at = now() - interval '1 hour' + t.n(id) * interval '1 s';
ALTER TABLE tasks ADD CONSTRAINT ours CHECK (id <> 'bbbbbbbb-0000-7000-8000-000000000001' OR status = 'pending');
SELECT t.n(c.id) AS task FROM claim_task(t.a(1), '1 day') AS c;
SELECT relation, t.n(row_id) AS row, times, retry_at > now() AS later, sqlstate, reason FROM platform_faults;
UPDATE platform_faults SET retry_at = now() + interval '1 day';
SELECT t.n(c.id) AS task FROM claim_task(t.a(1), '1 day') AS c;
SELECT t.n(c.id) AS task FROM claim_task(t.a(1), '1 day') AS c;
SELECT times FROM platform_faults;
ALTER TABLE tasks DROP CONSTRAINT ours;
DELETE FROM platform_faults;
SELECT t.n(c.id) AS task FROM claim_task(t.a(1), '1 day') AS c;

-- Lists, search, what is overdue.
DELETE FROM tasks;
INSERT INTO tasks (id, title, description, status, priority, assigned_agent_id, deadline, created_at)
VALUES (t.k(1), 'Migrate the database', 'PostgreSQL 15 to 17', 'pending', 'high', t.a(1), now() - interval '1 hour', '2026-01-01'),
	(t.k(2), 'Write the release notes', NULL, 'completed', 'low', NULL, now() - interval '1 hour', '2026-01-02'),
	(t.k(3), 'Review migrations', 'of the billing database', 'pending', 'low', NULL, now() + interval '1 hour', '2026-01-03');
SELECT t.n(id) AS task FROM list_tasks();
SELECT t.n(id) AS task FROM list_tasks('pending', row_limit => 1);
SELECT t.n(id) AS task FROM list_tasks(assigned_agent_id => t.a(1));
SELECT t.n(id) AS task FROM list_tasks(priority => 'low');
SELECT t.n(id) AS task FROM list_tasks(workflow_id => t.f(1), execution_id => t.x(1));
SELECT t.n(id) AS task FROM search_tasks('migration database');
SELECT t.n(id) AS task FROM search_tasks('database -billing');
SELECT t.n(id) AS task FROM search_tasks('"release notes"', 1);
SELECT t.n(id) AS task FROM search_tasks('');
SELECT t.n(id) AS task, agent_name, overdue_by >= interval '1 hour' AS overdue FROM overdue_tasks;
SELECT * FROM t.errors(
	$$SELECT list_tasks('done')$$,
	$$SELECT list_tasks(priority => 'normal')$$,
	$$SELECT list_tasks(row_limit => -1)$$,
	$$SELECT search_tasks(NULL)$$,
	$$SELECT search_tasks('x', -1)$$);
SELECT * FROM verify();
-- A deadline without end stops no list.
INSERT INTO tasks (title, deadline) VALUES ('for ever late', '-infinity');
SELECT title, overdue_by FROM overdue_tasks WHERE title = 'for ever late';
