-- Pruning LangGraph's checkpoints inside threads that live on.

CREATE FUNCTION amelia.prune(
	thread_ids text[], strategy text DEFAULT 'keep_latest', keep integer DEFAULT 1,
	squash boolean DEFAULT false, dry_run boolean DEFAULT false, force boolean DEFAULT false,
	OUT thread_id text, OUT checkpoints bigint, OUT blobs bigint, OUT writes bigint,
	OUT bytes bigint, OUT anchors bigint, OUT problem text)
RETURNS SETOF record
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_prune';
COMMENT ON FUNCTION amelia.prune(text[], text, integer, boolean, boolean, boolean) IS
'Deletes of LangGraph threads, in every registered schema, what no resume can need, and returns a row per thread: the checkpoints, blobs and writes that went, with an estimate of their bytes in heap and TOAST; the anchors, older checkpoints that stayed because a delta channel is made from them; and the problem, why the thread was left as it is, NULL when it was not. keep: so many checkpoints of each namespace stay, and what their subgraphs load. strategy delete: all of the thread goes, as with delete_thread(). squash: anchors older than an hour are folded into as few as possible; nobody can go on from those. dry_run: nothing is deleted. Each thread is proved to read as before, else nothing of it is deleted. Left alone are threads that somebody writes to, or a worker has a lease on, that have what is not known, and, unless force is given, those without the fence of fence_checkpoints(): without it, who goes on from a checkpoint that was pruned begins with an empty state. A transaction holds the locks of the threads that it pruned, and leaves those alone for which it would take more than a quarter of all locks that the server has room for. Errors: 22023 another strategy, a keep below 1, a NULL.';

CREATE FUNCTION amelia.delete_for_runs(
	run_ids text[], dry_run boolean DEFAULT false, force boolean DEFAULT false,
	OUT thread_id text, OUT checkpoints bigint, OUT blobs bigint, OUT writes bigint,
	OUT bytes bigint, OUT anchors bigint, OUT problem text)
RETURNS SETOF record
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_delete_for_runs';
COMMENT ON FUNCTION amelia.delete_for_runs(text[], boolean, boolean) IS
'Deletes the checkpoints whose metadata name one of the runs as run_id, with their blobs and what was written to them, in every registered schema, and returns a row for each thread that has any, as prune() does. What others need stays: anchors, from which their delta channels are made, and what their subgraphs load. What a run wrote to the checkpoint that it began at stays as well. Each thread is proved to read as before for all other checkpoints, else nothing of it is deleted; one that would end in a checkpoint that nobody can go on from is left alone, and so are those that prune() leaves alone. dry_run, force: as with prune(). Reads all checkpoints. Errors: 22023 a NULL.';

CREATE FUNCTION amelia.copy_thread(source_thread_id text, target_thread_id text) RETURNS bigint
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_copy_thread';
COMMENT ON FUNCTION amelia.copy_thread(text, text) IS
'Copies a thread''s checkpoints, blobs and writes, all of them, to a thread that has none, in every registered schema, and returns the number of rows. The copy is written as the owner of the tables, and belongs to no workflow unless its name says so. Tables that are not as LangGraph makes them are left alone, with a warning. Errors: 23505 the target has rows, P0002 the source has none, 22023 twice the same thread, a NULL; and those of the fence.';

REVOKE ALL ON FUNCTION
	amelia.prune(text[], text, integer, boolean, boolean, boolean),
	amelia.delete_for_runs(text[], boolean, boolean),
	amelia.copy_thread(text, text)
FROM PUBLIC;
