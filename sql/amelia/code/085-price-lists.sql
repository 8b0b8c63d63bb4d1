-- Taking the price lists that are published: each in its form brought into
-- the names that model_prices has, and what cannot be used told by name.

CREATE FUNCTION amelia_internal.litellm_rates(entry jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
WITH kinds (published, kind) AS (VALUES
	('input_cost_per_token', 'input'),
	('output_cost_per_token', 'output'),
	('cache_read_input_token_cost', 'cache_read'),
	('cache_creation_input_token_cost', 'cache_creation'),
	('cache_creation_input_token_cost_above_1hr', 'cache_creation_1h'),
	('output_cost_per_reasoning_token', 'reasoning'),
	('input_cost_per_audio_token', 'input_audio'),
	('output_cost_per_audio_token', 'output_audio')),
found (place, key, value) AS (
	-- as DeepSeek's were published at first
	SELECT 1, 'cache_read', entry -> 'input_cost_per_token_cache_hit'
	UNION ALL
	-- a price for each range of prompt lengths
	SELECT 2, CASE WHEN (t.tier #>> '{range,0}')::numeric > 0 THEN format('above_%s.', (t.tier #>> '{range,0}')::numeric::bigint) ELSE '' END
		|| k.kind, t.tier -> k.published
	FROM jsonb_array_elements(CASE WHEN jsonb_typeof(entry -> 'tiered_pricing') = 'array' THEN entry -> 'tiered_pricing' ELSE '[]' END) AS t (tier),
		kinds AS k
	WHERE jsonb_typeof(t.tier #> '{range,0}') = 'number' AND (t.tier #>> '{range,0}')::numeric < 1000000000
	UNION ALL
	-- xAI charges the higher price from the threshold on, others above it
	SELECT 3, concat(CASE m.part[3] WHEN 'batches' THEN 'batch' ELSE m.part[3] END || '.',
		format('above_%s.', m.part[2]::integer * 1000 - CASE WHEN entry ->> 'litellm_provider' = 'xai' THEN 1 ELSE 0 END), k.kind), e.value
	FROM jsonb_each(entry) AS e,
		regexp_match(e.key, '^(.*?)(?:_above_([1-9][0-9]{0,5})k_tokens)?(?:_(batches|flex|priority))?$') AS m (part),
		kinds AS k
	WHERE k.published = m.part[1] AND m.part[2] IS NOT NULL
	UNION ALL
	SELECT 3, concat(CASE m.part[2] WHEN 'batches' THEN 'batch' ELSE m.part[2] END || '.', k.kind), e.value
	FROM jsonb_each(entry) AS e,
		regexp_match(e.key, '^(.*?)(?:_(batches|flex|priority))?$') AS m (part),
		kinds AS k
	WHERE k.published = m.part[1])
SELECT COALESCE(jsonb_object_agg(f.key, f.value ORDER BY f.place), '{}')
FROM found AS f
WHERE f.value <> 'null'
$$;
COMMENT ON FUNCTION amelia_internal.litellm_rates(jsonb) IS
'The prices per token of an entry in LiteLLM''s list, by the names that model_prices has for them.';

CREATE FUNCTION amelia_internal.models_dev_rates(cost jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
WITH parts (place, prefix, prices) AS (
	SELECT 1, '', cost
	UNION ALL
	SELECT 2, 'above_200000.', cost -> 'context_over_200k'
	UNION ALL
	SELECT 3, format('above_%s.', (t.part #>> '{tier,size}')::numeric::bigint), t.part
	FROM jsonb_array_elements(CASE WHEN jsonb_typeof(cost -> 'tiers') = 'array' THEN cost -> 'tiers' ELSE '[]' END) AS t (part)
	WHERE jsonb_typeof(t.part #> '{tier,size}') = 'number'
		AND (t.part #>> '{tier,size}')::numeric BETWEEN 1 AND 999999999
		AND COALESCE(t.part #>> '{tier,type}', 'context') = 'context')
SELECT COALESCE(jsonb_object_agg(p.prefix || k.kind, p.prices -> k.published ORDER BY p.place), '{}')
FROM parts AS p, (VALUES ('input', 'input'), ('output', 'output'), ('cache_read', 'cache_read'), ('cache_write', 'cache_creation'),
	('reasoning', 'reasoning'), ('input_audio', 'input_audio'), ('output_audio', 'output_audio')) AS k (published, kind)
WHERE jsonb_typeof(p.prices) = 'object' AND p.prices -> k.published <> 'null'
$$;
COMMENT ON FUNCTION amelia_internal.models_dev_rates(jsonb) IS
'The prices per million tokens of a model in the list of models.dev, by the names that model_prices has for them.';

CREATE FUNCTION amelia_internal.openrouter_rates(pricing jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
WITH parts (place, prefix, prices) AS (
	SELECT 1, '', pricing
	UNION ALL
	SELECT 2, CASE WHEN (o.part ->> 'min_prompt_tokens')::numeric > 1 THEN format('above_%s.', (o.part ->> 'min_prompt_tokens')::numeric::bigint - 1) ELSE '' END, o.part
	FROM jsonb_array_elements(CASE WHEN jsonb_typeof(pricing -> 'overrides') = 'array' THEN pricing -> 'overrides' ELSE '[]' END) AS o (part)
	-- others are for hours of the day
	WHERE jsonb_typeof(o.part -> 'min_prompt_tokens') = 'number' AND NOT o.part ? 'utc_start'
		AND (o.part ->> 'min_prompt_tokens')::numeric BETWEEN 1 AND 999999999)
-- A number is a string there; 0 for what has no price of its own.
SELECT COALESCE(jsonb_object_agg(p.prefix || k.kind, CASE
		WHEN p.prices ->> k.published ~ '^-?[0-9]{1,20}([.][0-9]{1,40})?(e-?[0-9]{1,3})?$'
		THEN to_jsonb((p.prices ->> k.published)::numeric) ELSE p.prices -> k.published END ORDER BY p.place), '{}')
FROM parts AS p, (VALUES ('prompt', 'input', false), ('completion', 'output', false), ('input_cache_read', 'cache_read', false),
	('input_cache_write', 'cache_creation', true), ('internal_reasoning', 'reasoning', true),
	('audio', 'input_audio', true)) AS k (published, kind, may_lack)
WHERE jsonb_typeof(p.prices) = 'object' AND p.prices -> k.published <> 'null'
	AND NOT (k.may_lack AND p.prices ->> k.published ~ '^[0.]+$')
$$;
COMMENT ON FUNCTION amelia_internal.openrouter_rates(jsonb) IS
'The prices per token of a model in the list of OpenRouter, by the names that model_prices has for them.';

CREATE FUNCTION amelia_internal.listed_prices(prices jsonb)
RETURNS TABLE (model text, input_includes_cached boolean, rates jsonb, problem text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	taken CONSTANT text := 'Taken are LiteLLM''s model_prices_and_context_window.json, models.dev''s api.json and OpenRouter''s answer to /api/v1/models.';
	list jsonb := $1;
	known text;
BEGIN
	-- models.dev's catalog.json has its api.json in one part
	IF jsonb_typeof(list -> 'providers') = 'object' AND jsonb_typeof(list -> 'models') = 'object' THEN
		list := list -> 'providers';
	END IF;
	known := CASE
		WHEN jsonb_path_exists(list, 'strict $.data[*] ? (exists(@.id) && exists(@.pricing))', '{}', true) THEN 'openrouter'
		WHEN jsonb_typeof(list) <> 'object' THEN 'none'
		WHEN jsonb_path_exists(list, '$.* ? (@.models.type() == "object" && (exists(@.id) || exists(@.npm)))') THEN 'models.dev'
		WHEN jsonb_path_exists(list, '$.*.pricing_config') THEN 'Portkey'
		WHEN jsonb_path_exists(list, '$.* ? (exists(@.litellm_provider) || exists(@.tiered_pricing))')
			OR EXISTS (SELECT FROM jsonb_each(list) AS e WHERE amelia_internal.litellm_rates(
				CASE jsonb_typeof(e.value) WHEN 'object' THEN e.value ELSE '{}' END) <> '{}') THEN 'LiteLLM'
		ELSE 'none' END;
	IF known IN ('none', 'Portkey') THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = CASE
				WHEN known = 'Portkey' THEN 'this is a price list of Portkey, which does not tell whose prices they are'
				WHEN list = '{}' THEN 'this is no price list, but an empty JSON object'
				WHEN jsonb_typeof(list) = 'object' THEN format('this is no price list that is known, but a JSON object with %s',
					(SELECT string_agg(format('"%s"', left(k.key, 40)), ', ') FROM (SELECT o.key FROM jsonb_object_keys(list) AS o (key) LIMIT 3) AS k))
				ELSE format('this is no price list that is known, but a JSON %s', jsonb_typeof(list)) END,
			HINT = taken;
	END IF;

	RETURN QUERY
	WITH entries (model, provider, package, raw, scale, is_object) AS (
		-- two entries are about the file itself
		SELECT e.key, COALESCE(e.value ->> 'litellm_provider',
				CASE WHEN e.key LIKE '%/%' THEN split_part(e.key, '/', 1) WHEN e.key LIKE 'claude%' THEN 'anthropic' END),
			NULL, amelia_internal.litellm_rates(CASE jsonb_typeof(e.value) WHEN 'object' THEN e.value ELSE '{}' END), 1000000,
			jsonb_typeof(e.value) = 'object'
		FROM jsonb_each(CASE known WHEN 'LiteLLM' THEN list - 'sample_spec' - 'fallback_generalizations' ELSE '{}' END) AS e
		UNION ALL
		SELECT names.name, p.key, COALESCE(m.value #>> '{provider,npm}', p.value ->> 'npm'),
			amelia_internal.models_dev_rates(m.value -> 'cost'), 1, jsonb_typeof(m.value) = 'object'
		FROM jsonb_each(CASE known WHEN 'models.dev' THEN list ELSE '{}' END) AS p,
			jsonb_each(CASE jsonb_typeof(p.value -> 'models') WHEN 'object' THEN p.value -> 'models' ELSE '{}' END) AS m,
			-- who made a model, and serves it, is who is meant by its mere name
			unnest(CASE WHEN p.key IN ('alibaba', 'anthropic', 'cohere', 'deepseek', 'google', 'minimax', 'mistral', 'moonshotai',
				'openai', 'perplexity', 'xai', 'zai') THEN ARRAY[p.key || '/' || m.key, m.key] ELSE ARRAY[p.key || '/' || m.key] END) AS names (name)
		UNION ALL
		SELECT COALESCE(d.value ->> 'id', ''), 'openrouter', NULL, amelia_internal.openrouter_rates(d.value -> 'pricing'), 1000000,
			jsonb_typeof(d.value -> 'pricing') = 'object'
		FROM jsonb_array_elements(CASE known WHEN 'openrouter' THEN list -> 'data' ELSE '[]' END) AS d)
	SELECT e.model,
		COALESCE(amelia_internal.reports_cached_as_input(e.package, e.model), amelia_internal.reports_cached_as_input(e.provider, e.model), true),
		CASE WHEN p.problem IS NULL THEN (SELECT jsonb_object_agg(r.key, trim_scale(r.value::numeric * e.scale))
			FROM jsonb_each(e.raw || CASE
				-- Anthropic's one-hour writes are twice the input, where a list leaves them out
				WHEN e.model ~ 'claude' AND e.raw ? 'cache_creation' AND NOT e.raw ? 'cache_creation_1h'
				THEN jsonb_build_object('cache_creation_1h', (e.raw ->> 'input')::numeric * 2) ELSE '{}' END) AS r) END,
		p.problem
	FROM entries AS e, LATERAL (SELECT CASE
		WHEN NOT e.is_object THEN 'it is no object'
		WHEN e.model !~ '^[^*]+[*]?$' AND e.model <> '*' THEN 'its name is empty, or has a * that is not at its end'
		WHEN octet_length(e.model) > 1000 OR (e.model LIKE '%*' AND length(e.model) > 256) THEN 'its name is too long'
		WHEN NOT e.raw ? 'input' THEN 'it has no price per token'
		WHEN jsonb_path_exists(e.raw, '$.* ? (@.type() != "number")') THEN 'a price is not a number'
		WHEN jsonb_path_exists(e.raw, '$.* ? (@ < 0)') THEN 'a price is negative'
		WHEN EXISTS (SELECT FROM jsonb_each(e.raw) AS r WHERE r.value::numeric >= 10000000000.0 / e.scale) THEN 'a price is out of range' END)
		AS p (problem);
END
$$;
COMMENT ON FUNCTION amelia_internal.listed_prices(jsonb) IS
'The models of a published price list (of LiteLLM, models.dev or OpenRouter): what each costs per million tokens, or why that cannot be used. Errors: 22023 no such list.';

REVOKE ALL ON FUNCTION
	amelia_internal.litellm_rates(jsonb),
	amelia_internal.models_dev_rates(jsonb),
	amelia_internal.openrouter_rates(jsonb),
	amelia_internal.listed_prices(jsonb)
FROM PUBLIC;
