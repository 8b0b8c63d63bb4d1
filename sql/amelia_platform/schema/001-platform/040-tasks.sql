-- What agents are to do.

CREATE TABLE amelia_platform.tasks (
	id uuid PRIMARY KEY,
	title varchar(500) NOT NULL CHECK (title <> ''),
	description text,
	status varchar(50) NOT NULL DEFAULT 'pending'
		CHECK (status::text IN ('pending', 'in_progress', 'completed', 'failed', 'cancelled')),
	priority varchar(20) NOT NULL DEFAULT 'medium' CHECK (priority::text IN ('low', 'medium', 'high', 'urgent')),
	assigned_agent_id uuid REFERENCES amelia_platform.agents (id) ON DELETE SET NULL,
	workflow_id uuid REFERENCES amelia_platform.workflows (id) ON DELETE CASCADE,
	step_order integer NOT NULL DEFAULT 0,
	context_data jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(context_data) IN ('array', 'object')),
	result_data jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(result_data) IN ('array', 'object')),
	started_at timestamptz,
	completed_at timestamptz,
	deadline timestamptz,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	execution_id uuid REFERENCES amelia_platform.workflow_executions (id) ON DELETE CASCADE,
	step_id text,
	required_capabilities text[] NOT NULL DEFAULT '{}' 
		CHECK (array_position(required_capabilities, NULL) IS NULL
			AND octet_length(array_to_string(required_capabilities, ',')) <= 2000),
	attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
	max_attempts integer NOT NULL DEFAULT 3 CHECK (max_attempts >= 1),
	available_at timestamptz NOT NULL DEFAULT now(),
	leased_until timestamptz,
	lease_token bigint NOT NULL DEFAULT 0 CHECK (lease_token >= 0),
	error_message text
) WITH (fillfactor = 80);
CREATE INDEX idx_tasks_assigned_agent ON amelia_platform.tasks (assigned_agent_id, status);
CREATE INDEX idx_tasks_in_progress ON amelia_platform.tasks (id) WHERE status = 'in_progress';
CREATE INDEX idx_tasks_workflow ON amelia_platform.tasks (workflow_id, step_order) WHERE workflow_id IS NOT NULL;
CREATE INDEX idx_tasks_execution ON amelia_platform.tasks (execution_id) WHERE execution_id IS NOT NULL;
CREATE INDEX idx_tasks_deadline ON amelia_platform.tasks (deadline)
	WHERE deadline IS NOT NULL AND status::text IN ('pending', 'in_progress');
CREATE INDEX idx_tasks_created_at ON amelia_platform.tasks (created_at);
CREATE INDEX idx_tasks_ended ON amelia_platform.tasks (completed_at)
	WHERE status::text IN ('completed', 'failed', 'cancelled') AND execution_id IS NULL;
CREATE INDEX idx_tasks_text ON amelia_platform.tasks
	USING gin (to_tsvector('english'::regconfig, title || ' ' || COALESCE(description, '')));
COMMENT ON TABLE amelia_platform.tasks IS
'Something to be done by an agent. The status moves only along the state machine, for a plain UPDATE too; an INSERT may bring any status.';
COMMENT ON COLUMN amelia_platform.tasks.assigned_agent_id IS
'Who is to do it, or does it; NULL while it is pending: whoever can.';
COMMENT ON COLUMN amelia_platform.tasks.required_capabilities IS
'Names of agent_capabilities, all of which an agent must have to claim it.';
COMMENT ON COLUMN amelia_platform.tasks.attempts IS 'How often it was begun.';
COMMENT ON COLUMN amelia_platform.tasks.max_attempts IS
'When so many attempts have come to nothing the task is failed.';
COMMENT ON COLUMN amelia_platform.tasks.available_at IS 'Not claimed before.';
COMMENT ON COLUMN amelia_platform.tasks.leased_until IS
'While it is in progress: when the agent''s right to it ends, unless it says that it is still at it; NULL: it has no end but that of its agent. One that nobody has gets stale_after.';
COMMENT ON COLUMN amelia_platform.tasks.lease_token IS
'The fencing token: greater each time that the task is begun. A result under an older one is refused.';
COMMENT ON COLUMN amelia_platform.tasks.execution_id IS 'The execution of which it is a step, or NULL.';
COMMENT ON COLUMN amelia_platform.tasks.error_message IS 'Why the last attempt came to nothing.';
