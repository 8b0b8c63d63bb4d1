-- Definitions, and their executions.

CREATE OR REPLACE FUNCTION amelia_platform.create_workflow(
	name text,
	definition jsonb,
	description text DEFAULT NULL,
	created_by uuid DEFAULT NULL,
	tags text[] DEFAULT '{}',
	status text DEFAULT 'active',
	id uuid DEFAULT NULL)
RETURNS amelia_platform.workflows
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	created amelia_platform.workflows;
BEGIN
	PERFORM amelia_internal.check_given('name', create_workflow.name),
		amelia_internal.platform_check_text('name', create_workflow.name, 255),
		amelia_internal.check_given('definition', create_workflow.definition),
		amelia_internal.check_given('tags', create_workflow.tags),
		amelia_internal.check_given('status', create_workflow.status),
		amelia_internal.platform_check_value('workflow status', create_workflow.status);
	-- That of any other the table looks at itself.
	IF create_workflow.status = 'draft' THEN
		PERFORM amelia_internal.platform_check_definition(create_workflow.definition);
	END IF;
	IF create_workflow.created_by IS NOT NULL THEN
		PERFORM amelia_internal.platform_check_agent('created_by', create_workflow.created_by);
	END IF;
	INSERT INTO amelia_platform.workflows (id, name, definition, description, created_by, tags, status)
	VALUES (COALESCE(create_workflow.id, amelia_internal.new_uuid()), create_workflow.name, create_workflow.definition,
		create_workflow.description, create_workflow.created_by, create_workflow.tags, create_workflow.status)
	ON CONFLICT (id) DO NOTHING
	RETURNING * INTO created;
	IF FOUND THEN
		RETURN created;
	END IF;

	-- Sent again: the first result, if it is the same workflow that is asked for.
	SELECT w.* INTO created
	FROM amelia_platform.workflows AS w
	WHERE w.id = create_workflow.id AND w.name = create_workflow.name AND w.definition = create_workflow.definition
		AND w.description IS NOT DISTINCT FROM create_workflow.description AND w.tags = create_workflow.tags;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '23505',
			MESSAGE = format('workflow %s exists already, with other content', create_workflow.id),
			SCHEMA = 'amelia_platform', TABLE = 'workflows', CONSTRAINT = 'workflows_pkey';
	END IF;
	RETURN created;
END
$$;
COMMENT ON FUNCTION amelia_platform.create_workflow(text, jsonb, text, uuid, text[], text, uuid) IS
'Makes a new workflow from a definition that can run, and returns it. Its steps begin with the first one. step_type task: a task is made from the first of its actions (title, description, priority, agent_id, required_capabilities, max_attempts, deadline_seconds); wait: until advance_execution(); decision: at once; parallel: at once, to all of its next_steps; join: when nothing more can come to it; end. A step is entered only if all of its conditions hold ({"path", "op", "value"}, of the context_data; op: eq, ne, lt, le, gt, ge, in, contains, exists); from any step but a parallel one an execution goes to the first of next_steps that can be entered. Those of a join are asked for when it begins. Sent again with the same id and content it stores nothing; with other content 23505. Errors: 22023 a NULL, a definition that cannot run, with the step''s id, P0002 no such agent.';

CREATE OR REPLACE FUNCTION amelia_platform.set_workflow_definition(id uuid, definition jsonb)
RETURNS amelia_platform.workflows
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	changed amelia_platform.workflows;
BEGIN
	PERFORM amelia_internal.check_given('id', set_workflow_definition.id),
		amelia_internal.check_given('definition', set_workflow_definition.definition),
		amelia_internal.platform_check_workflow_id(set_workflow_definition.id),
		amelia_internal.platform_check_definition(set_workflow_definition.definition);
	UPDATE amelia_platform.workflows AS w SET definition = set_workflow_definition.definition
	WHERE w.id = set_workflow_definition.id
	RETURNING w.* INTO changed;
	RETURN changed;
