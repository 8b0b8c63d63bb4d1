-- What the tables' triggers call. The first five run for each row and resolve
-- no name; a search_path of their own would cost more than they do.

CREATE FUNCTION amelia_internal.touch_updated_at() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_touch_updated_at';
COMMENT ON FUNCTION amelia_internal.touch_updated_at() IS
'BEFORE UPDATE row trigger: sets updated_at to the time of the transaction when the statement leaves it as it was.';

CREATE FUNCTION amelia_internal.enforce_workflow_update() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_enforce_workflow_update';
COMMENT ON FUNCTION amelia_internal.enforce_workflow_update() IS
'BEFORE UPDATE row trigger of workflows: the state machine with its timestamps, updated_at, and counters that only grow. Raises 55000.';

CREATE FUNCTION amelia_internal.allocate_sequence() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_allocate_sequence';
COMMENT ON FUNCTION amelia_internal.allocate_sequence() IS
'BEFORE INSERT row trigger of workflow_log and brainstorm_messages: gives a row without a sequence the next one, holding the parent row FOR NO KEY UPDATE to the end of the transaction. Raises 22003 after 2147483647.';

CREATE FUNCTION amelia_internal.keep_sequence() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_keep_sequence';
COMMENT ON FUNCTION amelia_internal.keep_sequence() IS
'BEFORE UPDATE row trigger of workflow_log and brainstorm_messages: raises 55000 when an UPDATE changes a row''s id, its parent or its sequence.';

CREATE FUNCTION amelia_internal.keep_sequence_floor() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_keep_sequence_floor';
COMMENT ON FUNCTION amelia_internal.keep_sequence_floor() IS
'BEFORE UPDATE row trigger of brainstorm_sessions: raises 55000 when an UPDATE lowers sequence_floor.';

CREATE FUNCTION amelia_internal.raise_sequence_floor() RETURNS trigger
LANGUAGE c
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_raise_sequence_floor';
COMMENT ON FUNCTION amelia_internal.raise_sequence_floor() IS
'AFTER DELETE (with the old rows as table "removed") or BEFORE TRUNCATE statement trigger of workflow_log and brainstorm_messages: keeps the removed numbers from being given again, with the rights of the parent table''s owner.';
