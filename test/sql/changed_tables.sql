-- Tables that their owner changed in ways that claims and leases cannot live
-- with: they say so, whatever the column or the index has become.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers
\pset tuples_only
-- Claims tell of what they pass over.
SET client_min_messages = error;

INSERT INTO amelia.server_settings (id) VALUES (1);
INSERT INTO amelia.profiles (id, working_dir, agents, max_concurrent) VALUES ('p', '/', '{}', 2);
INSERT INTO amelia.workflows (id, issue_id, worktree_path, profile_id)
SELECT t.w(g), 'A-' || g, '/w' || g, 'p' FROM generate_series(1, 3) AS g;
SELECT c.id, c.lease_token FROM amelia.claim_workflow('w') AS c;

CREATE FUNCTION t.outcome(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE query;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
-- What a claim, another one that takes a lost lease over, a heartbeat and a
-- completion make of a change.
CREATE FUNCTION t.after(change text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	seen text[];
BEGIN
	EXECUTE change;
	seen := ARRAY[t.outcome('SELECT amelia.claim_workflow(''w'')'),
		t.outcome('SELECT amelia.heartbeat(t.w(1), 1)'),
		t.outcome('SELECT amelia.release_workflow(t.w(1), 1, ''completed'')')];
	RAISE EXCEPTION 'undo' USING ERRCODE = 'TT000';
EXCEPTION WHEN SQLSTATE 'TT000' THEN
	RETURN QUERY SELECT DISTINCT s.outcome FROM unnest(seen) AS s (outcome) ORDER BY 1;
END
$$;
SELECT c.change, a.outcome
FROM (VALUES (1, 'ALTER TABLE amelia.server_settings ALTER workflow_start_timeout_seconds DROP DEFAULT, ALTER workflow_start_timeout_seconds TYPE double precision'),
	(2, 'ALTER TABLE amelia.server_settings ALTER workflow_start_timeout_seconds DROP NOT NULL; UPDATE amelia.server_settings SET workflow_start_timeout_seconds = NULL'),
	(3, 'ALTER TABLE amelia.server_settings ALTER max_concurrent DROP NOT NULL; UPDATE amelia.server_settings SET max_concurrent = NULL'),
	(4, 'ALTER TABLE amelia.workflow_leases ALTER worker TYPE integer USING 1'),
	(5, 'ALTER TABLE amelia.workflow_leases ALTER worker DROP NOT NULL; UPDATE amelia.workflow_leases SET worker = NULL'),
	(6, 'ALTER TABLE amelia.workflow_leases ALTER expires_at TYPE text'),
	(7, 'ALTER TABLE amelia.workflow_leases ALTER lease_token TYPE text'),
	(8, 'ALTER TABLE amelia.workflow_leases ALTER slot TYPE bigint'),
	(9, 'ALTER TABLE amelia.workflow_leases ADD region text NOT NULL DEFAULT ''here'''),
	(10, 'ALTER TABLE amelia.workflows ALTER worktree_path DROP NOT NULL; UPDATE amelia.workflows SET worktree_path = NULL'),
	(11, 'DROP INDEX amelia.idx_workflows_claim; CREATE INDEX idx_workflows_claim ON amelia.workflows (priority)'),
	(12, 'DROP INDEX amelia.idx_workflows_claim; CREATE INDEX idx_workflows_claim ON amelia.token_usage (agent, model)'),
	(13, 'DROP INDEX amelia.idx_workflows_claim; CREATE INDEX idx_workflows_claim ON amelia.workflows USING hash (id)'),
	(14, 'DROP INDEX amelia.idx_workflow_leases_slot; CREATE INDEX idx_workflow_leases_slot ON amelia.workflow_leases (worker)'),
	(15, 'DROP INDEX amelia.idx_workflows_parked; CREATE TABLE amelia.idx_workflows_parked ()'),
	(16, 'ALTER TABLE amelia.workflow_leases DROP CONSTRAINT workflow_leases_pkey; CREATE INDEX workflow_leases_pkey ON amelia.workflow_leases (worker)'),
	(17, 'DROP INDEX amelia.idx_workflows_claim_order; CREATE INDEX idx_workflows_claim_order ON amelia.workflows (priority)'),
	(18, 'DROP INDEX amelia.idx_workflows_claim_order; CREATE INDEX idx_workflows_claim_order ON amelia.workflows (workflow_type COLLATE "C", priority DESC, available_at, id) WHERE NOT parked AND (status = ''pending'' OR (status = ''failed'' AND retry_at IS NOT NULL))')
) AS c (number, change), t.after(c.change) AS a (outcome)
ORDER BY c.number, a.outcome;

-- Retention with settings that are not there, or cannot be read; and where what
-- says where checkpoints are cannot: each phase is given up, and the run ends.
ALTER TABLE amelia.server_settings DROP COLUMN recovery_hours;
CALL amelia.run_retention(false);
ALTER TABLE amelia.checkpoint_schemas RENAME COLUMN schema_name TO name;
CALL amelia.run_retention(false);
SELECT outcome, batches_failed, sqlstate FROM amelia.retention_runs ORDER BY id;
ALTER TABLE amelia.server_settings DROP COLUMN orphan_thread_retention_days, ADD orphan_thread_retention_days text DEFAULT 'soon';
\set SHOW_CONTEXT never
CALL amelia.run_retention(false);
