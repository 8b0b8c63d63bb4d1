\i test/helpers.psql
-- What a worker with a lost lease writes is refused.
INSERT INTO amelia.workflows (id, issue_id, worktree_path) SELECT t.w(n), 'I-' || n, '/w' || n FROM generate_series(1, 3) AS n;
SELECT id = t.w(1) AS first, lease_token FROM amelia.claim_workflow('a');
CREATE FUNCTION t.writes(n integer, token bigint) RETURNS TABLE (write text, error text) LANGUAGE sql AS $$
SELECT w.name, t.error(format('SELECT amelia.set_worker(%L, %s); ', t.w(n), token) || format(w.statement, t.w(n)))
FROM (VALUES
	('insert', 'INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (%L, ''x'', ''m'')'),
	('insert with sequence', 'INSERT INTO amelia.workflow_log (workflow_id, sequence, event_type, message) VALUES (%L, 1000000, ''x'', ''m'')'),
	('usage', 'INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd) VALUES (%L, ''a'', ''m'', 1, 1, 1)'),
	('update', 'UPDATE amelia.workflows SET plan_cache = ''{}'' WHERE id = %L')) AS w (name, statement)
$$;
-- With the token.
SELECT amelia.append_event(t.w(1), 'x', 'm', lease_token => 1);
SELECT amelia.append_events(t.w(1), '[{"event_type": "x", "message": "m"}]', 1);
SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 1, id => t.u(1), lease_token => 1) = t.u(1) AS recorded;
SELECT * FROM t.errors(
	'SELECT amelia.append_event(t.w(1), ''x'', ''m'', lease_token => 2)',
	'SELECT amelia.append_events(t.w(1), ''[]'', 2)',
	'SELECT amelia.record_usage(t.w(1), ''a'', ''m'', 1, 1, cost_usd => 1, lease_token => 2)',
	'SELECT amelia.set_workflow_status(t.w(1), ''completed'', lease_token => 2)',
	'SELECT amelia.append_event(t.w(2), ''x'', ''m'', lease_token => 1)',
	'SELECT amelia.set_worker(t.w(1), 2)', 'SELECT amelia.set_worker(t.w(99), 1)',
	'SELECT amelia.set_worker(NULL, 1)', 'SELECT amelia.set_worker(t.w(1), NULL)');
-- Said once for the transaction.
BEGIN;
SHOW idle_in_transaction_session_timeout;
SELECT amelia.set_worker(t.w(1), 1);
SELECT setting::integer BETWEEN 1 AND 60000 AS limited FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout';
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(1), 'x', 'plain');
UPDATE amelia.workflows SET plan_cache = '{}' WHERE id = t.w(1);
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd) VALUES (t.w(1), 'a', 'm', 1, 1, 1);
-- What another worker would do meanwhile, without the lock that stops him.
UPDATE amelia.workflow_leases SET lease_token = 2 WHERE workflow_id = t.w(1);
SAVEPOINT s;
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(1), 'x', 'late');
ROLLBACK TO s;
INSERT INTO amelia.workflow_log (workflow_id, sequence, event_type, message) VALUES (t.w(1), 1000, 'x', 'late');
ROLLBACK TO s;
UPDATE amelia.workflows SET plan_cache = '[]' WHERE id = t.w(1);
ROLLBACK TO s;
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd) VALUES (t.w(1), 'a', 'm', 1, 1, 1);
ROLLBACK TO s;
-- Others are not concerned, and asking for its end is nobody's right alone.
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(2), 'x', 'm');
UPDATE amelia.workflows SET cancel_requested = true, priority = 1 WHERE id = t.w(1);
ROLLBACK;
-- Not for the session.
SHOW idle_in_transaction_session_timeout;
UPDATE amelia.workflow_leases SET lease_token = 2 WHERE workflow_id = t.w(1);
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(1), 'x', 'says nothing');
SELECT * FROM t.writes(1, 1);
SELECT * FROM t.writes(1, 2);
-- What a subtransaction said goes with it.
BEGIN;
SAVEPOINT s;
SELECT amelia.set_worker(t.w(1), 2);
ROLLBACK TO s;
UPDATE amelia.workflow_leases SET lease_token = 3 WHERE workflow_id = t.w(1);
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(1), 'x', 'says nothing');
SAVEPOINT s2;
SELECT amelia.set_worker(t.w(1), 3);
RELEASE s2;
UPDATE amelia.workflow_leases SET lease_token = 4 WHERE workflow_id = t.w(1);
SELECT t.error('INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(1), ''x'', ''late'')');
ROLLBACK;
-- Its own end is no late write.
BEGIN;
SELECT amelia.set_worker(t.w(1), 2);
SELECT status FROM amelia.release_workflow(t.w(1), 2, 'completed');
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(1), 'x', 'after the end, in one transaction');
COMMIT;
SELECT * FROM t.log(1);

