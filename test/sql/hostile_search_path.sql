-- A schema in front of the search path in which every operator and many a
-- function of PostgreSQL has a twin that raises an error, and temporary tables
-- named like ours: what Amelia does must meet none of them.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

SET client_min_messages = warning;
DROP EXTENSION amelia CASCADE;
DROP SCHEMA amelia CASCADE;
DROP SCHEMA IF EXISTS evil CASCADE;
CREATE SCHEMA evil;
DO $$
DECLARE
	twin record;
	n integer := 0;
BEGIN
	FOR twin IN SELECT o.oprname, o.oprleft::regtype AS l, o.oprright::regtype AS r, o.oprresult::regtype AS result
		FROM pg_operator AS o
		WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprleft <> 0 AND o.oprresult <> 0
	LOOP
		n := n + 1;
		BEGIN
			EXECUTE format('CREATE FUNCTION evil.operator_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS %L',
				n, twin.l, twin.r, twin.result, format('BEGIN RAISE EXCEPTION ''evil operator %s''; END', twin.oprname));
			EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = evil.operator_%s)',
				twin.oprname, twin.l, twin.r, n);
		EXCEPTION WHEN OTHERS THEN
			-- of a type that no user can handle
			NULL;
		END;
	END LOOP;
	FOR twin IN SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, p.prokind,
			pg_get_function_result(p.oid) AS result
		FROM pg_proc AS p
		WHERE p.pronamespace = 'pg_catalog'::regnamespace
			AND p.proname IN ('now', 'format', 'concat', 'concat_ws', 'length', 'lower', 'upper', 'trunc', 'round', 'max', 'min', 'sum',
				'count', 'string_agg', 'array_agg', 'unnest', 'jsonb_typeof', 'jsonb_each', 'jsonb_array_elements', 'jsonb_object_keys',
				'jsonb_build_object', 'jsonb_populate_record', 'jsonb_agg', 'array_to_string', 'pg_has_role', 'gen_random_uuid',
				'current_setting', 'to_jsonb', 'lag', 'row_number', 'quote_ident', 'int4range', 'text', 'numeric')
	LOOP
		BEGIN
			EXECUTE CASE WHEN twin.prokind = 'f' THEN
				format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', twin.proname, twin.arguments, twin.result,
					format('BEGIN RAISE EXCEPTION ''evil function %s''; END', twin.proname))
			ELSE
				format('CREATE FUNCTION evil.%I(%s) RETURNS bigint LANGUAGE plpgsql AS %L', twin.proname, NULLIF(twin.arguments, '*'),
					format('BEGIN RAISE EXCEPTION ''evil aggregate %s''; END', twin.proname))
			END;
		EXCEPTION WHEN OTHERS THEN
			NULL;
		END;
	END LOOP;
END
$$;
CREATE DOMAIN evil.uuid AS pg_catalog.text;
CREATE DOMAIN evil.jsonb AS pg_catalog.text;
CREATE DOMAIN evil.record AS pg_catalog.text;
CREATE TABLE evil.pg_class (a integer);
CREATE TABLE evil.pg_proc (a integer);
CREATE TABLE evil.pg_trigger (a integer);
DO $$
DECLARE
	f regprocedure;
BEGIN
	FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 't'::regnamespace LOOP
		EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog', f);
	END LOOP;
END
$$;
CREATE TEMP TABLE workflows (id pg_catalog.text);
CREATE TEMP TABLE workflow_log (id pg_catalog.text);
CREATE TEMP TABLE token_usage (id pg_catalog.text);
CREATE TEMP TABLE event_types (event_type pg_catalog.text);
CREATE TEMP TABLE server_settings (id pg_catalog.text);
CREATE TEMP TABLE brainstorm_sessions (id pg_catalog.text);
CREATE TEMP TABLE pg_type (a integer);
CREATE TEMP TABLE removed (workflow_id pg_catalog.uuid, session_id pg_catalog.text, sequence integer);
INSERT INTO removed VALUES (t.w(1), 's1', 1000);
RESET client_min_messages;

-- The snares are laid.
SET search_path = pg_temp, evil, pg_catalog;
\set VERBOSITY terse
SELECT 'a' = 'b'::pg_catalog.text;
SELECT 1 + 1;
SELECT now();
\set VERBOSITY default

CREATE EXTENSION amelia;
SELECT * FROM amelia.verify();
SELECT amelia.migrate();
SELECT pg_catalog.regexp_replace(t.rows(), ',.*', '') AS rows;

