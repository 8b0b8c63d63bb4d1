-- Messages: at least once, the dead letters, and what expires.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\set platform :abs_srcdir '/platform.psql'
\i :helpers
\i :platform
SET search_path = amelia_platform, public;
SELECT count(register_agent('a' || n, CASE n WHEN 1 THEN 'chief_of_staff' ELSE 'master_operator' END, id => t.a(n))) FROM generate_series(1, 4) AS n;
SELECT count(create_task('delegated', id => t.k(1)));
-- What has come for somebody, in short; and time goes by: what was delivered is due again.
CREATE FUNCTION t.receive(agent integer, row_limit integer DEFAULT 1) RETURNS TABLE (message integer, priority text, retries integer)
LANGUAGE sql AS $$SELECT t.n(r.id), r.priority, r.retry_count FROM amelia_platform.receive_messages(t.a(agent), row_limit, '1 day') AS r$$;
CREATE FUNCTION t.later() RETURNS void
LANGUAGE sql AS $$UPDATE amelia_platform.agent_messages SET visible_at = now() - interval '2 s', available_at = now() - interval '1 s' WHERE status = 'delivered'$$;

-- Sent, and sent again.
SELECT id = message_id AS one_name, sender_type, recipient_type, message_type, priority, status, payload, retry_count, max_retries,
	expires_at, delivered_at, visible_at FROM send_message(t.a(1), t.a(2), 'status_update', '{"n": 1}', message_id => t.m(1));
SELECT t.n(id) AS message FROM send_message(t.a(1), t.a(2), 'status_update', '{"n": 1}', message_id => t.m(1));
SELECT sender_type FROM send_message(NULL, t.a(3), 'coordination_request', message_id => t.m(2));
SELECT t.n(id) AS message FROM send_message(t.a(1), t.a(4), 'task_delegation', jsonb_build_object('task_id', t.k(1)), message_id => t.m(3));
SELECT t.n(id) AS message FROM send_message(t.a(1), t.a(4), 'task_delegation', '{"of": "a task to be made"}', message_id => t.m(4));
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT send_message(t.a(1), t.a(2), 'status_update', '{"n": 2}', message_id => t.m(1))$$,
	$$SELECT send_message(t.a(9), t.a(2), 'x')$$,
	$$SELECT send_message(t.a(1), t.a(9), 'x')$$,
	$$SELECT send_message(t.a(1), NULL, 'x')$$,
	$$SELECT send_message(t.a(1), t.a(2), NULL)$$,
	$$SELECT send_message(t.a(1), t.a(2), '')$$,
	$$SELECT send_message(t.a(1), t.a(2), repeat('x', 51))$$,
	$$SELECT send_message(t.a(1), t.a(2), 'x', NULL)$$,
	$$SELECT send_message(t.a(1), t.a(2), 'x', '"{}"')$$,
	$$SELECT send_message(t.a(1), t.a(2), 'x', priority => NULL)$$,
	$$SELECT send_message(t.a(1), t.a(2), 'x', priority => 'medium')$$,
	$$SELECT send_message(t.a(1), t.a(2), 'x', subject => repeat('x', 501))$$,
	$$SELECT send_message(t.a(1), t.a(2), 'x', max_retries => NULL)$$,
	$$SELECT send_message(t.a(1), t.a(2), 'x', max_retries => -1)$$,
	$$SELECT send_message(t.a(1), t.a(2), 'task_delegation', jsonb_build_object('task_id', t.k(9)))$$,
	$$SELECT send_message(t.a(1), t.a(2), 'task_delegation', '{"task_id": "seven"}')$$,
	$$SELECT send_message(t.a(1), t.a(2), 'task_delegation', '{"task_id": null}')$$,
	$$INSERT INTO agent_messages (recipient_id, message_type, payload) VALUES (t.a(2), 'task_delegation', '{"task_id": 7}')$$,
	$$INSERT INTO agent_messages (recipient_id, message_type) VALUES (t.a(9), 'x')$$,
	$$INSERT INTO agent_messages (recipient_id, message_type) VALUES (NULL, 'x')$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- Received: urgent first, then the oldest; once, for as long as somebody is at it.
