-- Calls of every function of the API, and plain writes that meet every trigger:
-- test/assert/discard_caches.pl runs them while no cache outlives a lookup, and
-- then asks the catalog for functions that were not called. One that is new has
-- its call here.
\set ON_ERROR_STOP 1
\set w '\'01970000-0000-7000-8000-000000000001\''
\set x '\'01970000-0000-7000-8000-000000000002\''
\set y '\'01970000-0000-7000-8000-000000000003\''
\set e '\'01970000-0000-7000-8000-00000000000e\''

-- Profiles, settings, prices, budgets.
INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('home', '/', '{}');
UPDATE amelia.profiles SET working_dir = '/home' WHERE id = 'home';
SELECT id FROM amelia.set_active_profile('home');
SELECT id FROM amelia.active_profile();
-- Everything is slow here: leases last, but for one.
SELECT max_concurrent FROM amelia.update_settings('{"max_concurrent": 5, "workflow_start_timeout_seconds": 86400}');
SELECT max_concurrent FROM amelia.settings();
SELECT amelia.load_prices('{"m": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}}');
-- The lists of models.dev and of OpenRouter.
SELECT stored FROM amelia.load_prices('{"p": {"id": "p", "models": {"d": {"id": "d", "cost": {"input": 1, "output": 2}}}}}') AS stored;
SELECT stored FROM amelia.load_prices('{"data": [{"id": "o/r", "pricing": {"prompt": "0.000001", "completion": "0.000002"}}]}') AS stored;
SELECT model FROM amelia.find_price('m');
SELECT amelia_internal.shorter_model_name('a/b');
SELECT amelia_internal.price_rate('{"input": 1, "batch.input": 2}', 'input', 'batch', NULL);
SELECT amelia.price_usage('m', 1000, 1000);
INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'total', 1000, 'block');
INSERT INTO amelia.budgets (scope, target, period, limit_usd, action) VALUES ('workflow', :w, 'day', 1000, 'warn');

-- A workflow's life.
SELECT status FROM amelia.create_workflow('I-1', '/w1', profile_id => 'home', id => :w);
SELECT status FROM amelia.create_workflow('I-2', '/w2', id => :x);
SELECT status FROM amelia.create_workflow('I-3', '/w2', id => :y);
SELECT amelia.set_plan_cache(:w, '{}');
SELECT amelia.link_thread(:w, 'thread'), amelia.link_thread(:w, 'other');
SELECT amelia.unlink_thread('other');
SELECT lease_token FROM amelia.claim_workflow('host-1', '1 day', profile_id => 'home');
SELECT cancel_requested FROM amelia.heartbeat(:w, 1, '1 day');
SELECT amelia_internal.check_lease(:w, 1);
BEGIN;
SELECT amelia.set_worker(:w, 1);
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (:w, 'x', 'plain');
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
VALUES (:w, 'a', 'm', 1, 1, 1, '2020-01-01Z'), (:w, 'a', 'm', 1, 1, 1, now());
COMMIT;
SELECT amelia.append_event(:w, 'x', 'one', data => '{"a": 1}', id => :e, lease_token => 1);
SELECT amelia.append_events(:w, '[{"event_type": "x", "message": "a"}, {"event_type": "x", "message": "b"}]');
SELECT amelia.next_sequence(:w, 2);
SELECT amelia.record_usage(:w, 'a', 'm', 10, 10, lease_token => 1) IS NOT NULL;
SELECT amelia.send_to_workflow(:w, 'hint') > 0;
SELECT kind FROM amelia.take_inbox(:w, 1);
SELECT status FROM amelia.request_approval(:w, 1, 'go on?');
SELECT status FROM amelia.decide(:w, amelia.last_sequence(:w), true);
SELECT lease_token FROM amelia.claim_workflow('host-1', '1 day', profile_id => 'home');
SELECT amelia_internal.give_back(:w, 2);
SELECT lease_token FROM amelia.claim_workflow('host-2', '1 day', profile_id => 'home');
SELECT status FROM amelia.release_workflow(:w, 3, 'completed');
SELECT lease_token FROM amelia.claim_workflow('host-2', '1 day');
SELECT lease_token FROM amelia.claim_workflow('host-3', '1 day');
SELECT status FROM amelia.release_workflow(:x, 1, 'failed', 'bad luck', '1 hour');
SELECT count(*) FROM amelia.dead_workflows();
SELECT status FROM amelia.requeue_workflow(:x);
SELECT lease_token FROM amelia.claim_workflow('host-2', '1 ms');
SELECT pg_sleep(0.01);
SELECT lease_token FROM amelia.claim_workflow('host-4', '1 day');
SELECT status FROM amelia.request_cancel(:y);
SELECT status FROM amelia.set_workflow_status(:y, 'cancelled');
UPDATE amelia.workflow_log SET message = 'changed' WHERE workflow_id = :y;
DELETE FROM amelia.workflow_log WHERE workflow_id = :y AND sequence = 1;
UPDATE amelia.token_usage SET cost_usd = 2 WHERE workflow_id = :w AND "timestamp" = '2020-01-01Z';
DELETE FROM amelia.token_usage WHERE workflow_id = :w AND "timestamp" = '2020-01-01Z';
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
VALUES (:w, 'a', 'm', 1, 1, 1, '2020-01-02Z');

