-- The tables and their columns, keys and foreign keys, as the specification
-- lists them.
BEGIN;
-- pgTAP may live in any schema. Ours stays off the path, so that names are
-- shown with their schema.
SELECT set_config('search_path', 'pg_catalog, ' || quote_ident(n.nspname), true) AS path
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pgtap' \gset
SELECT no_plan();

SELECT matches(obj_description('amelia'::regnamespace, 'pg_namespace'), '^Amelia', 'the schema has a comment');

CREATE TEMP TABLE contract (table_name text, column_name text, definition text);
INSERT INTO contract VALUES
	('profiles', 'id', 'text NOT NULL'),
	('profiles', 'tracker', 'text NOT NULL DEFAULT ''noop''::text'),
	('profiles', 'working_dir', 'text NOT NULL'),
	('profiles', 'plan_output_dir', 'text NOT NULL DEFAULT ''docs/plans''::text'),
	('profiles', 'plan_path_pattern', 'text NOT NULL DEFAULT ''docs/plans/{date}-{issue_key}.md''::text'),
	('profiles', 'agents', 'jsonb NOT NULL'),
	('profiles', 'max_concurrent', 'integer'),
	('profiles', 'is_active', 'boolean NOT NULL DEFAULT false'),
	('profiles', 'created_at', 'ts'),
	('profiles', 'updated_at', 'ts'),

	('workflows', 'id', 'uuid NOT NULL DEFAULT amelia.uuid_v7()'),
	('workflows', 'issue_id', 'text NOT NULL'),
	('workflows', 'worktree_path', 'text'),
	('workflows', 'status', 'text NOT NULL DEFAULT ''pending''::text'),
	('workflows', 'workflow_type', 'text NOT NULL DEFAULT ''full''::text'),
	('workflows', 'profile_id', 'text'),
	('workflows', 'plan_cache', 'jsonb'),
	('workflows', 'issue_cache', 'jsonb'),
	('workflows', 'failure_reason', 'text'),
	('workflows', 'created_at', 'ts'),
	('workflows', 'started_at', 'timestamp with time zone'),
	('workflows', 'completed_at', 'timestamp with time zone'),
	('workflows', 'updated_at', 'ts'),
	('workflows', 'sequence_floor', 'integer NOT NULL DEFAULT 0'),
	('workflows', 'events_removed', 'bigint NOT NULL DEFAULT 0'),
	('workflows', 'priority', 'smallint NOT NULL DEFAULT 0'),
	('workflows', 'available_at', 'ts'),
	('workflows', 'failures', 'integer NOT NULL DEFAULT 0'),
	('workflows', 'max_failures', 'integer NOT NULL DEFAULT 3'),
	('workflows', 'retry_at', 'timestamp with time zone'),
	('workflows', 'cancel_requested', 'boolean NOT NULL DEFAULT false'),
	('workflows', 'traces_removed_to', 'integer'),
	('workflows', 'parked', 'boolean NOT NULL DEFAULT false'),

	('workflow_log', 'id', 'uuid NOT NULL DEFAULT amelia.uuid_v7()'),
	('workflow_log', 'workflow_id', 'uuid NOT NULL'),
	('workflow_log', 'sequence', 'integer NOT NULL'),
	('workflow_log', 'timestamp', 'ts'),
	('workflow_log', 'level', 'text NOT NULL DEFAULT ''debug''::text'),
	('workflow_log', 'event_type', 'text NOT NULL'),
	('workflow_log', 'agent', 'text'),
	('workflow_log', 'message', 'text NOT NULL'),
	('workflow_log', 'data', 'jsonb'),
	('workflow_log', 'is_error', 'boolean NOT NULL DEFAULT false'),
	('workflow_log', 'correlation_id', 'text'),
	('workflow_log', 'tool_name', 'text'),
	('workflow_log', 'tool_input', 'jsonb'),
	('workflow_log', 'trace_id', 'text'),
	('workflow_log', 'parent_id', 'uuid'),

	('token_usage', 'id', 'uuid NOT NULL DEFAULT amelia.uuid_v7()'),
	('token_usage', 'workflow_id', 'uuid NOT NULL'),
	('token_usage', 'agent', 'text NOT NULL'),
	('token_usage', 'model', 'text NOT NULL'),
	('token_usage', 'input_tokens', 'integer NOT NULL'),
	('token_usage', 'output_tokens', 'integer NOT NULL'),
	('token_usage', 'cache_read_tokens', 'integer DEFAULT 0'),
	('token_usage', 'cache_creation_tokens', 'integer DEFAULT 0'),
	('token_usage', 'cost_usd', 'numeric(10,6) NOT NULL'),
	('token_usage', 'duration_ms', 'integer NOT NULL DEFAULT 0'),
	('token_usage', 'num_turns', 'integer NOT NULL DEFAULT 1'),
	('token_usage', 'timestamp', 'ts'),

	('prompts', 'id', 'text NOT NULL'),
	('prompts', 'agent', 'text NOT NULL'),
	('prompts', 'name', 'text NOT NULL'),
	('prompts', 'description', 'text'),
	('prompts', 'current_version_id', 'text'),

	('prompt_versions', 'id', 'text NOT NULL DEFAULT gen_random_uuid()'),
	('prompt_versions', 'prompt_id', 'text NOT NULL'),
	('prompt_versions', 'version_number', 'integer NOT NULL'),
	('prompt_versions', 'content', 'text NOT NULL'),
	('prompt_versions', 'change_note', 'text'),
	('prompt_versions', 'created_at', 'ts'),

	('workflow_prompt_versions', 'workflow_id', 'uuid NOT NULL'),
	('workflow_prompt_versions', 'prompt_id', 'text NOT NULL'),
	('workflow_prompt_versions', 'version_id', 'text'),

	('brainstorm_sessions', 'id', 'text NOT NULL'),
	('brainstorm_sessions', 'profile_id', 'text NOT NULL'),
	('brainstorm_sessions', 'driver_session_id', 'text'),
	('brainstorm_sessions', 'driver_type', 'text'),
	('brainstorm_sessions', 'topic', 'text'),
	('brainstorm_sessions', 'output_artifact_path', 'text'),
	('brainstorm_sessions', 'status', 'text NOT NULL DEFAULT ''active''::text'),
	('brainstorm_sessions', 'created_at', 'ts'),
	('brainstorm_sessions', 'updated_at', 'ts'),

	('brainstorm_messages', 'id', 'text NOT NULL'),
	('brainstorm_messages', 'session_id', 'text NOT NULL'),
	('brainstorm_messages', 'sequence', 'integer NOT NULL'),
	('brainstorm_messages', 'role', 'text NOT NULL'),
	('brainstorm_messages', 'content', 'text NOT NULL'),
	('brainstorm_messages', 'parts', 'jsonb'),
	('brainstorm_messages', 'created_at', 'ts'),
	('brainstorm_messages', 'input_tokens', 'integer'),
	('brainstorm_messages', 'output_tokens', 'integer'),
	('brainstorm_messages', 'cost_usd', 'numeric(10,6)'),
	('brainstorm_messages', 'is_system', 'boolean NOT NULL DEFAULT false'),

	('brainstorm_artifacts', 'id', 'text NOT NULL'),
	('brainstorm_artifacts', 'session_id', 'text NOT NULL'),
	('brainstorm_artifacts', 'type', 'text NOT NULL'),
	('brainstorm_artifacts', 'path', 'text NOT NULL'),
	('brainstorm_artifacts', 'title', 'text'),
	('brainstorm_artifacts', 'created_at', 'ts'),

	-- There is one row at most, so an INSERT need not name its id.
	('server_settings', 'id', 'integer NOT NULL DEFAULT 1'),
	('server_settings', 'log_retention_days', 'integer NOT NULL DEFAULT 30'),
	('server_settings', 'trace_retention_days', 'integer NOT NULL DEFAULT 7'),
	('server_settings', 'checkpoint_retention_days', 'integer NOT NULL DEFAULT 0'),
	('server_settings', 'websocket_idle_timeout_seconds', 'numeric NOT NULL DEFAULT 300'),
	('server_settings', 'workflow_start_timeout_seconds', 'numeric NOT NULL DEFAULT 60'),
	('server_settings', 'max_concurrent', 'integer NOT NULL DEFAULT 5'),
	('server_settings', 'stream_tool_results', 'boolean NOT NULL DEFAULT false'),
	('server_settings', 'recovery_hours', 'integer NOT NULL DEFAULT 24'),
	('server_settings', 'feed_retention_hours', 'integer NOT NULL DEFAULT 24'),
	('server_settings', 'max_lease_hours', 'integer NOT NULL DEFAULT 24'),
	('server_settings', 'keep_latest_days', 'integer NOT NULL DEFAULT ''-1''::integer'),
	('server_settings', 'keep_latest', 'integer NOT NULL DEFAULT 1'),
	('server_settings', 'squash_idle_days', 'integer NOT NULL DEFAULT ''-1''::integer'),
	('server_settings', 'orphan_thread_retention_days', 'integer NOT NULL DEFAULT ''-1''::integer'),
	('server_settings', 'checkpoint_grace_minutes', 'integer NOT NULL DEFAULT 60'),
	('server_settings', 'retention_max_workflows', 'integer NOT NULL DEFAULT 10000'),
	('server_settings', 'created_at', 'ts'),
	('server_settings', 'updated_at', 'ts'),

	('event_types', 'event_type', 'text NOT NULL'),
	('event_types', 'domain', 'text NOT NULL'),
	('event_types', 'level', 'text NOT NULL'),
	('event_types', 'persisted', 'boolean NOT NULL DEFAULT true'),

	('schema_migrations', 'version', 'integer NOT NULL'),
	('schema_migrations', 'applied_at', 'ts'),
	('schema_versions', 'version', 'integer NOT NULL'),
	('schema_versions', 'applied_at', 'ts'),

	('workflow_leases', 'workflow_id', 'uuid NOT NULL'),
	('workflow_leases', 'worker', 'text NOT NULL'),
	('workflow_leases', 'lease_token', 'bigint NOT NULL'),
	('workflow_leases', 'claimed_at', 'ts'),
	('workflow_leases', 'expires_at', 'timestamp with time zone'),
	('workflow_leases', 'seen_at', 'ts'),
	('workflow_leases', 'starts_until', 'timestamp with time zone'),
	('workflow_leases', 'given_back', 'boolean NOT NULL DEFAULT false'),
	('workflow_leases', 'slot', 'integer'),
	('workflow_leases', 'profile_id', 'text'),
	('workflow_leases', 'profile_slot', 'integer'),

	('claim_faults', 'workflow_id', 'uuid NOT NULL'),
	('claim_faults', 'failed_at', 'ts'),
	('claim_faults', 'times', 'integer NOT NULL DEFAULT 1'),
	('claim_faults', 'retry_at', 'timestamp with time zone NOT NULL'),
	('claim_faults', 'sqlstate', 'text NOT NULL'),
	('claim_faults', 'reason', 'text NOT NULL'),

	('workflow_inbox', 'id', 'bigint NOT NULL'),
	('workflow_inbox', 'workflow_id', 'uuid NOT NULL'),
	('workflow_inbox', 'kind', 'text NOT NULL'),
	('workflow_inbox', 'data', 'jsonb'),
	('workflow_inbox', 'sent_at', 'ts'),
	('workflow_inbox', 'taken_at', 'timestamp with time zone'),
	('workflow_inbox', 'lease_token', 'bigint'),

	('workflow_feed', 'origin', 'bigint NOT NULL'),
	('workflow_feed', 'lsn', 'pg_lsn NOT NULL'),
	('workflow_feed', 'xid', 'xid8 NOT NULL'),
	('workflow_feed', 'number', 'integer NOT NULL'),
	('workflow_feed', 'written_at', 'timestamp with time zone NOT NULL DEFAULT clock_timestamp()'),
	('workflow_feed', 'workflow_id', 'uuid NOT NULL'),
	('workflow_feed', 'first_sequence', 'integer'),
	('workflow_feed', 'last_sequence', 'integer'),
	('workflow_feed', 'moved_to', 'text'),

	('feed_snapshots', 'origin', 'bigint NOT NULL'),
	('feed_snapshots', 'taken_at', 'timestamp with time zone NOT NULL DEFAULT clock_timestamp()'),
	('feed_snapshots', 'snapshot', 'pg_snapshot NOT NULL'),
	('feed_snapshots', 'high', 'pg_lsn NOT NULL'),
	('feed_snapshots', 'pruned', 'boolean NOT NULL DEFAULT false'),

	('workflow_threads', 'workflow_id', 'uuid NOT NULL'),
	('workflow_threads', 'thread_id', 'text NOT NULL'),

	-- begun before the work, in a transaction of its own
	('retention_runs', 'id', 'bigint NOT NULL'),
	('retention_runs', 'started_at', 'timestamp with time zone NOT NULL DEFAULT clock_timestamp()'),
	('retention_runs', 'finished_at', 'timestamp with time zone'),
	('retention_runs', 'requested_by', 'text NOT NULL'),
	('retention_runs', 'worker', 'boolean NOT NULL DEFAULT false'),
	('retention_runs', 'pid', 'integer NOT NULL'),
	('retention_runs', 'thorough', 'boolean NOT NULL'),
	('retention_runs', 'trace_events', 'bigint NOT NULL DEFAULT 0'),
	('retention_runs', 'checkpoint_threads', 'bigint NOT NULL DEFAULT 0'),
	('retention_runs', 'checkpoint_rows', 'bigint NOT NULL DEFAULT 0'),
	('retention_runs', 'events', 'bigint NOT NULL DEFAULT 0'),
	('retention_runs', 'workflows', 'bigint NOT NULL DEFAULT 0'),
	('retention_runs', 'orphan_threads', 'bigint NOT NULL DEFAULT 0'),
	('retention_runs', 'pruned_threads', 'bigint NOT NULL DEFAULT 0'),
	('retention_runs', 'pruned_rows', 'bigint NOT NULL DEFAULT 0'),
	('retention_runs', 'pruned_bytes', 'bigint NOT NULL DEFAULT 0'),
	('retention_runs', 'batches', 'integer NOT NULL DEFAULT 0'),
	('retention_runs', 'batches_failed', 'integer NOT NULL DEFAULT 0'),
	('retention_runs', 'outcome', 'text NOT NULL DEFAULT ''running''::text'),
	('retention_runs', 'sqlstate', 'text'),
	('retention_runs', 'error', 'text'),

	-- by name, so that a dump can be restored before the schema is there
	('checkpoint_walks', 'schema_name', 'name NOT NULL'),
	('checkpoint_walks', 'rule', 'text NOT NULL'),
	('checkpoint_walks', 'thread_id', 'text NOT NULL'),
	('checkpoint_schemas', 'schema_name', 'name NOT NULL'),
	('checkpoint_schemas', 'registered_by', 'name NOT NULL DEFAULT CURRENT_USER'),
	('checkpoint_schemas', 'registered_at', 'ts'),
	('checkpoint_schemas', 'left_alone', 'boolean NOT NULL DEFAULT false'),

	-- sums, which no column of a single row could hold
	('usage_history', 'workflow_id', 'uuid NOT NULL'),
	('usage_history', 'day', 'date NOT NULL'),
	('usage_history', 'agent', 'text NOT NULL'),
	('usage_history', 'model', 'text NOT NULL'),
	('usage_history', 'input_tokens', 'bigint NOT NULL'),
	('usage_history', 'output_tokens', 'bigint NOT NULL'),
	('usage_history', 'cache_read_tokens', 'bigint NOT NULL'),
	('usage_history', 'cache_creation_tokens', 'bigint NOT NULL'),
	('usage_history', 'cost_usd', 'numeric NOT NULL'),
	('usage_history', 'duration_ms', 'bigint NOT NULL'),
	('usage_history', 'num_turns', 'bigint NOT NULL'),

	('workflow_history', 'workflow_id', 'uuid NOT NULL'),
	('workflow_history', 'profile_id', 'text'),
	('workflow_history', 'workflow_type', 'text NOT NULL'),
	('workflow_history', 'status', 'text NOT NULL'),
	('workflow_history', 'started_at', 'timestamp with time zone'),
	('workflow_history', 'completed_at', 'timestamp with time zone'),
	('workflow_history', 'deleted_at', 'timestamp with time zone NOT NULL'),
	('workflow_history', 'usage_until', 'timestamp with time zone'),

	('usage_days', 'day', 'date NOT NULL'),
	('usage_days', 'state', 'text NOT NULL DEFAULT ''closing''::text'),
	('usage_days', 'announced_at', 'ts'),
	('usage_days', 'closed_at', 'timestamp with time zone'),
	('usage_days', 'workflows', 'bigint NOT NULL DEFAULT 0'),
	('usage_days', 'workflow_ids', 'uuid[] NOT NULL DEFAULT ''{}''::uuid[]'),
	('usage_days', 'workflow_costs', 'numeric[] NOT NULL DEFAULT ''{}''::numeric[]'),
	('usage_days', 'workflow_tokens', 'bigint[] NOT NULL DEFAULT ''{}''::bigint[]'),

	('usage_dirty_days', 'id', 'uuid NOT NULL'),
	('usage_dirty_days', 'day', 'date NOT NULL'),

	('usage_workflow_days', 'day', 'date NOT NULL'),
	('usage_workflow_days', 'workflow_id', 'uuid NOT NULL'),
	('usage_workflow_days', 'agent', 'text NOT NULL'),
	('usage_workflow_days', 'model', 'text NOT NULL'),
	('usage_workflow_days', 'input_tokens', 'bigint NOT NULL'),
	('usage_workflow_days', 'output_tokens', 'bigint NOT NULL'),
	('usage_workflow_days', 'cache_read_tokens', 'bigint NOT NULL'),
	('usage_workflow_days', 'cache_creation_tokens', 'bigint NOT NULL'),
	('usage_workflow_days', 'cost_usd', 'numeric NOT NULL'),
	('usage_workflow_days', 'duration_ms', 'bigint NOT NULL'),
	('usage_workflow_days', 'num_turns', 'bigint NOT NULL'),

	('usage_day_sums', 'day', 'date NOT NULL'),
	('usage_day_sums', 'agent', 'text NOT NULL'),
	('usage_day_sums', 'model', 'text NOT NULL'),
	('usage_day_sums', 'input_tokens', 'bigint NOT NULL'),
	('usage_day_sums', 'output_tokens', 'bigint NOT NULL'),
	('usage_day_sums', 'cache_read_tokens', 'bigint NOT NULL'),
	('usage_day_sums', 'cache_creation_tokens', 'bigint NOT NULL'),
	('usage_day_sums', 'cost_usd', 'numeric NOT NULL'),
	('usage_day_sums', 'duration_ms', 'bigint NOT NULL'),
	('usage_day_sums', 'num_turns', 'bigint NOT NULL'),

	('usage_day_workflows', 'day', 'date NOT NULL'),
	('usage_day_workflows', 'kind', 'text NOT NULL'),
	('usage_day_workflows', 'name', 'text NOT NULL'),
	('usage_day_workflows', 'workflow_ids', 'uuid[] NOT NULL'),

	('model_prices', 'id', 'uuid NOT NULL DEFAULT amelia.uuid_v7()'),
	('model_prices', 'model', 'text NOT NULL'),
	('model_prices', 'valid_from', 'timestamp with time zone'),
	('model_prices', 'valid_to', 'timestamp with time zone'),
	('model_prices', 'input', 'numeric NOT NULL'),
	('model_prices', 'output', 'numeric NOT NULL'),
	('model_prices', 'cache_read', 'numeric NOT NULL'),
	('model_prices', 'cache_creation', 'numeric NOT NULL'),
	('model_prices', 'input_includes_cached', 'boolean NOT NULL DEFAULT false'),
	('model_prices', 'rates', 'jsonb NOT NULL DEFAULT ''{}''::jsonb'),

	('unpriced_usage', 'usage_id', 'uuid NOT NULL'),
	('unpriced_usage', 'workflow_id', 'uuid NOT NULL'),
	('unpriced_usage', 'model', 'text NOT NULL'),
	('unpriced_usage', 'recorded_at', 'ts'),

	('budgets', 'id', 'uuid NOT NULL DEFAULT amelia.uuid_v7()'),
	('budgets', 'scope', 'text NOT NULL'),
	('budgets', 'target', 'text'),
	('budgets', 'period', 'text NOT NULL'),
	('budgets', 'limit_usd', 'numeric NOT NULL'),
	('budgets', 'action', 'text NOT NULL'),
	('budgets', 'created_at', 'ts'),

	('budget_spending', 'id', 'uuid NOT NULL DEFAULT amelia.uuid_v7()'),
	('budget_spending', 'budget_id', 'uuid NOT NULL'),
	('budget_spending', 'period_start', 'date NOT NULL'),
	('budget_spending', 'amount_usd', 'numeric NOT NULL'),
	('budget_spending', 'workflow_id', 'uuid'),

	('budget_warnings', 'budget_id', 'uuid NOT NULL'),
	('budget_warnings', 'period_start', 'date NOT NULL'),
	('budget_warnings', 'warned_at', 'ts');
