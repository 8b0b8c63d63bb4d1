-- What models cost: model_prices, load_prices(), record_usage() without a cost.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(1), 'I', '/1');

-- A file in LiteLLM's format; what is not paid for by the token is left out.
SELECT * FROM amelia.load_prices('{
	"sample_spec": {"input_cost_per_token": "text", "max_tokens": "see elsewhere"},
	"claude-opus": {"input_cost_per_token": 1.5e-05, "output_cost_per_token": 7.5e-05, "cache_read_input_token_cost": 1.5e-06,
		"cache_creation_input_token_cost": 1.875e-05, "litellm_provider": "anthropic", "mode": "chat", "max_tokens": 4096},
	"gpt-5": {"input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1.25e-07, "litellm_provider": "openai"},
	"embed": {"input_cost_per_token": 1e-07, "litellm_provider": "openai"},
	"image-1": {"output_cost_per_image": 0.04},
	"nothing": {"input_cost_per_token": null}
}');
SELECT model, valid_from, valid_to, input, output, cache_read, cache_creation, input_includes_cached
FROM amelia.model_prices ORDER BY model;

-- Reckoned by hand. Anthropic counts cached tokens apart:
-- 1000 * 15 + 100 * 75 + 10000 * 1.5 + 2000 * 18.75 = 75000 per million.
SELECT amelia.price_usage('claude-opus', 1000, 100, 10000, 2000);
-- OpenAI counts them among the input: (1000 - 600) * 1.25 + 100 * 10 + 600 * 0.125 = 1575.
SELECT amelia.price_usage('gpt-5', 1000, 100, 600, 0);
-- More cached than input does not pay back.
SELECT amelia.price_usage('gpt-5', 100, 0, 600, NULL);
SELECT amelia.price_usage('unknown', 1, 1) IS NULL AS none, amelia.price_usage('claude-opus', 0, 0) AS free;

-- Booked by price; what is given counts as it is.
SELECT amelia.record_usage(t.w(1), 'a', 'claude-opus', 1000, 100, 10000, 2000, id => t.u(1));
SELECT amelia.record_usage(t.w(1), 'a', 'claude-opus', 1000, 100, 10000, 2000, cost_usd => 9, id => t.u(2));
SELECT amelia.record_usage(t.w(1), 'a', 'claude-opus', 1000, 100, NULL, NULL, id => t.u(3));
SELECT id, cost_usd FROM amelia.token_usage ORDER BY id;

-- Another price from a time on; the old one holds before it, what is booked stays.
SELECT * FROM amelia.load_prices('{"claude-opus": {"input_cost_per_token": 3e-05, "output_cost_per_token": 7.5e-05, "litellm_provider": "anthropic"},
	"gpt-5": {"input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1.25e-07, "litellm_provider": "openai"}}',
	'2020-06-01Z');
SELECT model, valid_from, valid_to, input, cache_read FROM amelia.model_prices WHERE model <> 'embed' ORDER BY model, valid_from NULLS FIRST;
SELECT amelia.price_usage('claude-opus', 1000000, 0, at => '2020-05-31 23:59:59.999999Z') AS before,
	amelia.price_usage('claude-opus', 1000000, 0, at => '2020-06-01Z') AS since;
SELECT id, cost_usd FROM amelia.token_usage ORDER BY id;
-- Sent again, it is the same, although it would cost something else by now.
SELECT amelia.record_usage(t.w(1), 'a', 'claude-opus', 1000, 100, 10000, 2000, id => t.u(1));
SELECT t.error($$SELECT amelia.record_usage(t.w(1), 'a', 'claude-opus', 1001, 100, 10000, 2000, id => t.u(1))$$);
-- Again: nothing changes. At the same time: the price is put right. In between: up to the next.
SELECT * FROM amelia.load_prices('{"claude-opus": {"input_cost_per_token": 3e-05, "output_cost_per_token": 7.5e-05, "litellm_provider": "anthropic"}}', '2020-06-01Z');
SELECT * FROM amelia.load_prices('{"claude-opus": {"input_cost_per_token": 2e-05, "output_cost_per_token": 7.5e-05, "litellm_provider": "anthropic"}}', '2020-06-01Z');
SELECT * FROM amelia.load_prices('{"claude-opus": {"input_cost_per_token": 1e-05, "output_cost_per_token": 7.5e-05, "litellm_provider": "anthropic"}}', '2020-03-01Z');
SELECT valid_from, valid_to, input FROM amelia.model_prices WHERE model = 'claude-opus' ORDER BY valid_from NULLS FIRST;

-- Beginnings of names, the longest first, and the exact name before all.
BEGIN;
INSERT INTO amelia.model_prices (model, input, output, cache_read, cache_creation) VALUES
	('gpt-*', 1, 1, 1, 1), ('gpt-5*', 2, 2, 2, 2), ('*', 3, 3, 3, 3);
SELECT m.model, (SELECT p.model FROM amelia.find_price(m.model) AS p) AS price
FROM unnest(ARRAY['gpt-5', 'gpt-5-mini', 'gpt-4', 'gpt', 'x', '', 'gpt-*', '100%_']) AS m (model);
-- Where nothing stands under a name, its prefixes are taken off: from left to
-- right, and * last of all. What input means goes by who the prefix says it is
-- that reports; as the price says where that is not known.
INSERT INTO amelia.model_prices (model, input, output, cache_read, cache_creation, input_includes_cached) VALUES
	('openrouter/z/m', 1, 1, 1, 1, true), ('z/m', 2, 2, 2, 2, false), ('m', 3, 3, 3, 3, false),
	('anthropic.claude-9-v1:0', 4, 4, 4, 4, false), ('eu.anthropic.claude-9-v1:0', 5, 5, 5, 5, false), ('azure/*', 6, 6, 6, 6, true);
SELECT m.model, p.model AS price, p.input_includes_cached AS includes
FROM unnest(ARRAY['m', 'z/m', 'y/m', 'openrouter/z/m', 'openrouter/y/m', 'openrouter/m', 'anthropic/claude-opus', 'openai/claude-opus',
	'openrouter/anthropic/claude-opus', 'bedrock/claude-opus', 'unheard-of/claude-opus', 'openai/gpt-5', 'anthropic/gpt-5', 'azure/gpt-5', 'azure_ai/claude-opus', 'azure_ai/gpt-5',
	'bedrock/us.anthropic.claude-9-v1:0', 'eu.anthropic.claude-9-v1:0', 'us.anthropic.claude-9-v1:0', 'bedrock/eu-west-1/eu.anthropic.claude-9-v1:0',
	'us.m', 'm/', '/', '//', 'x/gpt-7', 'a/b/c']) WITH ORDINALITY AS m (model, place)
LEFT JOIN LATERAL amelia.find_price(m.model) AS p ON true ORDER BY m.place;
-- A client reads NULL where a period is open.
INSERT INTO amelia.model_prices (model, valid_from, valid_to, input, output, cache_read, cache_creation)
VALUES ('infinite', '-infinity', 'infinity', 1, 1, 1, 1);
SELECT m.name, p.valid_from IS NULL AS from_ever, p.valid_to IS NULL AS for_ever FROM unnest(ARRAY['gpt-5', 'infinite']) AS m (name), amelia.find_price(m.name) AS p;
SELECT t.at, (SELECT p.input FROM amelia.find_price('claude-opus', t.at::timestamptz) AS p)
FROM unnest(ARRAY['-infinity', '2020-02-29Z', '2020-05-31Z', 'infinity']) AS t (at);
ROLLBACK;

-- No price: an error that names the model, or cost 0 with a note.
SELECT t.digest() AS before \gset
SELECT t.error($$SELECT amelia.record_usage(t.w(1), 'a', 'new-model', 1, 1, "timestamp" => '2021-01-01Z')$$);
SELECT t.error($$SELECT amelia.record_usage(t.w(1), 'a', 'claude-opus', 2147483647, 2147483647)$$);
SELECT t.digest() = :'before' AS nothing_stored;
SELECT record_unpriced_usage FROM amelia.update_settings('{"record_unpriced_usage": true}');
SELECT amelia.record_usage(t.w(1), 'a', 'new-model', 1, 1, id => t.u(4));
SELECT amelia.record_usage(t.w(1), 'a', 'new-model', 1, 1, id => t.u(4));
SELECT u.cost_usd, n.model FROM amelia.unpriced_usage AS n JOIN amelia.token_usage AS u ON u.id = n.usage_id;
SELECT t.error($$SELECT amelia.update_settings('{"record_unpriced_usage": 1}')$$);

-- What is refused.
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$INSERT INTO amelia.model_prices (model, valid_from, input, output, cache_read, cache_creation) VALUES ('gpt-5', '2020-01-01', 1, 1, 1, 1)$$,
	$$INSERT INTO amelia.model_prices (model, input, output, cache_read, cache_creation) VALUES ('a*b', 1, 1, 1, 1)$$,
	$$INSERT INTO amelia.model_prices (model, input, output, cache_read, cache_creation) VALUES ('', 1, 1, 1, 1)$$,
	$$INSERT INTO amelia.model_prices (model, input, output, cache_read, cache_creation) VALUES ('x', -1, 1, 1, 1)$$,
	$$INSERT INTO amelia.model_prices (model, input, output, cache_read, cache_creation) VALUES ('x', 'NaN', 1, 1, 1)$$,
	$$INSERT INTO amelia.model_prices (model, valid_from, valid_to, input, output, cache_read, cache_creation) VALUES ('x', '2020-01-01', '2020-01-01', 1, 1, 1, 1)$$,
	$$INSERT INTO amelia.model_prices (model, valid_from, input, output, cache_read, cache_creation) VALUES ('gpt-5', '-infinity', 1, 1, 1, 1)$$,
	$$INSERT INTO amelia.model_prices (model, valid_from, valid_to, input, output, cache_read, cache_creation) VALUES ('x', 'infinity', '-infinity', 1, 1, 1, 1)$$,
	$$INSERT INTO amelia.model_prices (model, input, output, cache_read, cache_creation) VALUES ('x', 1e10, 1, 1, 1)$$,
	$$SELECT amelia.load_prices(NULL)$$,
	$$SELECT amelia.load_prices('{"a": {"input_cost_per_token": 1}}', 'infinity')$$,
	$$SELECT amelia.price_usage('gpt-5', -1, 1)$$,
	$$SELECT amelia.price_usage('gpt-5', 1, -1)$$,
	$$SELECT amelia.price_usage('gpt-5', 1, 1, -1)$$,
	$$SELECT amelia.price_usage('gpt-5', 1, 1, 1, -1)$$,
	$$SELECT amelia.price_usage('none', 1, -1)$$);
SELECT v.rates, t.error(format('INSERT INTO amelia.model_prices (model, input, output, cache_read, cache_creation, rates) VALUES (''x'', 1, 1, 1, 1, %L)', v.rates))
FROM unnest(ARRAY['[]', '1', '{"reasoning": "1"}', '{"reasoning": -1}', '{"reasoning": null}', '{"reasoning": 1e10}', '{"reasoning": [1]}', '{"batch": {"input": 1}}',
	'{"batches.input": 1}', '{"above_200k.input": 1}', '{"above_0.input": 1}', '{"above_200000.batch.input": 1}', '{"Input": 1}', '{"": 1}']) AS v (rates);
SELECT t.digest() = :'before' AS nothing_stored;
