-- An orchestrator that knows nothing of Amelia's functions: the plain statements
-- of its repository layer, unqualified, with prepared statements and true row
-- counts.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

SET search_path = amelia, public;
\set QUIET off

-- Its migrator finds its first schema.
SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL DEFAULT NOW());
RESET client_min_messages;
SELECT COALESCE(MAX(version), 0) AS version, count(applied_at) AS applied FROM schema_migrations;

-- Its tests look indexes up by name.
SELECT e.name FROM unnest(ARRAY['idx_profiles_active', 'idx_workflows_issue_id', 'idx_workflows_status', 'idx_workflows_worktree',
	'idx_workflows_started_at', 'idx_workflows_active_worktree', 'idx_workflow_log_workflow', 'idx_workflow_log_errors',
	'idx_token_usage_workflow', 'idx_token_usage_timestamp', 'idx_prompt_versions_prompt', 'idx_workflow_prompts_workflow',
	'idx_brainstorm_sessions_profile', 'idx_brainstorm_sessions_status', 'idx_brainstorm_messages_session',
	'idx_brainstorm_artifacts_session']) AS e (name)
WHERE e.name NOT IN (SELECT indexname FROM pg_indexes WHERE schemaname = 'amelia');

-- Profiles.
INSERT INTO profiles (id, tracker, working_dir, plan_output_dir, plan_path_pattern, agents, is_active)
VALUES ('work', 'github', '/home/dev/work', 'docs/plans', 'docs/plans/{date}-{issue_key}.md',
	'{"architect": {"driver": "api", "model": "opus", "options": {}}}', FALSE);
INSERT INTO profiles (id, working_dir, agents) VALUES ('home', '/home/dev', '{}');
BEGIN;
UPDATE profiles SET is_active = FALSE WHERE is_active = TRUE;
UPDATE profiles SET is_active = TRUE WHERE id = 'work';
COMMIT;
SELECT id, agents->'architect'->>'model' AS model FROM profiles WHERE is_active = TRUE;
UPDATE profiles SET tracker = 'jira', plan_output_dir = 'plans' WHERE id = 'home';
UPDATE profiles SET tracker = 'jira' WHERE id = 'nowhere';
DELETE FROM profiles WHERE id = 'home';

-- Workflows.
PREPARE create_workflow (uuid, text, text, text, text, text, jsonb, timestamptz) AS
	INSERT INTO workflows (id, issue_id, worktree_path, status, workflow_type, profile_id, issue_cache, created_at)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8);
EXECUTE create_workflow ('aaaaaaaa-0000-7000-8000-000000000001', 'I-1', '/wt/1', 'pending', 'full', 'work', '{"title": "t"}', now());
EXECUTE create_workflow ('aaaaaaaa-0000-7000-8000-000000000002', 'I-2', '/wt/2', 'pending', 'review', 'work', NULL, now());
INSERT INTO workflows (id, issue_id, worktree_path, status, started_at, completed_at, failure_reason)
VALUES ('aaaaaaaa-0000-7000-8000-000000000003', 'I-3', '/wt/3', 'failed', '2020-01-01', '2020-01-02', 'imported'),
	('aaaaaaaa-0000-7000-8000-000000000004', 'I-4', '/wt/4', 'in_progress', '2020-01-03', NULL, NULL),
	('aaaaaaaa-0000-7000-8000-000000000005', 'I-5', '/wt/5', 'completed', '2020-01-01', '2020-01-02', NULL);
SELECT id, status, issue_cache FROM workflows WHERE id = 'aaaaaaaa-0000-7000-8000-000000000001';
SELECT id FROM workflows WHERE worktree_path = '/wt/4' AND status IN ('in_progress', 'blocked');
SELECT issue_id FROM workflows ORDER BY started_at DESC NULLS LAST, id DESC LIMIT 2;
SELECT issue_id FROM workflows WHERE (started_at < '2020-01-03' OR (started_at = '2020-01-03' AND id < 'aaaaaaaa-0000-7000-8000-000000000004'))
ORDER BY started_at DESC NULLS LAST, id DESC LIMIT 5;
SELECT COUNT(*) FROM workflows WHERE status = ANY(ARRAY['pending', 'in_progress', 'blocked']);
UPDATE workflows SET status = 'in_progress', started_at = '2020-02-02' WHERE id = 'aaaaaaaa-0000-7000-8000-000000000001';
UPDATE workflows SET status = 'blocked' WHERE id = 'aaaaaaaa-0000-7000-8000-000000000001';
UPDATE workflows SET status = 'in_progress' WHERE id = 'aaaaaaaa-0000-7000-8000-000000000001';
UPDATE workflows SET status = 'completed', completed_at = '2020-02-03' WHERE id = 'aaaaaaaa-0000-7000-8000-000000000001';
SELECT status, started_at, completed_at FROM workflows WHERE id = 'aaaaaaaa-0000-7000-8000-000000000001';
UPDATE workflows SET status = 'failed', failure_reason = 'late' WHERE id = 'aaaaaaaa-0000-7000-8000-000000000001';
UPDATE workflows SET plan_cache = '{"goal": "g"}' WHERE id = 'aaaaaaaa-0000-7000-8000-000000000002';
UPDATE workflows SET plan_cache = '{"goal": "g"}' WHERE id = 'aaaaaaaa-0000-7000-8000-000000000099';
UPDATE workflows SET status = 'cancelled' WHERE status = 'pending' AND issue_id = 'I-2';
UPDATE workflows SET profile_id = 'work';

