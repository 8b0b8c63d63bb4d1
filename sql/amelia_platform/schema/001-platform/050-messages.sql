-- What agents tell each other.

CREATE TABLE amelia_platform.agent_messages (
	id uuid PRIMARY KEY,
	message_id uuid NOT NULL UNIQUE,
	correlation_id uuid,
	conversation_id uuid,
	sender_id uuid REFERENCES amelia_platform.agents (id) ON DELETE CASCADE,
	recipient_id uuid NOT NULL REFERENCES amelia_platform.agents (id) ON DELETE CASCADE,
	sender_type varchar(50) NOT NULL,
	recipient_type varchar(50) NOT NULL,
	message_type varchar(50) NOT NULL CHECK (message_type <> ''),
	priority varchar(20) NOT NULL DEFAULT 'normal' CHECK (priority::text = ANY ('{low,normal,high,urgent}')),
	status varchar(50) NOT NULL DEFAULT 'pending'
		CHECK (status::text = ANY ('{pending,sent,delivered,acknowledged,failed,expired}')),
	subject varchar(500),
	payload jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(payload) IN ('array', 'object')),
	retry_count integer NOT NULL DEFAULT 0 CHECK (retry_count >= 0),
	max_retries integer NOT NULL DEFAULT 3 CHECK (max_retries >= 0),
	expires_at timestamptz,
	delivered_at timestamptz,
	acknowledged_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now(),
	available_at timestamptz NOT NULL DEFAULT now(),
	visible_at timestamptz,
	error_message text
) WITH (fillfactor = 70);
CREATE INDEX idx_agent_messages_recipient ON amelia_platform.agent_messages (recipient_id, created_at);
CREATE INDEX idx_agent_messages_sender ON amelia_platform.agent_messages (sender_id, created_at) WHERE sender_id IS NOT NULL;
CREATE INDEX idx_agent_messages_conversation ON amelia_platform.agent_messages (conversation_id, created_at)
	WHERE conversation_id IS NOT NULL;
CREATE INDEX idx_agent_messages_correlation ON amelia_platform.agent_messages (correlation_id)
	WHERE correlation_id IS NOT NULL;
CREATE INDEX idx_agent_messages_expires_at ON amelia_platform.agent_messages (expires_at)
	WHERE expires_at IS NOT NULL AND status::text = ANY ('{pending,sent,delivered}');
CREATE INDEX idx_agent_messages_delivered ON amelia_platform.agent_messages (available_at)
	WHERE status = 'delivered';
CREATE INDEX idx_agent_messages_dead ON amelia_platform.agent_messages (created_at) WHERE status = 'failed';
CREATE INDEX idx_agent_messages_ended ON amelia_platform.agent_messages (created_at)
	WHERE status::text = ANY ('{acknowledged,failed,expired}');
COMMENT ON TABLE amelia_platform.agent_messages IS
'Messages from agent to agent, delivered at least once. The status moves only along the state machine, for a plain UPDATE too; an INSERT may bring any status.';
COMMENT ON COLUMN amelia_platform.agent_messages.message_id IS
'The sender''s name for it: sent again under the same one it is stored once.';
COMMENT ON COLUMN amelia_platform.agent_messages.sender_id IS 'NULL: the application itself.';
COMMENT ON COLUMN amelia_platform.agent_messages.sender_type IS
'The sender''s agent_type, filled in where it is not given; system without a sender.';
COMMENT ON COLUMN amelia_platform.agent_messages.recipient_type IS
'The recipient''s agent_type, filled in where it is not given.';
COMMENT ON COLUMN amelia_platform.agent_messages.status IS
'pending, or sent where the application tells that apart: nobody has it; delivered: until visible_at somebody is at it; acknowledged; failed: a dead letter; expired.';
COMMENT ON COLUMN amelia_platform.agent_messages.retry_count IS
'How many deliveries came to nothing. One more than max_retries, and it is failed.';
COMMENT ON COLUMN amelia_platform.agent_messages.expires_at IS 'Not delivered from then on.';
COMMENT ON COLUMN amelia_platform.agent_messages.available_at IS
'Not delivered before; of a delivered one, when it comes again unless it is acknowledged.';
COMMENT ON COLUMN amelia_platform.agent_messages.visible_at IS
'Of a delivered one: until when nobody else receives it.';
