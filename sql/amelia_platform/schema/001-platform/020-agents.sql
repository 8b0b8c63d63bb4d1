-- Agents, what they can do, and how well they do it.

-- Heartbeats are most of its writes: room on each page, and no index on what they change, keep them off the indexes.
CREATE TABLE amelia_platform.agents (
	id uuid PRIMARY KEY,
	name varchar(255) NOT NULL CHECK (name <> ''),
	agent_type varchar(50) NOT NULL CHECK (agent_type::text IN ('chief_of_staff', 'master_operator')),
	status varchar(50) NOT NULL DEFAULT 'idle'
		CHECK (status::text IN ('idle', 'active', 'busy', 'error', 'offline')),
	capabilities jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(capabilities) IN ('array', 'object')),
	system_prompt text,
	model_provider varchar(100) DEFAULT 'openrouter',
	model_name varchar(255) DEFAULT 'auto',
	performance_metrics jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(performance_metrics) IN ('array', 'object')),
	last_heartbeat timestamptz,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
CREATE INDEX idx_agents_agent_type ON amelia_platform.agents (agent_type);
CREATE INDEX idx_agents_status ON amelia_platform.agents (status);
COMMENT ON TABLE amelia_platform.agents IS
'The chief of staff, and the operators that it hands tasks to.';
COMMENT ON COLUMN amelia_platform.agents.capabilities IS
'What the application says of what the agent can do. Claims and match_agents() go by agent_capabilities.';
COMMENT ON COLUMN amelia_platform.agents.last_heartbeat IS
'When it was heard of last. Older than stale_after of platform_settings: it is offline. NULL: it sends no heartbeats, and is not taken for offline.';
COMMENT ON COLUMN amelia_platform.agents.updated_at IS 'Moves by itself on every UPDATE that does not set it.';

CREATE TABLE amelia_platform.agent_capabilities (
	id uuid PRIMARY KEY,
	agent_id uuid NOT NULL REFERENCES amelia_platform.agents (id) ON DELETE CASCADE,
	capability_name varchar(100) NOT NULL CHECK (capability_name <> ''),
	confidence_score decimal(3,2) NOT NULL DEFAULT 0.5 CHECK (confidence_score BETWEEN 0 AND 1),
	last_used timestamptz,
	usage_count integer NOT NULL DEFAULT 0 CHECK (usage_count >= 0),
	created_at timestamptz NOT NULL DEFAULT now(),
	UNIQUE (agent_id, capability_name)
) WITH (fillfactor = 80);
-- In the order in which match_agents() looks, with what it needs.
CREATE INDEX idx_agent_capabilities_name ON amelia_platform.agent_capabilities
	(capability_name, confidence_score DESC) INCLUDE (agent_id);
COMMENT ON TABLE amelia_platform.agent_capabilities IS
'What an agent can do, and how surely. Claims and match_agents() go by it.';
COMMENT ON COLUMN amelia_platform.agent_capabilities.usage_count IS
'How many tasks that asked for it the agent has completed.';
COMMENT ON COLUMN amelia_platform.agent_capabilities.last_used IS 'When it completed the last of them.';

CREATE TABLE amelia_platform.agent_performance (
	id uuid PRIMARY KEY,
	agent_id uuid NOT NULL REFERENCES amelia_platform.agents (id) ON DELETE CASCADE,
	metric_name varchar(100) NOT NULL CHECK (metric_name <> ''),
	metric_value decimal(10,4) NOT NULL CHECK (metric_value <> 'NaN'),
	metric_unit varchar(50),
	recorded_at timestamptz NOT NULL DEFAULT now(),
	context jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(context) IN ('array', 'object'))
);
CREATE INDEX idx_agent_performance_agent ON amelia_platform.agent_performance (agent_id, metric_name, recorded_at);
CREATE INDEX idx_agent_performance_recorded_at ON amelia_platform.agent_performance (recorded_at);
COMMENT ON TABLE amelia_platform.agent_performance IS
'Measured values, a row each; agent_metrics() sums them up.';
