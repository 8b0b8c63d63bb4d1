-- LangGraph's checkpoints as a caller sees them: threads, tables, statistics.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET amelia.enabled = off', current_database()); END$$;
\i :helpers
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS app CASCADE;
RESET client_min_messages;
CREATE SCHEMA app;

-- No tables: nothing to do, and no error.
SELECT schema_name FROM amelia.checkpoint_schemas ORDER BY 1;
SELECT * FROM amelia.checkpoint_sources();
SELECT * FROM amelia.checkpoint_stats();
SELECT amelia.delete_thread('none');
SELECT * FROM t.errors(
	$$SELECT amelia.register_checkpoints('app')$$, $$SELECT amelia.register_checkpoints(NULL)$$,
	$$SELECT amelia.register_checkpoints('no_such_schema')$$, $$SELECT amelia.register_checkpoints('pg_temp')$$,
	$$SELECT amelia.unregister_checkpoints(NULL)$$, $$SELECT amelia.delete_thread(NULL)$$);

-- The tables as LangGraph makes them, the JavaScript saver's being the poorer ones.
CREATE TABLE app.checkpoints (
	thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', checkpoint_id text NOT NULL,
	parent_checkpoint_id text, type text, checkpoint jsonb NOT NULL, metadata jsonb NOT NULL DEFAULT '{}',
	PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id));
SELECT schema_name, problem FROM amelia.checkpoint_sources();
SELECT * FROM t.errors($$SELECT amelia.register_checkpoints('app')$$);
CREATE TABLE app.checkpoint_blobs (
	thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', channel text NOT NULL,
	version text NOT NULL, type text NOT NULL, blob bytea,
	PRIMARY KEY (thread_id, checkpoint_ns, channel, version));
CREATE TABLE app.checkpoint_writes (
	thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', checkpoint_id text NOT NULL,
	task_id text NOT NULL, idx integer NOT NULL, channel text NOT NULL, type text, blob bytea NOT NULL,
	PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx));
SELECT amelia.register_checkpoints('app');
SELECT amelia.register_checkpoints('app');
SELECT schema_name, pg_get_userbyid(owner) = current_user AS ours, problem FROM amelia.checkpoint_sources();
SELECT threads, checkpoints, row_count, bytes > 0 AS has_size, oldest, newest, largest_threads, problem FROM amelia.checkpoint_stats();

-- Threads of workflows
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, completed_at)
VALUES (t.w(1), 'I-1', '/1', 'completed', '2024-06-01'), (t.w(2), 'I-2', '/2', 'in_progress', NULL);
SELECT amelia.link_thread(t.w(1), 'planner');
SELECT amelia.link_thread(t.w(1), 'planner');
SELECT * FROM t.errors(
	$$SELECT amelia.link_thread(t.w(2), 'planner')$$, $$SELECT amelia.link_thread(t.w(9), 'x')$$,
	$$SELECT amelia.link_thread(NULL, 'x')$$, $$SELECT amelia.link_thread(t.w(1), NULL)$$,
	$$SELECT amelia.unlink_thread(NULL)$$);
SELECT amelia.link_thread(t.w(2), 'shared'), amelia.unlink_thread('shared'), amelia.unlink_thread('shared');
-- of one that is named like the one and linked to the other, both must be finished
SELECT amelia.link_thread(t.w(2), t.w(1)::text);

