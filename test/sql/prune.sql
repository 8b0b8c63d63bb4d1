-- prune(): what it refuses, leaves alone, and tells. That what it keeps reads as before
-- is for test/t/208 and 209.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tables :abs_srcdir '/langgraph.psql'
\set langgraph lgp
\i :tables
SELECT amelia.register_checkpoints('lgp');
-- A chain of n checkpoints, with a channel, and writes.
CREATE FUNCTION chain(thread text, n integer, format integer DEFAULT 4) RETURNS void LANGUAGE sql AS $$
	INSERT INTO lgp.checkpoints SELECT thread, '', 'c' || lpad(i::text, 4, '0'), 'c' || lpad(nullif(i - 1, 0)::text, 4, '0'), NULL,
		jsonb_build_object('v', format, 'channel_versions', jsonb_build_object('m', i)), '{"source": "loop", "parents": {}}'
	FROM generate_series(1, n) AS i;
	INSERT INTO lgp.checkpoint_blobs SELECT thread, '', 'm', i::text, 'json', '[]' FROM generate_series(1, n) AS i;
	INSERT INTO lgp.checkpoint_writes SELECT thread, '', 'c' || lpad(i::text, 4, '0'), 't', x, CASE x WHEN 0 THEN 'm' ELSE '__pregel_tasks' END, 'json', '[]'
	FROM generate_series(1, n) AS i, generate_series(0, 1) AS x;
$$;
CREATE FUNCTION left_of(thread text) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' | ', (SELECT string_agg(checkpoint_id || '<' || COALESCE(parent_checkpoint_id, ''), ' ' ORDER BY checkpoint_ns, checkpoint_id) FROM lgp.checkpoints WHERE thread_id = thread),
		(SELECT string_agg(channel || version, ' ' ORDER BY channel, version) FROM lgp.checkpoint_blobs WHERE thread_id = thread),
		(SELECT string_agg(checkpoint_id || channel, ' ' ORDER BY checkpoint_id, channel) FROM lgp.checkpoint_writes WHERE thread_id = thread))
$$;

-- Arguments.
SELECT amelia.prune(NULL);
SELECT amelia.prune('{a,NULL}');
SELECT amelia.prune('{a}', 'keep_all');
SELECT amelia.prune('{a}', keep => 0);
SELECT amelia.prune('{a}', dry_run => NULL);
SELECT * FROM amelia.prune('{}');
SELECT * FROM amelia.prune('{nobody}', dry_run => true);

-- Without the fence, only if it is forced.
SELECT chain('a', 3);
SELECT thread_id, checkpoints, problem FROM amelia.prune('{a}');
SELECT thread_id, checkpoints, problem FROM amelia.prune('{a}', dry_run => true);
ALTER TABLE checkpoints DISABLE TRIGGER ALL;
BEGIN;
SELECT thread_id, checkpoints, problem FROM amelia.prune('{a}', force => true);
-- and then nobody else writes
SELECT c.relname, l.mode FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND l.mode = 'ShareRowExclusiveLock' ORDER BY 1;
ROLLBACK;
SELECT amelia.fence_checkpoints('lgp');
ALTER TABLE checkpoint_writes DISABLE TRIGGER zzz_amelia_fence;
SELECT thread_id, checkpoints, problem FROM amelia.prune('{a}');
ALTER TABLE checkpoint_writes ENABLE TRIGGER zzz_amelia_fence;

-- What goes, as the dry run says; each thread by itself.
SELECT chain('b', 4);
SELECT thread_id, checkpoints, blobs, writes, bytes > 0 AS bytes, anchors, problem FROM amelia.prune('{a,b,nobody,a}', keep => 2, dry_run => true);
SELECT thread_id, checkpoints, blobs, writes, bytes > 0 AS bytes, anchors, problem FROM amelia.prune('{a,b,nobody,a}', keep => 2);
SELECT left_of('a') AS a, left_of('b') AS b;
SELECT thread_id, checkpoints, blobs, writes, bytes, anchors, problem FROM amelia.prune('{a,b}', keep => 2);

-- Formats before the fourth read what their parent was to send.
SELECT chain('old', 4, 3);
SELECT thread_id, checkpoints, blobs, writes, problem FROM amelia.prune('{old}');
SELECT left_of('old');

-- An update's parent says what a subgraph loads for it: it stays named where that matters.
SELECT chain('updated', 3);
UPDATE checkpoints SET metadata = '{"source": "update", "parents": {}}' WHERE thread_id = 'updated' AND checkpoint_id = 'c0003';
INSERT INTO checkpoints SELECT 'updated', 'sub', 'c000' || i || 'a', NULL, NULL, '{"v": 4}', '{}' FROM generate_series(1, 4) AS i;
SELECT thread_id, checkpoints, problem FROM amelia.prune('{updated}');
SELECT left_of('updated');
DELETE FROM checkpoints WHERE checkpoint_id = 'c0002a';
SELECT chain('updated too', 3);
UPDATE checkpoints SET metadata = '{"source": "update", "parents": {}}' WHERE thread_id = 'updated too' AND checkpoint_id = 'c0003';
SELECT thread_id, checkpoints, problem FROM amelia.prune('{updated too}');
SELECT left_of('updated too');

