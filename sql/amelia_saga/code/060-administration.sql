-- Privileges for the operator's own roles, and
-- whether the schema is as it should be.

CREATE FUNCTION amelia_internal.amelia_saga_role_privileges()
RETURNS TABLE (kind text, relations text[], privileges text, functions text[])
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
VALUES
	('reader', ARRAY['schema_versions', 'messages', 'files'], 'SELECT',
		ARRAY['check_given', 'check_limit', 'check_choice', 'api_objects', 'owners_problem', 'amelia_saga_scripts',
			'fts5_query', 'saga_prepare', 'saga_rank', 'saga_snippet', 'saga_words',
			'saga_check_text', 'saga_check_search', 'verify_schema', 'saga_verify_words', 'saga_vector',
			'get_message', 'get_session', 'list_sessions', 'recent_messages', 'search_messages',
			'get_file', 'search_files', 'health_check', 'verify']),
	('writer', ARRAY['messages', 'files'], 'INSERT, UPDATE, DELETE',
		ARRAY['saga_id', 'saga_check_json', 'saga_check_rows', 'check_count',
			'save_message', 'save_messages', 'save_file', 'save_files', 'forget_session'])
$$;
COMMENT ON FUNCTION amelia_internal.amelia_saga_role_privileges() IS
'What each kind of role is granted by grant_reader() and grant_writer(); a writer has what a reader has.';

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
	amelia_internal.amelia_saga_role_privileges()
FROM PUBLIC;
