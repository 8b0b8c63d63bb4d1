-- Whether maintenance runs by itself, and if not, why.

CREATE OR REPLACE FUNCTION amelia.vacuum_holders()
RETURNS TABLE (holder text, since timestamptz, age integer)
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT h.* FROM amelia_internal.held_vacuum() AS h
$$;
COMMENT ON FUNCTION amelia.vacuum_holders() IS
'Who keeps vacuum from removing rows of this database that are dead to everybody else, such as those that retention deleted: sessions, prepared transactions and replication slots with an old snapshot or transaction. Oldest first; age in transactions. Without pg_read_all_stats, a role sees only its own sessions.';

CREATE OR REPLACE FUNCTION amelia.maintenance_status()
RETURNS TABLE (
	active boolean,
	state text,
	reason text,
	preloaded boolean,
	naptime interval,
	launcher_pid integer,
	worker_pid integer,
	last_round timestamptz,
	last_round_finished timestamptz,
	last_round_outcome text,
	last_look timestamptz,
	next_round timestamptz,
	errors_in_a_row integer,
	last_error text,
	last_error_sqlstate text,
	last_error_at timestamptz,
	schema_version integer,
	code_version integer,
	checkpoint_problems text[],
	vacuum_held_by text,
	vacuum_held_since timestamptz,
	vacuum_held_age integer)
LANGUAGE sql VOLATILE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
SELECT s.state IN ('waiting', 'running', 'failing'), s.state,
	COALESCE((SELECT format('retention is held back: %s; if the clock is right, CALL amelia.run_retention(held_back => ''delete'')', b.error)
			FROM amelia.retention_runs AS b
			WHERE b.id = (SELECT max(m.id) FROM amelia.retention_runs AS m) AND b.outcome = 'held back'),
		amelia_internal.held_elsewhere(), s.reason),
	s.preloaded,
	current_setting('amelia.naptime')::interval,
	s.launcher_pid, s.worker_pid,
	r.started_at, r.finished_at, r.outcome, s.last_look, s.next_round,
	s.failures,
	COALESCE(s.error, CASE WHEN r.outcome <> 'held back' THEN r.error END),
	CASE WHEN s.error IS NULL THEN r.sqlstate ELSE s.sqlstate END,
	CASE WHEN s.error IS NULL AND r.error IS NOT NULL AND r.outcome <> 'held back' THEN r.finished_at ELSE s.failed_at END,
	(SELECT max(m.version) FROM amelia.schema_versions AS m),
	(SELECT max(c.version) FROM amelia_internal.amelia_scripts() AS c),
	(SELECT array_agg(format('%s: %s', p.schema_name, p.problem) ORDER BY p.schema_name)
		FROM (SELECT c.schema_name, c.problem
				FROM amelia_internal.checkpoint_places() AS c
				WHERE c.problem IS NOT NULL
				UNION ALL
				SELECT u.schema_name, 'nobody registered these tables, so their threads stay'
				FROM amelia_internal.unknown_checkpoints() AS u) AS p),
	h.holder, h.since, h.age
FROM amelia_internal.maintenance_state() AS s
-- What happened before the server was started last is known to the table only.
LEFT JOIN LATERAL (SELECT * FROM amelia.retention_runs AS n
	WHERE n.worker
	ORDER BY n.started_at DESC, n.id DESC
	LIMIT 1) AS r ON true
LEFT JOIN LATERAL (SELECT * FROM amelia_internal.held_vacuum() LIMIT 1) AS h ON true
$$;
COMMENT ON FUNCTION amelia.maintenance_status() IS
'One row on the maintenance that runs by itself in this database. active: it does. state: waiting (for next_round), running, failing (it goes on, more rarely), disabled, not listed, schema not complete, standby, no launcher or not preloaded; reason says why there is no round, or why the last one was held back, and what to do about it. last_round, its end and outcome: the worker''s newest in retention_runs. last_look: when a worker last left the database, after a round or without. The errors count rounds with one, in a row, since the server was started. A schema_version below code_version asks for migrate(). checkpoint_problems: the schemas whose checkpoint tables are left alone, with the reason; no workflow is deleted meanwhile, except where nobody registered them. vacuum_held_by: the first of vacuum_holders(), with the start and the age in transactions of what it has open.';

REVOKE ALL ON FUNCTION
	amelia.vacuum_holders(),
	amelia.maintenance_status()
FROM PUBLIC;
