\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
-- The server may have a maintenance worker, which would do what is done here.
DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET amelia.enabled = off', current_database()); END$$;
\i :helpers
-- What retention leaves to the queue: nothing that somebody holds, or that is to
-- be tried again, whatever the settings say.
SELECT max_concurrent FROM amelia.update_settings('{"log_retention_days": 0, "trace_retention_days": 0,
	"checkpoint_retention_days": 0, "recovery_hours": 0, "checkpoint_grace_minutes": 0, "max_concurrent": 8}');
SELECT count(amelia.create_workflow('I-' || n, '/w' || n, id => t.w(n))) FROM generate_series(1, 8) AS n;
UPDATE amelia.workflows SET available_at = now() - interval '1 hour' + right(id::text, 2)::integer * interval '1 s';
UPDATE amelia.workflows SET max_failures = 1 WHERE id IN (t.w(5), t.w(6));
SELECT right(c.id::text, 2) AS workflow, c.lease_token
FROM generate_series(1, 7) AS n, LATERAL amelia.claim_workflow('host-' || n) AS c;
SELECT amelia.append_event(t.w(n), 'agent_message', 'm', level => 'trace', lease_token => 1) AS sequence FROM generate_series(1, 7) AS n;
SELECT count(amelia.send_to_workflow(t.w(n), 'pause')) FROM generate_series(1, 8) AS n;
CREATE SCHEMA lg;
CREATE TABLE lg.checkpoints (thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', checkpoint_id text NOT NULL, parent_checkpoint_id text,
	type text, checkpoint jsonb NOT NULL, metadata jsonb NOT NULL DEFAULT '{}', PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id));
CREATE TABLE lg.checkpoint_blobs (thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', channel text NOT NULL, version text NOT NULL,
	type text NOT NULL, blob bytea, PRIMARY KEY (thread_id, checkpoint_ns, channel, version));
CREATE TABLE lg.checkpoint_writes (thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', checkpoint_id text NOT NULL, task_id text NOT NULL,
	idx integer NOT NULL, channel text NOT NULL, type text, blob bytea NOT NULL, PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx));
SELECT amelia.register_checkpoints('lg');
INSERT INTO lg.checkpoints (thread_id, checkpoint_id, checkpoint)
SELECT t.w(n)::text, '1ef0a3c0-0000-6000-8000-000000000000', '{"ts": "2024-01-01T00:00:00+00:00"}' FROM generate_series(1, 8) AS n;

-- 1 failed and is tried again tomorrow, 2 was due long ago, 3 waits for a
-- person, 4 lost its worker; 5 has failed for good, 6 lost its last worker's
-- lease, which nobody has come across yet, 7 is completed, 8 waits.
SELECT status, failures, retry_at > now() AS due_later FROM amelia.release_workflow(t.w(1), 1, 'failed', retry_after => '1 day');
SELECT status, failures FROM amelia.release_workflow(t.w(2), 1, 'failed', retry_after => '1 day');
SELECT status FROM amelia.request_approval(t.w(3), 1, 'Shall I?');
SELECT status, failures, retry_at FROM amelia.release_workflow(t.w(5), 1, 'failed');
SELECT status FROM amelia.release_workflow(t.w(7), 1, 'completed');
UPDATE amelia.workflow_leases SET expires_at = now() - interval '400 days' WHERE workflow_id IN (t.w(4), t.w(6));
UPDATE amelia.workflows SET created_at = now() - interval '500 days', started_at = now() - interval '450 days',
	updated_at = now() - interval '400 days',
	completed_at = CASE WHEN status IN ('failed', 'completed') THEN now() - interval '400 days' END,
	retry_at = CASE id WHEN t.w(2) THEN now() - interval '399 days' ELSE retry_at END,
	available_at = CASE id WHEN t.w(2) THEN now() - interval '399 days' ELSE available_at END;
CREATE VIEW t.left_over AS
SELECT right(w.id::text, 2) AS workflow, w.status,
	(SELECT count(*) FROM amelia.workflow_log AS e WHERE e.workflow_id = w.id) AS events,
	(SELECT count(*) FROM amelia.workflow_log AS e WHERE e.workflow_id = w.id AND e.level = 'trace') AS traces,
	(SELECT count(*) FROM lg.checkpoints AS c WHERE c.thread_id = w.id::text) AS checkpoints,
	(SELECT count(*) FROM amelia.workflow_inbox AS i WHERE i.workflow_id = w.id) AS messages
FROM amelia.workflows AS w ORDER BY w.id;
SELECT rule, workflows, threads, row_count FROM amelia.retention_preview() WHERE row_count > 0 OR workflows > 0;
CALL amelia.run_retention();
SELECT * FROM t.left_over;
-- Leases and messages went with their workflows, whose end is kept.
SELECT right(workflow_id::text, 2) AS workflow FROM amelia.workflow_leases ORDER BY 1;
SELECT count(*) FROM amelia.workflow_inbox;
SELECT right(workflow_id::text, 2) AS workflow, status FROM amelia.workflow_history ORDER BY 1;
-- What was left can be claimed as if nothing had been: by time, 6 only to end it.
SELECT right(c.id::text, 2) AS workflow, c.lease_token, c.failures FROM amelia.claim_workflow('next') AS c;
SELECT right(c.id::text, 2) AS workflow, c.lease_token, c.failures FROM amelia.claim_workflow('next') AS c;
SELECT right(c.id::text, 2) AS workflow, c.lease_token, c.failures FROM amelia.claim_workflow('next') AS c;
SELECT id FROM amelia.claim_workflow('next');
SELECT right(id::text, 2) AS workflow, failure_reason, completed_at > now() - interval '1 minute' AS now FROM amelia.dead_workflows();
-- One that went into its first failure again is nobody's to delete; the dead one is.
CALL amelia.run_retention();
SELECT * FROM t.left_over;

-- A workflow that is deleted while somebody holds it: its worker is told, and
-- its place is free.
SELECT max_concurrent FROM amelia.update_settings('{"max_concurrent": 3, "log_retention_days": -1}');
SELECT status FROM amelia.create_workflow('I-9', '/w9', id => t.w(9));
SELECT id FROM amelia.claim_workflow('full');
DELETE FROM amelia.workflows WHERE id = t.w(8);
SELECT right(c.id::text, 2) AS workflow, c.lease_token FROM amelia.claim_workflow('room') AS c;
SELECT t.error('SELECT amelia.heartbeat(t.w(8), 1)');
SELECT t.error('SELECT amelia.append_event(t.w(8), ''x'', ''m'', lease_token => 1)');
SELECT t.error('SELECT amelia.release_workflow(t.w(8), 1, ''completed'')');
SELECT right(workflow_id::text, 2) AS workflow, status FROM amelia.workflow_history ORDER BY 1;
SELECT * FROM amelia.verify();
DROP VIEW t.left_over;
DROP TABLE lg.checkpoints, lg.checkpoint_blobs, lg.checkpoint_writes;
DROP SCHEMA lg;
