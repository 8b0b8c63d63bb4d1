-- Which values each column takes and refuses, by trying them: NULLs, the sets
-- of states, ranges, references.
BEGIN;
-- pgTAP may live in any schema. Ours stays off the path.
SELECT set_config('search_path', 'pg_catalog, ' || quote_ident(n.nspname), true) AS path
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pgtap' \gset
SELECT no_plan();

-- What a statement comes to, deferred constraints included. It leaves nothing.
CREATE FUNCTION pg_temp.outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	SET CONSTRAINTS ALL IMMEDIATE;
	RAISE EXCEPTION 'undo' USING ERRCODE = 'TT000';
EXCEPTION
	WHEN SQLSTATE 'TT000' THEN
		RETURN 'accepted';
	WHEN OTHERS THEN
		RETURN SQLSTATE;
END
$$;

-- A plain INSERT of the columns that the object names.
CREATE FUNCTION pg_temp.insertion(table_name text, row_values jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT format('INSERT INTO amelia.%I (%s) SELECT %s FROM jsonb_populate_record(NULL::amelia.%I, %L) AS r',
		table_name, string_agg(quote_ident(k), ', '), string_agg('r.' || quote_ident(k), ', '),
		table_name, row_values)
	FROM jsonb_object_keys(row_values) AS k
$$;

INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('p', '/tree', '{}');
INSERT INTO amelia.workflows (id, issue_id, worktree_path)
VALUES ('00000000-0000-0000-0000-000000000001', 'A-1', '/w'), ('00000000-0000-0000-0000-000000000002', 'A-2', '/w');
INSERT INTO amelia.workflow_log (id, workflow_id, event_type, message)
VALUES ('00000000-0000-0000-0000-00000000000e', '00000000-0000-0000-0000-000000000001', 'file_created', 'a');
INSERT INTO amelia.prompts (id, agent, name) VALUES ('a.b', 'a', 'b'), ('c.d', 'c', 'd');
INSERT INTO amelia.prompt_versions (id, prompt_id, version_number, content)
VALUES ('v1', 'a.b', 1, 'text'), ('w1', 'c.d', 1, 'text');
INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s', 'p');
INSERT INTO amelia.brainstorm_messages (id, session_id, role, content) VALUES ('m', 's', 'user', 'hello');
INSERT INTO amelia.model_prices (model, input, output, cache_read, cache_creation) VALUES ('priced', 1, 1, 1, 1);
INSERT INTO amelia.budgets (id, scope, period, limit_usd, action)
VALUES ('00000000-0000-0000-0000-00000000000b', 'everything', 'total', 1000000, 'warn');

-- A row per table that is accepted.
CREATE TEMP TABLE valid (table_name text PRIMARY KEY, row_values jsonb);
INSERT INTO valid VALUES
	('profiles', '{"id": "q", "working_dir": "/q", "agents": {}}'),
	('workflows', '{"issue_id": "A-3", "worktree_path": "/x"}'),
	('workflow_log', '{"workflow_id": "00000000-0000-0000-0000-000000000001", "event_type": "t", "message": "m"}'),
	('token_usage', '{"workflow_id": "00000000-0000-0000-0000-000000000001", "agent": "a", "model": "m", "input_tokens": 1, "output_tokens": 1, "cost_usd": 1}'),
	('prompts', '{"id": "e.f", "agent": "e", "name": "f"}'),
	('prompt_versions', '{"prompt_id": "a.b", "version_number": 2, "content": "c"}'),
	('workflow_prompt_versions', '{"workflow_id": "00000000-0000-0000-0000-000000000001", "prompt_id": "a.b", "version_id": "v1"}'),
	('brainstorm_sessions', '{"id": "t", "profile_id": "p"}'),
	('brainstorm_messages', '{"id": "n", "session_id": "s", "role": "user", "content": "c"}'),
	('brainstorm_artifacts', '{"id": "x", "session_id": "s", "type": "adr", "path": "/adr"}'),
	('server_settings', '{"id": 1}'),
	('event_types', '{"event_type": "my_event", "domain": "workflow", "level": "info"}'),
	('schema_migrations', '{"version": 99}'),
	('schema_versions', '{"version": 99}'),
	('workflow_leases', '{"workflow_id": "00000000-0000-0000-0000-000000000001", "worker": "w", "lease_token": 1, "expires_at": "2030-01-01T00:00:00Z"}'),
	('workflow_threads', '{"workflow_id": "00000000-0000-0000-0000-000000000001", "thread_id": "t"}'),
	('retention_runs', '{"requested_by": "r", "pid": 1, "thorough": true}'),
	('checkpoint_schemas', '{"schema_name": "s"}'),
	('checkpoint_walks', '{"schema_name": "s", "rule": "r", "thread_id": "t"}'),
	('usage_history', '{"workflow_id": "00000000-0000-0000-0000-000000000001", "day": "2026-01-01", "agent": "a", "model": "m", "input_tokens": 1, "output_tokens": 1, "cache_read_tokens": 1, "cache_creation_tokens": 1, "cost_usd": 1, "duration_ms": 1, "num_turns": 1}'),
	('workflow_history', '{"workflow_id": "00000000-0000-0000-0000-000000000001", "workflow_type": "full", "status": "completed", "deleted_at": "2026-01-01T00:00:00Z"}'),
	('usage_days', '{"day": "2026-01-01", "closed_at": "2026-01-02T01:00:00Z"}'),
	('usage_dirty_days', '{"id": "00000000-0000-0000-0000-000000000001", "day": "2026-01-01"}'),
	('usage_workflow_days', '{"workflow_id": "00000000-0000-0000-0000-000000000001", "day": "2026-01-01", "agent": "a", "model": "m", "input_tokens": 1, "output_tokens": 1, "cache_read_tokens": 1, "cache_creation_tokens": 1, "cost_usd": 1, "duration_ms": 1, "num_turns": 1}'),
	('usage_day_sums', '{"day": "2026-01-01", "agent": "a", "model": "m", "input_tokens": 1, "output_tokens": 1, "cache_read_tokens": 1, "cache_creation_tokens": 1, "cost_usd": 1, "duration_ms": 1, "num_turns": 1}'),
	('usage_day_workflows', '{"day": "2026-01-01", "kind": "agent", "name": "a", "workflow_ids": []}'),
	('model_prices', '{"model": "m", "input": 1, "output": 1, "cache_read": 1, "cache_creation": 1}'),
	('unpriced_usage', '{"usage_id": "00000000-0000-0000-0000-000000000001", "workflow_id": "00000000-0000-0000-0000-000000000001", "model": "m"}'),
	('budgets', '{"scope": "everything", "period": "day", "limit_usd": 1, "action": "warn"}'),
	('budget_spending', '{"budget_id": "00000000-0000-0000-0000-00000000000b", "period_start": "2026-01-01", "amount_usd": 1}'),
	('budget_warnings', '{"budget_id": "00000000-0000-0000-0000-00000000000b", "period_start": "2026-01-01"}');
SELECT is(pg_temp.outcome(pg_temp.insertion(v.table_name, v.row_values)), 'accepted',
	'a plain row of ' || v.table_name)
FROM valid AS v;

-- Every column that is NOT NULL refuses NULL, and no other does. The triggers
-- of the two logs number a row that comes without a sequence, and note it. An
-- identity is nobody's to bring.
SELECT is(pg_temp.outcome(pg_temp.insertion(v.table_name, v.row_values || jsonb_build_object(a.attname, NULL))),
	CASE WHEN a.attnotnull AND a.attname NOT IN ('sequence', 'sequence_allocated')
		THEN '23502' ELSE 'accepted' END,
	format('%s.%s: NULL', v.table_name, a.attname))
FROM valid AS v
JOIN pg_attribute AS a ON a.attrelid = ('amelia.' || v.table_name)::regclass AND a.attnum > 0 AND NOT a.attisdropped
	AND a.attidentity = ''
ORDER BY v.table_name, a.attnum;

-- A CHECK passes on NULL, so what has a set of values is NOT NULL.
SELECT is_empty($$
	SELECT a.attrelid::regclass, a.attname
	FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
	WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind IN ('r', 'p') AND NOT a.attnotnull
		AND a.attname ~ '(^|_)(status|level|role|type|domain|tracker)$' AND a.attname <> 'driver_type'
$$, 'no status column is nullable');

-- Sets of values. argument: what check_choice() calls the set, if it knows it.
CREATE TEMP TABLE sets (table_name text, column_name text, argument text, allowed text[]);
INSERT INTO sets VALUES
	('profiles', 'tracker', NULL, '{noop,github,jira}'),
	('workflows', 'status', 'status', '{pending,in_progress,blocked,completed,failed,cancelled}'),
	('workflows', 'workflow_type', NULL, '{full,review}'),
	('workflow_log', 'level', 'level', '{trace,debug,info,warning,error}'),
	('event_types', 'level', 'level', '{trace,debug,info,warning,error}'),
	('event_types', 'domain', NULL, '{workflow,brainstorm,oracle}'),
	('brainstorm_sessions', 'status', 'session_status', '{active,ready_for_handoff,completed,failed}'),
	('brainstorm_messages', 'role', 'role', '{user,assistant}'),
	('retention_runs', 'outcome', NULL, '{running,completed,failed,stopped,crashed,"held back"}'),
	('usage_days', 'state', NULL, '{closing,closed}'),
	('usage_day_workflows', 'kind', NULL, '{agent,model}'),
	('budgets', 'scope', NULL, '{everything,profile,workflow}'),
	('budgets', 'period', NULL, '{day,month,total}'),
	('budgets', 'action', NULL, '{warn,block}'),
	('brainstorm_artifacts', 'type', NULL, '{adr,spec,readme,design,document}');
CREATE TEMP VIEW candidates AS
SELECT DISTINCT unnest(s.allowed) AS value FROM sets AS s
UNION ALL
VALUES (''), ('Pending'), ('FULL'), (' active'), ('info '), ('fatal'), ('system'), ('none');

-- A budget is for somebody, unless it is for everything.
SELECT is(pg_temp.outcome(pg_temp.insertion(v.table_name, v.row_values || jsonb_build_object(s.column_name, c.value)
		|| CASE WHEN s.column_name = 'scope' AND c.value <> 'everything' THEN '{"target": "00000000-0000-0000-0000-000000000001"}' ELSE '{}' END::jsonb)),
	CASE WHEN c.value = ANY (s.allowed) THEN 'accepted' ELSE '23514' END,
	format('%s.%s: "%s"', s.table_name, s.column_name, c.value))
FROM sets AS s JOIN valid AS v USING (table_name), candidates AS c
ORDER BY s.table_name, s.column_name, c.value;

-- The functions' door knows the same sets as the tables.
SELECT is(pg_temp.outcome(format('SELECT amelia_internal.check_choice(%L, %L)', s.argument, c.value)),
	CASE WHEN c.value = ANY (s.allowed) THEN 'accepted' ELSE '22023' END,
	format('check_choice() of %s: "%s"', s.argument, c.value))
FROM (SELECT DISTINCT t.argument, t.allowed FROM sets AS t WHERE t.argument IS NOT NULL) AS s, candidates AS c
ORDER BY s.argument, c.value;

-- No set is in the catalog that the list above does not have.
SELECT is_empty($$
	SELECT k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)
	FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
	WHERE k.contype = 'c' AND c.relnamespace = 'amelia'::regnamespace
		AND c.relname::text IN (SELECT v.table_name FROM valid AS v)
		AND pg_get_constraintdef(k.oid) LIKE '%= ANY (ARRAY[%'
		AND NOT EXISTS (SELECT FROM sets AS s JOIN pg_attribute AS a
			ON a.attrelid = c.oid AND a.attname = s.column_name
			WHERE s.table_name = c.relname AND k.conkey = ARRAY[a.attnum])
$$, 'every set of values is tested');

