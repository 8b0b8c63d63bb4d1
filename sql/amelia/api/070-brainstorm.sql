-- The chats that design workflows.

CREATE OR REPLACE FUNCTION amelia.add_brainstorm_message(
	session_id text,
	role text,
	content text,
	parts jsonb DEFAULT NULL,
	input_tokens bigint DEFAULT NULL,
	output_tokens bigint DEFAULT NULL,
	cost_usd double precision DEFAULT NULL,
	is_system boolean DEFAULT false,
	id text DEFAULT NULL)
RETURNS amelia.brainstorm_messages
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	-- A row's columns take texts as whatever type the table has now.
	session amelia.brainstorm_sessions;
	given amelia.brainstorm_messages;
	added amelia.brainstorm_messages;
	cost CONSTANT numeric := amelia_internal.check_cost('cost_usd', add_brainstorm_message.cost_usd::numeric);
BEGIN
	PERFORM amelia_internal.check_given('session_id', add_brainstorm_message.session_id),
		amelia_internal.check_given('role', add_brainstorm_message.role),
		amelia_internal.check_given('content', add_brainstorm_message.content),
		amelia_internal.check_given('is_system', add_brainstorm_message.is_system),
		amelia_internal.check_choice('role', add_brainstorm_message.role),
		amelia_internal.check_container('parts', add_brainstorm_message.parts),
		amelia_internal.check_count('input_tokens', add_brainstorm_message.input_tokens),
		amelia_internal.check_count('output_tokens', add_brainstorm_message.output_tokens),
		amelia_internal.check_integers(ARRAY['input_tokens', 'output_tokens'],
			ARRAY[add_brainstorm_message.input_tokens, add_brainstorm_message.output_tokens]);
	session.id := add_brainstorm_message.session_id;
	given.session_id := add_brainstorm_message.session_id;
	given.id := COALESCE(add_brainstorm_message.id, amelia_internal.new_uuid()::text);
	PERFORM FROM amelia.brainstorm_sessions AS s
	WHERE s.id = session.id
	FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002',
			MESSAGE = format('no brainstorm session "%s"', add_brainstorm_message.session_id);
	END IF;

	INSERT INTO amelia.brainstorm_messages (id, session_id, role, content, parts,
		input_tokens, output_tokens, cost_usd, is_system)
	VALUES (given.id, given.session_id, add_brainstorm_message.role,
		add_brainstorm_message.content, add_brainstorm_message.parts,
		add_brainstorm_message.input_tokens, add_brainstorm_message.output_tokens, cost,
		add_brainstorm_message.is_system)
	ON CONFLICT (id) DO NOTHING
	RETURNING * INTO added;
	IF FOUND THEN
		UPDATE amelia.brainstorm_sessions AS s SET updated_at = now() WHERE s.id = session.id;
		RETURN added;
	END IF;

	-- Sent again: the same content is the first result, anything else a clash.
	SELECT m.* INTO added
	FROM amelia.brainstorm_messages AS m
	WHERE m.id = given.id
		AND (m.session_id, m.role, m.content, m.is_system)
		= (given.session_id, add_brainstorm_message.role,
			add_brainstorm_message.content, add_brainstorm_message.is_system)
		AND m.parts IS NOT DISTINCT FROM add_brainstorm_message.parts
		AND m.input_tokens IS NOT DISTINCT FROM add_brainstorm_message.input_tokens
		AND m.output_tokens IS NOT DISTINCT FROM add_brainstorm_message.output_tokens
		AND m.cost_usd IS NOT DISTINCT FROM cost;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '23505',
			MESSAGE = format('brainstorm message "%s" exists already, with other content', add_brainstorm_message.id),
			SCHEMA = 'amelia', TABLE = 'brainstorm_messages', CONSTRAINT = 'brainstorm_messages_pkey';
	END IF;
	RETURN added;
END
$$;
COMMENT ON FUNCTION amelia.add_brainstorm_message(text, text, text, jsonb, bigint, bigint, double precision, boolean, text) IS
'Adds a message with the session''s next sequence, moves the session''s updated_at, and returns the message. role: user or assistant; cost_usd in US dollars. Sent again with the same id and content it returns the first message and stores nothing; with other content 23505. Errors: P0002 no such session, 22023 a required argument is NULL, an unknown role, a negative number, parts that are a JSON scalar, 22003 a number above 2147483647, a cost of 10000 or more.';

CREATE OR REPLACE FUNCTION amelia.brainstorm_messages_after(
	session_id text,
	after_sequence integer DEFAULT 0,
	row_limit integer DEFAULT 1000)
RETURNS SETOF amelia.brainstorm_messages
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	given amelia.brainstorm_messages;
BEGIN
	given.session_id := brainstorm_messages_after.session_id;
	PERFORM amelia_internal.check_cursor(after_sequence), amelia_internal.check_limit(row_limit);
	RETURN QUERY
	SELECT m.*
	FROM amelia.brainstorm_messages AS m
	WHERE m.session_id = given.session_id AND m.sequence > after_sequence
	ORDER BY m.sequence
	LIMIT row_limit;
END
$$;
COMMENT ON FUNCTION amelia.brainstorm_messages_after(text, integer, integer) IS
'What follows the cursor in a session, in order. Errors: 22023 a cursor or limit that is NULL or negative.';

CREATE OR REPLACE FUNCTION amelia.list_brainstorm_sessions(
	profile_id text DEFAULT NULL,
	status text DEFAULT NULL,
	row_limit integer DEFAULT 50)
RETURNS SETOF amelia.brainstorm_sessions
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.check_choice('session_status', list_brainstorm_sessions.status),
		amelia_internal.check_limit(row_limit);
	RETURN QUERY
	SELECT s.*
	FROM amelia.brainstorm_sessions AS s
	WHERE (list_brainstorm_sessions.profile_id IS NULL OR s.profile_id = list_brainstorm_sessions.profile_id)
		AND (list_brainstorm_sessions.status IS NULL OR s.status = list_brainstorm_sessions.status)
	ORDER BY s.updated_at DESC, s.id DESC
	LIMIT row_limit;
END
$$;
COMMENT ON FUNCTION amelia.list_brainstorm_sessions(text, text, integer) IS
'The sessions, newest update first; a NULL filter does not filter. Errors: 22023 an unknown status, a limit that is NULL or negative.';

CREATE OR REPLACE FUNCTION amelia.brainstorm_usage(session_id text)
RETURNS TABLE (
	input_tokens bigint,
	output_tokens bigint,
	cost_usd numeric,
	messages bigint)
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	given amelia.brainstorm_messages;
BEGIN
	given.session_id := brainstorm_usage.session_id;
	RETURN QUERY
	SELECT COALESCE(sum(m.input_tokens), 0), COALESCE(sum(m.output_tokens), 0),
		COALESCE(sum(m.cost_usd), 0), count(*)
	FROM amelia.brainstorm_messages AS m
	WHERE m.session_id = given.session_id
		AND (m.input_tokens IS NOT NULL OR m.output_tokens IS NOT NULL OR m.cost_usd IS NOT NULL)
	HAVING count(*) > 0;
END
$$;
COMMENT ON FUNCTION amelia.brainstorm_usage(text) IS
'Tokens and US dollars of a session, and how many of its messages carry usage; no row when none does.';

REVOKE ALL ON FUNCTION
	amelia.add_brainstorm_message(text, text, text, jsonb, bigint, bigint, double precision, boolean, text),
	amelia.brainstorm_messages_after(text, integer, integer),
	amelia.list_brainstorm_sessions(text, text, integer),
	amelia.brainstorm_usage(text)
FROM PUBLIC;
