\i test/helpers.psql
-- Claims, heartbeats and releases; what is claimable and what is not.
CREATE VIEW t.leases AS
SELECT right(l.workflow_id::text, 2) AS workflow, l.worker, l.lease_token,
	CASE WHEN l.expires_at IS NULL THEN 'ended' WHEN l.expires_at <= clock_timestamp() THEN 'lost' ELSE 'in force' END AS state,
	l.given_back, l.slot IS NOT NULL AS slot, l.profile_slot IS NOT NULL AS profile_slot
FROM amelia.workflow_leases AS l ORDER BY l.workflow_id;
CREATE FUNCTION t.claim(worker text, lease interval DEFAULT '60 s', profile text DEFAULT NULL, types text[] DEFAULT NULL)
RETURNS TABLE (workflow text, status text, lease_token bigint, failures integer)
LANGUAGE sql AS $$
SELECT right(c.id::text, 2), c.status, c.lease_token, c.failures FROM amelia.claim_workflow(worker, lease, profile, types) AS c
$$;
CREATE FUNCTION t.pending(n integer, priority integer DEFAULT 0, worktree text DEFAULT NULL, profile text DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$
INSERT INTO amelia.workflows (id, issue_id, worktree_path, priority, profile_id, available_at)
VALUES (t.w(n), 'I-' || n, COALESCE(worktree, '/w' || n), priority, profile, now() - interval '1 hour' + n * interval '1 s')
$$;
-- A lease that ran out, without waiting for it.
CREATE FUNCTION t.expire(n integer) RETURNS void LANGUAGE sql AS $$
UPDATE amelia.workflow_leases SET expires_at = now() - interval '1 s' WHERE workflow_id = t.w(n)
$$;

-- TRUNCATE tells what it cascades to.
SET client_min_messages = warning;

-- Nothing to claim.
SELECT * FROM t.claim('a');
-- Priority first, then time, then id; what is not available yet is passed over.
SELECT t.pending(n) FROM generate_series(1, 3) AS n;
SELECT t.pending(4, 5), t.pending(5, 9);
UPDATE amelia.workflows SET available_at = now() + interval '1 hour' WHERE id = t.w(5);
SELECT * FROM t.claim('a');
SELECT * FROM t.claim('b');
SELECT * FROM t.leases;
SELECT * FROM t.log(4);
SELECT data FROM amelia.workflow_log WHERE workflow_id = t.w(4);
-- The row comes back as it is now.
SELECT c.id = t.w(2) AS second, c.issue_id, c.status, c.started_at IS NOT NULL AS started, c.retry_at, c.parked
FROM amelia.claim_workflow('a') AS c;

-- Heartbeats.
SELECT expires_at > now() + interval '9 min' AS prolonged, cancel_requested FROM amelia.heartbeat(t.w(4), 1, '10 min');
SELECT (amelia.request_cancel(t.w(4))).status;
SELECT cancel_requested FROM amelia.heartbeat(t.w(4), 1);
SELECT * FROM t.errors(
	'SELECT amelia.heartbeat(NULL, 1)', 'SELECT amelia.heartbeat(t.w(4), NULL)', 'SELECT amelia.heartbeat(t.w(4), 1, NULL)',
	'SELECT amelia.heartbeat(t.w(4), 1, ''0'')', 'SELECT amelia.heartbeat(t.w(4), 1, ''-1 s'')',
	'SELECT amelia.heartbeat(t.w(4), 2)', 'SELECT amelia.heartbeat(t.w(5), 1)', 'SELECT amelia.heartbeat(t.w(99), 1)',
	'SELECT amelia.claim_workflow(NULL)', 'SELECT amelia.claim_workflow('''')', 'SELECT amelia.claim_workflow(''a'', NULL)',
	'SELECT amelia.claim_workflow(''a'', ''0'')', 'SELECT amelia.claim_workflow(''a'', workflow_types => ''{half}'')',
	'SELECT amelia.claim_workflow(''a'', workflow_types => ''{NULL}'')');

-- Releases.
SELECT status, failures, retry_at FROM amelia.release_workflow(t.w(4), 1, 'cancelled');
SELECT status, completed_at IS NOT NULL AS completed FROM amelia.release_workflow(t.w(1), 1, 'completed');
SELECT * FROM t.log(1);
SELECT * FROM t.leases;
SELECT * FROM t.errors(
	'SELECT amelia.release_workflow(t.w(1), 1, ''completed'')', 'SELECT amelia.release_workflow(t.w(2), 7, ''completed'')',
	'SELECT amelia.release_workflow(t.w(2), 1, ''pending'')', 'SELECT amelia.release_workflow(t.w(2), 1, ''done'')',
	'SELECT amelia.release_workflow(t.w(2), 1, ''completed'', ''why'')', 'SELECT amelia.release_workflow(t.w(2), 1, NULL, ''why'')',
	'SELECT amelia.release_workflow(t.w(2), 1, ''completed'', retry_after => ''1 s'')',
	'SELECT amelia.release_workflow(NULL, 1)', 'SELECT amelia.release_workflow(t.w(2), NULL)', 'SELECT amelia.release_workflow(t.w(99), 1)');

-- Given back: claimable at once, the token grows, it counts as no failure.
SELECT status FROM amelia.release_workflow(t.w(2), 1);
SELECT * FROM t.leases WHERE workflow = '02';
SELECT t.error('SELECT amelia.heartbeat(t.w(2), 1)');
SELECT * FROM t.claim('b');
SELECT * FROM t.log(2);
-- A lost lease counts as one, until there is none left.
SELECT t.expire(2);
SELECT t.error('SELECT amelia.heartbeat(t.w(2), 2)') LIKE '55000%' AS lost;
SELECT * FROM t.claim('c');
SELECT t.expire(2);
SELECT * FROM t.claim('d');
SELECT t.expire(2);
SELECT * FROM t.claim('e');
SELECT status, failures, failure_reason, retry_at FROM amelia.workflows WHERE id = t.w(2);
SELECT right(id::text, 2) AS workflow FROM amelia.dead_workflows();
SELECT * FROM t.errors('SELECT amelia.dead_workflows(-1)');
-- Once more.
SELECT status, failures, max_failures FROM amelia.requeue_workflow(t.w(2), 2);
SELECT * FROM t.claim('f');
SELECT * FROM t.errors('SELECT amelia.requeue_workflow(t.w(2))', 'SELECT amelia.requeue_workflow(t.w(99))',
	'SELECT amelia.requeue_workflow(NULL)', 'SELECT amelia.requeue_workflow(t.w(2), 0)', 'SELECT amelia.requeue_workflow(t.w(2), NULL)');
-- A failed attempt: due after a delay, or after what the worker says.
SELECT status, failures, retry_at - now() BETWEEN '9 s' AND '21 s' AS delayed, failure_reason
FROM amelia.release_workflow(t.w(2), 5, 'failed', 'no luck');
SELECT * FROM t.claim('f');
UPDATE amelia.workflows SET retry_at = now(), available_at = now() WHERE id = t.w(2);
SELECT * FROM t.claim('f');
SELECT status, failures, retry_at FROM amelia.release_workflow(t.w(2), 6, 'failed', retry_after => '1 min');
SELECT * FROM t.log(2);
SELECT min(amelia_internal.retry_delay(n)) >= '5 s' AS low, max(amelia_internal.retry_delay(n)) <= '1 hour' AS high FROM generate_series(0, 3000) AS n;

-- What a plain client started is never taken from it, nor what it marked as failed.
TRUNCATE amelia.workflows CASCADE;
SELECT t.pending(n) FROM generate_series(1, 2) AS n;
SELECT * FROM t.claim('a');
SELECT status FROM amelia.release_workflow(t.w(1), 1, 'failed', retry_after => '0');
UPDATE amelia.workflows SET status = 'in_progress', retry_at = NULL WHERE id = t.w(1);
UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(2);
SELECT * FROM t.claim('a');
UPDATE amelia.workflows SET status = 'failed';
SELECT * FROM t.claim('a');

-- A plain UPDATE ends the lease and frees the slot.
TRUNCATE amelia.workflows CASCADE;
SELECT t.pending(n) FROM generate_series(1, 4) AS n;
SELECT * FROM t.claim('a');
UPDATE amelia.workflows SET status = 'blocked' WHERE id = t.w(1);
SELECT * FROM t.leases;
SELECT count(l.slot), count(l.profile_slot) FROM amelia.workflow_leases AS l;
-- And so does a DELETE.
SELECT * FROM t.claim('a');
DELETE FROM amelia.workflows WHERE id = t.w(2);
SELECT count(l.slot), count(l.profile_slot) FROM amelia.workflow_leases AS l;

-- Limits: over all, and of a profile; plain updates do not count.
SELECT (amelia.update_settings('{"max_concurrent": 2}')).max_concurrent;
INSERT INTO amelia.profiles (id, working_dir, agents, max_concurrent) VALUES ('p', '/', '{}', 1);
TRUNCATE amelia.workflows CASCADE;
SELECT t.pending(n, profile => 'p') FROM generate_series(1, 3) AS n;
SELECT t.pending(n) FROM generate_series(4, 6) AS n;
SELECT t.pending(7);
UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(7);
SELECT * FROM t.claim('a');
SELECT * FROM t.claim('a');
SELECT * FROM t.claim('a');
SELECT * FROM t.leases;
-- The slots of a lost lease can be given to others; the workflow itself needs them again.
SELECT t.expire(1);
SELECT * FROM t.claim('b', types => '{full}');
SELECT status FROM amelia.release_workflow(t.w(4), 1, 'completed');
SELECT * FROM t.claim('b', profile => 'p');
SELECT * FROM t.leases;
-- A lower limit counts those that are held above it.
SELECT (amelia.update_settings('{"max_concurrent": 1}')).max_concurrent;
SELECT * FROM t.claim('b');
SELECT (amelia.update_settings('{"max_concurrent": 5}')).max_concurrent;

-- Filters.
TRUNCATE amelia.workflows CASCADE;
SELECT t.pending(1, profile => 'q'), t.pending(2), t.pending(3);
UPDATE amelia.workflows SET workflow_type = 'review' WHERE id = t.w(3);
SELECT * FROM t.claim('a', profile => 'none');
SELECT * FROM t.claim('a', types => '{}');
-- However many are asked for, it is looked for each once.
SET statement_timeout = '10min';
SELECT * FROM t.claim('a', types => ARRAY(SELECT 'type ' || n FROM generate_series(1, 500000) AS n) || '{none,none}');
RESET statement_timeout;
SELECT * FROM t.claim('a', types => '{review}');
SELECT * FROM t.claim('a', profile => 'q', types => '{review,full}');

-- One worktree: one at a time; those behind stand aside, and come again.
TRUNCATE amelia.workflows CASCADE;
SELECT t.pending(n, worktree => '/same') FROM generate_series(1, 4) AS n;
SELECT t.pending(5);
SELECT * FROM t.claim('a');
SELECT * FROM t.claim('a');
SELECT * FROM t.claim('a');
SELECT right(id::text, 2) AS workflow, status, parked, updated_at = created_at AS untouched FROM amelia.workflows ORDER BY id;
SELECT status FROM amelia.release_workflow(t.w(1), 1, 'completed');
SELECT right(id::text, 2) AS workflow, status, parked FROM amelia.workflows ORDER BY id;
SELECT (amelia.request_cancel(t.w(2))).status;
SELECT * FROM t.claim('a');
SELECT * FROM t.claim('a');
-- A change of its place shows it again.
UPDATE amelia.workflows SET priority = 3 WHERE id = t.w(4);
SELECT right(id::text, 2) AS workflow, status, parked FROM amelia.workflows ORDER BY id;
-- Parked though its worktree is free: a claim that finds nothing else finds it.
SELECT status FROM amelia.release_workflow(t.w(3), 1, 'completed');
UPDATE amelia.workflows SET parked = true WHERE id = t.w(4);
SELECT * FROM t.claim('a');

-- The time to begin.
TRUNCATE amelia.workflows CASCADE;
SELECT (amelia.update_settings('{"workflow_start_timeout_seconds": 500}')).max_concurrent;
SELECT t.pending(n) FROM generate_series(1, 2) AS n;
SELECT expires_at - now() < '9 min' AS short FROM amelia.claim_workflow('a', '1 hour');
SELECT starts_until - now() > '50 min' AS long FROM amelia.workflow_leases;
SELECT amelia.append_event(t.w(1), 'x', 'not under the token');
SELECT starts_until IS NOT NULL AS not_seen FROM amelia.workflow_leases;
SELECT amelia.append_event(t.w(1), 'x', 'under the token', lease_token => 1);
SELECT starts_until IS NULL AS seen, expires_at - now() > '50 min' AS long FROM amelia.workflow_leases;
SELECT expires_at - now() < '3 min' AS shorter FROM amelia.claim_workflow('a', '100 s');

-- Somebody wants its end, and nobody would tell its worker.
SELECT t.expire(1);
SELECT (amelia.request_cancel(t.w(1))).status;
SELECT * FROM t.claim('a');
SELECT status, failure_reason, failures FROM amelia.workflows WHERE id = t.w(1);
SELECT * FROM t.errors('SELECT amelia.request_cancel(t.w(1))', 'SELECT amelia.request_cancel(t.w(99))', 'SELECT amelia.request_cancel(NULL)');

-- The status of the queue.
SELECT by_status, oldest_waiting, claims_per_minute, expired_leases, held, max_concurrent,
	jsonb_array_length(workers) AS workers, workers -> 0 ->> 'worker' AS first
FROM amelia.queue_status();
SELECT * FROM amelia.verify();