END
$$;
COMMENT ON FUNCTION amelia_platform.set_workflow_definition(uuid, jsonb) IS
'Changes a workflow''s definition, counts its version up if that is another, and returns it. What runs keeps the definition that it began with. Errors: P0002 no such workflow, 22023 a NULL, a definition that cannot run, with the step''s id.';

CREATE OR REPLACE FUNCTION amelia_platform.search_workflows(query text, row_limit integer DEFAULT 50)
RETURNS SETOF amelia_platform.workflows
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.check_given('query', query), amelia_internal.check_limit(row_limit);
	RETURN QUERY SELECT w.*
	FROM amelia_platform.workflows AS w, websearch_to_tsquery('english'::regconfig, query) AS q
	WHERE to_tsvector('english'::regconfig, w.name || ' ' || COALESCE(w.description, '')) @@ q
	ORDER BY ts_rank(to_tsvector('english'::regconfig, w.name || ' ' || COALESCE(w.description, '')), q) DESC, w.created_at DESC, w.id
	LIMIT row_limit;
END
$$;
COMMENT ON FUNCTION amelia_platform.search_workflows(text, integer) IS
'Workflows whose name and description have the words (English; quotes, or and - as in a search box), the best first. Errors: 22023 NULL, a negative limit.';

CREATE OR REPLACE FUNCTION amelia_platform.start_execution(
	workflow_id uuid,
	context jsonb DEFAULT '{}',
	started_by uuid DEFAULT NULL,
	id uuid DEFAULT NULL)
RETURNS amelia_platform.workflow_executions
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	name CONSTANT uuid := COALESCE(start_execution.id, amelia_internal.new_uuid());
	started amelia_platform.workflow_executions;
BEGIN
	PERFORM amelia_internal.platform_check_workflow_id(start_execution.workflow_id),
		amelia_internal.check_given('context', context);
	IF jsonb_typeof(context) <> 'object' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('context must be a JSON object, not %s', jsonb_typeof(context));
	END IF;
	IF start_execution.started_by IS NOT NULL THEN
		PERFORM amelia_internal.platform_check_agent('started_by', start_execution.started_by);
	END IF;
	INSERT INTO amelia_platform.workflow_executions (id, workflow_id, context_data, started_by)
	VALUES (name, start_execution.workflow_id, context, start_execution.started_by)
	ON CONFLICT (id) DO NOTHING;
	-- It may have gone on already; sent again, it is as it is now.
	SELECT e.* INTO started FROM amelia_platform.workflow_executions AS e
	WHERE e.id = name AND e.workflow_id = start_execution.workflow_id
		-- but for what its steps have brought since
		AND (SELECT e.context_data - b.steps = context - b.steps
			FROM (SELECT ARRAY(SELECT s.step_id FROM amelia_platform.execution_steps AS s
				WHERE s.execution_id = e.id AND s.status = 'completed' AND s.result_data IS NOT NULL)) AS b (steps));
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '23505',
			MESSAGE = format('execution %s exists already, with other content', name),
			SCHEMA = 'amelia_platform', TABLE = 'workflow_executions', CONSTRAINT = 'workflow_executions_pkey';
	END IF;
	RETURN started;
END
$$;
COMMENT ON FUNCTION amelia_platform.start_execution(uuid, jsonb, uuid, uuid) IS
'Begins to run a workflow''s definition, with its first tasks, and returns the execution. Sent again with the same id and context it stores nothing; with others 23505. Errors: P0002 no such workflow or agent, 55000 the workflow is a draft or paused, 22023 a NULL, a context that is no object.';

CREATE OR REPLACE FUNCTION amelia_platform.advance_execution(id uuid, expected_step text, result jsonb DEFAULT '{}')
RETURNS amelia_platform.workflow_executions
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	found_status text;
	step record;
	advanced amelia_platform.workflow_executions;
