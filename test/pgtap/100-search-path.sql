-- A caller whose search_path begins with a schema of somebody else's, and who
-- is no superuser: nothing there is called in place of what is meant.
BEGIN;
-- pgTAP may live in any schema. Ours stays off the path, and what is temporary
-- comes last, for there are traps among it.
SELECT set_config('search_path', format('pg_catalog, %I, pg_temp', n.nspname), true) AS path
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pgtap' \gset
SELECT no_plan();

-- The traps: an operator for each one of common types, functions, tables by
-- the names of ours and of the catalog's.
CREATE SCHEMA contract_trap;
DO $$
DECLARE
	operand text;
	operator name;
BEGIN
	FOREACH operand IN ARRAY ARRAY['uuid', 'text', 'integer', 'bigint', 'boolean', 'numeric', 'jsonb', 'timestamptz',
		'name', 'oid', '"char"'] LOOP
		EXECUTE format('CREATE FUNCTION contract_trap.trap(%s, %s) RETURNS boolean LANGUAGE plpgsql AS %L', operand, operand,
			'BEGIN RAISE EXCEPTION ''trapped by an operator'' USING ERRCODE = ''TT001''; END');
		FOREACH operator IN ARRAY ARRAY['=', '<>', '<', '<=', '>', '>=', '||', '+', '-', '*', '~~', '~'] LOOP
			EXECUTE format('CREATE OPERATOR contract_trap.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = contract_trap.trap)',
				operator, operand, operand);
		END LOOP;
	END LOOP;
END
$$;
DO $$
DECLARE
	called record;
BEGIN
	-- Every function of the catalog that our scripts could call by its bare name.
	FOR called IN
		SELECT DISTINCT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments,
			pg_get_function_result(p.oid) AS result
		FROM pg_proc AS p
		WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.provariadic = 0
			AND p.prorettype NOT IN (SELECT t.oid FROM pg_type AS t WHERE t.typtype = 'p')
			AND NOT p.proretset
			AND p.proname IN (SELECT m.word[1] FROM amelia_internal.amelia_scripts() AS s,
				regexp_matches(s.script, '\m([a-z_]+)\(', 'g') AS m (word))
			AND NOT EXISTS (SELECT FROM pg_type AS t WHERE t.oid = ANY (p.proargtypes) AND t.typtype = 'p')
	LOOP
		EXECUTE format('CREATE FUNCTION contract_trap.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L',
			called.proname, called.arguments, called.result,
			format('BEGIN RAISE EXCEPTION %L USING ERRCODE = %L; END', 'trapped by ' || called.proname, 'TT001'));
	END LOOP;
END
$$;
SELECT cmp_ok((SELECT count(*) FROM pg_operator AS o WHERE o.oprnamespace = 'contract_trap'::regnamespace), '>', 60::bigint,
	'operators wait');
SELECT cmp_ok((SELECT count(DISTINCT p.proname) FROM pg_proc AS p WHERE p.pronamespace = 'contract_trap'::regnamespace), '>', 5::bigint,
	'functions wait');
DO $$
DECLARE
	relation name;
BEGIN
	FOR relation IN
		SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind IN ('r', 'p', 'v')
		UNION
		VALUES ('pg_proc'), ('pg_class'), ('pg_constraint'), ('pg_attribute'), ('pg_roles')
	LOOP
		EXECUTE format('CREATE TABLE contract_trap.%I (trap text)', relation);
		-- Found before all others by whoever does not say pg_temp last.
		EXECUTE format('CREATE TEMP TABLE %I (trap text)', relation);
	END LOOP;
END
$$;

CREATE ROLE contract_caller;
SELECT amelia.grant_admin('contract_caller') \gset
GRANT USAGE ON SCHEMA contract_trap TO contract_caller;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA contract_trap TO contract_caller;

-- A call as that role, on that path.
CREATE FUNCTION pg_temp.trapped(statement text) RETURNS text LANGUAGE plpgsql
SET search_path = contract_trap, pg_catalog AS $$
BEGIN
	EXECUTE statement;
	RETURN 'not trapped';
EXCEPTION WHEN OTHERS THEN
	RETURN pg_catalog.concat(SQLSTATE, ': ', SQLERRM);
END
$$;
SELECT matches(pg_temp.trapped($$SELECT 'a'::pg_catalog.text = 'b'::pg_catalog.text$$), 'trapped by an operator', 'the trap works: an operator');
SELECT matches(pg_temp.trapped('SELECT now()'), 'trapped by now', 'the trap works: a function');
SELECT is(pg_temp.trapped('INSERT INTO workflows (trap) VALUES (NULL)'), 'not trapped', 'the trap works: a table');

INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('p', '/', '{}');
INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s', 'p');
INSERT INTO amelia.workflow_log (id, workflow_id, event_type, message)
SELECT '00000000-0000-0000-0000-00000000000e', w.id, 't', 'm'
FROM amelia.create_workflow('A-0', '/0', id => '00000000-0000-0000-0000-000000000009') AS w;
CREATE TEMP TABLE calls (place integer GENERATED ALWAYS AS IDENTITY, statement text);
INSERT INTO calls (statement) VALUES
	('amelia.create_workflow(''A-1'', ''/w'', id => ''00000000-0000-0000-0000-000000000001'', issue_cache => ''{}'')'),
	('amelia.create_workflow(''A-1'', ''/w'', id => ''00000000-0000-0000-0000-000000000001'', issue_cache => ''{}'')'),
	('amelia.get_workflow(''00000000-0000-0000-0000-000000000001'')'),
	('amelia.set_workflow_status(''00000000-0000-0000-0000-000000000001'', ''in_progress'')'),
	('amelia.active_workflow(''/w'')'),
	('amelia.set_plan_cache(''00000000-0000-0000-0000-000000000001'', ''{}'')'),
	('amelia.list_workflows(''in_progress'', ''/w'', 5, ''infinity'', ''ffffffff-ffff-ffff-ffff-ffffffffffff'')'),
	('amelia.count_workflows(''in_progress'', ''/w'')'),
	('amelia.list_active_workflows(''/w'')'),
	('amelia.append_event(''00000000-0000-0000-0000-000000000001'', ''file_created'', ''m'', id => ''00000000-0000-0000-0000-0000000000e1'', data => ''{"a": 1}'')'),
	('amelia.append_event(''00000000-0000-0000-0000-000000000001'', ''file_created'', ''m'', id => ''00000000-0000-0000-0000-0000000000e1'', data => ''{"a": 1}'')'),
	('amelia.append_events(''00000000-0000-0000-0000-000000000001'', ''[{"event_type": "t", "message": "m", "id": "00000000-0000-0000-0000-0000000000e2", "data": {}}]'')'),
	('amelia.append_events(''00000000-0000-0000-0000-000000000001'', ''[{"event_type": "t", "message": "m", "id": "00000000-0000-0000-0000-0000000000e2", "data": {}}]'')'),
	('amelia.next_sequence(''00000000-0000-0000-0000-000000000001'', 2)'),
	('amelia.last_sequence(''00000000-0000-0000-0000-000000000001'')'),
	('amelia.events_after(''00000000-0000-0000-0000-000000000001'', 1, 10)'),
	('amelia.events_after_event(''00000000-0000-0000-0000-00000000000e'', 10)'),
	('amelia.recent_events(''00000000-0000-0000-0000-000000000001'', 10)'),
	('amelia.event_exists(''00000000-0000-0000-0000-00000000000e'')'),
	('amelia.record_usage(''00000000-0000-0000-0000-000000000001'', ''a'', ''m'', 1, 1, cost_usd => 0.1, id => ''00000000-0000-0000-0000-0000000000a1'')'),
	('amelia.record_usage(''00000000-0000-0000-0000-000000000001'', ''a'', ''m'', 1, 1, cost_usd => 0.1, id => ''00000000-0000-0000-0000-0000000000a1'')'),
	('amelia.token_summary(''00000000-0000-0000-0000-000000000001'')'),
	('amelia.token_summaries(''{00000000-0000-0000-0000-000000000001}'')'),
	('amelia.seed_prompts(''[{"id": "a.b", "agent": "a", "name": "b"}]'')'),
	('amelia.create_prompt_version(''a.b'', ''text'')'),
	('amelia.prompt_history(''a.b'')'),
	('amelia.current_prompt(''a.b'')'),
	('amelia.record_workflow_prompt(''00000000-0000-0000-0000-000000000001'', ''a.b'', (SELECT v.id FROM amelia.current_prompt(''a.b'') AS v))'),
	('amelia.workflow_prompts(''00000000-0000-0000-0000-000000000001'')'),
	('amelia.set_prompt_version(''a.b'', (SELECT v.id FROM amelia.current_prompt(''a.b'') AS v))'),
	('amelia.reset_prompt(''a.b'')'),
	('amelia.set_active_profile(''p'')'),
	('amelia.active_profile()'),
	('amelia.settings()'),
	('amelia.update_settings(''{"max_concurrent": 7, "stream_tool_results": true, "workflow_start_timeout_seconds": 1.5}'')'),
	('amelia.settings()'),
	('amelia.add_brainstorm_message(''s'', ''user'', ''hello'', id => ''m'', parts => ''[]'', cost_usd => 1)'),
	('amelia.add_brainstorm_message(''s'', ''user'', ''hello'', id => ''m'', parts => ''[]'', cost_usd => 1)'),
	('amelia.brainstorm_messages_after(''s'', 0, 10)'),
	('amelia.list_brainstorm_sessions(''p'', ''active'', 10)'),
	('amelia.brainstorm_usage(''s'')'),
	('amelia.verify()'),
	('amelia.uuid_v7()'),
	('amelia.set_workflow_status(''00000000-0000-0000-0000-000000000001'', ''failed'', ''no reason'')'),
	('amelia.create_workflow(''A-5'', ''/5'', id => ''00000000-0000-0000-0000-000000000005'')'),
	('amelia.claim_workflow(''w'', workflow_types => ''{full}'')'),
	('amelia.claim_workflow(''w'')'),
	('amelia.heartbeat(''00000000-0000-0000-0000-000000000005'', 1, ''1 hour'')'),
	('amelia_internal.check_lease(''00000000-0000-0000-0000-000000000005'', 1)'),
	('amelia.set_worker(''00000000-0000-0000-0000-000000000005'', 1)'),
	('amelia.append_event(''00000000-0000-0000-0000-000000000005'', ''t'', ''m'', lease_token => 1)'),
	('amelia.send_to_workflow(''00000000-0000-0000-0000-000000000005'', ''pause'', ''{}'')'),
	('amelia.take_inbox(''00000000-0000-0000-0000-000000000005'', 1)'),
	('amelia.feed_after()'),
	('amelia.feed_after((SELECT f.next_cursor FROM amelia.feed_after() AS f), 10, ARRAY[''00000000-0000-0000-0000-000000000005'']::pg_catalog.uuid[])'),
	('amelia.queue_status()'),
	('amelia.request_approval(''00000000-0000-0000-0000-000000000005'', 1, ''Shall I?'', ''{}'')'),
	('amelia.decide(''00000000-0000-0000-0000-000000000005'', amelia.last_sequence(''00000000-0000-0000-0000-000000000005''), true, ''yes'')'),
	('amelia.claim_workflow(''w'')'),
	('amelia.release_workflow(''00000000-0000-0000-0000-000000000005'', 2, ''failed'', ''no luck'', ''0'')'),
	('amelia.dead_workflows(5)'),
	('amelia.requeue_workflow(''00000000-0000-0000-0000-000000000005'', 2)'),
	('amelia.claim_workflow(''w'')'),
	('amelia.release_workflow(''00000000-0000-0000-0000-000000000005'', 3)'),
	('amelia.request_cancel(''00000000-0000-0000-0000-000000000005'')'),
	('amelia.prune_feed(''0'')');
