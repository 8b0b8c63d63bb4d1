-- Which event types there are, how loud each one is, and whether it is kept.

COMMENT ON SCHEMA amelia IS
'Amelia, an orchestrator''s storage: workflows that agents execute, their events, what they cost, prompts, chats. The code belongs to the extension amelia, the tables to the database.';

CREATE TABLE amelia.schema_versions (
	version integer PRIMARY KEY,
	applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE amelia.schema_versions IS
'The schema versions that this database went through, a row for each that migrate() applied.';

CREATE TABLE amelia.schema_migrations (
	version integer PRIMARY KEY,
	applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE amelia.schema_migrations IS
'The client''s, for a migrator of its own: it finds its first schema here as version 1, and goes on from it. Nothing of Amelia''s reads it; see schema_versions.';

INSERT INTO amelia.schema_migrations (version) VALUES (1);

CREATE TABLE amelia.event_types (
	event_type text PRIMARY KEY,
	domain text NOT NULL CHECK (domain IN ('workflow', 'brainstorm', 'oracle')),
	level text NOT NULL CHECK (level IN ('trace', 'debug', 'info', 'warning', 'error')),
	persisted boolean NOT NULL DEFAULT true
);
COMMENT ON TABLE amelia.event_types IS
'Reference data for append_event(): the level that an event type has when the caller names none, and whether it is stored. A type that is not here is level debug and stored.';
COMMENT ON COLUMN amelia.event_types.persisted IS
'The operator''s switch: append_event() of a type that is off stores nothing and returns NULL. A plain INSERT is always stored.';

INSERT INTO amelia.event_types (event_type, domain, level, persisted)
SELECT t.event_type,
	CASE WHEN starts_with(t.event_type, 'brainstorm_') THEN 'brainstorm'
		WHEN starts_with(t.event_type, 'oracle_') THEN 'oracle'
		ELSE 'workflow' END,
	l.level, l.persisted
FROM (VALUES
	('error', true, ARRAY['workflow_failed', 'task_failed', 'system_error',
		'oracle_consultation_failed']),
	('warning', true, ARRAY['system_warning']),
	('info', true, ARRAY['workflow_created', 'workflow_started', 'workflow_completed',
		'workflow_cancelled', 'stage_started', 'stage_completed', 'approval_required',
		'approval_granted', 'approval_rejected', 'review_completed',
		'oracle_consultation_started', 'oracle_consultation_completed']),
	('debug', true, ARRAY['file_created', 'file_modified', 'file_deleted',
		'review_requested', 'revision_requested', 'task_started', 'task_completed',
		'brainstorm_session_created', 'brainstorm_session_completed',
		'brainstorm_artifact_created']),
	('trace', true, ARRAY['agent_message', 'claude_thinking', 'claude_tool_call',
		'claude_tool_result', 'brainstorm_reasoning', 'brainstorm_tool_call',
		'brainstorm_tool_result', 'brainstorm_message_complete',
		'oracle_consultation_thinking', 'oracle_tool_call', 'oracle_tool_result']),
	('trace', false, ARRAY['stream', 'agent_output', 'brainstorm_text'])
) AS l (level, persisted, event_types),
	pg_catalog.unnest(l.event_types) AS t (event_type);
