-- What the functions about definitions and executions call first.

CREATE FUNCTION amelia_internal.platform_check_workflow_id(workflow uuid) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM amelia_internal.check_given('workflow_id', workflow);
	IF NOT EXISTS (SELECT FROM amelia_platform.workflows AS w WHERE w.id = workflow) THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002', MESSAGE = format('no workflow %s', workflow);
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_check_workflow_id(uuid) IS
'Raises P0002 when there is no such workflow, 22023 for NULL.';

CREATE FUNCTION amelia_internal.platform_lock_execution(execution uuid) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	locked text;
BEGIN
	PERFORM amelia_internal.check_given('id', execution);
	SELECT e.status INTO locked FROM amelia_platform.workflow_executions AS e WHERE e.id = execution FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002', MESSAGE = format('no execution %s', execution);
	END IF;
	RETURN locked;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_lock_execution(uuid) IS
'Locks an execution and returns its status. Errors: P0002 no such execution, 22023 NULL.';

CREATE FUNCTION amelia_internal.platform_stop_execution(execution uuid, new_status text, message text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_status CONSTANT text := amelia_internal.platform_lock_execution(execution);
BEGIN
	IF found_status = 'running' THEN
		PERFORM amelia_internal.platform_end_execution(execution, new_status, message);
	ELSIF found_status <> new_status THEN
		PERFORM amelia_internal.platform_refuse_status('execution', execution, found_status, 'It has ended.');
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_stop_execution(uuid, text, text) IS
'What cancel_execution() and fail_execution() do. Again: harmless.';

REVOKE ALL ON FUNCTION
	amelia_internal.platform_check_workflow_id(uuid),
	amelia_internal.platform_lock_execution(uuid),
	amelia_internal.platform_stop_execution(uuid, text, text)
FROM PUBLIC;
