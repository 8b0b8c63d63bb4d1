-- Who may do what: nobody anything until it is granted, then a reader, a
-- worker and an admin each what their work needs.
BEGIN;
-- pgTAP may live in any schema. Ours stays off the path, so that names are
-- shown with their schema.
SELECT set_config('search_path', 'pg_catalog, ' || quote_ident(n.nspname), true) AS path
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pgtap' \gset
SELECT no_plan();

-- Every privilege that somebody but the owner has on the schema or in it. The
-- schema is looked up when it is read, for it is made anew below.
CREATE TEMP VIEW grants AS
SELECT o.object, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee, a.privilege_type
FROM (
	SELECT n.oid::regnamespace::text, n.nspowner, COALESCE(n.nspacl, acldefault('n', n.nspowner))
	FROM pg_namespace AS n WHERE n.nspname = 'amelia'
	UNION ALL
	SELECT c.oid::regclass::text, c.relowner,
		COALESCE(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))
	FROM pg_class AS c WHERE c.relnamespace = to_regnamespace('amelia') AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
	UNION ALL
	SELECT format('%s.%I', c.oid::regclass, t.attname), c.relowner, t.attacl
	FROM pg_class AS c JOIN pg_attribute AS t ON t.attrelid = c.oid
	WHERE c.relnamespace = to_regnamespace('amelia') AND t.attacl IS NOT NULL
	UNION ALL
	SELECT p.oid::regprocedure::text, p.proowner, COALESCE(p.proacl, acldefault('f', p.proowner))
	FROM pg_proc AS p WHERE p.pronamespace IN (to_regnamespace('amelia'), to_regnamespace('amelia_internal'))
) AS o (object, owner, acl), aclexplode(o.acl) AS a
WHERE a.grantee <> o.owner;
SELECT is_empty('SELECT g.object, g.grantee, g.privilege_type FROM grants AS g',
	'as it is installed, nothing is granted to anybody');

