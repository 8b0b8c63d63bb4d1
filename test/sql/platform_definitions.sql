-- Definitions that cannot run: the step's id, the SQLSTATE, and nothing stored.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\set platform :abs_srcdir '/platform.psql'
\i :helpers
\i :platform
SET search_path = amelia_platform, public;
-- A definition in short: "id type>next,next" for each step.
CREATE FUNCTION t.def(steps text) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
SELECT jsonb_build_object('steps', jsonb_agg(jsonb_build_object('step_id', p.part[1], 'step_type', p.part[2],
	'next_steps', CASE WHEN p.part[3] <> '' THEN to_jsonb(string_to_array(p.part[3], ',')) ELSE '[]' END) ORDER BY s.place))
FROM regexp_split_to_table(steps, '; ') WITH ORDINALITY AS s (step, place),
	LATERAL regexp_match(s.step, '^(\S+) (\w+)>?(\S*)$') AS p (part)
$$;
-- What is refused, of a definition and of one whose first step has these keys besides.
CREATE FUNCTION t.refused(steps text) RETURNS text
LANGUAGE sql AS $$SELECT t.error(format('SELECT amelia_platform.create_workflow(''w'', %L)', t.def(steps)))$$;
CREATE FUNCTION t.refused(extra jsonb, type text DEFAULT 'task') RETURNS text
LANGUAGE sql AS $$SELECT t.error(format('SELECT amelia_platform.create_workflow(''w'', %L)', jsonb_build_object('steps', jsonb_build_array(
	jsonb_build_object('step_id', 'first', 'step_type', type, 'next_steps', '["last"]'::jsonb) || extra,
	'{"step_id": "last", "step_type": "end"}'::jsonb))))$$;
SELECT t.digest() AS before \gset

-- No definition at all.
SELECT d, t.error(format('SELECT amelia_platform.create_workflow(''w'', %L)', d)) AS error
FROM unnest(ARRAY[NULL, 'null', '[]', '{}', '{"steps": {}}', '{"steps": []}', '{"steps": [1]}', '{"steps": [{}]}', '{"steps": [{"step_id": 1}]}',
	'{"steps": [{"step_id": ""}]}', '{"steps": [{"step_id": null}]}', '{"steps": [{"step_id": "a"}]}', '{"steps": [{"step_id": "a", "step_type": null}]}',
	'{"steps": [{"step_id": "a", "step_type": "loop"}]}', '{"steps": [{"step_id": "a", "step_type": "end", "next_steps": null}]}']) AS d;
-- Where steps lead.
SELECT s, t.refused(s) AS error FROM unnest(ARRAY[
	'a end',
	'a task>b; b end',
	'a task>b; b end; b end',
	'a task',
	'a task>b; b task',
	'a task>nowhere; b end',
	'a end>a',
	'a task>a; b end',
	'a task>b; b task>a; c end',
	'a task>b; b task>c; c task>d; d decision>b,e; e end',
	'a task>b; b task>c; c decision>d,b; d end',
	'a task>c; b task>c; c end',
	'a task>d; b task>c; c task>b; d end',
	'a task>b,b; b end',
	'a task>j; j join>b; b end',
	'a decision>b,c; b task>j; c task>j; j join>e; e end',
	'a parallel>b,c; b task>j; c end; j join>e; e end',
	'a parallel>b,c; b task>j; c task>j; j join>e; e end',
	'a parallel>j,c; c task>j; j join>e; e end',
	'a parallel>b,c,d; b task>j; c task>j; d end; j join>e; e end',
	'a parallel>b,c; b decision>x,y; x task>j; y task>j; c end; j join>e; e end']) AS s;
-- What is in a step.
SELECT d, t.refused(d) AS error FROM unnest(ARRAY['{"next_steps": "last"}', '{"next_steps": [1]}', '{"next_steps": {"a": 1}}',
	'{"conditions": {}}', '{"conditions": [1]}', '{"conditions": [{}]}', '{"conditions": [{"path": 1, "op": "eq", "value": 1}]}',
	'{"conditions": [{"path": "a", "value": 1}]}', '{"conditions": [{"path": "a", "op": "like", "value": 1}]}', '{"conditions": [{"path": "a", "op": 1, "value": 1}]}',
	'{"conditions": [{"path": "a", "op": "eq"}]}', '{"conditions": [{"path": "a", "op": "in", "value": 1}]}', '{"conditions": [{"path": "a", "op": "exists"}]}',
	'{"actions": {}}', '{"actions": [1]}', '{"actions": [{"title": 1}]}', '{"actions": [{"title": ""}]}', '{"actions": [{"priority": "normal"}]}',
	'{"actions": [{"agent_id": "me"}]}', '{"actions": [{"required_capabilities": "sql"}]}', '{"actions": [{"required_capabilities": [1]}]}',
	'{"actions": [{"max_attempts": 0}]}', '{"actions": [{"max_attempts": 1.5}]}', '{"actions": [{"max_attempts": 9999999999}]}',
	'{"actions": [{"deadline_seconds": -1}]}', '{"actions": [{"deadline_seconds": "soon"}]}', '{"actions": [{"description": null, "tool": {"any": "thing"}}]}']::jsonb[]) AS d;
