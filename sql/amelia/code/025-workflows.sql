-- What set_workflow_status() calls.

CREATE FUNCTION amelia_internal.transition_event(old_status text, new_status text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE new_status
	WHEN 'in_progress' THEN
		CASE old_status WHEN 'blocked' THEN 'approval_granted' ELSE 'workflow_started' END
	WHEN 'blocked' THEN 'approval_required'
	WHEN 'pending' THEN 'approval_rejected'
	ELSE 'workflow_' || new_status
END
$$;
COMMENT ON FUNCTION amelia_internal.transition_event(text, text) IS
'The event type that tells of a workflow''s move from one status to another.';

REVOKE ALL ON FUNCTION
	amelia_internal.transition_event(text, text)
FROM PUBLIC;
