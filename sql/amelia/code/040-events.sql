-- Writing events. append_event() and append_events() set the search_path themselves,
-- where they run SQL; a SET clause would cost an eighth of the call.

CREATE FUNCTION amelia.append_event(
	workflow_id uuid,
	event_type text,
	message text,
	level text DEFAULT NULL,
	agent text DEFAULT NULL,
	data jsonb DEFAULT NULL,
	is_error boolean DEFAULT NULL,
	"timestamp" timestamptz DEFAULT NULL,
	id uuid DEFAULT NULL,
	correlation_id text DEFAULT NULL,
	tool_name text DEFAULT NULL,
	tool_input jsonb DEFAULT NULL,
	trace_id text DEFAULT NULL,
	parent_id uuid DEFAULT NULL,
	lease_token bigint DEFAULT NULL)
RETURNS integer
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'amelia_append_event';
COMMENT ON FUNCTION amelia.append_event(uuid, text, text, text, text, jsonb, boolean, timestamptz, uuid, text, text, jsonb, text, uuid, bigint) IS
'Appends an event and returns its sequence; NULL and nothing stored when the operator switched its type off in event_types. level NULL: from event_types; is_error NULL: whether the level is error; timestamp NULL: now. Sent again with the same id and content it returns the first sequence and stores nothing; with other content 23505. Errors: P0002 no such workflow or no event with that parent_id, 22023 a required argument is NULL, the level unknown, data or tool_input a JSON scalar, 22003 no number left, 55000 the lease of lease_token is lost.';

-- The same for our own functions, as all that stands in amelia_internal: where
-- others may create functions, they can plant one that fits a call better.
CREATE FUNCTION amelia_internal.write_event(
	workflow_id uuid,
	event_type text,
	message text,
	level text DEFAULT NULL,
	agent text DEFAULT NULL,
	data jsonb DEFAULT NULL,
	is_error boolean DEFAULT NULL,
	"timestamp" timestamptz DEFAULT NULL,
	id uuid DEFAULT NULL,
	correlation_id text DEFAULT NULL,
	tool_name text DEFAULT NULL,
	tool_input jsonb DEFAULT NULL,
	trace_id text DEFAULT NULL,
	parent_id uuid DEFAULT NULL,
	lease_token bigint DEFAULT NULL)
RETURNS integer
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'amelia_append_event';
COMMENT ON FUNCTION amelia_internal.write_event(uuid, text, text, text, text, jsonb, boolean, timestamptz, uuid, text, text, jsonb, text, uuid, bigint) IS
'append_event() for Amelia''s own functions.';

CREATE FUNCTION amelia.append_events(workflow_id uuid, events jsonb, lease_token bigint DEFAULT NULL)
RETURNS int4range
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'amelia_append_events';
COMMENT ON FUNCTION amelia.append_events(uuid, jsonb, bigint) IS
'Appends the events of an array of objects whose keys are append_event()''s arguments, all or none, and returns the range of their sequences, empty when nothing was stored. JSON null stands for an argument that is not given. Types that the operator switched off are left out. A batch in which every event has an id can be sent again. Errors as append_event(), 22023 for anything that is not such an array, and 22P02, 22007 or 22008 for a malformed id or time, each with the event and the key in its context.';

CREATE FUNCTION amelia.next_sequence(workflow_id uuid, count integer DEFAULT 1)
RETURNS integer
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_next_sequence';
COMMENT ON FUNCTION amelia.next_sequence(uuid, integer) IS
'Reserves count numbers of a workflow''s log by raising its sequence_floor, and returns the first. The caller owes their rows. Errors: P0002 no such workflow, 22023 count below 1, 22003 no number left, or the last one is above 2000000000.';
