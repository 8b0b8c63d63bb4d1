-- Privileges for the operator's own roles.

CREATE FUNCTION amelia_internal.role_privileges()
RETURNS TABLE (kind text, relations text[], privileges text, functions text[])
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
VALUES
	('reader', ARRAY['schema_versions', 'schema_migrations', 'event_types', 'workflows', 'workflow_leases',
			'claim_faults', 'workflow_inbox', 'workflow_feed', 'feed_snapshots',
			'workflow_threads', 'workflow_log', 'token_usage', 'prompts', 'prompt_versions',
			'workflow_prompt_versions', 'profiles', 'server_settings',
			'brainstorm_sessions', 'brainstorm_messages', 'brainstorm_artifacts',
			'retention_runs', 'checkpoint_schemas', 'checkpoint_walks', 'usage_history', 'workflow_history',
			'usage_days', 'usage_dirty_days', 'usage_workflow_days', 'usage_day_sums', 'usage_day_workflows',
			'model_prices', 'unpriced_usage', 'budgets', 'budget_spending', 'budget_warnings',
			'kept_usage', 'usage_daily', 'active_workflows', 'workflow_overview'],
		'SELECT',
		ARRAY['check_given', 'check_limit', 'check_cursor', 'check_choice',
			'get_workflow', 'active_workflow', 'list_workflows', 'count_workflows',
			'list_active_workflows', 'last_sequence', 'events_after', 'events_after_event',
			'recent_events', 'event_exists', 'token_summary', 'token_summaries', 'token_sums',
			'prompt_history', 'current_prompt', 'workflow_prompts', 'active_profile',
			'settings', 'current_settings', 'setting_list', 'brainstorm_messages_after', 'list_brainstorm_sessions',
			'brainstorm_usage', 'queue_status', 'metrics', 'status_counts', 'oldest_claimable', 'moves_within', 'due_workflows', 'newly_dead', 'cost_today', 'waiting_sessions', 'dead_workflows', 'feed_after', 'feed_now',
			'wait_events', 'table_checksum', 'row_checksums', 'verify', 'verify_schema', 'verify_sequences',
			'verify_references', 'verify_workflows', 'verify_checkpoints', 'api_objects', 'owners_problem', 'amelia_scripts',
			'retention_preview', 'preview_retention', 'checkpoint_stats', 'checkpoint_sources', 'checkpoint_places', 'checkpoint_columns_problem', 'checkpoint_columns', 'unknown_checkpoints',
			'maintenance_status', 'maintenance_state', 'held_elsewhere', 'vacuum_holders', 'held_vacuum',
			'usage_summary', 'usage_trend', 'usage_by_model', 'usage_by_agent', 'usage_by_profile',
			'find_price', 'price_of', 'price_usage', 'usage_price', 'price_rate', 'reports_cached_as_input', 'shorter_model_name',
			'check_usage', 'check_service_tier', 'check_integers', 'sparkline', 'budget_status', 'budgets_now', 'budget_period', 'spent_budget', 'check_budgets']),
	('worker', ARRAY['workflows', 'workflow_prompt_versions', 'workflow_threads',
			'brainstorm_sessions', 'brainstorm_artifacts'],
		'INSERT, UPDATE',
		ARRAY['uuid_v7', 'new_uuid', 'check_container', 'check_count', 'check_cost', 'check_transition', 'hold_workflow', 'lock_workflow',
			'create_workflow', 'set_workflow_status', 'move_workflow', 'transition_event', 'set_plan_cache',
			'append_event', 'write_event', 'append_events', 'next_sequence', 'record_usage',
			'check_prompt_version', 'record_workflow_prompt', 'add_brainstorm_message',
			'link_thread', 'register_checkpoints', 'unregister_checkpoints',
			'claim_workflow', 'heartbeat', 'check_lease', 'give_back', 'complete_workflow', 'set_worker',
			'retry_delay', 'release_workflow', 'request_approval', 'take_inbox',
			'request_cancel', 'decide', 'send_to_workflow']),
	('worker', ARRAY['workflow_log', 'token_usage', 'brainstorm_messages', 'unpriced_usage'], 'INSERT', '{}'),
	('worker', ARRAY['workflow_inbox'], 'INSERT, UPDATE', '{}'),
	('admin', ARRAY['schema_migrations', 'event_types', 'workflows', 'workflow_leases', 'workflow_inbox',
			'workflow_feed', 'feed_snapshots', 'workflow_threads',
			'workflow_log', 'token_usage', 'prompts', 'prompt_versions',
			'workflow_prompt_versions', 'profiles', 'server_settings',
			'brainstorm_sessions', 'brainstorm_messages', 'brainstorm_artifacts'],
		'INSERT, UPDATE, DELETE',
		ARRAY['migrate', 'seed_prompts', 'check_objects', 'lock_prompt', 'create_prompt_version',
			'set_prompt_version', 'reset_prompt', 'set_active_profile',
			'update_settings', 'check_settings', 'run_retention', 'prune', 'delete_for_runs', 'copy_thread',
			'delete_thread', 'delete_checkpoints', 'unlink_thread', 'forget_workflow', 'close_days', 'load_prices', 'store_price',
			'listed_prices', 'litellm_rates', 'models_dev_rates', 'openrouter_rates',
			'compact_budgets', 'requeue_workflow', 'fence_checkpoints', 'fence_thread', 'prune_feed', 'trim_feed']),
	('admin', ARRAY['model_prices', 'unpriced_usage', 'budgets'], 'INSERT, UPDATE, DELETE', '{}'),
	('admin', ARRAY['usage_history', 'workflow_history', 'claim_faults'], 'DELETE', '{}'),
	('monitor', ARRAY['schema_versions', 'retention_runs', 'server_settings', 'budgets', 'budget_spending'], 'SELECT',
		ARRAY['metrics', 'status_counts', 'oldest_claimable', 'moves_within', 'due_workflows', 'newly_dead', 'cost_today', 'waiting_sessions',
			'feed_now', 'current_settings', 'setting_list', 'budgets_now', 'budget_period', 'maintenance_state']),
	('monitor', ARRAY['workflows'],
		'SELECT (id, status, workflow_type, priority, available_at, retry_at, parked, completed_at, failures, max_failures)', '{}'),
	('monitor', ARRAY['workflow_leases'], 'SELECT (workflow_id, expires_at, given_back)', '{}'),
	('monitor', ARRAY['claim_faults'], 'SELECT (workflow_id, retry_at)', '{}'),
	('monitor', ARRAY['workflow_feed'], 'SELECT (origin, lsn, xid, number, workflow_id, written_at, moved_to)', '{}'),
	('monitor', ARRAY['token_usage'], 'SELECT (model, cost_usd, "timestamp")', '{}'),
	('monitor', ARRAY['usage_history'], 'SELECT (model, cost_usd, day)', '{}')
