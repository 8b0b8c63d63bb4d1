-- The triggers: that they are there and on, that they come after the users'
-- own, and what they promise to every writer.
BEGIN;
-- pgTAP may live in any schema. Ours stays off the path, so that names are
-- shown with their schema.
SELECT set_config('search_path', 'pg_catalog, ' || quote_ident(n.nspname), true) AS path
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pgtap' \gset
SELECT no_plan();

CREATE TEMP VIEW actual AS
SELECT c.relname::text AS table_name, t.tgname::text AS trigger_name,
	CASE WHEN (t.tgtype & 2) <> 0 THEN 'BEFORE' ELSE 'AFTER' END
		|| CASE WHEN (t.tgtype & 4) <> 0 THEN ' INSERT' ELSE '' END
		|| CASE WHEN (t.tgtype & 8) <> 0 THEN ' DELETE' ELSE '' END
		|| CASE WHEN (t.tgtype & 16) <> 0 THEN ' UPDATE' ELSE '' END
		|| CASE WHEN (t.tgtype & 32) <> 0 THEN ' TRUNCATE' ELSE '' END
		|| CASE WHEN (t.tgtype & 1) <> 0 THEN ' ROW' ELSE ' STATEMENT' END AS fires,
	t.tgfoid::regproc::text AS function_name, t.tgenabled AS enabled
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'amelia'::regnamespace AND NOT t.tgisinternal;

CREATE TEMP TABLE contract (table_name text, fires text, function_name text);
INSERT INTO contract VALUES
	('workflows', 'BEFORE UPDATE ROW', 'amelia_internal.enforce_workflow_update'),
	('workflows', 'AFTER DELETE ROW', 'amelia_internal.keep_history'),
	('workflows', 'BEFORE TRUNCATE STATEMENT', 'amelia_internal.keep_history'),
	('workflows', 'AFTER UPDATE ROW', 'amelia_internal.end_lease'),
	('workflows', 'AFTER UPDATE ROW', 'amelia_internal.unpark_next'),
	('workflows', 'AFTER DELETE ROW', 'amelia_internal.unpark_next'),
	('workflows', 'AFTER INSERT ROW', 'amelia_internal.note_status'),
	('workflows', 'AFTER UPDATE ROW', 'amelia_internal.note_status'),
	('workflow_log', 'AFTER INSERT ROW', 'amelia_internal.note_event'),
	('workflow_log', 'AFTER UPDATE ROW', 'amelia_internal.fence_workflow'),
		('workflow_log', 'BEFORE DELETE ROW', 'amelia_internal.fence_workflow'),
		('workflow_inbox', 'BEFORE DELETE UPDATE ROW', 'amelia_internal.fence_workflow'),
		('workflow_inbox', 'BEFORE INSERT ROW', 'amelia_internal.fence_workflow'),
	('token_usage', 'BEFORE INSERT DELETE UPDATE ROW', 'amelia_internal.fence_workflow'),
	('workflow_prompt_versions', 'BEFORE INSERT DELETE UPDATE ROW', 'amelia_internal.fence_workflow'),
	('workflow_threads', 'BEFORE INSERT DELETE UPDATE ROW', 'amelia_internal.fence_workflow'),
	('workflow_log', 'BEFORE INSERT ROW', 'amelia_internal.allocate_sequence'),
	('workflow_log', 'BEFORE UPDATE ROW', 'amelia_internal.keep_sequence'),
	('workflow_log', 'AFTER DELETE STATEMENT', 'amelia_internal.raise_sequence_floor'),
	('workflow_log', 'BEFORE TRUNCATE STATEMENT', 'amelia_internal.raise_sequence_floor'),
	('brainstorm_messages', 'BEFORE INSERT ROW', 'amelia_internal.allocate_sequence'),
	('brainstorm_messages', 'BEFORE UPDATE ROW', 'amelia_internal.keep_sequence'),
	('brainstorm_messages', 'AFTER DELETE STATEMENT', 'amelia_internal.raise_sequence_floor'),
	('brainstorm_messages', 'BEFORE TRUNCATE STATEMENT', 'amelia_internal.raise_sequence_floor'),
	('brainstorm_sessions', 'BEFORE UPDATE ROW', 'amelia_internal.keep_sequence_floor'),
	('brainstorm_sessions', 'BEFORE UPDATE ROW', 'amelia_internal.touch_updated_at'),
	('profiles', 'BEFORE UPDATE ROW', 'amelia_internal.touch_updated_at'),
	('server_settings', 'BEFORE UPDATE ROW', 'amelia_internal.touch_updated_at'),
	('token_usage', 'BEFORE INSERT DELETE UPDATE ROW', 'amelia_internal.mark_usage_day'),
	('token_usage', 'BEFORE TRUNCATE STATEMENT', 'amelia_internal.mark_usage_day'),
	('usage_history', 'AFTER DELETE ROW', 'amelia_internal.mark_history_day'),
	('usage_history', 'BEFORE TRUNCATE STATEMENT', 'amelia_internal.mark_history_day'),
	('workflows', 'BEFORE UPDATE ROW', 'amelia_internal.check_workflow_budgets'),
	('budgets', 'AFTER INSERT UPDATE ROW', 'amelia_internal.begin_budget');
