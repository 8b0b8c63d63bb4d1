-- Who lost the connection at COMMIT sends the write again: the same id with the
-- same content returns the first result and stores nothing; other content is
-- 23505.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

-- create_workflow
SELECT id, status FROM amelia.create_workflow('I-1', '/w1', 'review', 'work', '{"a": 1.0, "b": [2]}', t.w(1));
SELECT id, status FROM amelia.create_workflow('I-2', '/w2', id => t.w(2));
SELECT t.digest() AS before \gset
SELECT id, status FROM amelia.create_workflow('I-1', '/w1', 'review', 'work', '{"b": [2], "a": 1.0}', t.w(1));
SELECT id, status FROM amelia.create_workflow('I-2', '/w2', id => t.w(2));
SELECT * FROM t.errors(
	$$SELECT amelia.create_workflow('I-9', '/w1', 'review', 'work', '{"a": 1.0, "b": [2]}', t.w(1))$$,
	$$SELECT amelia.create_workflow('I-1', '/w9', 'review', 'work', '{"a": 1.0, "b": [2]}', t.w(1))$$,
	$$SELECT amelia.create_workflow('I-1', '/w1', 'full', 'work', '{"a": 1.0, "b": [2]}', t.w(1))$$,
	$$SELECT amelia.create_workflow('I-1', '/w1', 'review', 'home', '{"a": 1.0, "b": [2]}', t.w(1))$$,
	$$SELECT amelia.create_workflow('I-1', '/w1', 'review', NULL, '{"a": 1.0, "b": [2]}', t.w(1))$$,
	$$SELECT amelia.create_workflow('I-1', '/w1', 'review', 'work', '{"a": 1.0, "b": [3]}', t.w(1))$$,
	$$SELECT amelia.create_workflow('I-1', '/w1', 'review', 'work', NULL, t.w(1))$$,
	$$SELECT amelia.create_workflow('I-2', '/w2', profile_id => 'work', id => t.w(2))$$,
	$$SELECT amelia.create_workflow('I-2', '/w2', issue_cache => '{}', id => t.w(2))$$);
SELECT t.digest() = :'before' AS nothing_stored;
-- Also when it has gone on meanwhile.
SELECT status FROM amelia.set_workflow_status(t.w(1), 'in_progress');
SELECT t.digest() AS before \gset
SELECT id, status FROM amelia.create_workflow('I-1', '/w1', 'review', 'work', '{"a": 1.0, "b": [2]}', t.w(1));
SELECT t.digest() = :'before' AS nothing_stored;

-- append_event
SELECT amelia.append_event(t.w(1), 'task_failed', 'm', 'warning', 'a', '{"k": 1.0}', false, '2020-01-01 00:00+00', t.e(3),
	'c', 'tool', '[1]', 'tr', NULL);
SELECT amelia.append_event(t.w(1), 'x', 'm', id => t.e(4), parent_id => t.e(3));
SELECT amelia.append_event(t.w(1), 'x', 'm', id => t.e(5));
SELECT t.digest() AS before \gset
SELECT amelia.append_event(t.w(1), 'task_failed', 'm', 'warning', 'a', '{"k": 1.0}', false, '2020-01-01 01:00+01', t.e(3),
	'c', 'tool', '[1]', 'tr', NULL);
SELECT amelia.append_event(t.w(1), 'x', 'm', id => t.e(4), parent_id => t.e(3));
SELECT amelia.append_event(t.w(1), 'x', 'm', id => t.e(5));
-- What is left to the server cannot differ: the time of the repeat is another.
SELECT amelia.append_event(t.w(1), 'x', 'm', 'debug', is_error => false, id => t.e(5));
CREATE FUNCTION t.other_event(field text, value text) RETURNS text
LANGUAGE sql AS $$
SELECT t.error(format('SELECT amelia.append_event(%s)', string_agg(format('%I => %s', f.name,
	CASE WHEN f.name = field THEN value ELSE f.given END), ', ' ORDER BY f.place)))
