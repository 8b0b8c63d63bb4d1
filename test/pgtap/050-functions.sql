-- The functions: how they are called, what they may do, and what the
-- extension owns.
BEGIN;
-- pgTAP may live in any schema. Ours stays off the path, so that names are
-- shown with their schema.
SELECT set_config('search_path', 'pg_catalog, ' || quote_ident(n.nspname), true) AS path
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pgtap' \gset
SELECT no_plan();

-- Arguments with names, order and defaults, the result, and volatility. Callers
-- name arguments, so a name is as much of a promise as a type is.
CREATE TEMP TABLE contract (function_name text, arguments text, result text, volatility text);
INSERT INTO contract VALUES
	-- workflows
	('create_workflow', 'issue_id text, worktree_path text DEFAULT NULL, workflow_type text DEFAULT ''full'', profile_id text DEFAULT NULL, issue_cache jsonb DEFAULT NULL, id uuid DEFAULT NULL', 'amelia.workflows', 'v'),
	('get_workflow', 'id uuid', 'SETOF amelia.workflows', 's'),
	('active_workflow', 'worktree_path text', 'SETOF amelia.workflows', 's'),
	('set_workflow_status', 'id uuid, status text, failure_reason text DEFAULT NULL, lease_token bigint DEFAULT NULL', 'amelia.workflows', 'v'),
	('set_plan_cache', 'id uuid, plan jsonb', 'void', 'v'),
	('list_workflows', 'status text DEFAULT NULL, worktree_path text DEFAULT NULL, row_limit integer DEFAULT 20, after_started_at timestamptz DEFAULT NULL, after_id uuid DEFAULT NULL', 'SETOF amelia.workflows', 's'),
	('count_workflows', 'status text DEFAULT NULL, worktree_path text DEFAULT NULL', 'bigint', 's'),
	('list_active_workflows', 'worktree_path text DEFAULT NULL', 'SETOF amelia.workflows', 's'),
	-- events
	('append_event', 'workflow_id uuid, event_type text, message text, level text DEFAULT NULL, agent text DEFAULT NULL, data jsonb DEFAULT NULL, is_error boolean DEFAULT NULL, "timestamp" timestamptz DEFAULT NULL, id uuid DEFAULT NULL, correlation_id text DEFAULT NULL, tool_name text DEFAULT NULL, tool_input jsonb DEFAULT NULL, trace_id text DEFAULT NULL, parent_id uuid DEFAULT NULL, lease_token bigint DEFAULT NULL', 'integer', 'v'),
	('append_events', 'workflow_id uuid, events jsonb, lease_token bigint DEFAULT NULL', 'int4range', 'v'),
	('next_sequence', 'workflow_id uuid, count integer DEFAULT 1', 'integer', 'v'),
	('last_sequence', 'workflow_id uuid', 'integer', 's'),
	('events_after', 'workflow_id uuid, after_sequence integer DEFAULT 0, row_limit integer DEFAULT 1000', 'SETOF amelia.workflow_log', 's'),
	('events_after_event', 'event_id uuid, row_limit integer DEFAULT 1000', 'SETOF amelia.workflow_log', 's'),
	('recent_events', 'workflow_id uuid, row_limit integer DEFAULT 50', 'SETOF amelia.workflow_log', 's'),
	('event_exists', 'id uuid', 'boolean', 's'),
	-- tokens and cost
	('record_usage', 'workflow_id uuid, agent text, model text, input_tokens bigint, output_tokens bigint, cache_read_tokens bigint DEFAULT 0, cache_creation_tokens bigint DEFAULT 0, cost_usd double precision DEFAULT NULL, duration_ms bigint DEFAULT 0, num_turns bigint DEFAULT 1, "timestamp" timestamptz DEFAULT NULL, id uuid DEFAULT NULL, lease_token bigint DEFAULT NULL, cache_creation_1h_tokens bigint DEFAULT 0, reasoning_tokens bigint DEFAULT 0, input_audio_tokens bigint DEFAULT 0, output_audio_tokens bigint DEFAULT 0, service_tier text DEFAULT NULL, context_tokens bigint DEFAULT NULL, input_includes_cached boolean DEFAULT NULL', 'uuid', 'v'),
	('token_summary', 'workflow_id uuid, OUT total_input_tokens bigint, OUT total_output_tokens bigint, OUT total_cache_read_tokens bigint, OUT total_cache_creation_tokens bigint, OUT total_cost_usd numeric, OUT total_duration_ms bigint, OUT total_turns bigint', 'record', 's'),
	('token_summaries', 'workflow_ids uuid[]', 'TABLE(workflow_id uuid, total_input_tokens bigint, total_output_tokens bigint, total_cache_read_tokens bigint, total_cache_creation_tokens bigint, total_cost_usd numeric, total_duration_ms bigint, total_turns bigint)', 's'),
	('usage_summary', 'start_date date, end_date date, profile_id text DEFAULT NULL, OUT total_cost_usd numeric, OUT total_workflows bigint, OUT total_tokens bigint, OUT total_duration_ms bigint, OUT previous_period_cost_usd numeric, OUT finished_workflows bigint, OUT successful_workflows bigint, OUT success_rate numeric', 'SETOF record', 's'),
	('usage_trend', 'start_date date, end_date date, profile_id text DEFAULT NULL, bucket text DEFAULT ''day'', OUT date date, OUT cost_usd numeric, OUT workflows bigint, OUT by_model jsonb', 'SETOF record', 's'),
	('usage_by_model', 'start_date date, end_date date, profile_id text DEFAULT NULL, OUT model text, OUT workflows bigint, OUT tokens bigint, OUT cost_usd numeric, OUT trend numeric[], OUT successful_workflows bigint, OUT success_rate numeric', 'SETOF record', 's'),
	('usage_by_agent', 'start_date date, end_date date, profile_id text DEFAULT NULL, OUT agent text, OUT workflows bigint, OUT tokens bigint, OUT cost_usd numeric, OUT trend numeric[], OUT successful_workflows bigint, OUT success_rate numeric', 'SETOF record', 's'),
	('usage_by_profile', 'start_date date, end_date date, profile_id text DEFAULT NULL, OUT profile text, OUT workflows bigint, OUT tokens bigint, OUT cost_usd numeric, OUT trend numeric[], OUT successful_workflows bigint, OUT success_rate numeric', 'SETOF record', 's'),
	('close_days', 'IN anew boolean DEFAULT false', NULL, 'v'),
	('find_price', 'model text, at timestamptz DEFAULT now()', 'SETOF amelia.model_prices', 's'),
	('price_usage', 'model text, input_tokens bigint, output_tokens bigint, cache_read_tokens bigint DEFAULT 0, cache_creation_tokens bigint DEFAULT 0, at timestamptz DEFAULT now(), cache_creation_1h_tokens bigint DEFAULT 0, reasoning_tokens bigint DEFAULT 0, input_audio_tokens bigint DEFAULT 0, output_audio_tokens bigint DEFAULT 0, service_tier text DEFAULT NULL, context_tokens bigint DEFAULT NULL, num_turns bigint DEFAULT 1, input_includes_cached boolean DEFAULT NULL', 'numeric', 's'),
	('load_prices', 'prices jsonb, valid_from timestamptz DEFAULT NULL, OUT stored integer, OUT unchanged integer, OUT passed_over jsonb', 'record', 'v'),
	('budget_status', '', 'TABLE(id uuid, scope text, target text, period text, action text, period_start date, period_end date, limit_usd numeric, spent_usd numeric, left_usd numeric, is_spent boolean)', 's'),
	('compact_budgets', '', 'integer', 'v'),
	('sparkline', 'numbers double precision[]', 'text', 'i'),
	-- prompts
	('seed_prompts', 'defaults jsonb', 'integer', 'v'),
	('create_prompt_version', 'prompt_id text, content text, change_note text DEFAULT NULL', 'amelia.prompt_versions', 'v'),
	('set_prompt_version', 'prompt_id text, version_id text', 'amelia.prompts', 'v'),
	('reset_prompt', 'prompt_id text', 'amelia.prompts', 'v'),
	('prompt_history', 'prompt_id text', 'SETOF amelia.prompt_versions', 's'),
	('current_prompt', 'prompt_id text', 'SETOF amelia.prompt_versions', 's'),
	('record_workflow_prompt', 'workflow_id uuid, prompt_id text, version_id text', 'void', 'v'),
	('workflow_prompts', 'workflow_id uuid', 'TABLE(prompt_id text, agent text, name text, version_id text, version_number integer, content text)', 's'),
	-- profiles, settings, brainstorming
	('set_active_profile', 'id text', 'amelia.profiles', 'v'),
	('active_profile', '', 'SETOF amelia.profiles', 's'),
	('settings', '', 'amelia.server_settings', 's'),
	('update_settings', 'changes jsonb', 'amelia.server_settings', 'v'),
	('add_brainstorm_message', 'session_id text, role text, content text, parts jsonb DEFAULT NULL, input_tokens bigint DEFAULT NULL, output_tokens bigint DEFAULT NULL, cost_usd double precision DEFAULT NULL, is_system boolean DEFAULT false, id text DEFAULT NULL', 'amelia.brainstorm_messages', 'v'),
	('brainstorm_messages_after', 'session_id text, after_sequence integer DEFAULT 0, row_limit integer DEFAULT 1000', 'SETOF amelia.brainstorm_messages', 's'),
	('list_brainstorm_sessions', 'profile_id text DEFAULT NULL, status text DEFAULT NULL, row_limit integer DEFAULT 50', 'SETOF amelia.brainstorm_sessions', 's'),
	('brainstorm_usage', 'session_id text', 'TABLE(input_tokens bigint, output_tokens bigint, cost_usd numeric, messages bigint)', 's'),
	-- retention and checkpoints
	('run_retention', 'IN dry_run boolean DEFAULT false, IN held_back text DEFAULT ''keep''', NULL, 'v'),
	('retention_preview', 'OUT rule text, OUT workflows bigint, OUT threads bigint, OUT row_count bigint, OUT bytes bigint, OUT waits_for text', 'SETOF record', 'v'),
	('forget_workflow', 'id uuid', 'void', 'v'),
	('link_thread', 'workflow_id uuid, thread_id text', 'void', 'v'),
	('unlink_thread', 'thread_id text', 'boolean', 'v'),
	('delete_thread', 'thread_id text', 'bigint', 'v'),
	('prune', 'thread_ids text[], strategy text DEFAULT ''keep_latest'', keep integer DEFAULT 1, squash boolean DEFAULT false, dry_run boolean DEFAULT false, force boolean DEFAULT false, OUT thread_id text, OUT checkpoints bigint, OUT blobs bigint, OUT writes bigint, OUT bytes bigint, OUT anchors bigint, OUT problem text', 'SETOF record', 'v'),
	('delete_for_runs', 'run_ids text[], dry_run boolean DEFAULT false, force boolean DEFAULT false, OUT thread_id text, OUT checkpoints bigint, OUT blobs bigint, OUT writes bigint, OUT bytes bigint, OUT anchors bigint, OUT problem text', 'SETOF record', 'v'),
	('copy_thread', 'source_thread_id text, target_thread_id text', 'bigint', 'v'),
	('register_checkpoints', 'schema regnamespace', 'void', 'v'),
	('unregister_checkpoints', 'schema_name name', 'boolean', 'v'),
	('checkpoint_stats', 'OUT schema_name name, OUT owner name, OUT threads bigint, OUT checkpoints bigint, OUT row_count bigint, OUT bytes bigint, OUT oldest timestamptz, OUT newest timestamptz, OUT largest_threads jsonb, OUT prunable_bytes bigint, OUT problem text', 'SETOF record', 'v'),
	('maintenance_status', '', 'TABLE(active boolean, state text, reason text, preloaded boolean, naptime interval, launcher_pid integer, worker_pid integer, last_round timestamptz, last_round_finished timestamptz, last_round_outcome text, last_look timestamptz, next_round timestamptz, errors_in_a_row integer, last_error text, last_error_sqlstate text, last_error_at timestamptz, schema_version integer, code_version integer, checkpoint_problems text[], vacuum_held_by text, vacuum_held_since timestamptz, vacuum_held_age integer)', 'v'),
	('vacuum_holders', '', 'TABLE(holder text, since timestamptz, age integer)', 'v'),
	('metrics', '', 'TABLE(name text, labels jsonb, value double precision, help text)', 'v'),
	-- workers and the feed
	('claim_workflow', 'worker text, lease interval DEFAULT ''00:01:00'', profile_id text DEFAULT NULL, workflow_types text[] DEFAULT NULL', 'TABLE(id uuid, issue_id text, worktree_path text, status text, workflow_type text, profile_id text, plan_cache jsonb, issue_cache jsonb, failure_reason text, created_at timestamptz, started_at timestamptz, completed_at timestamptz, updated_at timestamptz, sequence_floor integer, events_removed bigint, priority smallint, available_at timestamptz, failures integer, max_failures integer, retry_at timestamptz, cancel_requested boolean, parked boolean, lease_token bigint, expires_at timestamptz)', 'v'),
	('heartbeat', 'workflow_id uuid, lease_token bigint, lease interval DEFAULT ''00:01:00'', OUT expires_at timestamptz, OUT cancel_requested boolean, OUT budget_spent boolean, OUT budget_message text', 'record', 'v'),
	('release_workflow', 'workflow_id uuid, lease_token bigint, status text DEFAULT NULL, failure_reason text DEFAULT NULL, retry_after interval DEFAULT NULL', 'amelia.workflows', 'v'),
	('request_cancel', 'workflow_id uuid', 'amelia.workflows', 'v'),
	('requeue_workflow', 'workflow_id uuid, failures integer DEFAULT 1', 'amelia.workflows', 'v'),
	('dead_workflows', 'row_limit integer DEFAULT 100', 'SETOF amelia.workflows', 's'),
	('queue_status', '', 'TABLE(by_status jsonb, oldest_waiting timestamptz, claims_per_minute bigint, expired_leases bigint, held bigint, max_concurrent integer, workers jsonb, passed_over jsonb)', 's'),
	('set_worker', 'workflow_id uuid, lease_token bigint', 'void', 'v'),
	('fence_checkpoints', 'schema name, enable boolean DEFAULT true', 'integer', 'v'),
	('request_approval', 'workflow_id uuid, lease_token bigint, question text, data jsonb DEFAULT NULL', 'amelia.workflows', 'v'),
	('decide', 'workflow_id uuid, question_sequence integer, approved boolean, comment text DEFAULT NULL', 'amelia.workflows', 'v'),
	('send_to_workflow', 'workflow_id uuid, kind text, data jsonb DEFAULT NULL', 'bigint', 'v'),
	('take_inbox', 'workflow_id uuid, lease_token bigint', 'TABLE(id bigint, kind text, data jsonb, sent_at timestamptz)', 'v'),
	('feed_after', 'cursor text DEFAULT NULL, row_limit integer DEFAULT 1000, workflow_ids uuid[] DEFAULT NULL', 'TABLE(next_cursor text, written_at timestamptz, workflow_id uuid, status text, event amelia.workflow_log)', 'v'),
	('wait_events', 'IN workflow_id uuid, IN after_sequence integer DEFAULT 0, IN timeout interval DEFAULT ''00:00:30''', NULL, 'v'),
	('prune_feed', 'keep interval DEFAULT NULL, row_limit integer DEFAULT 10000', 'bigint', 'v'),
	-- the house
	('uuid_v7', '', 'uuid', 'v'),
	('migrate', '', 'text', 'v'),
	('verify', '', 'TABLE(problem text, object text, detail text)', 's'),
	('table_checksum', '"table" regclass, key name, columns name[] DEFAULT NULL, OUT rows bigint, OUT sum text, OUT xor text', 'record', 's'),
	('row_checksums', '"table" regclass, keys name[], columns name[] DEFAULT NULL, OUT key text, OUT hash uuid', 'SETOF record', 's'),
	('grant_reader', 'role name', 'void', 'v'),
	('grant_worker', 'role name', 'void', 'v'),
	('grant_admin', 'role name', 'void', 'v'),
	('grant_monitor', 'role name', 'void', 'v');

