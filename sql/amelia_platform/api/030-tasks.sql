-- Tasks: made, assigned, claimed, and brought to an end.

CREATE OR REPLACE FUNCTION amelia_platform.create_task(
	title text,
	description text DEFAULT NULL,
	priority text DEFAULT 'medium',
	assigned_agent_id uuid DEFAULT NULL,
	required_capabilities text[] DEFAULT '{}',
	context_data jsonb DEFAULT '{}',
	deadline timestamptz DEFAULT NULL,
	workflow_id uuid DEFAULT NULL,
	step_order integer DEFAULT 0,
	max_attempts integer DEFAULT 3,
	available_at timestamptz DEFAULT NULL,
	id uuid DEFAULT NULL)
RETURNS amelia_platform.tasks
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	created amelia_platform.tasks;
BEGIN
	PERFORM amelia_internal.check_given('title', create_task.title),
		amelia_internal.platform_check_text('title', create_task.title, 500),
		amelia_internal.check_given('priority', create_task.priority),
		amelia_internal.platform_check_value('task priority', create_task.priority),
		amelia_internal.platform_check_needs(create_task.required_capabilities),
		amelia_internal.check_given('context_data', create_task.context_data),
		amelia_internal.check_container('context_data', create_task.context_data),
		amelia_internal.check_given('step_order', create_task.step_order),
		amelia_internal.check_given('max_attempts', create_task.max_attempts);
	IF create_task.max_attempts < 1 THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('max_attempts must be at least 1, not %s', create_task.max_attempts);
	END IF;
	IF create_task.assigned_agent_id IS NOT NULL THEN
		PERFORM amelia_internal.platform_check_agent('assigned_agent_id', create_task.assigned_agent_id);
	END IF;
	IF create_task.workflow_id IS NOT NULL THEN
		PERFORM amelia_internal.platform_check_workflow_id(create_task.workflow_id);
	END IF;
	INSERT INTO amelia_platform.tasks (id, title, description, priority, assigned_agent_id, required_capabilities, context_data,
		deadline, workflow_id, step_order, max_attempts, available_at)
	VALUES (COALESCE(create_task.id, amelia_internal.new_uuid()), create_task.title, create_task.description, create_task.priority,
		create_task.assigned_agent_id, create_task.required_capabilities, create_task.context_data, create_task.deadline,
		create_task.workflow_id, create_task.step_order, create_task.max_attempts, COALESCE(create_task.available_at, now()))
	ON CONFLICT (id) DO NOTHING
	RETURNING * INTO created;
	IF FOUND THEN
		RETURN created;
	END IF;

	-- Sent again: the first result, if it is the same task that is asked for.
	SELECT t.* INTO created
	FROM amelia_platform.tasks AS t
	WHERE t.id = create_task.id AND t.title = create_task.title
		AND t.description IS NOT DISTINCT FROM create_task.description AND t.priority = create_task.priority
		AND t.required_capabilities = create_task.required_capabilities AND t.context_data = create_task.context_data
		AND t.deadline IS NOT DISTINCT FROM create_task.deadline
		AND t.workflow_id IS NOT DISTINCT FROM create_task.workflow_id AND t.step_order = create_task.step_order;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '23505',
			MESSAGE = format('task %s exists already, with other content', create_task.id),
			SCHEMA = 'amelia_platform', TABLE = 'tasks', CONSTRAINT = 'tasks_pkey';
	END IF;
	RETURN created;
END
$$;
COMMENT ON FUNCTION amelia_platform.create_task(text, text, text, uuid, text[], jsonb, timestamptz, uuid, integer, integer, timestamptz, uuid) IS
'Makes a new pending task, and returns it. assigned_agent_id NULL: whoever can; available_at NULL: at once. Sent again with the same id and content it returns that task as it is now and stores nothing; with other content 23505. Errors: P0002 no such agent or workflow, 22023 a NULL where none belongs, an unknown priority, a title that is empty or too long, max_attempts below 1.';

