-- Creating workflows and moving them along.

CREATE OR REPLACE FUNCTION amelia.create_workflow(
	issue_id text,
	worktree_path text DEFAULT NULL,
	workflow_type text DEFAULT 'full',
	profile_id text DEFAULT NULL,
	issue_cache jsonb DEFAULT NULL,
	id uuid DEFAULT NULL)
RETURNS amelia.workflows
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	created amelia.workflows;
BEGIN
	PERFORM amelia_internal.check_given('issue_id', create_workflow.issue_id);
	PERFORM amelia_internal.check_given('workflow_type', create_workflow.workflow_type);
	PERFORM amelia_internal.check_container('issue_cache', create_workflow.issue_cache);

	INSERT INTO amelia.workflows (id, issue_id, worktree_path, workflow_type, profile_id, issue_cache)
	VALUES (COALESCE(create_workflow.id, amelia_internal.new_uuid()), create_workflow.issue_id,
		create_workflow.worktree_path, create_workflow.workflow_type,
		create_workflow.profile_id, create_workflow.issue_cache)
	ON CONFLICT (id) DO NOTHING
	RETURNING * INTO created;
	IF FOUND THEN
		PERFORM amelia_internal.check_budgets(created.id, created.profile_id);
		PERFORM amelia_internal.write_event(created.id, 'workflow_created',
			format('workflow created for issue %s', created.issue_id));
		RETURN created;
	END IF;

	-- Sent again: the first result, if it is the same workflow that is asked for.
	SELECT w.* INTO created
	FROM amelia.workflows AS w
	WHERE w.id = create_workflow.id
		AND w.issue_id = create_workflow.issue_id
		AND w.worktree_path IS NOT DISTINCT FROM create_workflow.worktree_path
		AND w.workflow_type = create_workflow.workflow_type
		AND w.profile_id IS NOT DISTINCT FROM create_workflow.profile_id
		AND w.issue_cache IS NOT DISTINCT FROM create_workflow.issue_cache;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '23505',
			MESSAGE = format('workflow %s exists already, with other content', create_workflow.id),
			SCHEMA = 'amelia', TABLE = 'workflows', CONSTRAINT = 'workflows_pkey';
	END IF;
	RETURN created;
END
$$;
COMMENT ON FUNCTION amelia.create_workflow(text, text, text, text, jsonb, uuid) IS
'Makes a new pending workflow with its workflow_created event, and returns it. worktree_path NULL: in none. Sent again with the same id and content it returns that workflow as it is now and stores nothing; with other content 23505. Errors: 22023 a required argument is NULL, an issue_cache that is a JSON scalar, 23514 a workflow_type that the table does not allow, 53400 a budget is spent.';

CREATE OR REPLACE FUNCTION amelia.set_workflow_status(
	id uuid,
	status text,
	failure_reason text DEFAULT NULL,
	lease_token bigint DEFAULT NULL)
RETURNS amelia.workflows
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN amelia_internal.move_workflow(id, status, failure_reason, lease_token);
END
$$;
COMMENT ON FUNCTION amelia.set_workflow_status(uuid, text, text, bigint) IS
'Moves a workflow along the state machine, writes the lifecycle event, and returns the workflow. failure_reason goes with failed and cancelled and is the event''s message. Errors: P0002 no such workflow, 55000 not a transition (to the status that is already there is none), 23505 another workflow is in_progress or blocked in its worktree, 53400 a budget is spent (to in_progress), 22023 a NULL, an unknown status, a reason where none belongs. With a lease_token, 55000 when that lease is lost.';

CREATE OR REPLACE FUNCTION amelia.set_plan_cache(id uuid, plan jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.check_given('id', set_plan_cache.id);
	PERFORM amelia_internal.check_container('plan', set_plan_cache.plan);
	PERFORM amelia_internal.lock_workflow(set_plan_cache.id);
	UPDATE amelia.workflows AS w
	SET plan_cache = set_plan_cache.plan
	WHERE w.id = set_plan_cache.id;
END
$$;
COMMENT ON FUNCTION amelia.set_plan_cache(uuid, jsonb) IS
'Stores the plan of a workflow; NULL removes it. Errors: P0002 no such workflow, 22023 a JSON scalar.';

REVOKE ALL ON FUNCTION
	amelia.create_workflow(text, text, text, text, jsonb, uuid),
	amelia.set_workflow_status(uuid, text, text, bigint),
	amelia.set_plan_cache(uuid, jsonb)
FROM PUBLIC;