-- Reading.
SELECT id FROM amelia.get_workflow(:w);
SELECT id FROM amelia.active_workflow('/w2');
SELECT id FROM amelia.list_workflows();
SELECT amelia.count_workflows();
SELECT id FROM amelia.list_active_workflows();
SELECT sequence FROM amelia.events_after(:w, 1);
SELECT sequence FROM amelia.events_after_event(:e);
SELECT sequence FROM amelia.recent_events(:w, 2);
SELECT amelia.event_exists(:e), amelia.last_sequence(:w) > 0;
SELECT next_cursor AS cursor FROM amelia.feed_after() \gset
SELECT amelia.append_event(:w, 'x', 'news') > 0;
SELECT count(*) FROM amelia.feed_after(:'cursor');
SELECT amelia.prune_feed('0') > 0;
CALL amelia.wait_events(:w, 0, '1 s');
SELECT held FROM amelia.queue_status();
SELECT total_input_tokens FROM amelia.token_summary(:w);
SELECT total_input_tokens FROM amelia.token_summaries(ARRAY[:w]::uuid[]);
SELECT count(*) FROM amelia.active_workflows;
SELECT count(*) FROM amelia.workflow_overview;

-- What agents cost.
CALL amelia.close_days();
CALL amelia.close_days(anew => true);
SELECT amelia.compact_budgets() >= 0;
SELECT is_spent FROM amelia.budget_status();
SELECT total_workflows FROM amelia.usage_summary('2020-01-01', '2020-01-31');
SELECT count(*) FROM amelia.usage_trend('2020-01-01', '2020-01-31');
SELECT count(*) FROM amelia.usage_by_model('2020-01-01', '2020-01-31');
SELECT count(*) FROM amelia.usage_by_agent('2020-01-01', '2020-01-31');
SELECT count(*) FROM amelia.usage_by_profile('2020-01-01', '2020-01-31');
SELECT count(*) FROM amelia.usage_daily;
SELECT amelia.sparkline(ARRAY[1, 2, 3]);

-- Prompts and chats.
SELECT amelia.seed_prompts('[{"id": "p", "agent": "a", "name": "n"}]');
SELECT version_number, id AS version FROM amelia.create_prompt_version('p', 'text') \gset
SELECT id FROM amelia.reset_prompt('p');
SELECT id FROM amelia.set_prompt_version('p', :'version');
SELECT version_number FROM amelia.prompt_history('p');
SELECT version_number FROM amelia.current_prompt('p');
SELECT amelia.record_workflow_prompt(:w, 'p', :'version');
SELECT prompt_id FROM amelia.workflow_prompts(:w);
INSERT INTO amelia.brainstorm_sessions (id, profile_id, status) VALUES ('s', 'home', 'active');
SELECT sequence FROM amelia.add_brainstorm_message('s', 'user', 'x');
INSERT INTO amelia.brainstorm_messages (id, session_id, role, content) VALUES ('m', 's', 'user', 'x');
DELETE FROM amelia.brainstorm_messages WHERE id = 'm';
SELECT sequence FROM amelia.brainstorm_messages_after('s');
SELECT id FROM amelia.list_brainstorm_sessions();
SELECT messages FROM amelia.brainstorm_usage('s');

