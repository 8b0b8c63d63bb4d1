-- The schemas must be ours before anything is made in them: their owner could
-- replace or drop what stands there, so nobody else's is adopted.

-- What nobody calls by hand. Ours goes and comes with the extension.
DO $$
DECLARE
	creator CONSTANT pg_catalog.name := (SELECT pg_catalog.pg_get_userbyid(n.nspowner)
		FROM pg_catalog.pg_namespace AS n WHERE n.nspname OPERATOR(pg_catalog.=) 'amelia_internal');
BEGIN
	IF creator IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = pg_catalog.format('there is a schema "amelia_internal" already, owned by role "%s"', creator),
			HINT = 'Rename or drop that schema: the extension makes its own.';
	END IF;
END
$$;
CREATE SCHEMA amelia_internal;
COMMENT ON SCHEMA amelia_internal IS
'What the functions and triggers of Amelia call, and nobody by hand.';
REVOKE ALL ON SCHEMA amelia_internal FROM PUBLIC;

CREATE FUNCTION amelia_internal.check_schema(extension name) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	schema CONSTANT oid := quote_ident(extension)::regnamespace;
	creator name;
	strange text;
BEGIN
	-- A dump that is being restored brings the schema with its owner.
	IF amelia_internal.is_restoring() THEN
		RETURN;
	END IF;
	SELECT pg_get_userbyid(n.nspowner) INTO creator
	FROM pg_namespace AS n
	WHERE n.oid = schema;
	IF creator <> CURRENT_USER THEN
		RAISE EXCEPTION USING ERRCODE = '42501',
			MESSAGE = format('schema "%s" is owned by role "%s"', extension, creator),
			HINT = 'Rename that schema, or make its owner the role that creates the extension.';
	END IF;
	SELECT pg_get_userbyid(c.relowner) INTO creator
	FROM pg_class AS c
	WHERE c.relnamespace = schema AND c.relname = 'schema_versions' AND c.relkind = 'r'
		AND 2 = (SELECT count(*)
			FROM pg_attribute AS a
			WHERE a.attrelid = c.oid
				AND ((a.attname = 'version' AND a.atttypid = 'int4'::regtype)
				OR (a.attname = 'applied_at' AND a.atttypid = 'timestamptz'::regtype)));
	IF creator <> CURRENT_USER THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('schema "%s" holds tables of Amelia that role "%s" owns', extension, creator),
			HINT = 'Make their owner the role that creates the extension.';
	ELSIF creator IS NOT NULL THEN
		RETURN;
	END IF;
	SELECT string_agg(o.name, ', ') INTO strange
	FROM (SELECT pg_describe_object(d.classid, d.objid, d.objsubid)
			FROM pg_depend AS d
			WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = schema
				AND d.classid <> ALL (ARRAY['pg_extension'::regclass, 'pg_default_acl'::regclass])
			LIMIT 5) AS o (name);
	IF strange IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('schema "%s" holds objects that are not Amelia''s', extension),
			DETAIL = format('Found: %s.', strange),
			HINT = 'Rename that schema, then create the extension again.';
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.check_schema(name) IS
'What the script of an extension of ours begins with: raises 42501 or 55000 unless the schema of its name is empty, or holds our tables, and belongs to who creates the extension.';

CREATE FUNCTION amelia_internal.is_restoring() RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT EXISTS (SELECT FROM pg_settings AS s
	WHERE s.name = 'row_security' AND s.source IN ('session', 'client'))
$$;
COMMENT ON FUNCTION amelia_internal.is_restoring() IS
'Whether a dump is being restored in this session: every dump sets row_security, an ordinary session does not touch it.';

CREATE FUNCTION amelia_internal.revoke_defaults(extension name) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	granted record;
BEGIN
	FOR granted IN
		SELECT format('%s %s', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass) AS object, acl.grantee
		FROM pg_class AS c, LATERAL aclexplode(c.relacl) AS acl
		WHERE c.relnamespace = quote_ident(extension)::regnamespace
			AND c.relkind IN ('r', 'S')
			AND acl.grantee <> c.relowner
		UNION
		SELECT format('SCHEMA %I', extension), acl.grantee
		FROM pg_namespace AS n, LATERAL aclexplode(n.nspacl) AS acl
		WHERE n.nspname = extension AND acl.grantee <> n.nspowner
	LOOP
		EXECUTE format('REVOKE ALL ON %s FROM %s', granted.object,
			CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE granted.grantee::regrole::text END);
	END LOOP;
END
$$;
COMMENT ON FUNCTION amelia_internal.revoke_defaults(name) IS
'What the schema of an extension of ours ends with: whoever installs may have ALTER DEFAULT PRIVILEGES that hand out rights on new tables and sequences, TRIGGER among them. Tool inputs hold secrets and triggers run code, so the schema and its tables begin with no grantee but their owner.';

REVOKE ALL ON FUNCTION
	amelia_internal.check_schema(name),
	amelia_internal.is_restoring(),
	amelia_internal.revoke_defaults(name)
FROM PUBLIC;

SELECT amelia_internal.check_schema('amelia');
