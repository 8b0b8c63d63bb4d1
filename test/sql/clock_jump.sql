\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
-- The server may have a maintenance worker, which would do what is done here.
DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET amelia.enabled = off', current_database()); END$$;
\i :helpers
-- A clock that jumps ahead does not end the history (README). Instead of the clock, everything else is set back,
-- without the triggers, which this is not about.
CREATE FUNCTION t.finished(number integer, age interval) RETURNS void LANGUAGE sql SET session_replication_role = replica AS $$
INSERT INTO amelia.workflows (issue_id, status, created_at, started_at, completed_at)
SELECT 'I', 'completed', now() - age, now() - age, now() - age + n * interval '1 ms' FROM generate_series(1, number) AS n
$$;
CREATE FUNCTION t.jump(days interval) RETURNS void LANGUAGE sql SET session_replication_role = replica AS $$
UPDATE amelia.workflows SET created_at = created_at - days, started_at = started_at - days, completed_at = completed_at - days;
UPDATE amelia.workflow_log SET "timestamp" = "timestamp" - days;
UPDATE amelia.token_usage SET "timestamp" = "timestamp" - days;
UPDATE amelia.retention_runs SET started_at = started_at - days, finished_at = finished_at - days
$$;
CREATE VIEW t.runs AS
SELECT r.workflows, r.events, r.outcome, r.finished_at IS NOT NULL AS finished, r.sqlstate,
	regexp_replace(r.error, '\d{4}-[-\d]+ [:.+\d]+', 'T', 'g') AS error
FROM amelia.retention_runs AS r ORDER BY r.id;
CREATE FUNCTION t.preview() RETURNS TABLE (rule text, row_count bigint, waits_for text) LANGUAGE sql AS $$
SELECT p.rule, p.row_count, regexp_replace(p.waits_for, '\d{4}-[-\d]+ [:.+\d]+', 'T', 'g') FROM amelia.retention_preview() AS p
$$;
SELECT t.finished(1500, '1 day');
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) SELECT w.id, 'x', 'm' FROM amelia.workflows AS w LIMIT 10;
CALL amelia.run_retention();
SELECT t.jump('400 days');
SET client_min_messages = error;
CALL amelia.run_retention();
CALL amelia.run_retention();
RESET client_min_messages;
SELECT count(*) FROM amelia.workflows;
SELECT count(*) FROM amelia.workflow_log;
TABLE t.runs;
SELECT * FROM t.preview();
SELECT regexp_replace(reason, '\d{4}-[-\d]+ [:.+\d]+', 'T', 'g') AS reason FROM amelia.maintenance_status();
-- What was held back is no round that was there: the next one is held back too, until somebody has looked.
SELECT * FROM t.errors(
	$$CALL amelia.run_retention(held_back => 'all')$$, $$CALL amelia.run_retention(held_back => NULL)$$);
CALL amelia.run_retention(held_back => 'delete');
SELECT count(*) FROM amelia.workflows;
SELECT r.workflows, r.outcome FROM t.runs AS r OFFSET 3;
SELECT reason LIKE '%held back%' AS held_back FROM amelia.maintenance_status();
-- Once: from then on it goes by itself, also what was too much for one round.
SELECT t.finished(1500, '40 days');
SELECT FROM amelia.update_settings('{"retention_max_workflows": 1100}');
CALL amelia.run_retention();
CALL amelia.run_retention();
SELECT count(*) FROM amelia.workflows;
SELECT FROM amelia.update_settings('{"retention_max_workflows": 2000}');

-- A server that was off for a month, most of which is still young; or that has little: nothing to ask.
SELECT t.finished(1500, '1 day'), t.finished(1200, '10 days');
SELECT t.jump('25 days');
CALL amelia.run_retention();
SELECT count(*) FROM amelia.workflows;
TRUNCATE amelia.workflows CASCADE;
SELECT t.finished(1000, '1 day');
SELECT t.jump('400 days');
CALL amelia.run_retention();
SELECT count(*) FROM amelia.workflows;
-- A jump of some days is met by the age alone.
SELECT t.finished(1500, '28 days');
SELECT t.jump('6 days');
CALL amelia.run_retention();
SELECT count(*) FROM amelia.workflows;

-- A history that came from elsewhere, before the first round: one word for it, and the preview says so before.
TRUNCATE amelia.retention_runs;
SELECT t.finished(1500, '400 days');
SELECT DISTINCT waits_for FROM t.preview();
SET client_min_messages = error;
CALL amelia.run_retention();
RESET client_min_messages;
SELECT count(*) FROM amelia.workflows;
CALL amelia.run_retention(held_back => 'delete');
SELECT count(*) FROM amelia.workflows;
-- Nothing at all tells the time.
TRUNCATE amelia.retention_runs;
INSERT INTO amelia.workflows (issue_id, status, completed_at)
SELECT 'I', 'cancelled', now() - interval '60 days' FROM generate_series(1, 1001);
SELECT DISTINCT waits_for FROM t.preview();
-- A history that goes on: its newest usage tells the time.
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
SELECT w.id, 'a', 'm', 1, 1, 0, now() - interval '1 day' FROM amelia.workflows AS w LIMIT 1;
CALL amelia.run_retention();
SELECT count(*) FROM amelia.workflows;

