-- Somebody may create functions and operators in the schema amelia, as
-- LangGraph's saver wants to create tables there, and plants what fits a call
-- better than what the library means: for each function twins that take fewer
-- arguments, or arguments of other types, and operators. Whoever comes to run
-- one of them runs it with his own rights. The library runs none.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

SET client_min_messages = warning;
CREATE ROLE regress_planter;
GRANT CREATE, USAGE ON SCHEMA amelia TO regress_planter;

-- Calls of ours that are bound before anything is planted: what the callee
-- calls in turn is what is looked at.
CREATE TABLE t.ours AS
SELECT p.oid, p.proname, p.proargnames, p.pronargs, p.proargtypes
FROM pg_proc AS p WHERE p.pronamespace = 'amelia'::regnamespace AND p.prokind = 'f';
DO $$
DECLARE
	ours record;
BEGIN
	FOR ours IN SELECT * FROM t.ours LOOP
		EXECUTE format('CREATE FUNCTION t.%I(%s) RETURNS SETOF jsonb BEGIN ATOMIC SELECT to_jsonb(r) FROM amelia.%I(%s) AS r; END',
			'call_' || ours.proname,
			(SELECT string_agg(format_type(a.type, NULL), ', ' ORDER BY a.place)
				FROM unnest(ours.proargtypes) WITH ORDINALITY AS a (type, place)),
			ours.proname,
			(SELECT string_agg('$' || n, ', ' ORDER BY n) FROM generate_series(1, ours.pronargs) AS n));
	END LOOP;
END
$$;
CREATE FUNCTION t.call(function text, given jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
	ours record;
	arguments text;
	result jsonb;
BEGIN
	SELECT p.* INTO STRICT ours FROM t.ours AS p WHERE p.proname = function;
	IF given - ours.proargnames <> '{}' THEN
		RAISE EXCEPTION '% takes %', function, ours.proargnames;
	END IF;
	SELECT string_agg(COALESCE(quote_literal(given ->> n.name), pg_get_function_arg_default(ours.oid, n.place::integer), 'NULL')
			|| '::' || format_type(ours.proargtypes[n.place - 1], NULL), ', ' ORDER BY n.place)
	INTO arguments
	FROM unnest(ours.proargnames[1:ours.pronargs]) WITH ORDINALITY AS n (name, place);
	EXECUTE format('SELECT r FROM t.%I(%s) AS r LIMIT 1', 'call_' || function, arguments) INTO result;
	RETURN result;
END
$$;
GRANT USAGE ON SCHEMA t TO PUBLIC;
GRANT SELECT ON t.ours TO PUBLIC;

SET ROLE regress_planter;
DO $$
DECLARE
	ours record;
	types text[];
	signature text;
	planted integer := 0;
BEGIN
	FOR ours IN SELECT * FROM t.ours LOOP
		types := ARRAY(SELECT format_type(a.type, NULL) FROM unnest(ours.proargtypes) WITH ORDINALITY AS a (type, place) ORDER BY a.place);
		FOR signature IN
			-- fewer arguments, of the same types, or as a literal is read
			SELECT array_to_string(types[1:n.k], ', ') FROM generate_series(1, ours.pronargs - 1) AS n (k)
			UNION
			SELECT array_to_string(array_fill('text'::text, ARRAY[n.k]), ', ') FROM generate_series(1, ours.pronargs) AS n (k)
			UNION
			-- the default of columns is resolved by migrate(), which may be refused
			SELECT array_to_string(types || 'integer DEFAULT 0'::text, ', ') WHERE ours.proname <> 'uuid_v7'
			UNION
			SELECT array_to_string(array_fill('anyelement'::text, ARRAY[ours.pronargs]), ', ') WHERE ours.pronargs > 0
		LOOP
			BEGIN
				EXECUTE format('CREATE FUNCTION amelia.%I(%s) RETURNS integer LANGUAGE plpgsql AS %L', ours.proname, signature,
					format('BEGIN RAISE EXCEPTION ''planted %s''; END', ours.proname));
				planted := planted + 1;
			EXCEPTION WHEN duplicate_function OR insufficient_privilege THEN
				-- it is ours
				NULL;
			END;
		END LOOP;
	END LOOP;
	IF planted < 300 THEN
		RAISE EXCEPTION 'only % functions were planted', planted;
	END IF;
END
$$;
-- Operators, of exactly those types that an implicit cast would otherwise bring together.
DO $$
DECLARE
	twin record;
	n integer := 0;
BEGIN
	FOR twin IN
		SELECT o.oprname, l.type AS l, r.type AS r
		FROM (SELECT DISTINCT p.oprname FROM pg_operator AS p WHERE p.oprname IN ('=', '<>', '<', '<=', '>', '>=', '||', '+', '-', '~', '->>')) AS o,
			unnest(ARRAY['oid', 'regtype', 'regclass', 'name', 'text', 'integer', 'bigint', 'uuid', 'timestamptz', 'jsonb', 'numeric', '"char"']) AS l (type),
			unnest(ARRAY['oid', 'regtype', 'regclass', 'name', 'text', 'integer', 'bigint', 'uuid', 'timestamptz', 'jsonb', 'numeric', '"char"']) AS r (type)
	LOOP
		n := n + 1;
		EXECUTE format('CREATE FUNCTION amelia.operator_%s(%s, %s) RETURNS boolean LANGUAGE plpgsql AS %L',
			n, twin.l, twin.r, format('BEGIN RAISE EXCEPTION ''planted operator %s''; END', twin.oprname));
		EXECUTE format('CREATE OPERATOR amelia.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = amelia.operator_%s)',
			twin.oprname, twin.l, twin.r, n);
	END LOOP;
END
$$;
RESET ROLE;
-- That it would be met is not in doubt.
SELECT t.error($$SELECT amelia.append_event(t.w(1), 'a', 'b')$$);

-- Workflows and what happens to them, with what a claim, an approval and a release write.
SELECT t.call('load_prices', '{"prices": {"m": {"input_cost_per_token": 0.000001, "output_cost_per_token": 0.000002}}}');
INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'day', 1, 'warn');
SELECT t.call('create_workflow', jsonb_build_object('issue_id', 'I-' || n, 'worktree_path', '/w' || n, 'id', t.w(n))) ->> 'status' AS created
FROM generate_series(1, 9) AS n;
SELECT t.call('set_workflow_status', jsonb_build_object('id', t.w(1), 'status', 'in_progress')) ->> 'status' AS moved;
SELECT t.call('request_cancel', jsonb_build_object('workflow_id', t.w(2))) ->> 'status' AS cancelled;
SELECT t.call('claim_workflow', '{"worker": "host"}') ->> 'issue_id' AS claimed FROM generate_series(1, 5);
SELECT t.call('heartbeat', jsonb_build_object('workflow_id', t.w(3), 'lease_token', 1)) ->> 'cancel_requested' AS cancel_requested;
SELECT t.call('release_workflow', jsonb_build_object('workflow_id', t.w(3), 'lease_token', 1, 'status', 'failed')) ->> 'status' AS released;
SELECT t.call('release_workflow', jsonb_build_object('workflow_id', t.w(4), 'lease_token', 1, 'status', 'completed')) ->> 'status' AS released;
SELECT t.call('release_workflow', jsonb_build_object('workflow_id', t.w(5), 'lease_token', 1, 'status', 'cancelled')) ->> 'status' AS released;
SELECT t.call('request_approval', jsonb_build_object('workflow_id', t.w(6), 'lease_token', 1, 'question', 'Shall I?')) ->> 'status' AS asked;
SELECT t.call('decide', jsonb_build_object('workflow_id', t.w(6), 'question_sequence', 3, 'approved', true)) ->> 'status' AS decided;
SELECT t.call('send_to_workflow', jsonb_build_object('workflow_id', t.w(7), 'kind', 'pause')) IS NOT NULL AS sent;
SELECT t.call('take_inbox', jsonb_build_object('workflow_id', t.w(7), 'lease_token', 1)) ->> 'kind' AS taken;
SELECT t.call('append_event', jsonb_build_object('workflow_id', t.w(1), 'event_type', 'file_created', 'message', 'm'));
SELECT t.call('append_events', jsonb_build_object('workflow_id', t.w(1), 'events', '[{"event_type": "t", "message": "m"}]'::jsonb));
SELECT t.call('next_sequence', jsonb_build_object('workflow_id', t.w(1)));
SELECT t.call('requeue_workflow', jsonb_build_object('workflow_id', t.w(3))) ->> 'failures' AS failures;