-- Without a grant.
CREATE ROLE contract_stranger;
CREATE ROLE contract_reader;
CREATE ROLE contract_worker;
CREATE ROLE contract_admin;
SELECT ok(NOT has_schema_privilege('contract_stranger', 'amelia', 'USAGE'), 'a stranger cannot use the schema');
CREATE FUNCTION pg_temp.outcome_as(role name, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	outcome text := 'accepted';
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	BEGIN
		EXECUTE statement;
	EXCEPTION WHEN OTHERS THEN
		outcome := SQLSTATE;
	END;
	RESET ROLE;
	RETURN outcome;
END
$$;
SELECT is(pg_temp.outcome_as('contract_stranger', s.statement), '42501', 'a stranger: ' || s.statement)
FROM (VALUES ('SELECT * FROM amelia.workflows'), ('SELECT amelia.uuid_v7()'), ('CREATE TABLE amelia.mine ()')) AS s (statement);

SELECT amelia.grant_reader('contract_reader'), amelia.grant_worker('contract_worker'),
	amelia.grant_admin('contract_admin') \gset
CREATE TEMP VIEW roles AS
SELECT r.kind, 'contract_' || r.kind AS role, r.rank
FROM (VALUES ('reader', 1), ('worker', 2), ('admin', 3)) AS r (kind, rank);
CREATE TEMP VIEW relations AS
SELECT c.oid, c.relname::text AS name
FROM pg_class AS c
WHERE c.relnamespace = to_regnamespace('amelia') AND c.relkind IN ('r', 'p', 'v', 'm');

SELECT is_empty($$SELECT g.object, g.privilege_type FROM grants AS g WHERE g.grantee NOT LIKE 'contract\_%'$$,
	'the roles that are named get it, and nobody else');
SELECT is_empty($$SELECT g.object, g.privilege_type FROM grants AS g WHERE g.grantee = 'contract_stranger'$$,
	'a stranger is still one');
SELECT set_eq($$SELECT g.grantee, g.privilege_type FROM grants AS g WHERE g.object = 'amelia'$$,
	$$SELECT r.role, 'USAGE' FROM roles AS r$$, 'all three use the schema, and make nothing in it');

SELECT is_empty($$
	SELECT r.role, t.name FROM roles AS r, relations AS t WHERE NOT has_table_privilege(r.role, t.oid, 'SELECT')
$$, 'all three read every table and view');
-- TRIGGER would let them run code as others, REFERENCES block a DELETE.
SELECT is_empty($$
	SELECT g.grantee, g.object, g.privilege_type
	FROM grants AS g
	WHERE g.privilege_type NOT IN ('USAGE', 'SELECT', 'INSERT', 'UPDATE', 'DELETE', 'EXECUTE')
$$, 'none of the three truncates, makes triggers or references');
SELECT is_empty($$
	SELECT g.object, g.privilege_type FROM grants AS g
	WHERE g.grantee = 'contract_reader' AND g.privilege_type NOT IN ('USAGE', 'SELECT', 'EXECUTE')
$$, 'a reader writes nothing');
SELECT is_empty($$
	SELECT g.object FROM grants AS g WHERE g.grantee = 'contract_worker' AND g.privilege_type = 'DELETE'
$$, 'a worker deletes nothing');
SELECT set_eq($$
	SELECT t.name, p.privilege
	FROM relations AS t, unnest(ARRAY['INSERT', 'UPDATE']) AS p (privilege)
	WHERE has_table_privilege('contract_worker', t.oid, p.privilege)
$$, $$
	VALUES ('workflows', 'INSERT'), ('workflows', 'UPDATE'), ('workflow_log', 'INSERT'), ('token_usage', 'INSERT'),
		('unpriced_usage', 'INSERT'),
		('workflow_threads', 'INSERT'), ('workflow_threads', 'UPDATE'),
		('workflow_inbox', 'INSERT'), ('workflow_inbox', 'UPDATE'),
		('workflow_prompt_versions', 'INSERT'), ('workflow_prompt_versions', 'UPDATE'),
		('brainstorm_sessions', 'INSERT'), ('brainstorm_sessions', 'UPDATE'),
		('brainstorm_messages', 'INSERT'), ('brainstorm_artifacts', 'INSERT'), ('brainstorm_artifacts', 'UPDATE')
$$, 'a worker writes workflows, events, usage and chats, and changes no event');
-- A history can be erased, and not be made up; what tells of the house, and
-- whose checkpoints may be deleted, is written by functions that look first.
SELECT set_eq($$
	SELECT t.name, p.privilege
	FROM relations AS t, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE']) AS p (privilege)
	WHERE NOT has_table_privilege('contract_admin', t.oid, p.privilege)
$$, $$
	SELECT t.name, p.privilege
	FROM unnest(ARRAY['schema_versions', 'retention_runs', 'checkpoint_schemas', 'checkpoint_walks',
			'usage_days', 'usage_dirty_days', 'usage_workflow_days', 'usage_day_sums', 'usage_day_workflows', 'budget_spending', 'budget_warnings',
			'kept_usage', 'usage_daily', 'active_workflows', 'workflow_overview']) AS t (name),
		unnest(ARRAY['INSERT', 'UPDATE', 'DELETE']) AS p (privilege)
	UNION ALL
	SELECT t.name, p.privilege
	FROM unnest(ARRAY['usage_history', 'workflow_history', 'claim_faults']) AS t (name), unnest(ARRAY['INSERT', 'UPDATE']) AS p (privilege)
$$, 'an admin writes every table but these');

-- Each kind has what the kinds before it have.
SELECT is_empty($$
	SELECT g.object, g.privilege_type, more.role
	FROM grants AS g JOIN roles AS r ON r.role = g.grantee JOIN roles AS more ON more.rank > r.rank
	WHERE NOT EXISTS (SELECT FROM grants AS h WHERE h.grantee = more.role AND h.object = g.object
		AND h.privilege_type = g.privilege_type)
$$, 'reader, worker, admin: each has what the one before has');

CREATE TEMP VIEW functions AS
SELECT p.oid, p.proname::text AS name, p.provolatile AS volatility
FROM pg_proc AS p
WHERE p.pronamespace IN (to_regnamespace('amelia'), to_regnamespace('amelia_internal')) AND p.prorettype <> 'trigger'::regtype;
CREATE TEMP TABLE contract (function_name text, kind text);
INSERT INTO contract
SELECT f.name, 'reader'
FROM unnest(ARRAY['get_workflow', 'active_workflow', 'list_workflows', 'count_workflows',
	'list_active_workflows', 'last_sequence', 'events_after', 'events_after_event', 'recent_events',
	'event_exists', 'token_summary', 'token_summaries', 'prompt_history', 'current_prompt',
	'workflow_prompts', 'active_profile', 'settings', 'brainstorm_messages_after',
	'list_brainstorm_sessions', 'brainstorm_usage', 'verify', 'table_checksum', 'row_checksums', 'retention_preview', 'checkpoint_stats',
	'maintenance_status', 'vacuum_holders', 'metrics', 'usage_summary', 'usage_trend', 'usage_by_model', 'usage_by_agent',
	'usage_by_profile', 'find_price', 'price_usage', 'budget_status', 'sparkline']) AS f (name)
UNION ALL
SELECT f.name, 'worker'
FROM unnest(ARRAY['uuid_v7', 'create_workflow', 'set_workflow_status', 'set_plan_cache', 'append_event',
	'append_events', 'next_sequence', 'record_usage', 'record_workflow_prompt', 'add_brainstorm_message',
	'link_thread', 'register_checkpoints', 'unregister_checkpoints']) AS f (name)
UNION ALL
SELECT f.name, 'admin'
FROM unnest(ARRAY['migrate', 'seed_prompts', 'create_prompt_version', 'set_prompt_version', 'reset_prompt',
	'set_active_profile', 'update_settings', 'run_retention', 'prune', 'delete_for_runs', 'copy_thread', 'delete_thread', 'unlink_thread',
	'forget_workflow', 'close_days', 'load_prices', 'compact_budgets']) AS f (name)
UNION ALL
SELECT f.name, 'owner'
FROM unnest(ARRAY['grant_reader', 'grant_worker', 'grant_admin', 'grant_monitor']) AS f (name);
SELECT is((SELECT r.kind FROM roles AS r WHERE has_function_privilege(r.role, f.oid, 'EXECUTE') ORDER BY r.rank LIMIT 1),
	NULLIF(c.kind, 'owner'), format('%s() is for the %s', c.function_name, c.kind))
FROM contract AS c LEFT JOIN functions AS f ON f.name = c.function_name;
-- What the server is at changes while a statement runs, and reading as somebody
-- else is no part of a snapshot: these are volatile, and write nothing (050).
SELECT set_eq($$
	SELECT f.name FROM functions AS f
	WHERE f.volatility = 'v' AND has_function_privilege('contract_reader', f.oid, 'EXECUTE')
$$, ARRAY['retention_preview', 'preview_retention', 'checkpoint_stats', 'maintenance_status', 'maintenance_state', 'vacuum_holders', 'held_vacuum', 'metrics', 'waiting_sessions',
		'feed_after', 'feed_now', 'wait_events'],
	'a reader calls nothing that writes');

-- Twice is no error and changes nothing.
CREATE TEMP TABLE granted AS SELECT * FROM grants;
SELECT amelia.grant_reader('contract_reader'), amelia.grant_worker('contract_worker'),
	amelia.grant_admin('contract_admin') \gset
SELECT set_eq('SELECT * FROM grants', 'TABLE granted', 'granted again, it is the same');
SELECT throws_ok('SELECT amelia.grant_reader(''contract_of_nobody'')', '42704', NULL, 'a role that is not there');
SELECT throws_ok('SELECT amelia.grant_admin(NULL)', '22023', NULL, 'no role');
CREATE ROLE "contract ""quoted"" role";
SELECT lives_ok($$SELECT amelia.grant_reader('contract "quoted" role')$$, 'a role whose name wants quotes');
SELECT ok(has_table_privilege('contract "quoted" role', 'amelia.workflows', 'SELECT'), '… is granted');

-- Nothing lies beyond the grants: what a role may call it may also do.
INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('p', '/', '{}');
INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s', 'p');
SELECT is(pg_temp.outcome_as('contract_' || s.role, s.statement), s.outcome, format('%s: %s', s.role, s.statement))
FROM (VALUES
	('reader', 'SELECT amelia.settings()', 'accepted'),
	('reader', 'SELECT * FROM amelia.verify()', 'accepted'),
	('reader', 'SELECT amelia.create_workflow(''A-1'', ''/w'')', '42501'),
	('reader', 'INSERT INTO amelia.workflows (issue_id, worktree_path) VALUES (''A-1'', ''/w'')', '42501'),
	('worker', 'SELECT amelia.create_workflow(''A-1'', ''/w'', id => ''00000000-0000-0000-0000-000000000001'')', 'accepted'),
	('worker', 'INSERT INTO amelia.workflows (issue_id, worktree_path) VALUES (''A-2'', ''/w'')', 'accepted'),
	('worker', 'INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (''00000000-0000-0000-0000-000000000001'', ''t'', ''m'')', 'accepted'),
	('worker', 'UPDATE amelia.workflow_log SET message = ''other''', '42501'),
	('worker', 'DELETE FROM amelia.workflow_log', '42501'),
	('worker', 'SELECT amelia.append_events(''00000000-0000-0000-0000-000000000001'', ''[{"event_type": "t", "message": "m"}]'')', 'accepted'),
	('worker', 'SELECT amelia.next_sequence(''00000000-0000-0000-0000-000000000001'')', 'accepted'),
	('worker', 'SELECT amelia.record_usage(''00000000-0000-0000-0000-000000000001'', ''a'', ''m'', 1, 1, cost_usd => 1)', 'accepted'),
	('worker', 'SELECT amelia.add_brainstorm_message(''s'', ''user'', ''c'')', 'accepted'),
	('worker', 'SELECT amelia.set_workflow_status(''00000000-0000-0000-0000-000000000001'', ''cancelled'')', 'accepted'),
	('reader', 'SELECT * FROM amelia.retention_preview()', 'accepted'),
	('reader', 'SELECT * FROM amelia.checkpoint_stats()', 'accepted'),
	('reader', 'SELECT * FROM amelia.maintenance_status()', 'accepted'),
	('reader', 'SELECT amelia.link_thread(''00000000-0000-0000-0000-000000000001'', ''t'')', '42501'),
	('worker', 'SELECT amelia.link_thread(''00000000-0000-0000-0000-000000000001'', ''t'')', 'accepted'),
	('worker', 'SELECT amelia.unlink_thread(''t'')', '42501'),
	('worker', 'SELECT amelia.delete_thread(''t'')', '42501'),
	('worker', 'SELECT amelia.unregister_checkpoints(''public'')', '42501'),
	('worker', 'SELECT amelia.forget_workflow(''00000000-0000-0000-0000-000000000001'')', '42501'),
	('worker', 'CALL amelia.run_retention()', '42501'),
	('worker', 'SELECT amelia.update_settings(''{"max_concurrent": 6}'')', '42501'),
	('worker', 'SELECT amelia.seed_prompts(''[{"id": "a.b", "agent": "a", "name": "b"}]'')', '42501'),
	('admin', 'SELECT amelia.update_settings(''{"max_concurrent": 6}'')', 'accepted'),
	('admin', 'SELECT amelia.seed_prompts(''[{"id": "a.b", "agent": "a", "name": "b"}]'')', 'accepted'),
	('admin', 'SELECT amelia.create_prompt_version(''a.b'', ''c'')', 'accepted'),
	('admin', 'SELECT amelia.reset_prompt(''a.b'')', 'accepted'),
	('admin', 'SELECT amelia.set_active_profile(''p'')', 'accepted'),
	('admin', 'SELECT amelia.unlink_thread(''t'')', 'accepted'),
	('admin', 'SELECT amelia.delete_thread(''t'')', 'accepted'),
	('admin', 'SELECT amelia.unregister_checkpoints(''public'')', '42501'),
	('admin', 'INSERT INTO amelia.checkpoint_schemas VALUES (''s'')', '42501'),
	('admin', 'INSERT INTO amelia.usage_history SELECT (NULL::amelia.usage_history).*', '42501'),
	('admin', 'UPDATE amelia.workflow_history SET status = ''completed''', '42501'),
	('admin', 'DELETE FROM amelia.retention_runs', '42501'),
	('reader', 'SELECT * FROM amelia.usage_trend(''2026-01-01'', ''2026-01-31'')', 'accepted'),
	('reader', 'SELECT * FROM amelia.usage_daily', 'accepted'),
	('reader', 'SELECT * FROM amelia.budget_status()', 'accepted'),
	('worker', 'INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES (''everything'', ''day'', 1, ''warn'')', '42501'),
	('worker', 'SELECT amelia.load_prices(''{}'')', '42501'),
	('worker', 'CALL amelia.close_days()', '42501'),
	('admin', 'INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES (''everything'', ''day'', 1, ''warn'')', 'accepted'),
	('admin', 'SELECT amelia.load_prices(''{"m": {"input_cost_per_token": 0.000001}}'')', 'accepted'),
	('admin', 'INSERT INTO amelia.budget_spending SELECT (NULL::amelia.budget_spending).*', '42501'),
	('admin', 'DELETE FROM amelia.usage_day_sums', '42501'),
	-- allowed, but not where there is a transaction already
	('admin', 'CALL amelia.close_days()', '25001'),
	('admin', 'CALL amelia.run_retention()', '25001'),
	('admin', 'SELECT amelia.forget_workflow(''00000000-0000-0000-0000-000000000001'')', 'accepted'),
	('admin', 'DELETE FROM amelia.usage_history', 'accepted'),
	('admin', 'DELETE FROM amelia.workflow_history', 'accepted'),
	('admin', 'UPDATE amelia.event_types SET persisted = true', 'accepted'),
	('admin', 'DELETE FROM amelia.workflow_log', 'accepted'),
	('admin', 'DELETE FROM amelia.workflows', 'accepted'),
	('admin', 'TRUNCATE amelia.token_usage', '42501'),
	('admin', 'INSERT INTO amelia.schema_versions (version) VALUES (2)', '42501'),
	('worker', 'SELECT amelia.migrate()', '42501'),
	('admin', 'SELECT amelia.migrate()', 'accepted'),
	('admin', 'SELECT amelia.grant_admin(''contract_stranger'')', '42501')) AS s (role, statement, outcome);
SET CONSTRAINTS ALL IMMEDIATE;

-- What an installer's default privileges hand out does not reach the tables,
-- and no role comes into being. (This takes locks that no other session has:
-- not for pg_prove -j.)
CREATE TEMP TABLE roles_before AS SELECT r.rolname FROM pg_roles AS r;
SET LOCAL client_min_messages = warning;
DROP EXTENSION amelia CASCADE;
DROP SCHEMA amelia CASCADE;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO contract_stranger;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO PUBLIC;
CREATE EXTENSION amelia;
SELECT is_empty('SELECT r.rolname FROM pg_roles AS r EXCEPT SELECT b.rolname FROM roles_before AS b',
	'CREATE EXTENSION makes no role');
SELECT is_empty('SELECT g.object, g.grantee, g.privilege_type FROM grants AS g',
	'default privileges of the installer do not reach what it makes');
SELECT is_empty('SELECT v.* FROM amelia_internal.verify_schema() AS v', '… and all of it is there');

SELECT * FROM finish();
ROLLBACK;
