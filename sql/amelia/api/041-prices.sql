CREATE OR REPLACE FUNCTION amelia.find_price(model text, at timestamptz DEFAULT now())
RETURNS SETOF amelia.model_prices
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name text := find_price.model;
	price amelia.model_prices;
	-- What a prefix names is who reports the usage, whosever price it is.
	reports boolean;
BEGIN
	WHILE name IS NOT NULL LOOP
		SELECT p.* INTO price
		FROM amelia.model_prices AS p
		WHERE p.model IN (SELECT name
				UNION ALL SELECT left(name, n) || '*' FROM generate_series(1, LEAST(length(name), 255)) AS n)
			AND (p.valid_from IS NULL OR p.valid_from <= find_price.at) AND (p.valid_to IS NULL OR p.valid_to > find_price.at)
		ORDER BY p.model = name DESC, length(p.model) DESC
		LIMIT 1;
		IF FOUND THEN
			EXIT;
		END IF;
		IF reports IS NULL AND position('/' IN name) > 0 THEN
			reports := amelia_internal.reports_cached_as_input(split_part(name, '/', 1), name);
		END IF;
		name := amelia_internal.shorter_model_name(name);
	END LOOP;
	IF price.id IS NULL THEN
		reports := NULL;
		SELECT p.* INTO price
		FROM amelia.model_prices AS p
		WHERE p.model = '*'
			AND (p.valid_from IS NULL OR p.valid_from <= find_price.at) AND (p.valid_to IS NULL OR p.valid_to > find_price.at);
		IF NOT FOUND THEN
			RETURN;
		END IF;
	END IF;
	price.input_includes_cached := COALESCE(reports, price.input_includes_cached);
	price.valid_from := NULLIF(price.valid_from, '-infinity');
	price.valid_to := NULLIF(price.valid_to, 'infinity');
	RETURN NEXT price;
END
$$;
COMMENT ON FUNCTION amelia.find_price(text, timestamptz) IS
'The price of a model at a time: of its exact name, else of the longest beginning; if there is none, the same for its name without the provider before a slash, or without the region of an Amazon Bedrock profile; else that of *. No row when there is none. NULL as valid_from or valid_to has no end. Where a provider was taken off, input_includes_cached is as that provider reports.';

CREATE OR REPLACE FUNCTION amelia.price_usage(
	model text,
	input_tokens bigint,
	output_tokens bigint,
	cache_read_tokens bigint DEFAULT 0,
	cache_creation_tokens bigint DEFAULT 0,
	at timestamptz DEFAULT now(),
	cache_creation_1h_tokens bigint DEFAULT 0,
	reasoning_tokens bigint DEFAULT 0,
	input_audio_tokens bigint DEFAULT 0,
	output_audio_tokens bigint DEFAULT 0,
	service_tier text DEFAULT NULL,
	context_tokens bigint DEFAULT NULL,
	num_turns bigint DEFAULT 1,
	input_includes_cached boolean DEFAULT NULL)
RETURNS numeric
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	cached CONSTANT numeric := COALESCE(cache_read_tokens, 0)::numeric + COALESCE(cache_creation_tokens, 0);
	hour CONSTANT bigint := COALESCE(cache_creation_1h_tokens, 0);
	thought bigint := COALESCE(reasoning_tokens, 0);
	heard numeric := COALESCE(input_audio_tokens, 0);
	spoken bigint := COALESCE(output_audio_tokens, 0);
	tier CONSTANT text := amelia_internal.check_service_tier(service_tier);
	price record;
	prices jsonb;
	fresh numeric;
	above text;
	part record;
	total numeric := 0;
BEGIN
	PERFORM amelia_internal.check_usage(input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens,
		hour, thought, heard::bigint, spoken, context_tokens);
	SELECT p.* INTO price FROM amelia.find_price(model, at) AS p;
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;
	fresh := CASE WHEN COALESCE(input_includes_cached, price.input_includes_cached)
		THEN GREATEST(input_tokens - cached, 0) ELSE input_tokens END;
	IF tier IS NULL AND price.rates = '{}' AND hour = 0 THEN
		RETURN round((price.input * fresh + price.output * output_tokens + price.cache_read * COALESCE(cache_read_tokens, 0)
			+ price.cache_creation * COALESCE(cache_creation_tokens, 0)) / 1000000, 6);
	END IF;

	prices := price.rates || jsonb_build_object('input', price.input, 'output', price.output,
		'cache_read', price.cache_read, 'cache_creation', price.cache_creation);
	-- The whole of a prompt has the price of its length.
	SELECT 'above_' || max(m.found[1]::bigint) INTO above
	FROM jsonb_object_keys(price.rates) AS k (key), regexp_match(k.key, 'above_([0-9]+)[.]') AS m (found)
	WHERE (starts_with(k.key, 'above_') OR starts_with(k.key, tier || '.'))
		AND m.found[1]::bigint < COALESCE(context_tokens, ceil((fresh + cached) / GREATEST(num_turns, 1)));
	-- What has no price of its own is input and output like all other; sound
	-- that was cached has the price of what is cached.
	heard := CASE WHEN amelia_internal.price_rate(prices, 'input_audio', tier, above) IS NOT NULL THEN LEAST(heard, fresh) ELSE 0 END;
	spoken := CASE WHEN amelia_internal.price_rate(prices, 'output_audio', tier, above) IS NOT NULL THEN spoken ELSE 0 END;
	thought := CASE WHEN amelia_internal.price_rate(prices, 'reasoning', tier, above) IS NOT NULL THEN thought ELSE 0 END;
	FOR part IN
		SELECT v.kind, v.tokens
		FROM (VALUES ('input', fresh - heard),
			('input_audio', heard),
			('cache_read', COALESCE(cache_read_tokens, 0)),
			('cache_creation', COALESCE(cache_creation_tokens, 0) - hour),
			('cache_creation_1h', hour),
			('output', output_tokens - thought - spoken),
			('reasoning', thought),
			('output_audio', spoken)) AS v (kind, tokens)
		WHERE v.tokens <> 0 OR v.tokens IS NULL
	LOOP
		total := total + part.tokens * amelia_internal.price_rate(prices, part.kind, tier, above);
	END LOOP;
	RETURN round(total / 1000000, 6);
END
$$;
COMMENT ON FUNCTION amelia.price_usage(text, bigint, bigint, bigint, bigint, timestamptz, bigint, bigint, bigint, bigint, text, bigint, bigint, boolean) IS
'What tokens of a model cost at a time, in US dollars, rounded to six decimals. Of the cache_creation_tokens, cache_creation_1h_tokens are kept for an hour; of the output_tokens, reasoning_tokens were reasoning and output_audio_tokens sound, of the input_tokens input_audio_tokens. service_tier: batch, flex or priority; standard, default or NULL: none. A prompt has the price for its length: context_tokens, or if NULL the input by num_turns. input_includes_cached NULL: as the price says. NULL when the model, the tier or one-hour cache writes have no price then. Errors: 22023 a negative number, a part that is larger than what it is of, an unknown tier.';

REVOKE ALL ON FUNCTION
	amelia.find_price(text, timestamptz),
	amelia.price_usage(text, bigint, bigint, bigint, bigint, timestamptz, bigint, bigint, bigint, bigint, text, bigint, bigint, boolean)
FROM PUBLIC;
