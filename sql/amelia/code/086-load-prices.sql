-- Storing prices.

CREATE FUNCTION amelia_internal.store_price(given jsonb, since timestamptz) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	price CONSTANT amelia.model_prices := jsonb_populate_record(NULL::amelia.model_prices, given);
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
COMMENT ON FUNCTION amelia_internal.store_price(jsonb, timestamptz) IS
'Makes a price, a row of model_prices as JSON, the model''s from a time on, NULL: from now, or for ever if it has none; returns whether it was another before.';

REVOKE ALL ON FUNCTION
	amelia_internal.store_price(jsonb, timestamptz)
FROM PUBLIC;