CREATE TEMP VIEW actual AS
SELECT p.oid, p.oid::regprocedure AS signature, p.pronamespace::regnamespace AS function_schema, p.proname::text AS function_name,
	regexp_replace(replace(pg_get_function_arguments(p.oid), 'timestamp with time zone', 'timestamptz'),
		'(DEFAULT (NULL|''[^'']*''))::[a-z]+( [a-z]+)*(\[\])?', '\1', 'g') AS arguments,
	replace(pg_get_function_result(p.oid), 'timestamp with time zone', 'timestamptz') AS result, p.provolatile::text AS volatility, l.lanname AS language,
	p.proconfig AS config, p.prosecdef AS security_definer, p.prokind AS kind, p.pronargs AS argument_count,
	p.proargnames AS names, p.prorettype = 'trigger'::regtype AS is_trigger
FROM pg_proc AS p
JOIN pg_language AS l ON l.oid = p.prolang
WHERE p.pronamespace IN ('amelia'::regnamespace, 'amelia_internal'::regnamespace);

SELECT is(format('%s(%s) returns %s, %s', a.function_name, a.arguments, a.result, a.volatility),
	format('%s(%s) returns %s, %s', c.function_name, c.arguments, c.result, c.volatility),
	format('function %s()', c.function_name))
FROM contract AS c LEFT JOIN actual AS a USING (function_name);

