-- prune() of very many threads, and of tables and rows as they are in databases of others.
\getenv abs_srcdir PG_ABS_SRCDIR
\set tables :abs_srcdir '/langgraph.psql'
\set langgraph lgh
\i :tables
SELECT FROM amelia.register_checkpoints('lgh'), amelia.fence_checkpoints('lgh');
CREATE FUNCTION chain(thread text, n integer) RETURNS void LANGUAGE sql AS $$
	INSERT INTO lgh.checkpoints SELECT thread, '', 'c' || i, 'c' || nullif(i - 1, 0), NULL,
		jsonb_build_object('v', 4, 'channel_versions', jsonb_build_object('m', i)), '{"source": "loop", "parents": {}}'
	FROM generate_series(1, n) AS i;
	INSERT INTO lgh.checkpoint_blobs SELECT thread, '', 'm', i::text, 'json', '[]' FROM generate_series(1, n) AS i;
	INSERT INTO lgh.checkpoint_writes SELECT thread, '', 'c' || i, 't', 0, 'm', 'json', '[]' FROM generate_series(1, n) AS i;
$$;

-- What one thread took is given back before the next: how much there is at most at one time.
SELECT FROM chain('few', 2), LATERAL (SELECT count(chain('many ' || i, 2)) FROM generate_series(1, 200) AS i) AS x;
CREATE TABLE seen (images bigint);
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO lgh.seen SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'amelia places';
	RETURN OLD;
END $$;
CREATE TRIGGER look BEFORE DELETE ON checkpoints FOR EACH ROW EXECUTE FUNCTION look();
BEGIN;
SELECT count(*), count(problem) FROM amelia.prune((SELECT array_agg('many ' || i) FROM generate_series(1, 200) AS i));
SELECT max(images) FROM seen;
-- Whoever prunes is in the way of nobody who prunes other threads.
SELECT objsubid, mode, count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() GROUP BY 1, 2 ORDER BY 1, 2;
COMMIT;
DROP TRIGGER look ON checkpoints;
-- A dry run does not take a transaction id for each.
SELECT txid_current() AS before \gset
SELECT count(*), count(problem) FROM amelia.prune((SELECT array_agg('many ' || i) FROM generate_series(1, 200) AS i), dry_run => true);
SELECT txid_current() - :before < 100 AS few_ids;
-- Where nothing is to go, nothing is held.
BEGIN;
SELECT count(*), count(problem) FROM amelia.prune((SELECT array_agg('many ' || i) FROM generate_series(1, 200) AS i));
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
ROLLBACK;

-- A limit that one thread is beyond does not stop the others.
SELECT FROM unnest('{large,small}'::text[]) AS t, LATERAL chain(t, 2);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.thread_id = 'large' THEN RAISE 'it is too large' USING ERRCODE = 'configuration_limit_exceeded'; END IF;
	RETURN OLD;
END $$;
CREATE TRIGGER refuse BEFORE DELETE ON checkpoints FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT thread_id, checkpoints, problem FROM amelia.prune('{large,small}');
DROP TRIGGER refuse ON checkpoints;

-- What a trigger puts back, or makes instead, is not pruned, and does not count.
CREATE FUNCTION put_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.thread_id LIKE 'another%' THEN OLD.checkpoint_id := OLD.checkpoint_id || '0'; END IF;
	INSERT INTO lgh.checkpoints VALUES (OLD.*);
	RETURN NULL;
END $$;
SELECT FROM unnest('{again,another}'::text[]) AS t, LATERAL chain(t, 3);
CREATE TRIGGER put_back AFTER DELETE ON checkpoints FOR EACH ROW EXECUTE FUNCTION put_back();
SELECT thread_id, checkpoints, problem FROM amelia.prune('{again,another}');
DROP TRIGGER put_back ON checkpoints;
SELECT thread_id, checkpoints, problem FROM amelia.prune('{again,another}');

