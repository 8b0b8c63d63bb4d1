\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers
-- What a claim may take and what it may not, as an orchestrator in plain SQL and
-- workers meet in one database.
CREATE FUNCTION t.claim(worker text DEFAULT 'w') RETURNS TABLE (workflow text, lease_token bigint, failures integer)
LANGUAGE sql AS $$SELECT right(c.id::text, 2), c.lease_token, c.failures FROM amelia.claim_workflow(worker) AS c$$;
CREATE FUNCTION t.all_claims() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line record;
	claimed text := '';
BEGIN
	LOOP
		SELECT * INTO line FROM t.claim();
		EXIT WHEN NOT FOUND;
		claimed := concat_ws(' ', NULLIF(claimed, ''), line.workflow);
	END LOOP;
	RETURN claimed;
END
$$;
CREATE FUNCTION t.make(n integer, status text DEFAULT 'pending', failures integer DEFAULT 0, retry interval DEFAULT NULL, priority integer DEFAULT 0)
RETURNS void LANGUAGE sql AS $$
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, failures, retry_at, priority, available_at)
VALUES (t.w(n), 'I-' || n, '/w' || n, status, failures, now() + retry, priority, now() - interval '1 hour' + n * interval '1 s')
$$;
CREATE FUNCTION t.expire(n integer) RETURNS void LANGUAGE sql AS $$
UPDATE amelia.workflow_leases SET expires_at = now() - interval '1 s' WHERE workflow_id = t.w(n)
$$;
SELECT max_concurrent FROM amelia.update_settings('{"max_concurrent": 100}');
-- TRUNCATE tells what it cascades to.
SET client_min_messages = warning;

-- Every status, as a plain INSERT brings it: pending ones, and failed ones of
-- which an attempt is due.
SELECT t.make(1), t.make(2, 'in_progress'), t.make(3, 'blocked'), t.make(4, 'completed'), t.make(5, 'failed'), t.make(6, 'cancelled'),
	t.make(7, 'failed', 1, '-1 s'), t.make(8, 'failed', 3, '-1 s'), t.make(9, 'failed', 1, '1 hour'), t.make(10, 'failed', 0, '-1 s');
SELECT t.all_claims();
SELECT string_agg(right(id::text, 2), ' ' ORDER BY id) FILTER (WHERE status = 'in_progress') AS in_progress,
	bool_and(retry_at IS NULL) FILTER (WHERE id IN (t.w(7), t.w(10))) AS none_due
FROM amelia.workflows;

-- Highest priority, then earliest available, lost leases by the same order; a
-- failed attempt by the time at which it is due.
TRUNCATE amelia.workflows CASCADE;
SELECT t.make(1), t.make(2), t.make(3, priority => 1), t.make(4, priority => -1), t.make(5, priority => 1);
UPDATE amelia.workflows SET available_at = now() - interval '2 hours' WHERE id = t.w(5);
SELECT t.all_claims();
SELECT t.expire(4), t.expire(1), t.expire(3);
SELECT t.make(6), t.make(7, priority => 2);
SELECT status, failures FROM amelia.release_workflow(t.w(5), 1, 'failed', retry_after => '0');
SELECT t.all_claims();

-- What a plain client has, it keeps: started by it, after a worker had it, after
-- an approval, after a failure of which another attempt was due.
TRUNCATE amelia.workflows CASCADE;
SELECT t.make(n) FROM generate_series(1, 5) AS n;
UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(1);
SELECT t.claim(), t.claim(), t.claim(), t.claim();
SELECT status FROM amelia.request_approval(t.w(2), 1, 'Shall I?');
UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(2);
SELECT status FROM amelia.release_workflow(t.w(3), 1, 'failed', retry_after => '0');
UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(3);
UPDATE amelia.workflows SET status = 'blocked' WHERE id = t.w(4);
UPDATE amelia.workflows SET status = 'pending' WHERE id = t.w(4);
UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(4);
SELECT t.all_claims();
-- … and what it marks as failed stays failed, whatever was due before.
UPDATE amelia.workflows SET status = 'failed';
SELECT t.all_claims();
SELECT right(id::text, 2) AS workflow, status, failures, retry_at FROM amelia.workflows ORDER BY id;
-- A lost lease that a plain client ends is no lost lease any more.
TRUNCATE amelia.workflows CASCADE;
SELECT t.make(1), t.make(2);
SELECT t.claim(), t.claim();
SELECT t.expire(1), t.expire(2);
UPDATE amelia.workflows SET status = 'completed' WHERE id = t.w(1);
UPDATE amelia.workflows SET status = 'failed' WHERE id = t.w(2);
UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(2);
SELECT t.all_claims();

