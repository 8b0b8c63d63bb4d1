\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers
-- What the queue's functions are not to be given, and what odd things they take.
INSERT INTO amelia.workflows (id, issue_id, worktree_path, available_at)
SELECT t.w(n), 'I-' || n, '/w' || n, now() - interval '1 hour' + n * interval '1 s' FROM generate_series(1, 4) AS n;
SELECT id = t.w(1) AS first FROM amelia.claim_workflow('a');
SELECT id = t.w(2) AS second FROM amelia.claim_workflow('a');
SELECT t.digest() AS before \gset

-- Claims: the worker's name, the lease, types.
SELECT * FROM t.errors(
	$$SELECT amelia.claim_workflow(NULL)$$,
	$$SELECT amelia.claim_workflow('')$$,
	$$SELECT amelia.claim_workflow('b', NULL)$$,
	$$SELECT amelia.claim_workflow('b', '0')$$,
	$$SELECT amelia.claim_workflow('b', '-1 day')$$,
	$$SELECT amelia.claim_workflow('b', '1 month -40 days')$$,
	$$SELECT amelia.claim_workflow('b', '300000 years')$$,
	$$SELECT amelia.claim_workflow('b', '178000000 years')$$,
	$$SELECT amelia.claim_workflow('b', '-300000 years')$$,
	$$SELECT amelia.claim_workflow('b', workflow_types => '{full,NULL}')$$,
	$$SELECT amelia.claim_workflow('b', workflow_types => '{half}')$$,
	$$SELECT amelia.claim_workflow('b', workflow_types => '{""}')$$,
	$$SELECT amelia.claim_workflow('b', workflow_types => '{{half},{other}}')$$);
-- Nothing comes of these, and nothing is wrong with them.
SELECT id FROM amelia.claim_workflow('b', profile_id => 'nobody''s');
SELECT id FROM amelia.claim_workflow('b', workflow_types => '{}');

-- Heartbeats and releases: workflows that are not there or not claimed, tokens
-- of another one, of another time, and such as there never were.
SELECT * FROM t.errors(
	$$SELECT amelia.heartbeat(NULL, 1)$$,
	$$SELECT amelia.heartbeat(t.w(1), NULL)$$,
	$$SELECT amelia.heartbeat(t.w(1), 1, NULL)$$,
	$$SELECT amelia.heartbeat(t.w(1), 1, '0')$$,
	$$SELECT amelia.heartbeat(t.w(1), 1, '-1 us')$$,
	$$SELECT amelia.heartbeat(t.w(1), 1, '300000 years')$$,
	$$SELECT amelia.heartbeat(t.w(99), 1)$$,
	$$SELECT amelia.heartbeat(t.w(3), 1)$$,
	$$SELECT amelia.heartbeat(t.w(1), 0)$$,
	$$SELECT amelia.heartbeat(t.w(1), -1)$$,
	$$SELECT amelia.heartbeat(t.w(1), 9223372036854775807)$$);
SELECT * FROM t.errors(
	$$SELECT amelia.release_workflow(NULL, 1)$$,
	$$SELECT amelia.release_workflow(t.w(1), NULL)$$,
	$$SELECT amelia.release_workflow(t.w(99), 1)$$,
	$$SELECT amelia.release_workflow(t.w(3), 1)$$,
	$$SELECT amelia.release_workflow(t.w(1), 2)$$,
	$$SELECT amelia.release_workflow(t.w(99), 1, 'completed')$$,
	$$SELECT amelia.release_workflow(t.w(3), 1, 'completed')$$,
	$$SELECT amelia.release_workflow(t.w(1), 2, 'completed')$$,
	$$SELECT amelia.release_workflow(t.w(99), 1, 'failed')$$,
	$$SELECT amelia.release_workflow(t.w(3), 1, 'failed')$$,
	$$SELECT amelia.release_workflow(t.w(1), 2, 'failed')$$,
	$$SELECT amelia.release_workflow(t.w(1), 1, '')$$,
	$$SELECT amelia.release_workflow(t.w(1), 1, 'lost')$$,
	$$SELECT amelia.release_workflow(t.w(1), 1, 'pending')$$,
	$$SELECT amelia.release_workflow(t.w(1), 1, 'in_progress')$$,
	$$SELECT amelia.release_workflow(t.w(1), 1, NULL, 'why')$$,
	$$SELECT amelia.release_workflow(t.w(1), 1, NULL, NULL, '1 s')$$,
	$$SELECT amelia.release_workflow(t.w(1), 1, 'completed', 'why')$$,
	$$SELECT amelia.release_workflow(t.w(1), 1, 'cancelled', 'why', '1 s')$$,
	$$SELECT amelia.release_workflow(t.w(1), 1, 'failed', 'why', '-1 s')$$,
	$$SELECT amelia.release_workflow(t.w(1), 1, 'failed', 'why', '-1 month 10 days')$$,
	$$SELECT amelia.release_workflow(t.w(1), 1, 'failed', 'why', '300000 years')$$);
