\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers
-- A claim passes over what the policies of workflows do not let the caller change.
CREATE ROLE regress_amelia_worker;
SELECT amelia.grant_worker('regress_amelia_worker');
GRANT USAGE ON SCHEMA t TO regress_amelia_worker;
INSERT INTO amelia.workflows (id, issue_id, worktree_path, priority)
SELECT t.w(n), 'I-' || n, '/w' || n, 10 - n FROM generate_series(1, 6) AS n;
-- The first is somebody else's, and so is the second, which is to be cancelled.
UPDATE amelia.workflows SET cancel_requested = true WHERE id = t.w(2);
ALTER TABLE amelia.workflows ENABLE ROW LEVEL SECURITY;
CREATE POLICY read ON amelia.workflows FOR SELECT USING (true);
CREATE POLICY change ON amelia.workflows FOR UPDATE USING (priority < 8);
SET ROLE regress_amelia_worker;
SELECT c.id = t.w(3) AS third, c.lease_token FROM amelia.claim_workflow('a') AS c;
SELECT c.id = t.w(4) AS fourth, c.lease_token FROM amelia.claim_workflow('a') AS c;
RESET ROLE;
-- Nor are lost leases taken over, or put to rest.
UPDATE amelia.workflow_leases SET expires_at = now();
UPDATE amelia.workflows SET priority = 9 WHERE id = t.w(3);
UPDATE amelia.workflows SET priority = 9, max_failures = 1 WHERE id = t.w(4);
SET ROLE regress_amelia_worker;
SELECT c.id = t.w(5) AS fifth, c.lease_token FROM amelia.claim_workflow('a') AS c;
RESET ROLE;
-- What a policy says of the new row is an error, and leaves nothing behind.
CREATE POLICY wait ON amelia.workflows AS RESTRICTIVE FOR UPDATE USING (true) WITH CHECK (status = 'pending');
SET ROLE regress_amelia_worker;
SELECT t.error('SELECT c.id FROM amelia.claim_workflow(''a'') AS c');
RESET ROLE;
-- A trigger that leaves the end of one out is told of, and not tried again.
CREATE FUNCTION t.leave_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RETURN NULL;
END
$$;
CREATE TRIGGER leave_out BEFORE UPDATE ON amelia.workflows FOR EACH ROW EXECUTE FUNCTION t.leave_out();
SELECT t.error('SELECT c.id FROM amelia.claim_workflow(''a'') AS c');
SELECT w.issue_id, w.status, l.lease_token, l.given_back
FROM amelia.workflows AS w LEFT JOIN amelia.workflow_leases AS l ON l.workflow_id = w.id ORDER BY 1;
SELECT right(e.workflow_id::text, 1) AS workflow, e.sequence, e.event_type FROM amelia.workflow_log AS e ORDER BY 1, 2;
DROP OWNED BY regress_amelia_worker;
DROP ROLE regress_amelia_worker;
