-- Files: saving and reading them.

CREATE OR REPLACE FUNCTION amelia_saga.save_file(
	filename text,
	filepath text,
	file_type text,
	extracted_text text DEFAULT '',
	tags jsonb DEFAULT '[]',
	file_size bigint DEFAULT NULL,
	uploaded_at timestamptz DEFAULT NULL,
	metadata jsonb DEFAULT '{}',
	id text DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	saved text := COALESCE(save_file.id, (amelia_internal.saga_id())::text);
BEGIN
	PERFORM amelia_internal.saga_check_text('filename', save_file.filename),
		amelia_internal.saga_check_text('filepath', save_file.filepath),
		amelia_internal.saga_check_text('file_type', save_file.file_type),
		amelia_internal.saga_check_text('id', saved),
		amelia_internal.saga_check_json('', save_file.tags, save_file.metadata),
		amelia_internal.check_count('file_size', save_file.file_size);
	INSERT INTO amelia_saga.files (id, filename, filepath, file_type, extracted_text, tags, file_size, uploaded_at, metadata)
	VALUES (saved, save_file.filename, save_file.filepath, save_file.file_type, COALESCE(save_file.extracted_text, ''),
		COALESCE(save_file.tags, '[]'), save_file.file_size, COALESCE(save_file.uploaded_at, now()),
		COALESCE(save_file.metadata, '{}'))
	ON CONFLICT (id) DO NOTHING;
	IF FOUND THEN
		RETURN saved;
	END IF;

	PERFORM FROM amelia_saga.files AS f
	WHERE f.id = saved
		AND f.filename = save_file.filename AND f.filepath = save_file.filepath AND f.file_type = save_file.file_type
		AND f.extracted_text = COALESCE(save_file.extracted_text, '')
		AND f.tags = COALESCE(save_file.tags, '[]') AND f.metadata = COALESCE(save_file.metadata, '{}')
		AND f.file_size IS NOT DISTINCT FROM save_file.file_size
		AND f.uploaded_at = COALESCE(save_file.uploaded_at, f.uploaded_at);
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '23505',
			MESSAGE = format('file "%s" exists already, with other content', saved),
			SCHEMA = 'amelia_saga', TABLE = 'files', CONSTRAINT = 'files_pkey';
	END IF;
	RETURN saved;
END
$$;
COMMENT ON FUNCTION amelia_saga.save_file(text, text, text, text, jsonb, bigint, timestamptz, jsonb, text) IS
'Saves what is known of a file, with the text found in it, and returns its id, a new version-7 UUID where none is given. file_size in bytes; uploaded_at NULL: now. Sent again with the same id and content it returns the id and stores nothing; with other content 23505. Errors: 22023 a filename, filepath, file_type or id that is NULL or blank, a negative file_size, tags that are no array of strings, metadata that is no object.';

CREATE OR REPLACE FUNCTION amelia_saga.save_files(files jsonb) RETURNS integer
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	added integer;
	clash text;
BEGIN
	PERFORM amelia_internal.saga_check_rows('files', save_files.files, ARRAY['filename', 'filepath', 'file_type'],
		ARRAY['id', 'extracted_text', 'tags', 'file_size', 'uploaded_at', 'metadata']);
	PERFORM amelia_internal.saga_check_json(format('files[%s].', e.place - 1),
			NULLIF(e.element -> 'tags', 'null'), NULLIF(e.element -> 'metadata', 'null')),
		amelia_internal.check_count(format('files[%s].file_size', e.place - 1), (e.element ->> 'file_size')::bigint)
	FROM jsonb_array_elements(save_files.files) WITH ORDINALITY AS e (element, place);
	INSERT INTO amelia_saga.files (id, filename, filepath, file_type, extracted_text, tags, file_size, uploaded_at, metadata)
	SELECT COALESCE(e.element ->> 'id', (amelia_internal.saga_id())::text),
		e.element ->> 'filename', e.element ->> 'filepath', e.element ->> 'file_type',
		COALESCE(e.element ->> 'extracted_text', ''),
		COALESCE(NULLIF(e.element -> 'tags', 'null'), '[]'), (e.element ->> 'file_size')::bigint,
		COALESCE((e.element ->> 'uploaded_at')::timestamptz, now()),
		COALESCE(NULLIF(e.element -> 'metadata', 'null'), '{}')
	FROM jsonb_array_elements(save_files.files) WITH ORDINALITY AS e (element, place)
	ORDER BY e.place
	ON CONFLICT (id) DO NOTHING;
	GET DIAGNOSTICS added = ROW_COUNT;
	IF added < jsonb_array_length(save_files.files) THEN
		SELECT e.element ->> 'id' INTO clash
		FROM jsonb_array_elements(save_files.files) WITH ORDINALITY AS e (element, place)
		WHERE e.element ->> 'id' IS NOT NULL
			AND NOT EXISTS (SELECT FROM amelia_saga.files AS f
				WHERE f.id = e.element ->> 'id'
					AND f.filename = e.element ->> 'filename' AND f.filepath = e.element ->> 'filepath'
					AND f.file_type = e.element ->> 'file_type'
					AND f.extracted_text = COALESCE(e.element ->> 'extracted_text', '')
					AND f.tags = COALESCE(NULLIF(e.element -> 'tags', 'null'), '[]')
					AND f.metadata = COALESCE(NULLIF(e.element -> 'metadata', 'null'), '{}')
					AND f.file_size IS NOT DISTINCT FROM (e.element ->> 'file_size')::bigint
					AND f.uploaded_at = COALESCE((e.element ->> 'uploaded_at')::timestamptz, f.uploaded_at))
		ORDER BY e.place
		LIMIT 1;
		IF FOUND THEN
			RAISE EXCEPTION USING ERRCODE = '23505',
				MESSAGE = format('file "%s" exists already, with other content', clash),
				SCHEMA = 'amelia_saga', TABLE = 'files', CONSTRAINT = 'files_pkey';
		END IF;
	END IF;
	RETURN added;
END
$$;
COMMENT ON FUNCTION amelia_saga.save_files(jsonb) IS
'Saves an array of objects with the arguments of save_file() as fields, in order, all or none, and returns how many were new. Those that are there already with the same content are passed over. Errors: 22023 as save_file(), with the place in the array counted from 0; 22007 or 22008 a time that is none, 22P02 a file_size that is no number; 23505 an id that has other content.';

CREATE OR REPLACE FUNCTION amelia_saga.get_file(id text) RETURNS SETOF amelia_saga.files
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.check_given('id'::text, get_file.id);
	RETURN QUERY
	SELECT f.* FROM amelia_saga.files AS f WHERE f.id = get_file.id;
END
$$;
COMMENT ON FUNCTION amelia_saga.get_file(text) IS
'The file, or no row. Errors: 22023 NULL.';

REVOKE ALL ON FUNCTION
	amelia_saga.save_file(text, text, text, text, jsonb, bigint, timestamptz, jsonb, text),
	amelia_saga.save_files(jsonb),
	amelia_saga.get_file(text)
FROM PUBLIC;
