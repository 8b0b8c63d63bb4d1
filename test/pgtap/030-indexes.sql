-- The indexes: those that clients look up by name, and none that is double.
BEGIN;
-- pgTAP may live in any schema. Ours stays off the path, so that names are
-- shown with their schema.
SELECT set_config('search_path', 'pg_catalog, ' || quote_ident(n.nspname), true) AS path
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pgtap' \gset
SELECT no_plan();

CREATE TEMP TABLE contract (index_name text, definition text);
INSERT INTO contract VALUES
	('idx_profiles_active', 'UNIQUE profiles (is_active) WHERE is_active'),
	('idx_workflows_issue_id', 'workflows (issue_id)'),
	('idx_workflows_status', 'workflows (status)'),
	('idx_workflows_worktree', 'workflows (worktree_path)'),
	('idx_workflows_started_at', 'workflows (started_at DESC NULLS LAST, id DESC)'),
	('idx_workflows_active_worktree',
		'UNIQUE workflows (worktree_path) WHERE (status = ANY (ARRAY[''in_progress''::text, ''blocked''::text]))'),
	('idx_workflows_finished',
		'workflows (completed_at, id) WHERE (status = ANY (ARRAY[''completed''::text, ''failed''::text, ''cancelled''::text]))'),
	('idx_workflows_traces',
		'workflows (completed_at, id) WHERE ((status = ANY (ARRAY[''completed''::text, ''failed''::text, ''cancelled''::text])) AND (traces_removed_to IS NULL))'),
	('idx_workflow_log_workflow', 'UNIQUE workflow_log (workflow_id, sequence)'),
	('idx_workflow_log_errors', 'workflow_log (workflow_id, sequence) WHERE is_error'),
	('idx_workflow_log_trace', 'workflow_log (trace_id) WHERE (trace_id IS NOT NULL)'),
	('idx_workflow_log_parent', 'workflow_log (parent_id) WHERE (parent_id IS NOT NULL)'),
	('idx_token_usage_workflow', 'token_usage (workflow_id)'),
	('idx_token_usage_timestamp', 'token_usage ("timestamp")'),
	('idx_prompt_versions_prompt', 'UNIQUE prompt_versions (prompt_id, version_number)'),
	('idx_workflow_prompts_workflow', 'UNIQUE workflow_prompt_versions (workflow_id, prompt_id)'),
	('idx_brainstorm_sessions_profile', 'brainstorm_sessions (profile_id)'),
	('idx_brainstorm_sessions_status', 'brainstorm_sessions (status)'),
	('idx_brainstorm_messages_session', 'UNIQUE brainstorm_messages (session_id, sequence)'),
	('idx_brainstorm_artifacts_session', 'brainstorm_artifacts (session_id)'),
	('idx_usage_history_day', 'usage_history (day)'),
	('idx_workflow_history_completed', 'workflow_history (completed_at)'),
	('idx_usage_dirty_days_day', 'usage_dirty_days (day)'),
	('idx_model_prices_model', 'model_prices (model)'),
	('idx_unpriced_usage_workflow', 'unpriced_usage (workflow_id)'),
	('idx_budget_spending_budget', 'budget_spending (budget_id, period_start)');

CREATE TEMP VIEW actual AS
SELECT c.relname::text AS index_name, t.relname::text AS table_name,
	CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END || t.relname
		|| regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING btree', '') AS definition, i.*
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_class AS t ON t.oid = i.indrelid
WHERE t.relnamespace = 'amelia'::regnamespace AND t.relkind IN ('r', 'p');

SELECT is(a.definition, c.definition, 'index ' || c.index_name)
FROM contract AS c LEFT JOIN actual AS a USING (index_name);
SELECT cmp_ok((SELECT count(*) FROM actual), '>=', 54::bigint, 'the indexes are seen');

SELECT is_empty($$
	SELECT a.index_name FROM actual AS a WHERE NOT (a.indisvalid AND a.indisready AND a.indislive)
$$, 'every index is valid');
SELECT is_empty($$
	SELECT a.index_name, b.index_name, a.definition
	FROM actual AS a JOIN actual AS b ON b.indrelid = a.indrelid AND b.indexrelid > a.indexrelid
		AND b.indkey = a.indkey AND b.indclass = a.indclass AND b.indcollation = a.indcollation
		AND b.indpred IS NOT DISTINCT FROM a.indpred AND b.indexprs IS NOT DISTINCT FROM a.indexprs
$$, 'no two indexes are the same');
-- Nor does one begin like another that is there anyway.
SELECT is_empty($$
	SELECT a.index_name, b.index_name
	FROM actual AS a JOIN actual AS b ON b.indrelid = a.indrelid AND b.indexrelid <> a.indexrelid
		AND b.indpred IS NULL AND b.indexprs IS NULL AND a.indexprs IS NULL
		AND b.indkey::text LIKE a.indkey::text || ' %'
	WHERE NOT a.indisunique AND a.indpred IS NULL
$$, 'no index is the beginning of another');

-- A DELETE of the parent must not scan the child table.
SELECT is_empty($$
	SELECT k.conrelid::regclass, k.conname
	FROM pg_constraint AS k
	WHERE k.contype = 'f' AND k.connamespace = 'amelia'::regnamespace
		AND NOT EXISTS (SELECT FROM actual AS a WHERE a.indrelid = k.conrelid AND a.indkey[0] = ANY (k.conkey)
			AND (a.indpred IS NULL OR pg_get_expr(a.indpred, a.indrelid)
				= (SELECT format('(%I IS NOT NULL)', c.attname) FROM pg_attribute AS c
					WHERE c.attrelid = k.conrelid AND c.attnum = a.indkey[0])))
$$, 'every foreign key has an index on the side that refers');

-- Half of all events have the same level and type: an index selects nothing.
SELECT is_empty($$
	SELECT a.index_name
	FROM actual AS a JOIN pg_attribute AS c ON c.attrelid = a.indrelid AND c.attnum = a.indkey[0]
	WHERE a.table_name = 'workflow_log' AND c.attname IN ('level', 'event_type')
$$, 'no index of workflow_log begins with level or event_type');
SELECT is((SELECT count(*) FROM actual AS a WHERE a.table_name = 'workflow_log'), 5::bigint,
	'workflow_log has no index but these, for each costs every append');

-- Nor of workflows with what every append changes: the row could not stay on
-- its page then.
SELECT is_empty($$
	SELECT a.index_name, c.attname
	FROM actual AS a JOIN pg_attribute AS c ON c.attrelid = a.indrelid
	WHERE a.table_name = 'workflows' AND c.attname IN ('updated_at', 'sequence_floor', 'events_removed')
		AND (c.attnum = ANY (a.indkey) OR pg_get_expr(a.indpred, a.indrelid) LIKE '%' || c.attname || '%')
$$, 'no index of workflows has updated_at or a counter');

SELECT * FROM finish();
ROLLBACK;
