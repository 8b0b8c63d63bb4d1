-- A round of maintenance.

CREATE FUNCTION amelia_internal.platform_horizons(OUT messages timestamptz, OUT tasks timestamptz, OUT metrics timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN s.message_retention_days >= 0 THEN now() - make_interval(days => LEAST(s.message_retention_days, 36500)) ELSE '-infinity' END,
	CASE WHEN s.task_retention_days >= 0 THEN now() - make_interval(days => LEAST(s.task_retention_days, 36500)) ELSE '-infinity' END,
	CASE WHEN s.metric_retention_days >= 0 THEN now() - make_interval(days => LEAST(s.metric_retention_days, 36500)) ELSE '-infinity' END
FROM amelia_internal.platform_settings() AS s
$$;
COMMENT ON FUNCTION amelia_internal.platform_horizons() IS
'What is older than these times is deleted by the settings; -infinity: nothing.';

CREATE FUNCTION amelia_internal.platform_hold_back(round uuid, reason text) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	is_new CONSTANT boolean := (SELECT r.outcome FROM amelia_platform.maintenance_runs AS r
		WHERE r.outcome IS NOT NULL ORDER BY r.started_at DESC LIMIT 1) IS DISTINCT FROM 'held back';
BEGIN
	INSERT INTO amelia_platform.maintenance_runs AS r (id, outcome, reason) VALUES (round, 'held back', platform_hold_back.reason)
	ON CONFLICT (id) DO UPDATE SET outcome = EXCLUDED.outcome, reason = EXCLUDED.reason, seen_at = clock_timestamp();
	RETURN is_new;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_hold_back(uuid, text) IS
'Writes down that a round is held back, and returns whether the one before was not.';

CREATE FUNCTION amelia_internal.platform_end_round(round uuid, looked boolean) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- What happened long ago, to rows that may be gone.
	DELETE FROM amelia_platform.platform_faults AS f WHERE f.retry_at < clock_timestamp() - interval '1 day';
	INSERT INTO amelia_platform.maintenance_runs AS r (id, outcome) VALUES (round, CASE WHEN looked THEN 'completed' END)
	ON CONFLICT (id) DO UPDATE SET outcome = COALESCE(r.outcome, EXCLUDED.outcome), seen_at = clock_timestamp();
	DELETE FROM amelia_platform.maintenance_runs AS r USING amelia_platform.maintenance_runs AS t
	WHERE t.id = round AND r.started_at < t.started_at AND r.outcome = t.outcome
		AND (SELECT sum(n.n) FROM (VALUES (r.agents_offline), (r.tasks_returned), (r.messages_returned), (r.messages_expired), (r.messages_deleted),
			(r.tasks_deleted), (r.executions_deleted), (r.metrics_deleted), (r.faults)) AS n (n)) = 0;
	-- The last one that was not held back tells the next when that was.
	DELETE FROM amelia_platform.maintenance_runs AS r
	WHERE r.started_at < (SELECT k.started_at FROM amelia_platform.maintenance_runs AS k
			ORDER BY k.started_at DESC OFFSET 999 LIMIT 1)
		AND r.id IS DISTINCT FROM (SELECT k.id FROM amelia_platform.maintenance_runs AS k
			WHERE k.outcome = 'completed' AND k.started_at <= now() ORDER BY k.started_at DESC LIMIT 1);
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_end_round(uuid, boolean) IS
'Writes down that a round is over, and forgets old ones. looked: nothing had to be left undone because a second look failed, or found that the clock may have jumped.';

CREATE FUNCTION amelia_internal.platform_maintain(round uuid, phase integer, row_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	batch record;
BEGIN
	SELECT * INTO batch FROM amelia_internal.platform_sweep(phase, row_limit);
	IF batch.done + batch.faults > 0 THEN
		INSERT INTO amelia_platform.maintenance_runs AS r (id) VALUES (round)
		ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp();
		EXECUTE format('UPDATE amelia_platform.maintenance_runs AS r SET %1$I = r.%1$I + $2, faults = r.faults + $3 WHERE r.id = $1',
			batch.counter) USING round, batch.done, batch.faults;
	END IF;
	RETURN batch.done + batch.faults;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_maintain(uuid, integer, integer) IS
'A batch of a kind of maintenance, and its row in maintenance_runs: how many rows it was about, none when that kind is done.';

-- A procedure that commits may not have a search_path of its own; it sets one
-- for what it does.
CREATE PROCEDURE amelia_platform.run_maintenance(held_back text DEFAULT 'keep')
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_platform_run_maintenance';
COMMENT ON PROCEDURE amelia_platform.run_maintenance(text) IS
'Does what is due, in batches that each commit: agents that were not heard of become offline, tasks whose lease ran out or whose agent is offline are pending again, messages that were not acknowledged too, expired ones are marked, and what is old by platform_settings is deleted. A round that would delete more than 1000 messages, tasks, executions or metrics, and more than half of those that are over, when none was there for a week, deletes nothing, lets no message expire and warns, because the clock may have jumped; so does one that would let so many messages expire; held_back: delete goes on with it, keep does not. What it did is in maintenance_runs. The maintenance worker does the same. Runs as the owner of the tables, whoever calls it. Errors: 22023 another held_back, 25001 in a transaction block, 25006 on a standby.';

REVOKE ALL ON PROCEDURE amelia_platform.run_maintenance(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION
	amelia_internal.platform_horizons(),
	amelia_internal.platform_hold_back(uuid, text),
	amelia_internal.platform_end_round(uuid, boolean),
	amelia_internal.platform_maintain(uuid, integer, integer)
FROM PUBLIC;
