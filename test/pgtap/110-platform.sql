-- The platform: its tables, and what holds for every object of it.
BEGIN;
-- pgTAP may live in any schema; see 050-functions.sql.
SELECT set_config('search_path', 'pg_catalog, ' || quote_ident(n.nspname), true) AS path
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pgtap' \gset
SELECT no_plan();
SET LOCAL client_min_messages = warning;
CREATE EXTENSION amelia_platform;

-- Columns with types and defaults, as the plan has them and as this design adds: a client's plain SQL counts on them.
CREATE TEMP TABLE contract (relation text, columns text);
INSERT INTO contract VALUES
	('agent_capabilities', 'id uuid NOT NULL DEFAULT amelia_internal.new_uuid(), agent_id uuid NOT NULL, capability_name varchar(100) NOT NULL, confidence_score numeric(3,2) NOT NULL DEFAULT 0.5, last_used timestamptz, usage_count integer NOT NULL DEFAULT 0, created_at timestamptz NOT NULL DEFAULT now()'),
	('agent_messages', 'id uuid NOT NULL DEFAULT amelia_internal.new_uuid(), message_id uuid NOT NULL DEFAULT amelia_internal.new_uuid(), correlation_id uuid, conversation_id uuid, sender_id uuid, recipient_id uuid NOT NULL, sender_type varchar(50) NOT NULL, recipient_type varchar(50) NOT NULL, message_type varchar(50) NOT NULL, priority varchar(20) NOT NULL DEFAULT ''normal'', status varchar(50) NOT NULL DEFAULT ''pending'', subject varchar(500), payload jsonb NOT NULL DEFAULT ''{}'', retry_count integer NOT NULL DEFAULT 0, max_retries integer NOT NULL DEFAULT 3, expires_at timestamptz, delivered_at timestamptz, acknowledged_at timestamptz, created_at timestamptz NOT NULL DEFAULT now(), available_at timestamptz NOT NULL DEFAULT now(), visible_at timestamptz, error_message text'),
	('agent_performance', 'id uuid NOT NULL DEFAULT amelia_internal.new_uuid(), agent_id uuid NOT NULL, metric_name varchar(100) NOT NULL, metric_value numeric(10,4) NOT NULL, metric_unit varchar(50), recorded_at timestamptz NOT NULL DEFAULT now(), context jsonb NOT NULL DEFAULT ''{}'''),
	('agents', 'id uuid NOT NULL DEFAULT amelia_internal.new_uuid(), name varchar(255) NOT NULL, agent_type varchar(50) NOT NULL, status varchar(50) NOT NULL DEFAULT ''idle'', capabilities jsonb NOT NULL DEFAULT ''[]'', system_prompt text, model_provider varchar(100) DEFAULT ''openrouter'', model_name varchar(255) DEFAULT ''auto'', performance_metrics jsonb NOT NULL DEFAULT ''{}'', last_heartbeat timestamptz, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()'),
	('execution_steps', 'execution_id uuid NOT NULL, step_id text NOT NULL, status text NOT NULL DEFAULT ''waiting'', task_id uuid, started_at timestamptz, completed_at timestamptz, result_data jsonb, taken text[] NOT NULL DEFAULT ''{}'', place integer NOT NULL DEFAULT 0, definition jsonb NOT NULL DEFAULT ''{}'', awaits integer NOT NULL DEFAULT 0, led boolean NOT NULL DEFAULT false'),
	('maintenance_runs', 'id uuid NOT NULL, started_at timestamptz NOT NULL DEFAULT clock_timestamp(), seen_at timestamptz NOT NULL DEFAULT clock_timestamp(), requested_by text NOT NULL DEFAULT CURRENT_USER, outcome text, reason text, agents_offline bigint NOT NULL DEFAULT 0, tasks_returned bigint NOT NULL DEFAULT 0, messages_returned bigint NOT NULL DEFAULT 0, messages_expired bigint NOT NULL DEFAULT 0, messages_deleted bigint NOT NULL DEFAULT 0, tasks_deleted bigint NOT NULL DEFAULT 0, executions_deleted bigint NOT NULL DEFAULT 0, metrics_deleted bigint NOT NULL DEFAULT 0, faults bigint NOT NULL DEFAULT 0'),
	('platform_faults', 'relation text NOT NULL, row_id uuid NOT NULL, failed_at timestamptz NOT NULL DEFAULT now(), times integer NOT NULL DEFAULT 1, retry_at timestamptz NOT NULL, sqlstate text NOT NULL, reason text NOT NULL'),
	('platform_settings', 'id integer NOT NULL DEFAULT 1, message_retention_days integer NOT NULL DEFAULT 30, task_retention_days integer NOT NULL DEFAULT 90, metric_retention_days integer NOT NULL DEFAULT 90, stale_after interval NOT NULL DEFAULT ''00:05:00'', created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()'),
	('schema_versions', 'version integer NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()'),
	('tasks', 'id uuid NOT NULL DEFAULT amelia_internal.new_uuid(), title varchar(500) NOT NULL, description text, status varchar(50) NOT NULL DEFAULT ''pending'', priority varchar(20) NOT NULL DEFAULT ''medium'', assigned_agent_id uuid, workflow_id uuid, step_order integer NOT NULL DEFAULT 0, context_data jsonb NOT NULL DEFAULT ''{}'', result_data jsonb NOT NULL DEFAULT ''{}'', started_at timestamptz, completed_at timestamptz, deadline timestamptz, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), execution_id uuid, step_id text, required_capabilities text[] NOT NULL DEFAULT ''{}'', attempts integer NOT NULL DEFAULT 0, max_attempts integer NOT NULL DEFAULT 3, available_at timestamptz NOT NULL DEFAULT now(), leased_until timestamptz, lease_token bigint NOT NULL DEFAULT 0, error_message text'),
	('workflow_executions', 'id uuid NOT NULL DEFAULT amelia_internal.new_uuid(), workflow_id uuid NOT NULL, status varchar(50) NOT NULL DEFAULT ''running'', current_step integer NOT NULL DEFAULT 0, context_data jsonb NOT NULL DEFAULT ''{}'', result_data jsonb NOT NULL DEFAULT ''{}'', started_by uuid, started_at timestamptz NOT NULL DEFAULT now(), completed_at timestamptz, error_message text, definition jsonb, version integer'),
	('workflows', 'id uuid NOT NULL DEFAULT amelia_internal.new_uuid(), name varchar(255) NOT NULL, description text, definition jsonb NOT NULL, status varchar(50) NOT NULL DEFAULT ''draft'', version integer NOT NULL DEFAULT 1, created_by uuid, tags text[] NOT NULL DEFAULT ''{}'', created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()');
