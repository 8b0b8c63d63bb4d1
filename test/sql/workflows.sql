-- Creating workflows, finding them, listing them page by page.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

-- A new workflow is pending, and has its workflow_created event.
BEGIN;
SELECT id, issue_id, worktree_path, status, workflow_type, profile_id, plan_cache, issue_cache, failure_reason,
	created_at = now() AS created_now, started_at, completed_at, updated_at = now() AS updated_now,
	sequence_floor, events_removed, priority, available_at = now() AS available_now, failures,
	max_failures, retry_at, cancel_requested
FROM amelia.create_workflow('I-1', '/w1', id => t.w(1));
COMMIT;
SELECT * FROM t.log(1);
SELECT issue_id, worktree_path, workflow_type, profile_id, issue_cache
FROM amelia.create_workflow('I-2', '/w2', 'review', 'work', '{"title": "b", "labels": [1]}', t.w(2));
SELECT issue_cache FROM amelia.create_workflow('I-3', '/w3', issue_cache => '[1]', id => t.w(3));

-- Without an id it gets one of version 7, and they arrive in time order.
SELECT id AS first FROM amelia.create_workflow('I-4', '/w4') \gset
SELECT id > :'first'::uuid AS later, substr(id::text, 15, 1) AS version
FROM amelia.create_workflow(issue_id => 'I-4', worktree_path => '/w4', profile_id => 'home');
DELETE FROM amelia.workflows WHERE issue_id = 'I-4';

-- What it refuses; nothing is stored.
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT amelia.create_workflow(NULL, '/w')$$,
	$$SELECT amelia.create_workflow('I', '/w', NULL)$$,
	$$SELECT amelia.create_workflow('I', '/w', 'half')$$,
	$$SELECT amelia.create_workflow('I', '/w', '')$$,
	$$SELECT amelia.create_workflow('I', '/w', issue_cache => '"{\"title\": \"twice encoded\"}"')$$,
	$$SELECT amelia.create_workflow('I', '/w', issue_cache => '5')$$,
	$$SELECT amelia.create_workflow('I', '/w', issue_cache => 'true')$$,
	$$SELECT amelia.create_workflow('I', '/w', issue_cache => 'null')$$);
SELECT t.digest() = :'before' AS nothing_stored, t.rows();

-- What the table itself refuses.
SELECT v.assignment, t.error('UPDATE amelia.workflows SET ' || v.assignment || ' WHERE id = t.w(1)')
FROM (VALUES ('issue_id = NULL'), ('workflow_type = NULL'), ('workflow_type = ''half'''),
	('created_at = NULL'), ('updated_at = NULL'), ('priority = NULL'), ('available_at = NULL'), ('failures = -1'),
	('failures = NULL'), ('max_failures = -1'), ('max_failures = NULL'), ('cancel_requested = NULL'), ('id = NULL'),
	('id = t.w(2)'), ('id = t.w(9)'), ('priority = 40000')) AS v (assignment);
SELECT * FROM t.errors(
	$$INSERT INTO amelia.workflows (issue_id, worktree_path, status) VALUES ('I', '/w', 'done')$$,
	$$INSERT INTO amelia.workflows (issue_id, worktree_path, status) VALUES ('I', '/w', NULL)$$,
	$$INSERT INTO amelia.workflows (issue_id, worktree_path, workflow_type) VALUES ('I', '/w', 'half')$$,
	$$INSERT INTO amelia.workflows (issue_id, parked) VALUES ('I', true)$$,
	$$INSERT INTO amelia.workflows (worktree_path) VALUES ('/w')$$,
	$$INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(1), 'I', '/w')$$,
	$$INSERT INTO amelia.workflows (issue_id, worktree_path, status) VALUES ('I', '/w', 'blocked'), ('I', '/w', 'in_progress')$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- The operator may switch the event off.
UPDATE amelia.event_types SET persisted = false WHERE event_type = 'workflow_created';
SELECT status FROM amelia.create_workflow('I-5', '/w5', id => t.w(5));
SELECT * FROM t.log(5);
UPDATE amelia.event_types SET persisted = true WHERE event_type = 'workflow_created';

-- get_workflow, active_workflow: no row when there is none.
SELECT id, issue_id FROM amelia.get_workflow(t.w(2));
SELECT id FROM amelia.get_workflow(t.w(99));
SELECT id FROM amelia.get_workflow(NULL);
SELECT id FROM amelia.active_workflow('/w2');
SELECT status FROM amelia.set_workflow_status(t.w(2), 'blocked');
SELECT id, status FROM amelia.active_workflow('/w2');
SELECT status FROM amelia.set_workflow_status(t.w(2), 'in_progress');
SELECT id, status FROM amelia.active_workflow('/w2');
SELECT id FROM amelia.active_workflow('/nowhere');
SELECT id FROM amelia.active_workflow(NULL);

-- set_plan_cache.
UPDATE amelia.workflows SET updated_at = '2001-01-01' WHERE id = t.w(1);
SELECT amelia.set_plan_cache(t.w(1), '{"steps": [{"n": 1}]}');
SELECT plan_cache, updated_at > '2001-01-02' AS updated FROM amelia.get_workflow(t.w(1));
SELECT amelia.set_plan_cache(t.w(1), '[1, 2]');
SELECT plan_cache FROM amelia.get_workflow(t.w(1));
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT amelia.set_plan_cache(NULL, '{}')$$,
	$$SELECT amelia.set_plan_cache(t.w(99), '{}')$$,
	$$SELECT amelia.set_plan_cache(t.w(1), '"{}"')$$,
	$$SELECT amelia.set_plan_cache(t.w(1), '1')$$,
	$$SELECT amelia.set_plan_cache(t.w(1), 'null')$$);
