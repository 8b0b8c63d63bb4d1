-- The price lists that are published: what load_prices() makes of each, what
-- it passes over, and what it refuses. The numbers are made up.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

CREATE FUNCTION t.show(prices jsonb) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	result record;
BEGIN
	DELETE FROM amelia.model_prices;
	SELECT * INTO result FROM amelia.load_prices(prices);
	RETURN NEXT format('%s stored, %s unchanged', result.stored, result.unchanged);
	RETURN QUERY SELECT format('passed over, %s: %s', p.key, p.value) FROM jsonb_each(result.passed_over) AS p ORDER BY p.key COLLATE "C";
	RETURN QUERY SELECT concat_ws(' ', m.model, m.input, m.output, m.cache_read, m.cache_creation, CASE WHEN m.input_includes_cached THEN 'includes' ELSE 'apart' END, NULLIF(m.rates, '{}'))
		FROM amelia.model_prices AS m ORDER BY m.model COLLATE "C";
END
$$;

-- LiteLLM's: what is not a price by the token, or no entry at all, is passed over.
SELECT * FROM t.show('{
	"sample_spec": {"input_cost_per_token": "text", "litellm_provider": "one of many", "max_tokens": "see elsewhere"},
	"fallback_generalizations": {"rules": [{"name": "n", "pattern": "p"}]},
	"bedrock/*/1-month-commitment/some.model": {"input_cost_per_second": 0.01, "litellm_provider": "bedrock", "mode": "chat"},
	"bedrock/*/some.model": {"input_cost_per_token": 1e-06, "litellm_provider": "bedrock"},
	"last_updated": "2026-01-01", "a list": [], "a number": 5, "nothing": null,
	"picture": {"output_cost_per_image": 0.04, "litellm_provider": "openai", "mode": "image_generation"},
	"no input": {"output_cost_per_token": 1e-06, "litellm_provider": "openai"},
	"null input": {"input_cost_per_token": null, "litellm_provider": "openai"},
	"text": {"input_cost_per_token": "0.1", "litellm_provider": "openai"},
	"negative": {"input_cost_per_token": 1e-06, "output_cost_per_token": -1, "litellm_provider": "openai"},
	"object": {"input_cost_per_token": 1e-06, "cache_read_input_token_cost": {}, "litellm_provider": "openai"},
	"dear": {"input_cost_per_token": 1e400, "litellm_provider": "openai"},
	"dearer": {"input_cost_per_token": 1e131070, "litellm_provider": "openai"},
	"dearest above": {"input_cost_per_token": 1, "input_cost_per_token_above_200k_tokens": 10000, "litellm_provider": "openai"},
	"": {"input_cost_per_token": 1e-06},
	"plain": {"input_cost_per_token": 1e-06, "litellm_provider": "openai"},
	"free": {"input_cost_per_token": 0, "output_cost_per_token": 0.0, "litellm_provider": "ollama"},
	"begins*": {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}
}');
-- All kinds of prices; others are not read.
SELECT * FROM t.show('{
	"claude-9": {"litellm_provider": "anthropic", "mode": "chat", "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05,
		"cache_read_input_token_cost": 3e-07, "cache_creation_input_token_cost": 3.75e-06, "cache_creation_input_token_cost_above_1hr": 6.1e-06,
		"input_cost_per_token_above_200k_tokens": 6e-06, "output_cost_per_token_above_200k_tokens": 2.25e-05, "cache_read_input_token_cost_above_200k_tokens": 6e-07,
		"cache_creation_input_token_cost_above_200k_tokens": 7.5e-06, "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1.2e-05,
		"input_cost_per_token_batches": 1.5e-06, "output_cost_per_token_batches": 7.5e-06,
		"search_context_cost_per_query": {"search_context_size_high": 0.01}, "input_cost_per_image": 0.0048, "tool_use_system_prompt_tokens": 346},
	"claude-8": {"litellm_provider": "anthropic", "input_cost_per_token": 8e-07, "output_cost_per_token": 4e-06, "cache_creation_input_token_cost": 1e-06},
	"gpt-9": {"litellm_provider": "openai", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1.25e-07,
		"input_cost_per_token_flex": 1e-06, "output_cost_per_token_flex": 5e-06, "cache_read_input_token_cost_flex": 6e-08,
		"input_cost_per_token_priority": 5e-06, "output_cost_per_token_priority": 2e-05, "input_cost_per_token_above_272k_tokens": 5e-06,
		"input_cost_per_token_above_272k_tokens_priority": 1e-05, "input_cost_per_audio_token": 4e-05, "output_cost_per_audio_token": 8e-05,
		"output_cost_per_image_token": 1, "input_cost_per_token_ultrafast": 1, "input_cost_per_token_batch_requests": 1, "computer_use_input_cost_per_1k_tokens": 1,
		"regional_processing_uplift_multiplier_eu": 1.1, "input_dbu_cost_per_token": 1},
	"gemini/gemini-9": {"litellm_provider": "gemini", "input_cost_per_token": 3e-07, "output_cost_per_token": 2.5e-06, "output_cost_per_reasoning_token": 3.5e-06,
		"input_cost_per_token_above_128k_tokens": 6e-07, "input_cost_per_image_above_128k_tokens": 1, "input_cost_per_video_per_second_above_15s_interval": 1},
	"xai/grok-9": {"litellm_provider": "xai", "input_cost_per_token": 3e-06, "input_cost_per_token_above_128k_tokens": 6e-06},
	"deepseek/deepseek-9": {"litellm_provider": "deepseek", "input_cost_per_token": 5.6e-07, "output_cost_per_token": 1.68e-06, "input_cost_per_token_cache_hit": 7e-08},
	"deepseek/deepseek-10": {"litellm_provider": "deepseek", "input_cost_per_token": 5.6e-07, "input_cost_per_token_cache_hit": 7e-08, "cache_read_input_token_cost": 6e-08},
	"dashscope/qwen9": {"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [
		{"input_cost_per_token": 1.2e-06, "output_cost_per_token": 6e-06, "range": [0, 32000.0]},
		{"input_cost_per_token": 2.4e-06, "output_cost_per_token": 1.2e-05, "output_cost_per_reasoning_token": 2e-05, "range": [32000.0, 128000.0]}]}
}');
-- What input means goes by the provider, not by the model's name.
SELECT p.provider, p.model, (amelia_internal.listed_prices(jsonb_build_object(p.model, jsonb_build_object('input_cost_per_token', 1, 'litellm_provider', p.provider)))).input_includes_cached
FROM (VALUES ('anthropic', 'claude-9'), ('bedrock', 'anthropic.claude-9'), ('bedrock_converse', 'amazon.nova-9'), ('vertex_ai-anthropic_models', 'vertex_ai/claude-9'),
	('azure_ai', 'azure_ai/claude-9'), ('azure_ai', 'azure_ai/grok-9'), ('openrouter', 'openrouter/anthropic/claude-9'), ('vercel_ai_gateway', 'vercel_ai_gateway/anthropic/claude-9'),
	('github_copilot', 'github_copilot/claude-9'), ('databricks', 'databricks/databricks-claude-9'), ('openai', 'gpt-9'), ('gemini', 'gemini/gemini-9'),
	('vertex_ai-language-models', 'gemini-9'), ('deepseek', 'deepseek/deepseek-9'), ('unheard-of', 'unheard-of/claude-9'), (NULL, 'claude-9'), (NULL, 'anthropic/m'), (NULL, 'm')) AS p (provider, model);

