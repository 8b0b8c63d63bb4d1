-- How the schema comes into being.

CREATE FUNCTION amelia_platform.migrate() RETURNS text
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_migrate';
COMMENT ON FUNCTION amelia_platform.migrate() IS
'Brings the schema to the version of the code: runs the schema scripts that schema_versions does not have, then makes functions, views, triggers and defaults anew if any is missing or older, and says what it did. Nothing to do is no error. All or nothing, one session at a time. It is done with the rights of the tables'' owner, for whoever may execute it.';
REVOKE ALL ON FUNCTION amelia_platform.migrate() FROM PUBLIC;