SELECT t.digest() = :'before' AS nothing_stored;
SELECT amelia.set_plan_cache(t.w(1), NULL);
SELECT plan_cache IS NULL AS removed FROM amelia.get_workflow(t.w(1));

-- Lists. Workflows 1 to 12 started at three times, some at the same one, 13 to
-- 18 never did; some at the ends of time.
DELETE FROM amelia.workflows;
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, started_at)
SELECT t.w(n), 'I-' || n, '/w' || n % 2,
	(ARRAY['completed', 'failed', 'cancelled', 'pending'])[1 + n % 4],
	CASE WHEN n <= 12 THEN timestamptz '2020-01-01' + n % 3 * interval '1 day' END
FROM generate_series(1, 18) AS n;
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, started_at)
VALUES (t.w(19), 'I-19', '/w2', 'in_progress', 'infinity'),
	(t.w(20), 'I-20', '/w3', 'blocked', '-infinity'),
	('ffffffff-ffff-ffff-ffff-ffffffffffff', 'I-21', '/w4', 'failed', 'infinity'),
	('00000000-0000-0000-0000-000000000000', 'I-22', '/w5', 'failed', NULL);
SELECT issue_id, started_at FROM amelia.list_workflows(row_limit => 100);
SELECT count(*) AS by_default FROM amelia.list_workflows();
SELECT count(*) AS none FROM amelia.list_workflows(row_limit => 0);
SELECT issue_id, status FROM amelia.list_workflows('pending');
SELECT issue_id, worktree_path FROM amelia.list_workflows(worktree_path => '/w1', row_limit => 3);
SELECT issue_id, status, worktree_path FROM amelia.list_workflows('failed', '/w1');
SELECT issue_id FROM amelia.list_workflows('blocked', '/w1');

-- Page by page, every workflow comes once, in the order of the list.
CREATE FUNCTION t.pages(filter_status text, filter_path text, row_limit integer)
RETURNS TABLE (pages integer, issues text[])
LANGUAGE plpgsql AS $$
DECLARE
	last_started_at timestamptz;
	last_id uuid;
	w amelia.workflows;
	got integer;
BEGIN
	pages := 0;
	issues := '{}';
	LOOP
		got := 0;
		FOR w IN SELECT * FROM amelia.list_workflows(filter_status, filter_path, row_limit, last_started_at, last_id) LOOP
			got := got + 1;
			issues := issues || w.issue_id;
			last_started_at := w.started_at;
			last_id := w.id;
		END LOOP;
		EXIT WHEN got = 0 OR pages > 100;
		pages := pages + 1;
	END LOOP;
	RETURN NEXT;
END
$$;
SELECT l.row_limit, p.pages, cardinality(p.issues) AS rows,
	p.issues = (SELECT array_agg(w.issue_id ORDER BY w.started_at DESC NULLS LAST, w.id DESC) FROM amelia.workflows AS w)
		AS each_once_in_order
FROM (VALUES (1), (2), (3), (4), (5), (7), (11), (21), (22), (23)) AS l (row_limit),
	t.pages(NULL, NULL, l.row_limit) AS p
ORDER BY l.row_limit;
SELECT l.row_limit, p.pages, p.issues
FROM (VALUES (1), (2), (100)) AS l (row_limit), t.pages('failed', NULL, l.row_limit) AS p
ORDER BY l.row_limit;
SELECT l.row_limit, p.pages, p.issues
FROM (VALUES (1), (4), (100)) AS l (row_limit), t.pages('pending', '/w1', l.row_limit) AS p
ORDER BY l.row_limit;

-- The cursor's row may be gone, or have started meanwhile.
SELECT issue_id FROM amelia.list_workflows(row_limit => 3, after_started_at => '2020-01-02', after_id => t.w(8));
SELECT issue_id FROM amelia.list_workflows(row_limit => 3, after_id => t.w(16));
SELECT issue_id FROM amelia.list_workflows(row_limit => 3, after_started_at => '2020-01-01 12:00', after_id => t.w(99));

SELECT * FROM t.errors(
	$$SELECT amelia.list_workflows('done')$$,
	$$SELECT amelia.list_workflows(row_limit => -1)$$,
	$$SELECT amelia.list_workflows(row_limit => NULL)$$,
	$$SELECT amelia.list_workflows(after_started_at => '2020-01-01')$$,
	$$SELECT amelia.count_workflows('done')$$);

-- Counts.
SELECT amelia.count_workflows() AS every, amelia.count_workflows('failed') AS failed,
	amelia.count_workflows(worktree_path => '/w1') AS here,
	amelia.count_workflows('failed', '/w1') AS failed_here, amelia.count_workflows('blocked', '/w1') AS none,
	amelia.count_workflows(worktree_path => '/nowhere') AS nowhere;

-- The active ones: never started first, then newest start first.
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, started_at)
VALUES (t.w(30), 'I-30', '/w6', 'in_progress', '2020-01-02'), (t.w(31), 'I-31', '/w7', 'blocked', '2020-01-02'),
	(t.w(32), 'I-32', '/w8', 'blocked', NULL), (t.w(33), 'I-33', '/w6', 'pending', '2020-01-05');
SELECT issue_id, status, started_at FROM amelia.list_active_workflows();
SELECT issue_id, status, started_at FROM amelia.list_active_workflows('/w6');
SELECT issue_id FROM amelia.list_active_workflows('/nowhere');
