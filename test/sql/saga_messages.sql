-- Messages: saving them one by one and in batches, reading them, forgetting a session.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers
\set saga :abs_srcdir '/saga.psql'
\i :saga

-- All arguments, and the fewest.
SELECT amelia_saga.save_message('openai', 'user', 'hello', '["a", "b c"]', '2025-01-01 10:00Z', '{"k": 1.50}', 's1', 'm1');
SELECT id, provider, role, content, tags, "timestamp", metadata, session_id, arrival, search FROM amelia_saga.get_message('m1') \gx
BEGIN;
SELECT amelia_saga.save_message('groq', 'assistant', 'hi') ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7' AS id_of_version_7;
SELECT provider, role, content, tags, "timestamp" = now() AS timestamp_now, metadata, session_id, created_at = now() AS created_now, arrival
FROM amelia_saga.messages WHERE id <> 'm1';
COMMIT;
SELECT amelia_saga.save_message('p', 'r', 'c', NULL, NULL, NULL, NULL, 'nulls');
SELECT tags, metadata, session_id FROM amelia_saga.get_message('nulls');
SELECT count(*) FROM amelia_saga.get_message('nobody');

-- Sent again: the same answer; without a time, whatever the first one was.
SELECT t.saga_digest() AS before \gset
SELECT amelia_saga.save_message('openai', 'user', 'hello', '["a", "b c"]', '2025-01-01 11:00+01', '{"k": 1.5}', 's1', 'm1');
SELECT amelia_saga.save_message('openai', 'user', 'hello', '["a", "b c"]', metadata => '{"k": 1.5}', session_id => 's1', id => 'm1');

-- What it refuses; nothing is stored.
SELECT * FROM t.errors(
	$$SELECT amelia_saga.save_message('openai', 'user', 'other', '["a", "b c"]', '2025-01-01 10:00Z', '{"k": 1.50}', 's1', 'm1')$$,
	$$SELECT amelia_saga.save_message('openai', 'user', 'hello', '["a"]', '2025-01-01 10:00Z', '{"k": 1.50}', 's1', 'm1')$$,
	$$SELECT amelia_saga.save_message('openai', 'user', 'hello', '["a", "b c"]', '2025-01-01 10:01Z', '{"k": 1.50}', 's1', 'm1')$$,
	$$SELECT amelia_saga.save_message('openai', 'user', 'hello', '["a", "b c"]', '2025-01-01 10:00Z', '{"k": 1.50}', 's2', 'm1')$$,
	$$SELECT amelia_saga.save_message(NULL, 'user', 'c')$$,
	$$SELECT amelia_saga.save_message(' ', 'user', 'c')$$,
	$$SELECT amelia_saga.save_message('p', NULL, 'c')$$,
	$$SELECT amelia_saga.save_message('p', '', 'c')$$,
	$$SELECT amelia_saga.save_message('p', 'r', NULL)$$,
	$$SELECT amelia_saga.save_message('p', 'r', E' \t\n')$$,
	$$SELECT amelia_saga.save_message('p', 'r', repeat(' ', 5000))$$,
	$$SELECT amelia_saga.save_message('p', 'r', 'c', id => ' ')$$,
	$$SELECT amelia_saga.save_message('p', 'r', 'c', '{"a": 1}')$$,
	$$SELECT amelia_saga.save_message('p', 'r', 'c', '"a"')$$,
	$$SELECT amelia_saga.save_message('p', 'r', 'c', '["a", 1]')$$,
	$$SELECT amelia_saga.save_message('p', 'r', 'c', '["a", null]')$$,
	$$SELECT amelia_saga.save_message('p', 'r', 'c', '["a", ["b"]]')$$,
	$$SELECT amelia_saga.save_message('p', 'r', 'c', 'null')$$,
	$$SELECT amelia_saga.save_message('p', 'r', 'c', '[', id => 'x')$$,
	$$SELECT amelia_saga.save_message('p', 'r', 'c', metadata => '[]')$$,
	$$SELECT amelia_saga.save_message('p', 'r', 'c', metadata => '"{}"')$$,
	$$SELECT amelia_saga.save_message('p', 'r', 'c', metadata => 'null')$$,
	$$SELECT amelia_saga.save_message('p', 'r', E'a\x00b')$$,
	$$SELECT amelia_saga.save_message('p', 'r', 'c', "timestamp" => 'yesterdayish')$$);
