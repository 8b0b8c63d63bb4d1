-- Gapless sequences, whichever way the rows go in.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

-- The sequences of a workflow's events, in the order of their messages.
CREATE FUNCTION t.numbers(workflow integer) RETURNS text
LANGUAGE sql AS $$
SELECT string_agg(message || '=' || sequence || CASE WHEN sequence_allocated THEN '' ELSE '!' END, ' ' ORDER BY sequence)
FROM amelia.workflow_log
WHERE workflow_id = t.w(workflow)
$$;
INSERT INTO amelia.workflows (id, issue_id, worktree_path) SELECT t.w(n), 'I-' || n, '/w' || n FROM generate_series(1, 20) AS n;

-- A plain INSERT without a sequence, with DEFAULT, with NULL.
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(1), 'x', 'a') RETURNING sequence;
INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence) VALUES (t.w(1), 'x', 'b', DEFAULT) RETURNING sequence;
INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence) VALUES (t.w(1), 'x', 'c', NULL) RETURNING sequence;

-- Many rows, of several workflows, in any order.
INSERT INTO amelia.workflow_log (workflow_id, event_type, message)
VALUES (t.w(1), 'x', 'd'), (t.w(2), 'x', 'a'), (t.w(1), 'x', 'e'), (t.w(3), 'x', 'a'), (t.w(2), 'x', 'b'), (t.w(1), 'x', 'f');
SELECT n, t.numbers(n) FROM generate_series(1, 3) AS n;
INSERT INTO amelia.workflow_log (workflow_id, event_type, message)
SELECT t.w(4 + n % 3), 'x', chr(97 + n / 3) FROM generate_series(0, 11) AS n ORDER BY n;
SELECT n, t.numbers(n) FROM generate_series(4, 6) AS n;
INSERT INTO amelia.workflow_log (workflow_id, event_type, message)
SELECT t.w(7), e.event_type, e.message FROM amelia.workflow_log AS e WHERE e.workflow_id = t.w(1) ORDER BY e.sequence;
INSERT INTO amelia.workflow_log (workflow_id, event_type, message)
SELECT e.workflow_id, e.event_type, upper(e.message) FROM amelia.workflow_log AS e WHERE e.workflow_id = t.w(7) ORDER BY e.sequence;
SELECT t.numbers(7);

-- Two INSERTs in one statement, an INSERT beside append_event, a function that inserts.
WITH one AS (
	INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(3), 'x', 'b') RETURNING sequence),
two AS (
	INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(3), 'x', 'b') RETURNING sequence)
SELECT (SELECT sequence FROM one) + (SELECT sequence FROM two) AS "2 + 3";
SELECT count(amelia.append_event(t.w(3), 'x', 'c')) FROM generate_series(1, 2);
INSERT INTO amelia.workflow_log (workflow_id, event_type, message)
SELECT t.w(3), 'x', 'e' FROM amelia.append_event(t.w(3), 'x', 'd') AS sequence;
SELECT t.numbers(3);

-- A workflow that the statement itself makes, or changes.
WITH w AS (INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(21), 'I-21', '/w21') RETURNING id)
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) SELECT w.id, 'x', m FROM w, unnest(ARRAY['a', 'b']) AS m;
WITH w AS (UPDATE amelia.workflows SET profile_id = 'work' WHERE id = t.w(21) RETURNING id)
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) SELECT w.id, 'x', m FROM w, unnest(ARRAY['c', 'd']) AS m;
BEGIN;
UPDATE amelia.workflows SET profile_id = 'home' WHERE id = t.w(21);
SELECT amelia.append_event(t.w(21), 'x', 'e');
UPDATE amelia.workflows SET profile_id = 'away' WHERE id = t.w(21);
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(21), 'x', 'f');
COMMIT;
SELECT t.numbers(21);

-- COPY, without and with a sequence, and text and csv.
COPY amelia.workflow_log (workflow_id, event_type, message) FROM STDIN;
aaaaaaaa-0000-7000-8000-000000000008	x	a
aaaaaaaa-0000-7000-8000-000000000009	x	a
aaaaaaaa-0000-7000-8000-000000000008	x	b
aaaaaaaa-0000-7000-8000-000000000009	x	b
aaaaaaaa-0000-7000-8000-000000000008	x	c
\.
COPY amelia.workflow_log (workflow_id, event_type, message, sequence) FROM STDIN (FORMAT csv);
aaaaaaaa-0000-7000-8000-000000000008,x,d,
aaaaaaaa-0000-7000-8000-000000000008,x,e,10
aaaaaaaa-0000-7000-8000-000000000008,x,f,
aaaaaaaa-0000-7000-8000-000000000008,x,c2,7
\.
SELECT n, t.numbers(n) FROM generate_series(8, 9) AS n;

