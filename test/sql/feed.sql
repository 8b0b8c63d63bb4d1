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
SELECT right(workflow_id::text, 2) AS workflow, moved_to, first_sequence, last_sequence FROM amelia.workflow_feed ORDER BY lsn, xid, number;
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
-- Each part of a cursor may be anything: that is the caller's fault, and is said so.
CREATE TEMP TABLE parts AS
SELECT p.number, p.part FROM (SELECT next_cursor FROM amelia.feed_after(:'cursor', 1)) AS c,
	string_to_table(c.next_cursor, ';') WITH ORDINALITY AS p (part, number);
CREATE FUNCTION t.changed(which bigint, part text) RETURNS text LANGUAGE sql AS
	'SELECT string_agg(CASE WHEN p.number = $1 THEN $2 ELSE p.part END, '';'' ORDER BY p.number) FROM parts AS p';
SELECT part.number, bad.value, left(t.error(format('SELECT amelia.feed_after(%L)', t.changed(part.number, bad.value))), 5) AS error
FROM parts AS part, unnest(ARRAY['', 'x', '-', '99999999999999999999999x', '1:0:', '2:3:9', ':::', '/']) AS bad (value)
WHERE left(t.error(format('SELECT amelia.feed_after(%L)', t.changed(part.number, bad.value))), 5) <> '22023'
	-- what can be read as a number is no harm
	AND part.number < 7