SELECT * FROM t.errors(
	$$SELECT amelia.set_worker(NULL, 1)$$, $$SELECT amelia.set_worker(t.w(1), NULL)$$, $$SELECT amelia.set_worker(t.w(99), 1)$$,
	$$SELECT amelia.set_worker(t.w(3), 1)$$, $$SELECT amelia.set_worker(t.w(1), 2)$$,
	$$SELECT amelia_internal.check_lease(NULL, 1)$$, $$SELECT amelia_internal.check_lease(t.w(1), NULL)$$, $$SELECT amelia_internal.check_lease(t.w(99), 1)$$,
	$$SELECT amelia_internal.check_lease(t.w(3), 1)$$, $$SELECT amelia_internal.give_back(NULL, 1)$$, $$SELECT amelia_internal.give_back(t.w(1), NULL)$$,
	$$SELECT amelia_internal.give_back(t.w(99), 1)$$, $$SELECT amelia_internal.give_back(t.w(3), 1)$$);

-- What goes with a lease_token.
SELECT * FROM t.errors(
	$$SELECT amelia.append_event(t.w(1), 'x', 'm', lease_token => 2)$$,
	$$SELECT amelia.append_event(t.w(3), 'x', 'm', lease_token => 1)$$,
	$$SELECT amelia.append_event(t.w(99), 'x', 'm', lease_token => 1)$$,
	$$SELECT amelia.append_events(t.w(1), '[{"event_type": "x", "message": "m"}]', 2)$$,
	$$SELECT amelia.append_events(t.w(1), '[]', 2)$$,
	$$SELECT amelia.append_events(t.w(99), '[]', 1)$$,
	$$SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 1, lease_token => 2)$$,
	$$SELECT amelia.record_usage(t.w(99), 'a', 'm', 1, 1, cost_usd => 1, lease_token => 1)$$,
	$$SELECT amelia.set_workflow_status(t.w(1), 'completed', lease_token => 2)$$,
	$$SELECT amelia.set_workflow_status(t.w(99), 'completed', lease_token => 1)$$,
	$$SELECT amelia.set_workflow_status(t.w(3), 'cancelled', lease_token => 1)$$);

-- Persons and operators.
SELECT * FROM t.errors(
	$$SELECT amelia.request_cancel(NULL)$$, $$SELECT amelia.request_cancel(t.w(99))$$,
	$$SELECT amelia.requeue_workflow(NULL)$$, $$SELECT amelia.requeue_workflow(t.w(99))$$, $$SELECT amelia.requeue_workflow(t.w(1))$$,
	$$SELECT amelia.requeue_workflow(t.w(1), NULL)$$, $$SELECT amelia.requeue_workflow(t.w(1), 0)$$, $$SELECT amelia.requeue_workflow(t.w(1), -1)$$,
	$$SELECT amelia.dead_workflows(NULL)$$, $$SELECT amelia.dead_workflows(-1)$$,
	$$SELECT amelia.request_approval(NULL, 1, 'q')$$, $$SELECT amelia.request_approval(t.w(1), NULL, 'q')$$,
	$$SELECT amelia.request_approval(t.w(1), 1, NULL)$$, $$SELECT amelia.request_approval(t.w(1), 1, 'q', '"text"')$$,
	$$SELECT amelia.request_approval(t.w(1), 1, 'q', 'null')$$, $$SELECT amelia.request_approval(t.w(1), 2, 'q')$$,
	$$SELECT amelia.request_approval(t.w(99), 1, 'q')$$, $$SELECT amelia.request_approval(t.w(3), 1, 'q')$$,
	$$SELECT amelia.decide(NULL, 1, true)$$, $$SELECT amelia.decide(t.w(1), NULL, true)$$, $$SELECT amelia.decide(t.w(1), 1, NULL)$$, $$SELECT amelia.decide(t.w(99), 1, true)$$,
	$$SELECT amelia.decide(t.w(1), 1, true)$$, $$SELECT amelia.decide(t.w(3), 1, false, 'no')$$,
	$$SELECT amelia.send_to_workflow(NULL, 'x')$$, $$SELECT amelia.send_to_workflow(t.w(1), NULL)$$, $$SELECT amelia.send_to_workflow(t.w(1), '')$$,
	$$SELECT amelia.send_to_workflow(t.w(1), 'x', '1')$$, $$SELECT amelia.send_to_workflow(t.w(1), 'x', 'null')$$, $$SELECT amelia.send_to_workflow(t.w(99), 'x')$$,
	$$SELECT amelia.take_inbox(NULL, 1)$$, $$SELECT amelia.take_inbox(t.w(1), NULL)$$, $$SELECT amelia.take_inbox(t.w(99), 1)$$,
	$$SELECT amelia.take_inbox(t.w(3), 1)$$, $$SELECT amelia.take_inbox(t.w(1), 2)$$,
	$$SELECT amelia.fence_checkpoints(NULL)$$, $$SELECT amelia.fence_checkpoints('public', NULL)$$, $$SELECT amelia.fence_checkpoints('no such')$$,
	$$SELECT amelia.fence_checkpoints('amelia')$$);
