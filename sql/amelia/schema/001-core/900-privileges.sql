-- Whoever installs may have ALTER DEFAULT PRIVILEGES that hand out rights on
-- new tables, TRIGGER among them. Tool inputs hold secrets and triggers run
-- code, so the tables begin with no grantee but their owner.
DO $$
DECLARE
	granted record;
BEGIN
	FOR granted IN
		SELECT DISTINCT c.oid::regclass AS relation, acl.grantee
		FROM pg_catalog.pg_class AS c,
			LATERAL pg_catalog.aclexplode(c.relacl) AS acl
		WHERE c.relnamespace = 'amelia'::regnamespace
			AND c.relkind = 'r'
			AND c.relname IN ('schema_migrations', 'event_types', 'workflows', 'workflow_leases',
				'workflow_threads', 'workflow_log', 'token_usage', 'prompts', 'prompt_versions',
				'workflow_prompt_versions', 'profiles', 'server_settings',
				'brainstorm_sessions', 'brainstorm_messages', 'brainstorm_artifacts',
				'retention_runs', 'checkpoint_schemas', 'usage_history', 'workflow_history')
			AND acl.grantee <> c.relowner
	LOOP
		IF granted.grantee = 0 THEN
			EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', granted.relation);
		ELSE
			EXECUTE format('REVOKE ALL ON %s FROM %s', granted.relation, granted.grantee::regrole);
		END IF;
	END LOOP;
END
$$;
