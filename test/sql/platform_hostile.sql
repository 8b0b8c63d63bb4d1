-- What somebody else plants on the search_path, or in the schema with CREATE, is never called.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\set platform :abs_srcdir '/platform.psql'
\i :helpers
\i :platform
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS evil CASCADE;
DROP ROLE IF EXISTS planter;
RESET client_min_messages;
CREATE ROLE planter;
CREATE SCHEMA evil;
GRANT CREATE, USAGE ON SCHEMA evil, amelia_platform TO planter;
SET ROLE planter;
CREATE TABLE evil.calls (what text);
GRANT INSERT ON evil.calls TO PUBLIC;
-- Functions that fit better than ours, and operators that fit better than PostgreSQL's.
DO $do$
DECLARE
	one record;
BEGIN
	FOR one IN
		SELECT DISTINCT n.s AS schema, p.name, a.args
		FROM (VALUES ('now', ''), ('clock_timestamp', ''), ('count', 'uuid'), ('format', 'text, uuid'), ('format', 'text, text'), ('coalesce', 'uuid, uuid'),
			('cardinality', 'uuid[]'), ('jsonb_typeof', 'jsonb'), ('make_interval', 'integer'), ('length', 'text'), ('uuid_v7', ''),
			('register_agent', 'text, text'), ('agent_heartbeat', 'uuid'), ('claim_task', 'uuid, interval'), ('complete_task', 'uuid, bigint'),
			('send_message', 'uuid, uuid, text'), ('receive_messages', 'uuid, integer'), ('ack_message', 'uuid, text'), ('settings', 'integer'),
			('platform_check_agent', 'text, uuid'), ('check_given', 'text, uuid'), ('match_agents', 'text[]')) AS p (name, args),
			(VALUES ('evil'), ('amelia_platform')) AS n (s), LATERAL (SELECT p.args) AS a
	LOOP
		EXECUTE format('CREATE FUNCTION %I.%I(%s) RETURNS text LANGUAGE plpgsql AS $f$BEGIN INSERT INTO evil.calls VALUES (%L); RETURN NULL; END$f$',
			one.schema, one.name, one.args, one.name);
	END LOOP;
	FOR one IN
		SELECT o.name, t.type FROM (VALUES ('='), ('<>'), ('<'), ('<='), ('>'), ('>='), ('||'), ('+'), ('-')) AS o (name),
			(VALUES ('uuid'), ('text'), ('varchar'), ('jsonb'), ('timestamptz'), ('integer'), ('bigint'), ('numeric')) AS t (type)
	LOOP
		EXECUTE format('CREATE FUNCTION evil.op_%s(%s, %2$s) RETURNS boolean LANGUAGE plpgsql AS $f$BEGIN INSERT INTO evil.calls VALUES (%L); RETURN NULL; END$f$',
			md5(one.name), one.type, one.name);
		EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = %s, RIGHTARG = %2$s, FUNCTION = evil.op_%s)', one.name, one.type, md5(one.name));
	END LOOP;
END
$do$;
RESET ROLE;
-- All that agents do, with that on the path. Arguments are named, so that the call itself means ours.
SET search_path = evil, amelia_platform, pg_catalog;
SELECT FROM amelia_platform.register_agent(name => 'a', agent_type => 'chief_of_staff', capabilities => '["sql"]', id => t.a(1));
SELECT FROM amelia_platform.agent_heartbeat(id => t.a(1), status => 'busy', metrics => '{"x": 1}');
SELECT FROM amelia_platform.update_agent(id => t.a(1), changes => '{"name": "b"}');
SELECT FROM amelia_platform.set_capability(agent_id => t.a(1), name => 'sql', confidence => 0.9);
SELECT FROM amelia_platform.match_agents(required => '{sql}', min_confidence => 0.1, row_limit => 3);
SELECT FROM amelia_platform.create_task(title => 't', required_capabilities => '{sql}', id => t.k(1));
SELECT FROM amelia_platform.assign_task(id => t.k(1), agent_id => NULL);
SELECT c.status FROM amelia_platform.claim_task(agent_id => t.a(1), lease => '1 day'::interval) AS c;
SELECT FROM amelia_platform.heartbeat_task(id => t.k(1), lease_token => 1, lease => '1 day');
SELECT c.status FROM amelia_platform.fail_task(id => t.k(1), lease_token => 1, error => 'x', retry_after => '0 s') AS c;
SELECT c.status FROM amelia_platform.claim_task(agent_id => t.a(1), lease => '1 day'::interval) AS c;
SELECT c.status FROM amelia_platform.complete_task(id => t.k(1), lease_token => 2, result => '{}') AS c;
SELECT m.status FROM amelia_platform.send_message(sender_id => t.a(1), recipient_id => t.a(1), message_type => 'x', payload => '{}', message_id => t.m(1)) AS m;
CALL amelia_platform.wait_messages(recipient_id => t.a(1));
SELECT m.status FROM amelia_platform.receive_messages(recipient_id => t.a(1), row_limit => 5, visibility => '1 day') AS m;
SELECT m.status FROM amelia_platform.ack_message(id => t.m(1)) AS m;
SELECT amelia_platform.broadcast_message(sender_id => NULL, message_type => 'x', payload => '{}', agent_type => NULL, status => NULL);
SELECT FROM amelia_platform.message_history(agent_id => t.a(1), row_limit => 5);
SELECT FROM amelia_platform.queue_stats();
SELECT w.version FROM amelia_platform.create_workflow(name => 'w', definition => '{"steps": [{"step_id": "a", "step_type": "task", "next_steps": ["b"]},
	{"step_id": "b", "step_type": "end", "conditions": [{"path": "a.x", "op": "ge", "value": 1}]}]}', id => t.f(1)) AS w;
SELECT e.status FROM amelia_platform.start_execution(workflow_id => t.f(1), context => '{}', started_by => t.a(1), id => t.x(1)) AS e;
SELECT e.status FROM amelia_platform.advance_execution(id => t.x(1), expected_step => 'a', result => '{"x": 1}') AS e;
SELECT FROM amelia_platform.record_metric(agent_id => t.a(1), metric_name => 'm', metric_value => 1);
SELECT m.count FROM amelia_platform.agent_metrics(agent_id => t.a(1), metric_name => 'm', since => '-infinity', bucket => 'day') AS m;
SELECT FROM amelia_platform.update_settings(changes => '{"task_retention_days": 0}');
CALL amelia_platform.run_maintenance();
SELECT * FROM amelia_platform.verify();
SELECT amelia_platform.migrate();
RESET search_path;
SELECT what, count(*) FROM evil.calls GROUP BY what;
-- And no body of ours calls by a name that somebody could plant beside.
SELECT p.oid::regprocedure AS function, r.match[1] AS calls
FROM pg_proc AS p, LATERAL regexp_matches(p.prosrc, '(?:FROM|PERFORM|SELECT|:=|,|\()\s*(amelia_platform\.[a-z_]+)\(', 'g') AS r (match)
WHERE p.pronamespace IN ('amelia_platform'::regnamespace, 'amelia_internal'::regnamespace) AND p.proowner <> 'planter'::regrole AND p.proname <> 'amelia_platform_scripts';
DROP OWNED BY planter;
DROP SCHEMA evil CASCADE;
DROP ROLE planter;
