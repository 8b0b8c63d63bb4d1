-- Messages: to many, and listed.

CREATE OR REPLACE FUNCTION amelia_platform.broadcast_message(
	sender_id uuid,
	message_type text,
	payload jsonb DEFAULT '{}',
	agent_type text DEFAULT NULL,
	status text DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	sender_type text;
	conversation CONSTANT uuid := amelia_internal.new_uuid();
	sent bigint;
BEGIN
	PERFORM amelia_internal.check_given('message_type', broadcast_message.message_type),
		amelia_internal.platform_check_text('message_type', broadcast_message.message_type, 50),
		amelia_internal.check_given('payload', broadcast_message.payload),
		amelia_internal.check_container('payload', broadcast_message.payload),
		amelia_internal.platform_check_value('agent_type', broadcast_message.agent_type),
		amelia_internal.platform_check_value('agent status', broadcast_message.status);
	IF broadcast_message.sender_id IS NOT NULL THEN
		sender_type := amelia_internal.platform_check_agent('sender_id', broadcast_message.sender_id);
	END IF;
	INSERT INTO amelia_platform.agent_messages (message_id, conversation_id, sender_id, recipient_id, sender_type, recipient_type,
		message_type, payload)
	SELECT amelia_internal.new_uuid(), conversation, broadcast_message.sender_id, a.id, COALESCE(sender_type, 'system'), a.agent_type,
		broadcast_message.message_type, broadcast_message.payload
	FROM amelia_platform.agents AS a
	WHERE a.id IS DISTINCT FROM broadcast_message.sender_id
		AND (broadcast_message.agent_type IS NULL OR a.agent_type = broadcast_message.agent_type)
		AND CASE WHEN broadcast_message.status IS NULL THEN a.status <> 'offline' ELSE a.status = broadcast_message.status END
	ORDER BY a.id;
	GET DIAGNOSTICS sent = ROW_COUNT;
	RETURN sent;
END
$$;
COMMENT ON FUNCTION amelia_platform.broadcast_message(uuid, text, jsonb, text, text) IS
'Sends a message to every other agent of that type and status, in one conversation, and returns to how many. agent_type NULL: any; status NULL: all that are not offline. Errors: P0002 no such sender, or a task_delegation names a task that is not there, 22023 a NULL, an unknown type or status, a payload that is a JSON scalar.';

CREATE OR REPLACE FUNCTION amelia_platform.pending_messages(recipient_id uuid, row_limit integer DEFAULT 100)
RETURNS SETOF amelia_platform.agent_messages
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.platform_check_agent('recipient_id', pending_messages.recipient_id),
		amelia_internal.check_limit(row_limit);
	RETURN QUERY SELECT m.*
	FROM amelia_platform.agent_messages AS m
	WHERE m.recipient_id = pending_messages.recipient_id AND m.status IN ('pending', 'sent')
		AND (m.expires_at IS NULL OR m.expires_at > now())
	ORDER BY array_position(amelia_internal.platform_values('message priority'), m.priority::text), m.available_at, m.id
	LIMIT row_limit;
END
$$;
COMMENT ON FUNCTION amelia_platform.pending_messages(uuid, integer) IS
'What an agent has not received yet, in the order in which it would; delivers nothing. Errors: P0002 no such agent, 22023 a NULL, a negative limit.';

CREATE OR REPLACE FUNCTION amelia_platform.dead_letters(recipient_id uuid DEFAULT NULL, row_limit integer DEFAULT 100)
RETURNS SETOF amelia_platform.agent_messages
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.check_limit(row_limit);
	RETURN QUERY SELECT m.*
	FROM amelia_platform.agent_messages AS m
	WHERE m.status = 'failed' AND (dead_letters.recipient_id IS NULL OR m.recipient_id = dead_letters.recipient_id)
	ORDER BY m.created_at DESC, m.id DESC
	LIMIT row_limit;
END
$$;
COMMENT ON FUNCTION amelia_platform.dead_letters(uuid, integer) IS
'Messages that failed, the newest first; recipient_id NULL: everybody''s. error_message says why. Errors: 22023 a negative limit.';

CREATE OR REPLACE FUNCTION amelia_platform.message_history(agent_id uuid, row_limit integer DEFAULT 100)
RETURNS SETOF amelia_platform.agent_messages
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.platform_check_agent('agent_id', agent_id), amelia_internal.check_limit(row_limit);
	RETURN QUERY SELECT h.*
	FROM ((SELECT m.* FROM amelia_platform.agent_messages AS m
			WHERE m.recipient_id = agent_id ORDER BY m.created_at DESC LIMIT row_limit)
		UNION
		(SELECT m.* FROM amelia_platform.agent_messages AS m
			WHERE m.sender_id = agent_id ORDER BY m.created_at DESC LIMIT row_limit)) AS h
	ORDER BY h.created_at DESC, h.id DESC
	LIMIT row_limit;
END
$$;
COMMENT ON FUNCTION amelia_platform.message_history(uuid, integer) IS
'What an agent sent and was sent, the newest first. Errors: P0002 no such agent, 22023 a NULL, a negative limit.';

CREATE OR REPLACE FUNCTION amelia_platform.conversation(conversation_id uuid)
RETURNS SETOF amelia_platform.agent_messages
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.check_given('conversation_id', conversation.conversation_id);
	RETURN QUERY SELECT m.*
	FROM amelia_platform.agent_messages AS m
	WHERE m.conversation_id = conversation.conversation_id
	ORDER BY m.created_at, m.id;
END
$$;
COMMENT ON FUNCTION amelia_platform.conversation(uuid) IS
'The messages of a conversation, in the order in which they were sent; none when there is no such one. Errors: 22023 NULL.';

CREATE OR REPLACE FUNCTION amelia_platform.queue_stats()
RETURNS TABLE (agent_id uuid, name text, pending bigint, delivered bigint, acknowledged bigint, failed bigint, expired bigint,
	oldest_pending interval)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT a.id, a.name, COALESCE(s.pending, 0), COALESCE(s.delivered, 0), COALESCE(s.acknowledged, 0), COALESCE(s.failed, 0),
	COALESCE(s.expired, 0), CASE WHEN isfinite(s.oldest) THEN now() - s.oldest END
FROM amelia_platform.agents AS a
LEFT JOIN (SELECT m.recipient_id,
		count(*) FILTER (WHERE m.status IN ('pending', 'sent') AND (m.expires_at IS NULL OR m.expires_at > now())) AS pending,
		count(*) FILTER (WHERE m.status = 'delivered') AS delivered,
		count(*) FILTER (WHERE m.status = 'acknowledged') AS acknowledged,
		count(*) FILTER (WHERE m.status = 'failed') AS failed,
		count(*) FILTER (WHERE m.status = 'expired' OR m.status IN ('pending', 'sent') AND m.expires_at <= now()) AS expired,
		min(m.created_at) FILTER (WHERE m.status IN ('pending', 'sent') AND (m.expires_at IS NULL OR m.expires_at > now())) AS oldest
	FROM amelia_platform.agent_messages AS m
	GROUP BY m.recipient_id) AS s ON s.recipient_id = a.id
ORDER BY a.name, a.id
$$;
COMMENT ON FUNCTION amelia_platform.queue_stats() IS
'A row per agent: how many messages to it are in which status, and how old the oldest is that nobody has received. Expired ones count as such whether maintenance has marked them or not. Reads every message.';

REVOKE ALL ON FUNCTION
	amelia_platform.broadcast_message(uuid, text, jsonb, text, text),
	amelia_platform.pending_messages(uuid, integer),
	amelia_platform.dead_letters(uuid, integer),
	amelia_platform.message_history(uuid, integer),
	amelia_platform.conversation(uuid),
	amelia_platform.queue_stats()
FROM PUBLIC;
