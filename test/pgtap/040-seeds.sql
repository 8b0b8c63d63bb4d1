-- What is there without anybody having written it: the event types, the
-- default settings, the schema's version.
BEGIN;
-- pgTAP may live in any schema. Ours stays off the path.
SELECT set_config('search_path', 'pg_catalog, ' || quote_ident(n.nspname), true) AS path
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pgtap' \gset
SELECT no_plan();

-- Event types.
CREATE TEMP TABLE contract (event_type text, domain text, level text, persisted boolean);
INSERT INTO contract VALUES
	('workflow_failed', 'workflow', 'error', true),
	('task_failed', 'workflow', 'error', true),
	('system_error', 'workflow', 'error', true),
	('oracle_consultation_failed', 'oracle', 'error', true),
	('system_warning', 'workflow', 'warning', true),
	('workflow_created', 'workflow', 'info', true),
	('workflow_started', 'workflow', 'info', true),
	('workflow_completed', 'workflow', 'info', true),
	('workflow_cancelled', 'workflow', 'info', true),
	('stage_started', 'workflow', 'info', true),
	('stage_completed', 'workflow', 'info', true),
	('approval_required', 'workflow', 'info', true),
	('approval_granted', 'workflow', 'info', true),
	('approval_rejected', 'workflow', 'info', true),
	('review_completed', 'workflow', 'info', true),
	('oracle_consultation_started', 'oracle', 'info', true),
	('oracle_consultation_completed', 'oracle', 'info', true),
	('file_created', 'workflow', 'debug', true),
	('file_modified', 'workflow', 'debug', true),
	('file_deleted', 'workflow', 'debug', true),
	('review_requested', 'workflow', 'debug', true),
	('revision_requested', 'workflow', 'debug', true),
	('task_started', 'workflow', 'debug', true),
	('task_completed', 'workflow', 'debug', true),
	('brainstorm_session_created', 'brainstorm', 'debug', true),
	('brainstorm_session_completed', 'brainstorm', 'debug', true),
	('brainstorm_artifact_created', 'brainstorm', 'debug', true),
	('agent_message', 'workflow', 'trace', true),
	('claude_thinking', 'workflow', 'trace', true),
	('claude_tool_call', 'workflow', 'trace', true),
	('claude_tool_result', 'workflow', 'trace', true),
	('brainstorm_reasoning', 'brainstorm', 'trace', true),
	('brainstorm_tool_call', 'brainstorm', 'trace', true),
	('brainstorm_tool_result', 'brainstorm', 'trace', true),
	('brainstorm_message_complete', 'brainstorm', 'trace', true),
	('oracle_consultation_thinking', 'oracle', 'trace', true),
	('oracle_tool_call', 'oracle', 'trace', true),
	('oracle_tool_result', 'oracle', 'trace', true),
	('stream', 'workflow', 'trace', false),
	('agent_output', 'workflow', 'trace', false),
	('brainstorm_text', 'brainstorm', 'trace', false);
SELECT set_eq('SELECT t.event_type, t.domain, t.level, t.persisted FROM amelia.event_types AS t',
	'TABLE contract', 'the event types');

-- append_event() goes by them, for every one, and for one that is not there.
SELECT id AS workflow FROM amelia.create_workflow('A-1', '/w') \gset
SELECT is((SELECT count(amelia.append_event(:'workflow', c.event_type, 'm')) FROM contract AS c),
	38::bigint, 'append_event() gives a sequence to all but three');
SELECT set_eq($$SELECT l.event_type, l.level FROM amelia.workflow_log AS l WHERE l.message = 'm'$$,
	'SELECT c.event_type, c.level FROM contract AS c WHERE c.persisted', 'append_event() takes level and persisted from them');
SELECT is((SELECT count(*) FROM amelia.workflow_log AS l WHERE l.is_error <> (l.level = 'error')),
	0::bigint, 'an event of level error is an error, others are not');