SELECT is_empty('SELECT a.function_name FROM actual AS a GROUP BY a.function_name HAVING count(*) > 1',
	'no function is overloaded, so a call with named or unknown arguments is never ambiguous');
SELECT is_empty($$
	SELECT a.signature FROM actual AS a
	WHERE a.argument_count > 0 AND (a.names IS NULL OR '' = ANY (a.names[1:a.argument_count]))
$$, 'every argument has a name');
SELECT is_empty($$
	SELECT a.signature FROM actual AS a WHERE obj_description(a.oid, 'pg_proc') IS NULL
$$, 'every function has a comment');
SELECT is_empty('SELECT a.signature FROM actual AS a WHERE a.security_definer', 'no function is SECURITY DEFINER');

-- What is looked up by name must not depend on the caller's path. These run
-- for each row or event, in C; they look nothing up, or set the path where they do.
-- Procedures that commit cannot have it.
SELECT set_eq($$
	SELECT a.function_name, a.language::text FROM actual AS a
	WHERE a.kind <> 'p' AND ('search_path=pg_catalog, pg_temp' = ANY (a.config)) IS NOT TRUE
$$, $$
	SELECT e.name, 'c'
	FROM unnest(ARRAY['uuid_v7', 'new_uuid', 'touch_updated_at', 'enforce_workflow_update', 'allocate_sequence',
		'keep_sequence', 'keep_sequence_floor', 'append_event', 'write_event', 'append_events', 'claim_workflow', 'complete_workflow', 'mark_usage_day', 'mark_history_day',
		'set_worker', 'end_lease', 'unpark_next', 'fence_workflow', 'fence_thread', 'note_event', 'note_status']) AS e (name)
$$, 'every function has a search_path of its own, save these');

