CREATE OR REPLACE FUNCTION amelia_saga.verify()
RETURNS TABLE (problem text, object text, detail text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
-- of the api layer with the fingerprint @API_FINGERPRINT@
SELECT v.* FROM amelia_internal.saga_verify_schema() AS v
UNION ALL
SELECT 'searched words are not those of the text', t.name, format('%s rows, such as "%s": dump and restore the table', t.rows, t.id)
FROM (SELECT 'messages', count(*), min(m.id)
		FROM amelia_saga.messages AS m
		WHERE m.search IS DISTINCT FROM amelia_internal.saga_vector(m.content, m.tags, NULL, false)
		UNION ALL
		SELECT 'files', count(*), min(f.id)
		FROM amelia_saga.files AS f
		WHERE f.search IS DISTINCT FROM amelia_internal.saga_vector(f.extracted_text, f.tags, f.filename, false))
	AS t (name, rows, id)
WHERE t.rows > 0
$$;
COMMENT ON FUNCTION amelia_saga.verify() IS
'A row for each thing that is wrong: an older schema, missing functions, columns, indexes or defaults, rows whose words were split otherwise than this version does. Nothing when all is well. Reads every table once and splits every text, which takes as long as saving it did.';

REVOKE ALL ON FUNCTION
	amelia_saga.verify()
FROM PUBLIC;