UPDATE contract SET definition = 'timestamp with time zone NOT NULL DEFAULT now()' WHERE definition = 'ts';

CREATE TEMP VIEW actual AS
SELECT c.oid AS table_oid, c.relname::text AS table_name, a.attnum, a.attname::text AS column_name,
	format_type(a.atttypid, a.atttypmod)
		|| CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
		|| COALESCE(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') AS definition
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind IN ('r', 'p');

SELECT has_table('amelia'::name, t.table_name::name, 'table ' || t.table_name)
FROM (SELECT DISTINCT c.table_name FROM contract AS c) AS t
ORDER BY t.table_name;

SELECT is(a.definition, c.definition, format('column %s.%s', c.table_name, c.column_name))
FROM contract AS c
LEFT JOIN actual AS a USING (table_name, column_name)
ORDER BY c.table_name, a.attnum;

-- A column that the specification does not name is ours, and says why it is there.
SELECT is_empty($$
	SELECT a.table_name, a.column_name
	FROM actual AS a
	WHERE col_description(a.table_oid, a.attnum) IS NULL
		AND a.table_name IN (SELECT c.table_name FROM contract AS c)
		AND (a.table_name, a.column_name) NOT IN (SELECT c.table_name, c.column_name FROM contract AS c)
$$, 'every column that is not in the contract has a comment');

-- An INSERT that knows nothing of such a column works.
SELECT is_empty($$
	SELECT a.table_name, a.column_name, a.definition
	FROM actual AS a
	WHERE a.definition LIKE '% NOT NULL%' AND a.definition NOT LIKE '% DEFAULT %'
		AND a.table_name IN (SELECT c.table_name FROM contract AS c)
		AND (a.table_name, a.column_name) NOT IN (SELECT c.table_name, c.column_name FROM contract AS c)
$$, 'every column that is not in the contract can be left out');

SELECT is_empty($$
	SELECT c.relname
	FROM pg_class AS c
	WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
		AND obj_description(c.oid, 'pg_class') IS NULL
$$, 'every table and view has a comment');

SELECT set_eq('SELECT a.table_name FROM actual AS a', 'SELECT c.table_name FROM contract AS c',
	'every table is in the contract');

-- The views' columns keep their names; new ones come last.
SELECT set_eq($$
	SELECT c.relname::text, string_agg(a.attname::text, ', ' ORDER BY a.attnum)
	FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
	WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind IN ('v', 'm')
	GROUP BY c.relname
$$, $$
	VALUES ('active_workflows', 'id, issue_id, worktree_path, workflow_type, profile_id, status, created_at, started_at, running_for'),
		('kept_usage', 'workflow_id, day, agent, model, input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens, cost_usd, duration_ms, num_turns'),
		('usage_daily', 'day, agent, model, input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens, cost_usd, duration_ms, num_turns'),
		('workflow_overview', 'id, issue_id, worktree_path, workflow_type, profile_id, status, failure_reason, created_at, started_at, completed_at, duration, last_sequence, last_event_type, last_message, last_event_at, cost_usd, tokens')
$$, 'the views');

-- Primary keys and unique constraints.
CREATE TEMP TABLE contract_keys (table_name text, definition text);
INSERT INTO contract_keys VALUES
	('profiles', 'PRIMARY KEY (id)'),
	('workflows', 'PRIMARY KEY (id)'),
	('workflow_log', 'PRIMARY KEY (id)'),
	('workflow_log', 'UNIQUE (workflow_id, sequence)'),
	('token_usage', 'PRIMARY KEY (id)'),
	('prompts', 'PRIMARY KEY (id)'),
	('prompt_versions', 'PRIMARY KEY (id)'),
	('prompt_versions', 'UNIQUE (prompt_id, version_number)'),
	-- what the foreign key of prompts refers to
	('prompt_versions', 'UNIQUE (prompt_id, id)'),
	('workflow_prompt_versions', 'PRIMARY KEY (workflow_id, prompt_id)'),
	('brainstorm_sessions', 'PRIMARY KEY (id)'),
	('brainstorm_messages', 'PRIMARY KEY (id)'),
	('brainstorm_messages', 'UNIQUE (session_id, sequence)'),
	('brainstorm_artifacts', 'PRIMARY KEY (id)'),
	('server_settings', 'PRIMARY KEY (id)'),
	('event_types', 'PRIMARY KEY (event_type)'),
	('schema_migrations', 'PRIMARY KEY (version)'),
	('schema_versions', 'PRIMARY KEY (version)'),
	('workflow_leases', 'PRIMARY KEY (workflow_id)'),
	('claim_faults', 'PRIMARY KEY (workflow_id)'),
	('workflow_inbox', 'PRIMARY KEY (id)'),
	('workflow_feed', 'PRIMARY KEY (origin, lsn, xid, number)'),
	('feed_snapshots', 'PRIMARY KEY (origin, taken_at)'),
	-- a thread belongs to one workflow
	('workflow_threads', 'PRIMARY KEY (thread_id)'),
	('retention_runs', 'PRIMARY KEY (id)'),
	('checkpoint_schemas', 'PRIMARY KEY (schema_name)'),
	('checkpoint_walks', 'PRIMARY KEY (schema_name, rule)'),
	('usage_history', 'PRIMARY KEY (workflow_id, day, agent, model)'),
	('workflow_history', 'PRIMARY KEY (workflow_id)'),
	('usage_days', 'PRIMARY KEY (day)'),
	('usage_dirty_days', 'PRIMARY KEY (id)'),
	('usage_workflow_days', 'PRIMARY KEY (day, workflow_id, agent, model)'),
	('usage_day_sums', 'PRIMARY KEY (day, agent, model)'),
	('usage_day_workflows', 'PRIMARY KEY (day, kind, name)'),
	('model_prices', 'PRIMARY KEY (id)'),
	-- a model has one price at a time
	('model_prices', 'EXCLUDE USING gist (int8range(hashtextextended(model, (0)::bigint), hashtextextended(model, (0)::bigint), ''[]''::text) WITH &&, tstzrange(valid_from, valid_to) WITH &&)'),
	('unpriced_usage', 'PRIMARY KEY (usage_id)'),
	('budgets', 'PRIMARY KEY (id)'),
	('budget_spending', 'PRIMARY KEY (id)'),
	('budget_warnings', 'PRIMARY KEY (budget_id, period_start)');
SELECT set_eq($$
	SELECT c.relname::text, pg_get_constraintdef(k.oid)
	FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
	WHERE k.contype IN ('p', 'u', 'x') AND c.relnamespace = 'amelia'::regnamespace
		AND c.relname::text IN (SELECT t.table_name FROM contract AS t)
$$, 'SELECT k.table_name, k.definition FROM contract_keys AS k', 'primary keys and unique constraints');

-- Whoever publishes all tables may go on to update and delete.
SELECT is_empty($$
	SELECT c.oid::regclass
	FROM pg_class AS c
	WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind IN ('r', 'p') AND c.relreplident <> 'f'
		AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisvalid
			AND CASE c.relreplident WHEN 'd' THEN i.indisprimary ELSE i.indisreplident END)
$$, 'every table has a replica identity');

