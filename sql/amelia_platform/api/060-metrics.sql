-- Measured values.

CREATE OR REPLACE FUNCTION amelia_platform.record_metric(
	agent_id uuid,
	metric_name text,
	metric_value numeric,
	metric_unit text DEFAULT NULL,
	context jsonb DEFAULT '{}',
	recorded_at timestamptz DEFAULT NULL)
RETURNS uuid
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	recorded uuid;
BEGIN
	PERFORM amelia_internal.platform_check_agent('agent_id', record_metric.agent_id),
		amelia_internal.check_given('metric_name', record_metric.metric_name),
		amelia_internal.platform_check_text('metric_name', record_metric.metric_name, 100),
		amelia_internal.check_given('metric_value', record_metric.metric_value),
		amelia_internal.platform_check_text('metric_unit', record_metric.metric_unit, 50),
		amelia_internal.check_given('context', record_metric.context),
		amelia_internal.check_container('context', record_metric.context);
	IF record_metric.metric_value = 'NaN' THEN
		RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'metric_value must be a number';
	ELSIF abs(round(record_metric.metric_value, 4)) >= 1000000 THEN
		RAISE EXCEPTION USING ERRCODE = '22003',
			MESSAGE = format('metric_value is out of range: %s', record_metric.metric_value),
			HINT = 'It has six digits before the point, and four after it.';
	END IF;
	INSERT INTO amelia_platform.agent_performance (agent_id, metric_name, metric_value, metric_unit, context, recorded_at)
	VALUES (record_metric.agent_id, record_metric.metric_name, record_metric.metric_value, record_metric.metric_unit,
		record_metric.context, COALESCE(record_metric.recorded_at, now()))
	RETURNING id INTO recorded;
	RETURN recorded;
END
$$;
COMMENT ON FUNCTION amelia_platform.record_metric(uuid, text, numeric, text, jsonb, timestamptz) IS
'Stores a value that was measured of an agent, rounded to four digits, and returns its id. recorded_at NULL: now. Errors: P0002 no such agent, 22023 a NULL, a text that is empty or too long, no number, a context that is a JSON scalar, 22003 a value of a million or more.';

CREATE OR REPLACE FUNCTION amelia_platform.agent_metrics(
	agent_id uuid,
	metric_name text,
	since timestamptz DEFAULT '-infinity',
	bucket text DEFAULT NULL)
RETURNS TABLE (bucket_start timestamptz, count bigint, mean numeric, min numeric, max numeric, p95 numeric)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.platform_check_agent('agent_id', agent_metrics.agent_id),
		amelia_internal.check_given('metric_name', agent_metrics.metric_name),
		amelia_internal.check_given('since', since),
		amelia_internal.platform_check_value('bucket', bucket);
	RETURN QUERY
	SELECT CASE WHEN agent_metrics.bucket IS NOT NULL THEN date_trunc(agent_metrics.bucket, p.recorded_at, 'UTC') END AS start,
		count(*), round(avg(p.metric_value), 4), min(p.metric_value), max(p.metric_value),
		percentile_disc(0.95) WITHIN GROUP (ORDER BY p.metric_value)
	FROM amelia_platform.agent_performance AS p
	WHERE p.agent_id = agent_metrics.agent_id AND p.metric_name = agent_metrics.metric_name AND p.recorded_at >= since
	GROUP BY start
	ORDER BY start;
END
$$;
COMMENT ON FUNCTION amelia_platform.agent_metrics(uuid, text, timestamptz, text) IS
'How many values were measured of an agent since a time, their mean, least, greatest, and the one that 95 of 100 do not exceed. bucket: a row per minute, hour, day, week (from Monday) or month in UTC that has any; NULL: one row for all, none when there are none. Errors: P0002 no such agent, 22023 a NULL, an unknown bucket.';

REVOKE ALL ON FUNCTION
	amelia_platform.record_metric(uuid, text, numeric, text, jsonb, timestamptz),
	amelia_platform.agent_metrics(uuid, text, timestamptz, text)
FROM PUBLIC;
