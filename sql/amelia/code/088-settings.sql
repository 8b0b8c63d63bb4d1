-- What update_settings() calls.

CREATE FUNCTION amelia_internal.check_settings(changes jsonb) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	change record;
	known text[];
	low CONSTANT jsonb := '{"log_retention_days": -1, "trace_retention_days": -1, "checkpoint_retention_days": -1, "max_concurrent": 1, "recovery_hours": 0, "orphan_thread_retention_days": -1, "checkpoint_grace_minutes": 0, "retention_max_workflows": 1, "feed_retention_hours": -1, "max_lease_hours": 24, "websocket_idle_timeout_seconds": null, "workflow_start_timeout_seconds": null}';
BEGIN
	PERFORM amelia_internal.check_given('changes', changes);
	IF jsonb_typeof(changes) <> 'object' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('changes must be a JSON object, not %s', jsonb_typeof(changes));
	END IF;
	-- The owner may have dropped some, and then they are none.
	known := ARRAY(SELECT k.name
		FROM (SELECT 'stream_tool_results', -2 UNION ALL SELECT 'record_unpriced_usage', -1
			UNION ALL SELECT j.name, j.place FROM jsonb_object_keys(low) WITH ORDINALITY AS j (name, place)) AS k (name, place)
		WHERE EXISTS (SELECT FROM pg_attribute AS a
			WHERE a.attrelid = to_regclass('amelia.server_settings') AND a.attname = k.name AND NOT a.attisdropped)
		ORDER BY k.place);
	FOR change IN SELECT c.key, c.value, jsonb_typeof(c.value) AS type FROM jsonb_each(changes) AS c LOOP
		IF change.key <> ALL (known) THEN
			RAISE EXCEPTION USING ERRCODE = '22023',
				MESSAGE = format('"%s" is no setting', change.key),
				HINT = format('Settings: %s.', array_to_string(known, ', '));
		ELSIF change.key IN ('stream_tool_results', 'record_unpriced_usage') THEN
			IF change.type <> 'boolean' THEN
				RAISE EXCEPTION USING ERRCODE = '22023',
					MESSAGE = format('setting "%s" must be true or false, not %s', change.key, change.value);
			END IF;
		ELSIF change.type <> 'number' THEN
			RAISE EXCEPTION USING ERRCODE = '22023',
				MESSAGE = format('setting "%s" must be a number, not %s', change.key, change.value);
		ELSIF low -> change.key = 'null' THEN
			IF change.value::numeric <= 0 THEN
				RAISE EXCEPTION USING ERRCODE = '22023',
					MESSAGE = format('setting "%s" must be greater than 0, not %s', change.key, change.value);
			END IF;
		ELSIF trunc(change.value::numeric) <> change.value::numeric
			OR change.value::numeric < (low ->> change.key)::numeric THEN
			RAISE EXCEPTION USING ERRCODE = '22023',
				MESSAGE = format('setting "%s" must be a whole number of %s or more, not %s',
					change.key, low -> change.key, change.value);
		ELSIF change.value::numeric > 2147483647 THEN
			RAISE EXCEPTION USING ERRCODE = '22003',
				MESSAGE = format('setting "%s" is out of range: %s', change.key, change.value);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION amelia_internal.check_settings(jsonb) IS
'Raises unless the value is an object of settings and values that they can have; see update_settings().';

CREATE FUNCTION amelia_internal.current_settings() RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT jsonb_build_object(
	'id', 1,
	'log_retention_days', 30,
	'trace_retention_days', 7,
	'checkpoint_retention_days', 0,
	'websocket_idle_timeout_seconds', 300,
	'workflow_start_timeout_seconds', 60,
	'max_concurrent', 5,
	'stream_tool_results', false,
	'recovery_hours', 24,
	'orphan_thread_retention_days', -1,
	'checkpoint_grace_minutes', 60,
	'retention_max_workflows', 10000,
	'record_unpriced_usage', false,
	'feed_retention_hours', 24,
	'max_lease_hours', 24,
	'created_at', now(),
	'updated_at', now())
	|| COALESCE((SELECT to_jsonb(s) FROM amelia.server_settings AS s), '{}')
$$;
COMMENT ON FUNCTION amelia_internal.current_settings() IS
'The row of server_settings, with the defaults of what it does not have.';

REVOKE ALL ON FUNCTION
	amelia_internal.current_settings(),
	amelia_internal.check_settings(jsonb)
FROM PUBLIC;