-- Foreign keys and what a DELETE of the parent does.
CREATE TEMP TABLE contract_references (table_name text, definition text);
INSERT INTO contract_references VALUES
	('workflow_log', 'FOREIGN KEY (workflow_id) REFERENCES amelia.workflows(id) ON DELETE CASCADE'),
	('workflow_log', 'FOREIGN KEY (parent_id) REFERENCES amelia.workflow_log(id) ON DELETE SET NULL'),
	('token_usage', 'FOREIGN KEY (workflow_id) REFERENCES amelia.workflows(id) ON DELETE CASCADE'),
	('prompts', 'FOREIGN KEY (id, current_version_id) REFERENCES amelia.prompt_versions(prompt_id, id) DEFERRABLE INITIALLY DEFERRED'),
	('prompt_versions', 'FOREIGN KEY (prompt_id) REFERENCES amelia.prompts(id)'),
	('workflow_prompt_versions', 'FOREIGN KEY (workflow_id) REFERENCES amelia.workflows(id) ON DELETE CASCADE'),
	('workflow_prompt_versions', 'FOREIGN KEY (prompt_id) REFERENCES amelia.prompts(id)'),
	-- the version is one of that prompt
	('workflow_prompt_versions', 'FOREIGN KEY (prompt_id, version_id) REFERENCES amelia.prompt_versions(prompt_id, id)'),
	('brainstorm_sessions', 'FOREIGN KEY (profile_id) REFERENCES amelia.profiles(id)'),
	('brainstorm_messages', 'FOREIGN KEY (session_id) REFERENCES amelia.brainstorm_sessions(id) ON DELETE CASCADE'),
	('brainstorm_artifacts', 'FOREIGN KEY (session_id) REFERENCES amelia.brainstorm_sessions(id) ON DELETE CASCADE'),
	('workflow_leases', 'FOREIGN KEY (workflow_id) REFERENCES amelia.workflows(id) ON DELETE CASCADE'),
	('claim_faults', 'FOREIGN KEY (workflow_id) REFERENCES amelia.workflows(id) ON DELETE CASCADE'),
	('workflow_inbox', 'FOREIGN KEY (workflow_id) REFERENCES amelia.workflows(id) ON DELETE CASCADE'),
	('workflow_threads', 'FOREIGN KEY (workflow_id) REFERENCES amelia.workflows(id) ON DELETE CASCADE'),
	('unpriced_usage', 'FOREIGN KEY (workflow_id) REFERENCES amelia.workflows(id) ON DELETE CASCADE'),
	('budget_warnings', 'FOREIGN KEY (budget_id) REFERENCES amelia.budgets(id) ON DELETE CASCADE');
