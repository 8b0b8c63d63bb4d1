-- Workflows, and what workers and LangGraph hang on them.

CREATE TABLE amelia.workflows (
	id uuid PRIMARY KEY,
	issue_id text NOT NULL,
	worktree_path text,
	status text NOT NULL DEFAULT 'pending'
		CHECK (status IN ('pending', 'in_progress', 'blocked', 'completed', 'failed', 'cancelled')),
	workflow_type text NOT NULL DEFAULT 'full' CHECK (workflow_type IN ('full', 'review')),
	profile_id text,
	plan_cache jsonb,
	issue_cache jsonb,
	failure_reason text,
	created_at timestamptz NOT NULL DEFAULT now(),
	started_at timestamptz,
	completed_at timestamptz,
	updated_at timestamptz NOT NULL DEFAULT now(),
	sequence_floor integer NOT NULL DEFAULT 0 CHECK (sequence_floor >= 0),
	events_removed bigint NOT NULL DEFAULT 0 CHECK (events_removed >= 0),
	priority smallint NOT NULL DEFAULT 0,
	available_at timestamptz NOT NULL DEFAULT now(),
	failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
	max_failures integer NOT NULL DEFAULT 3 CHECK (max_failures >= 0),
	retry_at timestamptz,
	cancel_requested boolean NOT NULL DEFAULT false,
	traces_removed_to integer,
	parked boolean NOT NULL DEFAULT false,
	CHECK (NOT parked OR worktree_path IS NOT NULL)
);
COMMENT ON TABLE amelia.workflows IS
'One run on one issue, mostly in a git worktree. The status moves only along the state machine, for a plain UPDATE too; an INSERT may bring any status and any timestamps.';
COMMENT ON COLUMN amelia.workflows.worktree_path IS
'NULL: it works in none, and nothing is exclusive.';
COMMENT ON COLUMN amelia.workflows.profile_id IS
'The profile that it ran with: a historical fact that outlives the profile, so no foreign key.';
COMMENT ON COLUMN amelia.workflows.started_at IS
'Set on entering in_progress when it is NULL. NULL: never started.';
COMMENT ON COLUMN amelia.workflows.completed_at IS
'Set on entering completed, failed or cancelled, cleared on entering in_progress. Retention counts a finished workflow''s age from it.';
COMMENT ON COLUMN amelia.workflows.updated_at IS
'Moves by itself on every UPDATE that does not set it, except when only sequence_floor, events_removed and traces_removed_to are kept up to date.';
COMMENT ON COLUMN amelia.workflows.sequence_floor IS
'The next event of this workflow is numbered above it: the highest number that was removed or reserved. It is never lowered, so that no number is given twice.';
COMMENT ON COLUMN amelia.workflows.events_removed IS
'How many events of this workflow were deleted.';
COMMENT ON COLUMN amelia.workflows.priority IS 'A claim takes higher ones first.';
COMMENT ON COLUMN amelia.workflows.available_at IS 'Not claimed before.';
COMMENT ON COLUMN amelia.workflows.failures IS 'Attempts that failed or lost their lease.';
COMMENT ON COLUMN amelia.workflows.retry_at IS
'When another attempt at a failed workflow is due; NULL: none is. A plain UPDATE to failed leaves it NULL, so what a client marks as failed stays failed.';
COMMENT ON COLUMN amelia.workflows.cancel_requested IS
'Somebody asked for the end of it; the worker learns of it with its next heartbeat.';
COMMENT ON COLUMN amelia.workflows.traces_removed_to IS
'The last sequence when retention had deleted all trace events; NULL: it has not, or the workflow was resumed since. No index tells which workflows have trace events.';
COMMENT ON COLUMN amelia.workflows.parked IS
'Set by claims that met it while another workflow was active in its worktree, so that the next ones need not look at it again; cleared when its turn may have come. Nobody else needs to write it.';

CREATE INDEX idx_workflows_issue_id ON amelia.workflows (issue_id);
CREATE INDEX idx_workflows_status ON amelia.workflows (status);
CREATE INDEX idx_workflows_worktree ON amelia.workflows (worktree_path);
-- The order of list_workflows(); DESC alone sorts NULLs first and cannot serve it.
CREATE INDEX idx_workflows_started_at ON amelia.workflows (started_at DESC NULLS LAST, id DESC);

CREATE TABLE amelia.workflow_threads (
	thread_id text PRIMARY KEY,
	workflow_id uuid NOT NULL REFERENCES amelia.workflows (id) ON DELETE CASCADE
);
CREATE INDEX idx_workflow_threads_workflow ON amelia.workflow_threads (workflow_id);
COMMENT ON TABLE amelia.workflow_threads IS
'LangGraph threads that belong to a workflow besides the one that is named like its id. A thread belongs to one workflow, hence the key: it is deleted when that one is finished and old.';