-- Whoever says nothing is refused as well, if the operator wants it so.
SET amelia.require_lease = on;
SELECT id = t.w(2) AS second, lease_token FROM amelia.claim_workflow('a');
SELECT * FROM t.errors(
	'INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(2), ''x'', ''m'')',
	'SELECT amelia.append_event(t.w(2), ''x'', ''m'')',
	'UPDATE amelia.workflows SET plan_cache = ''{}'' WHERE id = t.w(2)',
	'SELECT amelia.set_workflow_status(t.w(2), ''completed'')',
	'SELECT amelia.append_event(t.w(2), ''x'', ''m'', lease_token => 1)',
	'SELECT amelia.append_event(t.w(3), ''x'', ''nobody holds it'')',
	'SELECT amelia.request_cancel(t.w(2))');
SELECT cancel_requested FROM amelia.heartbeat(t.w(2), 1);
SELECT status FROM amelia.release_workflow(t.w(2), 1, 'cancelled');
SELECT amelia.append_event(t.w(2), 'x', 'nobody holds it any more');
SELECT (amelia.create_workflow('I-4', '/w4', id => t.w(4))).status;
-- A lease that was lost is taken over, and a worn out one put to rest.
SELECT id = t.w(3) AS third, lease_token FROM amelia.claim_workflow('a');
UPDATE amelia.workflow_leases SET expires_at = now() WHERE workflow_id = t.w(3);
SELECT id = t.w(3) AS third, lease_token FROM amelia.claim_workflow('a');
UPDATE amelia.workflow_leases SET expires_at = now() WHERE workflow_id = t.w(3);
UPDATE amelia.workflows SET max_failures = 1 WHERE id = t.w(3);
SELECT id = t.w(4) AS fourth, lease_token FROM amelia.claim_workflow('a');
SELECT status FROM amelia.workflows WHERE id = t.w(3);
RESET amelia.require_lease;

-- A session of one's own.
SELECT format('%s 1', t.w(4)) AS lease \gset
SET amelia.lease = :'lease';
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(4), 'x', 'm');
UPDATE amelia.workflow_leases SET lease_token = 2 WHERE workflow_id = t.w(4);
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(4), 'x', 'm');
SET amelia.lease = 'no lease';
SET amelia.lease = 'aaaaaaaa-0000-7000-8000-00000000000 1';
SET amelia.lease = 'aaaaaaaa-0000-7000-8000-000000000004 1 2';
RESET amelia.lease;
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(4), 'x', 'says nothing');

-- Every table with a workflow_id that workers write, whatever the statement.
SELECT amelia.seed_prompts('[{"id": "a.p", "agent": "a", "name": "P"}]');
INSERT INTO amelia.prompt_versions (id, prompt_id, version_number, content) VALUES ('v1', 'a.p', 1, 'c'), ('v2', 'a.p', 2, 'c');
INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(5), 'I-5', '/w5'), (t.w(6), 'I-6', '/w6');
UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(5);
SELECT amelia.record_workflow_prompt(t.w(5), 'a.p', 'v1'), amelia.link_thread(t.w(5), 'thread');
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd) VALUES (t.w(5), 'a', 'm', 1, 1, 1);
INSERT INTO amelia.workflow_leases (workflow_id, worker, lease_token, expires_at, slot) VALUES (t.w(5), 'a', 2, now() + interval '1 hour', 1000);
SELECT format('%s 1', t.w(5)) AS lease \gset
SET amelia.lease = :'lease';
SELECT * FROM t.errors(
	'SELECT amelia.next_sequence(t.w(5), 3)',
	'SELECT amelia.set_plan_cache(t.w(5), ''{}'')',
	'SELECT amelia.record_workflow_prompt(t.w(5), ''a.p'', ''v2'')',
	'UPDATE amelia.workflow_prompt_versions SET version_id = ''v2''',
	'SELECT amelia.link_thread(t.w(5), ''another'')',
	'INSERT INTO amelia.workflow_threads VALUES (''thread'', t.w(6)) ON CONFLICT (thread_id) DO UPDATE SET workflow_id = EXCLUDED.workflow_id',
	'MERGE INTO amelia.workflows AS w USING (SELECT 1) AS s ON w.id = t.w(5) WHEN MATCHED THEN UPDATE SET issue_id = ''late''');
-- Who takes a row away has written as well.
SELECT * FROM t.errors(
	'UPDATE amelia.token_usage SET workflow_id = t.w(6) WHERE workflow_id = t.w(5)',
	'UPDATE amelia.token_usage SET workflow_id = t.w(5) WHERE workflow_id = t.w(1)',
	'UPDATE amelia.workflow_threads SET workflow_id = t.w(6)');
COPY amelia.workflow_log (workflow_id, event_type, message) FROM STDIN;
aaaaaaaa-0000-7000-8000-000000000005	x	m
\.
-- A claim frees the slots of leases that ran out. It gives nobody leave to write.
UPDATE amelia.workflow_leases SET expires_at = now() WHERE workflow_id = t.w(5);
INSERT INTO amelia.server_settings (id, max_concurrent) VALUES (1, 1);
BEGIN;
SELECT count(*) FROM generate_series(1, 2) AS g, LATERAL amelia.claim_workflow('b' || g, profile_id => 'none');
SELECT slot IS NULL AS freed FROM amelia.workflow_leases WHERE workflow_id = t.w(5);
SELECT t.error('INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(5), ''x'', ''late'')');
ROLLBACK;
RESET amelia.lease;
