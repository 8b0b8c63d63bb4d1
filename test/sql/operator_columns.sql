-- An operator adds columns to every table, while sessions have called every
-- function before: all go on, and give the new columns.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

-- One round of everything; n keeps the rounds apart. It says what is wrong.
CREATE FUNCTION t.round(n integer) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
	w CONSTANT uuid := t.w(n);
	statement text;
	problem text;
	count bigint;
	version text;
BEGIN
	INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('work' || n, '/work', '{}');
	INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s' || n, 'work' || n);
	FOREACH statement IN ARRAY ARRAY[
		format('SELECT id FROM amelia.create_workflow(%L, %L, id => %L)', 'I-' || n, '/w' || n, w),
		format('SELECT id FROM amelia.create_workflow(%L, %L, id => %L)', 'I-' || n, '/w' || n, w),
		format('SELECT id FROM amelia.set_workflow_status(%L, %L)', w, 'in_progress'),
		format('UPDATE amelia.workflows SET status = %L WHERE id = %L RETURNING id', 'blocked', w),
		format('SELECT amelia.set_plan_cache(%L, %L)', w, '{}'),
		format('SELECT id FROM amelia.get_workflow(%L)', w),
		format('SELECT id FROM amelia.active_workflow(%L)', '/w' || n),
		format('SELECT id FROM amelia.list_workflows(worktree_path => %L)', '/w' || n),
		format('SELECT id FROM amelia.list_active_workflows(%L)', '/w' || n),
		format('SELECT amelia.append_event(%L, %L, %L, id => %L)', w, 'x', 'm', t.e(n)),
		format('SELECT amelia.append_event(%L, %L, %L, id => %L)', w, 'x', 'm', t.e(n)),
		format('SELECT amelia.append_events(%L, %L)', w, '[{"event_type": "x", "message": "m"}, {"event_type": "x", "message": "m"}]'),
		format('INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (%L, %L, %L) RETURNING id', w, 'x', 'm'),
		format('SELECT amelia.next_sequence(%L)', w),
		format('SELECT id FROM amelia.events_after(%L, 5)', w),
		format('SELECT id FROM amelia.events_after_event((SELECT id FROM amelia.workflow_log WHERE workflow_id = %L AND sequence = 5))', w),
		format('SELECT id FROM amelia.recent_events(%L, 1)', w),
		format('DELETE FROM amelia.workflow_log WHERE workflow_id = %L AND sequence = 6 RETURNING id', w),
		format('SELECT amelia.record_usage(%L, %L, %L, 1, 1, cost_usd => 1, id => %L)', w, 'a', 'm', t.u(n)),
		format('SELECT amelia.record_usage(%L, %L, %L, 1, 1, cost_usd => 1, id => %L)', w, 'a', 'm', t.u(n)),
		format('SELECT total_turns FROM amelia.token_summary(%L)', w),
		format('SELECT amelia.seed_prompts(%L)', format('[{"id": "p%s", "agent": "a", "name": "n"}]', n)),
		format('SELECT id FROM amelia.create_prompt_version(%L, %L)', 'p' || n, 'c'),
		format('SELECT id FROM amelia.prompt_history(%L)', 'p' || n),
		format('SELECT id FROM amelia.current_prompt(%L)', 'p' || n),
		format('SELECT amelia.record_workflow_prompt(%L, %L, (SELECT id FROM amelia.prompt_versions WHERE prompt_id = %2$L))', w, 'p' || n),
		format('SELECT prompt_id FROM amelia.workflow_prompts(%L)', w),
		format('SELECT id FROM amelia.set_prompt_version(%L, (SELECT id FROM amelia.prompt_versions WHERE prompt_id = %1$L))', 'p' || n),
		format('SELECT id FROM amelia.reset_prompt(%L)', 'p' || n),
		format('SELECT id FROM amelia.set_active_profile(%L)', 'work' || n),
		'SELECT id FROM amelia.active_profile()',
		'SELECT id FROM amelia.settings()',
		format('SELECT id FROM amelia.update_settings(%L)', format('{"max_concurrent": %s}', n)),
		'SELECT id FROM amelia.settings()',
		format('SELECT id FROM amelia.add_brainstorm_message(%L, %L, %L, id => %L)', 's' || n, 'user', 'c', 'm' || n),
		format('SELECT id FROM amelia.add_brainstorm_message(%L, %L, %L, id => %L)', 's' || n, 'user', 'c', 'm' || n),
		format('SELECT id FROM amelia.brainstorm_messages_after(%L)', 's' || n),
		format('SELECT id FROM amelia.list_brainstorm_sessions(%L)', 'work' || n),
		format('DELETE FROM amelia.brainstorm_messages WHERE session_id = %L RETURNING id', 's' || n),
		format('SELECT status FROM amelia.set_workflow_status(%L, %L)', w, 'cancelled')]
	LOOP
		BEGIN
			EXECUTE statement;
			GET DIAGNOSTICS count = ROW_COUNT;
			IF count <> 1 THEN
				RETURN NEXT format('%s rows: %s', count, statement);
			END IF;
		EXCEPTION WHEN OTHERS THEN
			RETURN NEXT format('%s %s: %s', SQLSTATE, SQLERRM, statement);
		END;
	END LOOP;
	RETURN QUERY SELECT format('%s: %s', v.problem, v.object) FROM amelia.verify() AS v;
