-- A database as an orchestrator left it in SQLite, for trying amelia-import:
--     sqlite3 app.db < samples/sample-app.sql
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE profiles (id TEXT PRIMARY KEY, tracker TEXT NOT NULL DEFAULT 'noop', working_dir TEXT NOT NULL, plan_output_dir TEXT NOT NULL,
	plan_path_pattern TEXT NOT NULL, agents TEXT NOT NULL, is_active INTEGER NOT NULL DEFAULT 0, created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
INSERT INTO profiles VALUES('work','github','/src/work','docs','p','{"developer": {"model": "m", "driver": "api", "options": {"t": 0.10}}}',1,'2026-01-05 10:00:00','2026-01-05 10:00:00');
INSERT INTO profiles VALUES('home-ü','noop','/src','docs','p','{}',1,'2026-02-01 09:00:00','2026-01-05 10:00:00');
CREATE TABLE workflows (id TEXT PRIMARY KEY, issue_id TEXT NOT NULL, worktree_path TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'pending',
	created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, started_at TIMESTAMP, completed_at TIMESTAMP, failure_reason TEXT,
	workflow_type TEXT NOT NULL DEFAULT 'full', profile_id TEXT, plan_cache TEXT, issue_cache TEXT);
INSERT INTO workflows VALUES('aaaaaaaa-0000-4000-8000-000000000001','SHOP-1','/t/1','in_progress','2026-01-05T10:00:00Z','2026-01-06 10:00:00.5',NULL,NULL,'full','work',NULL,'{"title": "t", "n": 1152921504606846977}');
INSERT INTO workflows VALUES('aaaaaaaa-0000-4000-8000-000000000002','SHOP-2','/t/2','completed','2026-01-05T10:00:00Z','2026-01-06 10:00:00.5','2026-01-07T10:00:00+02:00',NULL,'full','work','{"goal": "g", "b": 1}','{"title": "t", "n": 1152921504606846977}');
INSERT INTO workflows VALUES('wf-1c0ffee5','SHOP-3','/t/3','completed','2026-01-05T10:00:00Z','2026-01-06 10:00:00.5',NULL,NULL,'full','work',NULL,'{"title": "t", "n": 1152921504606846977}');
CREATE TABLE token_usage (id TEXT PRIMARY KEY, workflow_id TEXT NOT NULL REFERENCES workflows(id), agent TEXT NOT NULL, model TEXT NOT NULL,
	input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cache_read_tokens INTEGER DEFAULT 0, cache_creation_tokens INTEGER DEFAULT 0,
	cost_usd REAL NOT NULL, duration_ms INTEGER NOT NULL DEFAULT 0, num_turns INTEGER NOT NULL DEFAULT 1, timestamp TIMESTAMP NOT NULL);
INSERT INTO token_usage VALUES('bbbbbbbb-0000-4000-8000-000000000001','aaaaaaaa-0000-4000-8000-000000000001','developer','gpt-5',100,10,NULL,0,0.3000000000000000444,5,1,'2026-01-06 12:00:00');
INSERT INTO token_usage VALUES('bbbbbbbb-0000-4000-8000-000000000002','aaaaaaaa-0000-4000-8000-000000000002','developer','gpt-5',100,10,NULL,0,0.3000000000000000444,5,1,'2026-01-06 12:00:00');
INSERT INTO token_usage VALUES('bbbbbbbb-0000-4000-8000-000000000003','wf-1c0ffee5','developer','gpt-5',100,10,NULL,0,0.3000000000000000444,5,1,'2026-01-06 12:00:00');
CREATE TABLE prompts (id TEXT PRIMARY KEY, agent TEXT NOT NULL, name TEXT NOT NULL, description TEXT, current_version_id TEXT);
INSERT INTO prompts VALUES('architect.plan','architect','Plan','','v2');
INSERT INTO prompts VALUES('evaluator.system','evaluator','E',NULL,NULL);
CREATE TABLE prompt_versions (id TEXT PRIMARY KEY, prompt_id TEXT NOT NULL REFERENCES prompts(id), version_number INTEGER NOT NULL,
	content TEXT NOT NULL, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, change_note TEXT);
INSERT INTO prompt_versions VALUES('v1','architect.plan',1,'one','2026-01-05 10:00:00',NULL);
INSERT INTO prompt_versions VALUES('v2','architect.plan',2,'two','2026-01-06 10:00:00','');
CREATE TABLE workflow_prompt_versions (workflow_id TEXT NOT NULL, prompt_id TEXT NOT NULL, version_id TEXT NOT NULL, PRIMARY KEY (workflow_id, prompt_id));
INSERT INTO workflow_prompt_versions VALUES('aaaaaaaa-0000-4000-8000-000000000001','architect.plan','v1');
INSERT INTO workflow_prompt_versions VALUES('aaaaaaaa-0000-4000-8000-000000000002','architect.plan','v1');
INSERT INTO workflow_prompt_versions VALUES('wf-1c0ffee5','architect.plan','v1');
CREATE TABLE brainstorm_sessions (id TEXT PRIMARY KEY, profile_id TEXT NOT NULL, driver_session_id TEXT, driver_type TEXT, status TEXT NOT NULL,
	topic TEXT, created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL);
INSERT INTO brainstorm_sessions VALUES('bs-1','work',NULL,'cli','active','T','2026-01-05 10:00:00','2026-01-05 10:00:00');
CREATE TABLE brainstorm_messages (id TEXT PRIMARY KEY, session_id TEXT NOT NULL, sequence INTEGER NOT NULL, role TEXT NOT NULL, content TEXT NOT NULL,
	parts_json TEXT, created_at TIMESTAMP NOT NULL, input_tokens INTEGER, output_tokens INTEGER, cost_usd REAL, is_system INTEGER NOT NULL DEFAULT 0);
INSERT INTO brainstorm_messages VALUES('m1','bs-1',1,'user','hello',NULL,'2026-01-05 10:00:00',NULL,NULL,NULL,1);
INSERT INTO brainstorm_messages VALUES('m2','bs-1',2,'assistant','answer','[{"type": "text", "text": "a"}]','2026-01-05 10:00:01',9,8,0.012300000000000000169,0);
CREATE TABLE brainstorm_artifacts (id TEXT PRIMARY KEY, session_id TEXT NOT NULL, type TEXT NOT NULL, path TEXT NOT NULL, title TEXT, created_at TIMESTAMP NOT NULL);
INSERT INTO brainstorm_artifacts VALUES('a1','bs-1','design','d.md',NULL,'2026-01-05 10:00:00');
CREATE TABLE server_settings (id INTEGER PRIMARY KEY CHECK (id = 1), log_retention_days INTEGER NOT NULL, log_retention_max_events INTEGER NOT NULL,
	checkpoint_retention_days INTEGER NOT NULL DEFAULT 0, checkpoint_path TEXT, websocket_idle_timeout_seconds REAL NOT NULL DEFAULT 300.0,
	workflow_start_timeout_seconds REAL NOT NULL DEFAULT 60.0, max_concurrent INTEGER NOT NULL DEFAULT 5, stream_tool_results INTEGER NOT NULL DEFAULT 0,
	created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
INSERT INTO server_settings VALUES(1,-1,100000,0,'~/c.db',300.0,12.5,3,1,'2026-01-05 10:00:00','2026-01-05T10:00:00Z');
CREATE TABLE events (id TEXT PRIMARY KEY, workflow_id TEXT NOT NULL REFERENCES workflows(id), sequence INTEGER NOT NULL,
	timestamp TIMESTAMP NOT NULL, agent TEXT NOT NULL, event_type TEXT NOT NULL, level TEXT NOT NULL DEFAULT 'debug', message TEXT NOT NULL,
	data_json TEXT, correlation_id TEXT, tool_name TEXT, tool_input_json TEXT, is_error INTEGER NOT NULL DEFAULT 0, trace_id TEXT, parent_id TEXT);
INSERT INTO events VALUES('eeeeeeee-0000-4000-8000-000000000005','aaaaaaaa-0000-4000-8000-000000000001',1,'2026-01-06T10:00:00.100000','developer','task_started','info','step 1','{"action": "ls -l", "cost": 0.30, "n": 1}',NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO events VALUES('eeeeeeee-0000-4000-8000-000000000006','aaaaaaaa-0000-4000-8000-000000000001',2,'2026-01-06T10:00:00.200000','developer','task_started','info','step 2','{"action": "ls -l", "cost": 0.30, "n": 2}',NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO events VALUES('eeeeeeee-0000-4000-8000-000000000008','aaaaaaaa-0000-4000-8000-000000000001',4,'2026-01-06T10:00:00.400000','developer','task_started','info','step 4','{"action": "ls -l", "cost": 0.30, "n": 4}',NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO events VALUES('eeeeeeee-0000-4000-8000-000000000009','aaaaaaaa-0000-4000-8000-000000000002',1,'2026-01-06T10:00:00.100000','developer','task_started','info','step 1','{"action": "ls -l", "cost": 0.30, "n": 1}',NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO events VALUES('eeeeeeee-0000-4000-8000-000000000010','aaaaaaaa-0000-4000-8000-000000000002',2,'2026-01-06T10:00:00.200000','developer','task_started','info','step 2','{"action": "ls -l", "cost": 0.30, "n": 2}',NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO events VALUES('eeeeeeee-0000-4000-8000-000000000012','aaaaaaaa-0000-4000-8000-000000000002',4,'2026-01-06T10:00:00.400000','developer','task_started','info','step 4','{"action": "ls -l", "cost": 0.30, "n": 4}',NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO events VALUES('eeeeeeee-0000-4000-8000-000000000013','wf-1c0ffee5',1,'2026-01-06T10:00:00.100000','developer','task_started','info','step 1','{"action": "ls -l", "cost": 0.30, "n": 1}',NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO events VALUES('eeeeeeee-0000-4000-8000-000000000014','wf-1c0ffee5',2,'2026-01-06T10:00:00.200000','developer','task_started','info','step 2','{"action": "ls -l", "cost": 0.30, "n": 2}',NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO events VALUES('eeeeeeee-0000-4000-8000-000000000016','wf-1c0ffee5',4,'2026-01-06T10:00:00.400000','developer','task_started','info','step 4','{"action": "ls -l", "cost": 0.30, "n": 4}',NULL,NULL,NULL,0,NULL,NULL);
COMMIT;
