-- Executions: from step to step, by functions and by plain statements.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\set platform :abs_srcdir '/platform.psql'
\i :helpers
\i :platform
SET search_path = amelia_platform, public;
SELECT count(register_agent('a' || n, 'master_operator', '["sql"]', id => t.a(n))) FROM generate_series(1, 2) AS n;
-- A definition in short, see platform_definitions; conditions and actions come by step.
CREATE FUNCTION t.def(steps text, extra jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
SELECT jsonb_build_object('steps', jsonb_agg(jsonb_build_object('step_id', p.part[1], 'step_type', p.part[2],
	'next_steps', CASE WHEN p.part[3] <> '' THEN to_jsonb(string_to_array(p.part[3], ',')) ELSE '[]' END)
	|| COALESCE(extra -> p.part[1], '{}') ORDER BY s.place))
FROM regexp_split_to_table(steps, '; ') WITH ORDINALITY AS s (step, place),
	LATERAL regexp_match(s.step, '^(\S+) (\w+)>?(\S*)$') AS p (part)
$$;
-- Where an execution is: each step's status, in the definition's order; and its own.
CREATE FUNCTION t.steps(n integer) RETURNS text
LANGUAGE sql AS $$
SELECT e.status || ' ' || e.current_step || ': ' || string_agg(concat_ws(' ', s.step_id, s.status, NULLIF('>' || array_to_string(s.taken, ','), '>')), '; ' ORDER BY d.ordinality)
	|| COALESCE('; ' || e.error_message, '')
FROM amelia_platform.workflow_executions AS e, jsonb_array_elements(e.definition -> 'steps') WITH ORDINALITY AS d,
	amelia_platform.execution_steps AS s
WHERE e.id = t.x(n) AND s.execution_id = e.id AND s.step_id = d.value ->> 'step_id'
GROUP BY e.id
$$;
-- An agent claims what there is and completes it with a result.
CREATE FUNCTION t.work(result jsonb DEFAULT '{}') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	task record;
BEGIN
	SELECT c.id, c.lease_token, c.step_id INTO task FROM amelia_platform.claim_task(t.a(1), '1 day') AS c;
	IF FOUND THEN
		PERFORM amelia_platform.complete_task(task.id, task.lease_token, result);
	END IF;
	RETURN task.step_id;
END
$$;

-- One step after the other: what the task is made of, and where results go.
SELECT count(create_workflow('line', t.def('plan task>write; write task>check; check wait>done; done end', format('{"plan": {"actions": [{"title": "Plan it", "description": "well",
	"priority": "urgent", "required_capabilities": ["sql"], "max_attempts": 5, "deadline_seconds": 3600, "agent_id": "%s", "tool": "x"}, {"second": true}]}}', t.a(1))::jsonb), id => t.f(1)));
SELECT status, current_step, context_data, result_data, t.n(started_by) AS started_by, version, completed_at
FROM start_execution(t.f(1), '{"issue": 7}', t.a(2), t.x(1));
SELECT status FROM start_execution(t.f(1), '{"issue": 7}', t.a(2), t.x(1));
SELECT title, description, status, priority, t.n(assigned_agent_id) AS agent, t.n(workflow_id) AS workflow, step_order, required_capabilities, max_attempts,
	deadline > now() AS has_deadline, t.n(execution_id) AS execution, step_id, context_data FROM tasks;
SELECT t.steps(1);
SELECT t.work('{"steps": 3}');
SELECT t.steps(1);
SELECT title, priority, context_data FROM tasks WHERE step_id = 'write';
SELECT t.work('{"lines": 10}');
SELECT t.steps(1);
SELECT t.work();
SELECT status, context_data, result_data, completed_at IS NOT NULL AS ended FROM advance_execution(t.x(1), 'check', '{"good": true}');
SELECT t.steps(1);
-- Sent again it is harmless, with another result or at another step it is not.
SELECT status FROM advance_execution(t.x(1), 'check', '{"good": true}');
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT advance_execution(t.x(1), 'check', '{"good": false}')$$,
	$$SELECT advance_execution(t.x(1), 'nowhere')$$,
	$$SELECT advance_execution(t.x(9), 'check')$$,
	$$SELECT advance_execution(NULL, 'check')$$,
	$$SELECT advance_execution(t.x(1), NULL)$$,
	$$SELECT advance_execution(t.x(1), 'check', NULL)$$,
	$$SELECT advance_execution(t.x(1), 'check', '1')$$,
	$$SELECT start_execution(t.f(1), '{"issue": 8}', id => t.x(1))$$,
	$$SELECT start_execution(NULL)$$,
	$$SELECT start_execution(t.f(9))$$,
	$$SELECT start_execution(t.f(1), NULL)$$,
	$$SELECT start_execution(t.f(1), '[]')$$,
	$$SELECT start_execution(t.f(1), '{}', t.a(9))$$,
	$$SELECT cancel_execution(t.x(1))$$,
	$$SELECT cancel_execution(t.x(9))$$,
	$$SELECT cancel_execution(NULL)$$,
	$$SELECT fail_execution(t.x(1), 'x')$$,
	$$SELECT fail_execution(t.x(1), NULL)$$,
	$$SELECT fail_execution(NULL, 'x')$$,
	$$UPDATE workflow_executions SET status = 'running' WHERE id = t.x(1)$$,
	$$UPDATE workflow_executions SET definition = '{}' WHERE id = t.x(1)$$,
	$$UPDATE workflow_executions SET workflow_id = t.f(9) WHERE id = t.x(1)$$,
	$$UPDATE workflow_executions SET status = NULL WHERE id = t.x(1)$$);
