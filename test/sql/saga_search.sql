-- Searching messages: what is refused, filters, pages, snippets, English.
-- test/t/700_fts5.pl compares what is found with FTS5.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers
\set saga :abs_srcdir '/saga.psql'
\i :saga

INSERT INTO amelia_saga.messages (id, provider, role, content, tags, "timestamp", session_id)
SELECT 'm' || n, CASE n % 3 WHEN 0 THEN 'openai' ELSE 'groq' END, CASE n % 2 WHEN 0 THEN 'user' ELSE 'assistant' END,
	'Rounding number ' || n || ' in src/cart.py' || CASE WHEN n = 5 THEN ' is rounding wrong: ROUNDING' ELSE '' END,
	CASE n % 4 WHEN 0 THEN '["bug", "rounding up"]' WHEN 1 THEN '["bug"]' ELSE '[]' END::jsonb, '2025-01-01Z'::timestamptz + n * interval '1 day', 's' || n % 2
FROM generate_series(1, 12) AS n;
SELECT * FROM amelia_saga.search_messages('"rounding wrong"') \gx
-- Best first, then newest.
SELECT id, rank > 1 AS best FROM amelia_saga.search_messages('rounding', row_limit => 4);
SELECT id FROM amelia_saga.search_messages('rounding', ARRAY['bug']);
SELECT id FROM amelia_saga.search_messages('rounding', ARRAY['rounding up', 'bug']);
SELECT id FROM amelia_saga.search_messages('rounding', ARRAY['rounding']);
SELECT count(*) FROM amelia_saga.search_messages('rounding', '{}');
SELECT id FROM amelia_saga.search_messages('rounding', providers => '{openai,none}');
SELECT id FROM amelia_saga.search_messages('rounding', roles => '{user}', session_id => 's0', since => '2025-01-05Z', until => '2025-01-11Z');
SELECT count(*) FROM amelia_saga.search_messages('rounding', providers => '{}');
SELECT snippet FROM amelia_saga.search_messages('wrong + rounding OR py', marks => ARRAY['<b>', '</b>'], row_limit => 1);
SELECT snippet FROM amelia_saga.search_messages('tags : up', marks => ARRAY['', ''], row_limit => 1);
SELECT snippet FROM amelia_saga.search_messages('number NOT wrong', row_limit => 1);

-- A passage of a longer text.
SELECT amelia_saga.save_message('p', 'r', 'zero ' || string_agg(CASE n WHEN 70 THEN 'hit' WHEN 90 THEN 'hit' WHEN 95 THEN 'other-hit' WHEN 200 THEN 'last' ELSE 'w' || n END, ' ')
	|| '!', id => 'long')
FROM generate_series(1, 200) AS n;
SELECT q.query, f.snippet
FROM (VALUES ('zero'), ('hit'), ('last'), ('"other hit"'), ('hit AND last'), ('"w1 w2 w3"'), ('NEAR(hit other, 5)'), ('w10*'), ('other + hit + w96'),
		(chr(34) || (SELECT string_agg('w' || n, ' ') FROM generate_series(100, 140) AS n) || chr(34))) AS q (query),
	LATERAL amelia_saga.search_messages(q.query) AS f
WHERE f.id = 'long'
ORDER BY q.query COLLATE "C";