$$;
COMMENT ON FUNCTION amelia_internal.role_privileges() IS
'What each kind of role is granted by grant_reader(), grant_worker() and grant_admin(), each of which has what the kinds before it have, and by grant_monitor(), which has nothing else.';

-- One of somebody else's, who may create functions in the schema, is not among
-- them, whatever its name.
CREATE FUNCTION amelia_internal.own_routines(extension name)
RETURNS TABLE (id regprocedure, schema name, name name, owner oid)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT p.oid, n.nspname, p.proname, p.proowner
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = 'amelia_internal'
	OR (n.nspname = own_routines.extension AND p.proowner IN (
		SELECT c.relowner FROM pg_class AS c WHERE c.relnamespace = n.oid AND c.relname = 'schema_versions'
		UNION ALL
		SELECT e.extowner FROM pg_extension AS e WHERE e.extname = own_routines.extension))
$$;
COMMENT ON FUNCTION amelia_internal.own_routines(name) IS
'The functions and procedures of an extension of ours and of its api layer, and all that are internal.';

CREATE FUNCTION amelia_internal.grant_privileges(kinds text[], role name, extension name DEFAULT 'amelia') RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	wanted record;
	granted record;
BEGIN
	PERFORM amelia_internal.check_given('role', role);
	-- All of them first: GRANT only warns when it grants nothing.
	FOR pass IN 1 .. 2 LOOP
		FOR wanted IN EXECUTE format('SELECT g.* FROM amelia_internal.%I() AS g WHERE g.kind = ANY ($1)',
			CASE extension WHEN 'amelia' THEN 'role_privileges' ELSE extension || '_role_privileges' END) USING kinds
		LOOP
			FOR granted IN
				SELECT format('%s ON %s', wanted.privileges, c.oid::regclass) AS what, c.oid::regclass::text AS object, c.relowner AS owner
				FROM pg_class AS c
				WHERE c.relnamespace = to_regnamespace(quote_ident(extension)) AND c.relname = ANY (wanted.relations)
				UNION ALL
				SELECT format('EXECUTE ON ROUTINE %s', f.id), f.id::text, f.owner
				FROM amelia_internal.own_routines(extension) AS f
				WHERE f.name = ANY (wanted.functions)
			LOOP
				IF pass = 2 THEN
					EXECUTE format('GRANT %s TO %I', granted.what, role);
				ELSIF NOT pg_has_role(granted.owner, 'USAGE') THEN
					RAISE EXCEPTION USING ERRCODE = '42501',
						MESSAGE = format('must be owner of %s to grant on it', granted.object);
				END IF;
			END LOOP;
		END LOOP;
		IF pass = 1 THEN
			EXECUTE format('GRANT USAGE ON SCHEMA amelia_internal, %I TO %I', extension, role);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION amelia_internal.grant_privileges(text[], name, name) IS
'Grants what role_privileges(), or NAME_role_privileges() of another extension of ours, lists for the kinds. Errors: 42704 no such role, 42501 not the owner.';

REVOKE ALL ON FUNCTION
	amelia_internal.role_privileges(),
	amelia_internal.own_routines(name),
	amelia_internal.grant_privileges(text[], name, name)
FROM PUBLIC;
