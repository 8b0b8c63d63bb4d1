-- How the schema comes into being.

CREATE FUNCTION amelia.api_objects(OUT kind text, OUT object text, OUT intact boolean)
RETURNS SETOF record
LANGUAGE c STABLE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_api_objects';
COMMENT ON FUNCTION amelia.api_objects() IS
'What the api layer consists of (function, view, trigger, default), and whether each one is there as migrate() makes it.';

CREATE FUNCTION amelia.migrate() RETURNS text
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_migrate';
COMMENT ON FUNCTION amelia.migrate() IS
'Brings the schema to the version of the code: runs the schema scripts that schema_migrations does not have, then makes functions, views, triggers and defaults anew if any is missing or older, and says what it did. Nothing to do is no error. All or nothing, one session at a time. Only the owner of the tables may call it (42501).';

REVOKE ALL ON FUNCTION
	amelia.uuid_v7(),
	amelia.check_given(text, anyelement),
	amelia.check_limit(integer),
	amelia.check_cursor(integer),
	amelia.check_choice(text, text),
	amelia.check_container(text, jsonb),
	amelia.check_count(text, bigint),
	amelia.check_cost(text, numeric),
	amelia.check_transition(uuid, text, text),
	amelia.touch_updated_at(),
	amelia.enforce_workflow_update(),
	amelia.allocate_sequence(),
	amelia.keep_sequence(),
	amelia.keep_sequence_floor(),
	amelia.raise_sequence_floor(),
	amelia.append_event(uuid, text, text, text, text, jsonb, boolean, timestamptz, uuid, text, text, jsonb, text, uuid, bigint),
	amelia.append_events(uuid, jsonb, bigint),
	amelia.next_sequence(uuid, integer),
	amelia.api_objects(),
	amelia.migrate()
FROM PUBLIC;
