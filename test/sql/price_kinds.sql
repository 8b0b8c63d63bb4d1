-- What is not priced like all other tokens: one-hour cache writes, long
-- prompts, tiers of service, reasoning, sound. All amounts reckoned by hand.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(1), 'I', '/1');
INSERT INTO amelia.model_prices (model, input, output, cache_read, cache_creation, input_includes_cached, rates) VALUES
	('claude', 3, 15, 0.3, 3.75, false, '{"cache_creation_1h": 6, "above_200000.input": 6, "above_200000.output": 22.5, "above_200000.cache_read": 0.6,
		"above_200000.cache_creation": 7.5, "batch.input": 1.5, "batch.output": 7.5}'),
	('gpt', 2, 10, 0.5, 2, true, '{"priority.input": 4, "priority.output": 20, "priority.cache_read": 0.9, "flex.input": 1, "flex.output": 5,
		"above_272000.input": 4, "priority.above_272000.input": 7, "input_audio": 40, "output_audio": 80}'),
	('gemini', 1, 4, 0.25, 1, true, '{"reasoning": 6, "above_128000.input": 2, "above_128000.output": 5, "above_500000.input": 3, "above_500000.output": 8}'),
	('qwen', 1, 4, 1, 1, true, '{"above_32000.input": 2, "above_32000.output": 8, "above_32000.reasoning": 20}'),
	('plain', 1, 2, 1, 1, true, '{}'), ('free', 0, 0, 0, 0, true, '{"batch.input": 0, "batch.output": 0, "above_1000.output": 1}');

-- 1000 * 3 + 100 * 15 + 10000 * 0.3 + (2000 - 500) * 3.75 + 500 * 6 = 16125 per million.
SELECT amelia.price_usage('claude', 1000, 100, 10000, 2000, cache_creation_1h_tokens => 500);
-- Above 200,000, all of the prompt counts, and all of it costs more; one-hour writes in proportion to input:
-- 1000 * 6 + 100 * 22.5 + 199000 * 0.6 + 500 * 12 = 133650.
SELECT amelia.price_usage('claude', 1000, 100, 199000, 500, cache_creation_1h_tokens => 500) AS above,
	amelia.price_usage('claude', 1000, 100, 199000, 0) AS at_the_limit,
	amelia.price_usage('claude', 1000, 100, 199001, 0) AS by_one;
-- A row of several turns: the prompt of each is what counts, or what the caller says.
SELECT amelia.price_usage('claude', 1000000, 0) AS one, amelia.price_usage('claude', 1000000, 0, num_turns => 5) AS five,
	amelia.price_usage('claude', 1000000, 0, num_turns => 4) AS four,
	amelia.price_usage('claude', 1000000, 0, num_turns => 5, context_tokens => 200001) AS said, amelia.price_usage('claude', 1000000, 0, context_tokens => 5) AS said_short;
-- Where input includes what is cached, it counts once: 300000 in all.
SELECT amelia.price_usage('gpt', 300000, 0, 100000) AS above, amelia.price_usage('gpt', 272000, 0, 100000) AS below;
-- Batch: 1000 * 1.5 + 100 * 7.5 + 10000 * 0.15 = 3750; above: twice that for input, 1.5 times for output.
SELECT amelia.price_usage('claude', 1000, 100, 10000, service_tier => 'batch') AS batch,
	amelia.price_usage('claude', 300000, 100, service_tier => 'batch') AS long_batch;
-- Priority: (1000 - 600) * 4 + 100 * 20 + 600 * 0.9 = 4140. Flex has no price for what is cached: half, as input.
SELECT amelia.price_usage('gpt', 1000, 100, 600, service_tier => 'priority') AS priority, amelia.price_usage('gpt', 1000, 100, 600, service_tier => 'flex') AS flex,
	amelia.price_usage('gpt', 300000, 0, service_tier => 'priority') AS long_priority, amelia.price_usage('gpt', 300000, 0, service_tier => 'flex') AS long_flex,
	amelia.price_usage('gpt', 1000, 100, 600, service_tier => 'default') = amelia.price_usage('gpt', 1000, 100, 600, service_tier => 'standard') AS no_tier;
