-- The fence on LangGraph's tables refuses what refers to a checkpoint that is gone.
DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET amelia.enabled = off', current_database()); END$$;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS amelia;
RESET client_min_messages;
CREATE SCHEMA lgf;
CREATE TABLE lgf.checkpoints (thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', checkpoint_id text NOT NULL,
	parent_checkpoint_id text, type text, checkpoint jsonb NOT NULL, metadata jsonb NOT NULL DEFAULT '{}',
	PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id));
CREATE TABLE lgf.checkpoint_blobs (thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', channel text NOT NULL, version text NOT NULL,
	type text NOT NULL, blob bytea, PRIMARY KEY (thread_id, checkpoint_ns, channel, version));
CREATE TABLE lgf.checkpoint_writes (thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', checkpoint_id text NOT NULL, task_id text NOT NULL,
	idx integer NOT NULL, channel text NOT NULL, type text, blob bytea NOT NULL,
	PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx));
CREATE FUNCTION put(thread text, ns text, id text, parent text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	INSERT INTO lgf.checkpoints VALUES (thread, ns, id, parent, NULL, '{}')
	ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO UPDATE SET checkpoint = EXCLUDED.checkpoint;
	RETURN 'stored';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(': ', SQLSTATE, SQLERRM, detail);
END $$;
CREATE FUNCTION put_writes(thread text, ns text, id text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	INSERT INTO lgf.checkpoint_writes VALUES (thread, ns, id, 't', 0, 'c', 'null', '')
	ON CONFLICT DO NOTHING;
	RETURN 'stored';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(': ', SQLSTATE, SQLERRM, detail);
END $$;
SELECT amelia.fence_checkpoints('lgf');

-- A chain, and what follows each of its links.
SELECT put('t', '', 'c1'), put('t', '', 'c2', 'c1'), put('t', '', 'c3', 'c2'), put('t', '', 'c4', 'c1') AS fork;
SELECT put_writes('t', '', 'c1') AS oldest, put_writes('t', '', 'c4') AS newest;
-- Again, as an upsert.
SELECT put('t', '', 'c3', 'c2');
-- What comes before what it refers to.
SELECT put_writes('t', '', 'c5') AS writes_first, put('t', '', 'c6', 'c5') AS child_first;
SELECT put('t', '', 'c5', 'c4') AS then_the_parent;
-- One that is gone.
DELETE FROM lgf.checkpoints WHERE checkpoint_id = 'c2';
SELECT put('t', '', 'c7', 'c2');
SELECT put_writes('t', '', 'c2');
SELECT put('t', '', 'c7', 'c6') AS from_one_that_is_there;
-- Writes to one that was made just now may be a run's that goes on.
SELECT put_writes('t', '', substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-6' || substr(h, 13, 3) || '-8000-000000000001') AS late
FROM (SELECT lpad(to_hex((extract(epoch FROM now() - interval '1 s') * 10000000)::bigint + 122192928000000000), 15, '0')) AS x (h);
SELECT put_writes('t', '', '1ef00000-0000-6000-8000-000000000001') AS too_late;
-- Namespaces and threads are apart.
SELECT put('t', 'sub', 's1', 'c2') AS other_namespace, put('u', '', 'c3', 'c2') AS other_thread;
-- Durability "exit": a thread's first checkpoint comes before the empty one that it follows, and so may the writes to that.
SELECT put('x', '', 'c2', 'c1') AS final, put('x', '', 'c2', 'c1') AS again, put_writes('x', '', 'c1') AS writes, put('x', '', 'c1') AS empty;
SELECT put_writes('x', '', 'c0') AS of_another;
-- An UPDATE that gives a row such a parent, or takes writes to such a checkpoint.
UPDATE lgf.checkpoints SET parent_checkpoint_id = 'c2' WHERE thread_id = 't' AND checkpoint_id = 'c7';
UPDATE lgf.checkpoints SET parent_checkpoint_id = NULL WHERE thread_id = 't' AND checkpoint_id = 'c3';
UPDATE lgf.checkpoint_writes SET checkpoint_id = 'c2' WHERE thread_id = 't' AND checkpoint_id = 'c1';
UPDATE lgf.checkpoint_writes SET blob = 'x' WHERE thread_id = 't' AND checkpoint_id = 'c1';
-- A copy of a thread in one statement, in whatever order.
INSERT INTO lgf.checkpoints SELECT 'copy', checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata
FROM lgf.checkpoints WHERE thread_id = 't' ORDER BY checkpoint_id DESC;
-- A transaction that writes to many threads holds few locks.
BEGIN;
INSERT INTO lgf.checkpoints SELECT 'many ' || n, '', 'c1', NULL, NULL, '{}' FROM generate_series(1, 200) AS n;
SELECT objsubid, mode, count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() GROUP BY 1, 2 ORDER BY 1;
ROLLBACK;
BEGIN;
INSERT INTO lgf.checkpoints VALUES ('many', '', 'c1', NULL, NULL, '{}');
SELECT objsubid, mode, count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() GROUP BY 1, 2;
COMMIT;
-- Tables of another shape are fenced as far as they go.
ALTER TABLE lgf.checkpoints DROP CONSTRAINT checkpoints_pkey;
INSERT INTO lgf.checkpoints VALUES ('t', '', 'c8', 'c2', NULL, '{}');
INSERT INTO lgf.checkpoint_writes VALUES ('t', '', 'c2', 'u', 0, 'c', 'null', '');
ALTER TABLE lgf.checkpoints ADD PRIMARY KEY (checkpoint_id, thread_id, checkpoint_ns);
INSERT INTO lgf.checkpoints VALUES ('t', '', 'c9', 'c2', NULL, '{}');
ALTER TABLE lgf.checkpoints DROP COLUMN parent_checkpoint_id;
INSERT INTO lgf.checkpoints VALUES ('t', '', 'c10', NULL, '{}');
-- Off again.
SELECT amelia.fence_checkpoints('lgf', false);
SELECT put_writes('t', '', 'c2');
DROP FUNCTION put(text, text, text, text);
DROP FUNCTION put_writes(text, text, text);
DROP SCHEMA lgf CASCADE;
