-- With somebody else's trigger on the table, each row is numbered as it comes.
-- What a caller sees is the same: the tests that these are.
\set prepare 'CREATE SCHEMA IF NOT EXISTS x; CREATE OR REPLACE FUNCTION x.keep() RETURNS trigger LANGUAGE plpgsql AS $x$BEGIN RETURN NEW; END$x$; CREATE TRIGGER keep BEFORE INSERT ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION x.keep();'
\getenv abs_srcdir PG_ABS_SRCDIR
\set events :abs_srcdir '/sql/events.sql'
\set append_events :abs_srcdir '/sql/append_events.sql'
\set resend :abs_srcdir '/sql/resend.sql'
\set event_types :abs_srcdir '/sql/event_types.sql'
\set sequences :abs_srcdir '/sql/sequences.sql'
\i :events
\i :append_events
\i :resend
\i :event_types
\i :sequences
SET client_min_messages = warning;
DROP SCHEMA x CASCADE;