-- What is not known is left alone, and the others are not.
SELECT chain(t, 2) FROM unnest('{encrypted,pickled,new,no object,nested,meta,parents,number,good}'::text[]) AS t;
UPDATE checkpoint_blobs SET type = 'msgpack+aes' WHERE thread_id = 'encrypted' AND version = '1';
UPDATE checkpoint_blobs SET type = 'pickle' WHERE thread_id = 'pickled' AND version = '1';
UPDATE checkpoints SET checkpoint = checkpoint || '{"v": 5}' WHERE thread_id = 'new' AND checkpoint_id = 'c0002';
UPDATE checkpoints SET checkpoint = '[]' WHERE thread_id = 'no object' AND checkpoint_id = 'c0001';
UPDATE checkpoints SET checkpoint = checkpoint || '{"channel_versions": {"m": [1]}}' WHERE thread_id = 'nested' AND checkpoint_id = 'c0001';
UPDATE checkpoints SET metadata = '1' WHERE thread_id = 'meta' AND checkpoint_id = 'c0001';
UPDATE checkpoints SET metadata = '{"parents": ["x"]}' WHERE thread_id = 'parents' AND checkpoint_id = 'c0001';
UPDATE checkpoints SET checkpoint = checkpoint || '{"v": "4"}' WHERE thread_id = 'number' AND checkpoint_id = 'c0001';
SELECT thread_id, checkpoints, problem
FROM amelia.prune('{encrypted,pickled,new,no object,nested,meta,parents,number,good}');

-- A checkpoint that is its own ancestor.
SELECT chain('circle', 3);
UPDATE checkpoints SET metadata = '{"counters_since_delta_snapshot": {"d": [1, 1]}}', checkpoint = checkpoint || '{"channel_versions": {"d": 1}}' WHERE thread_id = 'circle';
ALTER TABLE checkpoints DISABLE TRIGGER zzz_amelia_fence;
UPDATE checkpoints SET parent_checkpoint_id = 'c0003' WHERE thread_id = 'circle' AND checkpoint_id = 'c0001';
ALTER TABLE checkpoints ENABLE TRIGGER zzz_amelia_fence;
SELECT thread_id, checkpoints, anchors, problem FROM amelia.prune('{circle}');

-- A trigger that keeps rows; one that fails; one that is deferred.
SELECT chain('kept', 3), chain('fails', 3), chain('deferred', 3);
CREATE FUNCTION keep_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.thread_id = 'kept' AND OLD.version = '2' THEN RETURN NULL; END IF;
	IF OLD.thread_id = 'fails' THEN RAISE 'this thread stays'; END IF;
	RETURN OLD;
END $$;
CREATE TRIGGER keep_row BEFORE DELETE ON checkpoint_blobs FOR EACH ROW EXECUTE FUNCTION keep_row();
SELECT thread_id, checkpoints, problem FROM amelia.prune('{kept,fails,deferred}');
SELECT left_of('kept') AS kept, left_of('fails') AS fails;
DROP TRIGGER keep_row ON checkpoint_blobs;
SELECT chain('deferred too', 3);
CREATE CONSTRAINT TRIGGER keep_row AFTER DELETE ON checkpoint_blobs DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION keep_row();
SELECT thread_id, checkpoints, problem FROM amelia.prune('{deferred too,fails}');
DROP TRIGGER keep_row ON checkpoint_blobs;

-- Under a lease.
INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES ('aaaaaaaa-0000-7000-8000-000000000001', 'I-1', '/w1');
SELECT lease_token FROM amelia.claim_workflow('worker', '1 day');
SELECT amelia.link_thread('aaaaaaaa-0000-7000-8000-000000000001', 'linked');
SELECT chain('aaaaaaaa-0000-7000-8000-000000000001', 2), chain('linked', 2);
SELECT checkpoints, problem FROM amelia.prune('{aaaaaaaa-0000-7000-8000-000000000001,linked}');
UPDATE amelia.workflow_leases SET expires_at = now() - interval '1 s';
SELECT checkpoints, problem FROM amelia.prune('{aaaaaaaa-0000-7000-8000-000000000001,linked}');

-- In two schemas at once; one of which lacks what pruning reads.
CREATE SCHEMA lgq;
CREATE TABLE lgq.checkpoints (LIKE checkpoints INCLUDING ALL);
CREATE TABLE lgq.checkpoint_blobs (LIKE checkpoint_blobs INCLUDING ALL);
CREATE TABLE lgq.checkpoint_writes (LIKE checkpoint_writes INCLUDING ALL);
SELECT amelia.register_checkpoints('lgq'), amelia.fence_checkpoints('lgq');
SELECT chain('both', 3);
INSERT INTO lgq.checkpoints SELECT * FROM checkpoints WHERE thread_id = 'both';
SELECT thread_id, checkpoints, blobs, writes, problem FROM amelia.prune('{both}');
SELECT chain('half', 3);
ALTER TABLE lgq.checkpoints RENAME metadata TO meta;
SELECT thread_id, checkpoints, blobs, writes, problem FROM amelia.prune('{half}');
DROP TABLE lgq.checkpoint_writes;
SELECT chain('half', 3) WHERE false;
SELECT thread_id, checkpoints, problem FROM amelia.prune('{half}');
SELECT amelia.unregister_checkpoints('lgq');

-- All of a thread.
SELECT thread_id, checkpoints, blobs, writes, bytes > 0 AS bytes, problem FROM amelia.prune('{half,nobody}', 'delete', dry_run => true);
SELECT thread_id, checkpoints, blobs, writes, bytes > 0 AS bytes, problem FROM amelia.prune('{half,nobody}', 'delete');
SELECT left_of('half');

-- Another transaction isolation.
SELECT chain('serial', 3);
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT thread_id, checkpoints, problem FROM amelia.prune('{serial}');
COMMIT;
SELECT left_of('serial');

RESET search_path;
SELECT amelia.unregister_checkpoints('lgp');
DELETE FROM amelia.checkpoint_schemas WHERE schema_name IN ('lgp', 'lgq');
DELETE FROM amelia.workflows;
DELETE FROM amelia.workflow_history;
DROP SCHEMA lgp, lgq CASCADE;