-- What only ever refuses.
DO $$
BEGIN
	UPDATE amelia.workflow_log SET id = gen_random_uuid();
	RAISE 'keep_sequence() lets that through';
EXCEPTION WHEN object_not_in_prerequisite_state THEN
END $$;
DO $$
BEGIN
	UPDATE amelia.brainstorm_sessions SET sequence_floor = 0;
	RAISE 'keep_sequence_floor() lets that through';
EXCEPTION WHEN object_not_in_prerequisite_state THEN
END $$;

-- Checkpoints and retention.
CREATE TABLE public.checkpoint_migrations (v integer PRIMARY KEY);
CREATE TABLE public.checkpoints (thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', checkpoint_id text NOT NULL,
	parent_checkpoint_id text, type text, checkpoint jsonb NOT NULL, metadata jsonb NOT NULL DEFAULT '{}',
	PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id));
CREATE TABLE public.checkpoint_blobs (thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', channel text NOT NULL,
	version text NOT NULL, type text NOT NULL, blob bytea, PRIMARY KEY (thread_id, checkpoint_ns, channel, version));
CREATE TABLE public.checkpoint_writes (thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', checkpoint_id text NOT NULL,
	task_id text NOT NULL, idx integer NOT NULL, channel text NOT NULL, type text, blob bytea NOT NULL,
	PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx));
