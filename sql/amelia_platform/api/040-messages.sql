-- Messages: sent, received, acknowledged.

CREATE OR REPLACE FUNCTION amelia_platform.send_message(
	sender_id uuid,
	recipient_id uuid,
	message_type text,
	payload jsonb DEFAULT '{}',
	priority text DEFAULT 'normal',
	subject text DEFAULT NULL,
	correlation_id uuid DEFAULT NULL,
	conversation_id uuid DEFAULT NULL,
	expires_at timestamptz DEFAULT NULL,
	max_retries integer DEFAULT 3,
	available_at timestamptz DEFAULT NULL,
	message_id uuid DEFAULT NULL)
RETURNS amelia_platform.agent_messages
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	new_id CONSTANT uuid := COALESCE(send_message.message_id, amelia_internal.new_uuid());
	sent amelia_platform.agent_messages;
BEGIN
	-- Asked at once what each check would ask: a call costs more than the question.
	IF (message_type <> '' AND length(message_type) <= 50 AND jsonb_typeof(payload) IN ('object', 'array')
		AND priority IN ('low', 'normal', 'high', 'urgent') AND (subject IS NULL OR subject <> '' AND length(subject) <= 500)
		AND max_retries >= 0) IS NOT TRUE THEN
		PERFORM amelia_internal.check_given('message_type', send_message.message_type),
			amelia_internal.platform_check_text('message_type', send_message.message_type, 50),
			amelia_internal.check_given('payload', send_message.payload),
			amelia_internal.check_container('payload', send_message.payload),
			amelia_internal.check_given('priority', send_message.priority),
			amelia_internal.platform_check_value('message priority', send_message.priority),
			amelia_internal.platform_check_text('subject', send_message.subject, 500),
			amelia_internal.check_given('max_retries', send_message.max_retries);
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('max_retries must not be negative: %s', send_message.max_retries);
	END IF;
	INSERT INTO amelia_platform.agent_messages (id, message_id, correlation_id, conversation_id, sender_id, recipient_id,
		sender_type, recipient_type, message_type, priority, subject, payload, max_retries, expires_at, available_at)
	SELECT new_id, new_id, send_message.correlation_id, send_message.conversation_id, send_message.sender_id,
		r.id, COALESCE(s.agent_type, 'system'), r.agent_type, send_message.message_type,
		send_message.priority, send_message.subject, send_message.payload, send_message.max_retries,
		send_message.expires_at, COALESCE(send_message.available_at, now())
	FROM amelia_platform.agents AS r
	LEFT JOIN amelia_platform.agents AS s ON s.id = send_message.sender_id
	WHERE r.id = send_message.recipient_id AND (s.id IS NOT NULL OR send_message.sender_id IS NULL)
	ON CONFLICT DO NOTHING
	RETURNING * INTO sent;
	IF FOUND THEN
		RETURN sent;
	END IF;
	IF send_message.sender_id IS NOT NULL THEN
		PERFORM amelia_internal.platform_check_agent('sender_id', send_message.sender_id);
	END IF;
	PERFORM amelia_internal.platform_check_agent('recipient_id', send_message.recipient_id);

	-- Sent again: the first result, if it is the same message.
	SELECT m.* INTO sent
	FROM amelia_platform.agent_messages AS m
	WHERE m.message_id = send_message.message_id AND m.sender_id IS NOT DISTINCT FROM send_message.sender_id
		AND m.recipient_id = send_message.recipient_id AND m.message_type = send_message.message_type
		AND m.payload = send_message.payload AND m.priority = send_message.priority
		AND m.subject IS NOT DISTINCT FROM send_message.subject
		AND m.correlation_id IS NOT DISTINCT FROM send_message.correlation_id
		AND m.conversation_id IS NOT DISTINCT FROM send_message.conversation_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '23505',
			MESSAGE = format('message %s exists already, with other content', send_message.message_id),
			SCHEMA = 'amelia_platform', TABLE = 'agent_messages', CONSTRAINT = 'agent_messages_message_id_key';
	END IF;
	RETURN sent;
END
$$;
COMMENT ON FUNCTION amelia_platform.send_message(uuid, uuid, text, jsonb, text, text, uuid, uuid, timestamptz, integer, timestamptz, uuid) IS
'Sends a message, and returns it; its id is its message_id. sender_id NULL: the application itself. Not received before available_at (NULL: at once), nor from expires_at on. Sent again with the same message_id and content it returns that message as it is now and stores nothing; with other content 23505. Errors: P0002 no such agent, or a task_delegation names a task that is not there, 22023 a NULL where none belongs, an unknown priority, a text that is empty or too long, a payload that is a JSON scalar, max_retries below 0.';

CREATE OR REPLACE FUNCTION amelia_platform.receive_messages(recipient_id uuid, row_limit integer DEFAULT 1, visibility interval DEFAULT '30 seconds')
RETURNS SETOF amelia_platform.agent_messages
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	received uuid[];
	one uuid;
