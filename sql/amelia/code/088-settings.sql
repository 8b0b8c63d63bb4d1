-- The settings, for whoever reads and changes them. The columns of
-- server_settings have the same defaults, and CHECKs for the same bounds.

CREATE FUNCTION amelia_internal.setting_list()
RETURNS TABLE (name text, initial jsonb, lowest integer, is_above_zero boolean)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
VALUES ('log_retention_days', '30'::jsonb, -1, false),
	('trace_retention_days', '7', -1, false),
	('checkpoint_retention_days', '0', -1, false),
	('websocket_idle_timeout_seconds', '300', NULL, true),
	('workflow_start_timeout_seconds', '60', NULL, true),
	('max_concurrent', '5', 1, false),
	('stream_tool_results', 'false', NULL, false),
	('recovery_hours', '24', 0, false),
	('orphan_thread_retention_days', '-1', -1, false),
	('checkpoint_grace_minutes', '60', 0, false),
	('retention_max_workflows', '10000', 1, false),
	('record_unpriced_usage', 'false', NULL, false),
	('feed_retention_hours', '24', -1, false),
	('max_lease_hours', '24', 24, false),
	('keep_latest_days', '-1', -1, false),
	('keep_latest', '1', 1, false),
	('squash_idle_days', '-1', -1, false)
$$;
COMMENT ON FUNCTION amelia_internal.setting_list() IS
'The settings: what each is at first, and for whole numbers the lowest that it may be; other numbers are above zero.';

CREATE FUNCTION amelia_internal.check_settings(changes jsonb) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	change record;
	known text[];
	setting record;
BEGIN
	PERFORM amelia_internal.check_given('changes', changes);
	IF jsonb_typeof(changes) <> 'object' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('changes must be a JSON object, not %s', jsonb_typeof(changes)),
			HINT = CASE jsonb_typeof(changes) WHEN 'string' THEN 'JSON that was encoded twice arrives as a string.' ELSE '' END;
	END IF;
	-- The owner may have dropped some, and then they are none.
	known := ARRAY(SELECT l.name
		FROM amelia_internal.setting_list() WITH ORDINALITY AS l (name, initial, lowest, is_above_zero, place)
		WHERE EXISTS (SELECT FROM pg_attribute AS a
			WHERE a.attrelid = to_regclass('amelia.server_settings') AND a.attname = l.name AND NOT a.attisdropped)
		ORDER BY l.place);
	FOR change IN SELECT c.key, c.value, jsonb_typeof(c.value) AS type FROM jsonb_each(changes) AS c LOOP
		IF change.key <> ALL (known) THEN
			RAISE EXCEPTION USING ERRCODE = '22023',
				MESSAGE = format('"%s" is no setting', change.key),
				HINT = format('Settings: %s.', array_to_string(known, ', '));
		END IF;
		SELECT l.* INTO setting FROM amelia_internal.setting_list() AS l WHERE l.name = change.key;
		IF jsonb_typeof(setting.initial) = 'boolean' THEN
			IF change.type <> 'boolean' THEN
				RAISE EXCEPTION USING ERRCODE = '22023',
					MESSAGE = format('setting "%s" must be true or false, not %s', change.key, change.value);
			END IF;
		ELSIF change.type <> 'number' THEN
			RAISE EXCEPTION USING ERRCODE = '22023',
				MESSAGE = format('setting "%s" must be a number, not %s', change.key, change.value);
		ELSIF setting.is_above_zero THEN
			IF change.value::numeric <= 0 THEN
				RAISE EXCEPTION USING ERRCODE = '22023',
					MESSAGE = format('setting "%s" must be greater than 0, not %s', change.key, change.value);
			END IF;
		ELSIF trunc(change.value::numeric) <> change.value::numeric
			OR change.value::numeric < setting.lowest THEN
			RAISE EXCEPTION USING ERRCODE = '22023',
				MESSAGE = format('setting "%s" must be a whole number of %s or more, not %s',
					change.key, setting.lowest, change.value);
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
SELECT (SELECT jsonb_object_agg(l.name, l.initial) FROM amelia_internal.setting_list() AS l)
	|| jsonb_build_object('id', 1, 'created_at', now(), 'updated_at', now())
	|| COALESCE((SELECT to_jsonb(s) FROM amelia.server_settings AS s), '{}')
$$;
COMMENT ON FUNCTION amelia_internal.current_settings() IS
'The row of server_settings, with the defaults of what it does not have.';

REVOKE ALL ON FUNCTION
	amelia_internal.setting_list(),
	amelia_internal.current_settings(),
	amelia_internal.check_settings(jsonb)
FROM PUBLIC;
