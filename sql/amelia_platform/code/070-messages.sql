-- What receivers call.

CREATE FUNCTION amelia_internal.platform_deliver(ids uuid[], visibility interval) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	this_moment CONSTANT timestamptz := clock_timestamp();
	delivered uuid[];
	written bigint;
BEGIN
	WITH moved AS (
		UPDATE amelia_platform.agent_messages AS m
		SET status = CASE WHEN m.status = 'delivered' AND m.retry_count >= m.max_retries THEN 'failed' ELSE 'delivered' END,
			retry_count = m.retry_count + (m.status = 'delivered' AND m.retry_count < m.max_retries)::integer,
			error_message = CASE WHEN m.status = 'delivered' AND m.retry_count >= m.max_retries
				THEN 'not acknowledged, and no retry is left' ELSE m.error_message END,
			delivered_at = CASE WHEN m.status = 'delivered' AND m.retry_count >= m.max_retries THEN m.delivered_at ELSE this_moment END,
			visible_at = this_moment + visibility,
			-- When it comes again unless it is acknowledged.
			available_at = this_moment + visibility
				+ amelia_internal.retry_delay(m.retry_count + 1 + (m.status = 'delivered')::integer, 2)
		WHERE m.id = ANY (ids)
		RETURNING m.id, m.status)
	SELECT array_agg(v.id) FILTER (WHERE v.status = 'delivered'), count(*) FILTER (WHERE v.status NOT IN ('pending', 'sent'))
	INTO delivered, written FROM moved AS v;
	IF written < cardinality(ids) THEN
		-- It would be found again, and again.
		PERFORM amelia_internal.platform_check_written(written, cardinality(ids));
	END IF;
	IF cardinality(delivered) = 1 THEN
		RETURN delivered;
	END IF;
	-- In the order in which they were asked for.
	RETURN ARRAY(SELECT i.id FROM unnest(ids) WITH ORDINALITY AS i (id, place) WHERE i.id = ANY (delivered) ORDER BY i.place);
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_deliver(uuid[], interval) IS
'Marks messages that are locked as delivered, and returns the ids of those that are; one that was delivered as often as it may becomes failed.';

CREATE FUNCTION amelia_internal.platform_receive(recipient uuid, row_limit integer, visibility interval) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
SET enable_bitmapscan = off
AS $$
DECLARE
	this_moment timestamptz;
	candidates uuid[];
	candidate uuid;
	received uuid[] := '{}';
	-- None is tried a second time, also where nobody keeps its fault in mind.
	tried uuid[] := '{}';
	message text;
BEGIN
	WHILE cardinality(received) < row_limit LOOP
		-- Known before: so the index is read up to there, and no further.
		this_moment := clock_timestamp();
		-- One range of the index after the other: what is not asked for is not locked.
		candidates := ARRAY(SELECT n.id FROM unnest(ARRAY['urgent', 'high', 'normal', 'low']) AS p (level),
			LATERAL (SELECT m.id FROM amelia_platform.agent_messages AS m
				WHERE m.recipient_id = recipient AND m.priority::text = p.level
					AND m.status IN ('pending', 'sent', 'delivered') AND m.available_at <= this_moment
					AND (m.expires_at IS NULL OR m.expires_at > this_moment) AND m.id <> ALL (tried)
					AND NOT EXISTS (SELECT FROM amelia_platform.platform_faults AS f
						WHERE f.relation = 'agent_messages' AND f.row_id = m.id AND f.retry_at > this_moment)
				ORDER BY m.available_at, m.id
				FOR NO KEY UPDATE SKIP LOCKED) AS n
			LIMIT row_limit - cardinality(received));
		EXIT WHEN cardinality(candidates) = 0;
		BEGIN
			received := received || amelia_internal.platform_deliver(candidates, visibility);
			CONTINUE;
		EXCEPTION WHEN OTHERS THEN
			IF NOT amelia_internal.platform_is_fault(SQLSTATE) THEN
				RAISE;
			END IF;
		END;
		-- One of them cannot be written: each by itself.
		tried := tried || candidates;
		FOREACH candidate IN ARRAY candidates LOOP
			BEGIN
				received := received || amelia_internal.platform_deliver(ARRAY[candidate], visibility);
			EXCEPTION WHEN OTHERS THEN
				IF NOT amelia_internal.platform_is_fault(SQLSTATE) THEN
					RAISE;
				END IF;
				GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
				-- One that has expired since it was found has no fault.
				IF NOT EXISTS (SELECT FROM amelia_platform.agent_messages AS m
					WHERE m.id = candidate AND m.expires_at <= clock_timestamp()) THEN
					PERFORM amelia_internal.platform_note_fault('agent_messages', candidate, SQLSTATE, message);
				END IF;
			END;
		END LOOP;
	END LOOP;
	RETURN received;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_receive(uuid, integer, interval) IS
'Delivers the first messages of an agent, and returns their ids. Waits for nobody; a message that refuses to be written is passed over, with a row in platform_faults.';

CREATE FUNCTION amelia_internal.platform_lock_message(message uuid) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	locked text;
BEGIN
	PERFORM amelia_internal.check_given('id', message);
	SELECT m.status INTO locked FROM amelia_platform.agent_messages AS m WHERE m.id = message FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002', MESSAGE = format('no message %s', message);
	END IF;
	RETURN locked;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_lock_message(uuid) IS
'Locks a message and returns its status. Errors: P0002 no such message, 22023 NULL.';

CREATE PROCEDURE amelia_platform.wait_messages(recipient_id uuid, timeout interval DEFAULT '30 seconds')
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_platform_wait_messages';
COMMENT ON PROCEDURE amelia_platform.wait_messages(uuid, interval) IS
'Returns as soon as there is a message that an agent can receive, at the latest when the time is over; then call receive_messages(). It holds the connection, but no snapshot. Errors: P0002 no such agent, 25001 inside a transaction block, 53400 more sessions wait than amelia.max_waiters allows, 22023 a NULL.';
REVOKE ALL ON PROCEDURE amelia_platform.wait_messages(uuid, interval) FROM PUBLIC;

REVOKE ALL ON FUNCTION
	amelia_internal.platform_deliver(uuid[], interval),
	amelia_internal.platform_receive(uuid, integer, interval),
	amelia_internal.platform_lock_message(uuid)
FROM PUBLIC;
