-- Profiles and settings.

CREATE OR REPLACE FUNCTION amelia.set_active_profile(id text) RETURNS amelia.profiles
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	activated amelia.profiles;
BEGIN
	PERFORM amelia_internal.check_given('id', set_active_profile.id);
	-- Two callers come one after the other, also when each has just made its own
	-- profile and they have no row in common. The rows are locked against plain
	-- UPDATEs, in one order.
	PERFORM pg_advisory_xact_lock('amelia.profiles'::regclass::oid::bigint);
	PERFORM FROM amelia.profiles AS p ORDER BY p.id FOR NO KEY UPDATE;
	UPDATE amelia.profiles AS p SET is_active = false
	WHERE p.is_active AND p.id <> set_active_profile.id;
	UPDATE amelia.profiles AS p SET is_active = true
	WHERE p.id = set_active_profile.id
	RETURNING p.* INTO activated;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002',
			MESSAGE = format('no profile "%s"', set_active_profile.id);
	END IF;
	RETURN activated;
END
$$;
COMMENT ON FUNCTION amelia.set_active_profile(text) IS
'Makes a profile the active one instead of any other, and returns it. Errors: P0002 no such profile, and then nothing is changed; 22023 NULL.';

CREATE OR REPLACE FUNCTION amelia.active_profile() RETURNS SETOF amelia.profiles
LANGUAGE sql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
SELECT p.* FROM amelia.profiles AS p WHERE p.is_active
$$;
COMMENT ON FUNCTION amelia.active_profile() IS 'The active profile; no row when there is none.';

CREATE OR REPLACE FUNCTION amelia.settings() RETURNS amelia.server_settings
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT jsonb_populate_record(NULL::amelia.server_settings, amelia_internal.current_settings())
$$;
COMMENT ON FUNCTION amelia.settings() IS
'The settings: the row of server_settings, or the defaults while there is none. Writes nothing.';

CREATE OR REPLACE FUNCTION amelia.update_settings(changes jsonb) RETURNS amelia.server_settings
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	changed amelia.server_settings;
	assignments text;
BEGIN
	PERFORM amelia_internal.check_settings(changes);
	INSERT INTO amelia.server_settings (id) VALUES (1) ON CONFLICT (id) DO NOTHING;
	-- Only what is asked for is named: the owner may have dropped other settings.
	SELECT COALESCE(string_agg(format('%1$I = n.%1$I', c.key), ', '), 'updated_at = now()') INTO assignments
	FROM jsonb_object_keys(changes) AS c (key);
	EXECUTE format('UPDATE amelia.server_settings AS s SET %s'
		' FROM (SELECT r.*'
		-- some write a whole number as 7.0
		' FROM (SELECT COALESCE(jsonb_object_agg(c.key, CASE jsonb_typeof(c.value)'
		' WHEN ''number'' THEN to_jsonb(trim_scale(c.value::numeric)) ELSE c.value END), ''{}'')'
		' FROM jsonb_each($1) AS c) AS t (trimmed),'
		' amelia.server_settings AS o, jsonb_populate_record(o, t.trimmed) AS r'
		' WHERE o.id = 1 FOR NO KEY UPDATE OF o) AS n'
		' WHERE s.id = 1 RETURNING s.*', assignments)
	INTO changed USING changes;
	RETURN changed;
END
$$;
COMMENT ON FUNCTION amelia.update_settings(jsonb) IS
'Changes settings, an object of names and values, all or none, and returns them. Errors: 22023 what is no setting (by name), a value of the wrong type or out of its range, 22003 a number too large.';

REVOKE ALL ON FUNCTION
	amelia.set_active_profile(text),
	amelia.active_profile(),
	amelia.settings(),
	amelia.update_settings(jsonb)
FROM PUBLIC;