-- Reasoning is part of the output: 60 * 4 + 40 * 6 = 480; above 128,000: 60 * 5 + 40 * 7.5, and 200,000 * 2.
SELECT amelia.price_usage('gemini', 0, 100, reasoning_tokens => 40) AS reasoning, amelia.price_usage('gemini', 200000, 100, reasoning_tokens => 40) AS above,
	amelia.price_usage('gemini', 600000, 100) AS far_above, amelia.price_usage('qwen', 10000, 100, reasoning_tokens => 40) AS no_price_here,
	amelia.price_usage('qwen', 40000, 100, reasoning_tokens => 40) AS but_here, amelia.price_usage('plain', 0, 100, reasoning_tokens => 40) AS as_output;
-- Sound: 700 * 2 + 300 * 40 + 50 * 10 + 50 * 80 = 17900; without a price of its own it is input and output.
SELECT amelia.price_usage('gpt', 1000, 100, input_audio_tokens => 300, output_audio_tokens => 50) AS sound,
	amelia.price_usage('plain', 1000, 100, input_audio_tokens => 300, output_audio_tokens => 50) AS as_text,
	amelia.price_usage('gpt', 1000, 0, 900, input_audio_tokens => 300) AS cached_sound;
SELECT amelia.price_usage('free', 10000, 10, 5, service_tier => 'batch') AS free, amelia.price_usage('free', 10000, 1000000) AS output_is_not;
-- Who reports, said by the caller: 400 * 3 + 600 * 0.3 = 1380, or 1000 * 3 + 600 * 0.3 = 3180.
SELECT amelia.price_usage('claude', 1000, 0, 600, input_includes_cached => true) AS included, amelia.price_usage('claude', 1000, 0, 600, input_includes_cached => false) AS apart,
	amelia.price_usage('claude', 1000, 0, 600) AS default, amelia.price_usage('openrouter/claude', 1000, 0, 600) AS gateway,
	amelia.price_usage('openrouter/claude', 1000, 0, 600, input_includes_cached => false) AS said;
-- What has no price is not charged as something else.
SELECT amelia.price_usage('plain', 1, 1, service_tier => 'batch') IS NULL AS no_batch, amelia.price_usage('gemini', 1, 1, service_tier => 'flex') IS NULL AS no_flex,
	amelia.price_usage('plain', 1, 1, 0, 10, cache_creation_1h_tokens => 10) IS NULL AS no_hour, amelia.price_usage('gpt', 1, 1, 0, 10, cache_creation_1h_tokens => 10) IS NULL AS no_hour_either;

-- The same is booked.
SELECT amelia.record_usage(t.w(1), 'a', 'claude', 1000, 100, 10000, 2000, cache_creation_1h_tokens => 500, id => t.u(1)),
	amelia.record_usage(t.w(1), 'a', 'claude', 1000000, 0, num_turns => 5, id => t.u(2)),
	amelia.record_usage(t.w(1), 'a', 'claude', 1000000, 0, num_turns => 5, context_tokens => 250000, id => t.u(3)),
	amelia.record_usage(t.w(1), 'a', 'claude', 1000, 100, 10000, service_tier => 'batch', id => t.u(4)),
	amelia.record_usage(t.w(1), 'a', 'gemini', 0, 100, reasoning_tokens => 40, id => t.u(5)),
	amelia.record_usage(t.w(1), 'a', 'gpt', 1000, 100, input_audio_tokens => 300, output_audio_tokens => 50, id => t.u(6)),
	amelia.record_usage(t.w(1), 'a', 'claude', 1000, 0, 600, input_includes_cached => true, id => t.u(7)),
	amelia.record_usage(t.w(1), 'a', 'gpt', 1, 1, cost_usd => 7, service_tier => 'batch', reasoning_tokens => NULL, id => t.u(8)) \gset _