CREATE OR REPLACE FUNCTION amelia_platform.assign_task(id uuid, agent_id uuid DEFAULT NULL)
RETURNS amelia_platform.tasks
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	found_status text;
	chosen uuid := agent_id;
	assigned amelia_platform.tasks;
BEGIN
	IF chosen IS NOT NULL THEN
		PERFORM amelia_internal.platform_check_agent('agent_id', chosen);
	END IF;
	found_status := amelia_internal.platform_lock_task(assign_task.id, NULL);
	IF found_status <> 'pending' THEN
		PERFORM amelia_internal.platform_refuse_status('task', assign_task.id, found_status, 'Only a pending task can be assigned.');
	END IF;
	IF chosen IS NULL THEN
		SELECT amelia_internal.platform_best_agent(t.required_capabilities) INTO chosen
		FROM amelia_platform.tasks AS t WHERE t.id = assign_task.id;
		IF chosen IS NULL THEN
			RAISE EXCEPTION USING ERRCODE = 'P0002',
				MESSAGE = format('no agent can do task %s', assign_task.id),
				HINT = 'See match_agents() with its required_capabilities; leave it to whoever claims it, or name an agent.';
		END IF;
	END IF;
	UPDATE amelia_platform.tasks AS t SET assigned_agent_id = chosen
	WHERE t.id = assign_task.id
	RETURNING t.* INTO assigned;
	RETURN assigned;
END
$$;
COMMENT ON FUNCTION amelia_platform.assign_task(uuid, uuid) IS
'Says who is to do a pending task, and returns it. agent_id NULL: the first of match_agents() for what it requires. Errors: P0002 no such task or agent, or none can do it, 55000 the task is not pending, 22023 no id.';

CREATE OR REPLACE FUNCTION amelia_platform.claim_task(agent_id uuid, lease interval DEFAULT '60 seconds')
RETURNS SETOF amelia_platform.tasks
LANGUAGE plpgsql VOLATILE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	claimed uuid;
BEGIN
	PERFORM amelia_internal.platform_check_agent('agent_id', claim_task.agent_id),
		amelia_internal.platform_check_interval('lease', lease, interval '1 millisecond');
	PERFORM amelia_internal.platform_touch_agent(claim_task.agent_id);
	claimed := amelia_internal.platform_claim(claim_task.agent_id, lease);
	RETURN QUERY SELECT t.* FROM amelia_platform.tasks AS t WHERE t.id = claimed;
END
$$;
COMMENT ON FUNCTION amelia_platform.claim_task(uuid, interval) IS
'Gives an agent a lease on the first task that is assigned to it, or to nobody and within what it can do: urgent before high before medium before low, then by deadline, then the oldest; moves it to in_progress, and returns it with its lease_token; no row when there is none. At once: it waits for nobody. Errors: P0002 no such agent, 22023 a NULL, a lease that is not longer than nothing.';

CREATE OR REPLACE FUNCTION amelia_platform.heartbeat_task(id uuid, lease_token bigint, lease interval DEFAULT '60 seconds')
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	leased timestamptz;
	holder uuid;
BEGIN
	PERFORM amelia_internal.check_given('id', heartbeat_task.id),
		amelia_internal.check_given('lease_token', heartbeat_task.lease_token),
		amelia_internal.platform_check_interval('lease', lease, interval '1 millisecond');
	UPDATE amelia_platform.tasks AS t SET leased_until = clock_timestamp() + lease
	WHERE t.id = heartbeat_task.id AND t.status = 'in_progress' AND t.lease_token = heartbeat_task.lease_token
		AND (t.leased_until IS NULL OR t.leased_until > clock_timestamp())
	RETURNING t.leased_until, t.assigned_agent_id INTO leased, holder;
	IF NOT FOUND THEN
		PERFORM amelia_internal.platform_refuse_status('task', heartbeat_task.id,
			amelia_internal.platform_lock_task(heartbeat_task.id, heartbeat_task.lease_token),
			'Leave it, and claim another.');
	END IF;
	PERFORM amelia_internal.platform_touch_agent(holder);
	RETURN leased;
