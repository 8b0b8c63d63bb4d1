-- Settings.

CREATE FUNCTION amelia_internal.platform_settings(
	OUT message_retention_days integer, OUT task_retention_days integer, OUT metric_retention_days integer, OUT stale_after interval)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	SELECT s.message_retention_days, s.task_retention_days, s.metric_retention_days, s.stale_after
	INTO message_retention_days, task_retention_days, metric_retention_days, stale_after
	FROM amelia_platform.platform_settings AS s;
	IF NOT FOUND THEN
		message_retention_days := 30;
		task_retention_days := 90;
		metric_retention_days := 90;
		stale_after := '300 seconds';
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_settings() IS
'The settings in force: the row of platform_settings, or the defaults while there is none.';

CREATE FUNCTION amelia_internal.platform_check_settings(changes jsonb) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known CONSTANT text[] := ARRAY['message_retention_days', 'task_retention_days', 'metric_retention_days', 'stale_after'];
	change record;
BEGIN
	PERFORM amelia_internal.check_given('changes', changes);
	IF jsonb_typeof(changes) <> 'object' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('changes must be a JSON object, not %s', jsonb_typeof(changes));
	END IF;
	FOR change IN SELECT c.key, c.value, jsonb_typeof(c.value) AS type FROM jsonb_each(changes) AS c LOOP
		IF change.key <> ALL (known) THEN
			RAISE EXCEPTION USING ERRCODE = '22023',
				MESSAGE = format('"%s" is no setting', change.key),
				HINT = format('Settings: %s.', array_to_string(known, ', '));
		ELSIF change.key = 'stale_after' THEN
			IF change.type <> 'string' THEN
				RAISE EXCEPTION USING ERRCODE = '22023',
					MESSAGE = format('setting "%s" must be an interval, not %s', change.key, change.value);
			END IF;
			PERFORM amelia_internal.platform_check_interval('stale_after', (change.value #>> '{}')::interval, interval '1 second');
		ELSIF change.type <> 'number' OR trunc(change.value::numeric) <> change.value::numeric OR change.value::numeric < -1 THEN
			RAISE EXCEPTION USING ERRCODE = '22023',
				MESSAGE = format('setting "%s" must be a whole number of -1 or more, not %s', change.key, change.value);
		ELSIF change.value::numeric > 2147483647 THEN
			RAISE EXCEPTION USING ERRCODE = '22003',
				MESSAGE = format('setting "%s" is out of range: %s', change.key, change.value);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_check_settings(jsonb) IS
'Raises unless the value is an object of settings and values that they can have; see update_settings().';

REVOKE ALL ON FUNCTION
	amelia_internal.platform_settings(),
	amelia_internal.platform_check_settings(jsonb)
FROM PUBLIC;
