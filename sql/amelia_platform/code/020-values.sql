-- The checks at the door of every function.

CREATE FUNCTION amelia_internal.platform_values(name text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN CASE name
		WHEN 'agent_type' THEN ARRAY['chief_of_staff', 'master_operator']
		WHEN 'agent status' THEN ARRAY['idle', 'active', 'busy', 'error', 'offline']
		WHEN 'task status' THEN ARRAY['pending', 'in_progress', 'completed', 'failed', 'cancelled']
		WHEN 'task priority' THEN ARRAY['urgent', 'high', 'medium', 'low']
		WHEN 'message priority' THEN ARRAY['urgent', 'high', 'normal', 'low']
		WHEN 'workflow status' THEN ARRAY['draft', 'active', 'paused', 'completed', 'failed']
		WHEN 'step_type' THEN ARRAY['task', 'decision', 'parallel', 'join', 'wait', 'end']
		WHEN 'op' THEN ARRAY['eq', 'ne', 'lt', 'le', 'gt', 'ge', 'in', 'contains', 'exists']
		WHEN 'bucket' THEN ARRAY['minute', 'hour', 'day', 'week', 'month'] END;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_values(text) IS
'The values that agent_type, a status, a priority, step_type, op or bucket can have, the first ones first.';

CREATE FUNCTION amelia_internal.platform_check_value(name text, value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF value <> ALL (amelia_internal.platform_values(name)) THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('invalid %s "%s"', name, value),
			HINT = format('Allowed: %s.', array_to_string(amelia_internal.platform_values(name), ', '));
	END IF;
	RETURN value;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_check_value(text, text) IS
'The value, which may be NULL; 22023 with the allowed ones as hint when it is none of platform_values().';

CREATE FUNCTION amelia_internal.platform_check_text(argument text, value text, longest integer) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF value = '' THEN
		RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('%s must not be empty', argument);
	ELSIF length(value) > longest THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('%s is too long: %s characters', argument, length(value)),
			HINT = format('It may have %s.', longest);
	END IF;
	RETURN value;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_check_text(text, text, integer) IS
'The text, which may be NULL; 22023 with the argument''s name when it is empty or longer than that.';

CREATE FUNCTION amelia_internal.platform_check_interval(argument text, value interval, shortest interval) RETURNS interval
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM amelia_internal.check_given(argument, value);
	IF value < shortest OR value > interval '100 years' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('%s must be between %s and 100 years, not %s', argument, shortest, value);
	END IF;
	RETURN value;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_check_interval(text, interval, interval) IS
'The interval; 22023 with the argument''s name when it is NULL, shorter than shortest or longer than 100 years.';

CREATE FUNCTION amelia_internal.platform_check_needs(needs text[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM amelia_internal.check_given('required_capabilities', needs);
	IF array_ndims(needs) > 1 OR EXISTS (SELECT FROM unnest(needs) AS n (name) WHERE n.name IS NULL)
		OR octet_length(array_to_string(needs, ',')) > 2000 THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('required_capabilities must be a list of names: %s', left(needs::text, 200)),
			HINT = 'Without NULL, and not longer than 2000 bytes.';
	END IF;
	RETURN needs;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_check_needs(text[]) IS
'The list of capabilities; 22023 when it is NULL, has one in it, has more than one dimension, or is too long.';

CREATE FUNCTION amelia_internal.platform_check_agent(argument text, agent_id uuid) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	type text;
BEGIN
	PERFORM amelia_internal.check_given(argument, agent_id);
	SELECT a.agent_type INTO type FROM amelia_platform.agents AS a WHERE a.id = agent_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002', MESSAGE = format('no agent %s', agent_id);
	END IF;
	RETURN type;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_check_agent(text, uuid) IS
'The agent''s type. Errors: P0002 no such agent, 22023 NULL, with the argument''s name.';

CREATE FUNCTION amelia_internal.platform_is_history(relation oid) RETURNS boolean
LANGUAGE c STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_platform_is_history';
COMMENT ON FUNCTION amelia_internal.platform_is_history(oid) IS
'Whether this session writes what happened elsewhere, before (amelia.history), with the rights of the table''s owner as its own. NULL: there is no such table.';

CREATE FUNCTION amelia_internal.platform_check_move(what text, id uuid, old_status text, new_status text, allowed text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF new_status <> ALL (allowed) THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('%s %s cannot go from %s to %s', what, id, old_status, new_status),
			HINT = CASE WHEN cardinality(allowed) = 0 THEN format('%s is final.', old_status)
				ELSE format('From %s it can go to: %s.', old_status, array_to_string(allowed, ', ')) END;
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_check_move(text, uuid, text, text, text[]) IS
'Raises 55000, with the allowed targets as hint, when a status is none of them.';

CREATE FUNCTION amelia_internal.platform_refuse_status(what text, id uuid, status text, hint text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = format('%s %s is %s', what, id, status), HINT = hint;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_refuse_status(text, uuid, text, text) IS
'Raises 55000 because something has a status in which this cannot be done.';

CREATE FUNCTION amelia_internal.platform_is_fault(code text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT code !~ '^(40|53|54|57|58|XX)' AND code NOT IN ('55P03', '25006')
$$;
COMMENT ON FUNCTION amelia_internal.platform_is_fault(text) IS
'Whether an SQLSTATE tells of a row that refuses to be written, and not of the server, or of a conflict with another session.';

CREATE FUNCTION amelia_internal.platform_note_fault(of_relation text, id uuid, code text, message text) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
INSERT INTO amelia_platform.platform_faults AS f (relation, row_id, retry_at, sqlstate, reason)
VALUES (of_relation, id, clock_timestamp() + amelia_internal.retry_delay(1, 10), code, message)
ON CONFLICT (relation, row_id) DO UPDATE SET failed_at = now(), times = f.times + 1,
	retry_at = clock_timestamp() + amelia_internal.retry_delay(f.times + 1, 10),
	sqlstate = EXCLUDED.sqlstate, reason = EXCLUDED.reason
$$;
COMMENT ON FUNCTION amelia_internal.platform_note_fault(text, uuid, text, text) IS
'Has a row passed over for a while, longer each time.';

CREATE FUNCTION amelia_internal.platform_check_written(written bigint, wanted bigint) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF written < wanted THEN
		RAISE EXCEPTION USING ERRCODE = '27000',
			MESSAGE = 'a trigger kept it as it was';
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_check_written(bigint, bigint) IS
'Raises 27000 when fewer rows were written than are locked: a trigger that leaves a row as it was refuses it, and without a word.';

REVOKE ALL ON FUNCTION
	amelia_internal.platform_values(text),
	amelia_internal.platform_check_value(text, text),
	amelia_internal.platform_check_text(text, text, integer),
	amelia_internal.platform_check_interval(text, interval, interval),
	amelia_internal.platform_check_needs(text[]),
	amelia_internal.platform_check_agent(text, uuid),
	amelia_internal.platform_is_history(oid),
	amelia_internal.platform_check_move(text, uuid, text, text, text[]),
	amelia_internal.platform_refuse_status(text, uuid, text, text),
	amelia_internal.platform_is_fault(text),
	amelia_internal.platform_note_fault(text, uuid, text, text),
	amelia_internal.platform_check_written(bigint, bigint)
FROM PUBLIC;
