-- Finding workflows.

CREATE OR REPLACE FUNCTION amelia.get_workflow(id uuid) RETURNS SETOF amelia.workflows
LANGUAGE sql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
SELECT w.* FROM amelia.workflows AS w WHERE w.id = get_workflow.id
$$;
COMMENT ON FUNCTION amelia.get_workflow(uuid) IS 'The workflow; no row when there is none.';

CREATE OR REPLACE FUNCTION amelia.active_workflow(worktree_path text) RETURNS SETOF amelia.workflows
LANGUAGE sql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
SELECT w.* FROM amelia.workflows AS w
WHERE w.worktree_path = active_workflow.worktree_path
	AND w.status IN ('in_progress', 'blocked')
$$;
COMMENT ON FUNCTION amelia.active_workflow(text) IS
'The one workflow that is in_progress or blocked in a worktree; no row when there is none.';

CREATE OR REPLACE FUNCTION amelia.list_workflows(
	status text DEFAULT NULL,
	worktree_path text DEFAULT NULL,
	row_limit integer DEFAULT 20,
	after_started_at timestamptz DEFAULT NULL,
	after_id uuid DEFAULT NULL)
RETURNS SETOF amelia.workflows
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.check_choice('status', list_workflows.status);
	PERFORM amelia_internal.check_limit(list_workflows.row_limit);
	IF after_started_at IS NOT NULL AND after_id IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('after_started_at %s without after_id', after_started_at),
			HINT = 'A cursor is the started_at, which may be NULL, and the id of the last row seen.';
	END IF;
	-- Two parts, so that each is a range of idx_workflows_started_at: those
	-- that started, and after them those that never did.
	RETURN QUERY
	SELECT page.*
	FROM ((SELECT w.*
			FROM amelia.workflows AS w
			WHERE (after_id IS NULL OR after_started_at IS NOT NULL)
				AND w.started_at IS NOT NULL
				AND (w.started_at, w.id) <= (COALESCE(after_started_at, 'infinity'),
					COALESCE(after_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
				AND w.id IS DISTINCT FROM after_id
				AND (list_workflows.status IS NULL OR w.status = list_workflows.status)
				AND (list_workflows.worktree_path IS NULL OR w.worktree_path = list_workflows.worktree_path)
			ORDER BY w.started_at DESC NULLS LAST, w.id DESC
			LIMIT row_limit)
		UNION ALL
		(SELECT w.*
			FROM amelia.workflows AS w
			WHERE w.started_at IS NULL
				AND (after_id IS NULL OR after_started_at IS NOT NULL OR w.id < after_id)
				AND (list_workflows.status IS NULL OR w.status = list_workflows.status)
				AND (list_workflows.worktree_path IS NULL OR w.worktree_path = list_workflows.worktree_path)
			ORDER BY w.started_at DESC NULLS LAST, w.id DESC
			LIMIT row_limit)) AS page
	ORDER BY page.started_at DESC NULLS LAST, page.id DESC
	LIMIT row_limit;
END
$$;
COMMENT ON FUNCTION amelia.list_workflows(text, text, integer, timestamptz, uuid) IS
'A page of workflows, newest start first and those that never started last, then by id downwards. The next page follows after_started_at and after_id of the last row. A NULL filter does not filter. Errors: 22023 an unknown status, a limit that is NULL or negative, a cursor without its id.';

CREATE OR REPLACE FUNCTION amelia.count_workflows(
	status text DEFAULT NULL,
	worktree_path text DEFAULT NULL)
RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN amelia_internal.check_choice('status', count_workflows.status) IS NULL THEN (
		SELECT count(*)
		FROM amelia.workflows AS w
		WHERE count_workflows.worktree_path IS NULL OR w.worktree_path = count_workflows.worktree_path)
	ELSE (
		SELECT count(*)
		FROM amelia.workflows AS w
		WHERE w.status = count_workflows.status
			AND (count_workflows.worktree_path IS NULL OR w.worktree_path = count_workflows.worktree_path))
	END
$$;
COMMENT ON FUNCTION amelia.count_workflows(text, text) IS
'How many workflows there are; a NULL filter does not filter. Errors: 22023 an unknown status.';

CREATE OR REPLACE FUNCTION amelia.list_active_workflows(worktree_path text DEFAULT NULL)
RETURNS SETOF amelia.workflows
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT w.*
FROM amelia.workflows AS w
WHERE w.status IN ('pending', 'in_progress', 'blocked')
	AND (list_active_workflows.worktree_path IS NULL
		OR w.worktree_path = list_active_workflows.worktree_path)
ORDER BY w.started_at DESC NULLS FIRST, w.id DESC
$$;
COMMENT ON FUNCTION amelia.list_active_workflows(text) IS
'The workflows that are pending, in_progress or blocked, those that never started first, then newest start first.';

REVOKE ALL ON FUNCTION
	amelia.get_workflow(uuid),
	amelia.active_workflow(text),
	amelia.list_workflows(text, text, integer, timestamptz, uuid),
	amelia.count_workflows(text, text),
	amelia.list_active_workflows(text)
FROM PUBLIC;
