-- Tasks: ended by others, listed and searched.

CREATE OR REPLACE FUNCTION amelia_platform.cancel_task(id uuid, reason text DEFAULT NULL)
RETURNS amelia_platform.tasks
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	ended amelia_platform.tasks;
BEGIN
	IF amelia_internal.platform_lock_task(cancel_task.id, NULL) <> 'cancelled' THEN
		UPDATE amelia_platform.tasks AS t SET status = 'cancelled', error_message = COALESCE(reason, t.error_message)
		WHERE t.id = cancel_task.id;
	END IF;
	SELECT t.* INTO ended FROM amelia_platform.tasks AS t WHERE t.id = cancel_task.id;
	RETURN ended;
END
$$;
COMMENT ON FUNCTION amelia_platform.cancel_task(uuid, text) IS
'Ends a task that is pending or in progress, and returns it; whoever holds it learns of it with its next call. The execution that it is a step of fails. Again: harmless. Errors: P0002 no such task, 55000 it is completed or failed, 22023 no id.';

CREATE OR REPLACE FUNCTION amelia_platform.list_tasks(
	status text DEFAULT NULL,
	assigned_agent_id uuid DEFAULT NULL,
	priority text DEFAULT NULL,
	workflow_id uuid DEFAULT NULL,
	execution_id uuid DEFAULT NULL,
	row_limit integer DEFAULT 50)
RETURNS SETOF amelia_platform.tasks
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.platform_check_value('task status', list_tasks.status),
		amelia_internal.platform_check_value('task priority', list_tasks.priority),
		amelia_internal.check_limit(row_limit);
	RETURN QUERY SELECT t.*
	FROM amelia_platform.tasks AS t
	WHERE (list_tasks.status IS NULL OR t.status = list_tasks.status)
		AND (list_tasks.assigned_agent_id IS NULL OR t.assigned_agent_id = list_tasks.assigned_agent_id)
		AND (list_tasks.priority IS NULL OR t.priority = list_tasks.priority)
		AND (list_tasks.workflow_id IS NULL OR t.workflow_id = list_tasks.workflow_id)
		AND (list_tasks.execution_id IS NULL OR t.execution_id = list_tasks.execution_id)
	ORDER BY t.created_at DESC, t.id DESC
	LIMIT row_limit;
END
$$;
COMMENT ON FUNCTION amelia_platform.list_tasks(text, uuid, text, uuid, uuid, integer) IS
'Tasks, the newest first; what is NULL is not asked for. Errors: 22023 an unknown status or priority, a negative limit.';

CREATE OR REPLACE FUNCTION amelia_platform.search_tasks(query text, row_limit integer DEFAULT 50)
RETURNS SETOF amelia_platform.tasks
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.check_given('query', query), amelia_internal.check_limit(row_limit);
	RETURN QUERY SELECT t.*
	FROM amelia_platform.tasks AS t, websearch_to_tsquery('english'::regconfig, query) AS q
	WHERE to_tsvector('english'::regconfig, t.title || ' ' || COALESCE(t.description, '')) @@ q
	ORDER BY ts_rank(to_tsvector('english'::regconfig, t.title || ' ' || COALESCE(t.description, '')), q) DESC, t.created_at DESC, t.id
	LIMIT row_limit;
END
$$;
COMMENT ON FUNCTION amelia_platform.search_tasks(text, integer) IS
'Tasks whose title and description have the words (English; quotes, or and - as in a search box), the best first. Errors: 22023 NULL, a negative limit.';

CREATE OR REPLACE VIEW amelia_platform.overdue_tasks WITH (security_invoker = true) AS
SELECT t.id, t.title, t.status, t.priority, t.assigned_agent_id, a.name AS agent_name, t.deadline,
	CASE WHEN isfinite(t.deadline) THEN now() - t.deadline END AS overdue_by, t.attempts, t.workflow_id, t.execution_id, t.step_id, t.created_at
FROM amelia_platform.tasks AS t
LEFT JOIN amelia_platform.agents AS a ON a.id = t.assigned_agent_id
WHERE t.deadline IS NOT NULL AND t.deadline < now() AND t.status::text IN ('pending', 'in_progress');
COMMENT ON VIEW amelia_platform.overdue_tasks IS
'Tasks that are pending or in progress behind their deadline. overdue_by: since when; NULL for a deadline that is -infinity.';

REVOKE ALL ON amelia_platform.overdue_tasks FROM PUBLIC;
REVOKE ALL ON FUNCTION
	amelia_platform.cancel_task(uuid, text),
	amelia_platform.list_tasks(text, uuid, text, uuid, uuid, integer),
	amelia_platform.search_tasks(text, integer)
FROM PUBLIC;