BEGIN
	IF (row_limit >= 0 AND visibility BETWEEN interval '1 millisecond' AND interval '100 years') IS NOT TRUE THEN
		PERFORM amelia_internal.check_limit(row_limit),
			amelia_internal.platform_check_interval('visibility', visibility, interval '1 millisecond');
	END IF;
	received := amelia_internal.platform_receive(receive_messages.recipient_id, row_limit, visibility);
	IF cardinality(received) = 0 THEN
		PERFORM amelia_internal.platform_check_agent('recipient_id', receive_messages.recipient_id);
		RETURN;
	END IF;
	FOREACH one IN ARRAY received LOOP
		RETURN QUERY SELECT m.* FROM amelia_platform.agent_messages AS m WHERE m.id = one;
	END LOOP;
END
$$;
COMMENT ON FUNCTION amelia_platform.receive_messages(uuid, integer, interval) IS
'Delivers an agent''s messages and returns them: urgent first, then by available_at, which is the oldest first. Until visible_at nobody else gets them; one that is not acknowledged by then comes again, 2 seconds later, 4 after the second time, 8 after the third and so on, of which a random part up to half is taken off, and after max_retries it is failed. At once: it waits for nobody. Errors: P0002 no such agent, 22023 a NULL, a negative limit, a visibility that is not longer than nothing.';

CREATE OR REPLACE FUNCTION amelia_platform.ack_message(id uuid)
RETURNS amelia_platform.agent_messages
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	acknowledged amelia_platform.agent_messages;
BEGIN
	UPDATE amelia_platform.agent_messages AS m
	SET status = 'acknowledged', acknowledged_at = clock_timestamp(), visible_at = NULL
	-- written so that no index but the key fits
	WHERE m.id = ack_message.id AND COALESCE(m.status = 'delivered', false)
	RETURNING m.* INTO acknowledged;
	IF FOUND THEN
		RETURN acknowledged;
	END IF;
	IF amelia_internal.platform_lock_message(ack_message.id) <> 'acknowledged' THEN
		UPDATE amelia_platform.agent_messages AS m SET status = 'acknowledged' WHERE m.id = ack_message.id;
	END IF;
	SELECT m.* INTO acknowledged FROM amelia_platform.agent_messages AS m WHERE m.id = ack_message.id;
	RETURN acknowledged;
END
$$;
COMMENT ON FUNCTION amelia_platform.ack_message(uuid) IS
'Says that a delivered message was dealt with, and returns it; late too, as long as it has not failed or expired. Again: harmless. Errors: P0002 no such message, 55000 it was never delivered, has failed or expired, 22023 NULL.';

CREATE OR REPLACE FUNCTION amelia_platform.fail_message(id uuid, error text)
RETURNS amelia_platform.agent_messages
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	found_status text;
	failed amelia_platform.agent_messages;
BEGIN
	PERFORM amelia_internal.check_given('id', fail_message.id), amelia_internal.check_given('error', error);
	found_status := amelia_internal.platform_lock_message(fail_message.id);
	IF found_status <> 'delivered' THEN
		PERFORM amelia_internal.platform_refuse_status('message', fail_message.id, found_status, 'Only a delivered message can be failed.');
	END IF;
	UPDATE amelia_platform.agent_messages AS m
	SET status = 'pending', error_message = error,
		available_at = clock_timestamp() + amelia_internal.retry_delay(m.retry_count + 1, 2)
	WHERE m.id = fail_message.id
	RETURNING m.* INTO failed;
	RETURN failed;
END
$$;
COMMENT ON FUNCTION amelia_platform.fail_message(uuid, text) IS
'Says that a delivered message could not be dealt with, and returns it: it comes again as if it had not been acknowledged in time, or is failed after max_retries. Errors: P0002 no such message, 55000 it is not delivered, 22023 a NULL.';

CREATE OR REPLACE FUNCTION amelia_platform.redrive_message(id uuid)
RETURNS amelia_platform.agent_messages
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	found_status text;
	driven amelia_platform.agent_messages;
BEGIN
	found_status := amelia_internal.platform_lock_message(redrive_message.id);
	IF found_status <> 'failed' THEN
		PERFORM amelia_internal.platform_refuse_status('message', redrive_message.id, found_status, 'Only a failed message, one of dead_letters(), can be redriven.');
	END IF;
	UPDATE amelia_platform.agent_messages AS m SET status = 'pending' WHERE m.id = redrive_message.id
	RETURNING m.* INTO driven;
	RETURN driven;
END
$$;
COMMENT ON FUNCTION amelia_platform.redrive_message(uuid) IS
'Makes a dead letter pending again, with all its retries, and returns it. Errors: P0002 no such message, 55000 it is not failed, or has expired, 22023 NULL.';

REVOKE ALL ON FUNCTION
	amelia_platform.send_message(uuid, uuid, text, jsonb, text, text, uuid, uuid, timestamptz, integer, timestamptz, uuid),
	amelia_platform.receive_messages(uuid, integer, interval),
	amelia_platform.ack_message(uuid),
	amelia_platform.fail_message(uuid, text),
	amelia_platform.redrive_message(uuid)
FROM PUBLIC;
