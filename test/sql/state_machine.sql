-- The state machine of workflows: for a plain UPDATE, and for
-- set_workflow_status(), which also writes the event.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

CREATE TABLE t.status AS
SELECT s.status, s.place
FROM unnest(ARRAY['pending', 'in_progress', 'blocked', 'completed', 'failed', 'cancelled'])
	WITH ORDINALITY AS s (status, place);

-- What a move does to a workflow that never started, whose completed_at is of
-- an earlier time, and that failed once; and the event that it writes.
CREATE FUNCTION t.move(from_status text, move text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	error text;
	result text;
BEGIN
	DELETE FROM amelia.workflows WHERE id = t.w(1);
	INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, failure_reason, completed_at, updated_at)
	VALUES (t.w(1), 'I-1', '/w', from_status, 'it failed', '2001-01-01', '2001-01-01');
	error := t.error(format(move, t.w(1)));
	SELECT concat_ws(', ', w.status,
		CASE WHEN w.started_at = now() THEN 'started_at now' ELSE 'started_at ' || w.started_at END,
		CASE WHEN w.completed_at = now() THEN 'completed_at now'
			WHEN w.completed_at IS NULL THEN 'completed_at cleared'
			WHEN w.completed_at <> '2001-01-01' THEN 'completed_at ' || w.completed_at END,
		CASE WHEN w.failure_reason IS NULL THEN 'failure_reason cleared'
			WHEN w.failure_reason <> 'it failed' THEN 'failure_reason ' || w.failure_reason END,
		CASE WHEN w.updated_at = now() THEN 'updated_at now' END,
		(SELECT string_agg(concat_ws(' ', e.sequence, e.level, e.event_type, CASE WHEN e.is_error THEN 'is_error' END),
				', ' ORDER BY e.sequence)
			FROM amelia.workflow_log AS e WHERE e.workflow_id = w.id))
	INTO result
	FROM amelia.workflows AS w
	WHERE w.id = t.w(1);
	RETURN CASE WHEN error = 'no error' THEN result
		ELSE error || CASE WHEN result <> from_status THEN ' BUT ' || result ELSE '' END END;
END
$$;

-- All pairs, by a plain UPDATE. One that leaves the status as it is, is no
-- transition.
SELECT f.status AS "from", g.status AS "to",
	t.move(f.status, format('UPDATE amelia.workflows SET status = %L WHERE id = %%L', g.status))
FROM t.status AS f, t.status AS g
ORDER BY f.place, g.place;

-- All pairs, by the function. To the status that is already there is refused.
SELECT f.status AS "from", g.status AS "to",
	t.move(f.status, format('SELECT amelia.set_workflow_status(%%L, %L)', g.status))
FROM t.status AS f, t.status AS g
ORDER BY f.place, g.place;

-- The state machine holds for rows that an UPDATE meets in any way.
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status)
VALUES (t.w(2), 'I-2', '/w2', 'completed'), (t.w(3), 'I-3', '/w3', 'pending');
SELECT * FROM t.errors(
	$$UPDATE amelia.workflows SET status = 'failed'$$,
	$$INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(2), 'I-2', '/w2')
		ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status$$,
	$$WITH m AS (UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(2) RETURNING 1) SELECT * FROM m$$,
	$$MERGE INTO amelia.workflows AS w USING (VALUES (t.w(2))) AS v (id) ON w.id = v.id
		WHEN MATCHED THEN UPDATE SET status = 'pending'$$);
SELECT id, status FROM amelia.workflows WHERE id IN (t.w(2), t.w(3)) ORDER BY id;

-- A column that the statement changes is left as the caller wants it.
SELECT s.move, t.move(s.status, 'UPDATE amelia.workflows SET ' || s.move || ' WHERE id = %L')
FROM (VALUES
	('pending', $$status = 'in_progress', started_at = '2002-02-02'$$),
	('failed', $$status = 'in_progress', completed_at = '2002-02-02'$$),
	('failed', $$status = 'in_progress', failure_reason = 'said again'$$),
	('failed', $$status = 'in_progress', failure_reason = failure_reason$$),
	('pending', $$status = 'failed', completed_at = '2002-02-02', failure_reason = 'said so'$$),
	('in_progress', $$status = 'completed', completed_at = NULL$$),
	('in_progress', $$status = 'completed', updated_at = '2002-02-02'$$),
	('blocked', $$status = 'cancelled', started_at = '2002-02-02'$$))
	AS s (status, move);

-- started_at stays that of the first start.
UPDATE amelia.workflows SET started_at = '2003-03-03' WHERE id = t.w(3);
UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(3);
SELECT status, started_at FROM amelia.workflows WHERE id = t.w(3);

