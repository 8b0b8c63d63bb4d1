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

CREATE FUNCTION amelia_internal.held_elsewhere() RETURNS text
LANGUAGE c STABLE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_held_elsewhere';
COMMENT ON FUNCTION amelia_internal.held_elsewhere() IS
'Why the last round of another extension of ours left something undone that waits for somebody''s word, and which; NULL when none did. Reads as the owner of its tables.';

CREATE FUNCTION amelia_internal.held_vacuum()
RETURNS TABLE (holder text, since timestamptz, age integer)
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT h.*
FROM (SELECT format('%s %s of role %s%s', CASE a.backend_type
					WHEN 'client backend' THEN 'session' ELSE a.backend_type END,
				a.pid, COALESCE(a.usename, '?'),
				CASE WHEN a.application_name <> '' THEN format(' (%s)', a.application_name) ELSE '' END),
			a.xact_start, GREATEST(age(a.backend_xmin), age(a.backend_xid))
		FROM pg_stat_activity AS a
		WHERE (a.datname = current_database() OR a.datname IS NULL)
			AND a.pid <> pg_backend_pid()
			-- vacuum does not hold back vacuum
			AND a.backend_type <> 'autovacuum worker'
		UNION ALL
		SELECT format('prepared transaction "%s" of role %s', p.gid, p.owner),
			p.prepared, age(p.transaction)
		FROM pg_prepared_xacts AS p
		WHERE p.database = current_database()
		UNION ALL
		SELECT format('replication slot "%s"', r.slot_name), NULL, age(r.xmin)
		FROM pg_replication_slots AS r) AS h (holder, since, age)
WHERE h.age IS NOT NULL
ORDER BY h.age DESC, h.since
$$;
COMMENT ON FUNCTION amelia_internal.held_vacuum() IS
'What vacuum_holders() returns.';

REVOKE ALL ON FUNCTION
	amelia_internal.held_elsewhere(),
	amelia_internal.held_vacuum(),
	amelia_internal.maintenance_state() FROM PUBLIC;
