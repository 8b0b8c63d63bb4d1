-- What models cost.

CREATE OR REPLACE FUNCTION amelia.find_price(model text, at timestamptz DEFAULT now())
RETURNS SETOF amelia.model_prices
LANGUAGE sql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
SELECT p.*
FROM amelia.model_prices AS p
WHERE p.model IN (SELECT find_price.model
		UNION ALL SELECT left(find_price.model, n) || '*' FROM generate_series(0, LEAST(length(find_price.model), 255)) AS n)
	AND p.valid_from <= find_price.at AND p.valid_to > find_price.at
ORDER BY p.model = find_price.model DESC, length(p.model) DESC
LIMIT 1
$$;
COMMENT ON FUNCTION amelia.find_price(text, timestamptz) IS
'The price of a model at a time: of its exact name, else of the longest beginning; no row when there is none.';

CREATE OR REPLACE FUNCTION amelia.price_usage(
	model text,
	input_tokens bigint,
	output_tokens bigint,
	cache_read_tokens bigint DEFAULT 0,
	cache_creation_tokens bigint DEFAULT 0,
	at timestamptz DEFAULT now())
RETURNS numeric
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT round((p.input * CASE WHEN p.input_includes_cached
			THEN GREATEST(price_usage.input_tokens - u.cache_read - u.cache_creation, 0)
			ELSE price_usage.input_tokens END
		+ p.output * price_usage.output_tokens
		+ p.cache_read * u.cache_read
		+ p.cache_creation * u.cache_creation) / 1000000, 6)
FROM (SELECT COALESCE(price_usage.cache_read_tokens, 0), COALESCE(price_usage.cache_creation_tokens, 0))
		AS u (cache_read, cache_creation),
	amelia.find_price(price_usage.model, price_usage.at) AS p
$$;
COMMENT ON FUNCTION amelia.price_usage(text, bigint, bigint, bigint, bigint, timestamptz) IS
'What tokens of a model cost at a time, in US dollars, rounded to six decimals; NULL when the model has no price then.';

CREATE OR REPLACE FUNCTION amelia.store_price(price amelia.model_prices, since timestamptz) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	current amelia.model_prices;
	start CONSTANT timestamptz := COALESCE(since, CASE WHEN EXISTS
		(SELECT FROM amelia.model_prices AS p WHERE p.model = price.model) THEN now() ELSE '-infinity' END);
BEGIN
	SELECT p.* INTO current
	FROM amelia.model_prices AS p
	WHERE p.model = price.model AND p.valid_from <= start AND p.valid_to > start
	FOR UPDATE;
	IF FOUND AND (current.input, current.output, current.cache_read, current.cache_creation, current.input_includes_cached)
		= (price.input, price.output, price.cache_read, price.cache_creation, price.input_includes_cached) THEN
		RETURN false;
	ELSIF FOUND AND current.valid_from = start THEN
		UPDATE amelia.model_prices AS p
		SET input = price.input, output = price.output, cache_read = price.cache_read,
			cache_creation = price.cache_creation, input_includes_cached = price.input_includes_cached
		WHERE p.id = current.id;
		RETURN true;
	ELSIF FOUND THEN
		UPDATE amelia.model_prices AS p SET valid_to = start WHERE p.id = current.id;
	END IF;
	-- Up to the next period, if one was entered ahead of its time.
	INSERT INTO amelia.model_prices (model, valid_from, valid_to, input, output, cache_read, cache_creation, input_includes_cached)
	SELECT price.model, start, COALESCE(min(p.valid_from), 'infinity'), price.input, price.output,
		price.cache_read, price.cache_creation, price.input_includes_cached
	FROM amelia.model_prices AS p
	WHERE p.model = price.model AND p.valid_from > start;
	RETURN true;
END
$$;
COMMENT ON FUNCTION amelia.store_price(amelia.model_prices, timestamptz) IS
'Makes a price the model''s from a time on, NULL: from now, or for ever if it has none; returns whether it was another before.';

CREATE OR REPLACE FUNCTION amelia.load_prices(prices jsonb, valid_from timestamptz DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	entry record;
	problem record;
	price amelia.model_prices;
	stored integer := 0;
BEGIN
	PERFORM amelia.check_given('prices', load_prices.prices);
	IF jsonb_typeof(load_prices.prices) <> 'object' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('prices must be a JSON object, model -> prices, not %s', jsonb_typeof(load_prices.prices));
	END IF;
	IF load_prices.valid_from = 'infinity' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = 'valid_from must not be infinity';
	END IF;
	-- The published file describes its keys in an entry of that name.
	FOR entry IN SELECT e.key AS model, e.value FROM jsonb_each(load_prices.prices - 'sample_spec') AS e ORDER BY e.key LOOP
		IF jsonb_typeof(entry.value) <> 'object' OR entry.model = '' OR entry.model !~ '^[^*]*[*]?$' THEN
			RAISE EXCEPTION USING ERRCODE = '22023',
				MESSAGE = format('the prices of model "%s" are not an object, or its name has a * that is not at its end', entry.model);
		END IF;
		SELECT c.key, c.value INTO problem
		FROM jsonb_each(entry.value) AS c
		WHERE c.key IN ('input_cost_per_token', 'output_cost_per_token', 'cache_read_input_token_cost', 'cache_creation_input_token_cost')
			AND jsonb_typeof(c.value) <> 'null'
			AND CASE jsonb_typeof(c.value) WHEN 'number' THEN c.value::numeric < 0 ELSE true END
		LIMIT 1;
		IF FOUND THEN
			RAISE EXCEPTION USING ERRCODE = '22023',
				MESSAGE = format('%s of model "%s" must be a number that is not negative, not %s', problem.key, entry.model, problem.value);
		END IF;
		-- Models that are not paid for by the token.
		CONTINUE WHEN entry.value ->> 'input_cost_per_token' IS NULL;
		price.model := entry.model;
		price.input := trim_scale((entry.value ->> 'input_cost_per_token')::numeric * 1000000);
		price.output := trim_scale(COALESCE((entry.value ->> 'output_cost_per_token')::numeric, 0) * 1000000);
		price.cache_read := trim_scale(COALESCE((entry.value ->> 'cache_read_input_token_cost')::numeric * 1000000, price.input));
		price.cache_creation := trim_scale(COALESCE((entry.value ->> 'cache_creation_input_token_cost')::numeric * 1000000, price.input));
		price.input_includes_cached := COALESCE(entry.value ->> 'litellm_provider', '') <> 'anthropic' AND entry.model !~ 'claude';
		stored := stored + amelia.store_price(price, load_prices.valid_from)::integer;
	END LOOP;
	RETURN stored;
END
$$;
COMMENT ON FUNCTION amelia.load_prices(jsonb, timestamptz) IS
'Takes prices in the format that LiteLLM publishes: model -> {input_cost_per_token, output_cost_per_token, cache_read_input_token_cost, cache_creation_input_token_cost, litellm_provider}; a missing cache price is the input price. Returns how many models got another price, which holds from valid_from on; NULL: from now, and for models without one for all time. Models without input_cost_per_token are left out. All or nothing. Errors: 22023 something that is not such a file.';

REVOKE ALL ON FUNCTION
	amelia.find_price(text, timestamptz),
	amelia.price_usage(text, bigint, bigint, bigint, bigint, timestamptz),
	amelia.store_price(amelia.model_prices, timestamptz),
	amelia.load_prices(jsonb, timestamptz)
FROM PUBLIC;
