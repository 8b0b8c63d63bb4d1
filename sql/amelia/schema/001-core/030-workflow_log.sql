-- The event log.

CREATE TABLE amelia.workflow_log (
	id uuid PRIMARY KEY,
	workflow_id uuid NOT NULL REFERENCES amelia.workflows (id) ON DELETE CASCADE,
	sequence integer NOT NULL CHECK (sequence > 0),
	"timestamp" timestamptz NOT NULL DEFAULT now(),
	level text NOT NULL DEFAULT 'debug'
		CHECK (level IN ('trace', 'debug', 'info', 'warning', 'error')),
	event_type text NOT NULL,
	agent text,
	message text NOT NULL,
	data jsonb,
	is_error boolean NOT NULL DEFAULT false,
	correlation_id text,
	tool_name text,
	tool_input jsonb,
	trace_id text,
	parent_id uuid REFERENCES amelia.workflow_log (id) ON DELETE SET NULL,
	sequence_allocated boolean NOT NULL DEFAULT false,
	CONSTRAINT idx_workflow_log_workflow UNIQUE (workflow_id, sequence)
);
COMMENT ON TABLE amelia.workflow_log IS
'The events of each workflow, append-only. An INSERT or COPY without a sequence gets the workflow''s next number from a trigger that holds the workflow''s row to the end of the transaction; one with a sequence keeps it.';
COMMENT ON COLUMN amelia.workflow_log.sequence IS
'1, 2, 3, … in its workflow, in commit order. id, workflow_id and sequence cannot be changed.';
COMMENT ON COLUMN amelia.workflow_log.parent_id IS
'The event that caused this one; NULL when there is none or it was deleted.';
COMMENT ON COLUMN amelia.workflow_log.sequence_allocated IS
'True: the number was allocated here, so a gap before it is a fault. False: the client brought it, gaps included. verify() needs the difference.';

CREATE INDEX idx_workflow_log_errors ON amelia.workflow_log (workflow_id, sequence) WHERE is_error;
CREATE INDEX idx_workflow_log_trace ON amelia.workflow_log (trace_id) WHERE trace_id IS NOT NULL;
-- Without it, each deleted event scans the table for those that it caused.
CREATE INDEX idx_workflow_log_parent ON amelia.workflow_log (parent_id) WHERE parent_id IS NOT NULL;
