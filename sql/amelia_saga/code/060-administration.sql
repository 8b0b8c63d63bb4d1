-- Privileges for the operator's own roles, and
-- whether the schema is as it should be.

CREATE FUNCTION amelia_internal.saga_role_privileges()
RETURNS TABLE (kind text, relations text[], privileges text, functions text[])
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
VALUES
	('reader', ARRAY['schema_versions', 'messages', 'files'], 'SELECT',
		ARRAY['check_given', 'check_limit', 'check_choice', 'api_objects', 'amelia_saga_scripts',
			'fts5_query', 'saga_prepare', 'saga_rank', 'saga_snippet', 'saga_words',
			'saga_check_text', 'saga_check_search', 'saga_verify_schema', 'saga_verify_words', 'saga_vector',
			'get_message', 'get_session', 'list_sessions', 'recent_messages', 'search_messages',
			'get_file', 'search_files', 'health_check', 'verify']),
	('writer', ARRAY['messages', 'files'], 'INSERT, UPDATE, DELETE',
		ARRAY['uuid_v7', 'saga_id', 'saga_check_json', 'saga_check_rows', 'check_count',
			'save_message', 'save_messages', 'save_file', 'save_files', 'forget_session'])
$$;
COMMENT ON FUNCTION amelia_internal.saga_role_privileges() IS
'What each kind of role is granted by grant_reader() and grant_writer(); a writer has what a reader has.';

CREATE FUNCTION amelia_internal.saga_grant(kinds text[], role name) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	statement text;
	foreign_object text;
BEGIN
	PERFORM amelia_internal.check_given('role'::text, role);
	-- GRANT only warns when it grants nothing.
	SELECT o.name INTO foreign_object
	FROM (SELECT c.oid::regclass::text, c.relowner
			FROM pg_class AS c, amelia_internal.saga_role_privileges() AS g
			WHERE c.relnamespace = 'amelia_saga'::regnamespace
				AND g.kind = ANY (kinds) AND c.relname = ANY (g.relations)
			UNION ALL
			SELECT p.oid::regprocedure::text, p.proowner
			FROM pg_proc AS p, amelia_internal.saga_role_privileges() AS g
			WHERE p.pronamespace IN ('amelia_saga'::regnamespace, 'amelia_internal'::regnamespace)
				AND g.kind = ANY (kinds) AND p.proname = ANY (g.functions)) AS o (name, owner)
	WHERE NOT pg_has_role(o.owner, 'USAGE')
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '42501',
			MESSAGE = format('must be owner of %s to grant on it', foreign_object);
	END IF;

	EXECUTE format('GRANT USAGE ON SCHEMA amelia_saga, amelia_internal TO %I', role);
	FOR statement IN
		SELECT format('GRANT %s ON amelia_saga.%I TO %I', g.privileges, r.name, role)
		FROM amelia_internal.saga_role_privileges() AS g, unnest(g.relations) AS r (name)
		WHERE g.kind = ANY (kinds)
		UNION ALL
		SELECT format('GRANT EXECUTE ON ROUTINE %s TO %I', p.oid::regprocedure, role)
		FROM pg_proc AS p, amelia_internal.saga_role_privileges() AS g
		WHERE g.kind = ANY (kinds) AND p.proname = ANY (g.functions)
			AND (p.pronamespace IN ('amelia_saga'::regnamespace, 'amelia_internal'::regnamespace)
				-- the default of an id
				OR p.oid = 'amelia.uuid_v7()'::regprocedure)
	LOOP
		EXECUTE statement;
	END LOOP;
END
$$;
COMMENT ON FUNCTION amelia_internal.saga_grant(text[], name) IS
'Grants what saga_role_privileges() lists for the kinds. Errors: 42704 no such role, 42501 not the owner.';

CREATE FUNCTION amelia_internal.saga_verify_schema()
RETURNS TABLE (problem text, object text, detail text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT 'schema is older than the code', 'schema_versions',
	CASE WHEN EXISTS (SELECT FROM amelia_saga.schema_versions AS m)
		THEN format('version %s is missing: run SELECT amelia_saga.migrate()', s.version)
		ELSE 'it is empty: restore its rows' END
FROM (SELECT DISTINCT c.version FROM amelia_internal.amelia_saga_scripts() AS c) AS s
WHERE s.version IS NOT NULL
	AND NOT EXISTS (SELECT FROM amelia_saga.schema_versions AS m WHERE m.version = s.version)
UNION ALL
SELECT o.kind || ' is missing, disabled or not as migrate() makes it', o.object,
	CASE WHEN o.kind IN ('index', 'column') THEN 'drop it if it is there, then ' ELSE '' END
		|| 'run SELECT amelia_saga.migrate()'
FROM amelia_internal.api_objects('amelia_saga'::name) AS o
WHERE NOT o.intact
$$;
COMMENT ON FUNCTION amelia_internal.saga_verify_schema() IS
'The part of verify() that looks at the schema: versions, functions, columns, indexes, defaults.';

CREATE FUNCTION amelia_internal.saga_verify_words()
RETURNS TABLE (problem text, object text, detail text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	searched record;
	rows bigint;
	example text;
BEGIN
	FOR searched IN
		SELECT a.attrelid::regclass AS name, a.attname, v.vector
		FROM (VALUES ('messages', 'search', 'amelia_internal.saga_vector(r.content, r.tags, NULL, false)'),
				('messages', 'search_english', 'amelia_internal.saga_vector(r.content, r.tags, NULL, true)'),
				('files', 'search', 'amelia_internal.saga_vector(r.extracted_text, r.tags, r.filename, false)'),
				('files', 'search_english', 'amelia_internal.saga_vector(r.extracted_text, r.tags, r.filename, true)'))
			AS v (name, attname, vector)
		JOIN pg_attribute AS a ON a.attrelid = to_regclass('amelia_saga.' || v.name) AND a.attname = v.attname
			AND NOT a.attisdropped
	LOOP
		EXECUTE format('SELECT count(*), min(r.id) FROM %s AS r WHERE r.%I IS DISTINCT FROM %s',
			searched.name, searched.attname, searched.vector) INTO rows, example;
		IF rows > 0 THEN
			problem := 'searched words are not those of the text';
			object := format('%s.%s', searched.name, searched.attname);
			detail := format('%s rows, such as "%s": drop the column, then run SELECT amelia_saga.migrate() or index_english(true)',
				rows, example);
			RETURN NEXT;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION amelia_internal.saga_verify_words() IS
'The part of verify() that splits all texts again, and compares.';

REVOKE ALL ON FUNCTION
	amelia_internal.saga_verify_words(),
	amelia_internal.saga_role_privileges(),
	amelia_internal.saga_grant(text[], name),
	amelia_internal.saga_verify_schema()
FROM PUBLIC;