-- So do the tables.
SELECT * FROM t.errors(
	$$INSERT INTO amelia_saga.messages (id, provider, role, content) VALUES ('m1', 'p', 'r', 'c')$$,
	$$INSERT INTO amelia_saga.messages (id, provider, role, content) VALUES (NULL, 'p', 'r', 'c')$$,
	$$INSERT INTO amelia_saga.messages (id, provider, role, content) VALUES ('', 'p', 'r', 'c')$$,
	$$INSERT INTO amelia_saga.messages (provider, role, content) VALUES (' ', 'r', 'c')$$,
	$$INSERT INTO amelia_saga.messages (provider, role, content) VALUES ('p', NULL, 'c')$$,
	$$INSERT INTO amelia_saga.messages (provider, role, content) VALUES ('p', 'r', E'\n')$$,
	$$INSERT INTO amelia_saga.messages (provider, role, content) VALUES ('p', 'r', repeat(' ', 5000))$$,
	$$INSERT INTO amelia_saga.messages (provider, role, content, tags) VALUES ('p', 'r', 'c', '{}')$$,
	$$INSERT INTO amelia_saga.messages (provider, role, content, tags) VALUES ('p', 'r', 'c', '[["a"]]')$$,
	$$INSERT INTO amelia_saga.messages (provider, role, content, tags) VALUES ('p', 'r', 'c', '[1]')$$,
	$$INSERT INTO amelia_saga.messages (provider, role, content, tags) VALUES ('p', 'r', 'c', 'null')$$,
	$$INSERT INTO amelia_saga.messages (provider, role, content, tags) VALUES ('p', 'r', 'c', NULL)$$,
	$$INSERT INTO amelia_saga.messages (provider, role, content, metadata) VALUES ('p', 'r', 'c', '[]')$$,
	$$INSERT INTO amelia_saga.messages (provider, role, content, metadata) VALUES ('p', 'r', 'c', NULL)$$,
	$$INSERT INTO amelia_saga.messages (provider, role, content, "timestamp") VALUES ('p', 'r', 'c', NULL)$$,
	$$UPDATE amelia_saga.messages SET content = ' ' WHERE id = 'm1'$$,
	$$UPDATE amelia_saga.messages SET search = '' WHERE id = 'm1'$$);
SELECT t.saga_digest() = :'before' AS nothing_stored;

-- Batches: in order, those that are there passed over, all or nothing.
SELECT amelia_saga.save_messages('[]');
SELECT amelia_saga.save_messages('[
	{"id": "b1", "provider": "p", "role": "user", "content": "first", "session_id": "s2", "timestamp": "2025-02-01T00:00:00Z", "tags": ["x"], "metadata": {"a": {}}},
	{"id": "b2", "provider": "q", "role": "assistant", "content": "second", "session_id": "s2", "timestamp": "2025-02-01T00:00:00Z", "tags": null, "metadata": null},
	{"id": "b3", "provider": "p", "role": "user", "content": "third", "session_id": "s2", "timestamp": "2025-02-01T00:00:00Z"},
	{"provider": "p", "role": "user", "content": "without id or session", "id": null, "session_id": null, "timestamp": null}]');
SELECT amelia_saga.save_messages('[
	{"id": "b1", "provider": "p", "role": "user", "content": "first", "session_id": "s2", "tags": ["x"], "metadata": {"a": {}}},
	{"id": "b4", "provider": "p", "role": "user", "content": "fourth", "session_id": "s2", "timestamp": "2025-02-02"},
	{"id": "b4", "provider": "p", "role": "user", "content": "fourth", "session_id": "s2", "timestamp": "2025-02-02"}]');
