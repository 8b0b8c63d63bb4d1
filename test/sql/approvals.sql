\i test/helpers.psql
-- Waiting for a person, and the inbox.
INSERT INTO amelia.workflows (id, issue_id, worktree_path, priority) SELECT t.w(n), 'I-' || n, '/w' || n, 10 - n FROM generate_series(1, 2) AS n;
SELECT id = t.w(1) AS first, lease_token FROM amelia.claim_workflow('a');
SELECT status, failures FROM amelia.request_approval(t.w(1), 1, 'Shall I?', '{"plan": [1]}');
SELECT t.error('SELECT amelia.heartbeat(t.w(1), 1)');
SELECT count(l.slot) AS slots FROM amelia.workflow_leases AS l;
-- Blocked is never claimed.
SELECT id = t.w(2) AS second, lease_token FROM amelia.claim_workflow('a');
SELECT count(*) FROM amelia.claim_workflow('a');
SELECT status, failures FROM amelia.decide(t.w(1), t.question(1), true, 'Go on.');
SELECT id = t.w(1) AS first, lease_token, failures FROM amelia.claim_workflow('b');
SELECT status FROM amelia.request_approval(t.w(1), 2, 'And now?');
-- A late answer to the first question is none to the second; the same answer again is harmless.
SELECT t.question(1) AS second \gset
SELECT * FROM t.errors('SELECT amelia.decide(t.w(1), 2, false)', 'SELECT amelia.decide(t.w(1), 2, true, ''Go on'')',
	'SELECT amelia.decide(t.w(1), 1, true)', 'SELECT amelia.decide(t.w(1), 2147483647, true)');
SELECT status FROM amelia.decide(t.w(1), 2, true, 'Go on.');
SELECT status FROM amelia.decide(t.w(1), :second, false);
SELECT status FROM amelia.decide(t.w(1), :second, false);
SELECT t.error(format('SELECT amelia.decide(t.w(1), %s, true)', :second));
SELECT id = t.w(1) AS first, lease_token, failures FROM amelia.claim_workflow('b');
SELECT status FROM amelia.decide(t.w(1), :second, false);
SELECT * FROM t.log(1);
-- One that is open, and another that was asked since.
SELECT status FROM amelia.request_approval(t.w(1), 3, 'This?');
SELECT t.question(1) AS third \gset
SELECT status FROM amelia.set_workflow_status(t.w(1), 'in_progress');
SELECT status FROM amelia.set_workflow_status(t.w(1), 'blocked');
SELECT t.error(format('SELECT amelia.decide(t.w(1), %s, true)', :third));
SELECT status FROM amelia.decide(t.w(1), t.question(1), true);
SELECT id = t.w(1) AS first, lease_token, failures FROM amelia.claim_workflow('b');
SELECT * FROM t.errors(
	'SELECT amelia.decide(t.w(1), 1, true)', 'SELECT amelia.decide(t.w(99), 1, true)', 'SELECT amelia.decide(t.w(1), 1, NULL)',
	'SELECT amelia.decide(t.w(1), NULL, true)', 'SELECT amelia.decide(NULL, 1, true)', 'SELECT amelia.request_approval(t.w(1), 2, ''q'')',
	'SELECT amelia.request_approval(t.w(1), 4, NULL)', 'SELECT amelia.request_approval(t.w(1), 4, ''q'', ''1'')',
	'SELECT amelia.request_approval(t.w(99), 3, ''q'')');

-- The inbox: each message once, under the lease.
SELECT amelia.send_to_workflow(t.w(1), 'pause') AS id;
SELECT amelia.send_to_workflow(t.w(1), 'message', '{"text": "hello"}') AS id;
SELECT id, kind, data FROM amelia.take_inbox(t.w(1), 4);
SELECT id, kind, data FROM amelia.take_inbox(t.w(1), 4);
SELECT amelia.send_to_workflow(t.w(1), 'cancel') AS id;
SELECT * FROM t.errors('SELECT amelia.take_inbox(t.w(1), 2)', 'SELECT amelia.take_inbox(t.w(99), 2)', 'SELECT amelia.take_inbox(t.w(1), NULL)',
	'SELECT amelia.send_to_workflow(t.w(99), ''x'')', 'SELECT amelia.send_to_workflow(t.w(1), NULL)', 'SELECT amelia.send_to_workflow(t.w(1), ''x'', ''1'')');
-- Not lost with the worker.
SELECT status FROM amelia.release_workflow(t.w(1), 4);
SELECT id = t.w(1) AS first, lease_token, failures FROM amelia.claim_workflow('c');
SELECT id, kind FROM amelia.take_inbox(t.w(1), 5);

-- The fence on LangGraph's tables.
CREATE SCHEMA lg;
CREATE TABLE lg.checkpoints (thread_id text, checkpoint_ns text, checkpoint_id text, PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id));
CREATE TABLE lg.checkpoint_blobs (thread_id text, channel text);
CREATE TABLE lg.checkpoint_writes (thread_id text, idx integer);
SELECT amelia.fence_checkpoints('lg', true);
INSERT INTO amelia.workflow_threads VALUES ('its other thread', t.w(1));
INSERT INTO lg.checkpoints VALUES (t.w(1)::text, '', '1'), ('a thread of nobody', '', '1');
BEGIN;
SELECT amelia.set_worker(t.w(1), 5);
INSERT INTO lg.checkpoints VALUES (t.w(1)::text, '', '2');
INSERT INTO lg.checkpoint_writes VALUES ('its other thread', 1);
COMMIT;
SELECT format('%s 5', t.w(1)) AS lease \gset
SET amelia.lease = :'lease';
INSERT INTO lg.checkpoints VALUES (t.w(1)::text, '', '3');
SELECT status FROM amelia.release_workflow(t.w(1), 5);
SELECT * FROM t.errors(
	$$INSERT INTO lg.checkpoints VALUES (t.w(1)::text, '', '4')$$,
	$$INSERT INTO lg.checkpoint_blobs VALUES ('its other thread', 'c')$$,
	$$UPDATE lg.checkpoint_writes SET idx = 2$$,
	$$DELETE FROM lg.checkpoints WHERE thread_id = t.w(1)::text$$,
	$$INSERT INTO lg.checkpoints VALUES ('a thread of nobody', '', '2')$$);
SELECT amelia.fence_checkpoints('lg', false);
INSERT INTO lg.checkpoints VALUES (t.w(1)::text, '', '5');
RESET amelia.lease;
SELECT * FROM t.errors('SELECT amelia.fence_checkpoints(''nowhere'')', 'SELECT amelia.fence_checkpoints(NULL)', 'SELECT amelia.fence_checkpoints(''lg'', NULL)');
DROP TABLE lg.checkpoints, lg.checkpoint_blobs, lg.checkpoint_writes;
DROP SCHEMA lg;