DELETE FROM agent_messages;
INSERT INTO agent_messages (id, recipient_id, message_type, priority, available_at)
SELECT t.m(n::integer), t.a(2), 'x', p, now() - interval '1 hour' + n * interval '1 s'
FROM unnest(ARRAY['low', 'normal', 'high', 'normal', 'urgent', 'high']) WITH ORDINALITY AS v (p, n);
INSERT INTO agent_messages (id, recipient_id, message_type, priority, available_at) VALUES (t.m(7), t.a(2), 'x', 'urgent', now() + interval '1 hour');
SELECT * FROM t.receive(2);
SELECT * FROM t.receive(2, 3);
SELECT * FROM t.receive(2, 0);
SELECT * FROM t.receive(2, 100);
SELECT * FROM t.receive(2);
SELECT t.n(id) AS message, status, visible_at > delivered_at AS held, available_at > visible_at + interval '0.9 s' AS later, retry_count
FROM agent_messages WHERE id IN (t.m(5), t.m(7)) ORDER BY id;
SELECT * FROM t.errors(
	$$SELECT receive_messages(NULL)$$,
	$$SELECT receive_messages(t.a(9))$$,
	$$SELECT receive_messages(t.a(2), NULL)$$,
	$$SELECT receive_messages(t.a(2), -1)$$,
	$$SELECT receive_messages(t.a(2), 1, NULL)$$,
	$$SELECT receive_messages(t.a(2), 1, '0')$$,
	$$SELECT receive_messages(t.a(2), 1, '200 years')$$);
-- Acknowledged; again is harmless, and so is late.
SELECT status, acknowledged_at IS NOT NULL AS acknowledged, visible_at FROM ack_message(t.m(5));
SELECT status FROM ack_message(t.m(5));
SELECT t.later();
SELECT status FROM ack_message(t.m(3));
SELECT * FROM t.errors(
	$$SELECT ack_message(NULL)$$,
	$$SELECT ack_message(t.m(99))$$,
	$$SELECT ack_message(t.m(7))$$);
-- What was not acknowledged comes again, and in the end is dead.
SELECT * FROM t.receive(2, 100);
SELECT count(ack_message(t.m(n))) FROM unnest(ARRAY[1, 2, 6]) AS n;
SELECT t.later();
SELECT * FROM t.receive(2, 100);
SELECT t.later();
SELECT * FROM t.receive(2, 100);
SELECT t.later();
SELECT * FROM t.receive(2, 100);
SELECT t.n(id) AS message, status, retry_count, error_message FROM dead_letters(t.a(2));
SELECT t.n(id) AS message, status, retry_count, visible_at FROM redrive_message(t.m(4));
SELECT * FROM t.receive(2);
-- The receiver says that it cannot: the same, without waiting for the time to be over.
SELECT status, retry_count, error_message, available_at > now() + interval '0.9 s' AS later FROM fail_message(t.m(4), 'the disk is full');
UPDATE agent_messages SET available_at = now(), max_retries = 1 WHERE id = t.m(4);
SELECT * FROM t.receive(2);
SELECT status, retry_count, error_message FROM fail_message(t.m(4), 'it still is');
SELECT * FROM t.errors(
	$$SELECT fail_message(t.m(4), 'x')$$,
	$$SELECT fail_message(t.m(7), 'x')$$,
	$$SELECT fail_message(t.m(99), 'x')$$,
	$$SELECT fail_message(NULL, 'x')$$,
	$$SELECT fail_message(t.m(4), NULL)$$,
	$$SELECT ack_message(t.m(4))$$,
	$$SELECT redrive_message(t.m(5))$$,
	$$SELECT redrive_message(t.m(7))$$,
	$$SELECT redrive_message(t.m(99))$$,
	$$SELECT redrive_message(NULL)$$,
	$$SELECT dead_letters(row_limit => -1)$$);

-- What has expired is not delivered, swept or not, not again, and not redriven.
DELETE FROM agent_messages;
SELECT count(send_message(t.a(1), t.a(2), 'x', expires_at => now() - interval '1 s', message_id => t.m(1)));
SELECT count(send_message(t.a(1), t.a(2), 'x', expires_at => now() + interval '1 day', message_id => t.m(2)));
SELECT * FROM t.receive(2, 10);
UPDATE agent_messages SET expires_at = now() - interval '1 s' WHERE id = t.m(2);
SELECT t.later();
SELECT * FROM t.receive(2, 10);
SELECT status FROM ack_message(t.m(2));
INSERT INTO agent_messages (id, recipient_id, message_type, status, expires_at) VALUES (t.m(3), t.a(2), 'x', 'failed', now() - interval '1 s');
SELECT * FROM t.errors(
	$$SELECT redrive_message(t.m(3))$$,
	$$UPDATE agent_messages SET status = 'delivered' WHERE id = t.m(1)$$);
UPDATE agent_messages SET status = 'pending', expires_at = now() + interval '1 day' WHERE id = t.m(3) RETURNING status, retry_count;

-- The state machine, for a plain UPDATE too.
CREATE TABLE t.moves AS SELECT o.s AS old_status, n.s AS new_status, NULL::text AS result
FROM unnest(ARRAY['pending', 'sent', 'delivered', 'acknowledged', 'failed', 'expired']) AS o (s), unnest(ARRAY['pending', 'sent', 'delivered', 'acknowledged', 'failed', 'expired']) AS n (s)
WHERE o.s <> n.s;
DO $$
DECLARE
	move record;
