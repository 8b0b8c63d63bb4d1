-- What PUBLIC, a reader, a worker and an admin may do, through the functions and
-- through plain SQL.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_amelia_public, regress_amelia_reader, regress_amelia_worker, regress_amelia_admin, "regress_Amelia ""x""";
RESET client_min_messages;

-- PUBLIC has nothing: no schema, no table, no column, no function, no sequence.
SELECT 'schema' AS kind, n.nspname::text AS object, a.privilege_type
FROM pg_namespace AS n, aclexplode(COALESCE(n.nspacl, acldefault('n', n.nspowner))) AS a
WHERE n.nspname = 'amelia' AND a.grantee = 0
UNION ALL
SELECT 'relation', c.oid::regclass::text, a.privilege_type
FROM pg_class AS c, aclexplode(COALESCE(c.relacl, acldefault('r', c.relowner))) AS a
WHERE c.relnamespace = 'amelia'::regnamespace AND a.grantee = 0
UNION ALL
SELECT 'column', c.attrelid::regclass || '.' || c.attname, a.privilege_type
FROM pg_attribute AS c, aclexplode(c.attacl) AS a
WHERE c.attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'amelia'::regnamespace) AND a.grantee = 0
UNION ALL
SELECT 'function', p.oid::regprocedure::text, a.privilege_type
FROM pg_proc AS p, aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS a
WHERE p.pronamespace IN ('amelia'::regnamespace, 'amelia_internal'::regnamespace) AND a.grantee = 0;

CREATE ROLE regress_amelia_public;
CREATE ROLE regress_amelia_reader;
CREATE ROLE regress_amelia_worker;
CREATE ROLE regress_amelia_admin;
CREATE ROLE "regress_Amelia ""x""";
-- Granting twice is no error, and a name needs no quotes from the caller.
SELECT amelia.grant_reader('regress_amelia_reader'), amelia.grant_worker('regress_amelia_worker'),
	amelia.grant_admin('regress_amelia_admin');
SELECT amelia.grant_reader('regress_amelia_reader'), amelia.grant_worker(role => 'regress_amelia_worker');
SELECT amelia.grant_reader('regress_Amelia "x"');
SET ROLE "regress_Amelia ""x""";
SELECT amelia.count_workflows();
RESET ROLE;
SELECT * FROM t.errors(
	$$SELECT amelia.grant_reader(NULL)$$,
	$$SELECT amelia.grant_worker(NULL)$$,
	$$SELECT amelia.grant_admin(NULL)$$,
	$$SELECT amelia.grant_reader('regress_amelia_nobody')$$,
	$$SELECT amelia.grant_worker('regress_amelia_nobody')$$,
	$$SELECT amelia.grant_admin('regress_amelia_nobody')$$);
-- Even one who sees the schema has nothing yet.
GRANT USAGE ON SCHEMA amelia TO regress_amelia_public;
GRANT USAGE ON SCHEMA t TO PUBLIC;

-- Whether a role may do something: it is tried, and undone.
CREATE FUNCTION t.may(role text, statement text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('role', role, true);
	EXECUTE statement;
	SET CONSTRAINTS ALL IMMEDIATE;
	RAISE EXCEPTION USING ERRCODE = 'UNDOO';
EXCEPTION
	WHEN SQLSTATE 'UNDOO' THEN
		RETURN 'yes';
	WHEN insufficient_privilege THEN
		RETURN 'no';
	WHEN OTHERS THEN
		RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
CREATE FUNCTION t.who_may(VARIADIC statements text[])
RETURNS TABLE (statement text, public text, reader text, worker text, admin text)
LANGUAGE sql AS $$
SELECT s.statement, t.may('regress_amelia_public', s.statement), t.may('regress_amelia_reader', s.statement),
	t.may('regress_amelia_worker', s.statement), t.may('regress_amelia_admin', s.statement)
FROM unnest(statements) WITH ORDINALITY AS s (statement, place)
ORDER BY s.place
$$;

INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('work', '/work', '{}');
INSERT INTO amelia.prompts (id, agent, name) VALUES ('p', 'a', 'n');
INSERT INTO amelia.prompt_versions (id, prompt_id, version_number, content) VALUES ('p-1', 'p', 1, 'c');
INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s1', 'work');
INSERT INTO amelia.brainstorm_messages (id, session_id, role, content) VALUES ('m1', 's1', 'user', 'c');
INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(1), 'I-1', '/w1'), (t.w(2), 'I-2', '/w2');
INSERT INTO amelia.workflow_log (id, workflow_id, event_type, message) VALUES (t.e(1), t.w(1), 'x', 'm'), (t.e(2), t.w(1), 'x', 'm');