-- Single values.
CREATE TEMP TABLE trials (table_name text, column_name text, value jsonb, expected text);
INSERT INTO trials VALUES
	('profiles', 'agents', '[]', '23514'),
	('profiles', 'agents', '"{}"', '23514'),
	('profiles', 'agents', '{"planner": {"driver": "api", "model": "m", "options": {}}}', 'accepted'),
	('workflow_log', 'sequence', '0', '23514'),
	('workflow_log', 'sequence', '-1', '23514'),
	('workflow_log', 'sequence', '1', '23505'),
	('workflow_log', 'sequence', '1000', 'accepted'),
	('workflow_log', 'sequence', '2000000000', 'accepted'), ('workflow_log', 'sequence', '2147483647', '22003'),
	('workflows', 'worktree_path', 'null', 'accepted'),
	('workflow_log', 'id', '"00000000-0000-0000-0000-00000000000e"', '23505'),
	('workflow_log', 'workflow_id', '"00000000-0000-0000-0000-0000000000ff"', '23503'),
	('workflow_log', 'parent_id', '"00000000-0000-0000-0000-00000000000e"', 'accepted'),
	('workflow_log', 'parent_id', '"00000000-0000-0000-0000-0000000000ff"', '23503'),
	('workflow_log', 'event_type', '"of_nobody"', 'accepted'),
	('workflows', 'sequence_floor', '-1', '23514'),
	('workflows', 'events_removed', '-1', '23514'),
	('workflows', 'profile_id', '"of_nobody"', 'accepted'),
	('workflows', 'priority', '-32768', 'accepted'),
	('workflows', 'id', '"00000000-0000-0000-0000-000000000001"', '23505'),
	('workflows', 'id', '"8c2f6f0e-9d3e-4c7a-9d55-d6c1b1a6c001"', 'accepted'),
	('token_usage', 'agent', to_jsonb(repeat('ä', 500)), 'accepted'),
	('token_usage', 'agent', to_jsonb(repeat('a', 1001)), '23514'),
	('token_usage', 'model', to_jsonb(repeat('ä', 500)), 'accepted'),
	('token_usage', 'model', to_jsonb(repeat('a', 1001)), '23514'),
	('token_usage', 'input_tokens', '0', 'accepted'),
	('token_usage', 'input_tokens', '-1', '23514'),
	('token_usage', 'output_tokens', '0', 'accepted'),
	('token_usage', 'output_tokens', '-1', '23514'),
	('token_usage', 'cost_usd', '0', 'accepted'),
	('token_usage', 'cost_usd', '-0.000001', '23514'),
	('token_usage', 'cost_usd', '"NaN"', '23514'),
	('token_usage', 'cost_usd', '9999.999999', 'accepted'),
	('token_usage', 'cost_usd', '10000', '22003'),
	('token_usage', 'cost_usd', '"Infinity"', '22003'),
	('token_usage', 'workflow_id', '"00000000-0000-0000-0000-0000000000ff"', '23503'),
	('prompts', 'current_version_id', '"of_nobody"', '23503'),
	('prompts', 'current_version_id', '"v1"', '23503'),
	('prompt_versions', 'version_number', '0', '23514'),
	('prompt_versions', 'version_number', '-1', '23514'),
	('prompt_versions', 'version_number', '1', '23505'),
	('prompt_versions', 'version_number', '7', 'accepted'),
	('prompt_versions', 'prompt_id', '"of_nobody"', '23503'),
	('workflow_prompt_versions', 'workflow_id', '"00000000-0000-0000-0000-0000000000ff"', '23503'),
	('workflow_prompt_versions', 'prompt_id', '"of_nobody"', '23503'),
	('workflow_prompt_versions', 'version_id', '"of_nobody"', '23503'),
	('brainstorm_sessions', 'profile_id', '"of_nobody"', '23503'),
	('brainstorm_messages', 'session_id', '"of_nobody"', '23503'),
	('brainstorm_messages', 'sequence', '0', '23514'),
	('brainstorm_messages', 'sequence', '-1', '23514'),
	('brainstorm_messages', 'sequence', '1', '23505'),
	('brainstorm_messages', 'sequence', '12', 'accepted'),
	('brainstorm_messages', 'cost_usd', '0.5', 'accepted'),
	('brainstorm_artifacts', 'session_id', '"of_nobody"', '23503'),
	('server_settings', 'id', '2', '23514'),
	('server_settings', 'id', '0', '23514'),
	('workflow_leases', 'workflow_id', '"00000000-0000-0000-0000-0000000000ff"', '23503'),
	('workflow_threads', 'workflow_id', '"00000000-0000-0000-0000-0000000000ff"', '23503'),
	('checkpoint_schemas', 'schema_name', '"public"', '23505'),
	('checkpoint_schemas', 'schema_name', '"a schema that is not there"', 'accepted'),
	('retention_runs', 'id', '1', '428C9'),
	-- a history outlives what it is about
	('usage_history', 'workflow_id', '"00000000-0000-0000-0000-0000000000ff"', 'accepted'),
	('usage_history', 'cost_usd', '123456789.123456', 'accepted'),
	('usage_history', 'input_tokens', '3000000000', 'accepted'),
	('workflow_history', 'workflow_id', '"00000000-0000-0000-0000-0000000000ff"', 'accepted'),
	('usage_days', 'day', '"infinity"', '23514'),
	('model_prices', 'input', '-1', '23514'),
	('model_prices', 'input', '"NaN"', '23514'),
	('model_prices', 'output', '"Infinity"', '23514'),
	('model_prices', 'cache_read', '0', 'accepted'),
	('model_prices', 'valid_to', '"-infinity"', '23514'),
	('model_prices', 'model', '""', '23514'),
	('model_prices', 'model', '"a*b"', '23514'),
	('model_prices', 'model', '"ab*"', 'accepted'),
	('model_prices', 'model', '"*"', 'accepted'),
	('model_prices', 'model', '"priced"', '23P01'),
	('unpriced_usage', 'workflow_id', '"00000000-0000-0000-0000-0000000000ff"', '23503'),
	('budgets', 'limit_usd', '-1', '23514'),
	('budgets', 'limit_usd', '"NaN"', '23514'),
	('budgets', 'limit_usd', '0', 'accepted'),
	('budgets', 'target', '"p"', '23514'),
	('budget_spending', 'budget_id', '"00000000-0000-0000-0000-0000000000ff"', 'accepted'),
	('budget_warnings', 'budget_id', '"00000000-0000-0000-0000-0000000000ff"', '23503'),
	('schema_migrations', 'version', '1', '23505'),
	('schema_versions', 'version', '1', '23505');
