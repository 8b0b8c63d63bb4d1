-- append_event(), and reading the log.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

SELECT id FROM amelia.create_workflow('I-1', '/w1', id => t.w(1));
SELECT id FROM amelia.create_workflow('I-2', '/w2', id => t.w(2));

-- All arguments, and the fewest.
BEGIN;
SELECT amelia.append_event(t.w(1), 'stage_started', 'planning', 'warning', 'architect', '{"stage": {"n": [1, 2.50]}}',
	true, '2020-02-03 04:05:06.789+01', t.e(2), 'c-1', 'bash', '["ls", {"cwd": "/"}]', 'tr-1', NULL);
SELECT amelia.append_event(t.w(1), 'task_failed', 'm');
SELECT sequence, "timestamp" AT TIME ZONE 'UTC' AS utc, level, event_type, agent, message, data, is_error, correlation_id,
	tool_name, tool_input, trace_id, parent_id
FROM amelia.workflow_log WHERE id = t.e(2);
SELECT sequence, "timestamp" = now() AS now, level, event_type, agent, message, data, is_error, correlation_id,
	tool_name, tool_input, trace_id, parent_id, substr(id::text, 15, 1) AS version
FROM amelia.workflow_log WHERE workflow_id = t.w(1) AND sequence = 3;
COMMIT;
SELECT amelia.append_event(workflow_id => t.w(1), event_type => 'agent_message', message => 'caused by 2',
	parent_id => t.e(2), id => t.e(4));

-- level NULL: from event_types, debug for a type that is not there.
-- is_error NULL: level = error.
CREATE TABLE t.cases AS
SELECT c.*
FROM (VALUES (1, 'stage_started', NULL, NULL::boolean), (2, 'system_error', NULL, NULL), (3, 'agent_message', NULL, NULL),
		(4, 'my_own', NULL, NULL), (5, 'stage_started', 'error', NULL), (6, 'system_error', 'trace', NULL),
		(7, 'system_error', NULL, false), (8, 'my_own', NULL, true), (9, 'system_warning', NULL, NULL))
	AS c (n, event_type, level, is_error);
SELECT count(amelia.append_event(t.w(2), c.event_type, 'm', c.level, is_error => c.is_error, id => t.e(10 + c.n)))
FROM t.cases AS c;
SELECT c.event_type, c.level AS given_level, c.is_error AS given_is_error, e.level, e.is_error
FROM t.cases AS c
JOIN amelia.workflow_log AS e ON e.id = t.e(10 + c.n)
ORDER BY c.n;

-- An empty message, a long one, all that text can hold.
SELECT amelia.append_event(t.w(2), 'x', '') > 0 AS empty,
	amelia.append_event(t.w(2), 'x', repeat('ä€😀', 100000)) > 0 AS long;
SELECT length(message), octet_length(message) FROM amelia.recent_events(t.w(2), 1);

-- What it refuses; nothing is stored.
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT amelia.append_event(NULL, 'x', 'm')$$,
	$$SELECT amelia.append_event(t.w(1), NULL, 'm')$$,
	$$SELECT amelia.append_event(t.w(1), 'x', NULL)$$,
	$$SELECT amelia.append_event(t.w(1), 'x', 'm', level => 'loud')$$,
	$$SELECT amelia.append_event(t.w(1), 'x', 'm', level => 'ERROR')$$,
	$$SELECT amelia.append_event(t.w(1), 'x', 'm', level => '')$$,
	$$SELECT amelia.append_event(t.w(99), 'x', 'm')$$,
	$$SELECT amelia.append_event(t.w(1), 'x', 'm', parent_id => t.e(99))$$,
	$$SELECT amelia.append_event(t.w(1), 'x', 'm', data => '"{\"twice\": \"encoded\"}"')$$,
	$$SELECT amelia.append_event(t.w(1), 'x', 'm', data => '5')$$,
	$$SELECT amelia.append_event(t.w(1), 'x', 'm', data => 'true')$$,
	$$SELECT amelia.append_event(t.w(1), 'x', 'm', tool_input => '"ls"')$$,
	$$SELECT amelia.append_event(t.w(1), 'x', 'm', tool_input => 'null')$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- What the table itself refuses a plain INSERT.
SELECT v.columns, v.values, t.error(format('INSERT INTO amelia.workflow_log (%s) VALUES (%s)', v.columns, v.values))
FROM (VALUES ('event_type, message', '''x'', ''m'''), ('workflow_id, message', 't.w(1), ''m'''),
	('workflow_id, event_type', 't.w(1), ''x'''), ('workflow_id, event_type, message, level', 't.w(1), ''x'', ''m'', ''loud'''),
	('workflow_id, event_type, message, level', 't.w(1), ''x'', ''m'', NULL'),
	('workflow_id, event_type, message, is_error', 't.w(1), ''x'', ''m'', NULL'),
	('workflow_id, event_type, message, "timestamp"', 't.w(1), ''x'', ''m'', NULL'),
	('workflow_id, event_type, message, id', 't.w(1), ''x'', ''m'', NULL'),
	('workflow_id, event_type, message, id', 't.w(1), ''x'', ''m'', t.e(2)'),
	('workflow_id, event_type, message, parent_id', 't.w(1), ''x'', ''m'', t.e(99)'),
	('workflow_id, event_type, message', 't.w(99), ''x'', ''m''')) AS v (columns, values);
SELECT t.digest() = :'before' AS nothing_stored;