END
$$;
COMMENT ON FUNCTION amelia_platform.heartbeat_task(uuid, bigint, interval) IS
'Prolongs the lease on a task: from now on it lasts that long. Returns its new end. Counts as a heartbeat of the agent. Errors: 55000 the lease is lost, or the task is over, P0002 no such task, 22023 a NULL, a lease that is not longer than nothing.';

CREATE OR REPLACE FUNCTION amelia_platform.complete_task(id uuid, lease_token bigint, result jsonb DEFAULT '{}')
RETURNS amelia_platform.tasks
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	found_status text;
	ended amelia_platform.tasks;
BEGIN
	PERFORM amelia_internal.check_given('id', complete_task.id),
		amelia_internal.check_given('lease_token', complete_task.lease_token),
		amelia_internal.check_given('result', result),
		amelia_internal.check_container('result', result);
	found_status := amelia_internal.platform_lock_task(complete_task.id, complete_task.lease_token);
	IF found_status = 'completed' THEN
		-- Sent again.
		SELECT t.* INTO ended FROM amelia_platform.tasks AS t
		WHERE t.id = complete_task.id AND t.result_data = result;
		IF FOUND THEN
			RETURN ended;
		END IF;
	END IF;
	IF found_status <> 'in_progress' THEN
		PERFORM amelia_internal.platform_refuse_status('task', complete_task.id, found_status, 'Only a task in progress can be completed.');
	END IF;
	UPDATE amelia_platform.tasks AS t SET status = 'completed', result_data = result, error_message = NULL
	WHERE t.id = complete_task.id
	RETURNING t.* INTO ended;
	RETURN ended;
END
$$;
COMMENT ON FUNCTION amelia_platform.complete_task(uuid, bigint, jsonb) IS
'Ends a task well, and returns it: counts what was used of its agent''s capabilities, and takes its execution on. Sent again with the same result it is harmless. Errors: 55000 the lease is lost, or the task is not in progress, P0002 no such task, 22023 a NULL, a result that is a JSON scalar.';

CREATE OR REPLACE FUNCTION amelia_platform.fail_task(id uuid, lease_token bigint, error text, retry_after interval DEFAULT NULL)
RETURNS amelia_platform.tasks
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	found_status text;
	ended amelia_platform.tasks;
BEGIN
	PERFORM amelia_internal.check_given('id', fail_task.id),
		amelia_internal.check_given('lease_token', fail_task.lease_token),
		amelia_internal.check_given('error', error);
	IF retry_after IS NOT NULL THEN
		PERFORM amelia_internal.platform_check_interval('retry_after', retry_after, interval '0');
	END IF;
	found_status := amelia_internal.platform_lock_task(fail_task.id, fail_task.lease_token);
	IF found_status <> 'in_progress' THEN
		PERFORM amelia_internal.platform_refuse_status('task', fail_task.id, found_status, 'Only a task in progress can be failed.');
	END IF;
	UPDATE amelia_platform.tasks AS t
	SET status = 'pending', assigned_agent_id = NULL, error_message = error,
		available_at = clock_timestamp() + COALESCE(retry_after, amelia_internal.retry_delay(t.attempts, 10))
	WHERE t.id = fail_task.id
	RETURNING t.* INTO ended;
	RETURN ended;
END
$$;
COMMENT ON FUNCTION amelia_platform.fail_task(uuid, bigint, text, interval) IS
'Ends an attempt that came to nothing, and returns the task: pending again for whoever can, after retry_after or retry_delay(), while attempts are left, else failed, and its execution with it. Errors: 55000 the lease is lost, or the task is not in progress, P0002 no such task, 22023 a NULL, a delay below nothing.';

REVOKE ALL ON FUNCTION
	amelia_platform.create_task(text, text, text, uuid, text[], jsonb, timestamptz, uuid, integer, integer, timestamptz, uuid),
	amelia_platform.assign_task(uuid, uuid),
	amelia_platform.claim_task(uuid, interval),
	amelia_platform.heartbeat_task(uuid, bigint, interval),
	amelia_platform.complete_task(uuid, bigint, jsonb),
	amelia_platform.fail_task(uuid, bigint, text, interval)
FROM PUBLIC;
