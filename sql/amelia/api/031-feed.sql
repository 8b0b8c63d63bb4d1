-- The live feed, over all workflows.

CREATE OR REPLACE FUNCTION amelia.feed_after(
	cursor text DEFAULT NULL,
	row_limit integer DEFAULT 1000,
	workflow_ids uuid[] DEFAULT NULL)
RETURNS TABLE (
	next_cursor text,
	written_at timestamptz,
	workflow_id uuid,
	status text,
	event amelia.workflow_log)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
-- Pages are read along an index, whatever statistics say.
SET enable_seqscan = off
SET jit = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
	present record;
	identity text;
	seen pg_snapshot;
	low pg_lsn;
	until pg_snapshot;
	until_low pg_lsn;
	-- the last thing that was read
	at record;
	parts text[];
	wanted integer := row_limit;
	lines integer;
	line record;
	-- A policy on workflows holds for what is told of them.
	guarded CONSTANT boolean := row_security_active('amelia.workflows');
BEGIN
	PERFORM amelia_internal.check_limit(row_limit);
	SELECT * INTO present FROM amelia_internal.feed_now();
	identity := concat(to_hex(present.origin), '.', present.timeline);
	IF cursor IS NULL THEN
		next_cursor := concat_ws(';', identity, present.snapshot, present.low);
		RETURN NEXT;
		RETURN;
	END IF;

	parts := string_to_array(cursor, ';');
	BEGIN
		seen := parts[2]::pg_snapshot;
		low := parts[3]::pg_lsn;
		until := COALESCE(parts[4]::pg_snapshot, present.snapshot);
		until_low := COALESCE(parts[5]::pg_lsn, present.low);
		SELECT COALESCE(parts[6]::pg_lsn, '0/0') AS lsn, COALESCE(parts[7]::xid8, '0') AS xid,
			COALESCE(parts[8]::integer, 0) AS number, COALESCE(parts[9]::integer, 0) AS sequence INTO at;
	EXCEPTION WHEN data_exception THEN
		seen := NULL;
	END;
	IF seen IS NULL OR cardinality(parts) NOT IN (3, 9) OR num_nulls(VARIADIC parts) > 0
		OR parts[1] !~ '^[0-9a-f]{1,16}[.][0-9]{1,10}$'
	THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('"%s" is no cursor of the feed', cursor),
			HINT = 'Give the next_cursor of the last row, or NULL to begin.';
	END IF;
	IF pg_is_in_recovery() AND split_part(parts[1], '.', 1) = to_hex(present.origin)
		AND (split_part(parts[1], '.', 2)::bigint > present.timeline
			OR GREATEST(pg_snapshot_xmax(seen), pg_snapshot_xmax(until)) > pg_snapshot_xmax(present.snapshot))
	THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = 'this standby has not come as far as the cursor',
			HINT = 'Ask again later, or ask the primary.';
	END IF;
	IF parts[1] <> identity
		OR GREATEST(pg_snapshot_xmax(seen), pg_snapshot_xmax(until)) > pg_snapshot_xmax(present.snapshot)
	THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = 'the cursor is of another database, or of a server that this one was restored from or has taken over from',
			HINT = 'Begin anew with NULL, and read with events_after() what happened before.';
	END IF;

	WHILE wanted > 0 LOOP
		lines := 0;
		FOR line IN
			WITH notes AS MATERIALIZED (
				SELECT n.*, GREATEST(n.first_sequence, CASE WHEN (n.lsn, n.xid, n.number) = (at.lsn, at.xid, at.number)
					THEN at.sequence + 1 END) AS first
				FROM (
					-- Behind the place that the cursor knows, in order.
					(SELECT b.* FROM amelia.workflow_feed AS b
					WHERE b.origin = present.origin
						AND (b.lsn, b.xid, b.number) >= (GREATEST(at.lsn, low), CASE WHEN at.lsn >= low THEN at.xid ELSE '0' END,
							CASE WHEN at.lsn >= low THEN at.number ELSE 0 END)
						AND NOT pg_visible_in_snapshot(b.xid, seen) AND pg_visible_in_snapshot(b.xid, until)
						AND ((b.lsn, b.xid, b.number) <> (at.lsn, at.xid, at.number) OR b.last_sequence > at.sequence)
						AND (workflow_ids IS NULL OR b.workflow_id = ANY (workflow_ids))
						AND (NOT guarded OR EXISTS (SELECT FROM amelia.workflows AS w WHERE w.id = b.workflow_id))
					ORDER BY b.lsn, b.xid, b.number LIMIT wanted)
					UNION ALL
					-- Before it, of the transactions that were open then.
					(SELECT o.* FROM pg_snapshot_xip(seen) AS x,
						LATERAL (SELECT r.* FROM amelia.workflow_feed AS r WHERE r.xid = x OFFSET 0) AS o
					WHERE at.lsn < low AND o.origin = present.origin AND o.lsn < low
						AND (o.lsn, o.xid, o.number) >= (at.lsn, at.xid, at.number)
						AND pg_visible_in_snapshot(o.xid, until)
						AND ((o.lsn, o.xid, o.number) <> (at.lsn, at.xid, at.number) OR o.last_sequence > at.sequence)
						AND (workflow_ids IS NULL OR o.workflow_id = ANY (workflow_ids))
						AND (NOT guarded OR EXISTS (SELECT FROM amelia.workflows AS w WHERE w.id = o.workflow_id))
					ORDER BY o.lsn, o.xid, o.number LIMIT wanted)) AS n
				ORDER BY n.lsn, n.xid, n.number LIMIT wanted)
			SELECT n.lsn, n.xid, n.number, n.written_at, n.workflow_id, n.moved_to, e.event, (e.event).id IS NOT NULL AS is_event,
				COALESCE((e.event).sequence, n.last_sequence, 0) AS sequence
			-- No more of them than it takes to fill the page.
			FROM (SELECT w.*, sum(COALESCE(w.last_sequence - w.first + 1, 1)::bigint) OVER (ORDER BY w.lsn, w.xid, w.number
					ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
				FROM notes AS w) AS n
			LEFT JOIN LATERAL (SELECT l AS event FROM amelia.workflow_log AS l
				WHERE l.workflow_id = n.workflow_id AND l.sequence BETWEEN n.first AND n.last_sequence
				ORDER BY l.sequence LIMIT wanted) AS e ON true
			WHERE COALESCE(n.before, 0) < wanted
			ORDER BY n.lsn, n.xid, n.number, (e.event).sequence
			LIMIT wanted
		LOOP
			lines := lines + 1;
			at := line;
			-- Events that were deleted meanwhile are passed over.
			IF line.moved_to IS NOT NULL OR line.is_event THEN
				next_cursor := concat_ws(';', identity, seen, low, until, until_low,
					line.lsn, line.xid, line.number, line.sequence);
				written_at := line.written_at;
				workflow_id := line.workflow_id;
				status := line.moved_to;
				event := line.event;
				RETURN NEXT;
				wanted := wanted - 1;
			END IF;
		END LOOP;
		EXIT WHEN lines = 0;
	END LOOP;

	-- Looked at last, because what was deleted meanwhile was not read.
	IF EXISTS (SELECT FROM amelia.feed_snapshots AS s
		WHERE s.origin = present.origin AND s.pruned
			AND (pg_snapshot_xmax(s.snapshot) > pg_snapshot_xmax(seen)
				OR EXISTS (SELECT FROM pg_snapshot_xip(seen) AS x WHERE pg_visible_in_snapshot(x, s.snapshot))))
	THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = 'the cursor is too old: some of what follows it has been pruned',
			HINT = 'Begin anew with NULL, and read with events_after() what happened before.';
	END IF;
	IF wanted > 0 THEN
		next_cursor := concat_ws(';', identity, until, until_low);
		written_at := NULL;
		workflow_id := NULL;
		status := NULL;
		event := NULL;
		RETURN NEXT;
	END IF;
END
$$;
COMMENT ON FUNCTION amelia.feed_after(text, integer, uuid[]) IS
'What happened in all workflows behind a cursor, or in those of workflow_ids: a row with status for each new status, by a plain UPDATE too, and one with event for each event. Each row''s next_cursor is where to go on after it; a page that is not full ends with a row of nothing but that. cursor NULL: begins now. For each workflow the order is that of its events; a row that commits late is in a later page, none is missed and none comes twice. row_limit 0: nothing. Errors: 22023 no such cursor, one of another database, or of before a restore or failover, 55000 what it needs has been pruned, or a standby is behind the cursor.';

CREATE OR REPLACE FUNCTION amelia.prune_feed(keep interval DEFAULT NULL, row_limit integer DEFAULT 10000)
RETURNS bigint
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT amelia_internal.trim_feed(prune_feed.keep, prune_feed.row_limit)
$$;
COMMENT ON FUNCTION amelia.prune_feed(interval, integer) IS
'Deletes from workflow_feed what readers could see for longer than keep, the oldest first, at most row_limit rows, and returns how many. keep NULL: feed_retention_hours of server_settings. How long a row could be seen is known from the calls before, so only later calls find something to delete. Cursors younger than keep stay good, older ones are refused. The maintenance worker calls it. Errors: 22023 a negative limit.';

REVOKE ALL ON FUNCTION
	amelia.feed_after(text, integer, uuid[]),
	amelia.prune_feed(interval, integer)
FROM PUBLIC;
