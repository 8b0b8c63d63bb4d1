-- How the schema comes into being.

CREATE FUNCTION amelia_internal.api_objects(extension name)
RETURNS TABLE (kind text, object text, intact boolean)
LANGUAGE c STABLE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_api_objects';
COMMENT ON FUNCTION amelia_internal.api_objects(name) IS
'What the api layer of an extension of ours consists of (function, view, trigger, default), and whether each one is there as migrate() makes it.';

CREATE FUNCTION amelia_internal.owners_problem(extension name) RETURNS text
LANGUAGE c STABLE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_owners_problem';
COMMENT ON FUNCTION amelia_internal.owners_problem(name) IS
'Which of an extension''s tables and views, or its schema, belongs to a role that has not got the rights of the others'' owner, so that the library does nothing by itself there; NULL: none does. 22023 NULL, 3F000 no such schema.';

CREATE FUNCTION amelia.migrate() RETURNS text
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_migrate';
COMMENT ON FUNCTION amelia.migrate() IS
'Brings the schema to the version of the code: runs the schema scripts that schema_versions does not have, then makes functions, views, triggers and defaults anew if any is missing or older, and says what it did. Nothing to do is no error. All or nothing, one session at a time. It is done with the rights of the tables'' owner, for whoever may execute it.';

REVOKE ALL ON FUNCTION
	amelia.uuid_v7(),
	amelia_internal.new_uuid(),
	amelia_internal.check_given(text, anyelement),
	amelia_internal.check_limit(integer),
	amelia_internal.check_cursor(integer),
	amelia_internal.check_choice(text, text),
	amelia_internal.check_container(text, jsonb),
	amelia_internal.check_count(text, bigint),
	amelia_internal.check_cost(text, numeric),
	amelia_internal.check_transition(uuid, text, text),
	amelia_internal.touch_updated_at(),
	amelia_internal.enforce_workflow_update(),
	amelia_internal.allocate_sequence(),
	amelia_internal.keep_sequence(),
	amelia_internal.keep_sequence_floor(),
	amelia_internal.raise_sequence_floor(),
	amelia_internal.write_event(uuid, text, text, text, text, jsonb, boolean, timestamptz, uuid, text, text, jsonb, text, uuid, bigint),
	amelia.append_event(uuid, text, text, text, text, jsonb, boolean, timestamptz, uuid, text, text, jsonb, text, uuid, bigint),
	amelia.append_events(uuid, jsonb, bigint),
	amelia.next_sequence(uuid, integer),
	amelia_internal.api_objects(name),
	amelia_internal.owners_problem(name),
	amelia.migrate()
FROM PUBLIC;