SELECT is((SELECT string_agg(concat_ws(' ', a.attname, replace(replace(format_type(a.atttypid, a.atttypmod), 'character varying', 'varchar'), 'timestamp with time zone', 'timestamptz'),
			CASE WHEN a.attnotnull THEN 'NOT NULL' END, 'DEFAULT ' || regexp_replace(pg_get_expr(d.adbin, d.adrelid), '::[a-z ]+(\[\])?$', '')), ', ' ORDER BY a.attnum)
		FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = ('amelia_platform.' || c.relation)::regclass AND a.attnum > 0 AND NOT a.attisdropped),
	c.columns, c.relation || ': columns') FROM contract AS c;
SELECT set_eq($$SELECT c.relname::text FROM pg_class AS c WHERE c.relnamespace = 'amelia_platform'::regnamespace AND c.relkind = 'r'$$,
	'SELECT c.relation FROM contract AS c', 'these are all tables');

-- Foreign keys: what they refer to, and what becomes of the row.
SELECT set_eq($$SELECT replace(format('%s %s', c.conrelid::regclass, pg_get_constraintdef(c.oid)), 'amelia_platform.', '')
		FROM pg_constraint AS c WHERE c.connamespace = 'amelia_platform'::regnamespace AND c.contype = 'f'$$,
	ARRAY['agent_capabilities FOREIGN KEY (agent_id) REFERENCES agents(id) ON DELETE CASCADE',
		'agent_performance FOREIGN KEY (agent_id) REFERENCES agents(id) ON DELETE CASCADE',
		'agent_messages FOREIGN KEY (sender_id) REFERENCES agents(id) ON DELETE CASCADE',
		'agent_messages FOREIGN KEY (recipient_id) REFERENCES agents(id) ON DELETE CASCADE',
		'execution_steps FOREIGN KEY (execution_id) REFERENCES workflow_executions(id) ON DELETE CASCADE',
		'execution_steps FOREIGN KEY (task_id) REFERENCES tasks(id) ON DELETE SET NULL',
		'tasks FOREIGN KEY (assigned_agent_id) REFERENCES agents(id) ON DELETE SET NULL',
		'tasks FOREIGN KEY (workflow_id) REFERENCES workflows(id) ON DELETE CASCADE',
		'tasks FOREIGN KEY (execution_id) REFERENCES workflow_executions(id) ON DELETE CASCADE',
		'workflow_executions FOREIGN KEY (workflow_id) REFERENCES workflows(id) ON DELETE CASCADE',
		'workflow_executions FOREIGN KEY (started_by) REFERENCES agents(id) ON DELETE SET NULL',
		'workflows FOREIGN KEY (created_by) REFERENCES agents(id) ON DELETE SET NULL'], 'foreign keys');
