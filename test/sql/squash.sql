-- Threads that are squashed, copied, and from which runs are taken out; what the fence and verify()
-- say of what is left. That it reads as before is for test/t/208 and 209.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tables :abs_srcdir '/langgraph.psql'
\set langgraph lgs
\i :tables
SELECT FROM amelia.register_checkpoints('lgs'), amelia.fence_checkpoints('lgs');
-- A chain of n checkpoints with two delta channels, of which d has a snapshot at the second, and e
-- at the fourth one; each of a run of its own.
CREATE FUNCTION chain(thread text, n integer) RETURNS void LANGUAGE sql AS $$
	INSERT INTO lgs.checkpoints SELECT thread, '', 'c' || i, 'c' || nullif(i - 1, 0), NULL,
		jsonb_build_object('v', 4, 'channel_versions', jsonb_build_object('d', i, 'e', i)),
		jsonb_build_object('source', 'loop', 'parents', '{}'::jsonb, 'run_id', 'run ' || i, 'counters_since_delta_snapshot', jsonb_build_object('d', 1, 'e', 1))
	FROM generate_series(1, n) AS i;
	INSERT INTO lgs.checkpoint_blobs SELECT thread, '', c, i::text, CASE WHEN i = s THEN 'json' ELSE 'empty' END, CASE WHEN i = s THEN '[]'::bytea END
	FROM generate_series(1, n) AS i, (VALUES ('d', 2), ('e', 4)) AS x (c, s);
	INSERT INTO lgs.checkpoint_writes SELECT thread, '', 'c' || i, t, x, (ARRAY['d', 'e', 'other'])[x + 1], 'json', convert_to(i || t, 'UTF8'), '~' || t
	FROM generate_series(1, n) AS i, generate_series(0, 2) AS x, unnest('{task-of-a,00000002-of-b}'::text[]) AS t;
$$;
CREATE FUNCTION left_of(thread text) RETURNS TABLE (id text, parent text, marked boolean, blobs text, writes text) LANGUAGE sql AS $$
	SELECT checkpoint_id, parent_checkpoint_id, metadata ? 'amelia_anchor',
		(SELECT string_agg(channel || version, ' ' ORDER BY channel, version::integer) FROM lgs.checkpoint_blobs AS b WHERE b.thread_id = c.thread_id
			AND b.version = c.checkpoint -> 'channel_versions' ->> b.channel),
		(SELECT string_agg(concat_ws('/', task_id, idx, channel, convert_from(blob, 'UTF8'), nullif(task_path, '')), ' ' ORDER BY task_id, idx)
			FROM lgs.checkpoint_writes AS w WHERE w.thread_id = c.thread_id AND w.checkpoint_id = c.checkpoint_id)
	FROM lgs.checkpoints AS c WHERE thread_id = thread ORDER BY 1;
