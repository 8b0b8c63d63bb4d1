-- The chats that design workflows.

CREATE TABLE amelia.brainstorm_sessions (
	id text PRIMARY KEY,
	profile_id text NOT NULL REFERENCES amelia.profiles (id),
	driver_session_id text,
	driver_type text,
	topic text,
	output_artifact_path text,
	status text NOT NULL DEFAULT 'active'
		CHECK (status IN ('active', 'ready_for_handoff', 'completed', 'failed')),
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	sequence_floor integer NOT NULL DEFAULT 0 CHECK (sequence_floor >= 0)
);
COMMENT ON TABLE amelia.brainstorm_sessions IS 'A chat in which a workflow is designed.';
COMMENT ON COLUMN amelia.brainstorm_sessions.sequence_floor IS
'The next message is numbered above it; raised when messages are deleted, never lowered, so that no number is given twice.';
CREATE INDEX idx_brainstorm_sessions_profile ON amelia.brainstorm_sessions (profile_id);
CREATE INDEX idx_brainstorm_sessions_status ON amelia.brainstorm_sessions (status);

CREATE TABLE amelia.brainstorm_messages (
	id text PRIMARY KEY,
	session_id text NOT NULL REFERENCES amelia.brainstorm_sessions (id) ON DELETE CASCADE,
	sequence integer NOT NULL CHECK (sequence > 0),
	role text NOT NULL CHECK (role IN ('user', 'assistant')),
	content text NOT NULL,
	parts jsonb,
	created_at timestamptz NOT NULL DEFAULT now(),
	input_tokens integer CHECK (input_tokens >= 0),
	output_tokens integer CHECK (output_tokens >= 0),
	cost_usd numeric(10,6) CHECK (cost_usd >= 0 AND cost_usd <> 'NaN'),
	is_system boolean NOT NULL DEFAULT false,
	sequence_allocated boolean NOT NULL DEFAULT false,
	CONSTRAINT idx_brainstorm_messages_session UNIQUE (session_id, sequence)
);
COMMENT ON TABLE amelia.brainstorm_messages IS
'The messages of a chat, numbered like events: an INSERT without a sequence gets the session''s next number.';
COMMENT ON COLUMN amelia.brainstorm_messages.sequence_allocated IS
'True: the number was allocated here, so a gap before it is a fault. False: the client brought it.';

CREATE TABLE amelia.brainstorm_artifacts (
	id text PRIMARY KEY,
	session_id text NOT NULL REFERENCES amelia.brainstorm_sessions (id) ON DELETE CASCADE,
	type text NOT NULL CHECK (type IN ('adr', 'spec', 'readme', 'design', 'document')),
	path text NOT NULL,
	title text,
	created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE amelia.brainstorm_artifacts IS 'Files that came out of a chat.';
CREATE INDEX idx_brainstorm_artifacts_session ON amelia.brainstorm_artifacts (session_id);
