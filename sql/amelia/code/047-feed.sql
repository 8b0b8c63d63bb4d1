-- Pruning the live feed.

CREATE FUNCTION amelia_internal.trim_feed(keep interval, row_limit integer)
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
	hours integer;
	present record;
	old record;
	deleted amelia.workflow_feed[];
BEGIN
	PERFORM amelia_internal.check_limit(row_limit);
	IF keep IS NULL THEN
		hours := amelia_internal.current_settings() -> 'feed_retention_hours';
		IF hours < 0 THEN
			RETURN 0;
		END IF;
		keep := make_interval(hours => LEAST(hours, 876000));
	END IF;

	SELECT * INTO present FROM amelia_internal.feed_now();
	INSERT INTO amelia.feed_snapshots (origin, snapshot, high)
	SELECT present.origin, present.snapshot, present.high
	WHERE keep <= interval '0' OR NOT EXISTS (SELECT FROM amelia.feed_snapshots AS s
		WHERE s.origin = present.origin AND s.taken_at BETWEEN clock_timestamp() - keep / 100 AND clock_timestamp())
	ON CONFLICT DO NOTHING;

	-- What has been there for so long, and what came from elsewhere.
	SELECT s.taken_at, s.snapshot, s.high INTO old FROM amelia.feed_snapshots AS s
	WHERE s.origin = present.origin AND s.taken_at <= clock_timestamp() - keep
	ORDER BY s.high DESC, s.taken_at DESC LIMIT 1;
	UPDATE amelia.feed_snapshots AS s SET pruned = true
	WHERE s.origin = present.origin AND s.taken_at = old.taken_at AND NOT s.pruned;
	DELETE FROM amelia.feed_snapshots AS s
	WHERE s.origin <> present.origin OR (s.high, s.taken_at) < (old.high, old.taken_at);
	WITH gone AS (
		DELETE FROM amelia.workflow_feed AS f
		WHERE (f.origin, f.lsn, f.xid, f.number) IN (
			(SELECT o.origin, o.lsn, o.xid, o.number FROM amelia.workflow_feed AS o
			WHERE o.origin = present.origin AND o.lsn < old.high AND pg_visible_in_snapshot(o.xid, old.snapshot)
			ORDER BY o.lsn LIMIT row_limit)
			UNION ALL
			(SELECT o.origin, o.lsn, o.xid, o.number FROM amelia.workflow_feed AS o
			WHERE o.origin < present.origin OR o.origin > present.origin LIMIT row_limit))
		RETURNING f)
	SELECT array_agg(g.f) INTO deleted FROM gone AS g;
	-- What a trigger puts back is not pruned, and who prunes batch by batch comes to an end.
	RETURN (SELECT count(*) FROM unnest(deleted) AS g
		WHERE NOT EXISTS (SELECT FROM amelia.workflow_feed AS f
			WHERE f.origin = g.origin AND f.lsn = g.lsn AND f.xid = g.xid AND f.number = g.number));
END
$$;
COMMENT ON FUNCTION amelia_internal.trim_feed(interval, integer) IS
'What prune_feed() does.';

REVOKE ALL ON FUNCTION amelia_internal.trim_feed(interval, integer) FROM PUBLIC;
