-- Retention, and LangGraph's checkpoints.

CREATE FUNCTION amelia_internal.keep_history() RETURNS trigger
LANGUAGE c
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_keep_history';
COMMENT ON FUNCTION amelia_internal.keep_history() IS
'AFTER DELETE row trigger, whose name must sort before RI_, or BEFORE TRUNCATE statement trigger of workflows: keeps what goes in workflow_history and usage_history, with the rights of the table''s owner.';

-- A procedure that commits may not have a search_path of its own; it sets one
-- for what it does.
CREATE PROCEDURE amelia.run_retention(dry_run boolean DEFAULT false, held_back text DEFAULT 'keep')
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_run_retention';
COMMENT ON PROCEDURE amelia.run_retention(boolean, text) IS
'Deletes what is old by the settings, in batches that each commit: trace events, checkpoints, events, workflows, threads that belong to no workflow, and older checkpoints of threads that live on. Runs as the owner of the tables, whoever calls it. dry_run: only tells what would go, as notices. A run that would delete more than 1000 workflows and more than half of those that are finished, when none was there for a week, deletes nothing and warns, because the clock may have jumped; so does one that would take the trace events or the checkpoints of so many, where these are kept for more than a week; held_back: delete goes on with it, keep does not. What it did is in retention_runs. A batch that fails, or does not get its locks within a second, is left for the next run, with a warning. Errors: 22023 another held_back, 25001 in a transaction block, 55000 another run is under way, 25006 on a standby.';

CREATE FUNCTION amelia.retention_preview(
	OUT rule text, OUT workflows bigint, OUT threads bigint, OUT row_count bigint,
	OUT bytes bigint, OUT waits_for text)
RETURNS SETOF record
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_retention_preview';
COMMENT ON FUNCTION amelia.retention_preview() IS
'What the next run_retention() would delete, a row per rule, with an estimate of the bytes in heap, TOAST and indexes. waits_for: why a rule cannot be applied, or not everywhere. Deletes nothing, locks nothing, and reads as the owner of the tables; it reads all that would go.';

CREATE FUNCTION amelia_internal.preview_retention(
	OUT rule text, OUT workflows bigint, OUT threads bigint, OUT row_count bigint,
	OUT bytes bigint, OUT waits_for text)
RETURNS SETOF record
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_retention_preview';
COMMENT ON FUNCTION amelia_internal.preview_retention() IS
'retention_preview() for run_retention().';

CREATE FUNCTION amelia.register_checkpoints(schema regnamespace) RETURNS void
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_register_checkpoints';
COMMENT ON FUNCTION amelia.register_checkpoints(regnamespace) IS
'Puts LangGraph''s checkpoint tables of a schema under retention. Only the owner of the tables or a superuser may (42501). Again: nothing happens. Errors: P0002 they are not there, 55000 they are not as LangGraph makes them, 22023 NULL.';

CREATE FUNCTION amelia.unregister_checkpoints(schema_name name) RETURNS boolean
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_unregister_checkpoints';
COMMENT ON FUNCTION amelia.unregister_checkpoints(name) IS
'Leaves the checkpoint tables of a schema alone from now on, without telling of them, and returns whether it was registered. Only their owner, the owner of Amelia''s tables or a superuser may (42501).';

CREATE FUNCTION amelia.delete_thread(thread_id text) RETURNS bigint
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_delete_thread';
COMMENT ON FUNCTION amelia.delete_thread(text) IS
'Deletes a thread''s checkpoints, blobs and writes in every registered schema, whatever its workflow''s state, and returns the number of rows. Tables that are not as LangGraph makes them are left alone, with a warning. Errors: 22023 NULL.';

CREATE FUNCTION amelia_internal.delete_checkpoints(thread_id text) RETURNS bigint
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_delete_thread';
COMMENT ON FUNCTION amelia_internal.delete_checkpoints(text) IS
'delete_thread() for forget_workflow().';

CREATE FUNCTION amelia.checkpoint_stats(
	OUT schema_name name, OUT owner name, OUT threads bigint, OUT checkpoints bigint,
	OUT row_count bigint, OUT bytes bigint, OUT oldest timestamptz, OUT newest timestamptz,
	OUT largest_threads jsonb, OUT prunable_bytes bigint, OUT problem text)
RETURNS SETOF record
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_checkpoint_stats';
COMMENT ON FUNCTION amelia.checkpoint_stats() IS
'How much there is of LangGraph''s checkpoints, a row per registered schema that has its tables: threads, checkpoints, rows of all three tables, bytes on disk with TOAST and indexes, when the oldest and the newest checkpoint were made, the ten largest threads as an array of {thread_id, rows, bytes}, and about how many bytes prune() would free, keeping keep_latest. problem: why the tables are left alone; the rest is NULL then. Reads every row.';

REVOKE ALL ON FUNCTION
	amelia_internal.keep_history(),
	amelia.retention_preview(),
	amelia_internal.preview_retention(),
	amelia.register_checkpoints(regnamespace),
	amelia.unregister_checkpoints(name),
	amelia.delete_thread(text),
	amelia_internal.delete_checkpoints(text),
	amelia.checkpoint_stats()
FROM PUBLIC;
REVOKE ALL ON PROCEDURE amelia.run_retention(boolean, text) FROM PUBLIC;
