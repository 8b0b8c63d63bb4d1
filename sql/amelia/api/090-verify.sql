CREATE OR REPLACE FUNCTION amelia.verify()
RETURNS TABLE (problem text, object text, detail text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
-- of the api layer with the fingerprint @API_FINGERPRINT@
SELECT v.* FROM amelia_internal.verify_schema() AS v
UNION ALL
SELECT v.* FROM amelia_internal.verify_sequences() AS v
UNION ALL
SELECT v.* FROM amelia_internal.verify_references() AS v
UNION ALL
SELECT v.* FROM amelia_internal.verify_workflows() AS v
UNION ALL
SELECT v.* FROM amelia_internal.verify_checkpoints() AS v
$$;
COMMENT ON FUNCTION amelia.verify() IS
'A row for each thing that is wrong: an older schema, missing or disabled triggers, missing indexes that claims need, gaps and duplicates in allocated sequences, orphans, leases that outlived their attempt, checkpoint tables that nobody registered, checkpoints whose parents or blobs are gone. Nothing when all is well. Reads every table once.';

REVOKE ALL ON FUNCTION
	amelia.verify()
FROM PUBLIC;