SELECT t.saga_digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT amelia_saga.save_messages(NULL)$$,
	$$SELECT amelia_saga.save_messages('{}')$$,
	$$SELECT amelia_saga.save_messages('"[]"')$$,
	$$SELECT amelia_saga.save_messages('[1]')$$,
	$$SELECT amelia_saga.save_messages('[{"id": "z", "provider": "p", "role": "r", "content": "c"}, null]')$$,
	$$SELECT amelia_saga.save_messages('[{"id": "z", "provider": "p", "role": "r", "content": "c"}, {"provider": "p", "role": "r"}]')$$,
	$$SELECT amelia_saga.save_messages('[{"id": "z", "provider": "p", "role": "r", "content": "c"}, {"provider": "p", "role": "r", "content": " "}]')$$,
	$$SELECT amelia_saga.save_messages('[{"provider": "p", "role": 5, "content": "c"}]')$$,
	$$SELECT amelia_saga.save_messages('[{"provider": "p", "role": "r", "content": "c", "id": 5}]')$$,
	$$SELECT amelia_saga.save_messages('[{"provider": "p", "role": "r", "content": "c", "id": ""}]')$$,
	$$SELECT amelia_saga.save_messages('[{"provider": "p", "role": "r", "content": "c", "colour": "red"}]')$$,
	$$SELECT amelia_saga.save_messages('[{"provider": "p", "role": "r", "content": "c", "session_id": 5}]')$$,
	$$SELECT amelia_saga.save_messages('[{"provider": "p", "role": "r", "content": "c", "session_id": null}, {"provider": "p", "role": "r", "content": "c", "session_id": {"a": 1}}]')$$,
	$$SELECT amelia_saga.save_messages('[{"provider": "p", "role": "r", "content": "c", "timestamp": 5}]')$$,
	$$SELECT amelia_saga.save_messages('[{"provider": "p", "role": "r", "content": "c", "tags": "x"}]')$$,
	$$SELECT amelia_saga.save_messages('[{"provider": "p", "role": "r", "content": "c", "metadata": []}]')$$,
	$$SELECT amelia_saga.save_messages('[{"provider": "p", "role": "r", "content": "c", "timestamp": "soon"}]')$$,
	$$SELECT amelia_saga.save_messages('[{"id": "z", "provider": "p", "role": "r", "content": "c"}, {"id": "z", "provider": "p", "role": "r", "content": "d"}]')$$,
	$$SELECT amelia_saga.save_messages('[{"id": "z", "provider": "p", "role": "r", "content": "c"}, {"id": "b1", "provider": "p", "role": "r", "content": "c"}]')$$);
SELECT t.saga_digest() = :'before' AS nothing_stored;

-- A session, oldest first; a page after a page.
SELECT id, "timestamp", arrival > 0 AS has_arrival FROM amelia_saga.get_session('s2');
SELECT id, "timestamp", arrival FROM amelia_saga.get_session('s2', 2) OFFSET 1 \gset
SELECT id FROM amelia_saga.get_session('s2', 2, :'timestamp', :arrival);
SELECT id FROM amelia_saga.get_session('s2', after_timestamp => '2025-02-01 00:00Z');
SELECT count(*) FROM amelia_saga.get_session('nobody');
SELECT count(*) FROM amelia_saga.get_session('s2', 0);
SELECT * FROM t.errors(
	$$SELECT amelia_saga.get_session('s2', NULL)$$,
	$$SELECT amelia_saga.get_session('s2', -1)$$,
	$$SELECT amelia_saga.get_session('s2', after_arrival => 1)$$);

-- All sessions, and the newest messages.
INSERT INTO amelia_saga.messages (id, provider, role, content, session_id, "timestamp") VALUES
	('c1', 'p', 'user', 'c', 's3', '2025-03-01Z'), ('c2', 'a', 'system', 'c', 's3', '2025-01-15Z'), ('c3', 'p', 'user', 'c', 's4', '2025-02-15Z');
