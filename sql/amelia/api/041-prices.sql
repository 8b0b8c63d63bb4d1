CREATE OR REPLACE FUNCTION amelia.find_price(model text, at timestamptz DEFAULT now())
RETURNS SETOF amelia.model_prices
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_one record;
	price amelia.model_prices;
BEGIN
	SELECT f.id, f.reports INTO found_one FROM amelia_internal.price_of(model, at) AS f;
	SELECT p.* INTO price FROM amelia.model_prices AS p WHERE p.id = found_one.id;
	IF FOUND THEN
		price.input_includes_cached := COALESCE(found_one.reports, price.input_includes_cached);
		price.valid_from := NULLIF(price.valid_from, '-infinity');
		price.valid_to := NULLIF(price.valid_to, 'infinity');
		RETURN NEXT price;
	END IF;
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
BEGIN
	RETURN amelia_internal.usage_price(model, input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens, at,
		cache_creation_1h_tokens, reasoning_tokens, input_audio_tokens, output_audio_tokens,
		service_tier, context_tokens, num_turns, input_includes_cached);
END
$$;
COMMENT ON FUNCTION amelia.price_usage(text, bigint, bigint, bigint, bigint, timestamptz, bigint, bigint, bigint, bigint, text, bigint, bigint, boolean) IS
'What tokens of a model cost at a time, in US dollars, rounded to six decimals. Of the cache_creation_tokens, cache_creation_1h_tokens are kept for an hour; of the output_tokens, reasoning_tokens were reasoning and output_audio_tokens sound, of the input_tokens input_audio_tokens. service_tier: batch, flex or priority; standard, default or NULL: none. A prompt has the price for its length: context_tokens, or if NULL the input by num_turns. input_includes_cached NULL: as the price says. NULL when the model, the tier or one-hour cache writes have no price then. Errors: 22023 a negative number, a part that is larger than what it is of, an unknown tier.';

REVOKE ALL ON FUNCTION
	amelia.find_price(text, timestamptz),
	amelia.price_usage(text, bigint, bigint, bigint, bigint, timestamptz, bigint, bigint, bigint, bigint, text, bigint, bigint, boolean)
FROM PUBLIC;