-- Each rule by itself: trace events of workflows that are kept for ever.
TRUNCATE amelia.workflows, amelia.retention_runs CASCADE;
SELECT FROM amelia.update_settings('{"log_retention_days": -1, "trace_retention_days": 365, "checkpoint_retention_days": -1, "retention_max_workflows": 10000}');
SELECT t.finished(1200, '1 day'), t.finished(1500, '500 days');
INSERT INTO amelia.workflow_log (workflow_id, level, event_type, message)
SELECT w.id, 'trace', 'x', 'm' FROM amelia.workflows AS w WHERE w.completed_at > now() - interval '2 days';
CALL amelia.run_retention();
SELECT t.jump('400 days');
SELECT * FROM t.preview() WHERE rule = 'trace events';
SET client_min_messages = error;
CALL amelia.run_retention();
RESET client_min_messages;
SELECT count(*) FROM amelia.workflow_log;
SELECT r.outcome, r.error FROM t.runs AS r OFFSET 1;
CALL amelia.run_retention(held_back => 'delete');
SELECT count(*) FROM amelia.workflow_log;
-- Some that are old beside more that are not; and what is kept for a week only.
SELECT t.jump('10 days');
INSERT INTO amelia.workflow_log (workflow_id, level, event_type, message)
SELECT w.id, 'trace', 'x', 'm' FROM amelia.workflows AS w;
UPDATE amelia.workflows SET traces_removed_to = NULL;
SELECT t.finished(3000, '1 day');
INSERT INTO amelia.workflow_log (workflow_id, level, event_type, message)
SELECT w.id, 'trace', 'x', 'm' FROM amelia.workflows AS w WHERE w.completed_at > now() - interval '2 days';
CALL amelia.run_retention();
SELECT count(*) FROM amelia.workflow_log;
SELECT FROM amelia.update_settings('{"trace_retention_days": 7}');
SELECT t.jump('9 days');
CALL amelia.run_retention();
SELECT count(*) FROM amelia.workflow_log;
-- Checkpoints, where there may be any.
SELECT FROM amelia.update_settings('{"trace_retention_days": -1, "checkpoint_retention_days": 365}');
SELECT t.jump('400 days');
SELECT DISTINCT waits_for FROM t.preview();
CREATE SCHEMA elsewhere;
CREATE TABLE elsewhere.checkpoints ();
INSERT INTO amelia.checkpoint_schemas (schema_name, registered_by) VALUES ('elsewhere', current_user);
SELECT waits_for FROM t.preview() WHERE rule = 'trace events';
SET client_min_messages = error;
CALL amelia.run_retention();
RESET client_min_messages;
SELECT r.outcome, r.error FROM t.runs AS r OFFSET 5;
-- Threads of no workflow, and the past of those that live on: where there are many checkpoints.
SET client_min_messages = error;
TRUNCATE amelia.workflows CASCADE;
CALL amelia.run_retention(held_back => 'delete');
RESET client_min_messages;
DROP TABLE elsewhere.checkpoints;
CREATE TABLE elsewhere.checkpoints (thread_id text, checkpoint_ns text DEFAULT '', checkpoint_id text,
	parent_checkpoint_id text, type text, checkpoint jsonb NOT NULL, metadata jsonb NOT NULL DEFAULT '{}',
	PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id));
CREATE TABLE elsewhere.checkpoint_blobs (thread_id text, checkpoint_ns text DEFAULT '', channel text,
	version text, type text NOT NULL, blob bytea, PRIMARY KEY (thread_id, checkpoint_ns, channel, version));
CREATE TABLE elsewhere.checkpoint_writes (thread_id text, checkpoint_ns text DEFAULT '', checkpoint_id text,
	task_id text, idx integer, channel text NOT NULL, type text, blob bytea NOT NULL,
	PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx));
CREATE FUNCTION t.fill(number integer) RETURNS void LANGUAGE sql AS $$
TRUNCATE elsewhere.checkpoints;
INSERT INTO elsewhere.checkpoints (thread_id, checkpoint_id, checkpoint)
SELECT 'chat ' || n / 100, lpad(n::text, 9, '0'), jsonb_build_object('v', 4, 'id', lpad(n::text, 9, '0'), 'ts', now() - interval '1 day',
	'channel_values', '{}'::jsonb, 'channel_versions', '{}'::jsonb, 'versions_seen', '{}'::jsonb) FROM generate_series(1, number) AS n
$$;
SELECT t.fill(3000), t.jump('400 days');
ANALYZE elsewhere.checkpoints;
UPDATE elsewhere.checkpoints SET checkpoint = checkpoint || jsonb_build_object('ts', now() - interval '401 days');
SELECT amelia.fence_checkpoints('elsewhere', true);
SET client_min_messages = error;
SELECT FROM amelia.update_settings('{"checkpoint_retention_days": -1, "orphan_thread_retention_days": 30}');
CALL amelia.run_retention();
SELECT FROM amelia.update_settings('{"orphan_thread_retention_days": -1, "keep_latest_days": 30}');
CALL amelia.run_retention();
RESET client_min_messages;
SELECT count(*) FROM elsewhere.checkpoints;
SELECT r.outcome, r.error FROM t.runs AS r WHERE r.error IS NOT NULL OFFSET 2;
-- Few are no history.
SELECT t.fill(900);
ANALYZE elsewhere.checkpoints;
UPDATE elsewhere.checkpoints SET checkpoint = checkpoint || jsonb_build_object('ts', now() - interval '401 days');
CALL amelia.run_retention();
SELECT r.outcome FROM t.runs AS r OFFSET (SELECT count(*) FROM t.runs) - 1;
SELECT count(*), count(DISTINCT thread_id) AS threads FROM elsewhere.checkpoints;
DELETE FROM amelia.checkpoint_schemas WHERE schema_name = 'elsewhere';
DROP TABLE elsewhere.checkpoint_blobs, elsewhere.checkpoint_writes;
DROP TABLE elsewhere.checkpoints;
DROP SCHEMA elsewhere;
SELECT * FROM amelia.verify();