-- Many steps: a thousand will do, and are checked.
SELECT left(t.refused((SELECT string_agg(format('s%s task>s%s', n, n + 1), '; ' ORDER BY n) || '; s10000 end' FROM generate_series(1, 9999) AS n)), 100) AS error;
SELECT t.refused((SELECT string_agg(format('s%s task>s%s', n, n + 1), '; ' ORDER BY n) || '; s1000 task>s500' FROM generate_series(1, 999) AS n)) AS error;
SELECT t.refused((SELECT 's1 parallel>' || string_agg('s' || n, ',' ORDER BY n) || '; ' || string_agg(format('s%s task>%s', n, CASE n WHEN 997 THEN 'e' ELSE 'j' END), '; ' ORDER BY n)
	|| '; j join>e; e end' FROM generate_series(2, 998) AS n)) AS error;

-- The other arguments.
SELECT * FROM t.errors(
	$$SELECT create_workflow(NULL, t.def('a end'))$$,
	$$SELECT create_workflow('', t.def('a end'))$$,
	$$SELECT create_workflow(repeat('x', 256), t.def('a end'))$$,
	$$SELECT create_workflow('w', t.def('a end'), created_by => t.a(9))$$,
	$$SELECT create_workflow('w', t.def('a end'), tags => NULL)$$,
	$$SELECT create_workflow('w', t.def('a end'), status => NULL)$$,
	$$SELECT create_workflow('w', t.def('a end'), status => 'on')$$);
SELECT count(*) AS stored, count(*) FILTER (WHERE name = 'w') AS good FROM workflows;
DELETE FROM workflows;
SELECT t.digest() = :'before' AS nothing_else_stored;

-- A number that is written with its point is the number.
SELECT version FROM create_workflow('w', '{"steps": [{"step_id": "a", "step_type": "task", "actions": [{"max_attempts": 2.0, "deadline_seconds": 1.5}], "next_steps": ["b"]},
	{"step_id": "b", "step_type": "end"}]}', id => t.f(1));
SELECT status FROM start_execution(t.f(1));
SELECT max_attempts FROM tasks;
DELETE FROM workflows;

-- Changed: another version; sent again; drafts may be anything, and nothing else may.
SELECT t.n(id) AS workflow, name, status, version, tags, created_by FROM create_workflow('w', t.def('a end'), tags => '{x,y}', id => t.f(1));
SELECT version FROM create_workflow('w', t.def('a end'), tags => '{x,y}', id => t.f(1));
SELECT version FROM set_workflow_definition(t.f(1), t.def('a end'));
SELECT version FROM set_workflow_definition(t.f(1), t.def('a task>b; b end'));
INSERT INTO workflows (id, name, definition) VALUES (t.f(2), 'Plan the release', '{"steps": "to be written"}') RETURNING status, version;
UPDATE workflows SET definition = '{}' WHERE id = t.f(2) RETURNING version;
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT create_workflow('other', t.def('a end'), id => t.f(1))$$,
	$$SELECT set_workflow_definition(NULL, t.def('a end'))$$,
	$$SELECT set_workflow_definition(t.f(9), t.def('a end'))$$,
	$$SELECT set_workflow_definition(t.f(1), NULL)$$,
	$$SELECT set_workflow_definition(t.f(1), t.def('a task>a'))$$,
	$$SELECT set_workflow_definition(t.f(2), '{}')$$,
	$$UPDATE workflows SET status = 'active' WHERE id = t.f(2)$$,
	$$UPDATE workflows SET definition = '{}' WHERE id = t.f(1)$$,
	$$UPDATE workflows SET definition = '[]' WHERE id = t.f(2)$$,
	$$INSERT INTO workflows (name, definition, status) VALUES ('x', '{}', 'active')$$,
	$$INSERT INTO workflows (name, definition, status) VALUES ('x', t.def('a end'), 'on')$$,
	$$INSERT INTO workflows (name, definition, status) VALUES ('x', t.def('a end'), NULL)$$);
SELECT t.digest() = :'before' AS nothing_stored;
SELECT t.n(id) AS workflow FROM search_workflows('releases');
SELECT t.n(id) AS workflow FROM search_workflows('plan -release');
SELECT * FROM t.errors($$SELECT search_workflows(NULL)$$, $$SELECT search_workflows('x', -1)$$);
-- An agent that is not there, named with its step, and nothing stored.
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	format('SELECT create_workflow(%L, %L)', 'x', jsonb_build_object('steps', jsonb_build_array(
		jsonb_build_object('step_id', 'a', 'step_type', 'task', 'next_steps', '["b"]'::jsonb, 'actions', jsonb_build_array(jsonb_build_object('agent_id', t.a(99)))),
		jsonb_build_object('step_id', 'b', 'step_type', 'end')))));
SELECT t.digest() = :'before' AS nothing_stored;
