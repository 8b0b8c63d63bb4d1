-- What is wrong with columns of LangGraph's tables.

CREATE FUNCTION amelia_internal.checkpoint_columns()
RETURNS TABLE (relation name, attribute name, type regtype)
LANGUAGE c IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_checkpoint_columns';
COMMENT ON FUNCTION amelia_internal.checkpoint_columns() IS
'The tables that LangGraph''s savers make, with the columns of them that are used here.';

CREATE FUNCTION amelia_internal.checkpoint_columns_problem(schema_id oid) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT format('%s has no column %s of type %s', e.relation, e.attribute, e.type)
FROM amelia_internal.checkpoint_columns() AS e
WHERE NOT EXISTS (SELECT
	FROM pg_class AS c
	JOIN pg_attribute AS a ON a.attrelid = c.oid
	WHERE c.relnamespace = checkpoint_columns_problem.schema_id AND c.relname = e.relation
		AND a.attname = e.attribute AND a.atttypid = e.type AND NOT a.attisdropped)
UNION ALL
-- threads are walked through by it
SELECT format('%s has no primary key that begins with thread_id', c.relname)
FROM pg_class AS c
WHERE c.relnamespace = checkpoint_columns_problem.schema_id
	AND c.relname IN (SELECT e.relation FROM amelia_internal.checkpoint_columns() AS e)
	AND NOT EXISTS (SELECT
		FROM pg_index AS i
		JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
		WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid AND a.attname = 'thread_id')
LIMIT 1
$$;
COMMENT ON FUNCTION amelia_internal.checkpoint_columns_problem(oid) IS
'What the checkpoint tables of a schema lack of the columns and keys that LangGraph''s savers make; NULL when nothing.';

CREATE FUNCTION amelia_internal.unknown_checkpoints() RETURNS TABLE (schema_name name)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT n.nspname
	FROM pg_namespace AS n
	WHERE n.nspname !~ '^pg_'
		AND NOT EXISTS (SELECT FROM amelia.checkpoint_schemas AS s WHERE s.schema_name = n.nspname)
		AND NOT EXISTS (SELECT FROM amelia_internal.checkpoint_columns() AS e
			WHERE NOT EXISTS (SELECT FROM pg_class AS c
				JOIN pg_attribute AS a ON a.attrelid = c.oid
				WHERE c.relnamespace = n.oid AND c.relname = e.relation AND c.relkind IN ('r', 'p', 'f')
					AND a.attname = e.attribute AND a.atttypid = e.type AND NOT a.attisdropped));
END
$$;
COMMENT ON FUNCTION amelia_internal.unknown_checkpoints() IS
'The schemas with LangGraph''s tables that are neither registered nor left alone on purpose.';

CREATE FUNCTION amelia_internal.checkpoint_places()
RETURNS TABLE (schema_name name, owner oid, problem text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT s.schema_name, t.owner, CASE
		WHEN t.number < (SELECT count(DISTINCT e.relation) FROM amelia_internal.checkpoint_columns() AS e) THEN format('not all of %s are there',
			(SELECT string_agg(DISTINCT e.relation::text, ', ') FROM amelia_internal.checkpoint_columns() AS e))
		WHEN t.special IS NOT NULL THEN format('%s is not an ordinary table, or has partitions, children or rules', t.special)
		WHEN t.owners > 1 THEN 'the three tables do not have the same owner'
		WHEN t.unusable IS NOT NULL THEN format('the owner of %s lacks a privilege on it', t.unusable)
		WHEN t.refused IS NOT NULL THEN format('%s, who owns Amelia''s tables, may not SELECT and DELETE from %s, whose owner has to GRANT that',
			o.relowner::regrole, t.refused)
		WHEN NOT has_schema_privilege(t.owner, n.oid, 'USAGE') THEN 'the owner of the tables may not use the schema'
		ELSE amelia_internal.checkpoint_columns_problem(n.oid) END
	FROM amelia.checkpoint_schemas AS s
	JOIN pg_namespace AS n ON n.nspname = s.schema_name
	-- what is done there is done as the tables' owner: nobody gets more rights by that
	JOIN pg_class AS o ON o.oid = 'amelia.workflows'::regclass
	JOIN LATERAL (
		SELECT count(*) AS number, count(DISTINCT c.relowner) AS owners, max(c.relowner) AS owner,
			min(c.relname::text) FILTER (WHERE c.relkind <> 'r' OR c.relhasrules
				OR EXISTS (SELECT FROM pg_inherits AS i
					WHERE i.inhparent = c.oid OR i.inhrelid = c.oid)) AS special,
			min(c.relname::text) FILTER (WHERE NOT has_table_privilege(c.relowner, c.oid, 'SELECT')
				OR NOT has_table_privilege(c.relowner, c.oid, 'DELETE')) AS unusable,
			min(c.relname::text) FILTER (WHERE NOT has_table_privilege(o.relowner, c.oid, 'SELECT')
				OR NOT has_table_privilege(o.relowner, c.oid, 'DELETE')) AS refused
		FROM pg_class AS c
		WHERE c.relnamespace = n.oid
			AND c.relname IN (SELECT e.relation FROM amelia_internal.checkpoint_columns() AS e)
			AND c.relkind IN ('r', 'p', 'v', 'm', 'f')) AS t ON t.number > 0
	WHERE NOT s.left_alone
	ORDER BY s.schema_name;
END
$$;
COMMENT ON FUNCTION amelia_internal.checkpoint_places() IS
'What checkpoint_sources() returns.';

CREATE FUNCTION amelia_internal.verify_checkpoints()
RETURNS TABLE (problem text, object text, detail text)
LANGUAGE c STABLE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_verify_checkpoints';
COMMENT ON FUNCTION amelia_internal.verify_checkpoints() IS
'The part of verify() that looks for parents and blobs that LangGraph''s checkpoints name and that are not there, where they ought to be. Reads as the owner of the tables.';

REVOKE ALL ON FUNCTION
	amelia_internal.checkpoint_columns(),
	amelia_internal.unknown_checkpoints(),
	amelia_internal.checkpoint_places(),
	amelia_internal.checkpoint_columns_problem(oid),
	amelia_internal.verify_checkpoints()
FROM PUBLIC;