SELECT regexp_replace(t.error($$UPDATE tasks SET execution_id = NULL WHERE step_id = 'plan'$$), 'task [0-9a-f-]+', 'task ID') AS error;
SELECT t.digest() = :'before' AS nothing_stored;

-- Conditions: the first of next_steps that can be entered.
CREATE FUNCTION t.holds(op text, value jsonb, context jsonb, path text DEFAULT 'a') RETURNS boolean
LANGUAGE sql AS $$SELECT amelia_internal.platform_holds(jsonb_build_array(jsonb_build_object('path', path, 'op', op, 'value', value)), context)$$;
SELECT x.op, x.value, x.context, t.holds(x.op, x.value, x.context)
FROM (VALUES ('eq', '1', '{"a": 1.0}'), ('eq', '1', '{"a": "1"}'), ('eq', 'null', '{"a": null}'), ('eq', 'null', '{}'), ('eq', '{"x": [1]}', '{"a": {"x": [1]}}'),
	('ne', '1', '{"a": 2}'), ('ne', '1', '{"a": 1}'), ('ne', '1', '{}'),
	('lt', '10', '{"a": 9}'), ('lt', '10', '{"a": "9"}'), ('lt', '10', '{}'), ('le', '9', '{"a": 9}'), ('gt', '"b"', '{"a": "c"}'), ('ge', '[1]', '{"a": [2]}'), ('ge', '1e3', '{"a": 1000}'),
	('in', '[1, "x"]', '{"a": "x"}'), ('in', '[1, "x"]', '{"a": 2}'), ('in', '[]', '{}'),
	('contains', '"ell"', '{"a": "hello"}'), ('contains', '2', '{"a": [1, 2]}'), ('contains', '{"x": 1}', '{"a": {"x": 1, "y": 2}}'), ('contains', '3', '{"a": [1, 2]}'), ('contains', '"x"', '{}'),
	('exists', 'true', '{"a": null}'), ('exists', 'true', '{}'), ('exists', 'false', '{}'), ('exists', 'false', '{"a": 1}')) AS v (op, v, c),
	LATERAL (SELECT v.op, v.v::jsonb, v.c::jsonb) AS x (op, value, context);
SELECT t.holds('eq', '5', '{"a": {"b": [{"c": 5}]}}', 'a.b.0.c') AS deep, t.holds('eq', '5', '{"a.b": 5}', 'a.b') AS no_dots,
	amelia_internal.platform_holds('[]', '{}') AS none, amelia_internal.platform_holds('[{"path": "a", "op": "exists"}, {"path": "b", "op": "exists"}]', '{"a": 1}') AS both;
SELECT count(create_workflow('choice', t.def('look task>which; which decision>big,small,other; big task>done; small task>done; other task>done; done end',
	'{"big": {"conditions": [{"path": "look.size", "op": "gt", "value": 100}]}, "small": {"conditions": [{"path": "look.size", "op": "le", "value": 100}, {"path": "fast", "op": "eq", "value": true}]}}'), id => t.f(2)));
