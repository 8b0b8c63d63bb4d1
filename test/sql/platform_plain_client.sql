-- A client that knows nothing but the tables: the statements of its repository layer, unqualified.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\set platform :abs_srcdir '/platform.psql'
\i :helpers
\i :platform
SET client_min_messages = warning;
DROP ROLE IF EXISTS plain_host;
RESET client_min_messages;
CREATE ROLE plain_host;
SELECT amelia_platform.grant_agent('plain_host');
GRANT USAGE ON SCHEMA t TO plain_host;
SET ROLE plain_host;
SET search_path = amelia_platform, public;
\set QUIET off
\set SHOW_CONTEXT never

-- Agents.
INSERT INTO agents (name, agent_type, status, capabilities, system_prompt, model_provider, model_name)
VALUES ('Chief', 'chief_of_staff', 'active', '["delegate"]', 'You lead.', 'openrouter', 'auto');
INSERT INTO agents (id, name, agent_type) VALUES (t.a(2), 'Operator', 'master_operator'), (t.a(3), 'Other', 'master_operator');
INSERT INTO agent_capabilities (agent_id, capability_name, confidence_score) VALUES (t.a(2), 'sql', 0.85);
INSERT INTO agent_performance (agent_id, metric_name, metric_value, metric_unit) VALUES (t.a(2), 'latency', 12.5, 'ms');
UPDATE agents SET status = 'busy', last_heartbeat = NOW(), performance_metrics = performance_metrics || '{"done": 1}' WHERE id = t.a(2);
SELECT name, agent_type, status, model_provider, model_name, performance_metrics, updated_at >= created_at AS touched FROM agents ORDER BY name;

-- Tasks.
INSERT INTO tasks (id, title, description, priority, assigned_agent_id, context_data, deadline)
VALUES (t.k(1), 'Write it', 'all of it', 'high', t.a(2), '{"repo": "x"}', NOW() + INTERVAL '1 day') RETURNING id AS task \gset
UPDATE tasks SET status = 'in_progress', started_at = NOW() WHERE id = :'task' AND status = 'pending';
UPDATE tasks SET status = 'completed', completed_at = NOW(), result_data = '{"ok": true}' WHERE id = :'task';
UPDATE tasks SET status = 'pending' WHERE id = :'task';
SELECT title, status, priority, attempts, result_data, started_at IS NOT NULL AS started, completed_at IS NOT NULL AS ended FROM tasks;

-- Messages.
INSERT INTO agent_messages (message_id, correlation_id, conversation_id, sender_id, recipient_id, sender_type, recipient_type, message_type, priority, subject, payload, max_retries)
VALUES (t.m(1), t.m(2), t.m(3), t.a(2), t.a(3), 'master_operator', 'master_operator', 'capability_inquiry', 'high', 'Can you?', '{"need": "sql"}', 2);
INSERT INTO agent_messages (message_id, sender_id, recipient_id, message_type) VALUES (t.m(1), t.a(2), t.a(3), 'capability_inquiry');
UPDATE agent_messages SET status = 'sent' WHERE message_id = t.m(1);
UPDATE agent_messages SET status = 'delivered', delivered_at = NOW() WHERE message_id = t.m(1) AND status IN ('pending', 'sent');
UPDATE agent_messages SET status = 'delivered', delivered_at = NOW() WHERE message_id = t.m(1) AND status IN ('pending', 'sent');
UPDATE agent_messages SET status = 'acknowledged', acknowledged_at = NOW() WHERE message_id = t.m(1);
SELECT status, priority, subject, retry_count, max_retries, acknowledged_at IS NOT NULL AS acknowledged FROM agent_messages;

-- Workflows and executions: rows are enough.
INSERT INTO workflows (id, name, description, definition, status, tags)
VALUES (t.f(1), 'Release', 'in two steps', '{"steps": [{"step_id": "build", "step_type": "task", "next_steps": ["done"]}, {"step_id": "done", "step_type": "end"}]}', 'active', '{release}');
INSERT INTO workflows (name, definition, status) VALUES ('Broken', '{"steps": [{"step_id": "build", "step_type": "task"}]}', 'active');
INSERT INTO workflow_executions (id, workflow_id, context_data) VALUES (t.x(1), t.f(1), '{"tag": "v1"}');
SELECT title, status, step_id, t.n(execution_id) AS execution FROM tasks WHERE workflow_id = t.f(1);
UPDATE tasks SET status = 'in_progress', assigned_agent_id = t.a(2) WHERE execution_id = t.x(1);
UPDATE tasks SET status = 'completed', result_data = '{"size": 7}' WHERE execution_id = t.x(1);
SELECT status, current_step, context_data, result_data, completed_at IS NOT NULL AS ended FROM workflow_executions;
SELECT name FROM workflows WHERE tags @> '{release}';

-- It deletes nothing.
DELETE FROM tasks;
DELETE FROM agents;
RESET ROLE;
SELECT * FROM verify();
DROP OWNED BY plain_host;
DROP ROLE plain_host;