SELECT set_eq($$
	SELECT c.relname::text, pg_get_constraintdef(k.oid)
	FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
	WHERE k.contype = 'f' AND c.relnamespace = 'amelia'::regnamespace
		AND c.relname::text IN (SELECT t.table_name FROM contract AS t)
$$, 'SELECT r.table_name, r.definition FROM contract_references AS r', 'foreign keys');
SELECT is_empty($$
	SELECT k.conname
	FROM pg_constraint AS k
	WHERE k.connamespace = 'amelia'::regnamespace AND NOT k.convalidated
$$, 'every constraint is validated');

-- A dump or a client that knows plain tables only gets true row counts.
SELECT is_empty($$
	SELECT c.relname, r.rulename
	FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
	WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind IN ('r', 'p')
$$, 'no table has a rule');
SELECT is_empty($$
	SELECT c.relname, t.tgname
	FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
	WHERE c.relnamespace = 'amelia'::regnamespace AND (t.tgtype & 64) <> 0
$$, 'nothing has an INSTEAD OF trigger');
SELECT is_empty($$
	SELECT c.relname
	FROM pg_class AS c
	WHERE c.relnamespace = 'amelia'::regnamespace
		AND c.relname::text IN (SELECT t.table_name FROM contract AS t)
		AND (c.relkind NOT IN ('r', 'p') OR c.relpersistence <> 'p' OR c.relrowsecurity OR c.relforcerowsecurity)
$$, 'the tables are permanent, and row level security is left to the operator');

