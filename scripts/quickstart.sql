-- What scripts/quickstart shows: the workflow that cost something, its last
-- events, its tokens and cost.
\set ECHO none
SELECT w.id AS workflow
FROM amelia.workflows w
WHERE EXISTS (SELECT FROM amelia.token_usage u WHERE u.workflow_id = w.id)
ORDER BY w.created_at DESC, w.id DESC
LIMIT 1 \gset
\set ECHO queries

SELECT issue_id, workflow_type, status, started_at, completed_at
FROM amelia.get_workflow(:'workflow');

SELECT sequence, level, event_type, agent, left(message, 60) AS message
FROM amelia.recent_events(:'workflow', row_limit => 8);

SELECT total_input_tokens, total_output_tokens, total_cost_usd, total_turns
FROM amelia.token_summary(:'workflow');