FROM (VALUES (1, 'workflow_id', 't.w(1)'), (2, 'event_type', $q$'task_failed'$q$), (3, 'message', $q$'m'$q$),
		(4, 'level', $q$'warning'$q$), (5, 'agent', $q$'a'$q$), (6, 'data', $q$'{"k": 1.0}'$q$), (7, 'is_error', 'false'),
		(8, 'timestamp', $q$'2020-01-01 00:00+00'$q$), (9, 'id', 't.e(3)'), (10, 'correlation_id', $q$'c'$q$),
		(11, 'tool_name', $q$'tool'$q$), (12, 'tool_input', $q$'[1]'$q$), (13, 'trace_id', $q$'tr'$q$), (14, 'parent_id', 'NULL'))
	AS f (place, name, given)
$$;
SELECT v.field, v.value, t.other_event(v.field, v.value)
FROM (VALUES ('none', 'NULL'), ('workflow_id', 't.w(2)'), ('event_type', '''x'''), ('message', '''n'''), ('message', ''''''),
	('level', '''error'''), ('agent', '''b'''), ('agent', 'NULL'), ('data', '''{"k": 2}'''), ('data', '''{}'''), ('data', 'NULL'),
	('is_error', 'true'), ('timestamp', '''2020-01-02'''), ('correlation_id', '''d'''), ('correlation_id', 'NULL'),
	('tool_name', '''tool2'''), ('tool_name', 'NULL'), ('tool_input', '''[2]'''), ('tool_input', 'NULL'), ('trace_id', '''ts'''),
	('trace_id', 'NULL'), ('parent_id', 't.e(5)')) AS v (field, value);