GRANT SELECT ON calls TO contract_caller;

SET LOCAL ROLE contract_caller;
CREATE TEMP TABLE outcomes AS
SELECT c.place, c.statement, pg_temp.trapped('SELECT * FROM ' || c.statement) AS outcome
FROM (SELECT * FROM calls ORDER BY place) AS c;
RESET ROLE;
SELECT is(o.outcome, 'not trapped', o.statement) FROM outcomes AS o ORDER BY o.place;

-- Plain statements fire the triggers, which look nothing up on that path either.
SET LOCAL ROLE contract_caller;
CREATE TEMP TABLE plain_outcomes AS
SELECT s.statement, pg_temp.trapped(s.statement) AS outcome
FROM (VALUES
	('INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (''00000000-0000-0000-0000-000000000002'', ''A-2'', ''/x'')'),
	('INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (''00000000-0000-0000-0000-000000000001'', ''t'', ''m'')'),
	('UPDATE amelia.workflow_log SET message = ''n'''),
	('UPDATE amelia.workflows SET status = ''cancelled'' WHERE pg_catalog.uuid_eq(id, ''00000000-0000-0000-0000-000000000002'')'),
	('INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd) VALUES (''00000000-0000-0000-0000-000000000001'', ''a'', ''m'', 1, 1, 1)'),
	('INSERT INTO amelia.brainstorm_messages (id, session_id, role, content) VALUES (''n'', ''s'', ''user'', ''c'')'),
	('UPDATE amelia.brainstorm_sessions SET topic = ''t'''),
	('UPDATE amelia.profiles SET working_dir = ''/x'''),
	('UPDATE amelia.server_settings SET recovery_hours = 1'),
	('DELETE FROM amelia.brainstorm_messages'),
	('DELETE FROM amelia.workflow_log'),
	('DELETE FROM amelia.workflows')) AS s (statement);
RESET ROLE;
SELECT is(o.outcome, 'not trapped', o.statement) FROM plain_outcomes AS o;

-- Nor does the owner's own business. (Not for pg_prove -j, as it drops the schema.)
SET CONSTRAINTS ALL IMMEDIATE;
SET LOCAL client_min_messages = warning;
SELECT is(pg_temp.trapped(s.statement), 'not trapped', s.statement)
FROM (VALUES ('SELECT amelia.grant_reader(''contract_caller'')'), ('SELECT amelia.grant_worker(''contract_caller'')'),
	('SELECT amelia.grant_admin(''contract_caller'')'),
	('ALTER TABLE amelia.workflows DISABLE TRIGGER zzz_workflow_update'), ('SELECT amelia.migrate()'),
	('SELECT * FROM amelia.verify()'),
	('DROP EXTENSION amelia CASCADE'), ('CREATE EXTENSION amelia'),
	('DROP EXTENSION amelia CASCADE'), ('DROP SCHEMA amelia CASCADE'), ('CREATE EXTENSION amelia')) AS s (statement);
SELECT is_empty('SELECT v.* FROM amelia.verify() AS v', 'all is well in the end');

SELECT * FROM finish();
ROLLBACK;