-- last_sequence: 0 when there is none.
SELECT amelia.last_sequence(t.w(1)) AS one, amelia.last_sequence(t.w(99)) AS not_there, amelia.last_sequence(NULL) AS null;

-- The readers. Workflow 3 has events 1 to 7.
SELECT id FROM amelia.create_workflow('I-3', '/w3', id => t.w(3));
SELECT count(amelia.append_event(t.w(3), 'x', 'event ' || n, id => t.e(30 + n))) FROM generate_series(2, 7) AS n;
SELECT string_agg(sequence::text, ' ') FROM amelia.events_after(t.w(3));
SELECT string_agg(sequence::text, ' ') FROM amelia.events_after(t.w(3), 4);
SELECT string_agg(sequence::text, ' ') FROM amelia.events_after(t.w(3), 2, 3);
SELECT string_agg(sequence::text, ' ') FROM amelia.events_after(t.w(3), 6, 100);
SELECT count(*) AS end FROM amelia.events_after(t.w(3), 7);
SELECT count(*) AS beyond FROM amelia.events_after(t.w(3), 2147483647);
SELECT count(*) AS none FROM amelia.events_after(t.w(3), 0, 0);
SELECT count(*) AS not_there FROM amelia.events_after(t.w(99));
SELECT count(*) AS null FROM amelia.events_after(NULL);
SELECT id, workflow_id, sequence, level, event_type, message FROM amelia.events_after(t.w(3), 4, 1);
SELECT string_agg(sequence::text, ' ') FROM amelia.events_after_event(t.e(33));
SELECT string_agg(sequence::text, ' ') FROM amelia.events_after_event(t.e(33), 2);
SELECT count(*) AS none FROM amelia.events_after_event(t.e(33), 0);
SELECT count(*) AS end FROM amelia.events_after_event(t.e(37));
SELECT string_agg(sequence::text, ' ') FROM amelia.recent_events(t.w(3), 3);
SELECT string_agg(sequence::text, ' ') FROM amelia.recent_events(t.w(3));
SELECT count(*) AS none FROM amelia.recent_events(t.w(3), 0);
SELECT count(*) AS not_there FROM amelia.recent_events(t.w(99));
SELECT amelia.event_exists(t.e(33)) AS there, amelia.event_exists(t.e(99)) AS not_there, amelia.event_exists(NULL) AS null;

-- The default limits.
SELECT id FROM amelia.create_workflow('I-4', '/w4', id => t.w(4));
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) SELECT t.w(4), 'x', n::text FROM generate_series(2, 1100) AS n;
SELECT count(*), min(sequence), max(sequence) FROM amelia.events_after(t.w(4));
SELECT count(*), min(sequence), max(sequence) FROM amelia.recent_events(t.w(4));
SELECT count(*), min(e.sequence), max(e.sequence)
FROM amelia.workflow_log AS f, LATERAL amelia.events_after_event(f.id) AS e
WHERE f.workflow_id = t.w(4) AND f.sequence = 50;

SELECT * FROM t.errors(
	$$SELECT amelia.events_after(t.w(3), -1)$$,
	$$SELECT amelia.events_after(t.w(3), NULL)$$,
	$$SELECT amelia.events_after(t.w(3), 0, -1)$$,
	$$SELECT amelia.events_after(t.w(3), 0, NULL)$$,
	$$SELECT amelia.events_after(t.w(99), 0, -1)$$,
	$$SELECT amelia.events_after_event(t.e(99))$$,
	$$SELECT amelia.events_after_event(NULL)$$,
	$$SELECT amelia.events_after_event(t.e(33), -1)$$,
	$$SELECT amelia.events_after_event(t.e(33), NULL)$$,
	$$SELECT amelia.recent_events(t.w(3), -1)$$,
	$$SELECT amelia.recent_events(t.w(3), NULL)$$);
DELETE FROM amelia.workflow_log WHERE id = t.e(33);
SELECT * FROM t.errors($$SELECT amelia.events_after_event(t.e(33))$$);

-- An event's parent goes: the event stays, with parent_id NULL, whatever deletes it.
SELECT amelia.append_event(t.w(1), 'x', 'child of 4', parent_id => t.e(4), id => t.e(5));
SELECT sequence, parent_id FROM amelia.workflow_log WHERE id IN (t.e(4), t.e(5)) ORDER BY sequence;
DELETE FROM amelia.workflow_log WHERE id = t.e(2);
SELECT sequence, parent_id FROM amelia.workflow_log WHERE id IN (t.e(4), t.e(5)) ORDER BY sequence;
DELETE FROM amelia.workflow_log WHERE id IN (t.e(4), t.e(5));
SELECT amelia.append_event(t.w(1), 'x', 'in another workflow', parent_id => t.e(34), id => t.e(6));
DELETE FROM amelia.workflows WHERE id = t.w(3);
SELECT parent_id IS NULL AS parent_gone, message FROM amelia.workflow_log WHERE id = t.e(6);

-- Events are numbered once: id, workflow and sequence cannot be changed.
SELECT * FROM t.errors(
	$$UPDATE amelia.workflow_log SET sequence = 99 WHERE id = t.e(6)$$,
	$$UPDATE amelia.workflow_log SET id = t.e(99) WHERE id = t.e(6)$$,
	$$UPDATE amelia.workflow_log SET workflow_id = t.w(2) WHERE id = t.e(6)$$,
	$$UPDATE amelia.workflow_log SET sequence = sequence, message = message WHERE id = t.e(6)$$);

-- A workflow takes its events with it.
DELETE FROM amelia.workflows;
SELECT t.rows();