SELECT is(pg_temp.outcome(pg_temp.insertion(t.table_name, v.row_values || jsonb_build_object(t.column_name, t.value))),
	t.expected, format('%s.%s: %s', t.table_name, t.column_name, t.value))
FROM trials AS t JOIN valid AS v USING (table_name);

-- A setting that the table refuses is refused by update_settings() as well.
CREATE TEMP TABLE settings_trials (column_name text, value jsonb, expected text);
INSERT INTO settings_trials
SELECT c.name, v.value, v.expected
FROM unnest(ARRAY['log_retention_days', 'trace_retention_days', 'checkpoint_retention_days',
		'orphan_thread_retention_days']) AS c (name),
	(VALUES ('-2'::jsonb, '23514'), ('-2147483648', '23514'), ('-1', 'accepted'), ('0', 'accepted'), ('365', 'accepted'))
		AS v (value, expected)
UNION ALL
SELECT c.name, v.value, v.expected
FROM unnest(ARRAY['websocket_idle_timeout_seconds', 'workflow_start_timeout_seconds']) AS c (name),
	(VALUES ('0'::jsonb, '23514'), ('-0.5', '23514'), ('0.25', 'accepted'), ('86400', 'accepted')) AS v (value, expected)
UNION ALL
VALUES ('max_concurrent', '0'::jsonb, '23514'), ('max_concurrent', '-1', '23514'), ('max_concurrent', '1', 'accepted'),
	('checkpoint_grace_minutes', '-1', '23514'), ('checkpoint_grace_minutes', '0', 'accepted'),
	('checkpoint_grace_minutes', '1440', 'accepted'),
	('retention_max_workflows', '0', '23514'), ('retention_max_workflows', '-1', '23514'),
	('retention_max_workflows', '1', 'accepted'), ('retention_max_workflows', '2147483647', 'accepted'),
	('recovery_hours', '-1', '23514'), ('recovery_hours', '0', 'accepted'), ('recovery_hours', '72', 'accepted'),
	('stream_tool_results', 'true', 'accepted'), ('stream_tool_results', 'false', 'accepted'),
	('keep_latest_days', '-2', '23514'), ('keep_latest_days', '-1', 'accepted'), ('keep_latest_days', '0', 'accepted'),
	('keep_latest', '0', '23514'), ('keep_latest', '1', 'accepted'),
	('squash_idle_days', '-2', '23514'), ('squash_idle_days', '-1', 'accepted'), ('squash_idle_days', '0', 'accepted'),
	('max_lease_hours', '23', '23514'), ('max_lease_hours', '24', 'accepted'),
	('feed_retention_hours', '-2', '23514'), ('feed_retention_hours', '-1', 'accepted'), ('feed_retention_hours', '0', 'accepted'),
	('record_unpriced_usage', 'true', 'accepted'), ('record_unpriced_usage', 'false', 'accepted');
