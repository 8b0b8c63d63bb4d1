-- Versions of the schema, settings, and what maintenance and claims have to say.

COMMENT ON SCHEMA amelia_platform IS
'Amelia''s platform: agents, the tasks and messages that they hand each other, and definitions that run as executions. The code belongs to the extension amelia_platform, the tables to the database.';

CREATE TABLE amelia_platform.schema_versions (
	version integer PRIMARY KEY,
	applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE amelia_platform.schema_versions IS
'The schema versions that this database went through, a row for each that migrate() applied.';

CREATE TABLE amelia_platform.platform_settings (
	id integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
	message_retention_days integer NOT NULL DEFAULT 30 CHECK (message_retention_days >= -1),
	task_retention_days integer NOT NULL DEFAULT 90 CHECK (task_retention_days >= -1),
	metric_retention_days integer NOT NULL DEFAULT 90 CHECK (metric_retention_days >= -1),
	stale_after interval NOT NULL DEFAULT '300 seconds' CHECK (stale_after > interval '0' AND stale_after <= interval '100 years'),
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE amelia_platform.platform_settings IS
'One row, or none: then the defaults hold. Read it with settings(), change it with update_settings().';
COMMENT ON COLUMN amelia_platform.platform_settings.message_retention_days IS
'Days that messages are kept after they were sent, once they are acknowledged, failed or expired; -1 never deletes, 0 at once.';
COMMENT ON COLUMN amelia_platform.platform_settings.task_retention_days IS
'Days that tasks of no execution, and executions with their tasks, are kept after their end; -1 never deletes, 0 at once.';
COMMENT ON COLUMN amelia_platform.platform_settings.metric_retention_days IS
'Days that rows of agent_performance are kept; -1 never deletes, 0 at once.';
COMMENT ON COLUMN amelia_platform.platform_settings.stale_after IS
'An agent that was not heard of for so long is offline.';

CREATE TABLE amelia_platform.platform_faults (
	relation text NOT NULL CHECK (relation IN ('agents', 'tasks', 'agent_messages', 'workflow_executions', 'agent_performance')),
	row_id uuid NOT NULL,
	failed_at timestamptz NOT NULL DEFAULT now(),
	times integer NOT NULL DEFAULT 1 CHECK (times > 0),
	retry_at timestamptz NOT NULL,
	sqlstate text NOT NULL,
	reason text NOT NULL,
	PRIMARY KEY (relation, row_id)
);
COMMENT ON TABLE amelia_platform.platform_faults IS
'Rows that claims, receivers and maintenance pass over, because writing them failed by a fault of their own: a CHECK or a trigger that refuses them, or leaves them as they are. Delete a row, and it is tried again.';
COMMENT ON COLUMN amelia_platform.platform_faults.failed_at IS 'The last time.';
COMMENT ON COLUMN amelia_platform.platform_faults.times IS 'How often in a row.';
COMMENT ON COLUMN amelia_platform.platform_faults.retry_at IS 'Passed over until then: seconds at first, an hour at most.';
COMMENT ON COLUMN amelia_platform.platform_faults.sqlstate IS 'The code of the error.';
COMMENT ON COLUMN amelia_platform.platform_faults.reason IS 'Its message.';

CREATE TABLE amelia_platform.maintenance_runs (
	id uuid PRIMARY KEY,
	started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	requested_by text NOT NULL DEFAULT current_user,
	outcome text CHECK (outcome IN ('completed', 'held back')),
	reason text,
	agents_offline bigint NOT NULL DEFAULT 0,
	tasks_returned bigint NOT NULL DEFAULT 0,
	messages_returned bigint NOT NULL DEFAULT 0,
	messages_expired bigint NOT NULL DEFAULT 0,
	messages_deleted bigint NOT NULL DEFAULT 0,
	tasks_deleted bigint NOT NULL DEFAULT 0,
	executions_deleted bigint NOT NULL DEFAULT 0,
	metrics_deleted bigint NOT NULL DEFAULT 0,
	faults bigint NOT NULL DEFAULT 0
);
CREATE INDEX idx_maintenance_runs_started_at ON amelia_platform.maintenance_runs (started_at);
COMMENT ON TABLE amelia_platform.maintenance_runs IS
'What the rounds of maintenance did, a row each, kept up to date by each batch. The newest 1000 are kept, and of those that found nothing to do the newest one.';
COMMENT ON COLUMN amelia_platform.maintenance_runs.seen_at IS 'Its last batch.';
COMMENT ON COLUMN amelia_platform.maintenance_runs.requested_by IS 'The role that it ran as.';
COMMENT ON COLUMN amelia_platform.maintenance_runs.outcome IS
'completed; held back: it deleted nothing, and let no message expire, because the clock may have jumped ahead; NULL: it goes on, or did not come to its end.';
COMMENT ON COLUMN amelia_platform.maintenance_runs.reason IS 'Why it was held back.';
COMMENT ON COLUMN amelia_platform.maintenance_runs.tasks_returned IS
'Tasks whose lease ran out, or whose agent is offline: pending again, or failed after their last attempt.';
COMMENT ON COLUMN amelia_platform.maintenance_runs.messages_returned IS
'Messages that were delivered and not acknowledged in time: pending again, or failed after their last retry.';
COMMENT ON COLUMN amelia_platform.maintenance_runs.faults IS 'Rows that could not be written; see platform_faults.';