SELECT amelia.register_checkpoints('public');
SELECT amelia.fence_checkpoints('public');
INSERT INTO public.checkpoints (thread_id, checkpoint_id, checkpoint) VALUES ('thread', 'c', '{}'), ('nobody', 'c', '{}');
SELECT threads FROM amelia.checkpoint_stats();
SELECT amelia.delete_thread('nobody');
INSERT INTO public.checkpoints (thread_id, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
SELECT 'chat', 'c' || n, CASE WHEN n > 1 THEN 'c' || n - 1 END, jsonb_build_object('v', 4, 'channel_versions', jsonb_build_object('m', n, 'd', n)),
	'{"source": "loop", "parents": {}, "counters_since_delta_snapshot": {"d": [1, 1]}}' FROM generate_series(1, 5) AS n;
INSERT INTO public.checkpoint_blobs SELECT 'chat', '', c, n::text, CASE WHEN c = 'd' AND n <> 3 THEN 'empty' ELSE 'json' END, '[]'
FROM generate_series(1, 5) AS n, unnest('{m,d}'::text[]) AS c;
INSERT INTO public.checkpoint_writes SELECT 'chat', '', 'c' || n, 't', 0, 'd', 'json', '[]' FROM generate_series(1, 5) AS n;
SELECT * FROM amelia.prune('{chat}', dry_run => true);
SELECT * FROM amelia.prune('{chat,nobody}', keep => 2);
SELECT amelia.copy_thread('chat', 'copy');
SELECT * FROM amelia.prune('{chat}', squash => true);
SELECT * FROM amelia.delete_for_runs('{run}');
SELECT * FROM amelia.verify();
SELECT * FROM amelia.prune('{chat,copy}', 'delete');
SELECT amelia.fence_checkpoints('public', false);
UPDATE amelia.workflows SET completed_at = now() - interval '400 days' WHERE id = :w;
SELECT count(*) FROM amelia.retention_preview();
CALL amelia.run_retention(dry_run => true);
CALL amelia.run_retention();
CALL amelia.run_retention(held_back => 'delete');
SELECT amelia.unregister_checkpoints('public');
SELECT amelia.forget_workflow(:x);
DELETE FROM amelia.usage_history;

-- Administration.
CREATE ROLE regress_reader;
CREATE ROLE regress_worker;
CREATE ROLE regress_admin;
SELECT amelia.grant_reader('regress_reader'), amelia.grant_worker('regress_worker'), amelia.grant_admin('regress_admin');
SELECT state FROM amelia.maintenance_status();
SELECT count(*) > 50 FROM amelia.metrics();
SELECT count(*) FROM amelia.vacuum_holders();
SELECT count(*) FROM amelia.verify();
SELECT count(*) FROM amelia_internal.api_objects('amelia');
SELECT amelia_internal.owners_problem('amelia') IS NULL;
SELECT rows FROM amelia.table_checksum('amelia.event_types', 'event_type');
SELECT count(*) FROM amelia.row_checksums('amelia.event_types', '{event_type}');
SELECT amelia_internal.retry_delay(1) > '0';
DROP TRIGGER zzz_updated_at ON amelia.profiles;
SELECT amelia.migrate() <> '';
TRUNCATE amelia.brainstorm_messages;
DELETE FROM amelia.budgets;

-- Conversations.
CREATE EXTENSION amelia_saga;
SELECT amelia_saga.save_message('p', 'user', 'The cart''s total in src/cart.py', '["bug"]', session_id => 's', id => 'm1') = 'm1';
SELECT amelia_saga.save_message('p', 'user', ' again words', id => 'm2') = 'm2';
SELECT amelia_saga.save_messages('[{"provider": "p", "role": "user", "content": "cart of words", "session_id": "s", "tags": ["x"]}]');
SELECT amelia_saga.save_file('cart.py', '/cart.py', 't', 'def total(): pass', id => 'f1') = 'f1';
SELECT amelia_saga.save_files('[{"filename": "f", "filepath": "/f", "file_type": "t"}]');
ANALYZE amelia_saga.messages;
SELECT amelia_saga.index_english(true);
SELECT count(*) FROM amelia_saga.search_messages('"cart s" OR NEAR(cart words, 3) NOT ^again AND tags : bug*');
SELECT count(*) FROM amelia_saga.search_messages('carts', mode => 'english');
SELECT count(*) FROM amelia_saga.search_files('filename : cart OR total');
SELECT exact FROM amelia_saga.fts5_query('a OR b');
SELECT amelia_internal.saga_words(search) > 0 FROM amelia_saga.messages LIMIT 1;
SELECT to_tsvector('amelia_saga.english', 'Words in english') @@ 'word';
SELECT count(*) FROM amelia_saga.get_message('m1');
SELECT count(*) FROM amelia_saga.get_file('f1');
SELECT count(*) FROM amelia_saga.get_session('s');
SELECT count(*) FROM amelia_saga.list_sessions();
SELECT count(*) FROM amelia_saga.recent_messages();
SELECT amelia_saga.grant_reader('regress_reader'), amelia_saga.grant_writer('regress_worker');
SELECT amelia_saga.health_check();
SELECT count(*) FROM amelia_saga.verify();
SELECT amelia_saga.forget_session('s');
SELECT amelia_saga.migrate() <> '';

-- The platform.
\set a '\'01970000-0000-7000-8000-0000000000a1\''
\set b '\'01970000-0000-7000-8000-0000000000a2\''
\set k '\'01970000-0000-7000-8000-0000000000b1\''
\set l '\'01970000-0000-7000-8000-0000000000b2\''
\set m '\'01970000-0000-7000-8000-0000000000c1\''
\set f '\'01970000-0000-7000-8000-0000000000d1\''
\set g '\'01970000-0000-7000-8000-0000000000e1\''
CREATE EXTENSION amelia_platform;
SELECT amelia_platform.migrate() <> '';
SELECT name FROM amelia_platform.register_agent('a', 'chief_of_staff', id => :a);
SELECT name FROM amelia_platform.register_agent('b', 'master_operator', '["sql"]', id => :b);
SELECT name FROM amelia_platform.update_agent(:b, '{"name": "c"}');
SELECT status FROM amelia_platform.agent_heartbeat(:b, 'busy');
SELECT confidence_score FROM amelia_platform.set_capability(:b, 'sql', 0.9);
SELECT count(*) FROM amelia_platform.list_agents();
SELECT count(*) FROM amelia_platform.match_agents('{sql}');
SELECT task_retention_days FROM amelia_platform.update_settings('{"task_retention_days": 5, "stale_after": "100 days"}');
SELECT task_retention_days FROM amelia_platform.settings();
SELECT status FROM amelia_platform.create_task('k', required_capabilities => '{sql}', id => :k);
SELECT assigned_agent_id FROM amelia_platform.assign_task(:k);
SELECT status FROM amelia_platform.claim_task(:b, '1 day');
SELECT amelia_platform.heartbeat_task(:k, 1, '1 day') > now();
SELECT status FROM amelia_platform.fail_task(:k, 1, 'x', '0 s');
SELECT status FROM amelia_platform.claim_task(:b, '1 day');
SELECT status FROM amelia_platform.complete_task(:k, 2, '{}');
SELECT status FROM amelia_platform.create_task('l', id => :l);
SELECT status FROM amelia_platform.cancel_task(:l);
SELECT count(*) FROM amelia_platform.list_tasks();
SELECT count(*) FROM amelia_platform.search_tasks('k');
SELECT count(*) FROM amelia_platform.overdue_tasks;
SELECT status FROM amelia_platform.send_message(:a, :b, 'task_delegation', jsonb_build_object('task_id', :k), message_id => :m);
CALL amelia_platform.wait_messages(:b);
SELECT status FROM amelia_platform.receive_messages(:b, 1, '1 day');
SELECT status FROM amelia_platform.fail_message(:m, 'x');
UPDATE amelia_platform.agent_messages SET status = 'failed' WHERE id = :m;
SELECT status FROM amelia_platform.redrive_message(:m);
SELECT status FROM amelia_platform.receive_messages(:b, 1, '1 day');
SELECT status FROM amelia_platform.ack_message(:m);
SELECT amelia_platform.broadcast_message(:a, 'x');
INSERT INTO amelia_platform.agent_messages (recipient_id, message_type) VALUES (:b, 'x');
SELECT count(*) FROM amelia_platform.pending_messages(:b);
SELECT count(*) FROM amelia_platform.dead_letters();
SELECT count(*) FROM amelia_platform.message_history(:b);
SELECT count(*) FROM amelia_platform.conversation(:m);
SELECT count(*) FROM amelia_platform.queue_stats();
SELECT status FROM amelia_platform.create_workflow('w', '{"steps": [{"step_id": "p", "step_type": "parallel", "next_steps": ["x", "y"]}, {"step_id": "x", "step_type": "task", "next_steps": ["j"]},
	{"step_id": "y", "step_type": "wait", "conditions": [{"path": "n", "op": "eq", "value": 1}], "next_steps": ["j"]}, {"step_id": "j", "step_type": "join", "next_steps": ["e"]}, {"step_id": "e", "step_type": "end"}]}', id => :f);