-- The tables.
SELECT c.relname, p.privilege, t.may('regress_amelia_public', p.statement) AS public, t.may('regress_amelia_reader', p.statement) AS reader,
	t.may('regress_amelia_worker', p.statement) AS worker, t.may('regress_amelia_admin', p.statement) AS admin
FROM pg_class AS c,
	LATERAL (SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum = 2) AS f,
	LATERAL (VALUES
		(1, 'SELECT', format('SELECT FROM amelia.%I', c.relname)),
		(2, 'INSERT', format('INSERT INTO amelia.%I OVERRIDING SYSTEM VALUE SELECT (NULL::amelia.%1$I).* WHERE false', c.relname)),
		(3, 'UPDATE', format('UPDATE amelia.%I SET %I = NULL WHERE false', c.relname, f.attname)),
		(4, 'DELETE', format('DELETE FROM amelia.%I WHERE false', c.relname)),
		(5, 'TRUNCATE', format('TRUNCATE amelia.%I', c.relname)),
		(6, 'TRIGGER', format('CREATE TRIGGER x BEFORE INSERT ON amelia.%I EXECUTE FUNCTION suppress_redundant_updates_trigger()', c.relname)),
		(7, 'ALTER', format('ALTER TABLE amelia.%I DISABLE TRIGGER ALL', c.relname)))
		AS p (place, privilege, statement)
WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind = 'r'
ORDER BY c.relname COLLATE "C", p.place;

SELECT c.relname, r.rolname
FROM pg_class AS c, pg_roles AS r
WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind = 'r' AND r.rolname LIKE 'regress\_amelia%'
	AND has_table_privilege(r.oid, c.oid, 'REFERENCES, TRIGGER, TRUNCATE');

-- Functions that read.
SELECT * FROM t.who_may(
	$$SELECT id FROM amelia.get_workflow(t.w(1))$$,
	$$SELECT id FROM amelia.active_workflow('/w1')$$,
	$$SELECT id FROM amelia.list_workflows('pending')$$,
	$$SELECT amelia.count_workflows('pending')$$,
	$$SELECT id FROM amelia.list_active_workflows()$$,
	$$SELECT amelia.last_sequence(t.w(1))$$,
	$$SELECT id FROM amelia.events_after(t.w(1))$$,
	$$SELECT id FROM amelia.events_after_event(t.e(1))$$,
	$$SELECT id FROM amelia.recent_events(t.w(1))$$,
	$$SELECT amelia.event_exists(t.e(1))$$,
	$$SELECT amelia.token_summary(t.w(1))$$,
	$$SELECT amelia.token_summaries(ARRAY[t.w(1)])$$,
	$$SELECT id FROM amelia.prompt_history('p')$$,
	$$SELECT id FROM amelia.current_prompt('p')$$,
	$$SELECT amelia.workflow_prompts(t.w(1))$$,
	$$SELECT id FROM amelia.active_profile()$$,
	$$SELECT id FROM amelia.settings()$$,
	$$SELECT id FROM amelia.brainstorm_messages_after('s1')$$,
	$$SELECT id FROM amelia.list_brainstorm_sessions('work', 'active')$$,
	$$SELECT amelia.brainstorm_usage('s1')$$,
	$$SELECT amelia.verify()$$,
	$$SELECT amelia.queue_status()$$,
	$$SELECT id FROM amelia.dead_workflows()$$,
	$$SELECT next_cursor FROM amelia.feed_after()$$,
	$$SELECT amelia.retention_preview()$$,
	$$SELECT amelia.checkpoint_stats()$$,
	$$SELECT amelia.maintenance_status()$$,
	$$SELECT amelia.vacuum_holders()$$);

-- Functions that a worker needs.
SELECT * FROM t.who_may(
	$$SELECT id FROM amelia.create_workflow('I-3', '/w3', issue_cache => '{}')$$,
	$$SELECT id FROM amelia.create_workflow('I-3', '/w3', id => t.w(3)), amelia.create_workflow('I-3', '/w3', id => t.w(3)) AS again (again)$$,
	$$SELECT id FROM amelia.set_workflow_status(t.w(1), 'in_progress')$$,
	$$SELECT id FROM amelia.set_workflow_status(t.w(1), 'failed', 'r')$$,
	$$SELECT amelia.set_plan_cache(t.w(1), '{}')$$,
	$$SELECT amelia.append_event(t.w(1), 'x', 'm')$$,
	$$SELECT amelia.append_event(t.w(1), 'x', 'm', id => t.e(1))$$,
	$$SELECT amelia.append_events(t.w(1), '[{"event_type": "x", "message": "m"}]')$$,
	$$SELECT amelia.next_sequence(t.w(1))$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 1)$$,
	$$SELECT amelia.record_workflow_prompt(t.w(1), 'p', 'p-1')$$,
	$$SELECT id FROM amelia.add_brainstorm_message('s1', 'user', 'c', '[]', 1, 1, 1)$$,
	$$SELECT amelia.link_thread(t.w(1), 'thread')$$,
	$$SELECT amelia.uuid_v7()$$);

