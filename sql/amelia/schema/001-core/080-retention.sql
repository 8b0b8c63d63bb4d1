-- Retention: what it has done, whose checkpoints it looks after, and what is
-- kept of workflows that are gone.

-- What retention looks for: finished workflows, oldest end first. Not by
-- updated_at, which every UPDATE moves: none could stay on its page then.
CREATE INDEX idx_workflows_finished ON amelia.workflows (completed_at, id)
	WHERE status IN ('completed', 'failed', 'cancelled');
-- Those that rule 1 has not been through: each round looks at no other.
CREATE INDEX idx_workflows_traces ON amelia.workflows (completed_at, id)
	WHERE status IN ('completed', 'failed', 'cancelled') AND traces_removed_to IS NULL;

CREATE TABLE amelia.retention_runs (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	finished_at timestamptz,
	requested_by text NOT NULL,
	worker boolean NOT NULL DEFAULT false,
	pid integer NOT NULL,
	thorough boolean NOT NULL,
	trace_events bigint NOT NULL DEFAULT 0,
	checkpoint_threads bigint NOT NULL DEFAULT 0,
	checkpoint_rows bigint NOT NULL DEFAULT 0,
	events bigint NOT NULL DEFAULT 0,
	workflows bigint NOT NULL DEFAULT 0,
	orphan_threads bigint NOT NULL DEFAULT 0,
	pruned_threads bigint NOT NULL DEFAULT 0,
	pruned_rows bigint NOT NULL DEFAULT 0,
	pruned_bytes bigint NOT NULL DEFAULT 0,
	batches integer NOT NULL DEFAULT 0,
	batches_failed integer NOT NULL DEFAULT 0,
	outcome text NOT NULL DEFAULT 'running'
		CHECK (outcome IN ('running', 'completed', 'failed', 'stopped', 'crashed', 'held back')),
	sqlstate text,
	error text
);
COMMENT ON TABLE amelia.retention_runs IS
'The rounds of retention, a row each, begun before the work and kept up to date by each batch. The newest 1000 are kept, and of the maintenance worker''s rounds that found nothing to do, or were held back, only the newest.';
COMMENT ON COLUMN amelia.retention_runs.requested_by IS 'The role that called run_retention(), or that the maintenance worker runs as.';
COMMENT ON COLUMN amelia.retention_runs.worker IS 'Whether the maintenance worker did it by itself.';
COMMENT ON COLUMN amelia.retention_runs.pid IS 'The server process.';
COMMENT ON COLUMN amelia.retention_runs.thorough IS
'Whether it also looked for trace events that were written after rule 1 had been through their workflow.';
COMMENT ON COLUMN amelia.retention_runs.trace_events IS 'Events that rule 1 deleted.';
COMMENT ON COLUMN amelia.retention_runs.checkpoint_threads IS 'Threads of finished workflows that rule 2 deleted.';
COMMENT ON COLUMN amelia.retention_runs.checkpoint_rows IS
'Rows of LangGraph''s three tables that went, those of orphan threads included.';
COMMENT ON COLUMN amelia.retention_runs.events IS 'Events that rule 3 deleted.';
COMMENT ON COLUMN amelia.retention_runs.workflows IS 'Workflows that rule 4 deleted.';
COMMENT ON COLUMN amelia.retention_runs.orphan_threads IS 'Threads that belonged to no workflow and were deleted.';
COMMENT ON COLUMN amelia.retention_runs.pruned_threads IS
'Threads that keep their newest checkpoints, and lost older ones; one with very many counts each time that some went.';
COMMENT ON COLUMN amelia.retention_runs.pruned_rows IS 'Rows of LangGraph''s three tables that went from those.';
COMMENT ON COLUMN amelia.retention_runs.pruned_bytes IS 'About how many bytes those rows had in heap and TOAST.';
COMMENT ON COLUMN amelia.retention_runs.error IS
'Of the last error, or of a thread whose older checkpoints could not be pruned.';
COMMENT ON COLUMN amelia.retention_runs.batches_failed IS
'Batches that raised an error and were left for the next round; the last error is kept.';
COMMENT ON COLUMN amelia.retention_runs.outcome IS
'running; completed: it came to its end, though batches may have failed; failed: an error ended it; stopped: it made way, for a cancel, a shutdown or a DROP DATABASE; crashed: its process died; held back: it did nothing, because it would have deleted most of what there is (error says more), and the clock may be wrong.';
COMMENT ON COLUMN amelia.retention_runs.sqlstate IS 'Of the last error.';

CREATE TABLE amelia.checkpoint_schemas (
	schema_name name PRIMARY KEY,
	registered_by name NOT NULL DEFAULT current_user,
	registered_at timestamptz NOT NULL DEFAULT now(),
	left_alone boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE amelia.checkpoint_schemas IS
'The schemas in which LangGraph''s checkpoint tables are looked for; see register_checkpoints(). By name, so that a dump can be restored before the application''s.';
COMMENT ON COLUMN amelia.checkpoint_schemas.left_alone IS
'unregister_checkpoints() was called: retention does not look there, and nobody is told of it.';
INSERT INTO amelia.checkpoint_schemas (schema_name) VALUES ('public'), ('amelia');

CREATE TABLE amelia.checkpoint_walks (
	schema_name name,
	rule text,
	thread_id text NOT NULL,
	PRIMARY KEY (schema_name, rule)
);
COMMENT ON TABLE amelia.checkpoint_walks IS
'Where the maintenance worker goes on looking for threads that are due, in schemas that have too many for one round. No row: from the first one. The library writes it.';
COMMENT ON COLUMN amelia.checkpoint_walks.rule IS 'checkpoints, orphan threads or older checkpoints.';
COMMENT ON COLUMN amelia.checkpoint_walks.thread_id IS 'The last thread that was looked at.';

CREATE TABLE amelia.usage_history (
	workflow_id uuid NOT NULL,
	day date NOT NULL,
	agent text NOT NULL,
	model text NOT NULL,
	input_tokens bigint NOT NULL,
	output_tokens bigint NOT NULL,
	cache_read_tokens bigint NOT NULL,
	cache_creation_tokens bigint NOT NULL,
	cost_usd numeric NOT NULL,
	duration_ms bigint NOT NULL,
	num_turns bigint NOT NULL,
	PRIMARY KEY (workflow_id, day, agent, model)
);
COMMENT ON TABLE amelia.usage_history IS
'What workflows that were deleted had used and cost, per day, agent and model: the sums of their rows in token_usage. Written when a workflow is deleted, by whomever; forget_workflow() erases it.';
COMMENT ON COLUMN amelia.usage_history.day IS 'The UTC day of the usage.';

CREATE TABLE amelia.workflow_history (
	workflow_id uuid PRIMARY KEY,
	profile_id text,
	workflow_type text NOT NULL,
	status text NOT NULL,
	started_at timestamptz,
	completed_at timestamptz,
	deleted_at timestamptz NOT NULL,
	usage_until timestamptz
);
COMMENT ON TABLE amelia.workflow_history IS
'How workflows that were deleted had ended. Written when a workflow is deleted, by whomever; forget_workflow() erases it.';
COMMENT ON COLUMN amelia.workflow_history.usage_until IS
'The time of its last usage, NULL if there was none. Should the workflow come back, its rows in token_usage up to here are those that usage_history has already; later ones are new.';
