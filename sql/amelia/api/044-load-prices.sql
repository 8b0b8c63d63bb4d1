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
BEGIN
	PERFORM amelia_internal.check_given('prices', prices);
	IF valid_from = 'infinity' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = 'valid_from must not be infinity';
	END IF;
	stored := 0;
	unchanged := 0;
	passed_over := '{}';
	-- By name, so that two who load at once wait for each other in one order.
	FOR entry IN SELECT l.* FROM amelia_internal.listed_prices(prices) AS l ORDER BY l.model LOOP
		IF entry.problem IS NOT NULL THEN
			passed_over := passed_over || jsonb_build_object(entry.problem,
				COALESCE(passed_over -> entry.problem, '[]') || to_jsonb(entry.model));
			CONTINUE;
		END IF;
		-- Not to_jsonb() of a row's variable: it reads names of columns from what an invalidation may have freed.
		IF amelia_internal.store_price(jsonb_build_object(
			'model', entry.model,
			'input', entry.rates ->> 'input',
			'output', COALESCE(entry.rates ->> 'output', '0'),
			'cache_read', COALESCE(entry.rates ->> 'cache_read', entry.rates ->> 'input'),
			'cache_creation', COALESCE(entry.rates ->> 'cache_creation', entry.rates ->> 'input'),
			'input_includes_cached', entry.input_includes_cached,
			'rates', entry.rates - '{input,output,cache_read,cache_creation}'::text[]), valid_from) THEN
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
	amelia.load_prices(jsonb, timestamptz)
FROM PUBLIC;