-- What belongs to the extension: the functions in C, and all that is internal.
SELECT set_eq($$
	SELECT pg_describe_object(d.classid, d.objid, d.objsubid)
	FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
	WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'amelia'
$$, $$
	SELECT pg_describe_object('pg_proc'::regclass, a.oid, 0)
	FROM actual AS a WHERE a.language = 'c' OR a.function_schema = 'amelia_internal'::regnamespace
	UNION ALL
	SELECT 'schema amelia_internal'
$$, 'the members of the extension');
SELECT set_eq('SELECT a.function_name FROM actual AS a WHERE a.function_schema = ''amelia''::regnamespace',
	'SELECT c.function_name FROM contract AS c UNION SELECT ''checkpoint_sources''', 'the functions in schema amelia are the API and no others');
SELECT cmp_ok((SELECT count(*) FROM actual AS a WHERE a.language = 'c'), '>=', 20::bigint, '… of which there are some');
SELECT is_empty('SELECT a.signature FROM actual AS a WHERE a.is_trigger AND a.language <> ''c''',
	'trigger functions are in C');
-- The row type of a table is not there yet when a restore makes the members.
SELECT is_empty($$
	SELECT a.signature
	FROM actual AS a JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = a.oid
	JOIN pg_type AS t ON d.refclassid = 'pg_type'::regclass AND t.oid = d.refobjid
	WHERE t.typnamespace = 'amelia'::regnamespace
		AND (a.language = 'c' OR a.function_schema = 'amelia_internal'::regnamespace)
$$, 'no member mentions a type of ours');

