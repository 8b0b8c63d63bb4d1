-- What workers and operators do with the queue, besides claiming.

CREATE FUNCTION amelia_internal.retry_delay(failures integer, first_seconds integer DEFAULT 10) RETURNS interval
LANGUAGE plpgsql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN make_interval(secs => LEAST(3600, first_seconds * 2 ^ LEAST(GREATEST(failures, 1) - 1, 20))
		* (0.5 + random() / 2));
END
$$;
COMMENT ON FUNCTION amelia_internal.retry_delay(integer, integer) IS
'How long the next attempt waits after that many failures: first_seconds, doubled with each further one, an hour at most, and of that a random part between one half and all, so that what failed together does not come back together.';

REVOKE ALL ON FUNCTION
	amelia_internal.retry_delay(integer, integer)
FROM PUBLIC;
