-- What may be booked, and be asked the price of.

CREATE FUNCTION amelia_internal.check_service_tier(service_tier text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF service_tier IN ('batch', 'flex', 'priority') THEN
		RETURN service_tier;
	ELSIF service_tier NOT IN ('standard', 'default') THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('invalid service_tier "%s"', service_tier),
			HINT = 'Allowed: batch, flex, priority; standard or default for none of them.';
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION amelia_internal.check_service_tier(text) IS
'The tier of service, NULL for the ordinary one; 22023 when there is no such tier.';

CREATE FUNCTION amelia_internal.check_usage(
	input_tokens bigint,
	output_tokens bigint,
	cache_read_tokens bigint,
	cache_creation_tokens bigint,
	cache_creation_1h_tokens bigint,
	reasoning_tokens bigint,
	input_audio_tokens bigint,
	output_audio_tokens bigint,
	context_tokens bigint)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	wrong record;
BEGIN
	IF LEAST(input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens, cache_creation_1h_tokens,
			reasoning_tokens, input_audio_tokens, output_audio_tokens, context_tokens) >= 0
		AND cache_creation_1h_tokens <= COALESCE(cache_creation_tokens, 0)
		AND reasoning_tokens::numeric + output_audio_tokens <= output_tokens
		AND input_audio_tokens <= input_tokens THEN
		RETURN;
	END IF;
	SELECT v.part, v.number, v.whole, v.bound INTO wrong
	FROM (VALUES (1, 'input_tokens', input_tokens, NULL, NULL::bigint),
		(2, 'output_tokens', output_tokens, NULL, NULL),
		(3, 'cache_read_tokens', cache_read_tokens, NULL, NULL),
		(4, 'cache_creation_tokens', cache_creation_tokens, NULL, NULL),
		(5, 'cache_creation_1h_tokens', cache_creation_1h_tokens, 'cache_creation_tokens', COALESCE(cache_creation_tokens, 0)),
		(6, 'input_audio_tokens', input_audio_tokens, 'input_tokens', input_tokens),
		(7, 'output_audio_tokens', output_audio_tokens, 'output_tokens', output_tokens),
		(8, 'reasoning_tokens', reasoning_tokens, 'output_tokens', output_tokens - GREATEST(output_audio_tokens, 0)),
		(9, 'context_tokens', context_tokens, NULL, NULL)) AS v (place, part, number, whole, bound)
	WHERE v.number < 0 OR v.number > v.bound
	ORDER BY v.number < 0 DESC, v.place
	LIMIT 1;
	IF wrong.number < 0 THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('%s must not be negative: %s', wrong.part, wrong.number);
	ELSIF FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('%s must not be more than there are of %s: %s of %s', wrong.part, wrong.whole, wrong.number, wrong.bound),
			HINT = CASE wrong.part
				WHEN 'reasoning_tokens' THEN 'Some providers count reasoning apart from other output: add it to output_tokens.'
				ELSE format('They are counted in %s too.', wrong.whole) END;
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.check_usage(bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint) IS
'Raises 22023 when a number of tokens is negative, or a part of the input or output is larger than that.';

CREATE FUNCTION amelia_internal.check_integers(arguments text[], numbers bigint[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	wrong record;
BEGIN
	SELECT a.name, a.number INTO wrong FROM unnest(arguments, numbers) AS a (name, number) WHERE a.number > 2147483647 LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '22003',
			MESSAGE = format('%s is out of range: %s', wrong.name, wrong.number),
			DETAIL = 'A row holds numbers up to 2147483647.';
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.check_integers(text[], bigint[]) IS
'Raises 22003 with the argument''s name when a number is larger than the column it goes to holds.';

REVOKE ALL ON FUNCTION
	amelia_internal.check_integers(text[], bigint[]),
	amelia_internal.check_service_tier(text),
	amelia_internal.check_usage(bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint)
FROM PUBLIC;
