-- What is wrong with columns of LangGraph's tables.

CREATE FUNCTION amelia_internal.checkpoint_columns_problem(schema_id oid) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT format('%s has no column %s of type %s', e.relation, e.attribute, e.type::regtype)
FROM (VALUES
	('checkpoints', 'thread_id', 'text'::regtype), ('checkpoints', 'checkpoint_ns', 'text'),
	('checkpoints', 'checkpoint_id', 'text'), ('checkpoints', 'checkpoint', 'jsonb'),
	('checkpoint_blobs', 'thread_id', 'text'), ('checkpoint_blobs', 'checkpoint_ns', 'text'),
	('checkpoint_blobs', 'channel', 'text'), ('checkpoint_blobs', 'version', 'text'),
	('checkpoint_blobs', 'blob', 'bytea'),
	('checkpoint_writes', 'thread_id', 'text'), ('checkpoint_writes', 'checkpoint_ns', 'text'),
	('checkpoint_writes', 'checkpoint_id', 'text'), ('checkpoint_writes', 'task_id', 'text'),
	('checkpoint_writes', 'idx', 'integer'), ('checkpoint_writes', 'blob', 'bytea'))
	AS e (relation, attribute, type)
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
	AND c.relname IN ('checkpoints', 'checkpoint_blobs', 'checkpoint_writes')
	AND NOT EXISTS (SELECT
		FROM pg_index AS i
		JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
		WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid AND a.attname = 'thread_id')
LIMIT 1
$$;
COMMENT ON FUNCTION amelia_internal.checkpoint_columns_problem(oid) IS
'What the checkpoint tables of a schema lack of the columns and keys that LangGraph''s savers make; NULL when nothing.';

CREATE FUNCTION amelia_internal.checkpoint_places()
RETURNS TABLE (schema_name name, owner oid, problem text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT s.schema_name, t.owner, CASE
		WHEN t.number < 3 THEN 'not all of checkpoints, checkpoint_blobs and checkpoint_writes are there'
		WHEN t.special IS NOT NULL THEN format('%s is not an ordinary table, or has partitions, children or rules', t.special)
		WHEN t.owners > 1 THEN 'the three tables do not have the same owner'
		WHEN t.unusable IS NOT NULL THEN format('the owner of %s lacks a privilege on it', t.unusable)
		WHEN NOT has_schema_privilege(t.owner, n.oid, 'USAGE') THEN 'the owner of the tables may not use the schema'
		ELSE amelia_internal.checkpoint_columns_problem(n.oid) END
	FROM amelia.checkpoint_schemas AS s
	JOIN pg_namespace AS n ON n.nspname = s.schema_name
	JOIN LATERAL (
		SELECT count(*) AS number, count(DISTINCT c.relowner) AS owners, max(c.relowner) AS owner,
			min(c.relname::text) FILTER (WHERE c.relkind <> 'r' OR c.relhasrules
				OR EXISTS (SELECT FROM pg_inherits AS i
					WHERE i.inhparent = c.oid OR i.inhrelid = c.oid)) AS special,
			min(c.relname::text) FILTER (WHERE NOT has_table_privilege(c.relowner, c.oid, 'SELECT')
				OR NOT has_table_privilege(c.relowner, c.oid, 'DELETE')) AS unusable
		FROM pg_class AS c
		WHERE c.relnamespace = n.oid
			AND c.relname IN ('checkpoints', 'checkpoint_blobs', 'checkpoint_writes')
			AND c.relkind IN ('r', 'p', 'v', 'm', 'f')) AS t ON t.number > 0
	ORDER BY s.schema_name;
END
$$;
COMMENT ON FUNCTION amelia_internal.checkpoint_places() IS
'What checkpoint_sources() returns.';

REVOKE ALL ON FUNCTION
	amelia_internal.checkpoint_places(),
	amelia_internal.checkpoint_columns_problem(oid)
FROM PUBLIC;