SELECT set_eq('SELECT a.table_name, a.fires, a.function_name FROM actual AS a WHERE a.enabled IN (''O'', ''A'')',
	'TABLE contract', 'the triggers, all of them on');
SELECT set_eq($$
	SELECT p.oid::regproc::text FROM pg_proc AS p
	WHERE p.pronamespace IN ('amelia'::regnamespace, 'amelia_internal'::regnamespace) AND p.prorettype = 'trigger'::regtype
		-- fence_checkpoints() puts it where it belongs
		AND p.proname <> 'fence_thread'
$$, 'SELECT c.function_name FROM contract AS c UNION ALL SELECT ''amelia_internal.spend_budgets''',
	'no trigger function is without its trigger, save one');
SAVEPOINT without_budgets;
INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'day', 1, 'warn');
SELECT set_eq($$
	SELECT a.table_name, a.fires FROM actual AS a WHERE a.function_name = 'amelia_internal.spend_budgets' AND a.enabled = 'O'
$$, $$VALUES ('token_usage', 'AFTER INSERT STATEMENT')$$, '… that comes with the first budget');
ROLLBACK TO SAVEPOINT without_budgets;
SELECT is_empty('SELECT a.table_name, a.trigger_name FROM actual AS a WHERE a.trigger_name NOT LIKE ''zzz\_%''
	AND NOT (a.fires = ''AFTER DELETE ROW'' AND a.trigger_name < ''RI_'' COLLATE "C")',
	'triggers fire in the order of their names, ours last, or first where a foreign key takes rows along');

