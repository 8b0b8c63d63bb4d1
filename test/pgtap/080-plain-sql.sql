-- An orchestrator that knows nothing of our functions: plain INSERT, UPDATE,
-- SELECT and DELETE, with the tables' names alone.
BEGIN;
-- pgTAP may live in any schema; ours follows it, as in the client's search_path.
SELECT set_config('search_path', 'pg_catalog, ' || quote_ident(n.nspname) || ', amelia', true) AS path
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pgtap' \gset
SELECT no_plan();

-- The number in a statement's command tag.
CREATE FUNCTION pg_temp.row_count(statement text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	affected bigint;
BEGIN
	EXECUTE statement;
	GET DIAGNOSTICS affected = ROW_COUNT;
	RETURN affected;
END
$$;

-- Any status, any type, any timestamps: that is no transition.
INSERT INTO workflows (issue_id, worktree_path, status, workflow_type, created_at, started_at, completed_at, updated_at)
SELECT s.value || '/' || y.value, '/w/' || row_number() OVER (), s.value, y.value, t.at, t.at, t.at, t.at
FROM unnest(ARRAY['pending', 'in_progress', 'blocked', 'completed', 'failed', 'cancelled']) AS s (value),
	unnest(ARRAY['full', 'review']) AS y (value),
	unnest(ARRAY['infinity', '-infinity', '1970-01-01 00:00:00+00', '2999-12-31 23:59:59.999999+00']::timestamptz[]) AS t (at);
SELECT is((SELECT count(*) FROM workflows), 48::bigint, 'every status, type and time is taken');
SELECT is((SELECT count(*) FROM workflows AS w
		WHERE w.created_at = w.started_at AND w.started_at = w.completed_at AND w.completed_at = w.updated_at
			AND w.issue_id = w.status || '/' || w.workflow_type), 48::bigint, '… and kept as it is');
INSERT INTO workflows (issue_id, worktree_path, status) VALUES ('none', '/none', 'completed');
SELECT results_eq($$SELECT w.started_at, w.completed_at FROM workflows AS w WHERE w.issue_id = 'none'$$,
	'VALUES (NULL::timestamptz, NULL::timestamptz)', 'an INSERT fills in no timestamp');
SELECT is((SELECT count(*) FROM workflow_log), 0::bigint, 'a plain INSERT writes no event');

-- Every timestamp column of every table takes infinity.
INSERT INTO profiles (id, working_dir, agents, created_at, updated_at) VALUES ('p', '/', '{}', 'infinity', '-infinity');
INSERT INTO brainstorm_sessions (id, profile_id, created_at, updated_at) VALUES ('s', 'p', 'infinity', '-infinity');
INSERT INTO brainstorm_messages (id, session_id, role, content, created_at) VALUES ('m', 's', 'user', 'c', 'infinity');
INSERT INTO brainstorm_artifacts (id, session_id, type, path, created_at) VALUES ('a', 's', 'adr', '/', '-infinity');
INSERT INTO prompts (id, agent, name) VALUES ('a.b', 'a', 'b');
INSERT INTO prompt_versions (prompt_id, version_number, content, created_at) VALUES ('a.b', 1, 'c', 'infinity');
INSERT INTO server_settings (id, created_at, updated_at) VALUES (1, 'infinity', '-infinity');
INSERT INTO workflows (id, issue_id, worktree_path, available_at, retry_at)
VALUES ('00000000-0000-0000-0000-000000000001', 'A-1', '/a', '-infinity', 'infinity');
INSERT INTO workflow_log (workflow_id, sequence, "timestamp", event_type, message)
VALUES ('00000000-0000-0000-0000-000000000001', 1, 'infinity', 't', 'm');
INSERT INTO token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
VALUES ('00000000-0000-0000-0000-000000000001', 'a', 'm', 1, 1, 1, '-infinity');
INSERT INTO workflow_leases (workflow_id, worker, lease_token, claimed_at, expires_at, seen_at, starts_until)
VALUES ('00000000-0000-0000-0000-000000000001', 'w', 1, '-infinity', 'infinity', '-infinity', 'infinity');
INSERT INTO claim_faults (workflow_id, failed_at, retry_at, sqlstate, reason)
VALUES ('00000000-0000-0000-0000-000000000001', '-infinity', 'infinity', 'P0001', 'r');
INSERT INTO workflow_inbox (workflow_id, kind, sent_at, taken_at)
VALUES ('00000000-0000-0000-0000-000000000001', 'k', '-infinity', 'infinity');
INSERT INTO workflow_feed (origin, lsn, xid, number, workflow_id, written_at)
VALUES (1, '0/1', '1', 1, '00000000-0000-0000-0000-000000000001', '-infinity');
INSERT INTO feed_snapshots (origin, taken_at, snapshot, high) VALUES (1, 'infinity', '1:1:', '0/1');
INSERT INTO checkpoint_schemas (schema_name, registered_at) VALUES ('s', 'infinity');
INSERT INTO retention_runs (requested_by, pid, thorough, started_at, finished_at) VALUES ('r', 1, false, '-infinity', 'infinity');
INSERT INTO workflow_history (workflow_id, workflow_type, status, started_at, completed_at, deleted_at, usage_until)
VALUES ('00000000-0000-0000-0000-0000000000ff', 'full', 'completed', '-infinity', 'infinity', 'infinity', 'infinity');
INSERT INTO usage_days (day, announced_at, closed_at) VALUES ('1999-12-31', 'infinity', '-infinity');
INSERT INTO model_prices (model, valid_from, valid_to, input, output, cache_read, cache_creation) VALUES ('m', '-infinity', 'infinity', 3, 15, 0.3, 3.75);
INSERT INTO unpriced_usage (usage_id, workflow_id, model, recorded_at)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000001', 'm', 'infinity');
INSERT INTO budgets (id, scope, period, limit_usd, action, created_at)
VALUES ('00000000-0000-0000-0000-000000000001', 'everything', 'month', 1, 'warn', 'infinity');
INSERT INTO budget_warnings (budget_id, period_start, warned_at)
VALUES ('00000000-0000-0000-0000-000000000001', '2026-01-01', 'infinity');
CREATE TEMP TABLE timestamps AS
SELECT a.attrelid::regclass AS relation, a.attname
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname NOT IN ('schema_versions', 'schema_migrations')
	AND a.atttypid = 'timestamptz'::regtype AND NOT a.attisdropped;
SELECT cmp_ok(pg_temp.row_count(format('SELECT FROM %s WHERE NOT isfinite(%I)', t.relation, t.attname)), '>', 0::bigint,
	format('%s.%s takes infinity', t.relation, t.attname))
FROM timestamps AS t;

-- Numbers arrive as long decimals and are rounded to six digits.
INSERT INTO token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd)
SELECT '00000000-0000-0000-0000-000000000001', 'rounding', c.cost, 1, 1, c.cost::numeric
FROM unnest(ARRAY['0.1234565', '0.1234564999999999', '0.0000005', '0.00000049', '9999.9999994',
	'0.30000000000000004', '-0.0000004']) AS c (cost);
