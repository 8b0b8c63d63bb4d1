-- Messages: saving and reading them.

CREATE OR REPLACE FUNCTION amelia_saga.save_message(
	provider text,
	role text,
	content text,
	tags jsonb DEFAULT '[]',
	"timestamp" timestamptz DEFAULT NULL,
	metadata jsonb DEFAULT '{}',
	session_id text DEFAULT NULL,
	id text DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	saved text := COALESCE(save_message.id, (amelia_internal.saga_id())::text);
BEGIN
	-- One expression where all is well; what is wrong is said by those below.
	IF (save_message.provider ~ '[^[:space:]]' AND save_message.role ~ '[^[:space:]]' AND "left"(save_message.content, 1000) ~ '[^[:space:]]'
			AND saved ~ '[^[:space:]]') IS NOT TRUE THEN
		PERFORM amelia_internal.saga_check_text('provider', save_message.provider),
			amelia_internal.saga_check_text('role', save_message.role),
			amelia_internal.saga_check_text('content', save_message.content),
			amelia_internal.saga_check_text('id', saved);
	END IF;
	IF save_message.tags <> '[]' OR save_message.metadata <> '{}' THEN
		PERFORM amelia_internal.saga_check_json('', save_message.tags, save_message.metadata);
	END IF;
	INSERT INTO amelia_saga.messages (id, provider, role, content, tags, "timestamp", metadata, session_id)
	VALUES (saved, save_message.provider, save_message.role, save_message.content,
		COALESCE(save_message.tags, '[]'), COALESCE(save_message."timestamp", now()),
		COALESCE(save_message.metadata, '{}'), save_message.session_id)
	ON CONFLICT (id) DO NOTHING;
	IF FOUND THEN
		RETURN saved;
	END IF;

	-- Sent again: the same content is the first result, anything else a clash.
	PERFORM FROM amelia_saga.messages AS m
	WHERE m.id = saved
		AND m.provider = save_message.provider AND m.role = save_message.role AND m.content = save_message.content
		AND m.tags = COALESCE(save_message.tags, '[]') AND m.metadata = COALESCE(save_message.metadata, '{}')
		AND m.session_id IS NOT DISTINCT FROM save_message.session_id
		AND m."timestamp" = COALESCE(save_message."timestamp", m."timestamp");
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '23505',
			MESSAGE = format('message "%s" exists already, with other content', saved),
			SCHEMA = 'amelia_saga', TABLE = 'messages', CONSTRAINT = 'messages_pkey';
	END IF;
	RETURN saved;
END
$$;
COMMENT ON FUNCTION amelia_saga.save_message(text, text, text, jsonb, timestamptz, jsonb, text, text) IS
'Saves a message and returns its id, a new version-7 UUID where none is given. timestamp NULL: now. Sent again with the same id and content it returns the id and stores nothing; with other content 23505. Errors: 22023 a provider, role, content or id that is NULL or blank, tags that are no array of strings, metadata that is no object.';

CREATE OR REPLACE FUNCTION amelia_saga.save_messages(messages jsonb) RETURNS integer
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	added integer;
	clash text;
BEGIN
	-- One expression for each where all is well; what is wrong is said by saga_check_rows().
	IF jsonb_typeof(save_messages.messages) IS DISTINCT FROM 'array' OR EXISTS (
			SELECT FROM jsonb_array_elements(save_messages.messages) AS e (element)
			WHERE (jsonb_typeof(e.element) = 'object'
				AND jsonb_typeof(e.element -> 'provider') = 'string' AND e.element ->> 'provider' ~ '[^[:space:]]'
				AND jsonb_typeof(e.element -> 'role') = 'string' AND e.element ->> 'role' ~ '[^[:space:]]'
				AND jsonb_typeof(e.element -> 'content') = 'string' AND "left"(e.element ->> 'content', 1000) ~ '[^[:space:]]'
				AND COALESCE(jsonb_typeof(e.element -> 'session_id'), 'null') IN ('string', 'null')
				AND COALESCE(jsonb_typeof(e.element -> 'timestamp'), 'null') IN ('string', 'null')
				AND (NOT e.element ? 'id' OR (jsonb_typeof(e.element -> 'id') = 'string' AND e.element ->> 'id' ~ '[^[:space:]]'))
				AND e.element - ARRAY['provider', 'role', 'content', 'id', 'tags', 'timestamp', 'metadata', 'session_id'] = '{}')
				IS NOT TRUE) THEN
		PERFORM amelia_internal.saga_check_rows('messages', save_messages.messages, ARRAY['provider', 'role', 'content'],
			ARRAY['id', 'tags', 'timestamp', 'metadata', 'session_id']);
	END IF;
	PERFORM amelia_internal.saga_check_json(format('messages[%s].', e.place - 1),
		NULLIF(e.element -> 'tags', 'null'), NULLIF(e.element -> 'metadata', 'null'))
	FROM jsonb_array_elements(save_messages.messages) WITH ORDINALITY AS e (element, place)
	WHERE e.element ?| ARRAY['tags', 'metadata'];
	INSERT INTO amelia_saga.messages (id, provider, role, content, tags, "timestamp", metadata, session_id)
	SELECT COALESCE(e.element ->> 'id', (amelia_internal.saga_id())::text),
		e.element ->> 'provider', e.element ->> 'role', e.element ->> 'content',
		COALESCE(NULLIF(e.element -> 'tags', 'null'), '[]'),
		COALESCE((e.element ->> 'timestamp')::timestamptz, now()),
		COALESCE(NULLIF(e.element -> 'metadata', 'null'), '{}'),
		e.element ->> 'session_id'
	FROM jsonb_array_elements(save_messages.messages) WITH ORDINALITY AS e (element, place)
	ORDER BY e.place
	ON CONFLICT (id) DO NOTHING;
	GET DIAGNOSTICS added = ROW_COUNT;
	IF added < jsonb_array_length(save_messages.messages) THEN
		SELECT e.element ->> 'id' INTO clash
		FROM jsonb_array_elements(save_messages.messages) WITH ORDINALITY AS e (element, place)
		WHERE e.element ->> 'id' IS NOT NULL
			AND NOT EXISTS (SELECT FROM amelia_saga.messages AS m
				WHERE m.id = e.element ->> 'id'
					AND m.provider = e.element ->> 'provider' AND m.role = e.element ->> 'role'
					AND m.content = e.element ->> 'content'
					AND m.tags = COALESCE(NULLIF(e.element -> 'tags', 'null'), '[]')
					AND m.metadata = COALESCE(NULLIF(e.element -> 'metadata', 'null'), '{}')
					AND m.session_id IS NOT DISTINCT FROM e.element ->> 'session_id'
					AND m."timestamp" = COALESCE((e.element ->> 'timestamp')::timestamptz, m."timestamp"))
		ORDER BY e.place
		LIMIT 1;
		IF FOUND THEN
			RAISE EXCEPTION USING ERRCODE = '23505',
				MESSAGE = format('message "%s" exists already, with other content', clash),
				SCHEMA = 'amelia_saga', TABLE = 'messages', CONSTRAINT = 'messages_pkey';
		END IF;
	END IF;
	RETURN added;
END
$$;
COMMENT ON FUNCTION amelia_saga.save_messages(jsonb) IS
'Saves an array of objects with the arguments of save_message() as fields, in order, all or none, and returns how many were new: for batches of a thousand. Those that are there already with the same content are passed over. Errors: 22023 as save_message(), and a session_id or timestamp that is no string, with the place in the array counted from 0; 22007 or 22008 a timestamp that is none; 23505 an id that has other content.';

CREATE OR REPLACE FUNCTION amelia_saga.get_message(id text) RETURNS SETOF amelia_saga.messages
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.check_given('id'::text, get_message.id);
	RETURN QUERY
	SELECT m.* FROM amelia_saga.messages AS m WHERE m.id = get_message.id;
END
$$;
COMMENT ON FUNCTION amelia_saga.get_message(text) IS
'The message, or no row. Errors: 22023 NULL.';

CREATE OR REPLACE FUNCTION amelia_saga.get_session(
	session_id text,
	row_limit integer DEFAULT 1000,
	after_timestamp timestamptz DEFAULT NULL,
	after_arrival bigint DEFAULT NULL)
RETURNS SETOF amelia_saga.messages
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.check_given('session_id'::text, get_session.session_id);
	PERFORM amelia_internal.check_limit(row_limit);
	IF after_arrival IS NOT NULL AND after_timestamp IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('after_arrival must come with after_timestamp: %s', after_arrival);
	END IF;
	RETURN QUERY
	SELECT m.*
	FROM amelia_saga.messages AS m
	WHERE m.session_id = get_session.session_id
		AND (m."timestamp", m.arrival) > (COALESCE(after_timestamp, '-infinity'),
			COALESCE(after_arrival, CASE WHEN after_timestamp IS NULL THEN '-9223372036854775808'::bigint ELSE 9223372036854775807 END))
	ORDER BY m."timestamp", m.arrival
	LIMIT row_limit;
END
$$;
COMMENT ON FUNCTION amelia_saga.get_session(text, integer, timestamptz, bigint) IS
'The messages of a session, oldest first, those of one time in the order they arrived. To go on, give timestamp and arrival of the last one. Errors: 22023 no session_id, a limit that is NULL or negative, after_arrival without after_timestamp.';

CREATE OR REPLACE FUNCTION amelia_saga.list_sessions(row_limit integer DEFAULT 50, before timestamptz DEFAULT NULL)
RETURNS TABLE (session_id text, messages bigint, first timestamptz, last timestamptz, providers text[])
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
-- Before statistics are there, everything would be read and sorted.
SET enable_seqscan = off
SET jit = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_sort = off
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.check_limit(row_limit);
	-- From the newest message back through the index; of each session the
	-- message behind which it has none.
	RETURN QUERY
	SELECT s.session_id, t.messages, t.first, s."timestamp", t.providers
	FROM (SELECT m.session_id, m."timestamp", m.arrival
			FROM amelia_saga.messages AS m
			WHERE m.session_id IS NOT NULL
				AND (list_sessions.before IS NULL OR m."timestamp" < list_sessions.before)
				AND NOT EXISTS (SELECT FROM amelia_saga.messages AS l
					WHERE l.session_id = m.session_id AND (l."timestamp", l.arrival) > (m."timestamp", m.arrival))
			ORDER BY m."timestamp" DESC, m.arrival DESC
			LIMIT row_limit) AS s,
		LATERAL (SELECT count(*), min(m."timestamp"), array_agg(DISTINCT m.provider ORDER BY m.provider)
			FROM amelia_saga.messages AS m
			WHERE m.session_id = s.session_id) AS t (messages, first, providers)
	ORDER BY s."timestamp" DESC, s.arrival DESC;
END
$$;
COMMENT ON FUNCTION amelia_saga.list_sessions(integer, timestamptz) IS
'The sessions with their number of messages, the times of the first and the last one, and the providers; newest first. before: those whose last message is older. Errors: 22023 a limit that is NULL or negative.';

CREATE OR REPLACE FUNCTION amelia_saga.recent_messages(
	row_limit integer DEFAULT 50,
	provider text DEFAULT NULL,
	role text DEFAULT NULL)
RETURNS SETOF amelia_saga.messages
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.check_limit(row_limit);
	RETURN QUERY
	SELECT m.*
	FROM amelia_saga.messages AS m
	WHERE (recent_messages.provider IS NULL OR m.provider = recent_messages.provider)
		AND (recent_messages.role IS NULL OR m.role = recent_messages.role)
	ORDER BY m."timestamp" DESC, m.arrival DESC
	LIMIT row_limit;
END
$$;
COMMENT ON FUNCTION amelia_saga.recent_messages(integer, text, text) IS
'The messages, newest first; a NULL filter does not filter. Errors: 22023 a limit that is NULL or negative.';

REVOKE ALL ON FUNCTION
	amelia_saga.save_message(text, text, text, jsonb, timestamptz, jsonb, text, text),
	amelia_saga.save_messages(jsonb),
	amelia_saga.get_message(text),
	amelia_saga.get_session(text, integer, timestamptz, bigint),
	amelia_saga.list_sessions(integer, timestamptz),
	amelia_saga.recent_messages(integer, text, text)
FROM PUBLIC;