SELECT is(pg_temp.outcome(pg_temp.insertion('server_settings', jsonb_build_object('id', 1, s.column_name, s.value))),
	s.expected, format('server_settings.%s: %s', s.column_name, s.value))
FROM settings_trials AS s;
SELECT is(pg_temp.outcome(format('SELECT amelia.update_settings(%L)', jsonb_build_object(s.column_name, s.value))),
	replace(s.expected, '23514', '22023'), format('update_settings(), %s: %s', s.column_name, s.value))
FROM settings_trials AS s;
-- Greater than every number to numeric's operators, and no number of seconds.
SELECT is(pg_temp.outcome(pg_temp.insertion('server_settings', jsonb_build_object('id', 1, c.name, 'NaN'))),
	'23514', format('server_settings.%s: NaN', c.name))
FROM unnest(ARRAY['websocket_idle_timeout_seconds', 'workflow_start_timeout_seconds']) AS c (name);
SELECT is_empty($$
	SELECT a.attname
	FROM pg_attribute AS a
	WHERE a.attrelid = 'amelia.server_settings'::regclass AND a.attnum > 0 AND NOT a.attisdropped
		AND a.attname NOT IN ('id', 'created_at', 'updated_at')
		AND a.attname::text NOT IN (SELECT s.column_name FROM settings_trials AS s)
$$, 'every setting is tested');

