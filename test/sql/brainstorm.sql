-- The chats that design workflows.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('work', '/work', '{}'), ('home', '/home', '{}');
INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s1', 'work')
RETURNING id, profile_id, driver_session_id, driver_type, topic, output_artifact_path, status, created_at = now() AS created_now,
	updated_at = now() AS updated_now;
INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s2', 'work');

-- A message: all arguments, and the fewest. The session's updated_at moves.
UPDATE amelia.brainstorm_sessions SET updated_at = '2001-01-01';
BEGIN;
SELECT id, session_id, sequence, role, content, parts, created_at = now() AS now, input_tokens, output_tokens, cost_usd, is_system
FROM amelia.add_brainstorm_message('s1', 'assistant', 'hello', '[{"type": "text", "text": "hello"}]', 10, 20, 0.1234565, true, 'm1');
SELECT id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7' AS id_of_version_7, session_id, sequence, role, content, parts, input_tokens,
	output_tokens, cost_usd, is_system
FROM amelia.add_brainstorm_message('s1', 'user', '');
SELECT id, updated_at = now() AS updated_now FROM amelia.brainstorm_sessions ORDER BY id;
COMMIT;
SELECT sequence FROM amelia.add_brainstorm_message('s2', 'user', 'of another session', '{"an": "object"}', input_tokens => 0);
SELECT sequence FROM amelia.add_brainstorm_message(session_id => 's1', role => 'user', content => 'named', output_tokens => 5);

-- What it refuses; nothing is stored.
UPDATE amelia.brainstorm_sessions SET updated_at = '2001-01-01';
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT amelia.add_brainstorm_message(NULL, 'user', 'c')$$,
	$$SELECT amelia.add_brainstorm_message('s1', NULL, 'c')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', NULL)$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'c', is_system => NULL)$$,
	$$SELECT amelia.add_brainstorm_message('nowhere', 'user', 'c')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'system', 'c')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'User', 'c')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'c', '"twice encoded"')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'c', '5')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'c', 'null')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'c', input_tokens => -1)$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'c', output_tokens => -1)$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'c', cost_usd => -0.000001)$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'c', cost_usd => 'NaN')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'c', cost_usd => '-Infinity')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'c', cost_usd => 'Infinity')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'c', cost_usd => 10000)$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'c', cost_usd => 9999.9999995)$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- What the tables themselves refuse.