$$;
CREATE FUNCTION put(thread text, id text, parent text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO lgs.checkpoints VALUES (thread, '', id, parent, NULL, '{"v": 4}');
	RETURN 'stored';
EXCEPTION WHEN OTHERS THEN
	RETURN concat_ws(': ', SQLSTATE, SQLERRM);
END $$;
CREATE FUNCTION put_writes(thread text, id text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO lgs.checkpoint_writes VALUES (thread, '', id, 'late', 0, 'd', 'json', '');
	RETURN 'stored';
EXCEPTION WHEN OTHERS THEN
	RETURN concat_ws(': ', SQLSTATE, SQLERRM);
END $$;

-- Arguments of all three.
SELECT amelia.prune('{a}', squash => NULL);
SELECT amelia.copy_thread('a', NULL);
SELECT amelia.copy_thread(NULL, 'b');
SELECT amelia.copy_thread('a', 'a');
SELECT amelia.copy_thread('nobody', 'b');
SELECT amelia.delete_for_runs(NULL);
SELECT amelia.delete_for_runs('{a,NULL}');
SELECT amelia.delete_for_runs('{a}', dry_run => NULL);
SELECT * FROM amelia.delete_for_runs('{}');
SELECT * FROM amelia.delete_for_runs('{no such run}');

-- A copy has all, and is a thread of its own.
SELECT chain('a', 7);
SELECT amelia.copy_thread('a', 'b');
SELECT amelia.copy_thread('a', 'b');
SELECT count(*) FROM left_of('a') AS a FULL JOIN left_of('b') AS b ON a = b WHERE a IS NULL OR b IS NULL;
INSERT INTO checkpoint_blobs VALUES ('only blobs', '', 'd', '1', 'json', '[]');
INSERT INTO checkpoint_writes VALUES ('only writes', '', 'c1', 't', 0, 'd', 'json', '[]');
SELECT amelia.copy_thread('a', 'only blobs');
SELECT amelia.copy_thread('a', 'only writes');
DELETE FROM checkpoint_blobs WHERE thread_id = 'only blobs';
DELETE FROM checkpoint_writes WHERE thread_id = 'only writes';

-- Anchors: the second to the sixth. The third has lost nothing of d, but the past of e.
SELECT thread_id, checkpoints, blobs, writes, anchors, problem FROM amelia.prune('{a}');
SELECT id, parent, marked, blobs FROM left_of('a');
SELECT put('a', 'f1', 'c3'), put_writes('a', 'c3') AS writes;
SELECT put('a', 'f1', 'c5') AS from_a_whole_one, put_writes('a', 'c5') AS writes;
DELETE FROM checkpoints WHERE checkpoint_id = 'f1';
DELETE FROM checkpoint_writes WHERE task_id = 'late';

-- Folded: the third onto the second, the fifth and the sixth onto the fourth. Again: nothing happens.
SELECT thread_id, checkpoints, blobs, writes, anchors, problem FROM amelia.prune('{a}', squash => true, dry_run => true);
SELECT thread_id, checkpoints, blobs, writes, anchors, problem FROM amelia.prune('{a}', squash => true);
SELECT * FROM left_of('a');
SELECT thread_id, checkpoints, blobs, writes, anchors, problem FROM amelia.prune('{a}', squash => true);
SELECT put('a', 'f1', 'c2'), put_writes('a', 'c2') AS writes;
SELECT put('a', 'f1', 'c4'), put_writes('a', 'c4') AS writes;
SELECT put('a', 'c8', 'c7') AS from_the_newest;
-- What was folded can be copied, and goes on, and is folded once more.
SELECT amelia.copy_thread('a', 'c');
INSERT INTO checkpoints SELECT 'c', '', 'd' || i, CASE i WHEN 1 THEN 'c8' ELSE 'd' || i - 1 END, NULL,
	jsonb_build_object('v', 4, 'channel_versions', jsonb_build_object('d', 10 + i, 'e', 10 + i)), '{"source": "loop"}' FROM generate_series(1, 3) AS i;
INSERT INTO checkpoint_blobs SELECT 'c', '', c, i::text, 'empty', NULL FROM generate_series(11, 13) AS i, unnest('{d,e}'::text[]) AS c;
INSERT INTO checkpoint_writes SELECT 'c', '', 'd' || i, 't', 0, 'd', 'json', convert_to('d' || i, 'UTF8') FROM generate_series(1, 3) AS i;
SELECT thread_id, checkpoints, blobs, writes, anchors, problem FROM amelia.prune('{c}', squash => true);
SELECT * FROM left_of('c');

-- What was made within the hour, by its id, is not folded.
CREATE FUNCTION id_of(n integer) RETURNS text LANGUAGE sql AS $$
	SELECT substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-6' || substr(h, 13, 3) || '-8000-000000000001'
	FROM (SELECT lpad(to_hex((extract(epoch FROM now() + (n - 9) * interval '1 s') * 10000000)::bigint + 122192928000000000), 15, '0')) AS x (h)
$$;
SELECT chain('young', 5);
SET session_replication_role = replica;
UPDATE checkpoints SET checkpoint_id = id_of(right(checkpoint_id, 1)::integer), parent_checkpoint_id = id_of(right(parent_checkpoint_id, 1)::integer)
WHERE thread_id = 'young';
RESET session_replication_role;
SELECT thread_id, checkpoints, anchors FROM amelia.prune('{young}', squash => true, dry_run => true);
DELETE FROM checkpoints WHERE thread_id = 'young';

-- Runs: those in the middle, of which others need something; the newest; all.
SELECT chain('runs', 7);
SELECT * FROM amelia.delete_for_runs('{run 1,run 3,run 7}', dry_run => true) WHERE thread_id = 'runs';
SELECT thread_id, checkpoints, blobs, writes, anchors, problem FROM amelia.delete_for_runs('{run 1,run 3,run 7}');
SELECT id, parent, marked, blobs FROM left_of('runs');
SELECT thread_id, checkpoints, blobs, writes, anchors, problem FROM amelia.delete_for_runs('{run 2,run 3,run 4,run 5,run 6,run 8}') ORDER BY 1;
SELECT id FROM left_of('runs');
-- One that would end in what is only there for others is left alone.
SELECT chain('end', 7);
UPDATE checkpoints SET metadata = metadata || '{"run_id": "last"}' WHERE thread_id = 'end' AND checkpoint_id = 'c7';
SELECT thread_id, checkpoints, anchors, problem FROM amelia.prune('{end}', squash => true);
SELECT thread_id, checkpoints, anchors, problem FROM amelia.delete_for_runs('{last}');
SELECT id, parent FROM left_of('end');
SELECT amelia.fence_checkpoints('lgs', false);
SELECT thread_id, checkpoints, problem FROM amelia.delete_for_runs('{last}');

-- What verify() says of it; parents and blobs that are not there, as somebody else's pruning leaves them.
SELECT * FROM amelia.verify();
SELECT chain('more', 4);
SELECT prunable_bytes > 0 AS prunable FROM amelia.checkpoint_stats() WHERE schema_name = 'lgs';
SELECT chain('naive', 4);
DELETE FROM checkpoints WHERE thread_id = 'naive' AND checkpoint_id < 'c4';
DELETE FROM checkpoint_blobs WHERE thread_id = 'naive' AND channel = 'd';
-- An update's parent, and what the old format reads of one, may be named without being there; and Python's blobs.
INSERT INTO checkpoints VALUES ('right', '', 'c2', 'c1', NULL, '{"v": 4}', '{"source": "update"}'), ('right', '', 'c3', 'c0', NULL, '{"v": 3}', '{}'),
	('right', '', 'c4', 'c3', NULL, '{"v": 4, "channel_versions": {"a": "0001.5", "b": 2}, "channel_values": {"b": true}}', '{}');
SELECT * FROM amelia.verify();

RESET search_path;
SET client_min_messages = warning;
SELECT amelia.unregister_checkpoints('lgs');
DELETE FROM amelia.checkpoint_schemas WHERE schema_name = 'lgs';
DROP SCHEMA lgs CASCADE;
