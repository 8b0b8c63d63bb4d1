-- Storing prices.

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
	WHERE p.model = price.model AND (p.valid_from IS NULL OR p.valid_from <= start) AND (p.valid_to IS NULL OR p.valid_to > start)
	FOR UPDATE;
	IF FOUND AND (current.input, current.output, current.cache_read, current.cache_creation, current.input_includes_cached, current.rates)
		= (price.input, price.output, price.cache_read, price.cache_creation, price.input_includes_cached, price.rates) THEN
		RETURN false;
	ELSIF FOUND AND COALESCE(current.valid_from, '-infinity') = start THEN
		UPDATE amelia.model_prices AS p
		SET input = price.input, output = price.output, cache_read = price.cache_read,
			cache_creation = price.cache_creation, input_includes_cached = price.input_includes_cached, rates = price.rates
		WHERE p.id = current.id;
		RETURN true;
	ELSIF FOUND THEN
		UPDATE amelia.model_prices AS p SET valid_to = start WHERE p.id = current.id;
	END IF;
	-- Up to the next period, if one was entered ahead of its time.
	INSERT INTO amelia.model_prices (model, valid_from, valid_to, input, output, cache_read, cache_creation, input_includes_cached, rates)
	SELECT price.model, NULLIF(start, '-infinity'), min(p.valid_from), price.input, price.output,
		price.cache_read, price.cache_creation, price.input_includes_cached, price.rates
	FROM amelia.model_prices AS p
	WHERE p.model = price.model AND p.valid_from > start;
	RETURN true;
END
$$;
COMMENT ON FUNCTION amelia.store_price(amelia.model_prices, timestamptz) IS
'Makes a price the model''s from a time on, NULL: from now, or for ever if it has none; returns whether it was another before.';

CREATE OR REPLACE FUNCTION amelia.load_prices(
	prices jsonb,
	valid_from timestamptz DEFAULT NULL,
	OUT stored integer,
	OUT unchanged integer,
	OUT passed_over jsonb)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	entry record;
	price amelia.model_prices;
BEGIN
	PERFORM amelia.check_given('prices', prices);
	IF valid_from = 'infinity' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = 'valid_from must not be infinity';
	END IF;
	stored := 0;
	unchanged := 0;
	passed_over := '{}';
	-- By name, so that two who load at once wait for each other in one order.
	FOR entry IN SELECT l.* FROM amelia.listed_prices(prices) AS l ORDER BY l.model LOOP
		IF entry.problem IS NOT NULL THEN
			passed_over := passed_over || jsonb_build_object(entry.problem,
				COALESCE(passed_over -> entry.problem, '[]') || to_jsonb(entry.model));
			CONTINUE;
		END IF;
		price.model := entry.model;
		price.input := entry.rates ->> 'input';
		price.output := COALESCE(entry.rates ->> 'output', '0');
		price.cache_read := COALESCE(entry.rates ->> 'cache_read', entry.rates ->> 'input');
		price.cache_creation := COALESCE(entry.rates ->> 'cache_creation', entry.rates ->> 'input');
		price.input_includes_cached := entry.input_includes_cached;
		price.rates := entry.rates - '{input,output,cache_read,cache_creation}'::text[];
		IF amelia.store_price(price, valid_from) THEN
			stored := stored + 1;
		ELSE
			unchanged := unchanged + 1;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION amelia.load_prices(jsonb, timestamptz) IS
'Takes the price list that LiteLLM, models.dev or OpenRouter publishes. Prices hold from valid_from on; NULL: from now, and for models without one for all time. A missing cache price is the input price. Returns how many models got another price, how many have it already, and those that could not be used: reason -> models. Errors: 22023 prices is NULL or no such list, valid_from is infinity.';

REVOKE ALL ON FUNCTION
	amelia.store_price(amelia.model_prices, timestamptz),
	amelia.load_prices(jsonb, timestamptz)
FROM PUBLIC;
