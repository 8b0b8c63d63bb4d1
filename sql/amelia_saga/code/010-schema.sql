-- SQLite's texts are Unicode, and words are told by their Unicode characters.
DO $$
BEGIN
	IF pg_catalog.getdatabaseencoding() OPERATOR(pg_catalog.<>) 'UTF8' THEN
		RAISE EXCEPTION USING ERRCODE = '0A000',
			MESSAGE = pg_catalog.format('amelia_saga needs a database with encoding UTF8, not %s', pg_catalog.getdatabaseencoding()),
			HINT = 'Create one with CREATE DATABASE … ENCODING ''UTF8'' TEMPLATE template0.';
	END IF;
END
$$;

SELECT amelia_internal.check_schema('amelia_saga');
