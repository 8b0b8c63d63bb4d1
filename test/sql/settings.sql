-- Settings: the defaults while there is no row, then the row.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

BEGIN;
SELECT id, log_retention_days, trace_retention_days, checkpoint_retention_days, websocket_idle_timeout_seconds,
	workflow_start_timeout_seconds, max_concurrent, stream_tool_results, recovery_hours, created_at = now() AS created_now,
	updated_at = now() AS updated_now
FROM amelia.settings();
COMMIT;
SELECT t.rows();
BEGIN READ ONLY;
SELECT log_retention_days FROM amelia.settings();
COMMIT;

-- What settings() says without a row is what the row begins with.
INSERT INTO amelia.server_settings DEFAULT VALUES;
SELECT to_jsonb(s) - '{created_at,updated_at}'::text[] AS row FROM amelia.server_settings AS s \gset
DELETE FROM amelia.server_settings;
SELECT to_jsonb(s) - '{created_at,updated_at}'::text[] = :'row'::jsonb AS same FROM amelia.settings() AS s;

-- The first change makes the row; the others change what they name.
SELECT log_retention_days, trace_retention_days, max_concurrent FROM amelia.update_settings('{"log_retention_days": 90}');
UPDATE amelia.server_settings SET updated_at = '2001-01-01', created_at = '2001-01-01';
SELECT log_retention_days, trace_retention_days, checkpoint_retention_days, websocket_idle_timeout_seconds,
	workflow_start_timeout_seconds, max_concurrent, stream_tool_results, recovery_hours, created_at, updated_at > '2001-01-02' AS updated
FROM amelia.update_settings('{"trace_retention_days": 0, "checkpoint_retention_days": -1, "websocket_idle_timeout_seconds": 0.001,
	"workflow_start_timeout_seconds": 1234567890.123456789, "max_concurrent": 1, "stream_tool_results": true, "recovery_hours": 0}');
SELECT log_retention_days, trace_retention_days, checkpoint_retention_days, websocket_idle_timeout_seconds,
	workflow_start_timeout_seconds, max_concurrent, stream_tool_results, recovery_hours FROM amelia.settings();
SELECT max_concurrent, log_retention_days
FROM amelia.update_settings('{"max_concurrent": 2147483647, "log_retention_days": 7.0, "trace_retention_days": 1e1}');
SELECT trace_retention_days FROM amelia.settings();
SELECT log_retention_days FROM amelia.update_settings('{}');

-- All or nothing, refused by name.
SELECT t.digest() AS before \gset
SELECT v.changes, t.error(format('SELECT amelia.update_settings(%L)', v.changes))
FROM (VALUES (NULL), ('5'), ('"{}"'), ('null'), ('true'), ('[]'), ('[{"max_concurrent": 2}]'),
	('{"max_concurrent": 2, "colour": "red"}'), ('{"Max_Concurrent": 2}'), ('{"id": 2}'), ('{"id": 1}'), ('{"created_at": "2020-01-01"}'),
	('{"updated_at": null}'), ('{"": 1}'), ('{"settings": {"max_concurrent": 2}}'),
	('{"max_concurrent": 0}'), ('{"max_concurrent": -1}'), ('{"max_concurrent": null}'), ('{"max_concurrent": "2"}'),
	('{"max_concurrent": 2.5}'), ('{"max_concurrent": true}'), ('{"max_concurrent": [2]}'), ('{"max_concurrent": {"n": 2}}'),
	('{"max_concurrent": 2147483648}'), ('{"max_concurrent": 1e100}'),
	('{"log_retention_days": -2}'), ('{"trace_retention_days": -2}'), ('{"checkpoint_retention_days": -2}'),
	('{"log_retention_days": 0.5}'), ('{"log_retention_days": null}'), ('{"log_retention_days": 2147483648}'),
	('{"log_retention_days": -2147483649}'), ('{"recovery_hours": -1}'), ('{"recovery_hours": null}'),
	('{"websocket_idle_timeout_seconds": 0}'), ('{"websocket_idle_timeout_seconds": -1}'), ('{"websocket_idle_timeout_seconds": "Infinity"}'),
	('{"websocket_idle_timeout_seconds": "NaN"}'), ('{"websocket_idle_timeout_seconds": null}'), ('{"websocket_idle_timeout_seconds": false}'),
	('{"workflow_start_timeout_seconds": 0}'), ('{"workflow_start_timeout_seconds": -0.1}'),
	('{"stream_tool_results": "true"}'), ('{"stream_tool_results": 1}'), ('{"stream_tool_results": null}'),
	('{"log_retention_days": 1, "trace_retention_days": 1, "recovery_hours": -1}')) AS v (changes);
SELECT t.digest() = :'before' AS nothing_stored;
DELETE FROM amelia.server_settings;
SELECT t.error($$SELECT amelia.update_settings('{"max_concurrent": 0}')$$);
SELECT t.rows();

-- What the table itself refuses.
INSERT INTO amelia.server_settings (id) VALUES (1);
SELECT v.assignment, t.error('UPDATE amelia.server_settings SET ' || v.assignment)
FROM (VALUES ('id = 2'), ('log_retention_days = -2'), ('trace_retention_days = -2'), ('checkpoint_retention_days = -2'),
	('websocket_idle_timeout_seconds = 0'), ('websocket_idle_timeout_seconds = ''NaN'''), ('workflow_start_timeout_seconds = 0'),
	('workflow_start_timeout_seconds = ''NaN'''), ('max_concurrent = 0'), ('recovery_hours = -1'), ('log_retention_days = NULL'),
	('trace_retention_days = NULL'), ('checkpoint_retention_days = NULL'), ('websocket_idle_timeout_seconds = NULL'),
	('workflow_start_timeout_seconds = NULL'), ('max_concurrent = NULL'), ('stream_tool_results = NULL'), ('recovery_hours = NULL'),
	('log_retention_days = -1, trace_retention_days = -1, checkpoint_retention_days = -1')) AS v (assignment);
SELECT * FROM t.errors(
	$$INSERT INTO amelia.server_settings (id) VALUES (2)$$,
	$$INSERT INTO amelia.server_settings (id) VALUES (1)$$,
	$$INSERT INTO amelia.server_settings (id) VALUES (NULL)$$);
