-- What the functions that write about a workflow call.

CREATE FUNCTION amelia_internal.transition_event(old_status text, new_status text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE new_status
	WHEN 'in_progress' THEN
		CASE old_status WHEN 'blocked' THEN 'approval_granted' ELSE 'workflow_started' END
	WHEN 'blocked' THEN 'approval_required'
	WHEN 'pending' THEN 'approval_rejected'
	ELSE 'workflow_' || new_status
END
$$;
COMMENT ON FUNCTION amelia_internal.transition_event(text, text) IS
'The event type that tells of a workflow''s move from one status to another.';

CREATE FUNCTION amelia_internal.hold_workflow(workflow_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM FROM amelia.workflows AS w WHERE w.id = hold_workflow.workflow_id FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002',
			MESSAGE = format('no workflow %s', hold_workflow.workflow_id);
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.hold_workflow(uuid) IS
'Sees to it that a workflow stays to the end of the transaction: the lock that a foreign key takes, taken before it. Waits for whoever is deleting it. Errors: P0002 no such workflow.';

CREATE FUNCTION amelia_internal.lock_workflow(workflow_id uuid) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	locked text;
BEGIN
	SELECT w.status INTO locked
	FROM amelia.workflows AS w
	WHERE w.id = lock_workflow.workflow_id
	FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002',
			MESSAGE = format('no workflow %s', lock_workflow.workflow_id);
	END IF;
	RETURN locked;
END
$$;
COMMENT ON FUNCTION amelia_internal.lock_workflow(uuid) IS
'Locks a workflow''s row as appends and claims do, to the end of the transaction, and returns its status. Errors: P0002 no such workflow.';

CREATE FUNCTION amelia_internal.move_workflow(
	id uuid,
	status text,
	failure_reason text,
	lease_token bigint)
RETURNS record
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	old_status text;
	moved amelia.workflows;
BEGIN
	PERFORM amelia_internal.check_given('id', move_workflow.id);
	PERFORM amelia_internal.check_given('status', move_workflow.status);
	PERFORM amelia_internal.check_choice('status', move_workflow.status);
	IF move_workflow.failure_reason IS NOT NULL
		AND move_workflow.status NOT IN ('failed', 'cancelled') THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('a failure_reason does not go with status "%s"', move_workflow.status),
			HINT = 'Give it with failed or cancelled.';
	END IF;

	old_status := amelia_internal.lock_workflow(move_workflow.id);
	IF lease_token IS NOT NULL THEN
		PERFORM amelia_internal.check_lease(move_workflow.id, lease_token);
	END IF;
	PERFORM amelia_internal.check_transition(move_workflow.id, old_status, move_workflow.status);

	UPDATE amelia.workflows AS w
	SET status = move_workflow.status,
		failure_reason = COALESCE(move_workflow.failure_reason, w.failure_reason)
	WHERE w.id = move_workflow.id
	RETURNING w.* INTO moved;
	PERFORM amelia_internal.write_event(moved.id, amelia_internal.transition_event(old_status, moved.status),
		COALESCE(move_workflow.failure_reason,
			format('workflow moved from %s to %s', old_status, moved.status)),
		data => jsonb_build_object('from', old_status, 'to', moved.status));
	RETURN moved;
END
$$;
COMMENT ON FUNCTION amelia_internal.move_workflow(uuid, text, text, bigint) IS
'What set_workflow_status() does. Returns the row of workflows.';

REVOKE ALL ON FUNCTION
	amelia_internal.hold_workflow(uuid),
	amelia_internal.lock_workflow(uuid),
	amelia_internal.move_workflow(uuid, text, text, bigint),
	amelia_internal.transition_event(text, text)
FROM PUBLIC;