-- models.dev's: the API's form goes by the package; who made a model and serves
-- it has its mere name too.
SELECT * FROM t.show('{
	"anthropic": {"id": "anthropic", "env": ["K"], "npm": "@ai-sdk/anthropic", "name": "A", "doc": "https://example.com", "models": {
		"claude-9": {"id": "claude-9", "name": "C", "limit": {"context": 200000, "output": 64000}, "cost": {"input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75,
			"context_over_200k": {"input": 6, "output": 22.5, "cache_read": 0.6, "cache_write": 7.5},
			"tiers": [{"input": 6, "output": 22.5, "cache_read": 0.6, "cache_write": 7.5, "tier": {"type": "context", "size": 200000}}]}}}},
	"google": {"id": "google", "env": ["K"], "npm": "@ai-sdk/google", "name": "G", "doc": "d", "models": {
		"gemini-9": {"id": "gemini-9", "cost": {"input": 0.3, "output": 2.5, "reasoning": 3.5, "input_audio": 1, "output_audio": 12,
			"tiers": [{"input": 0.6, "output": 5, "tier": {"size": 128000}}, {"input": 1.2, "output": 9, "tier": {"type": "context", "size": 500000}}, {"input": 7, "tier": {"type": "hour", "size": 3}}]}},
		"gemma": {"id": "gemma", "open_weights": true}, "odd": 5}},
	"gateway": {"id": "gateway", "npm": "@ai-sdk/openai-compatible", "api": "https://example.com", "name": "W", "doc": "d", "models": {
		"claude-9": {"id": "claude-9", "cost": {"input": 3, "output": 15}}, "a/b": {"cost": {"input": 0, "output": 0}}, "native": {"provider": {"npm": "@ai-sdk/anthropic"}, "cost": {"input": 1, "output": 1}},
		"text": {"cost": {"input": "1", "output": 1}}, "minus": {"cost": {"input": 1, "output": -1}}}},
	"amazon-bedrock": {"id": "amazon-bedrock", "npm": "@ai-sdk/amazon-bedrock", "name": "B", "doc": "d", "models": {"amazon.nova-9": {"cost": {"input": 1, "output": 2}}}}
}');
SELECT * FROM t.show('{"models": {"a/m": {"id": "a/m", "name": "M"}}, "providers": {"a": {"id": "a", "models": {"m": {"cost": {"input": 1, "output": 2}}}}}}');

