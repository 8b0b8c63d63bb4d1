\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\set platform :abs_srcdir '/platform.psql'
-- The server may have a maintenance worker, which would do what is done here.
DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET amelia.enabled = off', current_database()); END$$;
\i :helpers
\i :platform
-- A trigger of somebody's that leaves rows as they are, without a word: they are passed over and named, and keep nothing else waiting.
SET search_path = amelia_platform, public;
SELECT name FROM register_agent('a', 'master_operator', id => t.a(1));
CREATE FUNCTION t.hold() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
CREATE FUNCTION t.undo() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.status := OLD.status; RETURN NEW; END$$;
CREATE TRIGGER hold BEFORE UPDATE OR DELETE ON agent_messages FOR EACH ROW WHEN (OLD.subject = 'hold') EXECUTE FUNCTION t.hold();
CREATE TRIGGER zzzz_undo BEFORE UPDATE ON agent_messages FOR EACH ROW WHEN (OLD.subject = 'undo') EXECUTE FUNCTION t.undo();
CREATE TRIGGER hold BEFORE UPDATE OR DELETE ON tasks FOR EACH ROW WHEN (OLD.title = 'hold') EXECUTE FUNCTION t.hold();
CREATE TRIGGER zzzz_undo BEFORE UPDATE ON tasks FOR EACH ROW WHEN (OLD.title = 'undo') EXECUTE FUNCTION t.undo();
SET statement_timeout = '60s';

-- Received: what can be.
SELECT count(send_message(NULL, t.a(1), 'x', subject => s, message_id => t.m(n)))
FROM (VALUES (1, 'hold'), (2, 'go'), (3, 'undo'), (4, 'go')) AS v (n, s);
SELECT t.n(id) AS message, status FROM receive_messages(t.a(1), 10, '1 day');
SELECT relation, t.n(row_id) AS row, sqlstate, reason FROM platform_faults ORDER BY relation, row_id;
SELECT count(*) AS received FROM receive_messages(t.a(1), 10, '1 day');

-- Claimed: what can be.
SELECT count(create_task(s, id => t.k(n))) FROM (VALUES (1, 'hold'), (2, 'undo'), (3, 'go')) AS v (n, s);
SELECT t.n(id) AS task, status FROM claim_task(t.a(1), '1 day');
SELECT count(*) AS claimed FROM claim_task(t.a(1), '1 day');
SELECT relation, t.n(row_id) AS row, sqlstate, reason FROM platform_faults WHERE relation = 'tasks' ORDER BY row_id;

-- Maintained: more than a batch is kept, and what is behind it goes.
DELETE FROM platform_faults;
INSERT INTO agent_messages (recipient_id, message_type, status, subject, created_at)
SELECT t.a(1), 'x', 'acknowledged', CASE WHEN n <= 600 THEN 'hold' ELSE 'go' END, now() - interval '100 days' + n * interval '1 s'
FROM generate_series(1, 603) AS n;
INSERT INTO tasks (title, status, completed_at)
SELECT CASE WHEN n <= 600 THEN 'hold' ELSE 'go' END, 'cancelled', now() - interval '100 days' + n * interval '1 s'
FROM generate_series(1, 603) AS n;
CALL run_maintenance('delete');
SELECT messages_deleted, tasks_deleted, faults FROM maintenance_runs ORDER BY started_at DESC LIMIT 1;
SELECT subject, count(*) FROM agent_messages WHERE status = 'acknowledged' GROUP BY subject;
SELECT title, count(*) FROM tasks WHERE status = 'cancelled' GROUP BY title;
SELECT relation, sqlstate, reason, count(*) FROM platform_faults GROUP BY 1, 2, 3 ORDER BY 1;

-- Moved: what the trigger moves back is not counted, and not tried for ever.
DELETE FROM platform_faults;
CREATE TRIGGER zzzz_undo BEFORE UPDATE ON agents FOR EACH ROW WHEN (OLD.name = 'undo') EXECUTE FUNCTION t.undo();
SELECT name FROM register_agent('undo', 'master_operator', id => t.a(3));
UPDATE agents SET last_heartbeat = now() - interval '1 day' WHERE name = 'undo';
INSERT INTO tasks (title, status, assigned_agent_id, leased_until) VALUES ('undo', 'in_progress', t.a(1), now() - interval '1 s');
INSERT INTO agent_messages (recipient_id, message_type, status, subject, available_at, visible_at, expires_at)
VALUES (t.a(1), 'x', 'delivered', 'undo', now() - interval '1 s', now() - interval '1 s', NULL), (t.a(1), 'x', 'pending', 'undo', now(), NULL, now() - interval '1 s');
CALL run_maintenance('delete');
SELECT agents_offline, tasks_returned, messages_returned, messages_expired FROM maintenance_runs ORDER BY started_at DESC LIMIT 1;
SELECT relation, sqlstate, reason, count(*) FROM platform_faults WHERE relation = 'agents' OR row_id IN (SELECT id FROM tasks WHERE title = 'undo'
	UNION ALL SELECT id FROM agent_messages WHERE subject = 'undo') GROUP BY 1, 2, 3 ORDER BY 1;

-- One that expires while it is received is not received, and has no fault.
DELETE FROM platform_faults;
SELECT name FROM register_agent('late', 'master_operator', id => t.a(2));
CREATE FUNCTION t.expire() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_sleep(GREATEST(EXTRACT(epoch FROM NEW.expires_at - clock_timestamp()), 0) + 0.01);
	RETURN NEW;
END
$$;
SELECT count(send_message(NULL, t.a(2), 'x', subject => 'late', expires_at => clock_timestamp() + interval '2 s'));
UPDATE agent_messages SET status = 'sent' WHERE subject = 'late';
CREATE TRIGGER "AAAA_expire" BEFORE UPDATE ON agent_messages FOR EACH ROW WHEN (OLD.subject = 'late') EXECUTE FUNCTION t.expire();
SELECT count(*) AS received FROM receive_messages(t.a(2), 10, '1 day');
SELECT count(*) AS faults FROM platform_faults;
DO $$BEGIN EXECUTE format('ALTER DATABASE %I RESET amelia.enabled', current_database()); END$$;
