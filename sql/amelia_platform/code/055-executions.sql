-- Executions: their beginning, the way, and the end.

CREATE FUNCTION amelia_internal.platform_run(of_execution uuid, entered text[], finished text[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	context CONSTANT jsonb := (SELECT e.context_data FROM amelia_platform.workflow_executions AS e WHERE e.id = of_execution);
	-- Counted from 1, whatever the caller's array is.
	queue text[] := ARRAY(SELECT unnest(finished));
	to_enter text[] := entered;
	leaving record;
	step text;
	target record;
	over integer := 0;
BEGIN
	LOOP
		FOREACH step IN ARRAY to_enter LOOP
			IF amelia_internal.platform_enter_step(of_execution, step) THEN
				queue := queue || step;
			END IF;
		END LOOP;
		to_enter := '{}';
		EXIT WHEN cardinality(queue) = 0;
		SELECT s.step_id, s.status, s.definition ->> 'step_type' AS type,
			ARRAY(SELECT jsonb_array_elements_text(s.definition -> 'next_steps')) AS targets, '{}'::text[] AS chosen
		INTO leaving FROM amelia_platform.execution_steps AS s
		WHERE s.execution_id = of_execution AND s.step_id = queue[1];
		queue := queue[2:];
		over := over + 1;
		IF leaving.status = 'completed' AND leaving.type <> 'end' THEN
			leaving.chosen := amelia_internal.platform_leave_step(of_execution, leaving.step_id, leaving.type, leaving.targets, context);
			IF cardinality(leaving.chosen) = 0 THEN
				PERFORM amelia_internal.platform_end_execution(of_execution, 'failed',
					format('step "%s" leads nowhere: the conditions of none of its next_steps hold', leaving.step_id));
				RETURN;
			END IF;
		END IF;
		UPDATE amelia_platform.execution_steps AS s
		SET awaits = s.awaits - 1, led = s.led OR s.step_id = ANY (leaving.chosen)
		WHERE s.execution_id = of_execution AND s.step_id = ANY (leaving.targets) AND s.status = 'waiting'
			AND (s.step_id <> ALL (leaving.chosen) OR s.definition ->> 'step_type' = 'join');
		-- A step that is led to begins; a join, and one that nothing leads to, only when nothing else can come.
		FOR target IN
			SELECT s.step_id, s.led, s.awaits, COALESCE(s.definition -> 'conditions', '[]') AS conditions,
				s.step_id = ANY (leaving.chosen) AND s.definition ->> 'step_type' <> 'join' AS begins
			FROM amelia_platform.execution_steps AS s
			WHERE s.execution_id = of_execution AND s.step_id = ANY (leaving.targets) AND s.status = 'waiting'
			ORDER BY array_position(leaving.targets, s.step_id)
		LOOP
			IF target.begins THEN
				to_enter := to_enter || target.step_id;
			ELSIF target.awaits > 0 THEN
				CONTINUE;
			ELSIF target.led AND NOT amelia_internal.platform_holds(target.conditions, context) THEN
				PERFORM amelia_internal.platform_end_execution(of_execution, 'failed',
					format('step "%s" cannot begin: its conditions do not hold', target.step_id));
				RETURN;
			ELSIF target.led THEN
				to_enter := to_enter || target.step_id;
			ELSE
				UPDATE amelia_platform.execution_steps AS s SET status = 'skipped', completed_at = clock_timestamp()
				WHERE s.execution_id = of_execution AND s.step_id = target.step_id;
				queue := queue || target.step_id;
			END IF;
		END LOOP;
	END LOOP;

	IF EXISTS (SELECT FROM amelia_platform.execution_steps AS s
		WHERE s.execution_id = of_execution AND s.status = 'running') THEN
		UPDATE amelia_platform.workflow_executions AS e SET current_step = e.current_step + over
		WHERE e.id = of_execution;
	ELSE
		PERFORM amelia_internal.platform_end_execution(of_execution, 'completed', NULL);
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_run(uuid, text[], text[]) IS
'Takes an execution as far as it goes: begins the steps that were entered, goes on from those that are finished, skips what can no longer be reached, and ends the execution when nothing is left.';

CREATE FUNCTION amelia_internal.platform_end_execution(of_execution uuid, new_status text, message text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE amelia_platform.workflow_executions AS e
	SET status = new_status, error_message = message,
		result_data = CASE WHEN new_status = 'completed' THEN COALESCE((SELECT jsonb_object_agg(s.step_id, s.result_data)
			FROM amelia_platform.execution_steps AS l
			JOIN amelia_platform.execution_steps AS s ON s.execution_id = l.execution_id AND l.step_id = ANY (s.taken)
			WHERE l.execution_id = e.id AND l.definition ->> 'step_type' = 'end' AND s.result_data IS NOT NULL), '{}') ELSE e.result_data END
	WHERE e.id = of_execution;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_end_execution(uuid, text, text) IS
'Ends an execution that runs; what is left of it is the business of the trigger.';

CREATE FUNCTION amelia_internal.platform_step_ended(of_execution uuid, ended text, task uuid, problem text, result jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	message text;
BEGIN
	PERFORM FROM amelia_platform.workflow_executions AS e
	WHERE e.id = of_execution AND e.status = 'running' FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	UPDATE amelia_platform.execution_steps AS s
	SET status = CASE WHEN problem IS NULL THEN 'completed' ELSE 'failed' END, completed_at = clock_timestamp(),
		result_data = result
	WHERE s.execution_id = of_execution AND s.step_id = ended AND s.status = 'running' AND s.task_id IS NOT DISTINCT FROM task;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	IF problem IS NOT NULL THEN
		PERFORM amelia_internal.platform_end_execution(of_execution, 'failed', format('step "%s": %s', ended, problem));
		RETURN;
	END IF;
	UPDATE amelia_platform.workflow_executions AS e
	SET context_data = e.context_data || jsonb_build_object(ended, result)
	WHERE e.id = of_execution;
	-- The step is done, whatever becomes of the next ones.
	BEGIN
		PERFORM amelia_internal.platform_run(of_execution, '{}', ARRAY[ended]);
	EXCEPTION WHEN OTHERS THEN
		IF NOT amelia_internal.platform_is_fault(SQLSTATE) THEN
			RAISE;
		END IF;
		GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
		PERFORM amelia_internal.platform_end_execution(of_execution, 'failed',
			format('after step "%s": %s', ended, message));
	END;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_step_ended(uuid, text, uuid, text, jsonb) IS
'What a step that runs brought, or its problem: takes the execution on, or fails it. Nothing when the step, or the execution, has ended already.';

REVOKE ALL ON FUNCTION
	amelia_internal.platform_run(uuid, text[], text[]),
	amelia_internal.platform_end_execution(uuid, text, text),
	amelia_internal.platform_step_ended(uuid, text, uuid, text, jsonb)
FROM PUBLIC;
