-- A number is never given twice: what is removed or reserved raises
-- sequence_floor, and events_removed counts what was removed.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

INSERT INTO amelia.workflows (id, issue_id, worktree_path, updated_at)
SELECT t.w(n), 'I-' || n, '/w' || n, '2001-01-01' FROM generate_series(1, 9) AS n;
INSERT INTO amelia.workflow_log (workflow_id, event_type, message)
SELECT t.w(w), 'x', n::text FROM generate_series(1, 4) AS w, generate_series(1, 5) AS n;
CREATE FUNCTION t.floors() RETURNS TABLE (workflow text, sequences text, sequence_floor integer, events_removed bigint, updated boolean)
LANGUAGE sql AS $$
SELECT w.issue_id, (SELECT string_agg(e.sequence::text, ' ' ORDER BY e.sequence) FROM amelia.workflow_log AS e WHERE e.workflow_id = w.id),
	w.sequence_floor, w.events_removed, w.updated_at > '2001-01-02'
FROM amelia.workflows AS w
WHERE w.sequence_floor > 0 OR EXISTS (SELECT FROM amelia.workflow_log AS e WHERE e.workflow_id = w.id)
ORDER BY w.id
$$;

-- The highest event, one in the middle, those of several workflows, all of one.
DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(1) AND sequence = 5;
SELECT amelia.append_event(t.w(1), 'x', 'after the highest went');
DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(1) AND sequence = 2;
SELECT amelia.append_event(t.w(1), 'x', 'after one in the middle went');
DELETE FROM amelia.workflow_log WHERE sequence IN (4, 5);
DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(3);
SELECT * FROM t.floors();
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) SELECT t.w(n), 'x', 'next' FROM generate_series(1, 4) AS n
RETURNING message, sequence;
DELETE FROM amelia.workflow_log WHERE false;
SELECT * FROM t.floors();
SELECT amelia.last_sequence(t.w(3)) AS with_events;
DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(3);
SELECT amelia.last_sequence(t.w(3)) AS without;
SELECT amelia.append_events(t.w(3), '[{"event_type": "x", "message": "a"}, {"event_type": "x", "message": "b"}]');

-- A DELETE that is rolled back raises nothing.
BEGIN;
DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(4);
SELECT amelia.append_event(t.w(4), 'x', 'aborted');
ROLLBACK;
SELECT amelia.append_event(t.w(4), 'x', 'follows');

-- A DELETE and an append in one transaction, in one statement.
BEGIN;
DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(4) AND sequence = 7;
SELECT amelia.append_event(t.w(4), 'x', 'in one transaction');
COMMIT;
WITH gone AS (DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(4) AND sequence = 8 RETURNING workflow_id)
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) SELECT workflow_id, 'x', 'in one statement' FROM gone
RETURNING sequence > 8 AS another_number;
SELECT sequence_floor >= 8 AS raised, events_removed FROM amelia.workflows WHERE id = t.w(4);

-- A user's own trigger on the event table does not change that.
CREATE FUNCTION t.keep_errors() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.is_error THEN
		RETURN NULL;
	END IF;
	RETURN OLD;
END
$$;
CREATE TRIGGER keep_errors BEFORE DELETE ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION t.keep_errors();
INSERT INTO amelia.workflow_log (workflow_id, event_type, message, is_error)
SELECT t.w(5), 'x', n::text, n = 4 FROM generate_series(1, 4) AS n;
DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(5);
SELECT * FROM t.floors() WHERE workflow = 'I-5';
DROP TRIGGER keep_errors ON amelia.workflow_log;

-- Events that go with their workflow are counted by nobody, and leave no trace.
DELETE FROM amelia.workflows WHERE id = t.w(5);
INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(5), 'I-5', '/w5');
SELECT amelia.append_event(t.w(5), 'x', 'a new workflow');

-- What was removed is no gap; nor is what was reserved.
SELECT * FROM amelia.verify();

-- next_sequence reserves: the caller owes the rows.
SELECT amelia.next_sequence(t.w(6)) AS first;
SELECT amelia.append_event(t.w(6), 'x', 'after the reserved one');
SELECT amelia.next_sequence(t.w(6), 3) AS first_of_three;
SELECT amelia.append_event(t.w(6), 'x', 'after three');
INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence)
VALUES (t.w(6), 'x', 'owed', 1), (t.w(6), 'x', 'owed', 3), (t.w(6), 'x', 'owed', 4), (t.w(6), 'x', 'owed', 5);
SELECT amelia.next_sequence(workflow_id => t.w(6), count => 1) AS first, amelia.next_sequence(t.w(6)) AS second;
SELECT * FROM t.floors() WHERE workflow = 'I-6';
BEGIN;
SELECT amelia.next_sequence(t.w(6), 100) AS aborted;
ROLLBACK;
SELECT amelia.append_event(t.w(6), 'x', 'what was reserved in an aborted transaction is given again');
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT amelia.next_sequence(NULL)$$,
	$$SELECT amelia.next_sequence(t.w(6), NULL)$$,
	$$SELECT amelia.next_sequence(t.w(6), 0)$$,
	$$SELECT amelia.next_sequence(t.w(6), -1)$$,
	$$SELECT amelia.next_sequence(t.w(99))$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- The counters only grow; they may be raised.