SELECT * FROM amelia_saga.list_sessions();
SELECT session_id FROM amelia_saga.list_sessions(2);
SELECT session_id, last FROM amelia_saga.list_sessions(before => '2025-02-15Z');
SELECT session_id FROM amelia_saga.list_sessions(1, '2025-03-01Z');
SELECT count(*) FROM amelia_saga.list_sessions(0);
SELECT id FROM amelia_saga.recent_messages(3, 'q');
SELECT id FROM amelia_saga.recent_messages(role => 'system');
SELECT count(*) FROM amelia_saga.recent_messages();
SELECT * FROM t.errors(
	$$SELECT amelia_saga.list_sessions(NULL)$$,
	$$SELECT amelia_saga.list_sessions(-1)$$,
	$$SELECT amelia_saga.recent_messages(NULL)$$,
	$$SELECT amelia_saga.recent_messages(-1)$$);

-- Forgetting one.
SELECT amelia_saga.forget_session('s2');
SELECT amelia_saga.forget_session('s2');
SELECT t.error($$SELECT amelia_saga.forget_session(NULL)$$);
SELECT session_id FROM amelia_saga.list_sessions();

-- A client that knows none of the functions.
SET search_path = amelia_saga, public;
INSERT INTO messages (id, provider, role, content, tags, timestamp, metadata, session_id)
VALUES ('plain-1', 'openai', 'user', 'plain words', '["a"]', '2025-12-01T10:00:00', '{}', 's9')
ON CONFLICT (id) DO UPDATE SET content = excluded.content;
INSERT INTO messages (provider, role, content, session_id) VALUES ('openai', 'assistant', 'more plain words', 's9') RETURNING id ~ '-7' AS id_made;
SELECT content FROM messages WHERE session_id = 's9' ORDER BY timestamp DESC;
SELECT id, tags ->> 0 AS tag FROM messages WHERE tags @> '["a"]' AND session_id = 's9';
UPDATE messages SET content = 'changed' WHERE id = 'plain-1';
SELECT id FROM search_messages('changed');
SELECT count(*) FROM search_messages('"plain words"');
DELETE FROM messages WHERE id = 'plain-1';
SELECT count(*) FROM search_messages('changed');
RESET search_path;

-- A message of 50 MB is stored, and found by its first 200000 characters.
SELECT amelia_saga.save_message('p', 'r', 'begins ' || repeat('long text ', 19998) || 'inside é ' || repeat('more text ', 5000000) || 'outside', id => 'huge');
SELECT length(content) FROM amelia_saga.get_message('huge');
SELECT q.query, count(f.id)
FROM (VALUES ('begins'), ('inside'), ('"long text inside"'), ('"text inside e"'), ('outside'), ('NEAR(begins inside, 5)'), ('NEAR(long inside, 1)')) AS q (query)
	LEFT JOIN LATERAL amelia_saga.search_messages(q.query) AS f ON true
GROUP BY q.query ORDER BY q.query COLLATE "C";
-- As many words as a text can have, none of them twice, each as long as it can be.
INSERT INTO amelia_saga.messages (id, provider, role, content)
SELECT 'wide', 'p', 'r', string_agg(chr(131072 + n), ' ') FROM generate_series(1, 42000) AS n;
INSERT INTO amelia_saga.messages (id, provider, role, content)
SELECT 'wider', 'p', 'r', string_agg(chr(131072 + n) || chr(131072 + n), ' ') FROM generate_series(1, 42000) AS n;
INSERT INTO amelia_saga.messages (id, provider, role, content, tags)
SELECT 'widest', 'p', 'r', repeat(string_agg(chr(131072 + n / 200) || chr(131072 + n % 200), ' '), 2),
	jsonb_build_array(string_agg(chr(131072 + n / 200) || chr(131272 + n % 200), ' ')) FROM generate_series(1, 40000) AS n;
SELECT id, length(search) FROM amelia_saga.messages WHERE id LIKE 'wide%' ORDER BY id;
SELECT id FROM amelia_saga.search_messages('"' || chr(131072 + 42000) || '"') ORDER BY id;

-- NULL is nobody's id, and no session.
SELECT * FROM t.errors(
	$$SELECT * FROM amelia_saga.get_message(NULL)$$,
	$$SELECT * FROM amelia_saga.get_session(NULL)$$,
	$$SELECT * FROM amelia_saga.get_file(NULL)$$);
