-- Settings.

CREATE OR REPLACE FUNCTION amelia_platform.settings()
RETURNS TABLE (message_retention_days integer, task_retention_days integer, metric_retention_days integer, stale_after interval)
LANGUAGE sql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
SELECT s.message_retention_days, s.task_retention_days, s.metric_retention_days, s.stale_after
FROM amelia_internal.platform_settings() AS s
$$;
COMMENT ON FUNCTION amelia_platform.settings() IS
'The settings in force: the row of platform_settings, or the defaults while there is none.';

CREATE OR REPLACE FUNCTION amelia_platform.update_settings(changes jsonb)
RETURNS amelia_platform.platform_settings
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	updated amelia_platform.platform_settings;
BEGIN
	PERFORM amelia_internal.platform_check_settings(changes);
	INSERT INTO amelia_platform.platform_settings (id) VALUES (1) ON CONFLICT (id) DO NOTHING;
	UPDATE amelia_platform.platform_settings AS s
	SET message_retention_days = COALESCE((changes ->> 'message_retention_days')::numeric::integer, s.message_retention_days),
		task_retention_days = COALESCE((changes ->> 'task_retention_days')::numeric::integer, s.task_retention_days),
		metric_retention_days = COALESCE((changes ->> 'metric_retention_days')::numeric::integer, s.metric_retention_days),
		stale_after = COALESCE((changes ->> 'stale_after')::interval, s.stale_after)
	WHERE s.id = 1
	RETURNING s.* INTO updated;
	RETURN updated;
END
$$;
COMMENT ON FUNCTION amelia_platform.update_settings(jsonb) IS
'Changes the settings that an object names, and returns all of them: message_retention_days, task_retention_days, metric_retention_days (-1 never deletes), stale_after (an interval as text). Errors: 22023 a NULL, a name that is no setting, a value that cannot be, 22003 out of range, 22007 no interval.';

REVOKE ALL ON FUNCTION
	amelia_platform.settings(),
	amelia_platform.update_settings(jsonb)
FROM PUBLIC;
