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
AS $$
#variable_conflict use_column
DECLARE
	identity CONSTANT text := amelia.feed_identity();
	seen pg_snapshot;
	until pg_snapshot;
	place bigint := 0;
	place_sequence integer := 0;
	parts text[];
	returned integer := 0;
	line record;
BEGIN
	PERFORM amelia.check_limit(row_limit);
	IF cursor IS NULL THEN
		next_cursor := concat_ws('/', identity, amelia.feed_snapshot());
		RETURN NEXT;
		RETURN;
	END IF;
	parts := string_to_array(cursor, '/');
	IF parts[1] <> identity THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = 'the cursor is of another database, or of the one that this was restored from',
			HINT = 'Begin anew with NULL, and read with events_after() what happened before.';
	END IF;
	BEGIN
		seen := parts[2]::pg_snapshot;
		until := parts[3]::pg_snapshot;
		place := COALESCE(parts[4]::bigint, 0);
		place_sequence := COALESCE(parts[5]::integer, 0);
	EXCEPTION WHEN data_exception THEN
		seen := NULL;
	END;
	IF seen IS NULL OR pg_snapshot_xmax(seen) > pg_snapshot_xmax(pg_current_snapshot()) THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('"%s" is no cursor of this feed', cursor),
			HINT = 'Give the next_cursor of the last row, or NULL to begin.';
	END IF;
	IF (SELECT s.pruned_xid FROM amelia.feed_state AS s) >= pg_snapshot_xmin(seen) THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = 'the cursor is too old: some of what follows it has been pruned',
			HINT = 'Begin anew with NULL, and read with events_after() what happened before.';
	END IF;
	until := COALESCE(until, amelia.feed_snapshot());

	FOR line IN
		SELECT f.id, f.written_at, f.workflow_id, f.moved_to AS status, e AS event, e.sequence
		FROM (SELECT n.* FROM amelia.workflow_feed AS n
				WHERE n.xid >= pg_snapshot_xmax(seen)
				UNION ALL
				SELECT o.* FROM amelia.workflow_feed AS o
				WHERE o.xid = ANY (ARRAY(SELECT x FROM pg_snapshot_xip(seen) AS x))) AS f
		LEFT JOIN amelia.workflow_log AS e
			ON e.workflow_id = f.workflow_id AND e.sequence BETWEEN f.first_sequence AND f.last_sequence
		WHERE pg_visible_in_snapshot(f.xid, until)
			AND (f.id, COALESCE(e.sequence, 0)) > (place, place_sequence)
			AND (f.moved_to IS NOT NULL OR e.id IS NOT NULL)
			AND (workflow_ids IS NULL OR f.workflow_id = ANY (workflow_ids))
		ORDER BY f.id, e.sequence
		LIMIT row_limit
	LOOP
		next_cursor := concat_ws('/', identity, seen, until, line.id, COALESCE(line.sequence, 0));
		written_at := line.written_at;
		workflow_id := line.workflow_id;
		status := line.status;
		event := line.event;
		RETURN NEXT;
		returned := returned + 1;
	END LOOP;
	IF returned < row_limit THEN
		next_cursor := concat_ws('/', identity, until);
		written_at := NULL;
		workflow_id := NULL;
		status := NULL;
		event := NULL;
		RETURN NEXT;
	END IF;
END
$$;
COMMENT ON FUNCTION amelia.feed_after(text, integer, uuid[]) IS
'What happened in all workflows behind a cursor, or in those of workflow_ids: a row with status for each new status, by a plain UPDATE too, and one with event for each event. Each row''s next_cursor is where to go on after it; a page that is not full ends with a row of nothing but that. cursor NULL: begins now. For each workflow the order is that of its events; a row that commits late is in a later page, none is missed and none comes twice. Errors: 22023 no such cursor, or one of another database, 55000 what it needs has been pruned.';

CREATE OR REPLACE FUNCTION amelia.prune_feed(keep interval DEFAULT '1 day', row_limit integer DEFAULT 10000)
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	pruned bigint;
	last_xid xid8;
BEGIN
	PERFORM amelia.check_given('keep', keep), amelia.check_limit(row_limit);
	WITH gone AS (
		DELETE FROM amelia.workflow_feed AS f
		WHERE f.id IN (SELECT o.id FROM amelia.workflow_feed AS o
			WHERE o.written_at < clock_timestamp() - keep
			ORDER BY o.id LIMIT row_limit)
		RETURNING f.xid)
	SELECT count(*), (array_agg(g.xid ORDER BY g.xid DESC))[1] INTO pruned, last_xid FROM gone AS g;
	UPDATE amelia.feed_state AS s SET pruned_xid = GREATEST(s.pruned_xid, last_xid) WHERE last_xid IS NOT NULL;
	RETURN pruned;
END
$$;
COMMENT ON FUNCTION amelia.prune_feed(interval, integer) IS
'Deletes what is older from workflow_feed, the oldest first, and returns how many rows. A reader who has not read them is told so. Errors: 22023 a NULL, a negative limit.';

REVOKE ALL ON FUNCTION
	amelia.feed_after(text, integer, uuid[]),
	amelia.prune_feed(interval, integer)
FROM PUBLIC;
