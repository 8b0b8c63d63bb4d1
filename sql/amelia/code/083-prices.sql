-- What models cost: finding a price, and reckoning with it.

-- What the tokens that a provider reports as input mean. Where a gateway or
-- a library brings all providers into one form, it is the gateway that
-- reports. docs/cost.md has the sources.
CREATE FUNCTION amelia_internal.reports_cached_as_input(provider text, model text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE
	-- Anthropic's Messages API, wherever it is served, and Amazon's Converse
	WHEN provider IN ('anthropic', 'bedrock', 'bedrock_converse', 'amazon-bedrock', 'vertex_ai-anthropic_models',
		'google-vertex-anthropic', '@ai-sdk/anthropic', '@ai-sdk/amazon-bedrock', '@ai-sdk/google-vertex/anthropic') THEN false
	-- Claude has no other API there, all other models have OpenAI's or Google's
	WHEN provider IN ('azure_ai', 'vertex_ai', 'google-vertex') THEN model !~ 'claude'
	-- OpenAI's form, and Google's
	WHEN provider IN ('openai', 'text-completion-openai', 'azure', 'azure_text', 'chatgpt', 'github_copilot', 'openrouter',
		'vercel_ai_gateway', 'vercel', 'databricks', 'snowflake', 'gemini', 'google', 'deepseek', 'xai', 'moonshot',
		'moonshotai', 'zai', 'mistral', 'groq', 'fireworks_ai', 'together_ai', 'deepinfra', 'dashscope', 'alibaba',
		'cerebras', 'perplexity', 'novita', 'gmi', 'replicate', 'heroku', 'gradient_ai', 'litellm_proxy')
		OR provider LIKE 'vertex!_ai-%' ESCAPE '!' THEN true
	END
$$;
COMMENT ON FUNCTION amelia_internal.reports_cached_as_input(text, text) IS
'Whether the input tokens that a provider (LiteLLM''s or models.dev''s name of it, or of its package for the AI SDK) reports for a model include cached ones; NULL where that is not known.';

-- After the first is what stands before a slash, such as anthropic/ or
-- openrouter/, then the region of a Bedrock profile.
CREATE FUNCTION amelia_internal.shorter_model_name(model text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT NULLIF(CASE WHEN position('/' IN model) > 0 THEN substr(model, position('/' IN model) + 1)
	ELSE substring(model FROM '^(?:us|us-gov|eu|apac|jp|au|ca|sa|me|af|global)[.](.*[.].*)$') END, '')
$$;
COMMENT ON FUNCTION amelia_internal.shorter_model_name(text) IS
'A model''s name without what stands before its first slash, or without the region of an Amazon Bedrock profile; NULL when it has neither.';

CREATE FUNCTION amelia_internal.price_rate(prices jsonb, kind text, tier text, above text) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	base CONSTANT text := CASE WHEN kind IN ('output', 'reasoning', 'output_audio') THEN 'output' ELSE 'input' END;
	own CONSTANT numeric := prices ->> concat_ws('.', tier, above, kind);
	plain CONSTANT numeric := prices ->> kind;
BEGIN
	IF own IS NOT NULL OR (tier IS NULL AND above IS NULL) THEN
		RETURN own;
	ELSIF tier IS NOT NULL AND above IS NOT NULL THEN
		-- both change it
		RETURN amelia_internal.price_rate(prices, kind, tier, NULL)
			* COALESCE(amelia_internal.price_rate(prices, kind, NULL, above) / NULLIF(plain, 0), 1);
	ELSIF tier IS NOT NULL THEN
		RETURN CASE WHEN kind <> base THEN
			plain * COALESCE((prices ->> concat_ws('.', tier, base))::numeric / NULLIF((prices ->> base)::numeric, 0),
				CASE WHEN prices ? concat_ws('.', tier, base) THEN 1 END) END;
	END IF;
	RETURN plain * COALESCE((prices ->> concat_ws('.', above, base))::numeric / NULLIF((prices ->> base)::numeric, 0), 1);
END
$$;
COMMENT ON FUNCTION amelia_internal.price_rate(jsonb, text, text, text) IS
'What a million tokens of a kind cost in a tier of service, for prompts above so many tokens, either of which may be NULL, by the prices and rates of a row of model_prices. What has no price of its own there changes as input, or output, does. NULL when the tier, or the kind, has no price.';

CREATE FUNCTION amelia_internal.price_of(model text, at timestamptz, OUT id uuid, OUT reports boolean)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name text := price_of.model;
BEGIN
	WHILE name IS NOT NULL LOOP
		SELECT p.id INTO price_of.id
		FROM amelia.model_prices AS p
		WHERE p.model IN (SELECT name
				UNION ALL SELECT left(name, n) || '*' FROM generate_series(1, LEAST(length(name), 255)) AS n)
			AND (p.valid_from IS NULL OR p.valid_from <= price_of.at) AND (p.valid_to IS NULL OR p.valid_to > price_of.at)
		ORDER BY p.model = name DESC, length(p.model) DESC
		LIMIT 1;
		IF FOUND THEN
			RETURN;
		END IF;
		-- What a prefix names is who reports the usage, whosever price it is.
		IF reports IS NULL AND position('/' IN name) > 0 THEN
			reports := amelia_internal.reports_cached_as_input(split_part(name, '/', 1), name);
		END IF;
		name := amelia_internal.shorter_model_name(name);
	END LOOP;
	reports := NULL;
	SELECT p.id INTO price_of.id
	FROM amelia.model_prices AS p
	WHERE p.model = '*'
		AND (p.valid_from IS NULL OR p.valid_from <= price_of.at) AND (p.valid_to IS NULL OR p.valid_to > price_of.at);
END
$$;
COMMENT ON FUNCTION amelia_internal.price_of(text, timestamptz) IS
'The row of model_prices that find_price() returns, NULL for none, and whether who reports the usage counts cached tokens as input, by the provider in the model''s name, NULL if that says nothing.';

CREATE FUNCTION amelia_internal.usage_price(
	model text,
	input_tokens bigint,
	output_tokens bigint,
	cache_read_tokens bigint,
	cache_creation_tokens bigint,
	at timestamptz,
	cache_creation_1h_tokens bigint,
	reasoning_tokens bigint,
	input_audio_tokens bigint,
	output_audio_tokens bigint,
	service_tier text,
	context_tokens bigint,
	num_turns bigint,
	input_includes_cached boolean)
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
	SELECT p.input, p.output, p.cache_read, p.cache_creation, p.rates,
		COALESCE(f.reports, p.input_includes_cached) AS input_includes_cached INTO price
	FROM amelia_internal.price_of(model, at) AS f
	JOIN amelia.model_prices AS p ON p.id = f.id;
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
COMMENT ON FUNCTION amelia_internal.usage_price(text, bigint, bigint, bigint, bigint, timestamptz, bigint, bigint, bigint, bigint, text, bigint, bigint, boolean) IS
'What price_usage() returns.';

REVOKE ALL ON FUNCTION
	amelia_internal.reports_cached_as_input(text, text),
	amelia_internal.shorter_model_name(text),
	amelia_internal.price_of(text, timestamptz),
	amelia_internal.usage_price(text, bigint, bigint, bigint, bigint, timestamptz, bigint, bigint, bigint, bigint, text, bigint, bigint, boolean),
	amelia_internal.price_rate(jsonb, text, text, text)
FROM PUBLIC;
