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

CREATE FUNCTION amelia_internal.platform_enter_step(of_execution uuid, entered text) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	is_over CONSTANT boolean := (SELECT s.definition ->> 'step_type' NOT IN ('task', 'wait') FROM amelia_platform.execution_steps AS s
		WHERE s.execution_id = of_execution AND s.step_id = entered);
	task uuid;
BEGIN
	IF NOT is_over THEN
		INSERT INTO amelia_platform.tasks (title, description, priority, assigned_agent_id, workflow_id, step_order,
			context_data, deadline, execution_id, step_id, required_capabilities, max_attempts)
		SELECT COALESCE(a.action ->> 'title', s.step_id), a.action ->> 'description', COALESCE(a.action ->> 'priority', 'medium'),
			(SELECT g.id FROM amelia_platform.agents AS g WHERE g.id = (a.action ->> 'agent_id')::uuid),
			e.workflow_id, s.place,
			jsonb_build_object('actions', COALESCE(s.definition -> 'actions', '[]'), 'context', e.context_data),
			clock_timestamp() + make_interval(secs => (a.action ->> 'deadline_seconds')::double precision),
			e.id, s.step_id,
			ARRAY(SELECT c.value FROM jsonb_array_elements_text(CASE jsonb_typeof(a.action -> 'required_capabilities')
				WHEN 'array' THEN a.action -> 'required_capabilities' ELSE '[]' END) AS c),
			COALESCE((a.action ->> 'max_attempts')::numeric::integer, 3)
		FROM amelia_platform.execution_steps AS s
		JOIN amelia_platform.workflow_executions AS e ON e.id = s.execution_id,
			LATERAL (SELECT COALESCE(s.definition -> 'actions' -> 0, '{}')) AS a (action)
		WHERE s.execution_id = of_execution AND s.step_id = entered AND s.definition ->> 'step_type' = 'task'
		RETURNING id INTO task;
	END IF;
	UPDATE amelia_platform.execution_steps AS s
	SET status = CASE WHEN is_over THEN 'completed' ELSE 'running' END, task_id = task, started_at = clock_timestamp(),
		completed_at = CASE WHEN is_over THEN clock_timestamp() END
	WHERE s.execution_id = of_execution AND s.step_id = entered;
	RETURN is_over;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_enter_step(uuid, text) IS
'Begins a step of an execution, with its task if it is one, and returns whether it is completed at once.';

CREATE FUNCTION amelia_internal.platform_leave_step(of_execution uuid, left_step text, type text, targets text[], context jsonb) RETURNS text[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	chosen CONSTANT text[] := ARRAY(SELECT s.step_id
		FROM amelia_platform.execution_steps AS s,
			amelia_internal.platform_holds(COALESCE(s.definition -> 'conditions', '[]'), context) AS h (holds)
		WHERE s.execution_id = of_execution AND s.step_id = ANY (targets)
			-- What a join's are about others may still bring: they are asked for again when it begins.
			AND (h.holds OR s.definition ->> 'step_type' = 'join')
		ORDER BY h.holds DESC, array_position(targets, s.step_id) LIMIT CASE type WHEN 'parallel' THEN NULL ELSE 1 END);
BEGIN
	UPDATE amelia_platform.execution_steps AS s SET taken = chosen
	WHERE s.execution_id = of_execution AND s.step_id = left_step;
	RETURN chosen;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_leave_step(uuid, text, text, text[], jsonb) IS
'Chooses where an execution goes on from a completed step: to all of its next_steps (targets) whose conditions hold from a parallel step, to the first of them from any other. To a join also when they do not hold yet, if nothing else can be entered.';

REVOKE ALL ON FUNCTION
	amelia_internal.platform_holds(jsonb, jsonb),
	amelia_internal.platform_enter_step(uuid, text),
	amelia_internal.platform_leave_step(uuid, text, text, text[], jsonb)
FROM PUBLIC;