BEGIN
	PERFORM amelia_internal.check_given('id', advance_execution.id),
		amelia_internal.check_given('expected_step', expected_step),
		amelia_internal.check_given('result', result),
		amelia_internal.check_container('result', result);
	-- A task before its execution, as a plain UPDATE takes them.
	PERFORM FROM amelia_platform.tasks AS t
	WHERE t.id = (SELECT s.task_id FROM amelia_platform.execution_steps AS s
		WHERE s.execution_id = advance_execution.id AND s.step_id = expected_step AND s.status = 'running')
	FOR NO KEY UPDATE;
	found_status := amelia_internal.platform_lock_execution(advance_execution.id);
	SELECT s.status, s.task_id, s.result_data INTO step
	FROM amelia_platform.execution_steps AS s
	WHERE s.execution_id = advance_execution.id AND s.step_id = expected_step;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002',
			MESSAGE = format('execution %s has no step "%s"', advance_execution.id, expected_step);
	ELSIF step.status = 'running' AND step.task_id IS NOT NULL THEN
		UPDATE amelia_platform.tasks AS t SET status = 'completed', result_data = result WHERE t.id = step.task_id;
	ELSIF step.status = 'running' THEN
		PERFORM amelia_internal.platform_step_ended(advance_execution.id, expected_step, NULL::uuid, NULL::text, result);
	ELSIF step.status <> 'completed' OR step.result_data IS DISTINCT FROM result THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('step "%s" of execution %s is %s', expected_step, advance_execution.id, step.status),
			DETAIL = format('The execution is %s.', found_status),
			HINT = 'Only a step that is running can be completed.';
	END IF;
	SELECT e.* INTO advanced FROM amelia_platform.workflow_executions AS e WHERE e.id = advance_execution.id;
	RETURN advanced;
END
$$;
COMMENT ON FUNCTION amelia_platform.advance_execution(uuid, text, jsonb) IS
'Completes a step that is running, its task with it, whoever has that, takes the execution on, and returns it. Two at the same time advance it once; sent again with the same result it is harmless. Errors: P0002 no such execution or step, 55000 the step is not running, 22023 a NULL, a result that is a JSON scalar.';

CREATE OR REPLACE FUNCTION amelia_platform.cancel_execution(id uuid, reason text DEFAULT NULL)
RETURNS amelia_platform.workflow_executions
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	ended amelia_platform.workflow_executions;
BEGIN
	PERFORM amelia_internal.platform_stop_execution(cancel_execution.id, 'cancelled', reason);
	SELECT e.* INTO ended FROM amelia_platform.workflow_executions AS e WHERE e.id = cancel_execution.id;
	RETURN ended;
END
$$;
COMMENT ON FUNCTION amelia_platform.cancel_execution(uuid, text) IS
'Ends an execution that runs, cancels its tasks, and returns it. Again: harmless. Errors: P0002 no such execution, 55000 it has ended otherwise, 22023 NULL.';

CREATE OR REPLACE FUNCTION amelia_platform.fail_execution(id uuid, error text)
RETURNS amelia_platform.workflow_executions
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	ended amelia_platform.workflow_executions;
BEGIN
	PERFORM amelia_internal.check_given('error', error),
		amelia_internal.platform_stop_execution(fail_execution.id, 'failed', error);
	SELECT e.* INTO ended FROM amelia_platform.workflow_executions AS e WHERE e.id = fail_execution.id;
	RETURN ended;
END
$$;
COMMENT ON FUNCTION amelia_platform.fail_execution(uuid, text) IS
'Ends an execution that runs as failed, cancels its tasks, and returns it. Again: harmless. Errors: P0002 no such execution, 55000 it has ended otherwise, 22023 a NULL.';

REVOKE ALL ON FUNCTION
	amelia_platform.create_workflow(text, jsonb, text, uuid, text[], text, uuid),
	amelia_platform.set_workflow_definition(uuid, jsonb),
	amelia_platform.search_workflows(text, integer),
	amelia_platform.start_execution(uuid, jsonb, uuid, uuid),
	amelia_platform.advance_execution(uuid, text, jsonb),
	amelia_platform.cancel_execution(uuid, text),
	amelia_platform.fail_execution(uuid, text)
FROM PUBLIC;