BEGIN
	FOR move IN SELECT * FROM t.moves LOOP
		DELETE FROM agent_messages WHERE id = t.m(50);
		INSERT INTO agent_messages (id, message_id, recipient_id, message_type, status) VALUES (t.m(50), t.m(50), t.a(3), 'moves', move.old_status);
		UPDATE t.moves SET result = t.error(format('UPDATE amelia_platform.agent_messages SET status = %L WHERE id = t.m(50)', move.new_status))
		WHERE old_status = move.old_status AND new_status = move.new_status;
	END LOOP;
END
$$;
SELECT old_status, new_status, result FROM t.moves ORDER BY old_status, new_status;
INSERT INTO agent_messages (id, recipient_id, message_type) VALUES (t.m(51), t.a(3), 'x');
UPDATE agent_messages SET status = 'delivered' WHERE id = t.m(51) RETURNING delivered_at IS NOT NULL AS at, visible_at > now() AS held, available_at > visible_at AS later;
SELECT * FROM t.errors(
	$$UPDATE agent_messages SET status = 'delivered' WHERE id = t.m(51)$$,
	$$UPDATE agent_messages SET status = 'delivered', delivered_at = now() + interval '1 s' WHERE id = t.m(51)$$,
	$$UPDATE agent_messages SET id = t.m(52) WHERE id = t.m(51)$$,
	$$UPDATE agent_messages SET message_id = t.m(52) WHERE id = t.m(51)$$,
	$$UPDATE agent_messages SET status = NULL WHERE id = t.m(51)$$,
	$$UPDATE agent_messages SET priority = NULL WHERE id = t.m(51)$$,
	$$UPDATE agent_messages SET status = 'read' WHERE id = t.m(51)$$);
SELECT * FROM t.receive(3);
-- Once it is to be had again it can be delivered again, which counts; what only changes it delivers nothing.
UPDATE agent_messages SET subject = 's' WHERE id = t.m(51) RETURNING status, retry_count;
SELECT t.later();
UPDATE agent_messages SET status = 'delivered', max_retries = 1 WHERE id = t.m(51) RETURNING status, retry_count, delivered_at > now() AS at, visible_at > now() AS held, available_at > visible_at AS later;
SELECT t.error($$UPDATE agent_messages SET status = 'delivered' WHERE id = t.m(51)$$) AS error;
SELECT t.later();
BEGIN;
UPDATE agent_messages SET status = 'delivered' WHERE id = t.m(51) RETURNING status, retry_count, visible_at, error_message;
ROLLBACK;
UPDATE agent_messages SET status = 'acknowledged' WHERE id = t.m(51) RETURNING acknowledged_at IS NOT NULL AS at, visible_at;

-- One message's fault does not keep the others from being received.
DELETE FROM agent_messages;
SELECT count(send_message(t.a(1), t.a(2), 'x', message_id => t.m(n))) FROM generate_series(1, 4) AS n;
UPDATE agent_messages SET available_at = now() - interval '1 hour' + t.n(id) * interval '1 s';
ALTER TABLE agent_messages ADD CONSTRAINT ours CHECK (id <> 'cccccccc-0000-7000-8000-000000000002' OR status <> 'delivered');
SELECT * FROM t.receive(2, 3);
UPDATE platform_faults SET retry_at = now() + interval '1 day' RETURNING relation, t.n(row_id) AS row, times, sqlstate, reason;
SELECT * FROM t.receive(2, 3);
ALTER TABLE agent_messages DROP CONSTRAINT ours;
DELETE FROM platform_faults;
SELECT * FROM t.receive(2, 3);
-- Also where a trigger of the owner's keeps the fault from being kept.
BEGIN;
DELETE FROM agent_messages;
SELECT count(send_message(t.a(1), t.a(2), 'x', message_id => t.m(n))) FROM generate_series(1, 4) AS n;
CREATE FUNCTION t.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER forgets BEFORE INSERT ON platform_faults FOR EACH ROW EXECUTE FUNCTION t.nothing();
ALTER TABLE agent_messages ADD CONSTRAINT ours CHECK (id <> 'cccccccc-0000-7000-8000-000000000002' OR status <> 'delivered');
SET LOCAL statement_timeout = '5min';
SELECT t.n(message_id) AS message FROM receive_messages(t.a(2), 4, '1 day') ORDER BY 1;
ROLLBACK;

