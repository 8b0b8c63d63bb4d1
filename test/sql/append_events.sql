-- append_events(): an array of events, one allocation for all, all or none.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

SELECT id FROM amelia.create_workflow('I-1', '/w1', id => t.w(1));

-- Every key, and the fewest. JSON null stands for an argument that is not given.
BEGIN;
SELECT amelia.append_events(t.w(1), format('[
	{"event_type": "stage_started", "message": "planning", "level": "warning", "agent": "architect",
	 "data": {"stage": {"n": [1, 2.50]}}, "is_error": true, "timestamp": "2020-02-03T04:05:06.789+01:00",
	 "id": "%s", "correlation_id": "c-1", "tool_name": "bash", "tool_input": ["ls", {"cwd": "/"}],
	 "trace_id": "tr-1", "parent_id": "%s"},
	{"event_type": "task_failed", "message": "m"},
	{"event_type": "my_own", "message": "m", "level": null, "agent": null, "data": null, "is_error": null,
	 "timestamp": null, "id": null, "correlation_id": null, "tool_name": null, "tool_input": null,
	 "trace_id": null, "parent_id": null},
	{"event_type": "my_own", "message": "m", "level": "error", "is_error": false},
	{"event_type": "stage_started", "message": "caused below", "id": "%s"}]', t.e(1), t.e(2), t.e(2))::jsonb);
SELECT sequence, "timestamp" AT TIME ZONE 'UTC' AS utc, level, event_type, agent, message, data, is_error, correlation_id,
	tool_name, tool_input, trace_id, parent_id
FROM amelia.workflow_log WHERE id = t.e(1);
SELECT sequence, "timestamp" = now() AS now, level, event_type, agent, message, data, is_error, correlation_id,
	tool_name, tool_input, trace_id, parent_id, substr(id::text, 15, 1) AS version
FROM amelia.events_after(t.w(1), 2, 3);
COMMIT;

-- Ids that are made here are in the order of the array.
SELECT amelia.append_events(t.w(1), (SELECT jsonb_agg(jsonb_build_object('event_type', 'x', 'message', n::text))
	FROM generate_series(7, 1006) AS n));
SELECT count(*), min(sequence), max(sequence), bool_and(message = sequence::text) AS in_order,
	array_agg(sequence ORDER BY id) = array_agg(sequence ORDER BY sequence) AS ids_in_order
FROM amelia.events_after(t.w(1), 6);

-- An empty array stores nothing.
SELECT isempty(amelia.append_events(t.w(1), '[]'));

-- After it, single events go on.
SELECT amelia.append_event(t.w(1), 'x', 'next');

-- Two arrays in one statement, and one beside a plain INSERT.
SELECT amelia.append_events(t.w(1), '[{"event_type": "x", "message": "a"}, {"event_type": "x", "message": "b"}]') AS first,
	amelia.append_events(t.w(1), '[{"event_type": "x", "message": "c"}]') AS second;
INSERT INTO amelia.workflow_log (workflow_id, event_type, message)
SELECT t.w(1), 'x', 'beside ' || amelia.append_events(t.w(1), '[{"event_type": "x", "message": "d"}]')::text
RETURNING sequence, message;

-- What it refuses, and which event it names.
CREATE FUNCTION t.batch_error(events jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	message text;
	context text;
BEGIN
	RETURN 'no error: ' || amelia.append_events(t.w(1), events)::text;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, context = PG_EXCEPTION_CONTEXT;
	RETURN concat_ws(' / ', SQLSTATE || ' ' || message, substring(context FROM 'event \d+ of the array'));
END
$$;
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT amelia.append_events(NULL, '[]')$$,
	$$SELECT amelia.append_events(t.w(1), NULL)$$,
	$$SELECT amelia.append_events(t.w(99), '[]')$$,
	$$SELECT amelia.append_events(t.w(99), '[{"event_type": "x", "message": "m"}]')$$);
SELECT v.events, t.batch_error(v.events::jsonb)
FROM (VALUES
	('{"event_type": "x", "message": "an object for an array"}'),
	('"[]"'),
	('5'),
	('null'),
	('true'),
	('[5]'),
	('["x"]'),
	('[null]'),
	('[[]]'),
	('[[{"event_type": "x", "message": "m"}]]'),
	('[{}]'),
	('[{"event_type": "x", "message": "m"}, {"event_type": "x"}]'),
	('[{"message": "m"}]'),
	('[{"event_type": null, "message": "m"}]'),
	('[{"event_type": "x", "message": null}]'),
	('[{"event_type": "x", "message": "m", "colour": "red"}]'),
	('[{"event_type": "x", "message": "m", "Message": "m"}]'),
	('[{"event_type": "x", "message": "m", "": 1}]'),
	('[{"event_type": "x", "message": "m", "sequence": 7}]'),
	('[{"event_type": "x", "message": "m", "workflow_id": "aaaaaaaa-0000-7000-8000-000000000001"}]'),
	('[{"event_type": 5, "message": "m"}]'),
	('[{"event_type": "x", "message": {"text": "m"}}]'),
	('[{"event_type": "x", "message": ["m"]}]'),
	('[{"event_type": "x", "message": "m", "level": 3}]'),
	('[{"event_type": "x", "message": "m", "level": "loud"}]'),
	('[{"event_type": "x", "message": "m", "agent": true}]'),
	('[{"event_type": "x", "message": "m", "is_error": "true"}]'),
	('[{"event_type": "x", "message": "m", "is_error": 1}]'),
	('[{"event_type": "x", "message": "m", "timestamp": 1580000000}]'),
	('[{"event_type": "x", "message": "m", "id": 5}]'),
	('[{"event_type": "x", "message": "m", "correlation_id": {}}]'),
	('[{"event_type": "x", "message": "m", "tool_name": []}]'),
	('[{"event_type": "x", "message": "m", "trace_id": 1}]'),
	('[{"event_type": "x", "message": "m", "parent_id": {"id": 1}}]'),
	('[{"event_type": "x", "message": "m", "data": "{\"twice\": \"encoded\"}"}]'),
	('[{"event_type": "x", "message": "m", "data": 5}]'),
	('[{"event_type": "x", "message": "m", "tool_input": false}]'),
	('[{"event_type": "x", "message": "m", "parent_id": "eeeeeeee-0000-7000-8000-000000000099"}]'))
	AS v (events);

-- An id or a time that cannot be read is refused as its type refuses it, and
-- the key is named with the event.
CREATE FUNCTION t.unreadable(key text, value text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	context text;
BEGIN
	RETURN amelia.append_events(t.w(1), jsonb_build_array('{"event_type": "x", "message": "m"}'::jsonb,
		jsonb_build_object('event_type', 'x', 'message', 'm', key, value)));
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
	RETURN concat_ws(' / ', SQLSTATE, CASE WHEN position(lower(value) IN lower(SQLERRM)) > 0 THEN 'names the value' END,
		substring(context FROM 'key .* event \d+ of the array'));
END
$$;
SELECT v.key, v.value, t.unreadable(v.key, v.value)
FROM (VALUES ('id', 'zz'), ('id', 'eeeeeeee-0000-7000-8000-00000000000g'), ('parent_id', 'eeeeeeee-0000-7000-8000'),
	('id', ''), ('timestamp', 'soon'), ('timestamp', '2020-02-30'), ('timestamp', '2020-01-01 25:00'),
	('timestamp', '9999999-01-01'), ('timestamp', '')) AS v (key, value);

-- The same id twice in one array.
SELECT v.events, left(t.batch_error(format(v.events, t.e(50), t.e(50))::jsonb), 5) AS sqlstate
FROM (VALUES ('[{"event_type": "x", "message": "m", "id": "%s"}, {"event_type": "x", "message": "m", "id": "%s"}]'),
	('[{"event_type": "x", "message": "m", "id": "%s"}, {"event_type": "x", "message": "n", "id": "%s"}]')) AS v (events);
SELECT t.digest() = :'before' AS nothing_stored;
SELECT amelia.append_event(t.w(1), 'x', 'no number was lost') = amelia.last_sequence(t.w(1)) + 1 AS follows;
SELECT * FROM amelia.verify();
