-- Tokens and cost: record_usage(), plain INSERT, token_summary(), token_summaries().
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

INSERT INTO amelia.workflows (id, issue_id, worktree_path) SELECT t.w(n), 'I-' || n, '/w' || n FROM generate_series(1, 5) AS n;

-- All arguments, and the fewest.
BEGIN;
SELECT amelia.record_usage(t.w(1), 'architect', 'opus', 100, 20, 30, 40, 1.234567, 5000, 6, '2020-02-03 04:05+01', t.u(1));
SELECT amelia.record_usage(t.w(1), 'developer', 'haiku', 0, 0, cost_usd => 0, id => t.u(2));
SELECT u.workflow_id, u.agent, u.model, u.input_tokens, u.output_tokens, u.cache_read_tokens, u.cache_creation_tokens,
	u.cost_usd, u.duration_ms, u.num_turns, u."timestamp" = now() AS now
FROM amelia.token_usage AS u ORDER BY u.id;
SELECT "timestamp" AT TIME ZONE 'UTC' AS utc FROM amelia.token_usage WHERE id = t.u(1);
SELECT substr(amelia.record_usage(t.w(2), 'a', 'm', 1, 1, cost_usd => 1)::text, 15, 1) AS version;
ROLLBACK;

-- Money is rounded to six decimals, half away from zero, of the fifteen digits
-- that a double precision number has: that is what most languages send.
SELECT c.n, c.cost, amelia.record_usage(t.w(3), 'a', 'm', 1, 1, cost_usd => c.cost, id => t.u(c.n)) = t.u(c.n) AS recorded
FROM (VALUES (31, 0.0000004), (32, 0.0000005), (33, 0.0000015), (34, 0.1234564999999999999999999), (35, 0.12345650000000000000001),
	(36, 9999.9999994), (37, 1e-20), (38, 3.3000000000000000000000000000000000000000001)) AS c (n, cost)
ORDER BY c.n;
SELECT id, cost_usd FROM amelia.token_usage WHERE workflow_id = t.w(3) ORDER BY id;

-- What it refuses; nothing is stored.
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT amelia.record_usage(NULL, 'a', 'm', 1, 1, cost_usd => 1)$$,
	$$SELECT amelia.record_usage(t.w(1), NULL, 'm', 1, 1, cost_usd => 1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', NULL, 1, 1, cost_usd => 1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', NULL, 1, cost_usd => 1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, NULL, cost_usd => 1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, "timestamp" => '2026-01-01')$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => NULL, "timestamp" => '2026-01-01')$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 1, duration_ms => NULL)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 1, num_turns => NULL)$$,
	$$SELECT amelia.record_usage(t.w(99), 'a', 'm', 1, 1, cost_usd => 1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', -1, 1, cost_usd => 1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, -1, cost_usd => 1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, -1, cost_usd => 1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, 1, -1, cost_usd => 1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 1, duration_ms => -1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 1, num_turns => -1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => -0.000001)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => -0.0000001)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 'NaN')$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => '-Infinity')$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 'Infinity')$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 10000)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 9999.9999995)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 1e30)$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- A plain INSERT works as well, and gets what the constraints raise.
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd)
VALUES (t.w(4), 'a', 'm', 1, 2, 0.123456789012345678901234567890);
INSERT INTO amelia.token_usage (id, workflow_id, agent, model, input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens,
	cost_usd, duration_ms, num_turns, "timestamp")
VALUES (t.u(41), t.w(4), 'a', 'm', 3, 4, NULL, NULL, 0.5, 7, 8, '2020-01-01');
SELECT cache_read_tokens, cache_creation_tokens, cost_usd, duration_ms, num_turns FROM amelia.token_usage
WHERE workflow_id = t.w(4) ORDER BY input_tokens;
SELECT t.digest() AS before \gset
SELECT v.assignment, t.error('UPDATE amelia.token_usage SET ' || v.assignment || ' WHERE id = t.u(41)')
FROM (VALUES ('input_tokens = -1'), ('output_tokens = -1'), ('cache_read_tokens = -1'), ('cache_creation_tokens = -1'),
	('cost_usd = -0.000001'), ('cost_usd = ''NaN'''), ('cost_usd = ''Infinity'''), ('cost_usd = ''-Infinity'''), ('cost_usd = 10000'),
	('cost_usd = NULL'), ('agent = NULL'), ('model = NULL'), ('input_tokens = NULL'), ('output_tokens = NULL'),
	('duration_ms = NULL'), ('num_turns = NULL'), ('"timestamp" = NULL'), ('workflow_id = NULL'), ('workflow_id = t.w(99)'))
	AS v (assignment);
SELECT * FROM t.errors(
	$$INSERT INTO amelia.token_usage (workflow_id, agent, input_tokens, output_tokens, cost_usd) VALUES (t.w(4), 'a', 1, 2, 3)$$,
	$$INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens) VALUES (t.w(4), 'a', 'm', 1, 2)$$,
	$$INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd) VALUES (t.w(99), 'a', 'm', 1, 2, 3)$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- Summaries. NULL cache tokens count as 0; without usage there are NULLs.
SELECT amelia.record_usage(t.w(1), 'architect', 'opus', 100, 20, 30, 40, 0.1, 5000, 6) IS NOT NULL AS recorded;
SELECT amelia.record_usage(t.w(1), 'developer', 'haiku', 2147483647, 2147483647, 2147483647, 2147483647, 0.2, 2147483647, 2147483647)
	IS NOT NULL AS recorded;
SELECT amelia.record_usage(t.w(1), 'developer', 'haiku', 1, 2, NULL, NULL, 9999.999999, 0, 0) IS NOT NULL AS recorded;
SELECT amelia.record_usage(t.w(2), 'developer', 'haiku', 1, 2, NULL, NULL, 0, 0, 0) IS NOT NULL AS recorded;
SELECT * FROM amelia.token_summary(t.w(1));
SELECT * FROM amelia.token_summary(t.w(2));
SELECT * FROM amelia.token_summary(t.w(4));
SELECT count(*) AS rows, count(total_input_tokens) + count(total_output_tokens) + count(total_cache_read_tokens)
	+ count(total_cache_creation_tokens) + count(total_cost_usd) + count(total_duration_ms) + count(total_turns) AS values
FROM amelia.token_summary(t.w(5));
SELECT count(*) AS rows, count(total_turns) AS values FROM amelia.token_summary(t.w(99));
SELECT count(*) AS rows, count(total_turns) AS values FROM amelia.token_summary(NULL);
SELECT * FROM amelia.token_summaries(ARRAY[t.w(5), t.w(1), t.w(4), t.w(2), t.w(99), t.w(1), NULL]);
SELECT count(*) FROM amelia.token_summaries('{}');
SELECT count(*) FROM amelia.token_summaries(NULL);
SELECT count(*) FROM amelia.token_summaries(ARRAY[[t.w(1), t.w(2)], [t.w(3), t.w(4)]]);
SELECT pg_typeof(total_cost_usd), pg_typeof(total_input_tokens) FROM amelia.token_summary(t.w(1));

-- It goes with its workflow.
DELETE FROM amelia.workflows;
SELECT t.rows();