-- An event is the same to a plain INSERT, to append_event() and to append_events().
SELECT bag_eq($$
	SELECT a.attname::text FROM pg_attribute AS a
	WHERE a.attrelid = 'amelia.workflow_log'::regclass AND a.attnum > 0 AND NOT a.attisdropped
		AND a.attname NOT IN ('sequence', 'sequence_allocated')
$$, $$
	SELECT n.name FROM actual AS a, unnest(a.names) AS n (name) WHERE a.function_name = 'append_event' AND n.name <> 'lease_token'
$$, 'append_event() takes every column that a client may fill in');
SELECT id AS workflow FROM amelia.create_workflow('A-1', '/w') \gset
SELECT lives_ok(format('SELECT amelia.append_events(%L, %L)', :'workflow', jsonb_build_array(
		jsonb_object_agg(n.name, NULL) || '{"event_type": "t", "message": "m"}')),
	'append_events() knows the same names')
FROM actual AS a, unnest(a.names) AS n (name)
WHERE a.function_name = 'append_event' AND n.name NOT IN ('workflow_id', 'lease_token');
SELECT throws_ok(format('SELECT amelia.append_events(%L, %L)', :'workflow',
		'[{"event_type": "t", "message": "m", "sequence": 1}]'), '22023', NULL, '… and no others');

-- Functions that only read work where nothing can be written, and those that
-- are declared volatile write, save those that look at more than a snapshot.
CREATE FUNCTION pg_temp.outcome_when_read_only(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL transaction_read_only = on;
	EXECUTE statement;
	RAISE EXCEPTION 'undo' USING ERRCODE = 'TT000';
EXCEPTION
	WHEN SQLSTATE 'TT000' THEN
		RETURN 'done';
	WHEN OTHERS THEN
		RETURN SQLSTATE;
END
$$;
SELECT amelia.seed_prompts('[{"id": "a.b", "agent": "a", "name": "b"}]') AS seeded,
	(amelia.create_prompt_version('a.b', 'text')).id AS version \gset
INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('p', '/', '{}');
INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s', 'p');
SELECT e.id AS event FROM amelia.recent_events(:'workflow', 1) AS e \gset
SELECT id AS forgotten FROM amelia.create_workflow('A-3', '/y') \gset
-- LangGraph's tables, as its savers make them, of a role that others are members of.
CREATE ROLE contract_application;
CREATE SCHEMA contract_langgraph AUTHORIZATION contract_application
	CREATE TABLE checkpoints (thread_id text, checkpoint_ns text DEFAULT '', checkpoint_id text,
		parent_checkpoint_id text, type text, checkpoint jsonb NOT NULL, metadata jsonb NOT NULL DEFAULT '{}',
		PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id))
	CREATE TABLE checkpoint_blobs (thread_id text, checkpoint_ns text DEFAULT '', channel text, version text,
		type text NOT NULL, blob bytea, PRIMARY KEY (thread_id, checkpoint_ns, channel, version))
	CREATE TABLE checkpoint_writes (thread_id text, checkpoint_ns text DEFAULT '', checkpoint_id text, task_id text,
		idx integer, channel text NOT NULL, type text, blob bytea NOT NULL, task_path text NOT NULL DEFAULT '',
		PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx));