-- Approvals are no failures, however many; a given back lease neither; each lost
-- one is, and the claim that comes across the last one fails the workflow and
-- takes what is behind it.
TRUNCATE amelia.workflows CASCADE;
SELECT t.make(1), t.make(2);
SELECT count(amelia.decide(t.w(1), t.question(1), n % 2 = 0))
FROM generate_series(1, 5) AS n, LATERAL t.claim('w' || n) AS c, LATERAL amelia.request_approval(t.w(1), c.lease_token, 'And now?') AS r;
SELECT count(amelia.release_workflow(t.w(1), c.lease_token)) FROM generate_series(1, 5) AS n, LATERAL t.claim('w' || n) AS c;
SELECT * FROM t.claim();
SELECT t.expire(1);
SELECT * FROM t.claim();
SELECT t.expire(1);
SELECT * FROM t.claim();
SELECT t.expire(1);
SELECT * FROM t.claim();
SELECT status, failures, retry_at FROM amelia.get_workflow(t.w(1));
SELECT event_type, message FROM amelia.recent_events(t.w(1), 1);

-- One in a worktree, whoever is active there and however.
TRUNCATE amelia.workflows CASCADE;
SELECT t.make(n) FROM generate_series(1, 4) AS n;
UPDATE amelia.workflows SET worktree_path = CASE WHEN id < t.w(3) THEN '/a' ELSE '/b' END;
UPDATE amelia.workflows SET status = 'blocked' WHERE id = t.w(2);
SELECT t.all_claims();
SELECT status FROM amelia.release_workflow(t.w(3), 1, 'failed', retry_after => '0');
-- It is due now, and behind the other one of its worktree.
SELECT * FROM t.claim();
SELECT status FROM amelia.set_workflow_status(t.w(2), 'pending');
SELECT * FROM t.claim();
SELECT t.all_claims();

-- Limits bind claims and count claims; plain updates go beyond them.
TRUNCATE amelia.workflows CASCADE;
SELECT max_concurrent FROM amelia.update_settings('{"max_concurrent": 2}');
SELECT t.make(n) FROM generate_series(1, 6) AS n;
UPDATE amelia.workflows SET status = 'in_progress' WHERE id IN (t.w(1), t.w(2), t.w(3));
SELECT t.all_claims();
UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(6);
UPDATE amelia.workflows SET status = 'completed' WHERE id = t.w(1);
SELECT t.all_claims();
UPDATE amelia.workflows SET status = 'completed' WHERE id = t.w(4);
SELECT t.make(7);
SELECT t.all_claims();

-- Claims in transactions that do not last: with a savepoint, and whole.
TRUNCATE amelia.workflows CASCADE;
SELECT t.make(1), t.make(2);
BEGIN;
SAVEPOINT s;
SELECT * FROM t.claim();
SELECT amelia.append_event(t.w(1), 'x', 'm', lease_token => 1);
ROLLBACK TO s;
SELECT * FROM t.claim();
SAVEPOINT s2;
SELECT * FROM t.claim();
ROLLBACK TO s2;
COMMIT;
SELECT * FROM t.claim();
SELECT workflow_id = t.w(1) AS first, lease_token, count(*) OVER () AS leases FROM amelia.workflow_leases ORDER BY workflow_id;
SELECT right(workflow_id::text, 2) AS workflow, sequence, event_type FROM amelia.workflow_log ORDER BY 1, 2;
-- What was taken in a transaction can be released in it, and claimed again.
BEGIN;
SELECT status FROM amelia.release_workflow(t.w(1), 1, 'failed', retry_after => '0');
SELECT * FROM t.claim();
SELECT status FROM amelia.release_workflow(t.w(1), 2);
SELECT * FROM t.claim();
COMMIT;
SELECT cancel_requested FROM amelia.heartbeat(t.w(1), 3);

-- On an old snapshot, and where anomalies are refused: as at any other time.
TRUNCATE amelia.workflows CASCADE;
SELECT t.make(1), t.make(2);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM amelia.workflows;
SELECT * FROM t.claim();
SELECT cancel_requested FROM amelia.heartbeat(t.w(1), 1);
SELECT amelia.append_event(t.w(1), 'x', 'm', lease_token => 1);
SELECT status FROM amelia.release_workflow(t.w(1), 1, 'completed');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT * FROM t.claim();
COMMIT;
BEGIN READ ONLY;
SELECT t.error('SELECT amelia.claim_workflow(''w'')'), t.error('SELECT amelia.heartbeat(t.w(2), 1)');
COMMIT;
SELECT * FROM amelia.verify();
