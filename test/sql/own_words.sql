\i test/helpers.psql
-- Workflows without a worktree, and an operator's own words for their type and tracker.
SET client_min_messages = warning;
CREATE FUNCTION t.claim(types text[] DEFAULT NULL)
RETURNS TABLE (workflow text, worktree_path text, workflow_type text)
LANGUAGE sql AS $$
SELECT right(c.id::text, 2), c.worktree_path, c.workflow_type FROM amelia.claim_workflow('a', workflow_types => types) AS c
$$;
SELECT FROM amelia.update_settings('{"max_concurrent": 100}');

-- Nothing is exclusive where there is no worktree.
SELECT id = t.w(n) AS made, worktree_path IS NULL AS in_none FROM generate_series(1, 4) AS n, LATERAL amelia.create_workflow('I-' || n, id => t.w(n)) AS c;
SELECT worktree_path IS NULL AS in_none FROM amelia.create_workflow('I-1', id => t.w(1));
SELECT t.error('SELECT amelia.create_workflow(''I-1'', ''/w'', id => t.w(1))');
SELECT * FROM t.claim();
SELECT * FROM t.claim();
SELECT status FROM amelia.set_workflow_status(t.w(3), 'in_progress');
SELECT * FROM t.claim();
SELECT right(id::text, 2) AS workflow, status, parked FROM amelia.workflows ORDER BY id;
SELECT status FROM amelia.release_workflow(t.w(1), 1, 'completed');
SELECT status FROM amelia.release_workflow(t.w(2), 1, 'failed', retry_after => '0');
SELECT status FROM amelia.release_workflow(t.w(4), 1);
SELECT * FROM t.claim();
SELECT * FROM t.claim();
-- Into a worktree and out of it; who waits there is let in.
SELECT right(id::text, 2) AS workflow FROM amelia.create_workflow('I-5', '/w', id => t.w(5));
SELECT right(id::text, 2) AS workflow FROM amelia.create_workflow('I-6', '/w', id => t.w(6));
SELECT * FROM t.claim();
SELECT * FROM t.claim();
SELECT right(id::text, 2) AS workflow, status, parked FROM amelia.workflows WHERE worktree_path = '/w' ORDER BY id;
UPDATE amelia.workflows SET worktree_path = NULL WHERE id = t.w(5);
SELECT * FROM t.claim();
SELECT t.error('UPDATE amelia.workflows SET worktree_path = ''/w'' WHERE id = t.w(5)') LIKE '23505%' AS busy;
SELECT t.error('UPDATE amelia.workflows SET parked = true WHERE id = t.w(5)') LIKE '23514%' AS refused;
DELETE FROM amelia.workflows WHERE id = t.w(5);
SELECT right(id::text, 2) AS workflow FROM amelia.list_active_workflows() ORDER BY 1;
SELECT count(*) FROM amelia.active_workflow(NULL);

-- The words stand in the CHECKs alone.
SELECT * FROM t.errors('SELECT amelia.create_workflow(''I'', ''/x'', ''spike'')', 'SELECT * FROM t.claim(''{spike}'')');
ALTER TABLE amelia.workflows DROP CONSTRAINT workflows_workflow_type_check,
	ADD CONSTRAINT workflows_workflow_type_check CHECK (workflow_type IN ('full', 'spike'));
ALTER TABLE amelia.profiles DROP CONSTRAINT profiles_tracker_check,
	ADD CONSTRAINT profiles_tracker_check CHECK (tracker IN ('noop', 'linear'));
INSERT INTO amelia.profiles (id, tracker, working_dir, agents) VALUES ('p', 'linear', '/', '{}');
SELECT workflow_type FROM amelia.create_workflow('I-7', '/x', 'spike', 'p', id => t.w(7));
SELECT t.error('SELECT amelia.create_workflow(''I'', ''/x'', ''review'')');
SELECT amelia.migrate();
SELECT * FROM t.claim('{review}');
SELECT * FROM t.claim('{spike}');
SELECT amelia.record_usage(t.w(7), 'a', 'm', 1, 1, cost_usd => 1) IS NOT NULL AS booked;
SELECT status FROM amelia.release_workflow(t.w(7), 1, 'completed');
SELECT workflow_type, status FROM amelia.workflow_overview WHERE id = t.w(7);
DELETE FROM amelia.workflows WHERE id = t.w(7);
SELECT workflow_type, status FROM amelia.workflow_history WHERE workflow_id = t.w(7);
SELECT amelia.migrate();
SELECT * FROM amelia.verify();