ORDER BY part.number, bad.value;
SELECT left(error, 5) AS error FROM t.errors('SELECT amelia.feed_after(''nonsense'')', 'SELECT amelia.feed_after('''')',
	'SELECT amelia.feed_after('';;'')', 'SELECT amelia.feed_after('';;;;;;;;'')', 'SELECT amelia.feed_after(row_limit => -1)', 'SELECT amelia.feed_after(row_limit => NULL)');
-- One that is cut off anywhere, is of another time or place, or of before a failover.
SELECT n, left(t.error(format('SELECT amelia.feed_after(%L)', (SELECT string_agg(part, ';' ORDER BY number) FROM parts WHERE number <= n))), 5) AS error
FROM generate_series(1, 9) AS n;
SELECT left(t.error(format('SELECT amelia.feed_after(%L)', t.changed(n, '9000000000000000:9000000000000000:'))), 5) AS error FROM (VALUES (2), (4)) AS v (n);
SELECT t.error(format('SELECT amelia.feed_after(%L)', t.changed(1, 'abc.1')));
SELECT left(t.error(format('SELECT amelia.feed_after(%L)', (SELECT t.changed(1, split_part(part, '.', 1) || '.2') FROM parts WHERE number = 1))), 5) AS error;
-- No rows at all, and all at once.
SELECT workflow_id FROM amelia.feed_after(:'cursor', 0);
SELECT count(*) FROM amelia.feed_after(:'cursor', 2147483647);
-- Events that retention has deleted are passed over, and the reader gets on.
SELECT next_cursor AS before FROM amelia.feed_after() \gset
SELECT amelia.append_event(t.w(1), 'x', n::text) FROM generate_series(6, 9) AS n;
SELECT amelia.append_event(t.w(2), 'x', 'gone') > 0 AS appended FROM generate_series(1, 3);
DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(2) OR sequence IN (6, 8);
SELECT * FROM t.pages(:'before', 1);
SELECT * FROM t.pages(:'before', 3);
-- Two workflows in turn are a row each; a status begins a new one.
BEGIN;
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) SELECT t.w(1 + n % 2), 'x', n::text FROM generate_series(1, 6) AS n;
UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(1);
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) SELECT t.w(1 + n % 2), 'x', n::text FROM generate_series(1, 6) AS n;
COMMIT;
SELECT number, right(workflow_id::text, 2) AS workflow, moved_to, last_sequence - first_sequence + 1 AS events
FROM amelia.workflow_feed WHERE xid = (SELECT xid FROM amelia.workflow_feed ORDER BY lsn DESC LIMIT 1) ORDER BY number;
-- A reader that sees always the same.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT next_cursor AS fixed FROM amelia.feed_after() \gset
SELECT count(*) FROM amelia.feed_after(:'fixed');
COMMIT;
-- What came from another cluster is no news, and goes.
INSERT INTO amelia.workflow_feed (origin, lsn, xid, number, workflow_id, moved_to)
SELECT 1, 'FF/0', xid, 1, t.w(1), 'failed' FROM amelia.workflow_feed ORDER BY lsn DESC LIMIT 1;
SELECT count(*) FROM amelia.feed_after(:'before') WHERE status = 'failed';
SELECT amelia.prune_feed('1 year') AS foreign_rows;
-- Nor is what replication brings.
SELECT next_cursor AS later FROM amelia.feed_after() \gset
SET session_replication_role = replica;
INSERT INTO amelia.workflow_log (workflow_id, sequence, event_type, message) VALUES (t.w(2), 1000, 'x', 'brought');
RESET session_replication_role;
SELECT workflow_id, status FROM amelia.feed_after(:'later');
-- Pruned: the reader is told. How long a row was there is known since the first call.
SELECT amelia.prune_feed('1 hour'), (SELECT count(*) FROM amelia.feed_snapshots) AS snapshots;
SELECT count(*) > 0 AS good FROM amelia.feed_after(:'cursor');
UPDATE amelia.feed_snapshots SET taken_at = taken_at - interval '59 minutes';
SELECT amelia.prune_feed('1 hour');
UPDATE amelia.feed_snapshots SET taken_at = taken_at - interval '2 minutes';
SELECT next_cursor AS last FROM amelia.feed_after() \gset
SELECT amelia.append_event(t.w(1), 'x', 'younger') > 0 AS appended;
SELECT amelia.prune_feed('1 hour', 2) AS some, amelia.prune_feed('1 hour') > 5 AS rest, amelia.prune_feed('1 hour') AS none;
SELECT t.error(format('SELECT amelia.feed_after(%L)', :'cursor'));
SELECT right(workflow_id::text, 2) AS workflow, status, (event).message FROM amelia.feed_after(:'last');
SELECT amelia.prune_feed('0');
SELECT count(*) FROM amelia.workflow_feed;
SELECT left(t.error(format('SELECT amelia.feed_after(%L)', :'last')), 5) AS error;
SELECT count(*), bool_and(pruned) AS pruned FROM amelia.feed_snapshots;
-- By the setting; -1 never deletes.
SELECT amelia.append_event(t.w(1), 'x', 'm') > 0 AS appended, feed_retention_hours FROM amelia.settings();
SELECT amelia.prune_feed();
SELECT feed_retention_hours FROM amelia.update_settings('{"feed_retention_hours": -1}');
SELECT amelia.prune_feed();
SELECT feed_retention_hours FROM amelia.update_settings('{"feed_retention_hours": 0}');
SELECT amelia.prune_feed();
DELETE FROM amelia.server_settings;
-- What a trigger puts back is not pruned.
BEGIN;
CREATE FUNCTION t.back() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO amelia.workflow_feed VALUES (OLD.*); RETURN NULL; END';
CREATE TRIGGER back AFTER DELETE ON amelia.workflow_feed FOR EACH ROW WHEN (OLD.number < 1000) EXECUTE FUNCTION t.back();
INSERT INTO amelia.workflow_feed (origin, lsn, xid, number, workflow_id) SELECT 1, 'FF/0', '1', n, t.w(1) FROM generate_series(998, 1002) AS n;
SELECT amelia.prune_feed('1 year') AS pruned;
ROLLBACK;
SELECT * FROM t.errors('SELECT amelia.prune_feed(row_limit => -1)', 'SELECT amelia.prune_feed(row_limit => NULL)');
SELECT next_cursor AS later FROM amelia.feed_after() \gset
-- Switched off.
SET amelia.feed = off;
SELECT amelia.append_event(t.w(1), 'x', 'quiet');
RESET amelia.feed;
SELECT workflow_id, status FROM amelia.feed_after(:'later');

-- Waiting: at once when there is something, else until the time is over.
CALL amelia.wait_events(t.w(1));
CALL amelia.wait_events(t.w(1), 1000000, '10 ms');
CALL amelia.wait_events(t.w(1), 1000000, '-1 s');
CALL amelia.wait_events(t.w(1), 1000000, '-170000000 years');
CALL amelia.wait_events(gen_random_uuid(), 0, '0');
BEGIN;
CALL amelia.wait_events(t.w(1));
ROLLBACK;
CALL amelia.wait_events(NULL);
CALL amelia.wait_events(t.w(1), NULL);
CALL amelia.wait_events(t.w(1), 0, NULL);
SET statement_timeout = '50 ms';
CALL amelia.wait_events(t.w(1), 1000000, '1 hour');
CALL amelia.wait_events(t.w(1), 1000000, '170000000 years');
RESET statement_timeout;
-- From a block too, but not from where the snapshot cannot be let go.
DO $$ BEGIN CALL amelia.wait_events(t.w(1)); CALL amelia.wait_events(t.w(1), 1000000, '10 ms'); END $$;
CREATE FUNCTION t.waits() RETURNS void LANGUAGE plpgsql AS 'BEGIN CALL amelia.wait_events(t.w(1)); END';
SELECT t.waits();
DO $$ BEGIN CALL amelia.wait_events(t.w(1)); EXCEPTION WHEN division_by_zero THEN NULL; END $$;
-- A reader may read and wait, and no more.
CREATE ROLE regress_waiter;
SELECT amelia.grant_reader('regress_waiter');
SET ROLE regress_waiter;
CALL amelia.wait_events('aaaaaaaa-0000-7000-8000-000000000001');
SELECT count(*) FROM amelia.feed_after(:'later');
SELECT amelia.prune_feed();
RESET ROLE;
DROP OWNED BY regress_waiter;
DROP ROLE regress_waiter;