-- What is refused.
SELECT * FROM t.errors(
	$$SELECT amelia_saga.search_messages(NULL)$$,
	$$SELECT amelia_saga.search_messages('')$$,
	$$SELECT amelia_saga.search_messages(' ')$$,
	$$SELECT amelia_saga.search_messages(repeat('a', 1001))$$,
	$$SELECT amelia_saga.search_messages(repeat('é', 1000))$$,
	$$SELECT amelia_saga.search_messages('a', row_limit => NULL)$$,
	$$SELECT amelia_saga.search_messages('a', row_limit => 0)$$,
	$$SELECT amelia_saga.search_messages('a', row_limit => 501)$$,
	$$SELECT amelia_saga.search_messages('a', mode => NULL)$$,
	$$SELECT amelia_saga.search_messages('a', mode => 'fuzzy')$$,
	$$SELECT amelia_saga.search_messages('a', mode => 'english')$$,
	$$SELECT amelia_saga.search_messages('a', marks => NULL)$$,
	$$SELECT amelia_saga.search_messages('a', marks => '{a}')$$,
	$$SELECT amelia_saga.search_messages('a', marks => '{a,NULL}')$$,
	$$SELECT amelia_saga.search_messages('a', marks => '{}')$$,
	$$SELECT amelia_saga.search_messages('a', marks => '{{a},{b}}')$$,
	$$SELECT amelia_saga.search_messages('a', marks => '[0:1]={a,b}')$$,
	$$SELECT amelia_saga.search_messages('a', tags => '{{a},{b}}')$$,
	$$SELECT amelia_saga.search_messages('a', providers => '{{a}}')$$,
	$$SELECT amelia_saga.search_messages('a', roles => '{{a}}')$$,
	$$SELECT amelia_saga.search_messages('a', tags => '{a,NULL}')$$,
	$$SELECT amelia_saga.search_messages('a', providers => '{NULL}')$$,
	$$SELECT amelia_saga.search_messages('a', roles => '{NULL}')$$,
	$$SELECT amelia_saga.search_messages('a', since => '2025-01-02Z', until => '2025-01-01Z')$$);
CREATE FUNCTION t.place(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
BEGIN
	PERFORM amelia_saga.fts5_query(query);
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' / ', SQLSTATE || ' ' || message, NULLIF(detail, ''), NULLIF(hint, ''));
END
$$;
SELECT q.query, t.place(q.query)
FROM unnest(ARRAY['a.b', 'é é/', 'cart.py', '"open', '"a ""b', 'a AND', 'NOT a', 'a OR OR b', '(a', 'a)', '()', 'a (b)', 'NEAR(a', 'NEAR(a, b)', 'NEAR()', 'NEAR(a, 1 2)',
	'near(a b)', '^NEAR(a b)', 'a +', '*', 'a:b', 'a * *', 'nope : a', '{content nope} : a', '{content : a', '- a', 'content a : b', ',', '''a''']) AS q (query);

-- What a search needs.
SELECT q.query, f.candidates, f.exact
FROM unnest(ARRAY['a', 'a b', '"a b"', 'a* OR b', 'a NOT b', 'a NOT "b c"', 'a NOT (b OR c)', 'a NOT b NOT c', 'NEAR(a b) AND c', '^a', 'tags : a', '""', 'a AND ""', 'a OR ""', 'a NOT ""',
	'"" NOT a', '- {content tags} : a', 'Straße''s' || ' ', 'İ É']) AS q (query),
	LATERAL (SELECT CASE WHEN q.query LIKE '%''%' THEN '"' || q.query || '"' ELSE q.query END) AS w (query),
	LATERAL amelia_saga.fts5_query(w.query) AS f;
SELECT * FROM amelia_saga.fts5_query('extracted_text : a filename : b', '{filename,extracted_text,tags}');
SELECT * FROM amelia_saga.fts5_query('running quickly', mode => 'english');
SELECT * FROM t.errors(
	$$SELECT amelia_saga.fts5_query(NULL)$$,
	$$SELECT amelia_saga.fts5_query('a', NULL)$$,
	$$SELECT amelia_saga.fts5_query('a', '{}')$$,
	$$SELECT amelia_saga.fts5_query('a', '{id}')$$,
	$$SELECT amelia_saga.fts5_query('a', '{NULL}')$$,
	$$SELECT amelia_saga.fts5_query('a', mode => NULL)$$,
	$$SELECT amelia_saga.fts5_query('a', mode => 'x')$$,
	$$SELECT amelia_saga.fts5_query('')$$,
	$$SELECT amelia_saga.fts5_query(repeat('(', 100000))$$);