SELECT results_eq($$SELECT u.model, u.cost_usd::text FROM token_usage AS u WHERE u.agent = 'rounding' ORDER BY u.id$$, $$
	VALUES ('0.1234565', '0.123457'), ('0.1234564999999999', '0.123456'), ('0.0000005', '0.000001'),
		('0.00000049', '0.000000'), ('9999.9999994', '9999.999999'), ('0.30000000000000004', '0.300000'),
		('-0.0000004', '0.000000')
$$, 'cost_usd of token_usage');
SELECT throws_ok($$
	INSERT INTO token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd)
	VALUES ('00000000-0000-0000-0000-000000000001', 'a', 'm', 1, 1, 9999.9999995)
$$, '22003', NULL, 'what is rounded up to 10000 is out of range');
INSERT INTO brainstorm_messages (id, session_id, role, content, cost_usd) VALUES ('n', 's', 'user', 'c', 0.0000019999);
SELECT is((SELECT m.cost_usd::text FROM brainstorm_messages AS m WHERE m.id = 'n'), '0.000002', 'cost_usd of brainstorm_messages');

-- JSON is jsonb: one document, not text of it, whatever it is.
UPDATE workflows SET plan_cache = '{"b": 1, "a": [1.50, null, "\u00e9"], "b": 2}', issue_cache = '[]' WHERE issue_id = 'A-1';
SELECT results_eq($$SELECT w.plan_cache::text, w.issue_cache::text FROM workflows AS w WHERE w.issue_id = 'A-1'$$,
	$$VALUES ('{"a": [1.50, null, "é"], "b": 2}', '[]')$$, 'jsonb');

