-- What agents used and cost.

CREATE TABLE amelia.token_usage (
	id uuid PRIMARY KEY,
	workflow_id uuid NOT NULL REFERENCES amelia.workflows (id) ON DELETE CASCADE,
	-- both are in the keys of the sums and of the history, which an index
	-- must be able to hold: a name that is longer could be neither summed up
	-- nor deleted with its workflow
	agent text NOT NULL CHECK (octet_length(agent) <= 1000),
	model text NOT NULL CHECK (octet_length(model) <= 1000),
	input_tokens integer NOT NULL CHECK (input_tokens >= 0),
	output_tokens integer NOT NULL CHECK (output_tokens >= 0),
	cache_read_tokens integer DEFAULT 0 CHECK (cache_read_tokens >= 0),
	cache_creation_tokens integer DEFAULT 0 CHECK (cache_creation_tokens >= 0),
	-- NaN is greater than every number to numeric's operators
	cost_usd numeric(10,6) NOT NULL CHECK (cost_usd >= 0 AND cost_usd <> 'NaN'),
	duration_ms integer NOT NULL DEFAULT 0,
	num_turns integer NOT NULL DEFAULT 1,
	"timestamp" timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE amelia.token_usage IS
'What an agent of a workflow used and cost, a row per call or turn as the orchestrator books it.';
COMMENT ON COLUMN amelia.token_usage.agent IS 'At most 1000 bytes.';
COMMENT ON COLUMN amelia.token_usage.model IS 'As the provider names it; at most 1000 bytes.';
COMMENT ON COLUMN amelia.token_usage.cache_read_tokens IS 'NULL counts as 0.';
COMMENT ON COLUMN amelia.token_usage.cache_creation_tokens IS 'NULL counts as 0.';
COMMENT ON COLUMN amelia.token_usage.cost_usd IS
'US dollars, rounded to six decimals; 9999.999999 at most.';
COMMENT ON COLUMN amelia.token_usage.duration_ms IS 'Milliseconds.';

CREATE INDEX idx_token_usage_workflow ON amelia.token_usage (workflow_id);
CREATE INDEX idx_token_usage_timestamp ON amelia.token_usage ("timestamp");
