-- For those who stay in psql.

CREATE OR REPLACE FUNCTION amelia.sparkline(numbers double precision[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT COALESCE(string_agg(CASE
		WHEN n.value IS NULL OR n.value = 'NaN' THEN ' '
		WHEN n.value <= 0 OR m.highest = 0 THEN '▁'
		WHEN n.value = m.highest THEN '█'
		WHEN m.highest = 'Infinity' THEN '▁'
		ELSE substr('▁▂▃▄▅▆▇█', 1 + floor(n.value / m.highest * 7.999999)::integer, 1) END, '' ORDER BY n.place), '')
FROM unnest(sparkline.numbers) WITH ORDINALITY AS n (value, place),
	(SELECT COALESCE(max(v) FILTER (WHERE v <> 'NaN'), 0) AS highest FROM unnest(sparkline.numbers) AS v) AS m
$$;
COMMENT ON FUNCTION amelia.sparkline(double precision[]) IS
'Numbers as a row of bars, from ▁ for 0 and below to █ for the highest; a blank for NULL and NaN. For usage_by_model()''s trend.';

REVOKE ALL ON FUNCTION amelia.sparkline(double precision[]) FROM PUBLIC;