-- Else each DELETE of a parent would read the whole table.
SELECT is_empty($$SELECT c.conrelid::regclass, c.conname FROM pg_constraint AS c
	WHERE c.connamespace = 'amelia_platform'::regnamespace AND c.contype = 'f' AND NOT EXISTS (SELECT FROM pg_index AS i
		WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1])$$, 'each foreign key has an index');
SELECT is_empty($$SELECT c.oid::regclass FROM pg_class AS c WHERE c.relnamespace = 'amelia_platform'::regnamespace AND c.relkind = 'r'
	AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary)$$, 'each table has a primary key');
-- Heartbeats stay off the indexes.
SELECT is_empty($$SELECT i.indexrelid::regclass FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
	WHERE (i.indrelid, a.attname) IN (('amelia_platform.agents'::regclass, 'last_heartbeat'), ('amelia_platform.tasks'::regclass, 'leased_until'))$$,
	'no index on what heartbeats change');

-- A CHECK passes on NULL: what has a set of values has one.
SELECT is_empty($$SELECT a.attrelid::regclass, a.attname FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
	WHERE c.relnamespace = 'amelia_platform'::regnamespace AND c.relkind = 'r' AND NOT a.attnotnull
		AND a.attname IN ('status', 'priority', 'agent_type', 'message_type', 'sender_type', 'recipient_type')$$, 'no status, priority or type is NULL');

-- What is to be said of it, and whose it is.
CREATE TEMP VIEW routines AS
SELECT p.oid, p.oid::regprocedure::text AS signature, p.prokind, p.prosecdef, p.proconfig, p.prolang, p.pronamespace,
	EXISTS (SELECT FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
		WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' AND e.extname = 'amelia_platform') AS is_member
FROM pg_proc AS p
WHERE p.pronamespace = 'amelia_platform'::regnamespace
	OR p.pronamespace = 'amelia_internal'::regnamespace AND p.proname ~ '^(platform_|amelia_platform_)';
SELECT is_empty($$SELECT r.signature FROM routines AS r WHERE obj_description(r.oid, 'pg_proc') IS NULL$$, 'every function has a comment');
SELECT is_empty($$SELECT c.oid::regclass FROM pg_class AS c WHERE c.relnamespace = 'amelia_platform'::regnamespace AND c.relkind IN ('r', 'v')
	AND obj_description(c.oid, 'pg_class') IS NULL$$, 'every table and view has one');
SELECT is_empty($$SELECT r.signature FROM routines AS r WHERE r.prosecdef$$, 'none has more than its caller''s rights');
SELECT set_eq($$SELECT r.signature FROM routines AS r WHERE NOT 'search_path=pg_catalog, pg_temp' = ANY (COALESCE(r.proconfig, '{}'))$$,
	ARRAY['amelia_platform.run_maintenance(text)', 'amelia_platform.wait_messages(uuid,interval)', 'amelia_internal.platform_message()', 'amelia_internal.platform_agent_back()'],
	'all have a safe search_path, but for procedures that commit and triggers in C');
SELECT is_empty($$SELECT r.signature FROM routines AS r JOIN pg_language AS l ON l.oid = r.prolang
	WHERE r.is_member <> (r.pronamespace = 'amelia_internal'::regnamespace OR l.lanname = 'c')$$,
	'what nobody calls by hand, and what is C, belongs to the extension; the rest to the database');
SELECT is_empty($$SELECT d.objid FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
	WHERE e.extname = 'amelia_platform' AND d.deptype = 'e' AND d.classid <> 'pg_proc'::regclass$$, 'no table, view or schema does');
SELECT is_empty($$SELECT o.name FROM (SELECT r.signature, p.proacl FROM routines AS r JOIN pg_proc AS p USING (oid) UNION ALL
		SELECT c.oid::regclass::text, COALESCE(c.relacl, acldefault('r', c.relowner)) FROM pg_class AS c WHERE c.relnamespace = 'amelia_platform'::regnamespace AND c.relkind IN ('r', 'v')) AS o (name, acl)
	WHERE o.acl IS NULL OR EXISTS (SELECT FROM aclexplode(o.acl) AS g WHERE g.grantee = 0)$$, 'nothing is granted to PUBLIC');
SELECT is_empty('SELECT * FROM amelia_platform.verify()', 'verify() finds nothing');
SELECT is(amelia_platform.migrate(), 'schema version 1 is complete, nothing to do', 'there is nothing to migrate');

SELECT * FROM finish();
ROLLBACK;