SELECT * FROM t.errors(
	$$INSERT INTO amelia.brainstorm_messages (id, session_id, role, content) VALUES ('z', 's1', 'system', 'c')$$,
	$$INSERT INTO amelia.brainstorm_messages (id, session_id, role, content) VALUES ('z', 's1', NULL, 'c')$$,
	$$INSERT INTO amelia.brainstorm_messages (id, session_id, role) VALUES ('z', 's1', 'user')$$,
	$$INSERT INTO amelia.brainstorm_messages (session_id, role, content) VALUES ('s1', 'user', 'c')$$,
	$$INSERT INTO amelia.brainstorm_messages (id, session_id, role, content, is_system) VALUES ('z', 's1', 'user', 'c', NULL)$$,
	$$INSERT INTO amelia.brainstorm_messages (id, session_id, role, content) VALUES ('m1', 's1', 'user', 'c')$$,
	$$INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('z', 'nowhere')$$,
	$$INSERT INTO amelia.brainstorm_sessions (id) VALUES ('z')$$,
	$$INSERT INTO amelia.brainstorm_sessions (id, profile_id, status) VALUES ('z', 'work', 'done')$$,
	$$INSERT INTO amelia.brainstorm_sessions (id, profile_id, status) VALUES ('z', 'work', NULL)$$,
	$$INSERT INTO amelia.brainstorm_artifacts (id, session_id, type, path) VALUES ('z', 's1', 'poem', '/p')$$,
	$$INSERT INTO amelia.brainstorm_artifacts (id, session_id, type, path) VALUES ('z', 's1', NULL, '/p')$$,
	$$INSERT INTO amelia.brainstorm_artifacts (id, session_id, type) VALUES ('z', 's1', 'adr')$$,
	$$INSERT INTO amelia.brainstorm_artifacts (id, session_id, type, path) VALUES ('z', 'nowhere', 'adr', '/p')$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- brainstorm_messages_after
SELECT sequence, role, content FROM amelia.brainstorm_messages_after('s1');
SELECT sequence FROM amelia.brainstorm_messages_after('s1', 1);
SELECT sequence FROM amelia.brainstorm_messages_after('s1', 0, 1);
SELECT count(*) FROM amelia.brainstorm_messages_after('s1', 3);
SELECT count(*) FROM amelia.brainstorm_messages_after('s1', 0, 0);
SELECT count(*) FROM amelia.brainstorm_messages_after('nowhere');
SELECT count(*) FROM amelia.brainstorm_messages_after(NULL);
SELECT * FROM t.errors(
	$$SELECT amelia.brainstorm_messages_after('s1', -1)$$,
	$$SELECT amelia.brainstorm_messages_after('s1', NULL)$$,
	$$SELECT amelia.brainstorm_messages_after('s1', 0, -1)$$,
	$$SELECT amelia.brainstorm_messages_after('s1', 0, NULL)$$);

-- brainstorm_usage: no row when no message carries usage.
SELECT * FROM amelia.brainstorm_usage('s1');
SELECT * FROM amelia.brainstorm_usage('s2');
INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s3', 'work');
SELECT count(*) FROM amelia.brainstorm_usage('s3');
SELECT sequence FROM amelia.add_brainstorm_message('s3', 'user', 'without usage');
SELECT count(*) FROM amelia.brainstorm_usage('s3');
SELECT sequence FROM amelia.add_brainstorm_message('s3', 'assistant', 'only a cost', cost_usd => 0.5);
SELECT * FROM amelia.brainstorm_usage('s3');
SELECT count(*) FROM amelia.brainstorm_usage('nowhere');
SELECT count(*) FROM amelia.brainstorm_usage(NULL);
SELECT sequence FROM amelia.add_brainstorm_message('s3', 'assistant', 'much', NULL, 2147483647, 2147483647, 9999.999999);
SELECT sequence FROM amelia.add_brainstorm_message('s3', 'assistant', 'much', NULL, 2147483647, 2147483647, 9999.999999);
SELECT * FROM amelia.brainstorm_usage('s3');

-- list_brainstorm_sessions: newest update first.
INSERT INTO amelia.brainstorm_sessions (id, profile_id, status, updated_at)
SELECT 'l' || n, CASE WHEN n % 2 = 0 THEN 'work' ELSE 'home' END, (ARRAY['active', 'ready_for_handoff', 'completed', 'failed'])[1 + n % 4],
	timestamptz '2000-01-01' + n % 10 * interval '1 day'
FROM generate_series(10, 65) AS n;
SELECT count(*) AS by_default FROM amelia.list_brainstorm_sessions();
SELECT string_agg(id, ' ') FROM amelia.list_brainstorm_sessions('home', row_limit => 9);
SELECT string_agg(id, ' ') FROM amelia.list_brainstorm_sessions('work', 'completed', 100);
SELECT string_agg(id, ' ') FROM amelia.list_brainstorm_sessions(status => 'failed', row_limit => 5);
SELECT count(*) FROM amelia.list_brainstorm_sessions(row_limit => 0);
SELECT count(*) FROM amelia.list_brainstorm_sessions('nowhere');
SELECT sequence FROM amelia.add_brainstorm_message('l33', 'user', 'c');
SELECT id FROM amelia.list_brainstorm_sessions(row_limit => 1);
SELECT * FROM t.errors(
	$$SELECT amelia.list_brainstorm_sessions(status => 'pending')$$,
	$$SELECT amelia.list_brainstorm_sessions(row_limit => -1)$$,
	$$SELECT amelia.list_brainstorm_sessions(row_limit => NULL)$$);

-- Messages and artifacts go with their session.
INSERT INTO amelia.brainstorm_artifacts (id, session_id, type, path, title)
SELECT t.type, 's1', t.type, '/' || t.type, NULL FROM unnest(ARRAY['adr', 'spec', 'readme', 'design', 'document']) AS t (type);
DELETE FROM amelia.brainstorm_sessions;
SELECT t.rows();