-- … who claims, and who answers.
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status)
SELECT t.w(n), 'I-' || n, '/w' || n, CASE n WHEN 6 THEN 'blocked' WHEN 7 THEN 'failed' ELSE 'in_progress' END FROM generate_series(5, 7) AS n;
INSERT INTO amelia.workflow_leases (workflow_id, worker, lease_token, expires_at) VALUES (t.w(5), 'w', 1, 'infinity');
SELECT * FROM t.who_may(
	$$SELECT amelia.claim_workflow('w')$$,
	$$SELECT amelia.heartbeat(t.w(5), 1)$$,
	$$SELECT amelia.release_workflow(t.w(5), 1)$$,
	$$SELECT amelia.release_workflow(t.w(5), 1, 'failed', 'no luck')$$,
	$$SELECT amelia.release_workflow(t.w(5), 1, 'completed')$$,
	$$SELECT amelia.set_worker(t.w(5), 1), amelia.append_event(t.w(5), 'x', 'm')$$,
	$$SELECT amelia.append_event(t.w(5), 'x', 'm', lease_token => 1)$$,
	$$SELECT amelia.request_approval(t.w(5), 1, 'Shall I?')$$,
	$$SELECT amelia.decide(t.w(6), 1, true)$$,
	$$SELECT amelia.send_to_workflow(t.w(5), 'pause')$$,
	$$SELECT amelia.take_inbox(t.w(5), 1)$$,
	$$SELECT amelia.request_cancel(t.w(5))$$,
	$$SELECT amelia.requeue_workflow(t.w(7))$$,
	$$SELECT amelia.prune_feed()$$,
	$$UPDATE amelia.workflow_leases SET expires_at = 'infinity' WHERE workflow_id = t.w(5)$$,
	$$SET amelia.lease = 'aaaaaaaa-0000-7000-8000-000000000005 1'$$,
	$$SET amelia.require_lease = off$$,
	$$SET amelia.feed = off$$);
-- What a role may do to a workflow ends its lease as well, though it may not write leases.
SET ROLE regress_amelia_worker;
UPDATE amelia.workflows SET status = 'completed' WHERE id = t.w(5);
RESET ROLE;
SELECT expires_at FROM amelia.workflow_leases WHERE workflow_id = t.w(5);
SET ROLE regress_amelia_admin;
DELETE FROM amelia.workflows WHERE id IN (t.w(5), t.w(6), t.w(7));
RESET ROLE;
SELECT count(*) FROM amelia.workflow_leases;

-- Functions that an admin needs.
SELECT * FROM t.who_may(
	$$SELECT amelia.seed_prompts('[{"id": "q", "agent": "a", "name": "n"}]')$$,
	$$SELECT id FROM amelia.create_prompt_version('p', 'c')$$,
	$$SELECT id FROM amelia.set_prompt_version('p', 'p-1')$$,
	$$SELECT id FROM amelia.reset_prompt('p')$$,
	$$SELECT id FROM amelia.set_active_profile('work')$$,
	$$SELECT id FROM amelia.update_settings('{"max_concurrent": 2}')$$,
	$$SELECT amelia.unlink_thread('thread')$$,
	$$SELECT amelia.delete_thread('thread')$$,
	$$SELECT amelia.forget_workflow(t.w(1))$$);