-- Broadcast, and what there is to be seen.
DELETE FROM agent_messages;
UPDATE agents SET status = 'offline' WHERE id = t.a(4);
SELECT broadcast_message(t.a(1), 'heartbeat', '{"all": true}') AS sent;
SELECT broadcast_message(t.a(2), 'heartbeat', agent_type => 'chief_of_staff') AS sent;
SELECT broadcast_message(NULL, 'heartbeat', status => 'offline') AS sent;
SELECT broadcast_message(NULL, 'heartbeat', agent_type => 'chief_of_staff', status => 'busy') AS sent;
SELECT t.n(sender_id) AS sender, t.n(recipient_id) AS recipient, payload, count(*) OVER (PARTITION BY conversation_id) AS in_conversation
FROM agent_messages ORDER BY 1, 2;
SELECT count(*) FROM agent_messages AS m, LATERAL conversation(m.conversation_id) AS c WHERE m.sender_id = t.a(1);
SELECT count(send_message(t.a(2), t.a(1), 'x', priority => 'urgent', correlation_id => t.m(99), conversation_id => t.m(98), message_id => t.m(10)));
SELECT count(send_message(t.a(1), t.a(2), 'x', conversation_id => t.m(98), message_id => t.m(11)));
UPDATE agent_messages SET created_at = '2026-01-01'::timestamptz + t.n(id) * interval '1 s' WHERE id IN (t.m(10), t.m(11));
SELECT t.n(id) AS message FROM conversation(t.m(98));
SELECT priority, message_type FROM pending_messages(t.a(1));
SELECT priority, message_type FROM pending_messages(t.a(1), 1);
SELECT message_type, t.n(sender_id) AS sender, t.n(recipient_id) AS recipient FROM message_history(t.a(1), 3);
SELECT count(*) FROM message_history(t.a(2));
SELECT * FROM t.receive(1);
UPDATE agent_messages SET created_at = now() - interval '1 hour' WHERE recipient_id = t.a(2) AND id <> t.m(11);
SELECT t.n(agent_id) AS agent, name, pending, delivered, acknowledged, failed, expired, oldest_pending >= interval '1 hour' AS old FROM queue_stats();
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT broadcast_message(t.a(9), 'x')$$,
	$$SELECT broadcast_message(t.a(1), NULL)$$,
	$$SELECT broadcast_message(t.a(1), 'x', NULL)$$,
	$$SELECT broadcast_message(t.a(1), 'x', '1')$$,
	$$SELECT broadcast_message(t.a(1), 'x', agent_type => 'boss')$$,
	$$SELECT broadcast_message(t.a(1), 'x', status => 'gone')$$,
	$$SELECT broadcast_message(t.a(1), 'task_delegation', jsonb_build_object('task_id', t.k(9)))$$,
	$$SELECT pending_messages(NULL)$$,
	$$SELECT pending_messages(t.a(9))$$,
	$$SELECT pending_messages(t.a(1), -1)$$,
	$$SELECT message_history(NULL)$$,
	$$SELECT message_history(t.a(9))$$,
	$$SELECT message_history(t.a(1), -1)$$,
	$$SELECT conversation(NULL)$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- Waiting: there is one, there is none, and what is refused.
CALL wait_messages(t.a(2));
CALL wait_messages(t.a(4), '1 ms');
CALL wait_messages(t.a(3), '-1 s');
\set VERBOSITY sqlstate
CALL wait_messages(NULL);
CALL wait_messages(t.a(9));
CALL wait_messages(t.a(2), NULL);
BEGIN;
CALL wait_messages(t.a(2));
ROLLBACK;
\set VERBOSITY default
SELECT * FROM verify();
-- A dead letter keeps the time of its last delivery.
INSERT INTO agent_messages (id, recipient_id, message_type, status, delivered_at, max_retries)
VALUES (t.m(90), t.a(4), 'x', 'delivered', '2026-01-01', 0);
SELECT count(*) FILTER (WHERE id = t.m(90)) AS received FROM receive_messages(t.a(4), 10);
SELECT status, delivered_at = '2026-01-01' AS kept FROM agent_messages WHERE id = t.m(90);
-- An UPDATE makes no delegation of a task that is not there.
SELECT * FROM t.errors(
	$$UPDATE agent_messages SET message_type = 'task_delegation', payload = jsonb_build_object('task_id', t.k(99)) WHERE id = t.m(90)$$);
-- A time without end stops no list.
INSERT INTO agent_messages (id, recipient_id, message_type, created_at) VALUES (t.m(91), t.a(4), 'x', '-infinity');
SELECT pending, oldest_pending FROM queue_stats() WHERE agent_id = t.a(4);
-- A list that has the word names no task.
SELECT status FROM send_message(t.a(1), t.a(2), 'task_delegation', '["task_id"]');