-- English, where the operator wants it.
SELECT amelia_saga.index_english(true);
SELECT amelia_saga.index_english(true);
SELECT amelia_saga.save_message('p', 'r', 'The dogs were running to the carts', id => 'english');
SELECT q.query, m.mode, string_agg(f.id, ' ') AS found, max(f.snippet) AS snippet
FROM (VALUES ('dog'), ('run'), ('runs'), ('"dog was run"'), ('"dogs were run to"'), ('"the cart"'), ('runn*'), ('NEAR(dog cart, 4)'), ('NEAR(dog cart, 3)'), ('^the'), ('^dog')) AS q (query)
	CROSS JOIN (VALUES ('english'), ('exact')) AS m (mode)
	LEFT JOIN LATERAL amelia_saga.search_messages(q.query, mode => m.mode) AS f ON f.id = 'english'
GROUP BY q.query, m.mode ORDER BY q.query COLLATE "C", m.mode;
SELECT amelia_saga.health_check();
SELECT amelia_saga.index_english(false);
SELECT amelia_saga.index_english(false);
SELECT * FROM t.errors(
	$$SELECT amelia_saga.search_messages('a', mode => 'english')$$,
	$$SELECT amelia_saga.index_english(NULL)$$);

-- Rank: without statistics all words are alike, with them the rare one counts.
INSERT INTO amelia_saga.messages (id, provider, role, content) SELECT 'c' || n, 'p', 'r', 'common words again' FROM generate_series(1, 50) AS n;
INSERT INTO amelia_saga.messages (id, provider, role, content) VALUES ('rare', 'p', 'r', 'rare words here'), ('both', 'p', 'r', 'common rare');
SELECT rareness, average FROM amelia_internal.saga_prepare('common OR rare', '{content,tags}', false, 'amelia_saga.messages');
ANALYZE amelia_saga.messages;
SELECT rareness[1] < rareness[2] AS rarer, average > 3 AND average < 20 AS average FROM amelia_internal.saga_prepare('common OR rare', '{content,tags}', false, 'amelia_saga.messages');
SELECT rareness[1] <= rareness[2] AND rareness[1] < rareness[3] AS rarer FROM amelia_internal.saga_prepare('wor* OR "common words" OR nobody', '{content,tags}', false, 'amelia_saga.messages');
SELECT id FROM amelia_saga.search_messages('common OR rare', row_limit => 2);
-- What readers may call by hand with whatever they like. A query of a megabyte would take all memory.
SELECT * FROM t.errors(
	$$SELECT amelia_saga.fts5_query(repeat('a ', 501))$$,
	$$SELECT amelia_internal.saga_prepare(repeat('a', 1001), '{content}', false, 'amelia_saga.messages')$$,
	$$SELECT amelia_internal.saga_rank(repeat('a', 1001), '{content}', false, '{1}', 0, 'a:1', NULL, NULL, NULL)$$,
	$$SELECT amelia_internal.saga_snippet(repeat('a', 1001), '{content}', false, '<', '>', 'a', NULL, NULL)$$,
	$$SELECT amelia_internal.saga_rank('a', '{content}', false, '{1,NULL}', 0, 'a:1', NULL, NULL, NULL)$$,
	$$SELECT amelia_internal.saga_rank('a', '{content}', false, '{{1}}', 0, 'a:1', NULL, NULL, NULL)$$);
SELECT amelia_internal.saga_rank('a', '{content}', false, '{}', 0, 'a', NULL, NULL, NULL), amelia_internal.saga_rank('a', '{content}', false, '{1}', NULL, 'a:1', NULL, NULL, NULL),
	amelia_internal.saga_rank('a', '{content}', false, '{1}', 0, 'a:1', NULL, NULL, NULL), amelia_internal.saga_rank('"a b"', '{content}', false, '{1}', 0, 'a:1 b:16383', NULL, NULL, NULL);