SELECT count(start_execution(t.f(2), jsonb_build_object('fast', n = 2), id => t.x(10 + n))) FROM generate_series(1, 3) AS n;
UPDATE tasks AS k SET status = 'completed', result_data = jsonb_build_object('size', CASE t.n(k.execution_id) WHEN 11 THEN 101 ELSE 5 END) WHERE step_id = 'look';
SELECT t.steps(11) UNION ALL SELECT t.steps(12) UNION ALL SELECT t.steps(13);
UPDATE tasks SET status = 'completed', result_data = '{"ok": true}' WHERE status = 'pending' AND execution_id IN (t.x(11), t.x(12), t.x(13));
SELECT t.steps(11) UNION ALL SELECT t.steps(12) UNION ALL SELECT t.steps(13);
SELECT result_data FROM workflow_executions WHERE id = t.x(12);
-- None can be entered: the execution fails, and says why.
SELECT count(create_workflow('stuck', t.def('a task>b; b task>c; c end', '{"b": {"conditions": [{"path": "a.go", "op": "eq", "value": true}]}}'), id => t.f(3)));
SELECT count(start_execution(t.f(3), id => t.x(20)));
SELECT t.work();
SELECT t.steps(20);

SELECT count(create_workflow('gate', t.def('a task>b; b end', '{"a": {"conditions": [{"path": "go", "op": "eq", "value": true}]}}'), id => t.f(20)));
SELECT count(start_execution(t.f(20), jsonb_build_object('go', n = 1), id => t.x(200 + n))) FROM generate_series(1, 2) AS n;
SELECT t.steps(201) UNION ALL SELECT t.steps(202);
-- Sent again it is the same context, but for what the steps have brought.
SELECT status FROM advance_execution(t.x(201), 'a', '{"go": 1}');
SELECT status FROM start_execution(t.f(20), '{"go": true}', id => t.x(201));
SELECT * FROM t.errors(
	format('SELECT start_execution(%L, %L, id => %L)', t.f(20), '{}', t.x(201)),
	format('SELECT start_execution(%L, %L, id => %L)', t.f(20), '{"go": true, "more": 1}', t.x(201)));
SELECT status FROM start_execution(t.f(20), '{"go": true, "a": 7}', id => t.x(203));
SELECT status FROM advance_execution(t.x(203), 'a', '{"go": 1}');
SELECT status FROM start_execution(t.f(20), '{"go": true, "a": 7}', id => t.x(203));
-- A join's conditions are about all that comes to it, whatever comes first.
SELECT count(create_workflow('meet', t.def('p parallel>a,b; a wait>j; b wait>j; j join>e; e end', '{"j": {"conditions": [{"path": "b.ok", "op": "eq", "value": true}]}}'), id => t.f(21)));
SELECT count(start_execution(t.f(21), id => t.x(210 + n))) FROM generate_series(1, 3) AS n;
SELECT count(advance_execution(t.x(211), 'a')), count(advance_execution(t.x(212), 'b', '{"ok": true}')), count(advance_execution(t.x(213), 'a'));
SELECT count(advance_execution(t.x(211), 'b', '{"ok": true}')), count(advance_execution(t.x(212), 'a')), count(advance_execution(t.x(213), 'b', '{"ok": false}'));
SELECT t.steps(211) UNION ALL SELECT t.steps(212) UNION ALL SELECT t.steps(213);
-- Nobody takes a step back by hand.
SELECT * FROM t.errors(
	format('UPDATE execution_steps SET status = %L WHERE execution_id = %L AND step_id = %L', 'running', t.x(211), 'a'),
	format('UPDATE execution_steps SET step_id = %L WHERE execution_id = %L AND step_id = %L', 'z', t.x(211), 'a'));

-- Parallel branches run at once, a join waits for them, whatever the order; what cannot be reached is skipped.
SELECT count(create_workflow('fork', t.def('fork parallel>a,b,c; a task>a2; a2 task>j; b decision>b1,b2; b1 task>j; b2 end; c wait>j; j join>last; last task>done; done end',
	'{"b1": {"conditions": [{"path": "both", "op": "eq", "value": true}]}, "c": {"conditions": [{"path": "c", "op": "exists", "value": true}]}}'), id => t.f(4)));
