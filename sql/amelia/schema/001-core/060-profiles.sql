-- Profiles and settings.

CREATE TABLE amelia.profiles (
	id text PRIMARY KEY,
	tracker text NOT NULL DEFAULT 'noop' CHECK (tracker IN ('noop', 'github', 'jira')),
	working_dir text NOT NULL,
	plan_output_dir text NOT NULL DEFAULT 'docs/plans',
	plan_path_pattern text NOT NULL DEFAULT 'docs/plans/{date}-{issue_key}.md',
	agents jsonb NOT NULL CHECK (jsonb_typeof(agents) = 'object'),
	max_concurrent integer CHECK (max_concurrent >= 1),
	is_active boolean NOT NULL DEFAULT false,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE amelia.profiles IS
'How an orchestrator runs: tracker, directories, models per agent. At most one is active.';
COMMENT ON COLUMN amelia.profiles.agents IS
'An object: agent name → {driver, model, options}.';
COMMENT ON COLUMN amelia.profiles.max_concurrent IS
'How many workflows of this profile claims let run at the same time; NULL: no limit of its own. Providers limit rates per key.';
CREATE UNIQUE INDEX idx_profiles_active ON amelia.profiles (is_active) WHERE is_active;

CREATE TABLE amelia.server_settings (
	id integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
	log_retention_days integer NOT NULL DEFAULT 30 CHECK (log_retention_days >= -1),
	trace_retention_days integer NOT NULL DEFAULT 7 CHECK (trace_retention_days >= -1),
	checkpoint_retention_days integer NOT NULL DEFAULT 0 CHECK (checkpoint_retention_days >= -1),
	-- NaN is greater than Infinity to numeric's operators: both are refused
	websocket_idle_timeout_seconds numeric NOT NULL DEFAULT 300
		CHECK (websocket_idle_timeout_seconds > 0 AND websocket_idle_timeout_seconds < 'Infinity'),
	workflow_start_timeout_seconds numeric NOT NULL DEFAULT 60
		CHECK (workflow_start_timeout_seconds > 0 AND workflow_start_timeout_seconds < 'Infinity'),
	max_concurrent integer NOT NULL DEFAULT 5 CHECK (max_concurrent >= 1),
	stream_tool_results boolean NOT NULL DEFAULT false,
	recovery_hours integer NOT NULL DEFAULT 24 CHECK (recovery_hours >= 0),
	orphan_thread_retention_days integer NOT NULL DEFAULT -1 CHECK (orphan_thread_retention_days >= -1),
	checkpoint_grace_minutes integer NOT NULL DEFAULT 60 CHECK (checkpoint_grace_minutes >= 0),
	retention_max_workflows integer NOT NULL DEFAULT 10000 CHECK (retention_max_workflows >= 1),
	record_unpriced_usage boolean NOT NULL DEFAULT false,
	feed_retention_hours integer NOT NULL DEFAULT 24 CHECK (feed_retention_hours >= -1),
	max_lease_hours integer NOT NULL DEFAULT 24 CHECK (max_lease_hours >= 24),
	keep_latest_days integer NOT NULL DEFAULT -1 CHECK (keep_latest_days >= -1),
	keep_latest integer NOT NULL DEFAULT 1 CHECK (keep_latest >= 1),
	squash_idle_days integer NOT NULL DEFAULT -1 CHECK (squash_idle_days >= -1),
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE amelia.server_settings IS
'One row, or none: then the defaults hold. Read it with settings(), change it with update_settings().';
COMMENT ON COLUMN amelia.server_settings.log_retention_days IS
'Days that events and finished workflows are kept after the workflow''s end; -1 never deletes, 0 at once.';
COMMENT ON COLUMN amelia.server_settings.trace_retention_days IS
'Days that trace events of finished workflows are kept; -1 never deletes, 0 at once.';
COMMENT ON COLUMN amelia.server_settings.checkpoint_retention_days IS
'Days that LangGraph checkpoints of finished workflows are kept; -1 never deletes, 0 at once.';
COMMENT ON COLUMN amelia.server_settings.max_concurrent IS
'How many workflows claims let run at the same time.';
COMMENT ON COLUMN amelia.server_settings.recovery_hours IS
'Hours that a failed workflow keeps its events and checkpoints at least, whatever the other settings say, so that it can be resumed.';
COMMENT ON COLUMN amelia.server_settings.orphan_thread_retention_days IS
'Days after its newest checkpoint that a LangGraph thread is kept which belongs to no workflow; -1 never deletes.';
COMMENT ON COLUMN amelia.server_settings.checkpoint_grace_minutes IS
'A finished workflow of which a checkpoint was written after its end keeps its checkpoints until it has been quiet for so long.';
COMMENT ON COLUMN amelia.server_settings.retention_max_workflows IS
'How many workflows, and how many orphan threads, each rule touches in one round at most, so that a clock that jumps ahead is not the end of the history.';
COMMENT ON COLUMN amelia.server_settings.feed_retention_hours IS
'Hours that the feed keeps what happened, for readers who come back: a cursor is good for so long. -1 never deletes, 0 at once.';
COMMENT ON COLUMN amelia.server_settings.max_lease_hours IS
'How many hours a lease lasts at most, from the claim or the last heartbeat.';
COMMENT ON COLUMN amelia.server_settings.keep_latest_days IS
'Days after its newest checkpoint that a LangGraph thread, of whatever workflow, keeps its older checkpoints; then what no resume can need goes, as with prune(). -1 never deletes.';
COMMENT ON COLUMN amelia.server_settings.keep_latest IS
'How many checkpoints of each namespace such a thread keeps.';
COMMENT ON COLUMN amelia.server_settings.squash_idle_days IS
'Days after its newest checkpoint that such a thread is squashed as well, as with prune(): nobody can go on from the older checkpoints that are left. -1 never does.';
COMMENT ON COLUMN amelia.server_settings.record_unpriced_usage IS
'What record_usage() does with a model that has no price: false: an error; true: it books cost 0, with a row in unpriced_usage.';
