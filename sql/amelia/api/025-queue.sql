CREATE OR REPLACE FUNCTION amelia.release_workflow(
	workflow_id uuid,
	lease_token bigint,
	status text DEFAULT NULL,
	failure_reason text DEFAULT NULL,
	retry_after interval DEFAULT NULL)
RETURNS amelia.workflows
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	released amelia.workflows;
BEGIN
	-- The way that most attempts end is short.
	IF release_workflow.status = 'completed' AND release_workflow.failure_reason IS NULL
		AND retry_after IS NULL THEN
		RETURN amelia_internal.complete_workflow(release_workflow.workflow_id, release_workflow.lease_token);
	END IF;
	PERFORM amelia_internal.check_given('workflow_id', release_workflow.workflow_id),
		amelia_internal.check_given('lease_token', release_workflow.lease_token),
		amelia_internal.check_choice('status', release_workflow.status);
	IF release_workflow.failure_reason IS NOT NULL
		AND release_workflow.status IS DISTINCT FROM 'failed'
		AND release_workflow.status IS DISTINCT FROM 'cancelled' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('a failure_reason does not go with %s', COALESCE('status "' || release_workflow.status || '"', 'no status')),
			HINT = 'Give it with failed or cancelled.';
	END IF;
	IF retry_after IS NOT NULL AND release_workflow.status IS DISTINCT FROM 'failed' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('a retry_after does not go with %s', COALESCE('status "' || release_workflow.status || '"', 'no status')),
			HINT = 'Give it with failed.';
	END IF;
	IF retry_after < interval '0' OR NOT isfinite(retry_after) THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('retry_after must not be negative or infinite: %s', retry_after);
	END IF;

	IF release_workflow.status IS NULL THEN
		PERFORM amelia_internal.give_back(release_workflow.workflow_id, release_workflow.lease_token);
		SELECT w.* INTO released FROM amelia.workflows AS w WHERE w.id = release_workflow.workflow_id;
		RETURN released;
	END IF;
	IF release_workflow.status <> 'failed' THEN
		RETURN amelia_internal.move_workflow(release_workflow.workflow_id, release_workflow.status,
			release_workflow.failure_reason, release_workflow.lease_token);
	END IF;

	PERFORM amelia_internal.check_lease(release_workflow.workflow_id, release_workflow.lease_token);
	UPDATE amelia.workflows AS w
	SET status = 'failed',
		failure_reason = COALESCE(release_workflow.failure_reason, w.failure_reason),
		failures = w.failures + (w.failures < 2147483647)::integer,
		retry_at = r.due,
		available_at = COALESCE(r.due, w.available_at)
	FROM (SELECT CASE WHEN o.failures < o.max_failures - 1 AND NOT o.cancel_requested
				THEN clock_timestamp() + COALESCE(retry_after, amelia_internal.retry_delay(LEAST(o.failures, 1000) + 1)) END
			FROM amelia.workflows AS o WHERE o.id = release_workflow.workflow_id) AS r (due)
	WHERE w.id = release_workflow.workflow_id
	RETURNING w.* INTO released;
	PERFORM amelia_internal.write_event(released.id, 'workflow_failed',
		COALESCE(release_workflow.failure_reason, 'the attempt failed'),
		data => jsonb_build_object('from', 'in_progress', 'to', 'failed',
			'failures', released.failures, 'retry_at', released.retry_at));
	RETURN released;
END
$$;
COMMENT ON FUNCTION amelia.release_workflow(uuid, bigint, text, text, interval) IS
'Ends an attempt: moves the workflow as set_workflow_status() does, and its lease and slots are free. failed counts as a failure; while failures are left another attempt is due after retry_after, or after retry_delay(). status NULL only gives the lease back: the workflow stays in_progress and is claimable at once. Returns the workflow. Errors: 55000 the lease is lost or no such transition, P0002 no such workflow, 22023 a NULL, an unknown status, a reason or a delay where none belongs, a delay below nothing.';