SELECT count(start_execution(t.f(4), '{"both": true, "c": 1}', id => t.x(30)));
SELECT t.steps(30);
SELECT t.work('{"n": 1}'), t.work('{"n": 2}');
SELECT t.steps(30);
SELECT t.work('{"n": 3}');
SELECT t.steps(30);
SELECT status FROM advance_execution(t.x(30), 'c', '{"n": 4}');
SELECT t.steps(30);
SELECT t.work('{"n": 5}');
SELECT t.steps(30), context_data, result_data FROM workflow_executions WHERE id = t.x(30);
SELECT count(start_execution(t.f(4), '{"both": false}', id => t.x(31)));
SELECT t.steps(31);
SELECT t.work(), t.work(), t.work();
SELECT t.steps(31);
-- Two ways lead to one step that is no join: it runs once.
SELECT count(create_workflow('merge', t.def('p parallel>a,b; a task>m; b task>m; m task>e; e end'), id => t.f(5)));
SELECT count(start_execution(t.f(5), id => t.x(32)));
SELECT t.work('{"of": 1}');
SELECT t.steps(32);
SELECT t.work(), t.work();
SELECT t.steps(32), (SELECT count(*) FROM tasks WHERE step_id = 'm') AS tasks;
-- Begun, advanced and ended in one call.
SELECT count(create_workflow('nothing', t.def('d decision>e; e end'), id => t.f(6)));
SELECT status, current_step, result_data FROM start_execution(t.f(6), id => t.x(33));

-- What is pinned does not change.
SELECT count(start_execution(t.f(1), id => t.x(40)));
SELECT version FROM set_workflow_definition(t.f(1), t.def('only task>done; done end'));
SELECT t.work('{}'), t.work('{}');
SELECT t.steps(40), version FROM workflow_executions WHERE id = t.x(40);
SELECT version, t.steps(41) FROM start_execution(t.f(1), id => t.x(41));

-- Failed and cancelled: by a task, by hand, by a plain UPDATE; what is left goes too.
SELECT count(start_execution(t.f(5), id => t.x(50 + n))) FROM generate_series(1, 6) AS n;
SELECT step_id, status FROM cancel_task((SELECT id FROM tasks WHERE execution_id = t.x(51) AND step_id = 'a'), 'no money');
UPDATE tasks SET status = 'failed', error_message = 'broken' WHERE execution_id = t.x(52) AND step_id = 'b';
SELECT status, error_message, completed_at IS NOT NULL AS ended FROM cancel_execution(t.x(53), 'enough');
SELECT status FROM cancel_execution(t.x(53));
SELECT status, error_message FROM fail_execution(t.x(54), 'the disk is full');
UPDATE workflow_executions SET status = 'cancelled' WHERE id = t.x(55);
SELECT t.steps(n) FROM generate_series(51, 55) AS n;
SELECT t.n(execution_id) AS execution, step_id, status, error_message FROM tasks WHERE execution_id BETWEEN t.x(51) AND t.x(55) ORDER BY 1, 2;
SELECT * FROM t.errors(
	$$UPDATE workflow_executions SET status = 'completed' WHERE id = t.x(56)$$,
	$$SELECT advance_execution(t.x(53), 'a')$$,
	$$SELECT fail_execution(t.x(53), 'x')$$,
	$$SELECT cancel_execution(t.x(54))$$);
SELECT regexp_replace(t.error($$DELETE FROM tasks WHERE execution_id = t.x(56)$$), 'task [0-9a-f-]+ belongs to step "[ab]"', 'task ID') AS error;
-- One that fails is tried again, as often as the step says.
UPDATE tasks SET priority = 'urgent' WHERE execution_id = t.x(56) AND step_id = 'a';
SELECT f.status, f.attempts FROM claim_task(t.a(1), '1 day') AS c, LATERAL fail_task(c.id, c.lease_token, 'once', '0 s') AS f;
SELECT f.status, f.attempts FROM claim_task(t.a(1), '1 day') AS c, LATERAL fail_task(c.id, c.lease_token, 'twice', '0 s') AS f;
SELECT f.status, f.attempts FROM claim_task(t.a(1), '1 day') AS c, LATERAL fail_task(c.id, c.lease_token, 'thrice', '0 s') AS f;
SELECT t.steps(56);
-- A task that cannot be made fails the execution, and not what was done before.
ALTER TABLE tasks ADD CONSTRAINT ours CHECK (title <> 'm') NOT VALID;
SELECT status FROM cancel_execution(t.x(41));
SELECT count(start_execution(t.f(5), id => t.x(57)));
SELECT t.work('{"kept": true}');
SELECT t.steps(57), context_data FROM workflow_executions WHERE id = t.x(57);
SELECT step_id, status, result_data FROM tasks WHERE execution_id = t.x(57) ORDER BY 1;
ALTER TABLE tasks DROP CONSTRAINT ours;

