-- A policy on workflows holds for everything about a workflow: a tenant neither
-- sees nor writes what belongs to another's.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

CREATE ROLE regress_amelia_tenant;
SELECT amelia.grant_worker('regress_amelia_tenant');
GRANT USAGE ON SCHEMA t TO regress_amelia_tenant;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA t TO regress_amelia_tenant;
INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(1), 'mine-1', '/m1'), (t.w(2), 'theirs-2', '/t2'), (t.w(3), 'theirs-3', '/t3');
SELECT next_cursor AS cursor FROM amelia.feed_after() \gset
SELECT amelia.link_thread(t.w(2), 'their thread');
SELECT amelia.append_event(t.w(1), 'x', 'mine'), amelia.append_event(t.w(2), 'x', 'theirs');
UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(2);
INSERT INTO amelia.workflow_leases (workflow_id, worker, lease_token, expires_at) VALUES (t.w(2), 'them', 7, 'infinity');
ALTER TABLE amelia.workflows ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON amelia.workflows TO regress_amelia_tenant USING (issue_id LIKE 'mine%') WITH CHECK (issue_id LIKE 'mine%');

SET ROLE regress_amelia_tenant;
SELECT right(workflow_id::text, 1) AS workflow, (event).message FROM amelia.feed_after(:'cursor') WHERE workflow_id IS NOT NULL;
SELECT by_status, held, workers FROM amelia.queue_status();
SELECT issue_id, status FROM amelia.active_workflows;
SELECT issue_id FROM amelia.workflow_overview;
SELECT * FROM t.errors($$SELECT amelia.next_sequence(t.w(2))$$);
SELECT * FROM t.errors($$SELECT amelia.append_event(t.w(2), 'x', 'forged')$$);
SELECT * FROM t.errors($$SELECT amelia.append_events(t.w(2), '[{"event_type": "x", "message": "forged"}]')$$);
SELECT * FROM t.errors($$INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(2), 'x', 'forged')$$);
SELECT * FROM t.errors($$SELECT * FROM amelia.heartbeat(t.w(2), 7)$$);
SELECT * FROM t.errors($$SELECT amelia.release_workflow(t.w(2), 7, NULL)$$);
SELECT * FROM t.errors($$SELECT amelia.release_workflow(t.w(2), 7, 'completed')$$);
SELECT * FROM t.errors($$SELECT amelia.set_worker(t.w(2), 7)$$);
SELECT * FROM t.errors($$SELECT amelia.link_thread(t.w(1), 'their thread')$$);
SELECT labels ->> 'state' AS state, labels ->> 'status' AS status, value FROM amelia.metrics()
WHERE name IN ('amelia_workflows', 'amelia_moves_last_minute', 'amelia_worker_leases', 'amelia_claims_passed_over') AND value > 0;
-- and what is theirs goes on
SELECT amelia.append_event(t.w(1), 'x', 'again') > 0 AS appended;
RESET ROLE;

-- Nor is it told by a thread that is hidden itself; and it is not taken for one's own.
ALTER TABLE amelia.workflow_threads ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON amelia.workflow_threads TO regress_amelia_tenant
	USING (EXISTS (SELECT FROM amelia.workflows AS w WHERE w.id = workflow_id));
SET ROLE regress_amelia_tenant;
SELECT * FROM t.errors($$SELECT amelia.link_thread(t.w(1), 'their thread')$$);
RESET ROLE;
DROP POLICY own ON amelia.workflow_threads;
ALTER TABLE amelia.workflow_threads DISABLE ROW LEVEL SECURITY;
-- Who sees both is told.
SELECT * FROM t.errors($$SELECT amelia.link_thread(t.w(1), 'their thread')$$);

SELECT count(*) AS forged FROM amelia.workflow_log WHERE message = 'forged';
SELECT lease_token, expires_at FROM amelia.workflow_leases WHERE workflow_id = t.w(2);
DROP POLICY own ON amelia.workflows;
ALTER TABLE amelia.workflows DISABLE ROW LEVEL SECURITY;
DROP OWNED BY regress_amelia_tenant;
DROP ROLE regress_amelia_tenant;