-- The event log: first with numbers of its own, then without.
PREPARE save_event (uuid, uuid, integer, timestamptz, text, text, text, text, jsonb, boolean, text) AS
	INSERT INTO workflow_log (id, workflow_id, sequence, timestamp, level, event_type, agent, message, data, is_error, trace_id)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);
SELECT COALESCE(MAX(sequence), 0) AS max_sequence FROM workflow_log WHERE workflow_id = 'aaaaaaaa-0000-7000-8000-000000000004';
EXECUTE save_event ('eeeeeeee-0000-7000-8000-000000000001', 'aaaaaaaa-0000-7000-8000-000000000004', 1, '2020-01-01', 'info', 'stage_started',
	'architect', 'm1', '{"stage": "plan"}', FALSE, NULL);
EXECUTE save_event ('eeeeeeee-0000-7000-8000-000000000002', 'aaaaaaaa-0000-7000-8000-000000000004', 2, '2020-01-01', 'error', 'task_failed',
	'developer', 'm2', NULL, TRUE, 't1');
EXECUTE save_event ('eeeeeeee-0000-7000-8000-000000000003', 'aaaaaaaa-0000-7000-8000-000000000004', NULL, '2020-01-01', 'trace', 'stream',
	NULL, 'm3', '[]', FALSE, 't1');
INSERT INTO workflow_log (id, workflow_id, event_type, message)
VALUES ('eeeeeeee-0000-7000-8000-000000000004', 'aaaaaaaa-0000-7000-8000-000000000004', 'x', 'm4'),
	('eeeeeeee-0000-7000-8000-000000000005', 'aaaaaaaa-0000-7000-8000-000000000004', 'x', 'm5');
INSERT INTO workflow_log (id, workflow_id, event_type, message)
VALUES ('eeeeeeee-0000-7000-8000-000000000005', 'aaaaaaaa-0000-7000-8000-000000000004', 'x', 'again')
ON CONFLICT (id) DO NOTHING;
INSERT INTO workflow_log (id, workflow_id, event_type, message)
VALUES ('eeeeeeee-0000-7000-8000-000000000005', 'aaaaaaaa-0000-7000-8000-000000000004', 'x', 'again'),
	('eeeeeeee-0000-7000-8000-000000000006', 'aaaaaaaa-0000-7000-8000-000000000004', 'x', 'm6')
ON CONFLICT (id) DO NOTHING;
COPY workflow_log (id, workflow_id, event_type, message) FROM STDIN;
eeeeeeee-0000-7000-8000-000000000007	aaaaaaaa-0000-7000-8000-000000000004	x	m7
eeeeeeee-0000-7000-8000-000000000008	aaaaaaaa-0000-7000-8000-000000000004	x	m8
\.
SELECT sequence, level, event_type, agent, message, is_error FROM workflow_log
WHERE workflow_id = 'aaaaaaaa-0000-7000-8000-000000000004' ORDER BY sequence;
SELECT EXISTS(SELECT 1 FROM workflow_log WHERE id = 'eeeeeeee-0000-7000-8000-000000000002') AS event_exists;
SELECT sequence, message FROM workflow_log WHERE workflow_id = 'aaaaaaaa-0000-7000-8000-000000000004' AND sequence > 2 ORDER BY sequence LIMIT 2;
SELECT sequence FROM (SELECT sequence FROM workflow_log WHERE workflow_id = 'aaaaaaaa-0000-7000-8000-000000000004'
	ORDER BY sequence DESC LIMIT 3) AS newest ORDER BY sequence;
SELECT message FROM workflow_log WHERE workflow_id = 'aaaaaaaa-0000-7000-8000-000000000004' AND is_error = TRUE;
SELECT count(*) FROM workflow_log WHERE trace_id = 't1';
UPDATE workflow_log SET message = 'redacted' WHERE id = 'eeeeeeee-0000-7000-8000-000000000001';

-- Tokens and cost; numbers arrive as long decimals.
PREPARE save_usage (uuid, uuid, text, text, integer, integer, integer, integer, numeric, integer, integer, timestamptz) AS
	INSERT INTO token_usage (id, workflow_id, agent, model, input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens,
		cost_usd, duration_ms, num_turns, timestamp)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);
EXECUTE save_usage ('dddddddd-0000-7000-8000-000000000001', 'aaaaaaaa-0000-7000-8000-000000000004', 'architect', 'opus', 100, 50, 10, 5,
	0.1000000000000000055511151231257827021181583404541015625, 1500, 2, '2020-01-01');
EXECUTE save_usage ('dddddddd-0000-7000-8000-000000000002', 'aaaaaaaa-0000-7000-8000-000000000004', 'developer', 'haiku', 10, 5, NULL, 0,
	0.200000000000000011102230246251565404236316680908203125, 500, 1, '2020-01-01');
