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

REVOKE ALL ON FUNCTION
	amelia_internal.checkpoint_columns_problem(oid)
FROM PUBLIC;