-- At most one active profile, at most one active workflow in a worktree.
SELECT is(pg_temp.outcome($$
	INSERT INTO amelia.profiles (id, working_dir, agents, is_active)
	VALUES ('r1', '/', '{}', true), ('r2', '/', '{}', false), ('r3', '/', '{}', false)$$),
	'accepted', 'one active profile');
SELECT is(pg_temp.outcome($$
	INSERT INTO amelia.profiles (id, working_dir, agents, is_active)
	VALUES ('r1', '/', '{}', true), ('r2', '/', '{}', true)$$),
	'23505', 'two active profiles');
SELECT is(pg_temp.outcome(format($$
	INSERT INTO amelia.workflows (issue_id, worktree_path, status)
	VALUES ('A-4', '/y', %L), ('A-5', '/y', %L)$$, a.value, b.value)),
	CASE WHEN a.value IN ('in_progress', 'blocked') AND b.value IN ('in_progress', 'blocked')
		THEN '23505' ELSE 'accepted' END,
	format('%s and %s in one worktree', a.value, b.value))
FROM sets AS s, unnest(s.allowed) AS a (value), unnest(s.allowed) AS b (value)
WHERE s.table_name = 'workflows' AND s.column_name = 'status';
SELECT is(pg_temp.outcome($$
	INSERT INTO amelia.workflows (issue_id, worktree_path, status)
	VALUES ('A-4', '/y', 'in_progress'), ('A-5', '/z', 'in_progress')$$),
	'accepted', 'in_progress in two worktrees');