-- OpenRouter's: prices are strings, 0 stands for what has none, and -1 for one that varies.
SELECT * FROM t.show('{"data": [
	{"id": "anthropic/claude-9", "canonical_slug": "c", "name": "C", "context_length": 1000000, "pricing": {"prompt": "0.000003", "completion": "0.000015", "request": "0", "image": "0",
		"web_search": "0.01", "internal_reasoning": "0", "input_cache_read": "0.0000003", "input_cache_write": "0.00000375",
		"overrides": [{"min_prompt_tokens": 200000, "prompt": "0.000006", "completion": "0.0000225", "input_cache_read": "0.0000006"}, {"utc_start": 1200, "min_prompt_tokens": 5, "prompt": "0.1"}]}},
	{"id": "openai/gpt-9", "pricing": {"prompt": "0.00000125", "completion": "0.00001", "internal_reasoning": "0.00002", "input_cache_read": "0.000000125", "input_cache_write": "0", "audio": "0.00004", "discount": 0}},
	{"id": "google/free:free", "pricing": {"prompt": "0", "completion": "0"}},
	{"id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}},
	{"id": "numbers", "pricing": {"prompt": 1e-06, "completion": 2e-06}}, {"id": "odd", "pricing": {"prompt": "cheap", "completion": "1"}},
	{"id": "none", "pricing": null}, {"pricing": {"prompt": "1"}}, {"id": "huge", "pricing": {"prompt": "1e400"}}, 5
]}');

-- Loaded again they change nothing; what else is refused by name, and nothing is stored.
SELECT stored, unchanged FROM amelia.load_prices('{"data": [{"id": "openai/gpt-9", "pricing": {"prompt": "0.00000125", "completion": "0.000010", "internal_reasoning": "0.00002", "input_cache_read": "0.000000125", "audio": "0.00004"}}]}');
SELECT stored, unchanged FROM amelia.load_prices('{"data": [{"id": "openai/gpt-9", "pricing": {"prompt": "0.00000125", "completion": "0.000010", "internal_reasoning": "0.00003", "input_cache_read": "0.000000125", "audio": "0.00004"}}]}');
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT amelia.load_prices('{"claude-9": {"pricing_config": {"pay_as_you_go": {"request_token": {"price": 0.0003}, "response_token": {"price": 0.0015}}}}}')$$,
	$$SELECT amelia.load_prices('{"a/m": {"id": "a/m", "name": "M", "limit": {"context": 5}}}')$$,
	$$SELECT amelia.load_prices('[]')$$,
	$$SELECT amelia.load_prices('[{"id": "m", "pricing": {"prompt": "1"}}]')$$,
	$$SELECT amelia.load_prices('"{}"')$$,
	$$SELECT amelia.load_prices('null')$$,
	$$SELECT amelia.load_prices('5')$$,
	$$SELECT amelia.load_prices('{}')$$,
	$$SELECT amelia.load_prices('{"data": []}')$$,
	$$SELECT amelia.load_prices('{"error": {"code": 401, "message": "no"}}')$$,
	$$SELECT amelia.load_prices('{"m": []}')$$,
	$$SELECT amelia.load_prices('{"a": {}, "b": {}, "c": {}, "d": {}}')$$,
	$$SELECT amelia.load_prices(jsonb_build_object(repeat('a', 100), 1))$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- Names that no index could hold.
SELECT p.stored, o.key, jsonb_array_length(o.value) FROM amelia.load_prices(jsonb_build_object(repeat('a', 256) || '*', '{"input_cost_per_token": 1}'::jsonb,
	repeat('b', 1001), '{"input_cost_per_token": 1}'::jsonb, repeat('c', 1000), '{"input_cost_per_token": 1}'::jsonb, repeat('d', 255) || '*', '{"input_cost_per_token": 1}'::jsonb)) AS p, jsonb_each(p.passed_over) AS o;