-- Workflows and events.
SELECT status FROM amelia.create_workflow('I-1', '/w1', issue_cache => '{}', id => t.w(1));
SELECT status FROM amelia.create_workflow('I-1', '/w1', issue_cache => '{}', id => t.w(1));
SELECT status FROM amelia.set_workflow_status(t.w(1), 'in_progress');
SELECT id FROM amelia.get_workflow(t.w(1));
SELECT id FROM amelia.active_workflow('/w1');
SELECT id FROM amelia.list_workflows('in_progress', '/w1', 5, '2999-01-01', t.w(9));
SELECT amelia.count_workflows(), amelia.count_workflows('in_progress', '/w1');
SELECT id FROM amelia.list_active_workflows('/w1');
SELECT amelia.set_plan_cache(t.w(1), '{}');
SELECT amelia.append_event(t.w(1), 'x', 'm', id => t.e(3));
SELECT amelia.append_event(t.w(1), 'x', 'm', id => t.e(3));
SELECT amelia.append_events(t.w(1), '[{"event_type": "x", "message": "m", "id": "eeeeeeee-0000-7000-8000-000000000004"}, {"event_type": "task_failed", "message": "m"}]');
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(1), 'x', 'm') RETURNING sequence;
SELECT amelia.next_sequence(t.w(1), 2);
SELECT amelia.last_sequence(t.w(1));
SELECT sequence FROM amelia.events_after(t.w(1), 4);
SELECT sequence FROM amelia.events_after_event(t.e(4));
SELECT sequence FROM amelia.recent_events(t.w(1), 2);
SELECT amelia.event_exists(t.e(3));
DELETE FROM amelia.workflow_log;
SELECT sequence_floor, events_removed FROM amelia.workflows;
SELECT amelia.append_event(t.w(1), 'x', 'm');
TRUNCATE amelia.workflow_log;
SELECT sequence_floor, events_removed FROM amelia.workflows;
UPDATE amelia.workflows SET status = 'pending';
SELECT status FROM amelia.set_workflow_status(t.w(1), 'failed', 'r');
SELECT level, event_type, message, data FROM amelia.recent_events(t.w(1), 1);

-- Usage, prompts, profiles, settings, chats.
SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 2, cost_usd => 0.5, id => t.u(1));
SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 2, cost_usd => 0.5, id => t.u(1));
SELECT total_input_tokens, total_cost_usd FROM amelia.token_summary(t.w(1));
SELECT amelia.seed_prompts('[{"id": "p", "agent": "a", "name": "n"}]');
SELECT version_number FROM amelia.create_prompt_version('p', 'c');
SELECT version_number FROM amelia.create_prompt_version('p', 'd');
SELECT version_number, id AS version FROM amelia.prompt_history('p') LIMIT 1 \gset
SELECT id FROM amelia.set_prompt_version('p', :'version');
SELECT version_number FROM amelia.current_prompt('p');
SELECT amelia.record_workflow_prompt(t.w(1), 'p', :'version');
SELECT prompt_id, version_number FROM amelia.workflow_prompts(t.w(1));
SELECT id FROM amelia.reset_prompt('p');
INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('work', '/work', '{}'), ('home', '/home', '{}');
SELECT id FROM amelia.set_active_profile('work');
SELECT id FROM amelia.set_active_profile('home');
SELECT id FROM amelia.active_profile();
SELECT max_concurrent FROM amelia.settings();
SELECT max_concurrent FROM amelia.update_settings('{"max_concurrent": 2, "websocket_idle_timeout_seconds": 1.5}');
SELECT max_concurrent FROM amelia.settings();
INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s1', 'work');
SELECT sequence FROM amelia.add_brainstorm_message('s1', 'user', 'c', '[]', 1, 2, 0.5, false, 'm1');
SELECT sequence FROM amelia.add_brainstorm_message('s1', 'user', 'c', '[]', 1, 2, 0.5, false, 'm1');
SELECT sequence FROM amelia.brainstorm_messages_after('s1');
SELECT id FROM amelia.list_brainstorm_sessions('work', 'active');
SELECT input_tokens, cost_usd FROM amelia.brainstorm_usage('s1');
DELETE FROM amelia.brainstorm_messages;
TRUNCATE amelia.brainstorm_messages;
SELECT sequence FROM amelia.add_brainstorm_message('s1', 'user', 'c');
INSERT INTO amelia.prompt_versions (prompt_id, version_number, content) VALUES ('p', 9, 'c');

