-- Claims and completions change a workflow's row without an UPDATE; somebody
-- else's trigger makes them send one. What a caller sees is the same: the tests
-- that these are.
\set prepare 'CREATE SCHEMA IF NOT EXISTS x; CREATE OR REPLACE FUNCTION x.keep() RETURNS trigger LANGUAGE plpgsql AS $x$BEGIN RETURN NEW; END$x$; CREATE TRIGGER keep BEFORE UPDATE ON amelia.workflows FOR EACH ROW EXECUTE FUNCTION x.keep();'
\getenv abs_srcdir PG_ABS_SRCDIR
\set claims :abs_srcdir '/sql/claims.sql'
\set releases :abs_srcdir '/sql/releases.sql'
\i :claims
\i :releases
SET client_min_messages = warning;
DROP SCHEMA x CASCADE;
