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

REVOKE ALL ON FUNCTION
	amelia_internal.reports_cached_as_input(text, text),
	amelia_internal.shorter_model_name(text),
	amelia_internal.price_rate(jsonb, text, text, text)
FROM PUBLIC;