-- Nothing at all was stored.
SELECT t.digest() = :'before' AS nothing_stored;

-- The tables' own rules, for a plain client.
SELECT * FROM t.errors(
	$$INSERT INTO amelia.workflows (issue_id, worktree_path, failures) VALUES ('I', '/x', -1)$$,
	$$INSERT INTO amelia.workflows (issue_id, worktree_path, max_failures) VALUES ('I', '/x', -1)$$,
	$$INSERT INTO amelia.workflows (issue_id, worktree_path, priority) VALUES ('I', '/x', 40000)$$,
	$$INSERT INTO amelia.workflows (issue_id, worktree_path, priority) VALUES ('I', '/x', NULL)$$,
	$$UPDATE amelia.workflows SET available_at = NULL$$,
	$$UPDATE amelia.workflows SET cancel_requested = NULL$$,
	$$INSERT INTO amelia.profiles (id, working_dir, agents, max_concurrent) VALUES ('x', '/x', '{}', 0)$$,
	$$SELECT amelia.update_settings('{"max_concurrent": 0}')$$,
	$$INSERT INTO amelia.workflow_inbox (workflow_id, kind) VALUES (t.w(99), 'x')$$,
	$$INSERT INTO amelia.workflow_leases (workflow_id, worker, lease_token, expires_at) VALUES (t.w(99), 'x', 1, now())$$);

-- Long and odd names come back as they were given.
SELECT id = t.w(3) AS third, lease_token FROM amelia.claim_workflow(E'\u00fcber "quoted" \\ \n' || repeat('x', 3000), '1 us');
SELECT (workers -> 0 ->> 'worker') IS NULL AS lost_already, expired_leases FROM amelia.queue_status();
SELECT length(worker), left(worker, 16) AS worker FROM amelia.workflow_leases WHERE workflow_id = t.w(3);
SELECT data ->> 'worker' = worker AS same FROM amelia.workflow_leases AS l JOIN amelia.workflow_log AS e USING (workflow_id) WHERE l.workflow_id = t.w(3);
SELECT max_lease_hours FROM amelia.update_settings('{"max_lease_hours": 1000000}');
-- A century is a lease too, and 'infinity' as a time to wait for is none that comes.
SELECT id = t.w(3) AS third, lease_token, failures FROM amelia.claim_workflow('c', '100 years');
SELECT expires_at - now() > interval '99 years' AS long FROM amelia.heartbeat(t.w(3), 2, '100 years');
UPDATE amelia.workflows SET available_at = 'infinity' WHERE id = t.w(4);
SELECT id FROM amelia.claim_workflow('d');
-- Those of no profile are had by an empty one.
UPDATE amelia.workflows SET available_at = '-infinity', priority = -32768 WHERE id = t.w(4);
SELECT id = t.w(4) AS fourth, available_at FROM amelia.claim_workflow('d', profile_id => '');
SELECT status, failures, retry_at = now() + interval '100 years' OR retry_at > now() + interval '99 years' AS late
FROM amelia.release_workflow(t.w(4), 1, 'failed', '', '100 years');
SELECT * FROM amelia.verify();
