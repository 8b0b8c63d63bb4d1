-- SQLite's texts are Unicode, and words are told by their Unicode characters.
DO $$
BEGIN
	IF pg_catalog.getdatabaseencoding() OPERATOR(pg_catalog.<>) 'UTF8' THEN
		RAISE EXCEPTION USING ERRCODE = '0A000',
			MESSAGE = pg_catalog.format('amelia_saga needs a database with encoding UTF8, not %s', pg_catalog.getdatabaseencoding()),
			HINT = 'Create one with CREATE DATABASE … ENCODING ''UTF8'' TEMPLATE template0.';
	END IF;
END
$$;

-- The schema must be ours before anything is made in it: its owner could
-- replace or drop what stands there, so nobody else's is adopted.
DO $$
DECLARE
	schema CONSTANT pg_catalog.oid := 'amelia_saga'::pg_catalog.regnamespace;
	creator pg_catalog.name;
	strange text;
BEGIN
	-- A dump that is being restored brings the schema with its owner; see
	-- migrate.c for how it is known.
	IF EXISTS (SELECT FROM pg_catalog.pg_settings AS s
			WHERE s.name OPERATOR(pg_catalog.=) 'row_security'
				AND s.source OPERATOR(pg_catalog.=) ANY (ARRAY['session', 'client'])) THEN
		RETURN;
	END IF;
	SELECT pg_catalog.pg_get_userbyid(n.nspowner) INTO creator
	FROM pg_catalog.pg_namespace AS n
	WHERE n.oid OPERATOR(pg_catalog.=) schema;
	IF creator OPERATOR(pg_catalog.<>) CURRENT_USER THEN
		RAISE EXCEPTION USING ERRCODE = '42501',
			MESSAGE = pg_catalog.format('schema "amelia_saga" is owned by role "%s"', creator),
			HINT = 'Rename that schema, or make its owner the role that creates the extension.';
	END IF;
	SELECT pg_catalog.pg_get_userbyid(c.relowner) INTO creator
	FROM pg_catalog.pg_class AS c
	WHERE c.relnamespace OPERATOR(pg_catalog.=) schema
		AND c.relname OPERATOR(pg_catalog.=) 'schema_versions'
		AND c.relkind OPERATOR(pg_catalog.=) 'r'
		AND 2 OPERATOR(pg_catalog.=) (SELECT pg_catalog.count(*)
			FROM pg_catalog.pg_attribute AS a
			WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid
				AND ((a.attname OPERATOR(pg_catalog.=) 'version'
					AND a.atttypid OPERATOR(pg_catalog.=) 'pg_catalog.int4'::pg_catalog.regtype::pg_catalog.oid)
				OR (a.attname OPERATOR(pg_catalog.=) 'applied_at'
					AND a.atttypid OPERATOR(pg_catalog.=) 'pg_catalog.timestamptz'::pg_catalog.regtype::pg_catalog.oid)));
	IF creator OPERATOR(pg_catalog.<>) CURRENT_USER THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = pg_catalog.format('schema "amelia_saga" holds tables of Amelia that role "%s" owns', creator),
			HINT = 'Make their owner the role that creates the extension.';
	ELSIF creator IS NOT NULL THEN
		RETURN;
	END IF;
	SELECT pg_catalog.string_agg(o.name, ', ') INTO strange
	FROM (SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
			FROM pg_catalog.pg_depend AS d
			WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass
				AND d.refobjid OPERATOR(pg_catalog.=) schema
				AND d.classid OPERATOR(pg_catalog.<>) ALL (ARRAY[
					'pg_catalog.pg_extension'::pg_catalog.regclass,
					'pg_catalog.pg_default_acl'::pg_catalog.regclass])
			LIMIT 5) AS o (name);
	IF strange IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = 'schema "amelia_saga" holds objects that are not Amelia''s',
			DETAIL = pg_catalog.format('Found: %s.', strange),
			HINT = 'Rename that schema, then create the extension again.';
	END IF;
END
$$;
