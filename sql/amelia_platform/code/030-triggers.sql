-- What holds for a plain statement too: the state machines.

CREATE FUNCTION amelia_internal.platform_agent_back() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_platform_agent_back';
COMMENT ON FUNCTION amelia_internal.platform_agent_back() IS
'BEFORE UPDATE row trigger of agents that are heard of: one that was offline, marked or not, is idle, unless the statement sets its status.';

CREATE FUNCTION amelia_internal.platform_move_task() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	allowed text[];
	execution_status text;
BEGIN
	IF OLD.execution_id IS NOT NULL AND (NEW.id, NEW.execution_id, NEW.step_id) IS DISTINCT FROM (OLD.id, OLD.execution_id, OLD.step_id) THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('task %s belongs to step "%s" of execution %s', OLD.id, OLD.step_id, OLD.execution_id);
	ELSIF NEW.lease_token < OLD.lease_token THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('the lease_token of task %s cannot go back from %s to %s', OLD.id, OLD.lease_token, NEW.lease_token);
	END IF;
	IF OLD.status = 'in_progress' AND NEW.status = 'in_progress'
		AND NEW.assigned_agent_id IS DISTINCT FROM OLD.assigned_agent_id THEN
		IF NEW.assigned_agent_id IS NULL THEN
			NEW.status := 'pending';
		ELSE
			-- Somebody else has it now: what the one before brings is late.
			NEW.lease_token := GREATEST(NEW.lease_token, OLD.lease_token + 1);
		END IF;
	END IF;
	IF NEW.status = OLD.status
		OR (current_setting('amelia.history', true) = 'on' AND amelia_internal.platform_is_history(TG_RELID)) THEN
		RETURN NEW;
	END IF;

	allowed := CASE OLD.status
		WHEN 'pending' THEN ARRAY['in_progress', 'completed', 'failed', 'cancelled']
		WHEN 'in_progress' THEN ARRAY['pending', 'completed', 'failed', 'cancelled']
		WHEN 'failed' THEN CASE WHEN OLD.execution_id IS NULL THEN ARRAY['pending'] ELSE ARRAY[]::text[] END
		ELSE ARRAY[]::text[] END;
	IF NEW.status <> ALL (allowed) THEN
		PERFORM amelia_internal.platform_check_move('task', OLD.id, OLD.status, NEW.status, allowed);
	END IF;
	IF OLD.execution_id IS NOT NULL AND NEW.status IN ('pending', 'in_progress') THEN
		SELECT e.status INTO execution_status FROM amelia_platform.workflow_executions AS e WHERE e.id = OLD.execution_id;
		IF execution_status <> 'running' THEN
			NEW.status := 'cancelled';
			NEW.error_message := format('its execution was %s', execution_status);
		END IF;
	END IF;
	IF NEW.status = 'in_progress' THEN
		NEW.lease_token := GREATEST(NEW.lease_token, OLD.lease_token + 1);
		NEW.attempts := GREATEST(NEW.attempts, OLD.attempts + 1);
		NEW.completed_at := NULL;
		IF NEW.started_at IS NOT DISTINCT FROM OLD.started_at THEN
			NEW.started_at := clock_timestamp();
		END IF;
		RETURN NEW;
	END IF;
	NEW.leased_until := NULL;
	IF NEW.status = 'pending' AND OLD.status = 'failed' THEN
		NEW.max_attempts := GREATEST(NEW.max_attempts, NEW.attempts + 1);
	ELSIF NEW.status = 'pending' AND NEW.attempts >= NEW.max_attempts THEN
		NEW.status := 'failed';
		NEW.error_message := COALESCE(NEW.error_message, 'no attempt is left');
	END IF;
	IF NEW.status = 'pending' THEN
		NEW.completed_at := NULL;
	ELSIF NEW.completed_at IS NULL OR NEW.completed_at IS NOT DISTINCT FROM OLD.completed_at THEN
		NEW.completed_at := clock_timestamp();
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_move_task() IS
'BEFORE UPDATE row trigger of tasks: the state machine, with attempts, token and times. A task that has no attempt left becomes failed instead of pending; one in progress whose agent is taken from it becomes pending; one of an execution that is over cancelled instead of either. Raises 55000.';

CREATE FUNCTION amelia_internal.platform_whole_task() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NEW.status = 'in_progress' THEN
		NEW.leased_until := clock_timestamp() + amelia_internal.platform_stale_after();
	ELSE
		-- Of what came from elsewhere too: nothing is deleted by a guess.
		NEW.completed_at := COALESCE(CASE TG_OP WHEN 'UPDATE' THEN OLD.completed_at END, clock_timestamp());
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_whole_task() IS
'BEFORE INSERT or UPDATE row trigger of tasks that have ended and say not when, or that are in progress with neither an agent nor a lease: gives them a time, from which on they are kept, or until which. Of an end it is now.';

CREATE FUNCTION amelia_internal.platform_task_ended() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NEW.execution_id IS NOT NULL AND NEW.status <> 'pending' THEN
		PERFORM amelia_internal.platform_step_ended(NEW.execution_id, NEW.step_id, NEW.id,
			CASE NEW.status WHEN 'completed' THEN NULL
				ELSE COALESCE(NEW.error_message, format('its task was %s', NEW.status)) END,
			NEW.result_data);
	END IF;
	IF NEW.status = 'completed' AND cardinality(NEW.required_capabilities) > 0 AND NEW.assigned_agent_id IS NOT NULL THEN
		UPDATE amelia_platform.agent_capabilities AS c
		SET usage_count = c.usage_count + 1, last_used = clock_timestamp()
		WHERE c.agent_id = NEW.assigned_agent_id AND c.capability_name = ANY (NEW.required_capabilities)
			AND c.usage_count < 2147483647;
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_task_ended() IS
'AFTER UPDATE row trigger of tasks that come to an end: takes the execution on, and counts what was used of the agent.';

CREATE FUNCTION amelia_internal.platform_keep_task() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM amelia_platform.workflow_executions AS e
		JOIN amelia_platform.workflows AS w ON w.id = e.workflow_id
		WHERE e.id = OLD.execution_id AND e.status = 'running') THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('task %s belongs to step "%s" of execution %s, which runs', OLD.id, OLD.step_id, OLD.execution_id),
			HINT = 'Cancel the task, or the execution, first.';
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_keep_task() IS
'AFTER DELETE row trigger of tasks that belong to an execution: raises 55000 while it runs.';

REVOKE ALL ON FUNCTION
	amelia_internal.platform_agent_back(),
	amelia_internal.platform_move_task(),
	amelia_internal.platform_whole_task(),
	amelia_internal.platform_task_ended(),
	amelia_internal.platform_keep_task()
FROM PUBLIC;
