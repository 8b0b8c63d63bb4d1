-- The schema must be ours before anything is made in it: its owner could
-- replace or drop what stands there, so nobody else's is adopted.
DO $$
DECLARE
	creator name;
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
	WHERE n.nspname OPERATOR(pg_catalog.=) 'amelia';
	IF creator OPERATOR(pg_catalog.<>) CURRENT_USER THEN
		RAISE EXCEPTION USING ERRCODE = '42501',
			MESSAGE = pg_catalog.format('schema "amelia" is owned by role "%s"', creator),
			HINT = 'Drop or rename that schema, or make its owner the role that creates the extension.';
	END IF;
	IF EXISTS (SELECT FROM pg_catalog.pg_class AS c
			WHERE c.relnamespace OPERATOR(pg_catalog.=) 'amelia'::pg_catalog.regnamespace
				AND c.relname OPERATOR(pg_catalog.=) 'schema_migrations'
				AND c.relkind OPERATOR(pg_catalog.=) 'r'
				AND pg_catalog.pg_get_userbyid(c.relowner) OPERATOR(pg_catalog.=) creator) THEN
		RETURN;
	END IF;
	SELECT pg_catalog.string_agg(o.name, ', ') INTO strange
	FROM (SELECT c.relname::pg_catalog.text
			FROM pg_catalog.pg_class AS c
			WHERE c.relnamespace OPERATOR(pg_catalog.=) 'amelia'::pg_catalog.regnamespace
			UNION ALL
			SELECT p.proname::pg_catalog.text
			FROM pg_catalog.pg_proc AS p
			WHERE p.pronamespace OPERATOR(pg_catalog.=) 'amelia'::pg_catalog.regnamespace
			UNION ALL
			SELECT t.typname::pg_catalog.text
			FROM pg_catalog.pg_type AS t
			WHERE t.typnamespace OPERATOR(pg_catalog.=) 'amelia'::pg_catalog.regnamespace
				AND t.typrelid OPERATOR(pg_catalog.=) 0
				AND t.typelem OPERATOR(pg_catalog.=) 0
			UNION ALL
			SELECT o.oprname::pg_catalog.text
			FROM pg_catalog.pg_operator AS o
			WHERE o.oprnamespace OPERATOR(pg_catalog.=) 'amelia'::pg_catalog.regnamespace
			LIMIT 5) AS o (name);
	IF strange IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = 'schema "amelia" holds objects that are not Amelia''s',
			DETAIL = pg_catalog.format('Found: %s.', strange),
			HINT = 'Drop or rename that schema, then create the extension again.';
	END IF;
END
$$;
