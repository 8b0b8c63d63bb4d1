-- Reading the event log. PL/pgSQL keeps the plans, which matters to those
-- who poll.

CREATE OR REPLACE FUNCTION amelia.last_sequence(workflow_id uuid) RETURNS integer
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN COALESCE((SELECT max(e.sequence)
		FROM amelia.workflow_log AS e
		WHERE e.workflow_id = last_sequence.workflow_id), 0);
END
$$;
COMMENT ON FUNCTION amelia.last_sequence(uuid) IS
'The highest sequence in a workflow''s log; 0 when there is none.';

CREATE OR REPLACE FUNCTION amelia.events_after(
	workflow_id uuid,
	after_sequence integer DEFAULT 0,
	row_limit integer DEFAULT 1000)
RETURNS SETOF amelia.workflow_log
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.check_cursor(after_sequence), amelia_internal.check_limit(row_limit);
	RETURN QUERY
	SELECT e.*
	FROM amelia.workflow_log AS e
	WHERE e.workflow_id = events_after.workflow_id AND e.sequence > after_sequence
	ORDER BY e.sequence
	LIMIT row_limit;
END
$$;
COMMENT ON FUNCTION amelia.events_after(uuid, integer, integer) IS
'What follows the cursor in a workflow''s log, in order. An allocated number lower than one that was seen never shows up later: who allocates holds the workflow''s row until the commit is visible. Errors: 22023 a cursor or limit that is NULL or negative.';

CREATE OR REPLACE FUNCTION amelia.events_after_event(
	event_id uuid,
	row_limit integer DEFAULT 1000)
RETURNS SETOF amelia.workflow_log
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	seen record;
BEGIN
	PERFORM amelia_internal.check_given('event_id', event_id), amelia_internal.check_limit(row_limit);
	SELECT e.workflow_id, e.sequence INTO seen
	FROM amelia.workflow_log AS e
	WHERE e.id = event_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002',
			MESSAGE = format('no event %s', event_id),
			HINT = 'Retention may have removed it: start again with events_after().';
	END IF;
	RETURN QUERY
	SELECT e.*
	FROM amelia.workflow_log AS e
	WHERE e.workflow_id = seen.workflow_id AND e.sequence > seen.sequence
	ORDER BY e.sequence
	LIMIT row_limit;
END
$$;
COMMENT ON FUNCTION amelia.events_after_event(uuid, integer) IS
'What follows an event in its workflow''s log, in order. Errors: P0002 that event is gone, 22023 a NULL, a negative limit.';

CREATE OR REPLACE FUNCTION amelia.recent_events(
	workflow_id uuid,
	row_limit integer DEFAULT 50)
RETURNS SETOF amelia.workflow_log
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.check_limit(row_limit);
	RETURN QUERY
	SELECT newest.*
	FROM (SELECT e.*
		FROM amelia.workflow_log AS e
		WHERE e.workflow_id = recent_events.workflow_id
		ORDER BY e.sequence DESC
		LIMIT row_limit) AS newest
	ORDER BY newest.sequence;
END
$$;
COMMENT ON FUNCTION amelia.recent_events(uuid, integer) IS
'The newest events of a workflow, the oldest of them first. Errors: 22023 a limit that is NULL or negative.';

CREATE OR REPLACE FUNCTION amelia.event_exists(id uuid) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT EXISTS (SELECT FROM amelia.workflow_log AS e WHERE e.id = event_exists.id)
$$;
COMMENT ON FUNCTION amelia.event_exists(uuid) IS 'Whether there is an event with that id.';

REVOKE ALL ON FUNCTION
	amelia.last_sequence(uuid),
	amelia.events_after(uuid, integer, integer),
	amelia.events_after_event(uuid, integer),
	amelia.recent_events(uuid, integer),
	amelia.event_exists(uuid)
FROM PUBLIC;
