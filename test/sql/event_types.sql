-- The event types that are seeded, and what the table accepts.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

SELECT level, persisted, count(*), string_agg(event_type, ' ' ORDER BY event_type COLLATE "C")
FROM amelia.event_types
GROUP BY level, persisted
ORDER BY level, persisted;
SELECT domain, string_agg(event_type, ' ' ORDER BY event_type COLLATE "C")
FROM amelia.event_types
GROUP BY domain
ORDER BY domain;

-- An orchestrator adds its own; unless said, they are kept.
INSERT INTO amelia.event_types (event_type, domain, level) VALUES ('deploy_started', 'oracle', 'warning');
SELECT persisted FROM amelia.event_types WHERE event_type = 'deploy_started';
SELECT id FROM amelia.create_workflow('I-1', '/w1', id => t.w(1));
SELECT amelia.append_event(t.w(1), 'deploy_started', 'of its own level');
SELECT amelia.append_event(t.w(1), 'never_heard_of', 'debug');
SELECT * FROM t.log(1);
SELECT * FROM t.errors(
	$$INSERT INTO amelia.event_types (event_type, domain, level) VALUES ('x', 'elsewhere', 'info')$$,
	$$INSERT INTO amelia.event_types (event_type, domain, level) VALUES ('x', 'workflow', 'loud')$$,
	$$INSERT INTO amelia.event_types (event_type, domain, level) VALUES ('x', NULL, 'info')$$,
	$$INSERT INTO amelia.event_types (event_type, domain, level) VALUES ('x', 'workflow', NULL)$$,
	$$INSERT INTO amelia.event_types (event_type, domain, level, persisted) VALUES ('x', 'workflow', 'info', NULL)$$,
	$$INSERT INTO amelia.event_types (event_type, domain, level) VALUES (NULL, 'workflow', 'info')$$,
	$$INSERT INTO amelia.event_types (event_type, domain, level) VALUES ('stream', 'workflow', 'info')$$);

-- Every seeded type, and whether an append of it is stored.
SELECT t.event_type, amelia.append_event(t.w(1), t.event_type, 'm') IS NOT NULL AS stored
FROM amelia.event_types AS t
WHERE NOT t.persisted
ORDER BY t.event_type;
SELECT count(amelia.append_event(t.w(1), t.event_type, 'seeded')) AS stored
FROM amelia.event_types AS t
WHERE t.persisted;
SELECT count(*) AS of_another_level
FROM amelia.workflow_log AS e
JOIN amelia.event_types AS t ON t.event_type = e.event_type
WHERE e.message = 'seeded' AND (e.level <> t.level OR e.is_error <> (t.level = 'error'));

-- The switch. A plain INSERT is always stored.
UPDATE amelia.event_types SET persisted = false WHERE event_type = 'task_failed';
UPDATE amelia.event_types SET persisted = true WHERE event_type = 'stream';
SELECT amelia.append_event(t.w(1), 'task_failed', 'switched off') AS off,
	amelia.append_event(t.w(1), 'stream', 'switched on') > 0 AS "on";
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(1), 'task_failed', 'plain');
SELECT level, event_type, message FROM amelia.recent_events(t.w(1), 2);

-- The switch does not hide that a workflow is not there, or that an argument is wrong.
SELECT * FROM t.errors(
	$$SELECT amelia.append_event(t.w(99), 'task_failed', 'm')$$,
	$$SELECT amelia.append_event(t.w(1), 'task_failed', NULL)$$,
	$$SELECT amelia.append_event(t.w(1), 'task_failed', 'm', level => 'loud')$$);

-- In an array, those that are switched off are left out and take no number.
SELECT amelia.last_sequence(t.w(1)) AS before \gset
SELECT r = int4range(:before + 1, :before + 3) AS of_two
FROM amelia.append_events(t.w(1), '[{"event_type": "task_failed", "message": "off"},
	{"event_type": "stage_started", "message": "one"},
	{"event_type": "agent_output", "message": "off"},
	{"event_type": "stage_completed", "message": "two"}]') AS r;
SELECT sequence - :before AS place, level, event_type, message FROM amelia.events_after(t.w(1), :before);
SELECT isempty(r) FROM amelia.append_events(t.w(1), '[{"event_type": "task_failed", "message": "off"}]') AS r;
SELECT amelia.last_sequence(t.w(1)) - :before AS two;
