-- Whoever installs may have ALTER DEFAULT PRIVILEGES that hand out rights on
-- new tables, TRIGGER among them. Tool inputs hold secrets and triggers run
-- code, so the schema and its tables begin with no grantee but their owner.
DO $$
DECLARE
	granted record;
BEGIN
	FOR granted IN
		SELECT format('TABLE %s', c.oid::regclass) AS object, acl.grantee
		FROM pg_catalog.pg_class AS c,
			LATERAL pg_catalog.aclexplode(c.relacl) AS acl
		WHERE c.relnamespace = 'amelia'::regnamespace
			AND c.relkind = 'r'
			AND c.relname IN ('schema_migrations', 'event_types', 'workflows', 'workflow_leases',
				'workflow_slots', 'workflow_inbox', 'workflow_feed', 'feed_state',
				'workflow_threads', 'workflow_log', 'token_usage', 'prompts', 'prompt_versions',
				'workflow_prompt_versions', 'profiles', 'server_settings',
				'brainstorm_sessions', 'brainstorm_messages', 'brainstorm_artifacts')
			AND acl.grantee <> c.relowner
		UNION
		SELECT 'SCHEMA amelia', acl.grantee
		FROM pg_catalog.pg_namespace AS n,
			LATERAL pg_catalog.aclexplode(n.nspacl) AS acl
		WHERE n.nspname = 'amelia' AND acl.grantee <> n.nspowner
	LOOP
		IF granted.grantee = 0 THEN
			EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', granted.object);
		ELSE
			EXECUTE format('REVOKE ALL ON %s FROM %s', granted.object, granted.grantee::regrole);
		END IF;
	END LOOP;
END
$$;