CREATE SCHEMA contract_others AUTHORIZATION contract_application
	CREATE TABLE checkpoints (LIKE contract_langgraph.checkpoints INCLUDING ALL)
	CREATE TABLE checkpoint_blobs (LIKE contract_langgraph.checkpoint_blobs INCLUDING ALL)
	CREATE TABLE checkpoint_writes (LIKE contract_langgraph.checkpoint_writes INCLUDING ALL);
SELECT amelia.register_checkpoints('contract_langgraph');
INSERT INTO contract_langgraph.checkpoints (thread_id, checkpoint_id, checkpoint) VALUES ('copied', 'c', '{"v": 4}');
-- What workers hold: one workflow for each function that ends its lease.
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, max_failures)
SELECT ('00000000-0000-0000-0000-000000000c0' || n)::uuid, 'C-' || n, '/c' || n,
	CASE n WHEN 6 THEN 'blocked' WHEN 7 THEN 'failed' ELSE 'in_progress' END, 3
FROM generate_series(1, 7) AS n;
INSERT INTO amelia.workflow_leases (workflow_id, worker, lease_token, expires_at)
SELECT w.id, 'w', 1, 'infinity' FROM amelia.workflows AS w WHERE w.status = 'in_progress' AND w.issue_id LIKE 'C-%';
INSERT INTO amelia.workflow_log (workflow_id, sequence, event_type, message)
VALUES ('00000000-0000-0000-0000-000000000c06', 1, 'approval_required', 'q');
CREATE TEMP TABLE calls (function_name text, arguments text);
INSERT INTO calls VALUES
	('create_workflow', '''A-2'', ''/x'''),
	('get_workflow', quote_literal(:'workflow')),
	('active_workflow', '''/w'''),
	('set_workflow_status', format('%L, %L', :'workflow', 'in_progress')),
	('transition_event', '''pending'', ''in_progress'''),
	('write_event', format('%L, %L, %L', :'workflow', 'file_created', 'm')),
	('hold_workflow', quote_literal(:'workflow')),
	('lock_workflow', quote_literal(:'workflow')),
	('set_plan_cache', format('%L, %L', :'workflow', '{}')),
	('list_workflows', ''),
	('count_workflows', ''),
	('list_active_workflows', ''),
	('append_event', format('%L, %L, %L', :'workflow', 'file_created', 'm')),
	('append_events', format('%L, %L', :'workflow', '[{"event_type": "t", "message": "m"}]')),
	('next_sequence', quote_literal(:'workflow')),
	('last_sequence', quote_literal(:'workflow')),
	('events_after', quote_literal(:'workflow')),
	('events_after_event', quote_literal(:'event')),
	('recent_events', quote_literal(:'workflow')),
	('event_exists', quote_literal(:'event')),
	('record_usage', format('%L, %L, %L, 1, 1, cost_usd => 0.1', :'workflow', 'a', 'm')),
	('token_summary', quote_literal(:'workflow')),
	('token_summaries', format('ARRAY[%L]::uuid[]', :'workflow')),
	('token_sums', format('ARRAY[%L]::uuid[]', :'workflow')),
	('usage_summary', '''2026-01-01'', ''2026-01-02'''),
	('usage_trend', '''2026-01-01'', ''2026-01-02'''),
	('usage_by_model', '''2026-01-01'', ''2026-01-02'''),
	('usage_by_agent', '''2026-01-01'', ''2026-01-02'''),
	('usage_by_profile', '''2026-01-01'', ''2026-01-02'''),
	('find_price', '''m'''),
	('price_of', '''m'', now()'),
	('usage_price', '''m'', 1, 1, 0, 0, now(), 0, 0, 0, 0, NULL, NULL, 1, NULL'),
	('price_usage', '''m'', 1, 1'),
	('load_prices', '''{"m": {"input_cost_per_token": 0.000001}}'''),
	('store_price', '''{"model": "n", "input": 1, "output": 1, "cache_read": 1, "cache_creation": 1, "input_includes_cached": false, "rates": {}}'', NULL'),
	('price_rate', '''{"input": 1}'', ''input'', NULL, NULL'),
	('reports_cached_as_input', '''openai'', ''m'''),
	('shorter_model_name', '''a/m'''),
	('listed_prices', '''{"m": {"input_cost_per_token": 0.000001}}'''),
	('litellm_rates', '''{"input_cost_per_token": 0.000001}'''),
	('models_dev_rates', '''{"input": 1}'''),
	('openrouter_rates', '''{"prompt": "1"}'''),
	('check_usage', '1, 1, 0, 0, 0, 0, 0, 0, NULL'),
	('check_service_tier', '''batch'''),
	('check_integers', '''{a}'', ''{1}'''),
	('sparkline', 'ARRAY[1, 2]'),
	('budget_status', ''),
	('budgets_now', ''),
	('budget_period', '''day'', now()'),
	('check_budgets', format('%L, NULL', :'workflow')),
	('spent_budget', format('%L, NULL', :'workflow')),
	('compact_budgets', ''),
	('seed_prompts', '''[{"id": "c.d", "agent": "c", "name": "d"}]'''),
	('check_objects', '''a'', ''[]'', ''{}'', ''{}'''),
	('lock_prompt', '''a.b'''),
	('create_prompt_version', '''a.b'', ''text'''),
	('set_prompt_version', format('%L, %L', 'a.b', :'version')),
	('check_prompt_version', format('%L, %L', 'a.b', :'version')),
	('reset_prompt', '''a.b'''),
	('prompt_history', '''a.b'''),
	('current_prompt', '''a.b'''),
	('record_workflow_prompt', format('%L, %L, %L', :'workflow', 'a.b', :'version')),
	('workflow_prompts', quote_literal(:'workflow')),
	('set_active_profile', '''p'''),
	('active_profile', ''),
	('settings', ''),
	('current_settings', ''),
	('setting_list', ''),
	('update_settings', '''{"max_concurrent": 7}'''),
	('check_settings', '''{"max_concurrent": 7}'''),
	('add_brainstorm_message', '''s'', ''user'', ''hello'''),
	('brainstorm_messages_after', '''s'''),
	('list_brainstorm_sessions', ''),
	('brainstorm_usage', '''s'''),
	('role_privileges', ''),
	('own_routines', '''amelia'''),
	('grant_privileges', '''{reader}'', CURRENT_USER'),
	('grant_reader', 'CURRENT_USER'),
	('grant_worker', 'CURRENT_USER'),
	('grant_admin', 'CURRENT_USER'),
	('grant_monitor', 'CURRENT_USER'),
	('metrics', ''),
	('waiting_sessions', ''),
	('status_counts', ''),
	('oldest_claimable', ''),
	('moves_within', '''1 minute'''),
	('due_workflows', ''),
	('newly_dead', ''),
	('cost_today', ''),
	('verify', ''),
	('table_checksum', '''amelia.workflows'', ''id'''),
	('row_checksums', '''amelia.workflows'', ''{id}'''),
	('check_schema', '''amelia'''),
	('is_restoring', ''),
	('verify_schema', ''),
	('verify_sequences', ''),
	('verify_references', ''),
	('verify_workflows', ''),
	('verify_checkpoints', ''),
	('amelia_scripts', ''),
	('api_objects', '''amelia'''),
	('owners_problem', '''amelia'''),
	('retention_preview', ''),
	('preview_retention', ''),
	('link_thread', format('%L, %L', :'workflow', 't')),
	('unlink_thread', '''t'''),
	('delete_thread', '''t'''),
	('prune', '''{t}'''),
	('delete_for_runs', '''{r}'''),
	('copy_thread', '''copied'', gen_random_uuid()::text'),
	('delete_checkpoints', '''t'''),
	('unregister_checkpoints', '''contract_langgraph'''),
	('forget_workflow', quote_literal(:'forgotten')),
	('checkpoint_stats', ''),
	('checkpoint_sources', ''),
	('checkpoint_places', ''),
	('checkpoint_columns_problem', '''pg_catalog''::regnamespace'), ('checkpoint_columns', ''), ('unknown_checkpoints', ''),
	('register_checkpoints', '''contract_others'''),
	('maintenance_status', ''),
	('held_elsewhere', ''),
	('maintenance_state', ''),
	('vacuum_holders', ''),
	('held_vacuum', ''),
	('uuid_v7', ''),
	('new_uuid', ''),
	('check_given', '''a'', 1'),
	('check_limit', '1'),
	('check_cursor', '1'),
	('check_choice', '''status'', ''pending'''),
	('check_container', '''a'', ''{}'''),
	('check_count', '''a'', 1'),
	('check_cost', '''a'', 1'),
	('claim_workflow', '''w'''),
	('heartbeat', '''00000000-0000-0000-0000-000000000c01'', 1'),
	('check_lease', '''00000000-0000-0000-0000-000000000c01'', 1'),
	('set_worker', '''00000000-0000-0000-0000-000000000c01'', 1'),
	('send_to_workflow', '''00000000-0000-0000-0000-000000000c01'', ''pause'''),
	('take_inbox', '''00000000-0000-0000-0000-000000000c01'', 1'),
	('give_back', '''00000000-0000-0000-0000-000000000c02'', 1'),
	('release_workflow', '''00000000-0000-0000-0000-000000000c03'', 1, ''failed'''),
	('request_approval', '''00000000-0000-0000-0000-000000000c04'', 1, ''Shall I?'''),
	('request_cancel', '''00000000-0000-0000-0000-000000000c05'''),
	('decide', '''00000000-0000-0000-0000-000000000c06'', 1, true'),
	('requeue_workflow', '''00000000-0000-0000-0000-000000000c07'''),
	('dead_workflows', ''),
	('queue_status', ''),
	('retry_delay', '1'),
	('fence_checkpoints', '''contract_langgraph'''),
	('feed_after', ''),
	('feed_now', ''),
	('prune_feed', ''),
	('trim_feed', 'NULL, 1'),
	('check_transition', format('%L, %L, %L', :'workflow', 'pending', 'in_progress'));
SELECT is(pg_temp.outcome_when_read_only(format('SELECT * FROM %s.%I(%s)', a.function_schema, c.function_name, c.arguments)),
	CASE WHEN a.volatility = 'v' AND a.function_name NOT IN ('uuid_v7', 'new_uuid', 'retention_preview', 'preview_retention', 'checkpoint_stats',
		'maintenance_status', 'maintenance_state', 'vacuum_holders', 'held_vacuum', 'held_elsewhere', 'metrics', 'waiting_sessions', 'retry_delay', 'feed_after', 'feed_now') THEN '25006' ELSE 'done' END,
	format('%s() where nothing can be written', c.function_name))
FROM calls AS c LEFT JOIN actual AS a USING (function_name);

-- A role that may call a function may call all that it calls in turn.
CREATE FUNCTION pg_temp.outcome_as(role name, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE statement;
	RAISE EXCEPTION 'undo' USING ERRCODE = 'TT000';
EXCEPTION
	WHEN SQLSTATE 'TT000' THEN
		RETURN 'done';
	WHEN OTHERS THEN
		RETURN concat(SQLSTATE, ': ', SQLERRM);
END
$$;
CREATE ROLE contract_reader;
CREATE ROLE contract_worker;
CREATE ROLE contract_admin;
-- Where LangGraph's tables are is their owner's to say.
GRANT contract_application TO contract_worker, contract_admin;
SELECT amelia.grant_reader('contract_reader'), amelia.grant_worker('contract_worker'),
	amelia.grant_admin('contract_admin') \gset
SELECT is(pg_temp.outcome_as(r.role, format('SELECT * FROM %s.%I(%s)', a.function_schema, c.function_name, c.arguments)),
	'done', format('%s() as %s', c.function_name, r.role))
FROM calls AS c JOIN actual AS a USING (function_name),
	unnest(ARRAY['contract_reader', 'contract_worker', 'contract_admin']) AS r (role)
WHERE has_function_privilege(r.role, a.oid, 'EXECUTE');

SELECT lives_ok(format('SELECT * FROM %s.%I(%s)', a.function_schema, c.function_name, c.arguments),
	format('%s() where something can be written', c.function_name))
FROM calls AS c JOIN actual AS a USING (function_name) WHERE a.volatility = 'v';
-- migrate() has nothing to write when the schema is complete.
SELECT is_empty($$
	SELECT a.signature FROM actual AS a
	WHERE NOT a.is_trigger AND a.kind = 'f' AND a.function_name NOT IN ('migrate', 'amelia_migrate')
		AND a.function_name NOT IN (SELECT c.function_name FROM calls AS c)
		-- they are called by others, and cannot name the row type that they return;
		-- the schema's script called the last
		AND a.function_name NOT IN ('complete_workflow', 'move_workflow', 'revoke_defaults')
$$, 'every function was called');
SELECT matches(amelia.migrate(), 'nothing to do', 'migrate() finds a complete schema');

SELECT * FROM finish();
ROLLBACK;