-- An explicit sequence is taken as it is, gaps included; the next automatic one
-- follows the highest.
INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence)
VALUES (t.w(10), 'x', 'a', 3), (t.w(10), 'x', 'b', 5), (t.w(10), 'x', 'c', NULL), (t.w(10), 'x', 'd', 100), (t.w(10), 'x', 'e', NULL),
	(t.w(10), 'x', 'f', 50);
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(10), 'x', 'g');
SELECT amelia.append_event(t.w(10), 'x', 'h');
SELECT amelia.append_events(t.w(10), '[{"event_type": "x", "message": "i"}, {"event_type": "x", "message": "j"}]');
SELECT t.numbers(10), amelia.last_sequence(t.w(10));
SELECT * FROM t.errors(
	$$INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence) VALUES (t.w(10), 'x', 'm', 3)$$,
	$$INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence) VALUES (t.w(10), 'x', 'm', 0)$$,
	$$INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence) VALUES (t.w(10), 'x', 'm', -1)$$,
	$$INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence) VALUES (t.w(10), 'x', 'm', 2147483648)$$);

-- The end of the numbers.
INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence) VALUES (t.w(11), 'x', 'a', 2000000000);
UPDATE amelia.workflows SET sequence_floor = 2147483645 WHERE id = t.w(11);
SELECT * FROM t.errors(
	$$SELECT amelia.append_events(t.w(11), '[{"event_type": "x", "message": "m"}, {"event_type": "x", "message": "m"}, {"event_type": "x", "message": "m"}]')$$,
	$$SELECT amelia.next_sequence(t.w(11), 3)$$,
	$$SELECT amelia.next_sequence(t.w(11), 2147483647)$$);
SELECT amelia.append_event(t.w(11), 'x', 'b');
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(11), 'x', 'c') RETURNING sequence;
SELECT * FROM t.errors(
	$$SELECT amelia.append_event(t.w(11), 'x', 'm')$$,
	$$SELECT amelia.append_events(t.w(11), '[{"event_type": "x", "message": "m"}]')$$,
	$$SELECT amelia.next_sequence(t.w(11))$$,
	$$INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(11), 'x', 'm')$$);
SELECT t.numbers(11);

-- What an aborted transaction or a savepoint had is given again.
BEGIN;
SELECT amelia.append_event(t.w(12), 'x', 'aborted') FROM generate_series(1, 3);
ROLLBACK;
BEGIN;
SELECT amelia.append_event(t.w(12), 'x', 'a');
SAVEPOINT s;
SELECT amelia.append_event(t.w(12), 'x', 'aborted');
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(12), 'x', 'aborted') RETURNING sequence;
ROLLBACK TO s;
SELECT amelia.append_event(t.w(12), 'x', 'b');
SAVEPOINT s2;
SELECT amelia.append_event(t.w(12), 'x', 'c');
RELEASE s2;
ROLLBACK TO s;
SELECT amelia.append_event(t.w(12), 'x', 'b');
COMMIT;
DO $$
BEGIN
	FOR n IN 1 .. 3 LOOP
		BEGIN
			PERFORM amelia.append_event('aaaaaaaa-0000-7000-8000-000000000012', 'x', chr(98 + n));
			IF n = 2 THEN
				RAISE EXCEPTION 'left out';
			END IF;
		EXCEPTION WHEN raise_exception THEN
			NULL;
		END;
	END LOOP;
END
$$;
SELECT * FROM t.errors(
	$$INSERT INTO amelia.workflow_log (workflow_id, event_type, message, level) VALUES (t.w(12), 'x', 'e', 'debug'), (t.w(12), 'x', 'f', 'loud')$$);
SELECT amelia.append_event(t.w(12), 'x', 'e');
SELECT t.numbers(12);

-- A workflow that is not there, or whose id is missing.
SELECT * FROM t.errors(
	$$INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(99), 'x', 'm')$$,
	$$INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (NULL, 'x', 'm')$$,
	$$INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence) VALUES (t.w(99), 'x', 'm', 1)$$);

-- Under REPEATABLE READ and SERIALIZABLE as well.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM amelia.workflow_log WHERE workflow_id = t.w(13);
SELECT amelia.append_event(t.w(13), 'x', 'a');
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(13), 'x', 'b') RETURNING sequence;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT amelia.append_events(t.w(13), '[{"event_type": "x", "message": "c"}, {"event_type": "x", "message": "d"}]');
COMMIT;
SELECT t.numbers(13);