-- updated_at moves by itself, with an UPDATE that does not set it.
CREATE TEMP TABLE updates (relation text, first_change text, second_change text);
INSERT INTO updates VALUES
	('workflows', 'issue_cache = ''{"n": 1}''', 'status = ''in_progress'''),
	('profiles', 'working_dir = ''/x''', 'is_active = true'),
	('brainstorm_sessions', 'topic = ''x''', 'status = ''completed'''),
	('server_settings', 'max_concurrent = 6', 'recovery_hours = 1');
SELECT set_eq('SELECT u.relation FROM updates AS u', $$
	SELECT t.relation::text FROM timestamps AS t WHERE t.attname = 'updated_at'
$$, 'the tables that have updated_at');
CREATE FUNCTION pg_temp.updated_at(relation text, change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	changed bigint;
	seen timestamptz;
BEGIN
	EXECUTE format('UPDATE %I SET %s WHERE created_at = (SELECT max(created_at) FROM %I)', relation, change, relation);
	GET DIAGNOSTICS changed = ROW_COUNT;
	EXECUTE format('SELECT updated_at FROM %I WHERE created_at = (SELECT max(created_at) FROM %I)', relation, relation) INTO seen;
	RETURN format('%s row, %s', changed, CASE WHEN seen = now() THEN 'now' ELSE seen::text END);
END
$$;
DELETE FROM workflows WHERE issue_id <> 'A-1';
SELECT is(pg_temp.updated_at(u.relation, 'updated_at = ''1999-12-31 00:00:00+00'''),
	'1 row, ' || '1999-12-31 00:00:00+00'::timestamptz, format('%s: an UPDATE that sets updated_at keeps it', u.relation))
FROM updates AS u;
SELECT is(pg_temp.updated_at(u.relation, u.first_change), '1 row, now', format('%s: %s moves it', u.relation, u.first_change))
FROM updates AS u;
SELECT is(pg_temp.updated_at(u.relation, 'updated_at = ''infinity'''), '1 row, infinity', format('%s: infinity, too', u.relation))
FROM updates AS u;
SELECT is(pg_temp.updated_at(u.relation, u.second_change), '1 row, now', format('%s: %s moves it', u.relation, u.second_change))
FROM updates AS u;
SELECT is(pg_temp.updated_at(u.relation, u.second_change || ', updated_at = ''-infinity'''), '1 row, -infinity',
	format('%s: set beside another column', u.relation))
FROM updates AS u;

-- What the command tag says is true, also for rows that nothing changes in,
-- and for as many as there are.
SELECT is(pg_temp.row_count(s.statement), s.rows::bigint, s.statement)
FROM (VALUES
	('INSERT INTO profiles (id, working_dir, agents) VALUES (''q'', ''/'', ''{}''), (''r'', ''/'', ''{}'')', 2),
	('UPDATE profiles SET is_active = is_active', 3),
	('INSERT INTO workflows (issue_id, worktree_path) SELECT ''B'', ''/b'' FROM generate_series(1, 5)', 5),
	('UPDATE workflows SET status = ''cancelled'' WHERE issue_id = ''B''', 5),
	('UPDATE workflows SET status = status', 6),
	('INSERT INTO workflow_log (workflow_id, event_type, message) SELECT w.id, ''stream'', ''m'' FROM workflows AS w', 6),
	('UPDATE workflow_log SET message = ''n''', 7),
	('UPDATE token_usage SET agent = ''b''', 8),
	('INSERT INTO prompts (id, agent, name) VALUES (''a.b'', ''a'', ''b'') ON CONFLICT (id) DO NOTHING', 0),
	('INSERT INTO prompts (id, agent, name) VALUES (''a.b'', ''a'', ''c'') ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name', 1),
	('UPDATE server_settings SET max_concurrent = 8', 1),
	('INSERT INTO brainstorm_messages (id, session_id, role, content) VALUES (''o'', ''s'', ''assistant'', ''c'')', 1),
	('UPDATE brainstorm_sessions SET status = ''failed''', 1),
	('DELETE FROM brainstorm_messages', 3),
	('DELETE FROM brainstorm_sessions', 1),
	('DELETE FROM workflow_log WHERE event_type = ''stream''', 6),
	('DELETE FROM workflows', 6),
	('DELETE FROM profiles', 3),
	('DELETE FROM prompt_versions', 1),
	('DELETE FROM prompts', 1),
	('DELETE FROM server_settings', 1)) AS s (statement, rows);

SELECT * FROM finish();
ROLLBACK;
