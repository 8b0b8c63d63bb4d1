-- Whether all is well.

CREATE FUNCTION amelia_internal.verify_schema(extension name DEFAULT 'amelia')
RETURNS TABLE (problem text, object text, detail text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	migrate CONSTANT text := format('run SELECT %I.migrate()', extension);
BEGIN
	RETURN QUERY EXECUTE format('SELECT ''schema is older than the code'', ''schema_versions'',
			CASE WHEN EXISTS (SELECT FROM %1$I.schema_versions AS m)
				THEN format(''version %%s is missing: %%s'', s.version, $1)
				ELSE format(''it is empty: restore its rows, and those of event_types; or, if no table has a row, %%s'', $1) END
		FROM (SELECT DISTINCT c.version FROM amelia_internal.%2$I() AS c) AS s
		WHERE s.version IS NOT NULL
			AND NOT EXISTS (SELECT FROM %1$I.schema_versions AS m WHERE m.version = s.version)',
		extension, extension || '_scripts') USING migrate;
	RETURN QUERY SELECT o.kind || ' is missing, disabled or not as migrate() makes it', o.object,
		CASE WHEN o.kind = 'column' THEN 'drop it if it is there, then '
			WHEN o.kind = 'index' AND to_regclass(format('%I.%I', extension, o.object)) IS NOT NULL THEN 'drop it, then '
			ELSE '' END
			|| migrate
	FROM amelia_internal.api_objects(extension) AS o
	WHERE NOT o.intact;
	RETURN QUERY SELECT 'belongs to several owners', extension::text, p.problem
	FROM amelia_internal.owners_problem(extension) AS p (problem)
	WHERE p.problem IS NOT NULL;
	IF extension <> 'amelia' THEN
		RETURN;
	END IF;
	RETURN QUERY SELECT 'checkpoint tables that nobody registered', u.schema_name::text,
		'their threads stay for ever, though workflows go: register_checkpoints() puts them under retention, unregister_checkpoints() says that they are to be left alone'
	FROM amelia_internal.unknown_checkpoints() AS u;
	-- claims look these up by name as well
	RETURN QUERY SELECT 'primary key is missing, or has another name', t.name || '_pkey',
		format('have an index of that name for the primary key of %s', t.name)
	FROM unnest(ARRAY['workflows', 'workflow_leases', 'profiles', 'workflow_threads']) AS t (name)
	WHERE to_regclass('amelia.' || t.name) IS NOT NULL
		AND NOT EXISTS (SELECT FROM pg_index AS i
			WHERE i.indexrelid = to_regclass(format('amelia.%s_pkey', t.name))
				AND i.indrelid = to_regclass('amelia.' || t.name) AND i.indisprimary AND i.indisvalid);
END
$$;
COMMENT ON FUNCTION amelia_internal.verify_schema(name) IS
'The part of verify() that looks at the schema of an extension of ours: versions, functions, triggers, defaults; of amelia the indexes that claims need, and checkpoint tables that nobody registered.';

CREATE FUNCTION amelia_internal.verify_sequences()
RETURNS TABLE (problem text, object text, detail text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN l.previous = l.sequence THEN 'duplicate sequence' ELSE 'gap before an allocated sequence' END,
	l.object, format('%s follows %s', l.sequence, COALESCE(l.previous, 0))
FROM (SELECT 'workflow ' || e.workflow_id, e.sequence, e.sequence_allocated, w.sequence_floor,
			lag(e.sequence) OVER (PARTITION BY e.workflow_id ORDER BY e.sequence)
		FROM amelia.workflow_log AS e
		JOIN amelia.workflows AS w ON w.id = e.workflow_id
		UNION ALL
		SELECT 'brainstorm session ' || m.session_id, m.sequence, m.sequence_allocated, s.sequence_floor,
			lag(m.sequence) OVER (PARTITION BY m.session_id ORDER BY m.sequence)
		FROM amelia.brainstorm_messages AS m
		JOIN amelia.brainstorm_sessions AS s ON s.id = m.session_id)
	AS l (object, sequence, allocated, floor, previous)
WHERE l.previous = l.sequence
	-- up to the floor, numbers were removed or reserved
	OR (l.allocated AND l.sequence - 1 > GREATEST(l.floor, COALESCE(l.previous, 0)))
$$;
COMMENT ON FUNCTION amelia_internal.verify_sequences() IS
'The part of verify() that looks for gaps and duplicates in allocated numbers. Numbers that clients brought may have gaps, and so may those up to sequence_floor.';

CREATE FUNCTION amelia_internal.verify_references(extension name DEFAULT 'amelia')
RETURNS TABLE (problem text, object text, detail text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	reference record;
	orphans bigint;
BEGIN
	FOR reference IN
		SELECT c.conname, c.conrelid::regclass AS child, c.confrelid::regclass AS parent,
			-- the key's own operators: an operator's key may be of a type of its own
			string_agg(format('p.%I OPERATOR(%I.%s) c.%I', pa.attname, n.nspname, o.oprname, ca.attname),
				' AND ') AS matches,
			string_agg(format('c.%I IS NOT NULL', ca.attname), ' AND ') AS given
		FROM pg_constraint AS c,
			LATERAL unnest(c.conkey, c.confkey, c.conpfeqop) AS k (child, parent, operator),
			pg_attribute AS ca, pg_attribute AS pa, pg_operator AS o, pg_namespace AS n
		WHERE c.contype = 'f'
			AND c.connamespace = to_regnamespace(quote_ident(extension))
			AND ca.attrelid = c.conrelid AND ca.attnum = k.child
			AND pa.attrelid = c.confrelid AND pa.attnum = k.parent
			AND o.oid = k.operator AND n.oid = o.oprnamespace
			AND has_table_privilege(c.conrelid, 'SELECT')
			AND has_table_privilege(c.confrelid, 'SELECT')
			-- what a policy hides is not gone
			AND NOT row_security_active(c.confrelid)
		GROUP BY c.oid, c.conname, c.conrelid, c.confrelid
	LOOP
		EXECUTE format('SELECT count(*) FROM %s AS c WHERE %s AND NOT EXISTS (SELECT FROM %s AS p WHERE %s)',
			reference.child, reference.given, reference.parent, reference.matches)
		INTO orphans;
		IF orphans > 0 THEN
			problem := 'rows without their parent';
			object := reference.child::text;
			detail := format('%s rows refer to nothing in %s (%s)', orphans, reference.parent, reference.conname);
			RETURN NEXT;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION amelia_internal.verify_references(name) IS
'The part of verify() that looks for rows whose parent is gone, by each foreign key in the extension''s schema whose tables the caller may read.';

CREATE FUNCTION amelia_internal.verify_workflows()
RETURNS TABLE (problem text, object text, detail text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT 'lease of a workflow that is not in progress', 'workflow ' || w.id,
	format('of worker "%s"; status %s', l.worker, w.status)
FROM amelia.workflow_leases AS l
JOIN amelia.workflows AS w ON w.id = l.workflow_id
WHERE l.expires_at IS NOT NULL AND w.status <> 'in_progress'
$$;
COMMENT ON FUNCTION amelia_internal.verify_workflows() IS
'The part of verify() that looks for leases that outlived their attempt.';

REVOKE ALL ON FUNCTION
	amelia_internal.verify_schema(name),
	amelia_internal.verify_sequences(),
	amelia_internal.verify_references(name),
	amelia_internal.verify_workflows()
FROM PUBLIC;