-- A version-6 id of 2024-05-01, and one of another kind with its time as text
INSERT INTO app.checkpoints (thread_id, checkpoint_ns, checkpoint_id, checkpoint)
SELECT n.thread_id, ns, '1ef07b36-d5d2-6000-8000-000000000000', jsonb '{}'
FROM (VALUES ('planner'), (t.w(1)::text), (t.w(2)::text), ('alone')) AS n (thread_id), unnest(ARRAY['', 'inner:1']) AS ns
UNION ALL
SELECT 'planner', 'z', 'last', '{"ts": "2024-05-02T10:00:00.123456+02:00"}';
INSERT INTO app.checkpoint_blobs VALUES ('planner', '', 'c', '1', 'empty', NULL), ('no checkpoint', '', 'c', '1', 'bytes', 'b');
INSERT INTO app.checkpoint_writes VALUES ('planner', 'inner:1', 'x', 'task', 0, 'c', NULL, 'w');
SELECT threads, checkpoints, row_count, oldest, newest FROM amelia.checkpoint_stats();
SELECT l ->> 'thread_id' AS thread, l ->> 'rows' AS rows, (l ->> 'bytes')::integer > 0 AS has_size
FROM amelia.checkpoint_stats(), jsonb_array_elements(largest_threads) AS l ORDER BY 1;
SELECT rule, workflows, threads, row_count, bytes > 0 AS has_size FROM amelia.retention_preview() WHERE rule <> 'trace events';
CALL amelia.run_retention();
SELECT checkpoint_threads, checkpoint_rows, workflows, orphan_threads FROM amelia.retention_runs ORDER BY id DESC LIMIT 1;
SELECT thread_id, count(*) FROM app.checkpoints GROUP BY 1 ORDER BY 1;
SELECT issue_id FROM amelia.workflows ORDER BY 1;
SELECT amelia.unlink_thread(t.w(1)::text);
CALL amelia.run_retention();
SELECT thread_id, count(*) FROM app.checkpoints GROUP BY 1 ORDER BY 1;
SELECT issue_id FROM amelia.workflows ORDER BY 1;

-- Threads of none
SELECT amelia.update_settings('{"orphan_thread_retention_days": 30}') IS NOT NULL AS set;
SELECT rule, workflows, threads, row_count FROM amelia.retention_preview() WHERE row_count > 0;
CALL amelia.run_retention();
SELECT thread_id FROM app.checkpoints UNION SELECT thread_id FROM app.checkpoint_blobs ORDER BY 1;

-- One by name, whatever its workflow does
SELECT amelia.delete_thread(t.w(2)::text), amelia.delete_thread(t.w(2)::text), amelia.delete_thread('no checkpoint');

-- Tables of LangGraph's shape that nobody registered are named, until somebody says what is to be done with them.
CREATE SCHEMA elsewhere;
CREATE TABLE elsewhere.checkpoints (LIKE app.checkpoints INCLUDING ALL);
CREATE TABLE elsewhere.checkpoint_blobs (LIKE app.checkpoint_blobs INCLUDING ALL);
SELECT * FROM amelia.verify();
CREATE TABLE elsewhere.checkpoint_writes (LIKE app.checkpoint_writes INCLUDING ALL);
CREATE SCHEMA other;
CREATE TABLE other.checkpoints (id integer);
SELECT * FROM amelia.verify();
SELECT checkpoint_problems FROM amelia.maintenance_status();
SELECT rule, waits_for FROM amelia.retention_preview() WHERE waits_for IS NOT NULL;
SELECT amelia.unregister_checkpoints('elsewhere');
SELECT * FROM amelia.verify();
SELECT checkpoint_problems FROM amelia.maintenance_status();
SELECT rule, waits_for FROM amelia.retention_preview() WHERE waits_for IS NOT NULL;
SELECT schema_name, problem FROM amelia.checkpoint_sources();
SELECT schema_name, left_alone FROM amelia.checkpoint_schemas ORDER BY 1;
SELECT amelia.register_checkpoints('elsewhere'), amelia.register_checkpoints('elsewhere');
SELECT schema_name, problem FROM amelia.checkpoint_sources();
SELECT amelia.unregister_checkpoints('elsewhere'), amelia.unregister_checkpoints('elsewhere');
DELETE FROM amelia.checkpoint_schemas WHERE schema_name = 'elsewhere';
SELECT object FROM amelia.verify();
SET client_min_messages = warning;
DROP SCHEMA elsewhere, other CASCADE;
RESET client_min_messages;

-- Tables that are not LangGraph's
ALTER TABLE app.checkpoints DROP COLUMN checkpoint;
SELECT schema_name, problem FROM amelia.checkpoint_sources();
SELECT threads, problem FROM amelia.checkpoint_stats();
SELECT rule, waits_for FROM amelia.retention_preview() WHERE waits_for IS NOT NULL;
SELECT amelia.delete_thread('x');
SELECT amelia.unregister_checkpoints('app'), amelia.unregister_checkpoints('app'), amelia.unregister_checkpoints('public');
SELECT schema_name FROM amelia.checkpoint_schemas WHERE NOT left_alone;
SELECT * FROM amelia.checkpoint_sources();
SET client_min_messages = warning;
DROP SCHEMA app CASCADE;