SELECT * FROM t.errors(
	$$SELECT amelia.append_event(t.w(1), 'x', 'm', id => t.e(4), parent_id => t.e(5))$$,
	$$SELECT amelia.append_event(t.w(1), 'x', 'm', id => t.e(4))$$,
	$$SELECT amelia.append_event(t.w(1), 'x', 'm', id => t.e(5), agent => 'a')$$,
	$$SELECT amelia.append_event(t.w(1), 'x', 'm', id => t.e(5), data => '{}')$$,
	$$SELECT amelia.append_event(t.w(99), 'x', 'm', id => t.e(5))$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- The parent was deleted meanwhile; the type was switched off; another event followed.
SELECT amelia.append_event(t.w(1), 'x', 'm', id => t.e(6));
DELETE FROM amelia.workflow_log WHERE id = t.e(3);
UPDATE amelia.event_types SET persisted = false WHERE event_type = 'stage_started';
INSERT INTO amelia.event_types (event_type, domain, level, persisted) VALUES ('x', 'workflow', 'trace', false);
SELECT t.digest() AS before \gset
SELECT amelia.append_event(t.w(1), 'x', 'm', id => t.e(4), parent_id => t.e(3));
SELECT amelia.append_event(t.w(1), 'x', 'm', id => t.e(5));
SELECT amelia.append_event(t.w(1), 'stage_started', 'never stored', id => t.e(7)) IS NULL AS off;
SELECT amelia.append_event(t.w(1), 'stage_started', 'never stored', id => t.e(7)) IS NULL AS off;
SELECT t.digest() = :'before' AS nothing_stored;
DELETE FROM amelia.event_types WHERE event_type = 'x';

-- A deleted event that is sent again is a new one, and gets a new number.
DELETE FROM amelia.workflow_log WHERE id = t.e(6);
SELECT amelia.append_event(t.w(1), 'x', 'm', id => t.e(6));

-- A plain INSERT of the same id is refused by the key, and takes no number.
SELECT * FROM t.errors(
	$$INSERT INTO amelia.workflow_log (id, workflow_id, event_type, message) VALUES (t.e(6), t.w(1), 'x', 'm')$$);
INSERT INTO amelia.workflow_log (id, workflow_id, event_type, message)
VALUES (t.e(6), t.w(1), 'x', 'm'), (t.e(8), t.w(1), 'x', 'm'), (t.e(5), t.w(1), 'x', 'm'), (t.e(9), t.w(1), 'x', 'm')
ON CONFLICT (id) DO NOTHING
RETURNING sequence, message;

-- append_events
CREATE FUNCTION t.batch(first integer, last integer, message text DEFAULT 'm') RETURNS jsonb
LANGUAGE sql AS $$
SELECT jsonb_agg(jsonb_build_object('event_type', 'agent_message', 'message', batch.message || n, 'id', t.e(n), 'data', jsonb_build_object('n', n))
	ORDER BY n)
FROM generate_series(first, last) AS n
$$;
SELECT amelia.append_events(t.w(2), t.batch(20, 23));
SELECT amelia.append_event(t.w(2), 'x', 'another');
SELECT t.digest() AS before \gset
SELECT amelia.append_events(t.w(2), t.batch(20, 23)) AS again;
-- The same events one by one, and in another grouping: each is there already.
SELECT amelia.append_event(t.w(2), 'agent_message', 'm21', data => '{"n": 21}', id => t.e(21)) AS one;
SELECT amelia.append_events(t.w(2), t.batch(21, 22)) AS part;
SELECT * FROM t.errors(
	$$SELECT amelia.append_events(t.w(2), t.batch(20, 24))$$,
	$$SELECT amelia.append_events(t.w(2), t.batch(19, 23))$$,
	$$SELECT amelia.append_events(t.w(2), t.batch(20, 23) || '[{"event_type": "x", "message": "without an id"}]')$$,
	$$SELECT amelia.append_events(t.w(2), t.batch(20, 23, 'n'))$$,
	$$SELECT amelia.append_events(t.w(2), t.batch(20, 22) || t.batch(23, 23, 'n'))$$,
	$$SELECT amelia.append_events(t.w(1), t.batch(20, 23))$$,
	$$SELECT amelia.append_events(t.w(99), t.batch(20, 23))$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- With types that are switched off: what was left out is left out again.
SELECT amelia.append_events(t.w(2), format('[{"event_type": "stream", "message": "off", "id": "%s"},
	{"event_type": "x", "message": "on", "id": "%s"}]', t.e(30), t.e(31))::jsonb);
SELECT t.digest() AS before \gset
SELECT amelia.append_events(t.w(2), format('[{"event_type": "stream", "message": "off", "id": "%s"},
	{"event_type": "x", "message": "on", "id": "%s"}]', t.e(30), t.e(31))::jsonb) AS again;
SELECT t.digest() = :'before' AS nothing_stored;
-- Switched off since: all of the array are there, so it is a repeat.
UPDATE amelia.event_types SET persisted = false WHERE event_type = 'agent_message';
SELECT t.digest() AS before \gset
SELECT amelia.append_events(t.w(2), t.batch(20, 23)) AS again;
SELECT t.digest() = :'before' AS nothing_stored;

-- record_usage
SELECT amelia.record_usage(t.w(1), 'a', 'model', 1, 2, 3, 4, 0.1234565, 5, 6, '2020-01-01 00:00+00', t.u(1));
SELECT amelia.record_usage(t.w(1), 'a', 'model', 1, 2, cost_usd => 0.5, id => t.u(2));
SELECT amelia.record_usage(t.w(1), 'a', 'model', 1, 2, NULL, NULL, cost_usd => 0.5, id => t.u(3));
SELECT t.digest() AS before \gset
SELECT amelia.record_usage(t.w(1), 'a', 'model', 1, 2, 3, 4, 0.1234565, 5, 6, '2020-01-01 01:00+01', t.u(1));
SELECT amelia.record_usage(t.w(1), 'a', 'model', 1, 2, cost_usd => 0.5, id => t.u(2));
SELECT amelia.record_usage(t.w(1), 'a', 'model', 1, 2, NULL, NULL, cost_usd => 0.5, id => t.u(3));
SELECT * FROM t.errors(
	$$SELECT amelia.record_usage(t.w(2), 'a', 'model', 1, 2, 3, 4, 0.1234565, 5, 6, '2020-01-01 00:00+00', t.u(1))$$,
	$$SELECT amelia.record_usage(t.w(1), 'b', 'model', 1, 2, 3, 4, 0.1234565, 5, 6, '2020-01-01 00:00+00', t.u(1))$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'other', 1, 2, 3, 4, 0.1234565, 5, 6, '2020-01-01 00:00+00', t.u(1))$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'model', 9, 2, 3, 4, 0.1234565, 5, 6, '2020-01-01 00:00+00', t.u(1))$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'model', 1, 9, 3, 4, 0.1234565, 5, 6, '2020-01-01 00:00+00', t.u(1))$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'model', 1, 2, 9, 4, 0.1234565, 5, 6, '2020-01-01 00:00+00', t.u(1))$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'model', 1, 2, 3, 9, 0.1234565, 5, 6, '2020-01-01 00:00+00', t.u(1))$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'model', 1, 2, 3, 4, 0.123456, 5, 6, '2020-01-01 00:00+00', t.u(1))$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'model', 1, 2, 3, 4, 0.1234565, 9, 6, '2020-01-01 00:00+00', t.u(1))$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'model', 1, 2, 3, 4, 0.1234565, 5, 9, '2020-01-01 00:00+00', t.u(1))$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'model', 1, 2, 3, 4, 0.1234565, 5, 6, '2020-01-02 00:00+00', t.u(1))$$,
	$$SELECT amelia.record_usage(t.w(99), 'a', 'model', 1, 2, 3, 4, 0.1234565, 5, 6, '2020-01-01 00:00+00', t.u(1))$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- add_brainstorm_message
INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('work', '/work', '{}');
INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s1', 'work'), ('s2', 'work');
SELECT sequence FROM amelia.add_brainstorm_message('s1', 'user', 'hello', '[{"type": "text"}]', 1, 2, 0.0000005, true, 'm1');
SELECT sequence FROM amelia.add_brainstorm_message('s1', 'assistant', 'hello', id => 'm2');
UPDATE amelia.brainstorm_sessions SET updated_at = '2001-01-01';
SELECT t.digest() AS before \gset
SELECT id, sequence FROM amelia.add_brainstorm_message('s1', 'user', 'hello', '[{"type": "text"}]', 1, 2, 0.0000005, true, 'm1');
SELECT id, sequence FROM amelia.add_brainstorm_message('s1', 'assistant', 'hello', id => 'm2');
SELECT * FROM t.errors(
	$$SELECT amelia.add_brainstorm_message('s2', 'user', 'hello', '[{"type": "text"}]', 1, 2, 0.000001, true, 'm1')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'assistant', 'hello', '[{"type": "text"}]', 1, 2, 0.000001, true, 'm1')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'bye', '[{"type": "text"}]', 1, 2, 0.000001, true, 'm1')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'hello', '[{"type": "image"}]', 1, 2, 0.000001, true, 'm1')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'hello', NULL, 1, 2, 0.000001, true, 'm1')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'hello', '[{"type": "text"}]', 9, 2, 0.000001, true, 'm1')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'hello', '[{"type": "text"}]', NULL, 2, 0.000001, true, 'm1')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'hello', '[{"type": "text"}]', 1, 9, 0.000001, true, 'm1')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'hello', '[{"type": "text"}]', 1, 2, 0.000002, true, 'm1')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'hello', '[{"type": "text"}]', 1, 2, NULL, true, 'm1')$$,
	$$SELECT amelia.add_brainstorm_message('s1', 'user', 'hello', '[{"type": "text"}]', 1, 2, 0.000001, false, 'm1')$$);
SELECT t.digest() = :'before' AS nothing_stored;
SELECT sequence FROM amelia.add_brainstorm_message('s1', 'user', 'goes on');

-- All in one transaction, as a client that tries a whole batch of work again.
BEGIN;
SELECT id FROM amelia.create_workflow('I-3', '/w3', id => t.w(3));
SELECT amelia.append_event(t.w(3), 'x', 'm', id => t.e(40));
SELECT id FROM amelia.create_workflow('I-3', '/w3', id => t.w(3));
SELECT amelia.append_event(t.w(3), 'x', 'm', id => t.e(40));
COMMIT;
SELECT amelia.append_event(t.w(3), 'x', 'm', id => t.e(41)) AS first, amelia.append_event(t.w(3), 'x', 'm', id => t.e(41)) AS again;
SELECT * FROM amelia.verify();