SELECT * FROM t.errors(
	$$UPDATE amelia.workflows SET sequence_floor = sequence_floor - 1 WHERE id = t.w(6)$$,
	$$UPDATE amelia.workflows SET sequence_floor = 0 WHERE id = t.w(6)$$,
	$$UPDATE amelia.workflows SET sequence_floor = -1 WHERE id = t.w(6)$$,
	$$UPDATE amelia.workflows SET sequence_floor = NULL WHERE id = t.w(6)$$,
	$$UPDATE amelia.workflows SET events_removed = events_removed - 1 WHERE id = t.w(1)$$,
	$$UPDATE amelia.workflows SET events_removed = NULL WHERE id = t.w(1)$$,
	$$UPDATE amelia.workflows SET status = 'in_progress', sequence_floor = 0 WHERE id = t.w(6)$$,
	$$INSERT INTO amelia.workflows (id, issue_id, worktree_path, sequence_floor) VALUES (t.w(7), 'I-7', '/w7', 0)
		ON CONFLICT (id) DO UPDATE SET sequence_floor = -5$$,
	$$INSERT INTO amelia.workflows (issue_id, worktree_path, sequence_floor) VALUES ('I', '/w', -1)$$,
	$$INSERT INTO amelia.workflows (issue_id, worktree_path, events_removed) VALUES ('I', '/w', -1)$$);
UPDATE amelia.workflows SET sequence_floor = 50 WHERE id = t.w(7);
SELECT amelia.append_event(t.w(7), 'x', 'above the floor');
INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence) VALUES (t.w(7), 'x', 'below it, but brought', 20);
SELECT amelia.append_event(t.w(7), 'x', 'next');
SELECT * FROM amelia.verify();

-- TRUNCATE raises the floors of all; with the workflows it takes everything.
TRUNCATE amelia.workflow_log;
SELECT * FROM t.floors();
INSERT INTO amelia.workflow_log (workflow_id, event_type, message)
SELECT t.w(n), 'x', 'after TRUNCATE' FROM generate_series(1, 8) AS n RETURNING sequence;
SELECT * FROM amelia.verify();
SET client_min_messages = warning;
BEGIN;
TRUNCATE amelia.workflows CASCADE;
SELECT t.rows();
ROLLBACK;
SELECT count(*) FROM amelia.workflow_log;
TRUNCATE amelia.workflows CASCADE;
RESET client_min_messages;
SELECT t.rows();
INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(1), 'I-1', '/w1');
SELECT amelia.append_event(t.w(1), 'x', 'a new workflow');

-- Chat messages have a floor too.
INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('work', '/work', '{}');
INSERT INTO amelia.brainstorm_sessions (id, profile_id, updated_at) VALUES ('s1', 'work', '2001-01-01'), ('s2', 'work', '2001-01-01');
INSERT INTO amelia.brainstorm_messages (id, session_id, role, content)
SELECT s || n, s, 'user', n::text FROM unnest(ARRAY['s1', 's2']) AS s, generate_series(1, 3) AS n;
DELETE FROM amelia.brainstorm_messages WHERE sequence = 3;
SELECT id, sequence_floor, updated_at FROM amelia.brainstorm_sessions ORDER BY id;
SELECT sequence FROM amelia.add_brainstorm_message('s1', 'user', 'next');
SELECT * FROM t.errors(
	$$UPDATE amelia.brainstorm_sessions SET sequence_floor = 2 WHERE id = 's1'$$,
	$$UPDATE amelia.brainstorm_sessions SET sequence_floor = NULL WHERE id = 's1'$$,
	$$UPDATE amelia.brainstorm_sessions SET sequence_floor = 9, topic = 't' WHERE id = 's2'$$);
SELECT sequence FROM amelia.add_brainstorm_message('s2', 'user', 'next');
TRUNCATE amelia.brainstorm_messages;
SELECT sequence FROM amelia.add_brainstorm_message('s1', 'user', 'next');
SELECT sequence FROM amelia.add_brainstorm_message('s2', 'user', 'next');
DELETE FROM amelia.brainstorm_sessions WHERE id = 's1';
SELECT t.rows();
SELECT * FROM amelia.verify();
