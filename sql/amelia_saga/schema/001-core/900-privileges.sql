-- Whoever installs may have ALTER DEFAULT PRIVILEGES that hand out rights on
-- new tables and sequences, TRIGGER among them. Messages hold secrets and triggers run
-- code, so the schema and its tables begin with no grantee but their owner.
DO $$
DECLARE
	granted record;
BEGIN
	FOR granted IN
		SELECT format('%s %s', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass) AS object, acl.grantee
		FROM pg_catalog.pg_class AS c,
			LATERAL pg_catalog.aclexplode(c.relacl) AS acl
		WHERE c.relnamespace = 'amelia_saga'::regnamespace
			AND c.relkind IN ('r', 'S')
			AND acl.grantee <> c.relowner
		UNION
		SELECT 'SCHEMA amelia_saga', acl.grantee
		FROM pg_catalog.pg_namespace AS n,
			LATERAL pg_catalog.aclexplode(n.nspacl) AS acl
		WHERE n.nspname = 'amelia_saga' AND acl.grantee <> n.nspowner
	LOOP
		IF granted.grantee = 0 THEN
			EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', granted.object);
		ELSE
			EXECUTE format('REVOKE ALL ON %s FROM %s', granted.object, granted.grantee::regrole);
		END IF;
	END LOOP;
END
$$;
