CREATE OR REPLACE FUNCTION amelia_saga.verify()
RETURNS TABLE (problem text, object text, detail text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
-- of the api layer with the fingerprint @API_FINGERPRINT@
SELECT v.* FROM amelia_internal.verify_schema('amelia_saga') AS v
UNION ALL
SELECT v.* FROM amelia_internal.saga_verify_words() AS v
$$;
COMMENT ON FUNCTION amelia_saga.verify() IS
'A row for each thing that is wrong: an older schema, missing functions, columns, indexes or defaults, rows whose words were split otherwise than this version does. Nothing when all is well. Reads every table once and splits every text, which takes as long as saving it did.';

REVOKE ALL ON FUNCTION
	amelia_saga.verify()
FROM PUBLIC;
