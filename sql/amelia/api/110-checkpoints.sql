-- LangGraph's checkpoint tables: where they are, and whose threads are in them.

CREATE OR REPLACE FUNCTION amelia.checkpoint_sources()
RETURNS TABLE (schema_name name, owner oid, problem text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT s.schema_name, t.owner, CASE
		WHEN t.number < (SELECT count(DISTINCT e.relation) FROM amelia_internal.checkpoint_columns() AS e) THEN format('not all of %s are there',
			(SELECT string_agg(DISTINCT e.relation::text, ', ') FROM amelia_internal.checkpoint_columns() AS e))
		WHEN t.special IS NOT NULL THEN format('%s is not an ordinary table, or has partitions, children or rules', t.special)
		WHEN t.owners > 1 THEN 'the three tables do not have the same owner'
		WHEN t.unusable IS NOT NULL THEN format('the owner of %s lacks a privilege on it', t.unusable)
		WHEN NOT has_schema_privilege(t.owner, n.oid, 'USAGE') THEN 'the owner of the tables may not use the schema'
		ELSE amelia_internal.checkpoint_columns_problem(n.oid) END
	FROM amelia.checkpoint_schemas AS s
	JOIN pg_namespace AS n ON n.nspname = s.schema_name
	JOIN LATERAL (
		SELECT count(*) AS number, count(DISTINCT c.relowner) AS owners, max(c.relowner) AS owner,
			min(c.relname::text) FILTER (WHERE c.relkind <> 'r' OR c.relhasrules
				OR EXISTS (SELECT FROM pg_inherits AS i
					WHERE i.inhparent = c.oid OR i.inhrelid = c.oid)) AS special,
			min(c.relname::text) FILTER (WHERE NOT has_table_privilege(c.relowner, c.oid, 'SELECT')
				OR NOT has_table_privilege(c.relowner, c.oid, 'DELETE')) AS unusable
		FROM pg_class AS c
		WHERE c.relnamespace = n.oid
			AND c.relname IN (SELECT e.relation FROM amelia_internal.checkpoint_columns() AS e)
			AND c.relkind IN ('r', 'p', 'v', 'm', 'f')) AS t ON t.number > 0
	WHERE NOT s.left_alone
	ORDER BY s.schema_name;
END
$$;
COMMENT ON FUNCTION amelia.checkpoint_sources() IS
'The registered schemas in which tables with the names of LangGraph''s are, with their owner; problem says why retention leaves them alone, NULL when it does not. While there is a problem, no workflow is deleted: its checkpoints could be there.';

CREATE OR REPLACE FUNCTION amelia.link_thread(workflow_id uuid, thread_id text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	holder uuid;
BEGIN
	PERFORM amelia_internal.check_given('workflow_id', link_thread.workflow_id),
		amelia_internal.check_given('thread_id', link_thread.thread_id);
	PERFORM amelia_internal.hold_workflow(link_thread.workflow_id);
	INSERT INTO amelia.workflow_threads (thread_id, workflow_id)
	VALUES (link_thread.thread_id, link_thread.workflow_id)
	ON CONFLICT (thread_id) DO NOTHING;
	SELECT t.workflow_id INTO holder
	FROM amelia.workflow_threads AS t
	WHERE t.thread_id = link_thread.thread_id;
	IF holder <> link_thread.workflow_id THEN
		RAISE EXCEPTION USING ERRCODE = '23505',
			MESSAGE = format('thread "%s" belongs to workflow %s', link_thread.thread_id, holder),
			HINT = 'unlink_thread() takes it away from there.',
			SCHEMA = 'amelia', TABLE = 'workflow_threads', CONSTRAINT = 'workflow_threads_pkey';
	END IF;
END
$$;
COMMENT ON FUNCTION amelia.link_thread(uuid, text) IS
'Says that a LangGraph thread belongs to a workflow, besides the one that is named like the workflow''s id: its checkpoints go when that workflow is finished and old. Again: nothing happens. Errors: P0002 no such workflow, 23505 it belongs to another one, 22023 NULL.';

CREATE OR REPLACE FUNCTION amelia.unlink_thread(thread_id text) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.check_given('thread_id', unlink_thread.thread_id);
	DELETE FROM amelia.workflow_threads AS t WHERE t.thread_id = unlink_thread.thread_id;
	RETURN FOUND;
END
$$;
COMMENT ON FUNCTION amelia.unlink_thread(text) IS
'Takes back link_thread(), and returns whether there was something to take back. The thread''s checkpoints stay. Errors: 22023 NULL.';

REVOKE ALL ON FUNCTION
	amelia.checkpoint_sources(),
	amelia.link_thread(uuid, text),
	amelia.unlink_thread(text)
FROM PUBLIC;