-- A cursor that inserts row by row.
DO $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT e.message FROM amelia.workflow_log AS e WHERE e.workflow_id = 'aaaaaaaa-0000-7000-8000-000000000013' LOOP
		INSERT INTO amelia.workflow_log (workflow_id, event_type, message)
		VALUES ('aaaaaaaa-0000-7000-8000-000000000013', 'x', upper(r.message)),
			('aaaaaaaa-0000-7000-8000-000000000014', 'x', r.message);
	END LOOP;
END
$$;
SELECT n, t.numbers(n) FROM generate_series(13, 14) AS n;

-- A workflow that the same statement deletes: the event goes with it. The time
-- limit is for what once looked for the workflow for ever.
SET statement_timeout = '30s';
SELECT * FROM t.errors(
	$$WITH gone AS (DELETE FROM amelia.workflows WHERE id = t.w(14) RETURNING id)
		INSERT INTO amelia.workflow_log (workflow_id, event_type, message) SELECT id, 'x', 'm' FROM gone$$);
RESET statement_timeout;
SELECT count(*) AS left FROM amelia.workflow_log WHERE workflow_id = t.w(14);
SELECT * FROM amelia.verify();

-- Messages of a chat are numbered likewise.
INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('work', '/work', '{}');
INSERT INTO amelia.brainstorm_sessions (id, profile_id) SELECT 's' || n, 'work' FROM generate_series(1, 4) AS n;
INSERT INTO amelia.brainstorm_messages (id, session_id, role, content) VALUES ('a', 's1', 'user', 'a') RETURNING sequence;
INSERT INTO amelia.brainstorm_messages (id, session_id, role, content)
VALUES ('b', 's1', 'user', 'b'), ('c', 's2', 'user', 'c'), ('d', 's1', 'user', 'd') RETURNING session_id, sequence;
INSERT INTO amelia.brainstorm_messages (id, session_id, role, content, sequence)
VALUES ('e', 's2', 'user', 'e', 7), ('f', 's2', 'user', 'f', NULL) RETURNING session_id, sequence;
COPY amelia.brainstorm_messages (id, session_id, role, content) FROM STDIN;
g	s1	user	g
h	s2	user	h
i	s1	user	i
\.
BEGIN;
SELECT sequence FROM amelia.add_brainstorm_message('s3', 'user', 'aborted');
ROLLBACK;
SELECT sequence FROM amelia.add_brainstorm_message('s3', 'user', 'a', id => 'j');
SELECT session_id, string_agg(id || '=' || sequence || CASE WHEN sequence_allocated THEN '' ELSE '!' END, ' ' ORDER BY sequence)
FROM amelia.brainstorm_messages GROUP BY session_id ORDER BY session_id;
SELECT * FROM t.errors(
	$$INSERT INTO amelia.brainstorm_messages (id, session_id, role, content) VALUES ('z', 's9', 'user', 'm')$$,
	$$INSERT INTO amelia.brainstorm_messages (id, session_id, role, content) VALUES ('z', NULL, 'user', 'm')$$,
	$$INSERT INTO amelia.brainstorm_messages (id, session_id, role, content, sequence) VALUES ('z', 's1', 'user', 'm', 1)$$,
	$$INSERT INTO amelia.brainstorm_messages (id, session_id, role, content, sequence) VALUES ('z', 's1', 'user', 'm', 0)$$,
	$$UPDATE amelia.brainstorm_messages SET sequence = 99 WHERE id = 'a'$$,
	$$UPDATE amelia.brainstorm_messages SET session_id = 's3' WHERE id = 'a'$$,
	$$UPDATE amelia.brainstorm_messages SET id = 'z' WHERE id = 'a'$$,
	$$UPDATE amelia.brainstorm_messages SET content = 'may change' WHERE id = 'a'$$);
UPDATE amelia.brainstorm_sessions SET sequence_floor = 2147483647 WHERE id = 's4';
SELECT * FROM t.errors(
	$$SELECT amelia.add_brainstorm_message('s4', 'user', 'm')$$,
	$$INSERT INTO amelia.brainstorm_messages (id, session_id, role, content) VALUES ('z', 's4', 'user', 'm')$$,
	$$INSERT INTO amelia.brainstorm_messages (id, session_id, role, content, sequence) VALUES ('z', 's4', 'user', 'm', 2000000001)$$);
SELECT * FROM amelia.verify();