CREATE OR REPLACE FUNCTION amelia.request_cancel(workflow_id uuid) RETURNS amelia.workflows
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	found_status text;
	changed amelia.workflows;
BEGIN
	PERFORM amelia_internal.check_given('workflow_id', request_cancel.workflow_id);
	found_status := amelia_internal.lock_workflow(request_cancel.workflow_id);
	IF found_status IN ('completed', 'cancelled') THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('workflow %s is %s already', request_cancel.workflow_id, found_status);
	END IF;
	UPDATE amelia.workflows AS w
	SET cancel_requested = true, retry_at = NULL
	WHERE w.id = request_cancel.workflow_id
	RETURNING w.* INTO changed;
	-- Nobody works on it: no heartbeat would tell.
	IF found_status IN ('pending', 'blocked') THEN
		RETURN amelia_internal.move_workflow(request_cancel.workflow_id, 'cancelled', NULL, NULL);
	END IF;
	RETURN changed;
END
$$;
COMMENT ON FUNCTION amelia.request_cancel(uuid) IS
'Asks for the end of a workflow and returns it. One that is pending or blocked is cancelled at once; one in progress when its worker, who learns of it with the next heartbeat, releases it, or when a claim comes across it after the lease is lost; one that failed gets no further attempt. Errors: P0002 no such workflow, 55000 it is completed or cancelled, 22023 NULL.';

CREATE OR REPLACE FUNCTION amelia.requeue_workflow(workflow_id uuid, failures integer DEFAULT 1)
RETURNS amelia.workflows
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	found_status text;
	changed amelia.workflows;
BEGIN
	PERFORM amelia_internal.check_given('workflow_id', requeue_workflow.workflow_id),
		amelia_internal.check_given('failures', requeue_workflow.failures);
	IF requeue_workflow.failures < 1 THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('failures must be 1 or more: %s', requeue_workflow.failures);
	END IF;
	found_status := amelia_internal.lock_workflow(requeue_workflow.workflow_id);
	IF found_status <> 'failed' THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('workflow %s has not failed', requeue_workflow.workflow_id);
	END IF;
	UPDATE amelia.workflows AS w
	SET max_failures = GREATEST(w.max_failures, requeue_workflow.failures),
		failures = LEAST(w.failures, GREATEST(w.max_failures, requeue_workflow.failures)
			- requeue_workflow.failures),
		retry_at = now(), available_at = now(), cancel_requested = false
	WHERE w.id = requeue_workflow.workflow_id
	RETURNING w.* INTO changed;
	RETURN changed;
END
$$;
COMMENT ON FUNCTION amelia.requeue_workflow(uuid, integer) IS
'Makes a failed workflow claimable at once, with so many failures left, and returns it. Errors: P0002 no such workflow, 55000 it has not failed, 22023 a NULL, less than one failure.';

CREATE OR REPLACE FUNCTION amelia.dead_workflows(row_limit integer DEFAULT 100)
RETURNS SETOF amelia.workflows
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM amelia_internal.check_limit(row_limit);
	RETURN QUERY
	SELECT w.*
	FROM amelia.workflows AS w
	WHERE w.status = 'failed' AND w.retry_at IS NULL AND w.failures > 0
		AND w.failures >= w.max_failures
	ORDER BY w.completed_at DESC NULLS LAST, w.id DESC
	LIMIT row_limit;
END
$$;
COMMENT ON FUNCTION amelia.dead_workflows(integer) IS
'The workflows that failed as often as they may, newest first; requeue_workflow() gives one another try. Errors: 22023 a limit that is NULL or negative.';

REVOKE ALL ON FUNCTION
	amelia.release_workflow(uuid, bigint, text, text, interval),
	amelia.request_cancel(uuid),
	amelia.requeue_workflow(uuid, integer),
	amelia.dead_workflows(integer)
FROM PUBLIC;