-- verify() notices each one that is off, or gone.
CREATE FUNCTION pg_temp.noticed(change text, object text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	seen boolean;
BEGIN
	EXECUTE change;
	seen := EXISTS (SELECT FROM amelia.verify() AS v WHERE v.object = noticed.object);
	RAISE EXCEPTION 'undo' USING ERRCODE = 'TT000';
EXCEPTION WHEN SQLSTATE 'TT000' THEN
	RETURN seen;
END
$$;
SELECT ok(pg_temp.noticed(format(c.change, a.table_name, a.trigger_name), format('%s on %s', a.trigger_name, a.table_name)),
	format('verify() notices: ' || c.change, a.table_name, a.trigger_name))
FROM actual AS a, (VALUES ('ALTER TABLE amelia.%I DISABLE TRIGGER %I'), ('ALTER TABLE amelia.%I ENABLE REPLICA TRIGGER %I'),
	('DROP TRIGGER %2$I ON amelia.%1$I')) AS c (change);
SELECT ok(pg_temp.noticed(format('ALTER TABLE amelia.%I ALTER COLUMN id DROP DEFAULT', t.name), t.name || '.id'),
	format('verify() notices that %s.id has no default', t.name))
FROM unnest(ARRAY['workflows', 'workflow_log', 'token_usage', 'model_prices', 'budgets']) AS t (name);
SELECT is_empty('SELECT v.* FROM amelia.verify() AS v', '… and nothing when all is well');

-- Called in any other way they refuse.
SELECT throws_ok(format('SELECT %s()', f.name), '39P01', NULL, f.name || '() is for triggers only')
FROM (SELECT DISTINCT c.function_name AS name FROM contract AS c) AS f;
CREATE TEMP TABLE elsewhere (id integer, updated_at timestamptz);
CREATE TRIGGER wrong_event AFTER INSERT ON elsewhere FOR EACH ROW EXECUTE FUNCTION amelia_internal.touch_updated_at();
SELECT throws_ok('INSERT INTO elsewhere VALUES (1, now())', '39P01', NULL, '… and for the kind that they are made for');

-- A user's trigger that appends to the same workflow is numbered first.
CREATE SCHEMA contract_user;
CREATE FUNCTION contract_user.announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.event_type = 'task_started' THEN
		PERFORM amelia.append_event(NEW.workflow_id, 'announced', 'a task starts');
		NEW.message := 'seen: ' || NEW.message;
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER announce BEFORE INSERT ON amelia.workflow_log
	FOR EACH ROW EXECUTE FUNCTION contract_user.announce();
INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES ('00000000-0000-0000-0000-000000000001', 'A-1', '/w');
SELECT is(amelia.append_event('00000000-0000-0000-0000-000000000001', 'task_started', 'one'), 2,
	'append_event() counts what a trigger appended');
INSERT INTO amelia.workflow_log (workflow_id, event_type, message)
VALUES ('00000000-0000-0000-0000-000000000001', 'task_started', 'two'),
	('00000000-0000-0000-0000-000000000001', 'task_started', 'three');
SELECT is(amelia.append_events('00000000-0000-0000-0000-000000000001',
		'[{"event_type": "task_completed", "message": "four"}, {"event_type": "task_completed", "message": "five"}]'),
	'[7,9)'::int4range, 'append_events() goes on from there');
SELECT results_eq('SELECT l.sequence, l.event_type, l.message FROM amelia.workflow_log AS l ORDER BY l.sequence', $$
	VALUES (1, 'announced', 'a task starts'), (2, 'task_started', 'seen: one'),
		(3, 'announced', 'a task starts'), (4, 'task_started', 'seen: two'),
		(5, 'announced', 'a task starts'), (6, 'task_started', 'seen: three'),
		(7, 'task_completed', 'four'), (8, 'task_completed', 'five')
$$, 'no gap, no duplicate, and what the trigger made of the row');
DROP TRIGGER announce ON amelia.workflow_log;

-- An event's number and place stay.
SELECT throws_ok($$UPDATE amelia.workflow_log SET sequence = 100 WHERE sequence = 1$$, '55000', NULL, 'sequence stays');
SELECT throws_ok($$UPDATE amelia.workflow_log SET id = gen_random_uuid() WHERE sequence = 1$$, '55000', NULL, 'id stays');
INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES ('00000000-0000-0000-0000-000000000002', 'A-2', '/w');
SELECT throws_ok($$UPDATE amelia.workflow_log SET workflow_id = '00000000-0000-0000-0000-000000000002' WHERE sequence = 1$$,
	'55000', NULL, 'workflow_id stays');
SELECT lives_ok($$UPDATE amelia.workflow_log SET sequence = sequence, data = '{}' WHERE sequence = 1$$, 'data may change');

-- A number is never given twice, whoever deletes.
DELETE FROM amelia.workflow_log WHERE sequence > 6;
SELECT results_eq('SELECT w.sequence_floor, w.events_removed FROM amelia.workflows AS w WHERE w.issue_id = ''A-1''',
	'VALUES (8, 2::bigint)', 'deleted events are counted, and their numbers are kept');
SELECT is(amelia.append_event('00000000-0000-0000-0000-000000000001', 'file_created', 'm'), 9, '… and not given again');
TRUNCATE amelia.workflow_log;
SELECT results_eq('SELECT w.sequence_floor, w.events_removed FROM amelia.workflows AS w WHERE w.issue_id = ''A-1''',
	'VALUES (9, 9::bigint)', 'TRUNCATE, too');
SELECT is(amelia.append_event('00000000-0000-0000-0000-000000000001', 'file_created', 'm'), 10, '… is no way around');
SELECT throws_ok($$UPDATE amelia.workflows SET sequence_floor = 0 WHERE issue_id = 'A-1'$$, '55000', NULL,
	'sequence_floor is never lowered');
SELECT throws_ok($$UPDATE amelia.workflows SET events_removed = 0 WHERE issue_id = 'A-1'$$, '55000', NULL,
	'nor is events_removed');
SELECT is_empty('SELECT v.* FROM amelia.verify() AS v', 'verify() knows what was removed');

-- Which numbers were allocated is noted. What a restore brings is kept as it is.
INSERT INTO amelia.workflow_log (workflow_id, sequence, event_type, message)
VALUES ('00000000-0000-0000-0000-000000000001', 20, 't', 'brought');
INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence_allocated)
VALUES ('00000000-0000-0000-0000-000000000001', 't', 'allocated', false);
INSERT INTO amelia.workflow_log (workflow_id, sequence, event_type, message, sequence_allocated)
VALUES ('00000000-0000-0000-0000-000000000001', 22, 't', 'restored', true);
SELECT results_eq($$
	SELECT l.sequence, l.sequence_allocated FROM amelia.workflow_log AS l WHERE l.event_type = 't' ORDER BY l.sequence
$$, 'VALUES (20, false), (21, true), (22, true)', 'sequence_allocated');
SELECT is_empty('SELECT v.* FROM amelia.verify() AS v', 'a gap before a number that a client brought is none');

-- The same for the messages of a chat.
INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('p', '/', '{}');
INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s', 'p');
INSERT INTO amelia.brainstorm_messages (id, session_id, role, content)
SELECT g::text, 's', 'user', 'c' FROM generate_series(1, 5) AS g;
SELECT throws_ok($$UPDATE amelia.brainstorm_messages SET sequence = 100 WHERE id = '1'$$, '55000', NULL,
	'a message''s sequence stays');
DELETE FROM amelia.brainstorm_messages WHERE id >= '4';
SELECT is((amelia.add_brainstorm_message('s', 'user', 'c')).sequence, 6, 'nor is a message''s number given twice');
SELECT throws_ok('UPDATE amelia.brainstorm_sessions SET sequence_floor = 0', '55000', NULL, 'its floor stays as well');
TRUNCATE amelia.brainstorm_messages;
SELECT is((amelia.add_brainstorm_message('s', 'user', 'c')).sequence, 7, 'after a TRUNCATE, too');

SELECT * FROM finish();
ROLLBACK;