-- The list of settings, and the table's own idea of them.
CREATE FUNCTION pg_temp.default_of(column_name name) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	result jsonb;
	expression text;
BEGIN
	SELECT pg_get_expr(d.adbin, d.adrelid) INTO expression
	FROM pg_attrdef AS d JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
	WHERE d.adrelid = 'amelia.server_settings'::regclass AND a.attname = column_name;
	EXECUTE format('SELECT to_jsonb(%s)', expression) INTO result;
	RETURN result;
END
$$;
SELECT set_eq($$
	SELECT a.attname::text, pg_temp.default_of(a.attname)
	FROM pg_attribute AS a
	WHERE a.attrelid = 'amelia.server_settings'::regclass AND a.attnum > 0 AND NOT a.attisdropped
		AND a.attname NOT IN ('id', 'created_at', 'updated_at')
$$, 'SELECT l.name, l.initial FROM amelia_internal.setting_list() AS l', 'setting_list() has the columns of server_settings and their defaults');
SELECT throws_ok(format('INSERT INTO amelia.server_settings (%I) VALUES (%s)', l.name, CASE WHEN l.is_above_zero THEN 0 ELSE l.lowest - 1 END),
	'23514', NULL, format('%s has its lower bound in the table too', l.name))
FROM amelia_internal.setting_list() AS l WHERE jsonb_typeof(l.initial) = 'number';

SELECT * FROM finish();
ROLLBACK;
