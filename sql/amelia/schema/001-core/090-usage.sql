-- Days whose usage is summed up already, so that trends need not scan
-- token_usage. See src/usage/usage_close.c for how it stays exact.

-- The days that readers still take from the rows: by time in both tables.
CREATE INDEX idx_usage_history_day ON amelia.usage_history (day);
CREATE INDEX idx_workflow_history_completed ON amelia.workflow_history (completed_at);

CREATE TABLE amelia.usage_days (
	day date PRIMARY KEY CHECK (isfinite(day)),
	state text NOT NULL DEFAULT 'closing' CHECK (state IN ('closing', 'closed')),
	announced_at timestamptz NOT NULL DEFAULT now(),
	closed_at timestamptz,
	workflows bigint NOT NULL DEFAULT 0,
	workflow_ids uuid[] NOT NULL DEFAULT '{}',
	workflow_costs numeric[] NOT NULL DEFAULT '{}',
	workflow_tokens bigint[] NOT NULL DEFAULT '{}',
	CHECK (state = 'closing' OR closed_at IS NOT NULL)
);
COMMENT ON TABLE amelia.usage_days IS
'The UTC days that close_days() has closed: their usage is in usage_day_sums and usage_workflow_days. Every other day is read from token_usage and kept_usage.';
COMMENT ON COLUMN amelia.usage_days.state IS
'closing: announced, writers mark what they change, readers still take its rows; closed: readers take its sums, unless it is in usage_dirty_days.';
COMMENT ON COLUMN amelia.usage_days.closed_at IS 'When its sums were last computed.';
COMMENT ON COLUMN amelia.usage_days.workflows IS 'How many workflows used anything on that day.';
COMMENT ON COLUMN amelia.usage_days.workflow_ids IS
'Which ones: an array is read faster than as many rows of usage_workflow_days.';
COMMENT ON COLUMN amelia.usage_days.workflow_costs IS 'What each of them cost, in US dollars, in the same order.';
COMMENT ON COLUMN amelia.usage_days.workflow_tokens IS 'The input and output tokens of each, in the same order.';

CREATE TABLE amelia.usage_dirty_days (
	id uuid PRIMARY KEY,
	day date NOT NULL
);
CREATE INDEX idx_usage_dirty_days_day ON amelia.usage_dirty_days (day);
COMMENT ON TABLE amelia.usage_dirty_days IS
'Marks of the transactions that changed usage of a closed day: readers take the day''s rows again until close_days() has computed its sums anew. Only inserted into, so writers do not wait for each other; by triggers, with the table owner''s rights.';

CREATE TABLE amelia.usage_workflow_days (
	day date NOT NULL,
	workflow_id uuid NOT NULL,
	agent text NOT NULL,
	model text NOT NULL,
	input_tokens bigint NOT NULL,
	output_tokens bigint NOT NULL,
	cache_read_tokens bigint NOT NULL,
	cache_creation_tokens bigint NOT NULL,
	cost_usd numeric NOT NULL,
	duration_ms bigint NOT NULL,
	num_turns bigint NOT NULL,
	PRIMARY KEY (day, workflow_id, agent, model)
);
COMMENT ON TABLE amelia.usage_workflow_days IS
'What each workflow, deleted ones included, used on a closed day, per agent and model: distinct counts over a range, and all that goes by profile, need the workflow. Written by close_days() alone.';

CREATE TABLE amelia.usage_day_sums (
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
	PRIMARY KEY (day, agent, model)
);
COMMENT ON TABLE amelia.usage_day_sums IS
'The sums of a closed day per agent and model, of usage_workflow_days. Written by close_days() alone.';

CREATE TABLE amelia.usage_day_workflows (
	day date NOT NULL,
	kind text NOT NULL CHECK (kind IN ('agent', 'model')),
	name text NOT NULL,
	workflow_ids uuid[] NOT NULL,
	PRIMARY KEY (day, kind, name)
);
COMMENT ON TABLE amelia.usage_day_workflows IS
'Which workflows used each agent, and each model, on a closed day: to count those of a range. Written by close_days() alone.';
