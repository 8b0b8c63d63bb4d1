-- Erasing a workflow with all that is kept of it.

CREATE OR REPLACE FUNCTION amelia.forget_workflow(id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	known boolean;
	was_known boolean;
BEGIN
	PERFORM amelia_internal.check_given('id', forget_workflow.id);
	PERFORM FROM amelia.workflows AS w WHERE w.id = forget_workflow.id FOR UPDATE;
	known := FOUND;
	IF EXISTS (SELECT FROM amelia_internal.checkpoint_places() AS s WHERE s.problem IS NOT NULL) THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('cannot forget workflow %s: its checkpoints may be where they cannot be deleted', forget_workflow.id),
			HINT = 'See checkpoint_sources() for what is wrong, mend it, or unregister the schema.';
	END IF;
	PERFORM amelia_internal.delete_checkpoints(t.thread_id)
	FROM (SELECT forget_workflow.id::text
		UNION
		SELECT l.thread_id FROM amelia.workflow_threads AS l
		WHERE l.workflow_id = forget_workflow.id) AS t (thread_id)
	-- one that another workflow has a right to stays
	WHERE NOT EXISTS (SELECT FROM amelia.workflows AS o
			WHERE o.id <> forget_workflow.id
				AND o.id = CASE WHEN t.thread_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
					THEN t.thread_id::uuid END)
		AND NOT EXISTS (SELECT FROM amelia.workflow_threads AS l
			WHERE l.thread_id = t.thread_id AND l.workflow_id <> forget_workflow.id);
	DELETE FROM amelia.workflows AS w WHERE w.id = forget_workflow.id;
	DELETE FROM amelia.usage_history AS h WHERE h.workflow_id = forget_workflow.id;
	DELETE FROM amelia.workflow_history AS h WHERE h.workflow_id = forget_workflow.id;
	was_known := FOUND;
	IF NOT known AND NOT was_known THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002',
			MESSAGE = format('no workflow %s', forget_workflow.id);
	END IF;
END
$$;
COMMENT ON FUNCTION amelia.forget_workflow(uuid) IS
'Erases a workflow, in whatever state, with its events, usage, checkpoints and history, or the history alone when it is deleted already. A thread that another workflow has a right to stays. Costs of the past are lower afterwards. Errors: P0002 neither it nor a history, 55000 checkpoint tables that cannot be used, 22023 NULL.';

REVOKE ALL ON FUNCTION amelia.forget_workflow(uuid) FROM PUBLIC;