-- A foreign key that the transaction has deferred is checked all the same, and at once.
CREATE TABLE notes (thread_id text, checkpoint_ns text, checkpoint_id text,
	FOREIGN KEY (thread_id, checkpoint_ns, checkpoint_id) REFERENCES checkpoints DEFERRABLE);
SELECT FROM unnest('{noted,not noted}'::text[]) AS t, LATERAL chain(t, 3);
INSERT INTO notes VALUES ('noted', '', 'c1');
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
SELECT thread_id, checkpoints, problem FROM amelia.prune('{noted,not noted}');
COMMIT;
SELECT thread_id, checkpoint_id FROM checkpoints WHERE thread_id IN ('noted', 'not noted') ORDER BY 1, 2;
DROP TABLE notes;

-- Ids of tasks, in which no character is cut in two; the proof goes by their order, too.
CREATE FUNCTION deltas(thread text, task text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO lgh.checkpoints SELECT thread, '', 'c' || i, 'c' || nullif(i - 1, 0), NULL,
		jsonb_build_object('v', 4, 'channel_versions', jsonb_build_object('d', i)),
		'{"source": "loop", "parents": {}, "counters_since_delta_snapshot": {"d": [1, 1]}}'
	FROM generate_series(1, 5) AS i;
	INSERT INTO lgh.checkpoint_writes SELECT thread, '', 'c' || i, task || x, 0, 'd', 'json', '[]' FROM generate_series(1, 4) AS i, generate_series(1, 2) AS x;
$$;
SELECT FROM (VALUES ('umlauts', 'aufgabeüäö'), ('signs', '任务编号甲乙丙'), ('short', 'é'), ('empty', '')) AS t (thread, task), LATERAL deltas(thread, task);
SELECT thread_id, checkpoints, anchors, problem FROM amelia.prune('{umlauts,signs,short,empty}', squash => true);
SELECT thread_id, checkpoint_id, string_agg(task_id, ' ' ORDER BY task_id COLLATE "C") AS tasks, bool_and(convert_from(convert_to(task_id, 'UTF8'), 'UTF8') = task_id) AS valid
FROM checkpoint_writes WHERE thread_id IN ('umlauts', 'signs', 'short', 'empty') AND task_id ~ '^0000' GROUP BY 1, 2 ORDER BY thread_id COLLATE "C";

-- Names of every kind, and one of very many letters.
CREATE TEMP TABLE names AS SELECT unnest(ARRAY['', ' ', 'it''s "quoted"', E'two\nlines', '%s %1$s', 'пример 例え 🧵', '{a,NULL}', repeat('x', 100000)]) AS name;
SELECT FROM names, LATERAL chain(name, 2);
SELECT left(thread_id, 20) AS thread_id, length(thread_id), checkpoints, problem FROM amelia.prune((SELECT array_agg(name) FROM names));
SELECT thread_id, checkpoints FROM amelia.prune('{{few,few},{few,nobody}}', keep => 2147483647);

-- A collation that takes different texts for equal: where there is one, such tables are left alone.
CREATE FUNCTION with_collation() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	BEGIN
		CREATE COLLATION lgh.no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
	EXCEPTION WHEN feature_not_supported THEN
		RETURN 'the collation of column checkpoint_ns of checkpoints takes some different texts for equal';
	END;
	ALTER TABLE lgh.checkpoints ALTER COLUMN checkpoint_ns TYPE text COLLATE lgh.no_case;
	SELECT problem INTO result FROM amelia.prune('{few}');
	ALTER TABLE lgh.checkpoints ALTER COLUMN checkpoint_ns TYPE text COLLATE "default";
	RETURN result;
END $$;
SELECT with_collation();
SELECT checkpoints, problem FROM amelia.prune('{few}');

RESET search_path;
SET client_min_messages = warning;
SELECT amelia.unregister_checkpoints('lgh');
DELETE FROM amelia.checkpoint_schemas WHERE schema_name = 'lgh';
DROP SCHEMA lgh CASCADE;
