-- LangGraph's checkpoint tables: where they are, and whose threads are in them.

CREATE OR REPLACE FUNCTION amelia.checkpoint_sources()
RETURNS TABLE (schema_name name, owner oid, problem text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT s.* FROM amelia_internal.checkpoint_places() AS s
$$;
COMMENT ON FUNCTION amelia.checkpoint_sources() IS
'The registered schemas in which tables with the names of LangGraph''s are, with their owner; problem says why retention leaves them alone, NULL when it does not. While there is a problem, no workflow is deleted: its checkpoints could be there.';

CREATE OR REPLACE FUNCTION amelia.link_thread(workflow_id uuid, thread_id text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	holder uuid;
BEGIN
	PERFORM amelia_internal.check_given('workflow_id', link_thread.workflow_id),
		amelia_internal.check_given('thread_id', link_thread.thread_id);
	PERFORM amelia_internal.hold_workflow(link_thread.workflow_id);
	INSERT INTO amelia.workflow_threads (thread_id, workflow_id)
	VALUES (link_thread.thread_id, link_thread.workflow_id)
	ON CONFLICT (thread_id) DO NOTHING;
	SELECT t.workflow_id INTO holder
	FROM amelia.workflow_threads AS t
	WHERE t.thread_id = link_thread.thread_id;
	-- A policy may hide the other one, or that it has the thread.
	IF holder IS DISTINCT FROM link_thread.workflow_id THEN
		RAISE EXCEPTION USING ERRCODE = '23505',
			MESSAGE = format('thread "%s" belongs to %s', link_thread.thread_id,
				COALESCE((SELECT 'workflow ' || w.id FROM amelia.workflows AS w WHERE w.id = holder), 'another workflow')),
			HINT = 'unlink_thread() takes it away from there.',
			SCHEMA = 'amelia', TABLE = 'workflow_threads', CONSTRAINT = 'workflow_threads_pkey';
	END IF;
END
$$;
COMMENT ON FUNCTION amelia.link_thread(uuid, text) IS
'Says that a LangGraph thread belongs to a workflow, besides the one that is named like the workflow''s id: its checkpoints go when that workflow is finished and old. Again: nothing happens. Errors: P0002 no such workflow, 23505 it belongs to another one, 22023 NULL.';

CREATE OR REPLACE FUNCTION amelia.unlink_thread(thread_id text) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.check_given('thread_id', unlink_thread.thread_id);
	DELETE FROM amelia.workflow_threads AS t WHERE t.thread_id = unlink_thread.thread_id;
	RETURN FOUND;
END
$$;
COMMENT ON FUNCTION amelia.unlink_thread(text) IS
'Takes back link_thread(), and returns whether there was something to take back. The thread''s checkpoints stay. Errors: 22023 NULL.';

REVOKE ALL ON FUNCTION
	amelia.checkpoint_sources(),
	amelia.link_thread(uuid, text),
	amelia.unlink_thread(text)
FROM PUBLIC;
