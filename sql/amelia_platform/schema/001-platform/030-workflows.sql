-- Definitions, and the executions that run them.

CREATE TABLE amelia_platform.workflows (
	id uuid PRIMARY KEY,
	name varchar(255) NOT NULL CHECK (name <> ''),
	description text,
	definition jsonb NOT NULL CHECK (jsonb_typeof(definition) = 'object'),
	status varchar(50) NOT NULL DEFAULT 'draft'
		CHECK (status::text IN ('draft', 'active', 'paused', 'completed', 'failed')),
	version integer NOT NULL DEFAULT 1 CHECK (version > 0),
	created_by uuid REFERENCES amelia_platform.agents (id) ON DELETE SET NULL,
	tags text[] NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_workflows_status ON amelia_platform.workflows (status);
CREATE INDEX idx_workflows_created_by ON amelia_platform.workflows (created_by) WHERE created_by IS NOT NULL;
CREATE INDEX idx_workflows_tags ON amelia_platform.workflows USING gin (tags);
CREATE INDEX idx_workflows_text ON amelia_platform.workflows
	USING gin (to_tsvector('english'::regconfig, name || ' ' || COALESCE(description, '')));
COMMENT ON TABLE amelia_platform.workflows IS
'Definitions of many steps. A draft may be anything; for any other status the definition must be one that can run.';
COMMENT ON COLUMN amelia_platform.workflows.definition IS
'{"steps": [{"step_id", "step_type", "conditions", "actions", "next_steps"}]}; see create_workflow().';
COMMENT ON COLUMN amelia_platform.workflows.version IS
'Counts up by itself with each change of the definition. Executions keep the definition that they began with.';

CREATE TABLE amelia_platform.workflow_executions (
	id uuid PRIMARY KEY,
	workflow_id uuid NOT NULL REFERENCES amelia_platform.workflows (id) ON DELETE CASCADE,
	status varchar(50) NOT NULL DEFAULT 'running'
		CHECK (status::text IN ('running', 'completed', 'failed', 'cancelled')),
	current_step integer NOT NULL DEFAULT 0 CHECK (current_step >= 0),
	context_data jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(context_data) = 'object'),
	result_data jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(result_data) IN ('array', 'object')),
	started_by uuid REFERENCES amelia_platform.agents (id) ON DELETE SET NULL,
	started_at timestamptz NOT NULL DEFAULT now(),
	completed_at timestamptz,
	error_message text,
	definition jsonb,
	version integer
) WITH (fillfactor = 80);
CREATE INDEX idx_workflow_executions_workflow ON amelia_platform.workflow_executions (workflow_id, started_at);
CREATE INDEX idx_workflow_executions_status ON amelia_platform.workflow_executions (status);
CREATE INDEX idx_workflow_executions_started_by ON amelia_platform.workflow_executions (started_by) WHERE started_by IS NOT NULL;
CREATE INDEX idx_workflow_executions_ended ON amelia_platform.workflow_executions (completed_at) WHERE status <> 'running';
COMMENT ON TABLE amelia_platform.workflow_executions IS
'A definition that runs, or has run. A row that is inserted without a definition begins to run; one that brings its own is taken as it is, as history.';
COMMENT ON COLUMN amelia_platform.workflow_executions.current_step IS
'How many of the steps are over: completed, skipped or failed.';
COMMENT ON COLUMN amelia_platform.workflow_executions.context_data IS
'What it was started with, and under the id of each completed step what that step brought.';
COMMENT ON COLUMN amelia_platform.workflow_executions.result_data IS
'Once it is completed: what the steps brought that led to an end, under their ids.';
COMMENT ON COLUMN amelia_platform.workflow_executions.definition IS
'The definition that it runs, pinned at its start.';