-- Plain statements: a row begins to run, one that brings its definition is history, and a draft does not run.
INSERT INTO workflow_executions (id, workflow_id, context_data, started_by) VALUES (t.x(60), t.f(5), '{"plain": 1}', t.a(1));
INSERT INTO workflow_executions (id, workflow_id, definition, version, status) VALUES (t.x(61), t.f(5), '{"steps": []}', 1, 'completed');
SELECT t.steps(60), (SELECT count(*) FROM execution_steps WHERE execution_id = t.x(61)) AS of_history;
INSERT INTO workflows (id, name, definition) VALUES (t.f(7), 'draft', t.def('a end'));
UPDATE workflows SET status = 'paused' WHERE id = t.f(6);
SELECT * FROM t.errors(
	$$INSERT INTO workflow_executions (workflow_id) VALUES (t.f(7))$$,
	$$SELECT start_execution(t.f(6))$$,
	$$INSERT INTO workflow_executions (workflow_id) VALUES (t.f(9))$$,
	$$INSERT INTO workflow_executions (workflow_id, status) VALUES (t.f(5), NULL)$$);
-- Deleted with its workflow, while it runs.
DELETE FROM workflows WHERE id = t.f(5);
SELECT count(*) AS left FROM workflow_executions WHERE workflow_id = t.f(5);
SELECT * FROM verify();

-- A hundred steps: a line, ten branches of nine, each done in an order that nobody planned.
SELECT count(create_workflow('hundred', t.def('p parallel>' || (SELECT string_agg(format('b%s_1', b), ',') FROM generate_series(1, 10) AS b) || '; '
	|| (SELECT string_agg(format('b%s_%s task>%s', b, s, CASE s WHEN 9 THEN 'j' ELSE format('b%s_%s', b, s + 1) END), '; ') FROM generate_series(1, 10) AS b, generate_series(1, 9) AS s)
	|| '; j join>l1; ' || (SELECT string_agg(format('l%s task>%s', n, CASE n WHEN 7 THEN 'e' ELSE 'l' || n + 1 END), '; ') FROM generate_series(1, 7) AS n) || '; e end'), id => t.f(8)));
DELETE FROM tasks WHERE execution_id IS NULL;
SELECT count(start_execution(t.f(8), id => t.x(70)));
DO $$
DECLARE
	one uuid;
	number integer := 0;
BEGIN
	LOOP
		SELECT k.id INTO one FROM amelia_platform.tasks AS k WHERE k.execution_id = t.x(70) AND k.status = 'pending'
		ORDER BY md5(k.step_id || number) LIMIT 1;
		EXIT WHEN NOT FOUND;
		number := number + 1;
		UPDATE amelia_platform.tasks SET status = 'completed', result_data = jsonb_build_object('number', number) WHERE id = one;
	END LOOP;
END
$$;
SELECT e.status, e.current_step, (SELECT count(*) FROM execution_steps AS s WHERE s.execution_id = e.id AND s.status = 'completed') AS completed,
	(SELECT count(*) FROM tasks AS k WHERE k.execution_id = e.id) AS tasks, (SELECT count(*) FROM jsonb_object_keys(e.context_data)) AS results, e.result_data
FROM workflow_executions AS e WHERE e.id = t.x(70);
SELECT bool_and(a.completed_at <= b.started_at) AS in_order, count(*) FROM execution_steps AS a JOIN execution_steps AS b ON b.execution_id = a.execution_id AND b.step_id = ANY (a.taken)
WHERE a.execution_id = t.x(70) AND b.step_id <> 'j';
SELECT * FROM verify();

-- By hand, with a list that is counted from 5.
BEGIN;
SET LOCAL statement_timeout = '5min';
SELECT amelia_internal.platform_run(t.x(70), '{}', '[5:6]={p,b1_1}');
ROLLBACK;