-- A run from its beginning to its end, with a failure and a recovery. Each step
-- is a transaction, as for a client.
SELECT status FROM amelia.create_workflow('I-4', '/w4', id => t.w(4));
SELECT status, started_at IS NOT NULL AS started, completed_at IS NOT NULL AS ended, failure_reason
FROM amelia.set_workflow_status(t.w(4), 'blocked');
SELECT status, started_at IS NOT NULL AS started, completed_at IS NOT NULL AS ended, failure_reason
FROM amelia.set_workflow_status(t.w(4), 'pending');
SELECT status, started_at IS NOT NULL AS started, completed_at IS NOT NULL AS ended, failure_reason
FROM amelia.set_workflow_status(t.w(4), 'in_progress');
SELECT started_at AS first_start FROM amelia.workflows WHERE id = t.w(4) \gset
SELECT status FROM amelia.set_workflow_status(t.w(4), 'blocked');
SELECT status FROM amelia.set_workflow_status(t.w(4), 'in_progress');
SELECT status, started_at IS NOT NULL AS started, completed_at IS NOT NULL AS ended, failure_reason
FROM amelia.set_workflow_status(t.w(4), 'failed', 'the model was not reached');
SELECT status, started_at IS NOT NULL AS started, completed_at IS NOT NULL AS ended, failure_reason
FROM amelia.set_workflow_status(t.w(4), 'in_progress');
SELECT status, started_at = :'first_start' AS started_once, completed_at IS NOT NULL AS ended, failure_reason
FROM amelia.set_workflow_status(t.w(4), 'completed');
SELECT * FROM t.log(4);
SELECT sequence FROM amelia.workflow_log WHERE workflow_id = t.w(4) AND is_error;
SELECT sequence, data FROM amelia.workflow_log WHERE workflow_id = t.w(4) AND data IS NOT NULL ORDER BY sequence;

-- The reason is the message of a failure and of a cancellation; without one
-- there is a message all the same.
SELECT status FROM amelia.create_workflow('I-5', '/w5', id => t.w(5));
SELECT status, failure_reason FROM amelia.set_workflow_status(t.w(5), 'cancelled', 'not wanted any more');
SELECT status FROM amelia.create_workflow('I-6', '/w6', id => t.w(6));
SELECT status, failure_reason FROM amelia.set_workflow_status(t.w(6), 'failed');
SELECT status FROM amelia.create_workflow('I-7', '/w7', id => t.w(7));
SELECT status, failure_reason FROM amelia.set_workflow_status(t.w(7), 'cancelled');
SELECT event_type, level, message <> '' AS has_message FROM amelia.workflow_log
WHERE workflow_id IN (t.w(5), t.w(6), t.w(7)) ORDER BY workflow_id, sequence;
SELECT message FROM amelia.workflow_log WHERE workflow_id = t.w(5) AND sequence = 2;

-- A plain UPDATE writes no event.
SELECT status FROM amelia.create_workflow('I-8', '/w8', id => t.w(8));
UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(8);
UPDATE amelia.workflows SET status = 'completed' WHERE id = t.w(8);
SELECT * FROM t.log(8);

-- Every NULL, every value outside its set, the id that is not there, a reason
-- where none belongs. Nothing is stored.
SELECT status FROM amelia.create_workflow('I-9', '/w9', id => t.w(9));
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT amelia.set_workflow_status(NULL, 'failed')$$,
	$$SELECT amelia.set_workflow_status(t.w(9), NULL)$$,
	$$SELECT amelia.set_workflow_status(t.w(9), 'done')$$,
	$$SELECT amelia.set_workflow_status(t.w(9), 'PENDING')$$,
	$$SELECT amelia.set_workflow_status(t.w(9), '')$$,
	$$SELECT amelia.set_workflow_status(t.w(99), 'failed')$$,
	$$SELECT amelia.set_workflow_status(t.w(9), 'in_progress', 'no reason to')$$,
	$$SELECT amelia.set_workflow_status(t.w(9), 'blocked', 'no reason to')$$,
	$$SELECT amelia.set_workflow_status(t.w(9), 'completed', 'no reason to')$$,
	$$SELECT amelia.set_workflow_status(t.w(8), 'failed', 'too late')$$,
	$$UPDATE amelia.workflows SET status = NULL WHERE id = t.w(9)$$,
	$$UPDATE amelia.workflows SET status = 'done' WHERE id = t.w(9)$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- One active workflow in a worktree; any number may wait.
SELECT status FROM amelia.create_workflow('I-10', '/w9', id => t.w(10));
SELECT status FROM amelia.set_workflow_status(t.w(9), 'in_progress');
SELECT * FROM t.errors(
	$$SELECT amelia.set_workflow_status(t.w(10), 'in_progress')$$,
	$$SELECT amelia.set_workflow_status(t.w(10), 'blocked')$$,
	$$UPDATE amelia.workflows SET status = 'blocked' WHERE id = t.w(10)$$);
SELECT * FROM t.log(10);
SELECT status FROM amelia.set_workflow_status(t.w(9), 'completed');
SELECT status FROM amelia.set_workflow_status(t.w(10), 'in_progress');

-- An INSERT is no transition: any status, any timestamps.
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, started_at, completed_at)
SELECT t.w(20 + s.place::integer), 'I-20', '/w' || 20 + s.place, s.status, '2004-04-04', '2003-03-03'
FROM t.status AS s;
SELECT status, started_at, completed_at FROM amelia.workflows WHERE issue_id = 'I-20' ORDER BY id;