-- What is the owner's alone.
SELECT * FROM t.who_may(
	$$SELECT amelia.grant_reader('regress_amelia_public')$$,
	$$SELECT amelia.grant_worker('regress_amelia_public')$$,
	$$SELECT amelia.grant_admin('regress_amelia_public')$$,
	$$SELECT amelia.migrate()$$,
	$$CREATE TABLE amelia.x (y int)$$,
	$$CREATE FUNCTION amelia.x() RETURNS int LANGUAGE sql AS 'SELECT 1'$$,
	$$CREATE INDEX ON amelia.workflows (profile_id)$$,
	$$DROP TABLE amelia.workflow_prompt_versions$$,
	$$ALTER TABLE amelia.workflows ADD COLUMN x int$$,
	$$CREATE OR REPLACE FUNCTION amelia.event_exists(id uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true'$$,
	$$DROP SCHEMA amelia CASCADE$$,
	$$DROP EXTENSION amelia CASCADE$$);

-- No function was forgotten: those that no role may run are the owner's, and
-- those of triggers, which need no grant.
SELECT p.proname
FROM pg_proc AS p
WHERE p.pronamespace IN ('amelia'::regnamespace, 'amelia_internal'::regnamespace)
	AND p.prorettype <> 'trigger'::regtype
	AND NOT has_function_privilege('regress_amelia_admin', p.oid, 'EXECUTE')
ORDER BY p.proname COLLATE "C";
-- What one may, the next may too.
SELECT p.oid::regprocedure AS lost
FROM pg_proc AS p
WHERE p.pronamespace IN ('amelia'::regnamespace, 'amelia_internal'::regnamespace)
	AND (has_function_privilege('regress_amelia_reader', p.oid, 'EXECUTE') AND NOT has_function_privilege('regress_amelia_worker', p.oid, 'EXECUTE')
		OR has_function_privilege('regress_amelia_worker', p.oid, 'EXECUTE') AND NOT has_function_privilege('regress_amelia_admin', p.oid, 'EXECUTE'));

-- A worker's day in plain SQL, with the triggers at work.
SET ROLE regress_amelia_worker;
INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(9), 'I-9', '/w9');
UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(9);
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(9), 'x', 'a'), (t.w(9), 'x', 'b') RETURNING sequence;
COPY amelia.workflow_log (workflow_id, event_type, message) FROM STDIN;
aaaaaaaa-0000-7000-8000-000000000009	x	c
\.
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd) VALUES (t.w(9), 'a', 'm', 1, 1, 1);
INSERT INTO amelia.workflow_prompt_versions (workflow_id, prompt_id, version_id) VALUES (t.w(9), 'p', 'p-1')
ON CONFLICT (workflow_id, prompt_id) DO UPDATE SET version_id = EXCLUDED.version_id;
INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s9', 'work');
INSERT INTO amelia.brainstorm_messages (id, session_id, role, content) VALUES ('m9', 's9', 'user', 'c') RETURNING sequence;
INSERT INTO amelia.brainstorm_artifacts (id, session_id, type, path) VALUES ('a9', 's9', 'adr', '/a');
UPDATE amelia.brainstorm_sessions SET status = 'completed' WHERE id = 's9';
UPDATE amelia.workflows SET status = 'completed' WHERE id = t.w(9);
UPDATE amelia.workflow_log SET message = 'changed' WHERE workflow_id = t.w(9);
DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(9);
DELETE FROM amelia.workflows WHERE id = t.w(9);
RESET ROLE;
SELECT status, started_at IS NOT NULL AS started, completed_at IS NOT NULL AS ended FROM amelia.workflows WHERE id = t.w(9);
SELECT t.rows();

-- An admin's: who deletes events need not own the workflows.
SET ROLE regress_amelia_admin;
DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(9);
SELECT amelia.append_event(t.w(9), 'x', 'd');
UPDATE amelia.event_types SET persisted = false WHERE event_type = 'agent_message';
DELETE FROM amelia.workflows WHERE id = t.w(9);
RESET ROLE;

-- One whom an operator gives only DELETE on the events raises the floor all the same.
GRANT SELECT, DELETE ON amelia.workflow_log TO regress_amelia_public;
SET ROLE regress_amelia_public;
DELETE FROM amelia.workflow_log WHERE sequence = 2;
RESET ROLE;
SELECT amelia.append_event(t.w(1), 'x', 'above the floor');

-- In a database whose owner gives away rights by default, they are not given here.
SET client_min_messages = warning;
DROP EXTENSION amelia CASCADE;
DROP SCHEMA amelia CASCADE;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO regress_amelia_public;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
CREATE EXTENSION amelia;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM regress_amelia_public;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM PUBLIC;
RESET client_min_messages;
SELECT c.oid::regclass AS given_away
FROM pg_class AS c
WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind = 'r'
	AND (has_table_privilege('regress_amelia_public', c.oid, 'SELECT') OR has_table_privilege('regress_amelia_public', c.oid, 'TRIGGER'));
SELECT c.oid::regclass AS given_away
FROM pg_class AS c
WHERE c.relnamespace = 'amelia'::regnamespace
	AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege('regress_amelia_public', c.oid, 'USAGE, SELECT, UPDATE') END;
SELECT p.oid::regprocedure AS given_away
FROM pg_proc AS p
WHERE p.pronamespace IN ('amelia'::regnamespace, 'amelia_internal'::regnamespace) AND has_function_privilege('regress_amelia_public', p.oid, 'EXECUTE');

SET client_min_messages = warning;
DROP OWNED BY regress_amelia_public, regress_amelia_reader, regress_amelia_worker, regress_amelia_admin, "regress_Amelia ""x""";
DROP ROLE regress_amelia_public, regress_amelia_reader, regress_amelia_worker, regress_amelia_admin, "regress_Amelia ""x""";
