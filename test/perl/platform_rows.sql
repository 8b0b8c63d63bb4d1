-- Rows in every table of amelia_platform, with what a dump could lose: pinned definitions, leases and their tokens,
-- messages of every status, a delegated task that comes behind its message.
SET search_path = amelia_platform, public;
SET timezone = 'UTC';
CREATE FUNCTION pg_temp.id(kind text, n integer) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$SELECT (repeat(kind, 8) || '-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid$$;
SELECT update_settings('{"message_retention_days": -1, "stale_after": "7 days"}');
SELECT register_agent('agent “' || n || '”', CASE n WHEN 1 THEN 'chief_of_staff' ELSE 'master_operator' END, '["sql", {"name": "é\\"}]', E'a\tb', id => pg_temp.id('a', n))
FROM generate_series(1, 4) AS n;
SELECT set_capability(pg_temp.id('a', n), 'sql', 0.1 * n) FROM generate_series(1, 4) AS n;
SELECT agent_heartbeat(pg_temp.id('a', 2), 'busy', '{"load": 0.5}');
UPDATE agents SET updated_at = '2020-02-02 02:02:02.123456+00', last_heartbeat = '2020-02-02 02:02:02.123456+00' WHERE id = pg_temp.id('a', 4);
SELECT record_metric(pg_temp.id('a', 1), 'latency', 0.0001 * n, 'ms', '{"n": null}', '2024-02-29 23:59:59.999999+00') FROM generate_series(1, 5) AS n;
SELECT create_task('task ' || n, E'several\nlines', (ARRAY['low', 'medium', 'high', 'urgent'])[n], required_capabilities => CASE WHEN n > 2 THEN '{sql}'::text[] ELSE '{}' END,
	context_data => jsonb_build_object('text', repeat('é\', n)), deadline => '2031-01-01', id => pg_temp.id('b', n)) FROM generate_series(1, 4) AS n;
SELECT id, lease_token FROM claim_task(pg_temp.id('a', 2), '7 days');
SELECT id, status FROM fail_task(pg_temp.id('b', 4), 1, 'no', '0 s');
SELECT id, lease_token FROM claim_task(pg_temp.id('a', 2), '7 days');
SELECT count(*) FROM claim_task(pg_temp.id('a', 3), '7 days') AS c, LATERAL complete_task(c.id, c.lease_token, '{"ok": true}');
SELECT cancel_task(pg_temp.id('b', 1), 'never mind');
SELECT create_workflow('flow', '{"steps": [{"step_id": "p", "step_type": "parallel", "next_steps": ["a", "b"]}, {"step_id": "a", "step_type": "task", "actions": [{"title": "A"}], "next_steps": ["j"]},
	{"step_id": "b", "step_type": "wait", "next_steps": ["j"]}, {"step_id": "j", "step_type": "join", "next_steps": ["e"]}, {"step_id": "e", "step_type": "end"}]}', tags => '{"x y",é}', created_by => pg_temp.id('a', 1), id => pg_temp.id('d', 1));
SELECT start_execution(pg_temp.id('d', 1), '{"n": 1}', pg_temp.id('a', 1), pg_temp.id('e', n)) FROM generate_series(1, 3) AS n;
SELECT advance_execution(pg_temp.id('e', n), 'b', '{"size": 1.50}') FROM generate_series(1, 2) AS n;
SELECT advance_execution(pg_temp.id('e', 1), 'a');
SELECT cancel_execution(pg_temp.id('e', 3), 'enough');
SELECT set_workflow_definition(pg_temp.id('d', 1), '{"steps": [{"step_id": "only", "step_type": "end"}]}');
INSERT INTO workflows (name, definition) VALUES ('draft', '{"steps": "to be written"}');
SELECT send_message(pg_temp.id('a', 1), pg_temp.id('a', 2), 'task_delegation', jsonb_build_object('task_id', pg_temp.id('b', 4)), 'urgent', 'Please', conversation_id => pg_temp.id('f', 1), message_id => pg_temp.id('c', 1));
SELECT send_message(NULL, pg_temp.id('a', 2), 'status_update', '{"n": 1.10}', message_id => pg_temp.id('c', n)) FROM generate_series(2, 5) AS n;
SELECT id, status FROM receive_messages(pg_temp.id('a', 2), 3, '7 days');
SELECT ack_message(pg_temp.id('c', 1));
SELECT fail_message(pg_temp.id('c', 2), 'é\ is broken');
UPDATE agent_messages SET available_at = '2020-01-01' WHERE id = pg_temp.id('c', 2);
INSERT INTO agent_messages (recipient_id, message_type, status, error_message, expires_at) VALUES (pg_temp.id('a', 3), 'x', 'failed', 'dead', '2020-01-01'), (pg_temp.id('a', 3), 'x', 'expired', NULL, '2020-01-01');
INSERT INTO platform_faults (relation, row_id, times, retry_at, sqlstate, reason) VALUES ('tasks', pg_temp.id('b', 1), 3, '2031-01-01', '23514', 'a CHECK that é refuses');
INSERT INTO maintenance_runs (id, tasks_returned, outcome, reason) VALUES (pg_temp.id('9', 1), 5, NULL, NULL), (pg_temp.id('9', 2), 5, 'held back', 'é');
