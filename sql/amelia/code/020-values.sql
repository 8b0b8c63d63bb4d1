-- Values, and the checks at the door of every function.

CREATE FUNCTION amelia.uuid_v7() RETURNS uuid
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'amelia_uuid_v7';
COMMENT ON FUNCTION amelia.uuid_v7() IS
'A new version-7 UUID (RFC 9562): milliseconds since 1970, then 12 bits of the fraction, then random bits. Greater than every one that this session made before.';

CREATE FUNCTION amelia_internal.new_uuid() RETURNS uuid
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'amelia_uuid_v7';
COMMENT ON FUNCTION amelia_internal.new_uuid() IS
'uuid_v7() for Amelia''s own functions.';

CREATE FUNCTION amelia_internal.check_given(argument text, value anyelement) RETURNS void
LANGUAGE c IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_check_given';
COMMENT ON FUNCTION amelia_internal.check_given(text, anyelement) IS
'Raises 22023 with the argument''s name when the value is NULL.';

CREATE FUNCTION amelia_internal.check_limit(row_limit integer) RETURNS integer
LANGUAGE c IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_check_limit';
COMMENT ON FUNCTION amelia_internal.check_limit(integer) IS
'The limit; 22023 when it is NULL or negative.';

CREATE FUNCTION amelia_internal.check_cursor(after_sequence integer) RETURNS integer
LANGUAGE c IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_check_cursor';
COMMENT ON FUNCTION amelia_internal.check_cursor(integer) IS
'The cursor, the last sequence that a reader has seen; 22023 when it is NULL or negative.';

CREATE FUNCTION amelia_internal.check_choice(name text, value text) RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_check_choice';
COMMENT ON FUNCTION amelia_internal.check_choice(text, text) IS
'The value, which may be NULL; 22023 with the allowed values as hint when it is none of the named set: status, workflow_type, level, role, session_status, bucket, search_mode.';

CREATE FUNCTION amelia_internal.check_container(argument text, value jsonb) RETURNS jsonb
LANGUAGE c IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_check_container';
COMMENT ON FUNCTION amelia_internal.check_container(text, jsonb) IS
'The value, which may be NULL; 22023 when it is a JSON scalar: JSON that was encoded twice arrives as a string.';

CREATE FUNCTION amelia_internal.check_count(argument text, value bigint) RETURNS bigint
LANGUAGE c IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_check_count';
COMMENT ON FUNCTION amelia_internal.check_count(text, bigint) IS
'The value, which may be NULL; 22023 with the argument''s name when it is negative.';

CREATE FUNCTION amelia_internal.check_cost(argument text, value numeric) RETURNS numeric
LANGUAGE c IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_check_cost';
COMMENT ON FUNCTION amelia_internal.check_cost(text, numeric) IS
'The US dollars rounded to six decimals, NULL for NULL; 22023 when negative or not a number, 22003 from 10000 on.';

CREATE FUNCTION amelia_internal.check_transition(workflow_id uuid, old_status text, new_status text) RETURNS void
LANGUAGE c IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_check_transition';
COMMENT ON FUNCTION amelia_internal.check_transition(uuid, text, text) IS
'Raises 55000, with the allowed targets as hint, when a workflow may not go from the one status to the other. To the status that is already there is refused.';
