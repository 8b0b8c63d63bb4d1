-- What readers, agents and admins may do, and nobody else.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\set platform :abs_srcdir '/platform.psql'
\i :helpers
\i :platform
SET client_min_messages = warning;
DROP ROLE IF EXISTS p_reader, p_agent, p_admin, p_stranger;
RESET client_min_messages;
CREATE ROLE p_reader;
CREATE ROLE p_agent;
CREATE ROLE p_admin;
CREATE ROLE p_stranger;
SELECT amelia_platform.grant_reader('p_reader'), amelia_platform.grant_agent('p_agent'), amelia_platform.grant_admin('p_admin');
GRANT USAGE ON SCHEMA t TO p_reader, p_agent, p_admin, p_stranger;
SELECT * FROM t.errors(
	$$SELECT amelia_platform.grant_reader(NULL)$$,
	$$SELECT amelia_platform.grant_agent('nobody')$$);
-- Who may what, of tables.
SELECT c.relname AS relation, string_agg(format('%s:%s', left(r.role, 5), p.privileges), ' ' ORDER BY r.place) AS privileges
FROM pg_class AS c, (VALUES (1, 'p_reader'), (2, 'p_agent'), (3, 'p_admin'), (4, 'p_stranger')) AS r (place, role),
	LATERAL (SELECT string_agg(left(v, 1), '') FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS v
		WHERE has_table_privilege(r.role, c.oid, v)) AS p (privileges)
WHERE c.relnamespace = 'amelia_platform'::regnamespace AND c.relkind IN ('r', 'v') AND p.privileges IS NOT NULL
GROUP BY c.relname ORDER BY c.relname;
-- Every function of the schema is granted to one of them, what it calls too, and nothing of amelia's.
SELECT p.oid::regprocedure AS nobodys FROM pg_proc AS p
WHERE p.pronamespace = 'amelia_platform'::regnamespace AND NOT has_function_privilege('p_admin', p.oid, 'EXECUTE')
ORDER BY 1;
SELECT p.oid::regprocedure AS of_amelia FROM pg_proc AS p
WHERE p.pronamespace = 'amelia'::regnamespace AND has_function_privilege('p_admin', p.oid, 'EXECUTE');
SELECT n.nspname, p.proname FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname IN ('amelia_platform', 'amelia_internal') AND has_function_privilege('p_stranger', p.oid, 'EXECUTE');
SELECT g.kind, f.name AS there_is_no FROM amelia_internal.amelia_platform_role_privileges() AS g, unnest(g.functions) AS f (name)
WHERE NOT EXISTS (SELECT FROM pg_proc AS p WHERE p.proname = f.name AND p.pronamespace IN ('amelia_platform'::regnamespace, 'amelia_internal'::regnamespace));

-- An agent host does all that agents do.
SET ROLE p_agent;
SET search_path = amelia_platform, public;
SELECT count(register_agent('a' || n, 'master_operator', '["sql"]', id => t.a(n))) FROM generate_series(1, 2) AS n;
SELECT status FROM agent_heartbeat(t.a(1), 'busy');
SELECT confidence_score FROM set_capability(t.a(1), 'sql', 0.7);
SELECT count(create_task('t', required_capabilities => '{sql}', id => t.k(n))) FROM generate_series(1, 3) AS n;
SELECT t.n(assigned_agent_id) AS agent FROM assign_task(t.k(1));
SELECT count(*) FROM claim_task(t.a(1), '1 day');
SELECT heartbeat_task(t.k(1), 1, '1 day') IS NOT NULL AS prolonged;
SELECT status FROM complete_task(t.k(1), 1);
SELECT count(*) FROM claim_task(t.a(1), '1 day');
SELECT status FROM fail_task(t.k(2), 1, 'x', '1 day');
SELECT status FROM cancel_task(t.k(3));
-- Nothing pending: it takes back what others have left.
INSERT INTO tasks (id, title, status, assigned_agent_id, leased_until) VALUES (t.k(4), 'left', 'in_progress', t.a(2), now() - interval '1 s');
SELECT t.n(id) AS task FROM claim_task(t.a(1), '1 day');
SELECT count(send_message(t.a(1), t.a(2), 'x', message_id => t.m(n))) FROM generate_series(1, 3) AS n;
CALL wait_messages(t.a(2));
SELECT count(*) FROM receive_messages(t.a(2), 3, '1 day');
SELECT status FROM ack_message(t.m(1));
SELECT status FROM fail_message(t.m(2), 'x');
SELECT broadcast_message(t.a(1), 'x');
SELECT count(create_workflow('w', '{"steps": [{"step_id": "a", "step_type": "task", "next_steps": ["b"]}, {"step_id": "b", "step_type": "wait", "next_steps": ["c"]}, {"step_id": "c", "step_type": "end"}]}', id => t.f(1)));
SELECT version FROM set_workflow_definition(t.f(1), '{"steps": [{"step_id": "a", "step_type": "task", "next_steps": ["b"]}, {"step_id": "b", "step_type": "wait", "next_steps": ["c"]}, {"step_id": "c", "step_type": "end", "x": 1}]}');
SELECT count(start_execution(t.f(1), id => t.x(n))) FROM generate_series(1, 3) AS n;
SELECT count(complete_task(c.id, c.lease_token)) FROM claim_task(t.a(1), '1 day') AS c;
SELECT status FROM advance_execution(t.x(1), 'b');
SELECT status FROM cancel_execution(t.x(2));
SELECT status FROM fail_execution(t.x(3), 'x');
SELECT record_metric(t.a(1), 'm', 1) IS NOT NULL AS recorded;
SELECT * FROM verify();
-- What it may not.
SELECT t.n(id) FROM redrive_message(t.m(3));
CALL run_maintenance();
SELECT update_settings('{}');
SELECT migrate();
DELETE FROM agent_messages;
TRUNCATE platform_faults;
UPDATE agent_performance SET metric_value = 2;
UPDATE platform_settings SET task_retention_days = 0;
CREATE TABLE amelia_platform.mine ();

-- A reader reads.
SET ROLE p_reader;
SELECT count(*) FROM agents;
SELECT count(*) FROM match_agents('{sql}');
SELECT count(*) FROM list_tasks();
SELECT count(*) FROM search_tasks('left');
SELECT count(*) FROM overdue_tasks;
SELECT count(*) FROM message_history(t.a(1));
SELECT count(*) FROM queue_stats();
SELECT count FROM agent_metrics(t.a(1), 'm');
SELECT stale_after FROM settings();
SELECT * FROM verify();
SELECT status FROM agent_heartbeat(t.a(1));
UPDATE tasks SET priority = 'low';

-- An admin does the rest, but for the schema.
SET ROLE p_admin;
UPDATE agent_messages SET status = 'failed' WHERE id = t.m(3);
SELECT status FROM redrive_message(t.m(3));
CALL run_maintenance();
SELECT task_retention_days FROM update_settings('{"task_retention_days": 1}');
SELECT migrate();
DELETE FROM agent_messages;
DELETE FROM workflows;
DELETE FROM agents;
DROP TABLE agents;
RESET ROLE;
DROP OWNED BY p_reader, p_agent, p_admin, p_stranger;
DROP ROLE p_reader, p_agent, p_admin, p_stranger;
