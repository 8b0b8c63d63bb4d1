\i test/helpers.psql
-- What a worker's role cannot do to a workflow that it does not hold, nor to any.
SET client_min_messages = warning;
CREATE ROLE regress_amelia_worker;
SELECT amelia.grant_worker('regress_amelia_worker');
GRANT USAGE ON SCHEMA t TO regress_amelia_worker;
INSERT INTO amelia.workflows (id, issue_id, worktree_path, priority)
SELECT t.w(n), 'I-' || n, '/w' || n, -n FROM generate_series(1, 4) AS n;
SELECT id = t.w(1) AS first, lease_token FROM amelia.claim_workflow('a');
SELECT amelia.send_to_workflow(t.w(1), 'stop');
SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 1) IS NOT NULL AS booked;
SELECT amelia.link_thread(t.w(1), 'thread');

-- With require_lease: a message can be sent, but neither lost nor forged, and nothing is deleted past the lease.
SET amelia.require_lease = on;
SELECT amelia.send_to_workflow(t.w(1), 'pause');
SELECT * FROM t.errors(
	'UPDATE amelia.workflow_inbox SET taken_at = now()',
	'UPDATE amelia.workflow_inbox SET kind = ''go on''',
	'INSERT INTO amelia.workflow_inbox (workflow_id, kind, taken_at) VALUES (t.w(1), ''stop'', now())',
	'INSERT INTO amelia.workflow_inbox (workflow_id, kind, lease_token) VALUES (t.w(1), ''stop'', 1)',
	'DELETE FROM amelia.workflow_inbox',
	'DELETE FROM amelia.workflow_log WHERE sequence = 1',
	'DELETE FROM amelia.token_usage',
	'DELETE FROM amelia.workflow_threads');
SELECT kind FROM amelia.take_inbox(t.w(1), 1);
BEGIN;
SELECT amelia.set_worker(t.w(1), 1);
UPDATE amelia.workflow_inbox SET data = '{}' WHERE kind = 'stop';
DELETE FROM amelia.workflow_inbox WHERE kind = 'pause';
COMMIT;
-- Whoever may delete the workflow takes all of it along.
DELETE FROM amelia.workflows WHERE id = t.w(1);
SELECT t.rows();
RESET amelia.require_lease;

-- A time that makes retention delete the workflow is for those who may delete it.
SELECT id = t.w(2) AS second, lease_token FROM amelia.claim_workflow('a');
SET ROLE regress_amelia_worker;
SELECT * FROM t.errors(
	'UPDATE amelia.workflows SET status = ''cancelled'', completed_at = ''2000-01-01'' WHERE id = t.w(3)',
	'UPDATE amelia.workflows SET status = ''cancelled'', completed_at = ''2999-01-01'' WHERE id = t.w(3)',
	'UPDATE amelia.workflows SET status = ''cancelled'', completed_at = ''-infinity'' WHERE id = t.w(3)');
UPDATE amelia.workflows SET status = 'cancelled', completed_at = now() - interval '1 minute' WHERE id = t.w(3);
SELECT * FROM t.errors(
	'UPDATE amelia.workflows SET completed_at = ''2000-01-01'' WHERE id = t.w(3)',
	'UPDATE amelia.workflows SET completed_at = NULL, updated_at = ''2000-01-01'' WHERE id = t.w(3)',
	'UPDATE amelia.workflows SET updated_at = ''2000-01-01'' WHERE id = t.w(4)');
RESET ROLE;
UPDATE amelia.workflows SET completed_at = '2000-01-01' WHERE id = t.w(3) RETURNING completed_at;

-- A lease lasts a day at most, unless the operator allows more.
SELECT * FROM t.errors('SELECT amelia.heartbeat(t.w(2), 1, ''1000 years'')', 'SELECT amelia.claim_workflow(''a'', ''2 days'')',
	'SELECT amelia.heartbeat(t.w(2), 1, ''1 day'')', 'SELECT amelia.update_settings(''{"max_lease_hours": 23}'')');
SELECT max_lease_hours FROM amelia.update_settings('{"max_lease_hours": 48}');
SELECT expires_at > now() + interval '47 hours' AS long FROM amelia.heartbeat(t.w(2), 1, '2 days');
SELECT t.error('SELECT amelia.heartbeat(t.w(2), 1, ''3 days'')');

-- The last token: refused and passed over, not begun again below nothing.
UPDATE amelia.workflow_leases SET lease_token = 9223372036854775807, expires_at = now() WHERE workflow_id = t.w(2);
SELECT id = t.w(4) AS fourth, lease_token FROM amelia.claim_workflow('a');
SELECT right(workflow_id::text, 2) AS workflow, sqlstate, reason FROM amelia.claim_faults;
SELECT lease_token FROM amelia.workflow_leases WHERE workflow_id = t.w(2);
SELECT * FROM amelia.verify();
DROP OWNED BY regress_amelia_worker;
DROP ROLE regress_amelia_worker;
