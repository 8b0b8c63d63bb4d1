-- Pruning LangGraph's checkpoints inside threads that live on.

CREATE FUNCTION amelia.prune(
	thread_ids text[], strategy text DEFAULT 'keep_latest', keep integer DEFAULT 1,
	dry_run boolean DEFAULT false, force boolean DEFAULT false,
	OUT thread_id text, OUT checkpoints bigint, OUT blobs bigint, OUT writes bigint,
	OUT bytes bigint, OUT anchors bigint, OUT problem text)
RETURNS SETOF record
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_prune';
COMMENT ON FUNCTION amelia.prune(text[], text, integer, boolean, boolean) IS
'Deletes of LangGraph threads, in every registered schema, what no resume can need, and returns a row per thread: the checkpoints, blobs and writes that went, with an estimate of their bytes in heap and TOAST; the anchors, older checkpoints that stayed because a delta channel is made from them; and the problem, why the thread was left as it is, NULL when it was not. keep: so many checkpoints of each namespace stay, and what their subgraphs load. strategy delete: all of the thread goes, as with delete_thread(). dry_run: nothing is deleted. Each thread is proved to read as before, else nothing of it is deleted. Left alone are threads that somebody writes to, or a worker has a lease on, that have what is not known, and, unless force is given, those without the fence of fence_checkpoints(): without it, who goes on from a checkpoint that was pruned begins with an empty state. Errors: 22023 another strategy, a keep below 1, a NULL.';

REVOKE ALL ON FUNCTION
	amelia.prune(text[], text, integer, boolean, boolean)
FROM PUBLIC;