-- A prompt's current version is its own, in whichever order they are written.
SELECT is(pg_temp.outcome($$
	INSERT INTO amelia.prompts (id, agent, name, current_version_id) VALUES ('g.h', 'g', 'h', 'x1');
	INSERT INTO amelia.prompt_versions (id, prompt_id, version_number, content) VALUES ('x1', 'g.h', 1, 'c')$$),
	'accepted', 'a prompt before its current version, in one transaction');
SELECT is(pg_temp.outcome($$UPDATE amelia.prompts SET current_version_id = 'v1' WHERE id = 'a.b'$$),
	'accepted', 'a version of its own');
SELECT is(pg_temp.outcome($$UPDATE amelia.prompts SET current_version_id = 'w1' WHERE id = 'a.b'$$),
	'23503', 'a version of another prompt');

-- What a DELETE takes along, and what it refuses.
SELECT is(pg_temp.outcome($$
	UPDATE amelia.prompts SET current_version_id = 'v1' WHERE id = 'a.b';
	DELETE FROM amelia.prompt_versions WHERE id = 'v1'$$), '23503', 'the current version stays');
SELECT is(pg_temp.outcome($$DELETE FROM amelia.prompts WHERE id = 'a.b'$$), '23503', 'a prompt with versions stays');
SELECT is(pg_temp.outcome($$DELETE FROM amelia.profiles WHERE id = 'p'$$), '23503', 'a profile with chats stays');

