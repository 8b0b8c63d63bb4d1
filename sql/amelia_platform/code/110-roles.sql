-- Privileges for the operator's own roles, and whether all is well.

CREATE FUNCTION amelia_internal.amelia_platform_role_privileges()
RETURNS TABLE (kind text, relations text[], privileges text, functions text[])
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
VALUES
	('reader', ARRAY['schema_versions', 'platform_settings', 'platform_faults', 'maintenance_runs', 'agents',
			'agent_capabilities', 'agent_performance', 'workflows', 'workflow_executions', 'execution_steps', 'tasks',
			'agent_messages', 'overdue_tasks'],
		'SELECT',
		ARRAY['check_given', 'check_limit', 'api_objects', 'owners_problem', 'amelia_platform_scripts', 'verify_schema', 'verify_references',
			'platform_verify_rows', 'verify', 'platform_values', 'platform_check_value', 'platform_check_agent',
			'platform_check_needs', 'platform_stale_after', 'platform_match', 'platform_settings', 'settings',
			'list_agents', 'match_agents', 'list_tasks', 'search_tasks', 'search_workflows', 'pending_messages', 'dead_letters',
			'message_history', 'conversation', 'queue_stats', 'agent_metrics', 'wait_messages']),
	('agent', ARRAY['agents', 'agent_capabilities', 'workflows', 'workflow_executions', 'execution_steps', 'tasks',
			'agent_messages', 'platform_faults'],
		'INSERT, UPDATE',
		ARRAY['new_uuid', 'check_container', 'retry_delay', 'touch_updated_at', 'is_restoring',
			'platform_check_text', 'platform_check_interval', 'platform_is_history', 'platform_check_move', 'platform_refuse_status', 'platform_is_fault',
			'platform_note_fault', 'platform_check_written', 'platform_refuse_step', 'platform_check_conditions', 'platform_check_action',
			'platform_check_steps', 'platform_check_definition', 'platform_holds', 'platform_enter_step', 'platform_leave_step',
			'platform_run', 'platform_end_execution', 'platform_step_ended', 'platform_next_task', 'platform_claim',
			'platform_touch_agent', 'platform_lock_task', 'platform_best_agent', 'platform_deliver', 'platform_receive',
			'platform_lock_message', 'platform_lock_execution', 'platform_check_workflow_id', 'platform_stop_execution', 'platform_each', 'platform_faulty', 'platform_return_tasks',
			'register_agent', 'update_agent', 'agent_heartbeat', 'set_capability', 'create_task', 'assign_task', 'claim_task',
			'heartbeat_task', 'complete_task', 'fail_task', 'cancel_task', 'send_message', 'receive_messages', 'ack_message',
			'fail_message', 'broadcast_message', 'create_workflow', 'set_workflow_definition', 'start_execution',
			'advance_execution', 'cancel_execution', 'fail_execution', 'record_metric']),
	('agent', ARRAY['agent_performance'], 'INSERT', '{}'),
	('admin', ARRAY['agents', 'agent_capabilities', 'agent_performance', 'workflows', 'workflow_executions', 'tasks',
			'agent_messages', 'platform_settings', 'platform_faults'],
		'INSERT, UPDATE, DELETE',
		ARRAY['migrate', 'redrive_message', 'update_settings', 'platform_check_settings', 'run_maintenance'])
$$;
COMMENT ON FUNCTION amelia_internal.amelia_platform_role_privileges() IS
'What each kind of role is granted by grant_reader(), grant_agent() and grant_admin() of amelia_platform; each kind has what the kinds before it have.';

CREATE FUNCTION amelia_internal.platform_verify_rows()
RETURNS TABLE (problem text, object text, detail text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT 'execution that nothing takes on', 'execution ' || e.id, 'it runs, and none of its steps does: fail or cancel it'
FROM amelia_platform.workflow_executions AS e
WHERE e.status = 'running' AND NOT EXISTS (SELECT FROM amelia_platform.execution_steps AS s
	WHERE s.execution_id = e.id AND s.status = 'running')
UNION ALL
SELECT 'step whose task is over or gone', format('step "%s" of execution %s', s.step_id, s.execution_id),
	CASE WHEN t.id IS NULL THEN 'it runs, and has no task' ELSE format('it runs, and its task is %s', t.status) END
FROM amelia_platform.workflow_executions AS e
JOIN amelia_platform.execution_steps AS s ON s.execution_id = e.id AND s.status = 'running'
LEFT JOIN amelia_platform.tasks AS t ON t.id = s.task_id
WHERE e.status = 'running' AND (t.status IN ('completed', 'failed', 'cancelled')
	-- of what was brought as history anything may be there
	OR t.id IS NULL AND jsonb_path_exists(e.definition, '$.steps[*] ? (@.step_id == $id && @.step_type == "task")',
		jsonb_build_object('id', s.step_id), true))
UNION ALL
SELECT 'task of an execution that is over', 'task ' || t.id, format('it is %s, its execution %s', t.status, e.status)
FROM amelia_platform.tasks AS t
JOIN amelia_platform.workflow_executions AS e ON e.id = t.execution_id
WHERE t.status IN ('pending', 'in_progress') AND e.status <> 'running'
UNION ALL
SELECT 'lease of a task that is not in progress', 'task ' || t.id, format('it is %s', t.status)
FROM amelia_platform.tasks AS t
WHERE t.leased_until IS NOT NULL AND t.status <> 'in_progress'
UNION ALL
SELECT 'task in progress that nobody has', 'task ' || t.id, 'it has neither an agent nor a lease, so nothing takes it back'
FROM amelia_platform.tasks AS t
WHERE t.status = 'in_progress' AND t.assigned_agent_id IS NULL AND t.leased_until IS NULL
UNION ALL
SELECT 'end without a time', 'task ' || t.id, format('it is %s, and nothing deletes it', t.status)
FROM amelia_platform.tasks AS t
WHERE t.status IN ('completed', 'failed', 'cancelled') AND t.completed_at IS NULL
UNION ALL
SELECT 'end without a time', 'execution ' || e.id, format('it is %s, and nothing deletes it', e.status)
FROM amelia_platform.workflow_executions AS e
WHERE e.status <> 'running' AND e.completed_at IS NULL
$$;
COMMENT ON FUNCTION amelia_internal.platform_verify_rows() IS
'The part of verify() of amelia_platform that looks at executions, their steps and tasks.';

REVOKE ALL ON FUNCTION
	amelia_internal.amelia_platform_role_privileges(),
	amelia_internal.platform_verify_rows()
FROM PUBLIC;