SELECT is(amelia.append_event(:'workflow', 'deploy_started', 'of mine'), 40, 'a type that is not there is persisted');
SELECT is((SELECT l.level FROM amelia.workflow_log AS l WHERE l.message = 'of mine'), 'debug', '… at level debug');
SELECT ok(amelia.append_event(:'workflow', 'stream', 'off') IS NULL, 'a type that is switched off gives NULL');
UPDATE amelia.event_types SET persisted = true WHERE event_type = 'stream';
SELECT is(amelia.append_event(:'workflow', 'stream', 'on'), 41, '… until the operator switches it on');
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (:'workflow', 'agent_output', 'plain');
SELECT is((SELECT l.sequence FROM amelia.workflow_log AS l WHERE l.message = 'plain'), 42,
	'a plain INSERT of a type that is switched off is stored');

-- settings() without a row gives what a row of defaults would say, for every
-- column that the table has.
SELECT is((SELECT count(*) FROM amelia.server_settings), 0::bigint, 'there is no row of settings');
CREATE TEMP TABLE defaults AS SELECT to_jsonb(s) AS settings FROM amelia.settings() AS s;
SELECT is((SELECT count(*) FROM amelia.server_settings), 0::bigint, 'settings() makes none');
SELECT set_eq('SELECT jsonb_object_keys(d.settings) FROM defaults AS d', $$
	SELECT a.attname::text
	FROM pg_attribute AS a
	WHERE a.attrelid = 'amelia.server_settings'::regclass AND a.attnum > 0 AND NOT a.attisdropped
$$, 'settings() has every column');
SELECT is_empty($$
	SELECT e.key FROM defaults AS d, jsonb_each(d.settings) AS e WHERE e.value = 'null'
$$, 'none of them is NULL');
SELECT set_eq('SELECT e.key, e.value FROM defaults AS d, jsonb_each(d.settings) AS e', $$
	VALUES ('id', '1'::jsonb), ('log_retention_days', '30'), ('trace_retention_days', '7'),
		('checkpoint_retention_days', '0'), ('websocket_idle_timeout_seconds', '300'),
		('workflow_start_timeout_seconds', '60'), ('max_concurrent', '5'),
		('stream_tool_results', 'false'), ('recovery_hours', '24'),
		('orphan_thread_retention_days', '-1'), ('checkpoint_grace_minutes', '60'), ('retention_max_workflows', '10000'),
		('record_unpriced_usage', 'false'), ('feed_retention_hours', '24'), ('max_lease_hours', '24'),
		('keep_latest_days', '-1'), ('keep_latest', '1'), ('squash_idle_days', '-1'),
		('created_at', to_jsonb(now())), ('updated_at', to_jsonb(now()))
$$, 'the defaults');

INSERT INTO amelia.server_settings (id) VALUES (1);
SELECT is(to_jsonb(s), d.settings, 'the row of defaults says the same')
FROM amelia.server_settings AS s, defaults AS d;
UPDATE amelia.server_settings SET log_retention_days = 90, websocket_idle_timeout_seconds = 2.5;
SELECT is(to_jsonb(s), to_jsonb(t), 'settings() gives the row once there is one')
FROM amelia.settings() AS s, amelia.server_settings AS t;

-- Where LangGraph's tables are looked for: with the search_path that clients
-- have, they are in one of the two.
SELECT set_eq('SELECT s.schema_name::text FROM amelia.checkpoint_schemas AS s',
	ARRAY['public', 'amelia'], 'checkpoint_schemas');
SELECT is((SELECT count(*) FROM amelia.retention_runs) + (SELECT count(*) FROM amelia.usage_history)
	+ (SELECT count(*) FROM amelia.workflow_history), 0::bigint, 'no round, and no history');

-- Each schema version that the scripts have was noted.
SELECT set_eq('SELECT m.version FROM amelia.schema_versions AS m',
	'SELECT DISTINCT s.version FROM amelia_internal.amelia_scripts() AS s WHERE s.version IS NOT NULL', 'schema_versions');
SELECT results_eq('SELECT m.version FROM amelia.schema_migrations AS m', 'SELECT 1', 'the client''s migrator finds version 1');
SELECT ok(EXISTS (SELECT FROM amelia.schema_versions AS m WHERE m.version = 1 AND m.applied_at <= now()),
	'1.0 is version 1');
SELECT is_empty('SELECT v.* FROM amelia_internal.verify_schema() AS v', 'verify() misses nothing');

SELECT * FROM finish();
ROLLBACK;
