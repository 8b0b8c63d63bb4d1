-- Executions: from step to step. Whoever calls these holds the execution's row.

CREATE FUNCTION amelia_internal.platform_holds(conditions jsonb, context jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT COALESCE(bool_and(COALESCE(CASE c.op
		WHEN 'exists' THEN (c.actual IS NOT NULL) = (c.wanted IS DISTINCT FROM 'false'::jsonb)
		WHEN 'eq' THEN c.actual = c.wanted
		WHEN 'ne' THEN c.actual IS DISTINCT FROM c.wanted
		WHEN 'in' THEN EXISTS (SELECT FROM jsonb_array_elements(c.wanted) AS w WHERE w.value = c.actual)
		WHEN 'contains' THEN CASE WHEN jsonb_typeof(c.actual) = 'string' AND jsonb_typeof(c.wanted) = 'string'
			THEN position(c.wanted #>> '{}' IN c.actual #>> '{}') > 0 ELSE c.actual @> c.wanted END
		ELSE CASE WHEN jsonb_typeof(c.actual) = jsonb_typeof(c.wanted) AND jsonb_typeof(c.actual) IN ('number', 'string') THEN
			CASE c.op WHEN 'lt' THEN c.actual < c.wanted WHEN 'le' THEN c.actual <= c.wanted
				WHEN 'gt' THEN c.actual > c.wanted WHEN 'ge' THEN c.actual >= c.wanted END END
		END, false)), true)
	FROM (SELECT e.value ->> 'op', context #> string_to_array(e.value ->> 'path', '.'), e.value -> 'value'
	FROM jsonb_array_elements(conditions) AS e) AS c (op, actual, wanted));
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_holds(jsonb, jsonb) IS
'Whether all conditions of a step hold. path: keys and places in arrays, separated by dots. lt, le, gt, ge compare numbers with numbers and texts with texts; of what is not there only ne, and exists with value false, hold.';

CREATE FUNCTION amelia_internal.platform_enter_step(of_execution uuid, step jsonb) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	action CONSTANT jsonb := COALESCE(step -> 'actions' -> 0, '{}');
	type CONSTANT text := step ->> 'step_type';
	task uuid;
BEGIN
	IF type = 'task' THEN
		INSERT INTO amelia_platform.tasks (title, description, priority, assigned_agent_id, workflow_id, step_order,
			context_data, deadline, execution_id, step_id, required_capabilities, max_attempts)
		SELECT COALESCE(action ->> 'title', step ->> 'step_id'), action ->> 'description',
			COALESCE(action ->> 'priority', 'medium'),
			(SELECT a.id FROM amelia_platform.agents AS a WHERE a.id = (action ->> 'agent_id')::uuid),
			e.workflow_id, (step ->> 'place')::integer,
			jsonb_build_object('actions', COALESCE(step -> 'actions', '[]'), 'context', e.context_data),
			clock_timestamp() + make_interval(secs => (action ->> 'deadline_seconds')::double precision),
			e.id, step ->> 'step_id',
			ARRAY(SELECT c.value FROM jsonb_array_elements_text(CASE jsonb_typeof(action -> 'required_capabilities')
				WHEN 'array' THEN action -> 'required_capabilities' ELSE '[]' END) AS c),
			COALESCE((action ->> 'max_attempts')::integer, 3)
		FROM amelia_platform.workflow_executions AS e WHERE e.id = of_execution
		RETURNING id INTO task;
	END IF;
	UPDATE amelia_platform.execution_steps AS s
	SET status = CASE WHEN type IN ('task', 'wait') THEN 'running' ELSE 'completed' END, task_id = task,
		started_at = clock_timestamp(),
		completed_at = CASE WHEN type NOT IN ('task', 'wait') THEN clock_timestamp() END
	WHERE s.execution_id = of_execution AND s.step_id = step ->> 'step_id';
	RETURN type NOT IN ('task', 'wait');
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_enter_step(uuid, jsonb) IS
'Begins a step of an execution, with its task if it is one, and returns whether it is completed at once.';

CREATE FUNCTION amelia_internal.platform_leave_step(of_execution uuid, steps jsonb, left_step text, context jsonb) RETURNS text[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	step CONSTANT jsonb := steps -> left_step;
	chosen text[];
BEGIN
	chosen := ARRAY(SELECT n.value FROM jsonb_array_elements_text(step -> 'next_steps') WITH ORDINALITY AS n,
			amelia_internal.platform_holds(COALESCE(steps -> n.value -> 'conditions', '[]'), context) AS h (holds)
		-- What a join's are about others may still bring: they are asked for again when it begins.
		WHERE h.holds OR steps -> n.value ->> 'step_type' = 'join'
		ORDER BY h.holds DESC, n.ordinality LIMIT CASE step ->> 'step_type' WHEN 'parallel' THEN NULL ELSE 1 END);
	UPDATE amelia_platform.execution_steps AS s SET taken = chosen
	WHERE s.execution_id = of_execution AND s.step_id = left_step;
	RETURN chosen;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_leave_step(uuid, jsonb, text, jsonb) IS
'Chooses where an execution goes on from a completed step: to all of its next_steps whose conditions hold from a parallel step, to the first of them from any other. To a join also when they do not hold yet, if nothing else can be entered.';

REVOKE ALL ON FUNCTION
	amelia_internal.platform_holds(jsonb, jsonb),
	amelia_internal.platform_enter_step(uuid, jsonb),
	amelia_internal.platform_leave_step(uuid, jsonb, text, jsonb)
FROM PUBLIC;
