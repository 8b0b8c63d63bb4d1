-- What the background workers are at.

CREATE FUNCTION amelia_internal.maintenance_state(
	OUT preloaded boolean,
	OUT state text,
	OUT reason text,
	OUT launcher_pid integer,
	OUT worker_pid integer,
	OUT last_look timestamptz,
	OUT next_round timestamptz,
	OUT failures integer,
	OUT sqlstate text,
	OUT error text,
	OUT failed_at timestamptz)
RETURNS record
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_maintenance_state';
COMMENT ON FUNCTION amelia_internal.maintenance_state() IS
'What launcher and maintenance worker know of this database since the server was started; maintenance_status() shows it with the rest.';

REVOKE ALL ON FUNCTION amelia_internal.maintenance_state() FROM PUBLIC;
