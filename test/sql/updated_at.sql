-- updated_at moves by itself on every UPDATE that does not set it, in every
-- table that has it.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

-- Those are:
SELECT table_name FROM information_schema.columns
WHERE table_schema = 'amelia' AND column_name = 'updated_at' ORDER BY table_name COLLATE "C";

INSERT INTO amelia.workflows (id, issue_id, worktree_path, updated_at) VALUES (t.w(1), 'I-1', '/w1', '2001-01-01');
INSERT INTO amelia.profiles (id, working_dir, agents, updated_at) VALUES ('work', '/work', '{}', '2001-01-01');
INSERT INTO amelia.server_settings (id, updated_at) VALUES (1, '2001-01-01');
INSERT INTO amelia.brainstorm_sessions (id, profile_id, updated_at) VALUES ('s1', 'work', '2001-01-01');

-- What an assignment makes of it; the time is that of the transaction.
CREATE FUNCTION t.touched(target text, assignment text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('UPDATE amelia.%I SET updated_at = ''2001-01-01''', target);
	EXECUTE format('UPDATE amelia.%I SET %s RETURNING CASE WHEN updated_at = now() THEN ''now'' ELSE updated_at::text END',
		target, assignment) INTO result;
	RETURN result;
END
$$;
SELECT v.target, v.assignment, t.touched(v.target, v.assignment) AS updated_at
FROM (VALUES ('workflows', 'profile_id = ''work'''),
	('workflows', 'profile_id = profile_id'),
	('workflows', 'created_at = created_at'),
	('workflows', 'updated_at = updated_at'),
	('workflows', 'updated_at = ''2002-02-02'''),
	('workflows', 'updated_at = ''2002-02-02'', profile_id = ''home'''),
	('workflows', 'status = ''in_progress'''),
	('workflows', 'plan_cache = ''{}'''),
	('workflows', 'priority = 5'),
	('workflows', 'cancel_requested = true'),
	('workflows', 'sequence_floor = sequence_floor + 1'),
	('workflows', 'sequence_floor = sequence_floor + 1, priority = 6'),
	('workflows', 'sequence_floor = sequence_floor + 1, updated_at = ''2002-02-02'''),
	('profiles', 'tracker = ''jira'''),
	('profiles', 'tracker = tracker'),
	('profiles', 'is_active = true'),
	('profiles', 'updated_at = ''2002-02-02'''),
	('server_settings', 'max_concurrent = 7'),
	('server_settings', 'updated_at = ''2002-02-02'''),
	('brainstorm_sessions', 'topic = ''t'''),
	('brainstorm_sessions', 'status = ''completed'''),
	('brainstorm_sessions', 'updated_at = ''2002-02-02''')) AS v (target, assignment);

-- An upsert is an UPDATE too.
INSERT INTO amelia.server_settings (id, max_concurrent) VALUES (1, 9)
ON CONFLICT (id) DO UPDATE SET max_concurrent = EXCLUDED.max_concurrent RETURNING updated_at = now() AS now;
INSERT INTO amelia.server_settings (id, updated_at) VALUES (1, '2003-03-03')
ON CONFLICT (id) DO UPDATE SET updated_at = EXCLUDED.updated_at RETURNING updated_at;

-- Events do not move it: nobody has touched the workflow.
UPDATE amelia.workflows SET updated_at = '2001-01-01';
SELECT amelia.append_event(t.w(1), 'x', 'm') > 0 AS appended;
SELECT NOT isempty(amelia.append_events(t.w(1), '[{"event_type": "x", "message": "m"}]')) AS appended;
SELECT amelia.next_sequence(t.w(1)) > 0 AS reserved;
SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 1) IS NOT NULL AS recorded;
DELETE FROM amelia.workflow_log;
TRUNCATE amelia.workflow_log;
SELECT updated_at FROM amelia.workflows;