-- What it costs, with a budget that is spent and warns.
SELECT t.call('record_usage', jsonb_build_object('workflow_id', t.w(1), 'agent', 'a', 'model', 'm',
	'input_tokens', 1000000, 'output_tokens', 1000000)) IS NOT NULL AS booked;
SELECT t.call('price_usage', '{"model": "m", "input_tokens": 1, "output_tokens": 1}'), t.call('find_price', '{"model": "m"}') ->> 'model';
SELECT t.call('token_summary', jsonb_build_object('workflow_id', t.w(1))) ->> 'total_cost_usd' AS summed;
SELECT t.call('token_summaries', jsonb_build_object('workflow_ids', '{' || t.w(1) || '}')) ->> 'total_cost_usd' AS summed;
SELECT t.call('usage_summary', '{"start_date": "2020-01-01", "end_date": "2020-01-02"}') IS NOT NULL AS summed;
SELECT t.call('compact_budgets'), t.call('budget_status') ->> 'spent_usd' AS spent;
SELECT event_type, message FROM amelia.workflow_log WHERE event_type = 'system_warning';

-- Prompts, profiles, chats.
SELECT t.call('seed_prompts', '{"defaults": [{"id": "a.b", "agent": "a", "name": "b"}]}');
SELECT t.call('create_prompt_version', '{"prompt_id": "a.b", "content": "text"}') ->> 'version_number' AS version;
SELECT t.call('current_prompt', '{"prompt_id": "a.b"}') ->> 'content' AS content;
SELECT t.call('update_settings', '{"changes": {"max_concurrent": 50}}') ->> 'max_concurrent' AS settings;
SELECT t.call('queue_status') IS NOT NULL AS queue, t.call('maintenance_status') IS NOT NULL AS maintenance,
	t.call('retention_preview') IS NOT NULL AS preview;
INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('p', '/', '{}');
INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s', 'p');
SELECT t.call('add_brainstorm_message', '{"session_id": "s", "role": "user", "content": "hello"}') IS NOT NULL AS said;

-- Threads, retention, the feed, the dashboard's views.
CREATE SCHEMA regress_langgraph
	CREATE TABLE checkpoints (thread_id text, checkpoint_ns text DEFAULT '', checkpoint_id text,
		parent_checkpoint_id text, type text, checkpoint jsonb NOT NULL, metadata jsonb NOT NULL DEFAULT '{}',
		PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id))
	CREATE TABLE checkpoint_blobs (thread_id text, checkpoint_ns text DEFAULT '', channel text, version text,
		type text NOT NULL, blob bytea, PRIMARY KEY (thread_id, checkpoint_ns, channel, version))
	CREATE TABLE checkpoint_writes (thread_id text, checkpoint_ns text DEFAULT '', checkpoint_id text, task_id text,
		idx integer, channel text NOT NULL, type text, blob bytea NOT NULL, task_path text NOT NULL DEFAULT '',
		PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx));
SELECT t.call('register_checkpoints', '{"schema": "regress_langgraph"}') IS NOT NULL AS registered;
SELECT t.call('link_thread', jsonb_build_object('workflow_id', t.w(4), 'thread_id', 'thread')) IS NOT NULL AS linked;
INSERT INTO regress_langgraph.checkpoints (thread_id, checkpoint_id, checkpoint) VALUES ('thread', '1', '{}'), ('other', '1', '{}');
SELECT t.call('forget_workflow', jsonb_build_object('id', t.w(4))) IS NOT NULL AS forgotten;
SELECT t.call('delete_thread', '{"thread_id": "other"}');
UPDATE amelia.server_settings SET log_retention_days = 0;
CALL amelia.run_retention(false);
SELECT count(*) > 0 AS ran FROM amelia.retention_runs;
SELECT t.call('feed_after') IS NOT NULL AS fed, t.call('prune_feed') IS NOT NULL AS pruned;
SELECT count(*) FROM amelia.workflow_overview;

-- The house: roles, verify(), migrate(), and the extension made again. Those
-- that are granted are ours.
CREATE ROLE regress_granted;
SELECT t.call('grant_admin', '{"role": "regress_granted"}');
SELECT count(*) AS planted_and_granted
FROM pg_proc AS p, aclexplode(p.proacl) AS a
WHERE p.pronamespace = 'amelia'::regnamespace AND p.proowner = 'regress_planter'::regrole
	AND a.grantee = 'regress_granted'::regrole;
SELECT t.call('verify');
DROP VIEW amelia.active_workflows;
SELECT t.call('migrate');
DROP EXTENSION amelia CASCADE;
CREATE EXTENSION amelia;
DROP OWNED BY regress_planter, regress_granted;
SELECT v.problem, v.object FROM amelia.verify() AS v;

-- What was planted in the place of a function or view of ours before there was
-- one stays its owner's, who could change it afterwards: migrate() does not
-- take it.
GRANT CREATE, USAGE ON SCHEMA amelia TO regress_planter;
GRANT SELECT ON amelia.workflows TO regress_planter;
DROP FUNCTION amelia.sparkline(double precision[]) CASCADE;
SET ROLE regress_planter;
CREATE FUNCTION amelia.sparkline(numbers double precision[]) RETURNS text LANGUAGE sql AS 'SELECT 1::text';
RESET ROLE;
SELECT statement, left(error, 62) AS error FROM t.errors($$SELECT amelia.migrate()$$);
DROP FUNCTION amelia.sparkline(double precision[]);
SELECT pg_get_viewdef('amelia.active_workflows') AS definition \gset
DROP VIEW amelia.active_workflows;
SET ROLE regress_planter;
CREATE VIEW amelia.active_workflows AS :definition
RESET ROLE;
SELECT statement, left(error, 62) AS error FROM t.errors($$SELECT amelia.migrate()$$);

DROP VIEW amelia.active_workflows;
SELECT amelia.migrate();

-- Nor is what looks like ours taken for ours.
SELECT pg_get_functiondef('amelia.sparkline'::regproc) AS definition \gset
DROP FUNCTION amelia.sparkline(double precision[]);
DROP VIEW amelia.active_workflows;
SET ROLE regress_planter;
:definition;
CREATE TABLE amelia.active_workflows AS SELECT 1;
RESET ROLE;
SELECT v.problem, v.object FROM amelia.verify() AS v;
SELECT statement, left(error, 62) AS error FROM t.errors($$SELECT amelia.migrate()$$);

DROP OWNED BY regress_planter;
SELECT amelia.migrate();
DROP ROLE regress_planter, regress_granted;
DROP SCHEMA regress_langgraph CASCADE;