INSERT INTO amelia.workflow_log (id, workflow_id, event_type, message, parent_id)
VALUES ('00000000-0000-0000-0000-00000000001e', '00000000-0000-0000-0000-000000000001', 'file_modified', 'b',
		'00000000-0000-0000-0000-00000000000e'),
	('00000000-0000-0000-0000-00000000002e', '00000000-0000-0000-0000-000000000002', 'file_modified', 'c',
		'00000000-0000-0000-0000-00000000000e');
DELETE FROM amelia.workflow_log WHERE id = '00000000-0000-0000-0000-00000000000e';
SELECT results_eq(
	'SELECT l.message, l.parent_id IS NULL FROM amelia.workflow_log AS l ORDER BY l.message',
	$$VALUES ('b', true), ('c', true)$$, 'what a deleted event caused stays, without it');
UPDATE amelia.workflow_log SET parent_id = '00000000-0000-0000-0000-00000000001e'
WHERE id = '00000000-0000-0000-0000-00000000002e';

DO $$
DECLARE
	child text;
BEGIN
	FOREACH child IN ARRAY ARRAY['token_usage', 'workflow_prompt_versions', 'workflow_leases', 'workflow_threads'] LOOP
		EXECUTE (SELECT pg_temp.insertion(v.table_name, v.row_values) FROM valid AS v WHERE v.table_name = child);
	END LOOP;
END
$$;
DELETE FROM amelia.workflows WHERE id = '00000000-0000-0000-0000-000000000001';
SELECT results_eq($$
	SELECT 'workflow_log', count(*) FROM amelia.workflow_log UNION ALL
	SELECT 'token_usage', count(*) FROM amelia.token_usage UNION ALL
	SELECT 'workflow_prompt_versions', count(*) FROM amelia.workflow_prompt_versions UNION ALL
	SELECT 'workflow_leases', count(*) FROM amelia.workflow_leases UNION ALL
	SELECT 'workflow_threads', count(*) FROM amelia.workflow_threads
$$, $$
	VALUES ('workflow_log', 1::bigint), ('token_usage', 0), ('workflow_prompt_versions', 0),
		('workflow_leases', 0), ('workflow_threads', 0)
$$, 'a workflow takes along what hangs on it');
SELECT results_eq('SELECT l.message, l.parent_id IS NULL FROM amelia.workflow_log AS l',
	$$VALUES ('c', true)$$, 'what its event caused in another workflow stays');

INSERT INTO amelia.brainstorm_artifacts (id, session_id, type, path) VALUES ('x', 's', 'adr', '/adr');
DELETE FROM amelia.brainstorm_sessions WHERE id = 's';
SELECT is((SELECT count(*) FROM amelia.brainstorm_messages) + (SELECT count(*) FROM amelia.brainstorm_artifacts),
	0::bigint, 'a chat takes along its messages and artifacts');

SELECT * FROM finish();
ROLLBACK;