-- Workers, a person, the feed; a fence, a spent budget, a lost lease.
INSERT INTO amelia.profiles (id, working_dir, agents, max_concurrent) VALUES ('few', '/few', '{}', 1);
INSERT INTO amelia.workflows (id, issue_id, worktree_path, profile_id, priority)
VALUES (t.w(5), 'I-5', '/w5', 'few', 2), (t.w(6), 'I-6', '/w6', 'few', 1), (t.w(7), 'I-7', '/w5', NULL, 0);
SELECT next_cursor AS cursor FROM amelia.feed_after() \gset
SELECT id, lease_token FROM amelia.claim_workflow('a', '1 hour', 'few', '{full,review}');
SELECT id, lease_token FROM amelia.claim_workflow('b');
SELECT id, parked FROM amelia.get_workflow(t.w(7));
SELECT cancel_requested, budget_spent FROM amelia.heartbeat(t.w(5), 1);
SELECT amelia_internal.check_lease(t.w(5), 1);
BEGIN;
SELECT amelia.set_worker(t.w(5), 1);
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(5), 'x', 'm') RETURNING sequence;
UPDATE amelia.workflows SET plan_cache = '{}' WHERE amelia.workflows.id OPERATOR(pg_catalog.=) t.w(5);
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd) VALUES (t.w(5), 'a', 'm', 1, 1, 1);
COMMIT;
SELECT amelia.send_to_workflow(t.w(5), 'pause', '{}');
SELECT kind, data FROM amelia.take_inbox(t.w(5), 1);
SELECT status FROM amelia.request_approval(t.w(5), 1, 'Shall I?', '{}');
SELECT status FROM amelia.decide(t.w(5), t.question(5), true, 'yes');
SELECT id, lease_token FROM amelia.claim_workflow('a', profile_id => 'few');
SELECT status, failures FROM amelia.release_workflow(t.w(5), 2, 'failed', 'no luck');
SELECT id FROM amelia.dead_workflows();
SELECT failures FROM amelia.requeue_workflow(t.w(5), 1);
SELECT id, lease_token FROM amelia.claim_workflow('a');
INSERT INTO amelia.budgets (id, scope, target, period, limit_usd, action) VALUES (t.w(1), 'profile', 'few', 'total', 0, 'block');
SELECT budget_spent, budget_message FROM amelia.heartbeat(t.w(5), 3);
SELECT t.error($$SELECT amelia.claim_workflow('a', profile_id => 'few')$$);
SELECT amelia.compact_budgets();
DELETE FROM amelia.budgets;
SELECT status FROM amelia.release_workflow(t.w(5), 3);
SELECT id, lease_token, failures FROM amelia.claim_workflow('a', '0.001 s');
SELECT pg_catalog.pg_sleep(0.01);
SELECT id, lease_token, failures FROM amelia.claim_workflow('b');
SELECT t.error($$SELECT amelia.heartbeat(t.w(5), 4)$$);
SELECT status FROM amelia.release_workflow(t.w(5), 5, 'completed');
SELECT id, lease_token FROM amelia.claim_workflow('b');
SELECT status FROM amelia.request_cancel(t.w(7));
SELECT by_status, held FROM amelia.queue_status();
SELECT workflow_id, status, (event).event_type FROM amelia.feed_after(:'cursor', 5);
SELECT amelia.prune_feed('0', 3);
CALL amelia.wait_events(t.w(5), 2);
CREATE SCHEMA lg
	CREATE TABLE checkpoints (thread_id pg_catalog.text, checkpoint_id pg_catalog.text);
SELECT amelia.fence_checkpoints('lg');
INSERT INTO lg.checkpoints VALUES ('aaaaaaaa-0000-7000-8000-000000000007', 'c');
SELECT amelia.fence_checkpoints('lg', false);
DROP TABLE lg.checkpoints;
DROP SCHEMA lg;

-- Errors, which format values, come out as they should.
SELECT t.error($$SELECT amelia.set_workflow_status(t.w(1), 'completed')$$);
SELECT t.error($$SELECT amelia.append_events(t.w(1), '[{"event_type": "x", "message": "m", "colour": 1}]')$$);
SELECT t.error($$SELECT amelia.update_settings('{"colour": 1}')$$);
SELECT t.error($$SELECT amelia.seed_prompts('[{"colour": 1}]')$$);
SELECT t.error($$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 2, cost_usd => 'NaN')$$);
SELECT * FROM amelia.verify();

-- What migrate() does when there is much to do.
SET client_min_messages = warning;
DROP EXTENSION amelia CASCADE;
CREATE EXTENSION amelia;
RESET client_min_messages;
SELECT * FROM amelia.verify();
SELECT amelia.append_event(t.w(1), 'x', 'after all that');
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA evil CASCADE;
