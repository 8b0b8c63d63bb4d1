\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\set platform :abs_srcdir '/platform.psql'
DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET amelia.enabled = off', current_database()); END$$;
\i :helpers
\i :platform
-- amelia.history is the tables' owner's to say. Who says it, and has something
-- done with the owner's rights, finds the state machines where they were:
-- maintenance that a role calls for, and what a foreign key does.
SET search_path = amelia_platform, public;
CREATE ROLE regress_platform_operator;
SELECT grant_admin('regress_platform_operator');
INSERT INTO agents (id, name, agent_type, last_heartbeat) VALUES ('00000000-0000-4000-8000-0000000000a1', 'a', 'master_operator', now()),
	('00000000-0000-4000-8000-0000000000a2', 'b', 'master_operator', now());
-- One whose last attempt ran out, and a message whose last delivery came to nothing.
INSERT INTO tasks (id, title, status, attempts, max_attempts, leased_until, lease_token)
VALUES ('00000000-0000-4000-8000-000000000001', 't', 'in_progress', 3, 3, now() - interval '1 hour', 5);
INSERT INTO agent_messages (recipient_id, message_type, status, retry_count, max_retries, delivered_at, visible_at, available_at)
VALUES ('00000000-0000-4000-8000-0000000000a1', 'x', 'delivered', 3, 3, now() - interval '3 hours', now() - interval '2 hours', now() - interval '1 hour');
SET ROLE regress_platform_operator;
SET amelia.history = on;
CALL run_maintenance();
SELECT status, leased_until, error_message FROM tasks;
SELECT status, visible_at, error_message FROM agent_messages;
RESET ROLE;
-- The owner's own word holds for what the owner writes.
UPDATE tasks SET status = 'pending' WHERE status = 'failed' RETURNING status, attempts, max_attempts;
UPDATE tasks SET status = 'in_progress', assigned_agent_id = '00000000-0000-4000-8000-0000000000a2', leased_until = now() + interval '1 day'
RETURNING status, attempts;
-- A foreign key's action is no history: that was the last attempt.
SET ROLE regress_platform_operator;
DELETE FROM agents WHERE name = 'b';
SELECT status, assigned_agent_id, leased_until, error_message FROM tasks;
RESET ROLE;
RESET amelia.history;
DELETE FROM agents;
DELETE FROM tasks;
DROP OWNED BY regress_platform_operator;
DROP ROLE regress_platform_operator;
