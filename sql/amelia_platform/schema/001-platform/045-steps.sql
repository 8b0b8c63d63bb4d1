-- Where executions are.

CREATE TABLE amelia_platform.execution_steps (
	execution_id uuid NOT NULL REFERENCES amelia_platform.workflow_executions (id) ON DELETE CASCADE,
	step_id text NOT NULL CHECK (step_id <> ''),
	status text NOT NULL DEFAULT 'waiting'
		CHECK (status::text IN ('waiting', 'running', 'completed', 'skipped', 'failed')),
	task_id uuid REFERENCES amelia_platform.tasks (id) ON DELETE SET NULL,
	started_at timestamptz,
	completed_at timestamptz,
	result_data jsonb,
	taken text[] NOT NULL DEFAULT '{}',
	place integer NOT NULL DEFAULT 0,
	definition jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(definition) = 'object'),
	awaits integer NOT NULL DEFAULT 0,
	led boolean NOT NULL DEFAULT false,
	PRIMARY KEY (execution_id, step_id)
) WITH (fillfactor = 70);
CREATE INDEX idx_execution_steps_task ON amelia_platform.execution_steps (task_id) WHERE task_id IS NOT NULL;
COMMENT ON TABLE amelia_platform.execution_steps IS
'Where each step of an execution is. Executions write it.';
COMMENT ON COLUMN amelia_platform.execution_steps.taken IS 'The steps that it led to, once it is completed.';
COMMENT ON COLUMN amelia_platform.execution_steps.place IS 'Which one it is in the definition, from 1.';
COMMENT ON COLUMN amelia_platform.execution_steps.definition IS 'What the definition says of it.';
COMMENT ON COLUMN amelia_platform.execution_steps.awaits IS
'While it is waiting: how many of the steps that could lead to it have not come to their end.';
COMMENT ON COLUMN amelia_platform.execution_steps.led IS 'While it is waiting: whether one of them did lead to it.';
COMMENT ON COLUMN amelia_platform.execution_steps.result_data IS 'What it brought, once it is completed.';