SELECT u.id, u.cost_usd FROM amelia.token_usage AS u ORDER BY u.id;
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT amelia.record_usage(t.w(1), 'a', 'plain', 1, 1, service_tier => 'batch', "timestamp" => '2026-01-01Z')$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'plain', 1, 1, 0, 1, cache_creation_1h_tokens => 1, "timestamp" => '2026-01-01Z')$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'plain', 1, 1, 0, 1, cache_creation_1h_tokens => 1, service_tier => 'flex', "timestamp" => '2026-01-01Z')$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'plain', 1, 1, service_tier => 'express')$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'plain', 1, 1, service_tier => '', cost_usd => 1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'plain', 1, 1, 0, 1, cache_creation_1h_tokens => 2)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'plain', 1, 1, NULL, NULL, cache_creation_1h_tokens => 2)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'plain', 1, 1, cache_creation_1h_tokens => -1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'plain', 1, 10, reasoning_tokens => 11)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'plain', 1, 10, reasoning_tokens => 6, output_audio_tokens => 5)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'plain', 1, 10, output_audio_tokens => 11)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'plain', 1, 10, input_audio_tokens => 2)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'plain', 1, 10, reasoning_tokens => -1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'plain', 1, 10, context_tokens => -1)$$,
	$$SELECT amelia.price_usage('plain', 9223372036854775807, 9223372036854775807, 9223372036854775807, 9223372036854775807, reasoning_tokens => 9223372036854775807, output_audio_tokens => 1)$$);
SELECT t.digest() = :'before' AS nothing_stored;
SELECT amelia.price_usage('gpt', 9223372036854775807, 9223372036854775807, 9223372036854775807, 9223372036854775807);

-- Numbers as clients in other languages send them: what they make of a
-- fraction is double precision, of a large integer bigint, of a small one
-- smallint; what has no type is taken as what belongs there.
SELECT amelia.record_usage(t.w(1), 'a', 'm', 1::smallint, 2::bigint, cost_usd => 0.0123::double precision, id => t.u(11)),
	amelia.record_usage(t.w(1), 'a', 'm', 1, 2, cost_usd => 0.0123::real, id => t.u(12)),
	amelia.record_usage(t.w(1), 'a', 'm', '1', '2', cost_usd => '0.0123', id => t.u(13)),
	amelia.record_usage(t.w(1), 'a', 'm', 1, 2, cost_usd => 1, id => t.u(14)),
	amelia.record_usage(t.w(1), 'a', 'plain', 1, 2, '3', NULL, NULL, '4', id => t.u(15)),
	amelia.record_usage(t.w(1), 'a', 'm', 2147483647, 2147483647::bigint, 0::smallint, 0::bigint, 9999.999999, 1::bigint, 1::bigint, id => t.u(16)) \gset _
PREPARE record AS SELECT amelia.record_usage($1, $2, $3, $4, $5, cost_usd => $6, duration_ms => $7, id => $8) = $8 AS recorded;
EXECUTE record (t.w(1), 'a', 'm', '1', '2', '0.0123', '5', t.u(17));
EXECUTE record (t.w(1), 'a', 'm', '1', '2', '0.0123', '5', t.u(17));
SELECT u.id, u.cost_usd FROM amelia.token_usage AS u WHERE u.model = 'm' OR u.id = t.u(15) ORDER BY u.id;
-- Every amount that a row can hold survives the way through a double.
SELECT count(*) FROM generate_series(0, 100000) AS n, LATERAL (SELECT (n::bigint * 99991 % 10000000000) / 1000000.0 + 9999 * (n % 2)) AS c (amount)
WHERE c.amount < 10000 AND round(c.amount::double precision::numeric, 6) <> round(c.amount, 6);
SELECT * FROM t.errors(
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 3000000000, 1, cost_usd => 1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 3000000000, cost_usd => 1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, 2147483648, cost_usd => 1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, 0, 2147483648, cost_usd => 1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 1, duration_ms => 2147483648)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 1, num_turns => 2147483648)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 'NaN'::double precision)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 'Infinity'::double precision)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => -1e-9::double precision)$$);
-- Chat messages and sparklines likewise.
INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('work', '/work', '{}');
INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s', 'work');
SELECT m.input_tokens, m.output_tokens, m.cost_usd FROM amelia.add_brainstorm_message('s', 'assistant', 'c', NULL, 1::bigint, 2::smallint, 0.0123::double precision) AS m;
SELECT t.error($$SELECT amelia.add_brainstorm_message('s', 'assistant', 'c', NULL, 1, 3000000000)$$);
SELECT amelia.sparkline(ARRAY[0.5, 1]::double precision[]), amelia.sparkline(ARRAY[0.5, 1]), amelia.sparkline(ARRAY[1, 2]), amelia.sparkline(ARRAY[1, 2]::smallint[]);
