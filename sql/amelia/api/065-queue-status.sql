-- How the queue is.

CREATE OR REPLACE FUNCTION amelia.queue_status()
RETURNS TABLE (
	by_status jsonb,
	oldest_waiting timestamptz,
	claims_per_minute bigint,
	expired_leases bigint,
	held bigint,
	max_concurrent integer,
	workers jsonb,
	passed_over jsonb)
LANGUAGE sql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
-- Leases with their workflows: what policies hide of these is not told.
SELECT (SELECT jsonb_object_agg(s.status, COALESCE(c.number, 0))
		FROM unnest(ARRAY['pending', 'in_progress', 'blocked', 'completed', 'failed', 'cancelled']) AS s (status)
		LEFT JOIN (SELECT w.status, count(*) FROM amelia.workflows AS w GROUP BY w.status) AS c (status, number)
			USING (status)),
	(SELECT min(w.available_at) FROM amelia.workflows AS w
		WHERE w.status = 'pending' AND w.available_at <= now()),
	(SELECT count(*) FROM amelia.workflow_leases AS l JOIN amelia.workflows AS w ON w.id = l.workflow_id
		WHERE l.claimed_at > now() - interval '1 minute'),
	(SELECT count(*) FROM amelia.workflow_leases AS l JOIN amelia.workflows AS w ON w.id = l.workflow_id
		WHERE l.expires_at <= clock_timestamp() AND NOT l.given_back),
	(SELECT count(*) FROM amelia.workflow_leases AS l JOIN amelia.workflows AS w ON w.id = l.workflow_id
		WHERE l.expires_at > clock_timestamp()),
	(amelia_internal.current_settings() -> 'max_concurrent')::integer,
	COALESCE((SELECT jsonb_agg(jsonb_build_object('worker', o.worker, 'workflows', o.workflows,
				'seen_at', o.seen_at) ORDER BY o.worker)
		FROM (SELECT l.worker, jsonb_agg(l.workflow_id ORDER BY l.claimed_at), max(l.seen_at)
			FROM amelia.workflow_leases AS l JOIN amelia.workflows AS w ON w.id = l.workflow_id
			WHERE l.expires_at > clock_timestamp()
			GROUP BY l.worker) AS o (worker, workflows, seen_at)), '[]'),
	COALESCE((SELECT jsonb_agg(to_jsonb(o) ORDER BY o.failed_at DESC, o.workflow_id)
		FROM (SELECT f.workflow_id, f.failed_at, f.times, f.retry_at, f.sqlstate, f.reason
			FROM amelia.claim_faults AS f
			JOIN amelia.workflows AS w ON w.id = f.workflow_id
			WHERE w.status IN ('pending', 'in_progress', 'failed')
			ORDER BY f.failed_at DESC, f.workflow_id LIMIT 100) AS o), '[]')
$$;
COMMENT ON FUNCTION amelia.queue_status() IS
'One row on the queue: how many workflows have each status, since when the oldest one waits, workflows claimed within the last minute, leases that ran out and were not taken over, leases in force and how many there may be, and the workers that hold some: name, workflows, when they were last seen; and the workflows that claims pass over, the newest 100: when and how often they could not be moved, when they are tried again, and the error (claim_faults).';

REVOKE ALL ON FUNCTION amelia.queue_status() FROM PUBLIC;
