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
			'retention_runs', 'checkpoint_schemas', 'usage_history', 'workflow_history',
			'usage_days', 'usage_dirty_days', 'usage_workflow_days', 'usage_day_sums', 'usage_day_workflows',
			'model_prices', 'unpriced_usage', 'budgets', 'budget_spending', 'budget_warnings',
			'kept_usage', 'usage_daily', 'active_workflows', 'workflow_overview'],
		'SELECT',
		ARRAY['check_given', 'check_limit', 'check_cursor', 'check_choice',
			'get_workflow', 'active_workflow', 'list_workflows', 'count_workflows',
			'list_active_workflows', 'last_sequence', 'events_after', 'events_after_event',
			'recent_events', 'event_exists', 'token_summary', 'token_summaries',
			'prompt_history', 'current_prompt', 'workflow_prompts', 'active_profile',
			'settings', 'brainstorm_messages_after', 'list_brainstorm_sessions',
			'brainstorm_usage', 'queue_status', 'dead_workflows', 'feed_after', 'feed_now',
			'wait_events', 'table_checksum', 'row_checksums', 'verify', 'verify_schema', 'verify_sequences',
			'verify_references', 'verify_workflows', 'api_objects', 'amelia_scripts',
			'retention_preview', 'checkpoint_stats', 'checkpoint_sources', 'checkpoint_columns_problem', 'checkpoint_columns', 'unknown_checkpoints',
			'maintenance_status', 'maintenance_state', 'vacuum_holders',
			'usage_summary', 'usage_trend', 'usage_by_model', 'usage_by_agent', 'usage_by_profile',
			'find_price', 'price_usage', 'price_rate', 'reports_cached_as_input', 'shorter_model_name',
			'check_usage', 'check_service_tier', 'check_integers', 'sparkline', 'budget_status', 'budget_period', 'spent_budget', 'check_budgets']),
	('worker', ARRAY['workflows', 'workflow_prompt_versions', 'workflow_threads',
			'brainstorm_sessions', 'brainstorm_artifacts'],
		'INSERT, UPDATE',
		ARRAY['uuid_v7', 'check_container', 'check_count', 'check_cost', 'check_transition', 'hold_workflow', 'lock_workflow',
			'create_workflow', 'set_workflow_status', 'transition_event', 'set_plan_cache',
			'append_event', 'append_events', 'next_sequence', 'record_usage',
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
			'update_settings', 'check_settings', 'run_retention', 'delete_thread',
			'unlink_thread', 'forget_workflow', 'close_days', 'load_prices', 'store_price',
			'listed_prices', 'litellm_rates', 'models_dev_rates', 'openrouter_rates',
			'compact_budgets', 'requeue_workflow', 'fence_checkpoints', 'fence_thread', 'prune_feed']),
	('admin', ARRAY['model_prices', 'unpriced_usage', 'budgets'], 'INSERT, UPDATE, DELETE', '{}'),
	('admin', ARRAY['usage_history', 'workflow_history', 'claim_faults'], 'DELETE', '{}')
$$;
COMMENT ON FUNCTION amelia_internal.role_privileges() IS
'What each kind of role is granted by grant_reader(), grant_worker() and grant_admin(); each kind has what the kinds before it have.';

CREATE FUNCTION amelia_internal.grant_privileges(kinds text[], role name) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	statement text;
	foreign_object text;
BEGIN
	PERFORM amelia_internal.check_given('role', role);
	-- GRANT only warns when it grants nothing.
	SELECT o.name INTO foreign_object
	FROM (SELECT c.oid::regclass::text, c.relowner
			FROM pg_class AS c, amelia_internal.role_privileges() AS g
			WHERE c.relnamespace = 'amelia'::regnamespace
				AND g.kind = ANY (kinds) AND c.relname = ANY (g.relations)
			UNION ALL
			SELECT p.oid::regprocedure::text, p.proowner
			FROM pg_proc AS p, amelia_internal.role_privileges() AS g
			WHERE p.pronamespace IN ('amelia'::regnamespace, 'amelia_internal'::regnamespace)
				AND g.kind = ANY (kinds) AND p.proname = ANY (g.functions)) AS o (name, owner)
	WHERE NOT pg_has_role(o.owner, 'USAGE')
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '42501',
			MESSAGE = format('must be owner of %s to grant on it', foreign_object);
	END IF;

	EXECUTE format('GRANT USAGE ON SCHEMA amelia, amelia_internal TO %I', role);
	FOR statement IN
		SELECT format('GRANT %s ON amelia.%I TO %I', g.privileges, r.name, role)
		FROM amelia_internal.role_privileges() AS g, unnest(g.relations) AS r (name)
		WHERE g.kind = ANY (kinds)
		UNION ALL
		SELECT format('GRANT EXECUTE ON ROUTINE %s TO %I', p.oid::regprocedure, role)
		FROM pg_proc AS p, amelia_internal.role_privileges() AS g
		WHERE p.pronamespace IN ('amelia'::regnamespace, 'amelia_internal'::regnamespace)
			AND g.kind = ANY (kinds) AND p.proname = ANY (g.functions)
	LOOP
		EXECUTE statement;
	END LOOP;
END
$$;
COMMENT ON FUNCTION amelia_internal.grant_privileges(text[], name) IS
'Grants what role_privileges() lists for the kinds. Errors: 42704 no such role, 42501 not the owner.';

REVOKE ALL ON FUNCTION
	amelia_internal.role_privileges(),
	amelia_internal.grant_privileges(text[], name)
FROM PUBLIC;