END
$$;
SELECT * FROM t.round(1);
SELECT * FROM t.round(2);

-- Columns of every kind, in every table.
DO $$
DECLARE
	relation regclass;
BEGIN
	FOR relation IN SELECT oid FROM pg_class WHERE relnamespace = 'amelia'::regnamespace AND relkind = 'r' LOOP
		EXECUTE format('ALTER TABLE %s ADD COLUMN gone text DEFAULT %L, ADD COLUMN x_note text, ADD COLUMN x_tenant text NOT NULL DEFAULT %L,
			ADD COLUMN x_number integer NOT NULL DEFAULT 7, ADD COLUMN x_twice integer GENERATED ALWAYS AS (14) STORED',
			relation, 'gone', 'nobody');
	END LOOP;
END
$$;
SELECT * FROM t.round(3);
SELECT id, x_note, x_tenant, x_number, x_twice FROM amelia.create_workflow('I-4', '/w4', id => t.w(4));
SELECT status, x_tenant FROM amelia.set_workflow_status(t.w(4), 'in_progress');
SELECT sequence, x_tenant, x_number FROM amelia.events_after(t.w(4));
SELECT x_tenant FROM amelia.list_workflows(row_limit => 1);
SELECT version_number, x_tenant FROM amelia.create_prompt_version('p1', 'c');
SELECT id, x_tenant FROM amelia.set_active_profile('work1');
SELECT sequence, x_tenant FROM amelia.add_brainstorm_message('s1', 'user', 'c');
SELECT max_concurrent, x_tenant FROM amelia.settings();
SELECT max_concurrent, x_number FROM amelia.update_settings('{"max_concurrent": 4}');
-- A client that knows the columns fills them.
INSERT INTO amelia.workflow_log (workflow_id, event_type, message, x_tenant) VALUES (t.w(4), 'x', 'm', 'acme') RETURNING sequence, x_tenant;
UPDATE amelia.workflows SET x_tenant = 'acme' WHERE id = t.w(4) RETURNING x_tenant, updated_at > created_at AS updated;

-- They are dropped again, and leave a hole in each row type.
DO $$
DECLARE
	relation regclass;
BEGIN
	FOR relation IN SELECT oid FROM pg_class WHERE relnamespace = 'amelia'::regnamespace AND relkind = 'r' LOOP
		EXECUTE format('ALTER TABLE %s DROP COLUMN gone, DROP COLUMN x_number', relation);
	END LOOP;
END
$$;
SELECT * FROM t.round(5);
SELECT status, x_tenant FROM amelia.create_workflow('I-6', '/w6', id => t.w(6));
SELECT sequence, x_tenant FROM amelia.events_after(t.w(6));

-- The same from a session that knows nothing of before.
\c -
SELECT * FROM t.round(7);
SELECT amelia.migrate();
SELECT status, x_tenant FROM amelia.create_workflow('I-8', '/w8', id => t.w(8));

-- While there is no row of settings, the operator's columns have no value.
DELETE FROM amelia.server_settings;
SELECT max_concurrent, x_tenant FROM amelia.settings();