SELECT status FROM amelia_platform.start_execution(:f, '{"n": 1}', id => :g);
SELECT status FROM amelia_platform.advance_execution(:g, 'x');
SELECT status FROM amelia_platform.advance_execution(:g, 'y');
SELECT version FROM amelia_platform.set_workflow_definition(:f, '{"steps": [{"step_id": "x", "step_type": "task", "next_steps": ["e"]}, {"step_id": "e", "step_type": "end"}]}');
SELECT count(*) FROM amelia_platform.search_workflows('w');
SELECT amelia_platform.cancel_execution(s.id) IS NULL FROM amelia_platform.start_execution(:f) AS s;
SELECT amelia_platform.fail_execution(s.id, 'x') IS NULL FROM amelia_platform.start_execution(:f) AS s;
SELECT amelia_platform.record_metric(:a, 'm', 1) IS NULL;
SELECT count FROM amelia_platform.agent_metrics(:a, 'm', bucket => 'day');
SELECT amelia_internal.platform_note_fault('agents', :a, '23514', 'x');
INSERT INTO amelia_platform.tasks (title, status, assigned_agent_id, leased_until) VALUES ('left', 'in_progress', :b, now());
CALL amelia_platform.run_maintenance();
CALL amelia_platform.run_maintenance(held_back => 'delete');
SELECT amelia_internal.held_elsewhere() IS NULL;
-- A row that refuses.
ALTER TABLE amelia_platform.tasks ADD CONSTRAINT never CHECK (status <> 'in_progress') NOT VALID;
SELECT count(*) FROM amelia_platform.claim_task(:b, '1 day');
SELECT amelia_platform.grant_reader('regress_reader'), amelia_platform.grant_agent('regress_worker'), amelia_platform.grant_admin('regress_admin');
SELECT count(*) FROM amelia_platform.verify();
DELETE FROM amelia_platform.workflows;
