\i test/helpers.psql
-- The live feed: everything once, plain updates included.
SELECT next_cursor AS cursor FROM amelia.feed_after() \gset
INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(1), 'I-1', '/w1'), (t.w(2), 'I-2', '/w2');
SELECT amelia.append_events(t.w(1), '[{"event_type": "x", "message": "1"}, {"event_type": "x", "message": "2"}, {"event_type": "x", "message": "3"}]');
UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(2);
-- Not what was rolled back, alone or with all.
BEGIN;
SELECT amelia.append_event(t.w(1), 'x', '4');
SAVEPOINT s;
SELECT amelia.append_event(t.w(1), 'x', 'never');
ROLLBACK TO s;
SAVEPOINT s2;
SELECT amelia.append_event(t.w(1), 'x', '5');
RELEASE s2;
COMMIT;
BEGIN;
SELECT amelia.append_event(t.w(1), 'x', 'never');
ROLLBACK;
-- Explicit numbers too, and nothing for what is sent again or changes nothing.
INSERT INTO amelia.workflow_log (workflow_id, sequence, event_type, message) VALUES (t.w(2), 7, 'x', 'seven');
SELECT amelia.append_event(t.w(2), 'x', 'once', id => t.e(1)), amelia.append_event(t.w(2), 'x', 'once', id => t.e(1));
UPDATE amelia.workflows SET status = status, plan_cache = '{}';
SELECT right(workflow_id::text, 2) AS workflow, moved_to, first_sequence, last_sequence FROM amelia.workflow_feed ORDER BY id;
SELECT right(workflow_id::text, 2) AS workflow, status, (event).sequence, (event).message FROM amelia.feed_after(:'cursor');
-- Page by page it is the same.
CREATE FUNCTION t.pages(cursor text, size integer) RETURNS TABLE (page integer, workflow text, status text, sequence integer)
LANGUAGE plpgsql AS $$
DECLARE
	line record;
	at text := cursor;
	more boolean := true;
BEGIN
	page := 0;
	WHILE more LOOP
		page := page + 1;
		FOR line IN SELECT * FROM amelia.feed_after(at, size) LOOP
			at := line.next_cursor;
			more := line.workflow_id IS NOT NULL;
			workflow := right(line.workflow_id::text, 2);
			status := line.status;
			sequence := (line.event).sequence;
			IF more THEN RETURN NEXT; END IF;
		END LOOP;
	END LOOP;
END
$$;
SELECT * FROM t.pages(:'cursor', 4);
SELECT count(*) FROM t.pages(:'cursor', 1);
-- Of one workflow only; and what came already does not come again.
SELECT right(workflow_id::text, 2) AS workflow, status, (event).sequence FROM amelia.feed_after(:'cursor', workflow_ids => ARRAY[t.w(2)]);
SELECT next_cursor AS later FROM amelia.feed_after(:'cursor') WHERE workflow_id IS NULL \gset
SELECT workflow_id, status FROM amelia.feed_after(:'later');
SELECT left(error, 5) AS error FROM t.errors('SELECT amelia.feed_after(''nonsense'')', 'SELECT amelia.feed_after(amelia.feed_identity() || ''/x'')',
	'SELECT amelia.feed_after(amelia.feed_identity() || ''/9000000000000000:9000000000000000:'')', 'SELECT amelia.feed_after(row_limit => -1)');
-- Pruned: the reader is told.
SELECT amelia.prune_feed('1 hour'), amelia.prune_feed('0', 2) AS pruned;
SELECT t.error(format('SELECT amelia.feed_after(%L)', :'cursor'));
SELECT * FROM t.errors('SELECT amelia.prune_feed(NULL)', 'SELECT amelia.prune_feed(row_limit => -1)');
SELECT workflow_id, status FROM amelia.feed_after(:'later');
-- Switched off.
SET amelia.feed = off;
SELECT amelia.append_event(t.w(1), 'x', 'quiet');
RESET amelia.feed;
SELECT workflow_id, status FROM amelia.feed_after(:'later');

-- Waiting: at once when there is something, else until the time is over.
CALL amelia.wait_events(t.w(1));
CALL amelia.wait_events(t.w(1), 6, '10 ms');
BEGIN;
CALL amelia.wait_events(t.w(1));
ROLLBACK;
CALL amelia.wait_events(NULL);
CALL amelia.wait_events(t.w(1), NULL);
CALL amelia.wait_events(t.w(1), 0, NULL);
SET statement_timeout = '50 ms';
CALL amelia.wait_events(t.w(1), 6, '1 hour');
RESET statement_timeout;