SELECT SUM(input_tokens) AS input, SUM(output_tokens) AS output, SUM(COALESCE(cache_read_tokens, 0)) AS cache_read, SUM(cost_usd) AS cost,
	SUM(duration_ms) AS duration, SUM(num_turns) AS turns
FROM token_usage WHERE workflow_id = 'aaaaaaaa-0000-7000-8000-000000000004';
SELECT date_trunc('day', timestamp) AS day, SUM(cost_usd) FROM token_usage WHERE timestamp >= '2020-01-01' GROUP BY 1 ORDER BY 1;

-- Settings: an upsert, and dynamic updates.
INSERT INTO server_settings (id) VALUES (1) ON CONFLICT (id) DO NOTHING;
INSERT INTO server_settings (id) VALUES (1) ON CONFLICT (id) DO NOTHING;
INSERT INTO server_settings (id, max_concurrent) VALUES (1, 8) ON CONFLICT (id) DO UPDATE SET max_concurrent = EXCLUDED.max_concurrent;
UPDATE server_settings SET log_retention_days = 60, websocket_idle_timeout_seconds = 90.5 WHERE id = 1;
SELECT log_retention_days, websocket_idle_timeout_seconds, max_concurrent FROM server_settings WHERE id = 1;

-- Prompts.
INSERT INTO prompts (id, agent, name, description) VALUES ('architect.plan', 'architect', 'Architect Plan Format', 'd')
ON CONFLICT (id) DO NOTHING;
INSERT INTO prompts (id, agent, name, description) VALUES ('architect.plan', 'architect', 'another', 'd')
ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name;
BEGIN;
INSERT INTO prompt_versions (id, prompt_id, version_number, content, change_note)
SELECT 'v-1', 'architect.plan', COALESCE(MAX(version_number), 0) + 1, 'c', 'n' FROM prompt_versions WHERE prompt_id = 'architect.plan';
UPDATE prompts SET current_version_id = 'v-1' WHERE id = 'architect.plan';
COMMIT;
SELECT p.id, v.version_number, v.content FROM prompts AS p LEFT JOIN prompt_versions AS v ON p.current_version_id = v.id;
INSERT INTO workflow_prompt_versions (workflow_id, prompt_id, version_id)
VALUES ('aaaaaaaa-0000-7000-8000-000000000004', 'architect.plan', 'v-1')
ON CONFLICT (workflow_id, prompt_id) DO UPDATE SET version_id = EXCLUDED.version_id;
UPDATE prompts SET current_version_id = NULL WHERE id = 'architect.plan';

-- Chats.
INSERT INTO brainstorm_sessions (id, profile_id, driver_session_id, driver_type, status, topic, created_at, updated_at)
VALUES ('s-1', 'work', 'd-1', 'api', 'active', 'topic', '2020-01-01', '2020-01-01');
INSERT INTO brainstorm_messages (id, session_id, sequence, role, content, parts, created_at, input_tokens, output_tokens, cost_usd, is_system)
SELECT 'm-1', 's-1', COALESCE(MAX(sequence), 0) + 1, 'user', 'hello', '[{"type": "text"}]', '2020-01-01', NULL, NULL, NULL, FALSE
FROM brainstorm_messages WHERE session_id = 's-1';
INSERT INTO brainstorm_messages (id, session_id, role, content, cost_usd) VALUES ('m-2', 's-1', 'assistant', 'hi', 0.00000149);
INSERT INTO brainstorm_artifacts (id, session_id, type, path, title) VALUES ('a-1', 's-1', 'design', '/d.md', 't');
UPDATE brainstorm_sessions SET status = 'completed', output_artifact_path = '/d.md', updated_at = '2020-01-02' WHERE id = 's-1';
SELECT id, status, updated_at FROM brainstorm_sessions WHERE profile_id = 'work' ORDER BY updated_at DESC LIMIT 50;
SELECT sequence, role, content, cost_usd FROM brainstorm_messages WHERE session_id = 's-1' ORDER BY sequence;

-- Clean-up, with the counts that it reports.
DELETE FROM workflow_log WHERE workflow_id IN (SELECT id FROM workflows WHERE completed_at < now() - interval '30 days');
DELETE FROM workflow_log WHERE level = 'trace' AND workflow_id = 'aaaaaaaa-0000-7000-8000-000000000004';
WITH gone AS (DELETE FROM workflow_log WHERE workflow_id = 'aaaaaaaa-0000-7000-8000-000000000004' RETURNING 1) SELECT count(*) FROM gone;
DELETE FROM workflows WHERE completed_at < now() - interval '30 days' AND status IN ('completed', 'failed', 'cancelled')
	AND NOT EXISTS (SELECT 1 FROM workflow_log AS l WHERE l.workflow_id = workflows.id);
DELETE FROM brainstorm_sessions WHERE id = 's-1';
DELETE FROM brainstorm_sessions WHERE id = 's-1';
TRUNCATE token_usage;
\set QUIET on
SELECT t.rows();
SELECT * FROM verify();
