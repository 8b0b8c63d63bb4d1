-- amelia_saga: tables, keys, constraints, indexes, text search objects, functions, members,
-- comments, and what each kind of role may do.
BEGIN;
-- pgTAP may live in any schema. Ours stays off the path, so that names are
-- shown with their schema.
SELECT set_config('search_path', 'pg_catalog, ' || quote_ident(n.nspname), true) AS path
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pgtap' \gset
SELECT no_plan();
CREATE EXTENSION amelia_saga;

CREATE TEMP TABLE contract (table_name text, column_name text, definition text);
INSERT INTO contract VALUES
	('messages', 'id', 'text NOT NULL DEFAULT (amelia_internal.saga_id())::text'),
	('messages', 'provider', 'text NOT NULL'),
	('messages', 'role', 'text NOT NULL'),
	('messages', 'content', 'text NOT NULL'),
	('messages', 'tags', 'jsonb NOT NULL DEFAULT ''[]''::jsonb'),
	('messages', 'timestamp', 'timestamp with time zone NOT NULL DEFAULT now()'),
	('messages', 'metadata', 'jsonb NOT NULL DEFAULT ''{}''::jsonb'),
	('messages', 'session_id', 'text'),
	('messages', 'created_at', 'timestamp with time zone NOT NULL DEFAULT now()'),
	('messages', 'arrival', 'bigint NOT NULL IDENTITY d'),
	('messages', 'search', 'tsvector GENERATED amelia_internal.saga_vector(content, tags, NULL::text, false)'),
	('files', 'id', 'text NOT NULL DEFAULT (amelia_internal.saga_id())::text'),
	('files', 'filename', 'text NOT NULL'),
	('files', 'filepath', 'text NOT NULL'),
	('files', 'file_type', 'text NOT NULL'),
	('files', 'extracted_text', 'text NOT NULL DEFAULT ''''::text'),
	('files', 'tags', 'jsonb NOT NULL DEFAULT ''[]''::jsonb'),
	('files', 'file_size', 'bigint'),
	('files', 'uploaded_at', 'timestamp with time zone NOT NULL DEFAULT now()'),
	('files', 'metadata', 'jsonb NOT NULL DEFAULT ''{}''::jsonb'),
	('files', 'created_at', 'timestamp with time zone NOT NULL DEFAULT now()'),
	('files', 'search', 'tsvector GENERATED amelia_internal.saga_vector(extracted_text, tags, filename, false)'),
	('schema_versions', 'version', 'integer NOT NULL'),
	('schema_versions', 'applied_at', 'timestamp with time zone NOT NULL DEFAULT now()');
SELECT set_eq($$
	SELECT c.relname::text, a.attname::text, concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
		CASE WHEN a.attidentity <> '' THEN 'IDENTITY ' || a.attidentity::text END,
		CASE WHEN a.attgenerated <> '' THEN 'GENERATED ' ELSE 'DEFAULT ' END || pg_get_expr(d.adbin, d.adrelid))
	FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
	LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
	WHERE c.relnamespace = 'amelia_saga'::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped$$,
	'SELECT * FROM contract', 'tables and columns');
SELECT set_eq($$
	SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) ~ 'USING gin', (SELECT string_agg(pg_get_indexdef(i.indexrelid, k, true), ' ' ORDER BY k)
		FROM generate_series(1, i.indnkeyatts) AS k)
	FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid WHERE c.relnamespace = 'amelia_saga'::regnamespace$$,
	$$VALUES ('amelia_saga.messages_pkey', false, 'id'), ('amelia_saga.files_pkey', false, 'id'), ('amelia_saga.schema_versions_pkey', false, 'version'),
		('amelia_saga.idx_messages_tags', true, 'tags'), ('amelia_saga.idx_messages_metadata', true, 'metadata'), ('amelia_saga.idx_messages_content_fts', true, 'search'),
		('amelia_saga.idx_messages_session', false, 'session_id "timestamp" arrival'), ('amelia_saga.idx_messages_timestamp', false, '"timestamp" arrival'),
		('amelia_saga.idx_messages_provider', false, 'provider "timestamp"'), ('amelia_saga.idx_files_tags', true, 'tags'), ('amelia_saga.idx_files_metadata', true, 'metadata'),
		('amelia_saga.idx_files_content_fts', true, 'search'), ('amelia_saga.idx_files_uploaded', false, 'uploaded_at')$$,
	'keys and indexes');
SELECT set_eq($$SELECT c.cfgname::text, p.prsname::text FROM pg_ts_config AS c JOIN pg_ts_parser AS p ON p.oid = c.cfgparser
	WHERE c.cfgnamespace = 'amelia_saga'::regnamespace AND p.prsnamespace = 'amelia_saga'::regnamespace$$,
	$$VALUES ('exact', 'unicode61'), ('english', 'unicode61')$$, 'text search configurations');

CREATE TEMP VIEW functions AS
SELECT p.oid, p.proname::text AS name, p.proconfig, p.prosecdef, l.lanname, p.provolatile
FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang WHERE p.pronamespace = 'amelia_saga'::regnamespace;
SELECT set_eq('SELECT name FROM functions', $$VALUES ('save_message'), ('save_messages'), ('get_message'), ('get_session'), ('list_sessions'), ('recent_messages'),
	('search_messages'), ('save_file'), ('save_files'), ('get_file'), ('search_files'), ('fts5_query'), ('index_english'), ('forget_session'), ('health_check'),
	('grant_reader'), ('grant_writer'), ('verify'), ('migrate')$$, 'functions');
SELECT is_empty($$SELECT name FROM functions WHERE prosecdef OR NOT proconfig @> ARRAY['search_path=pg_catalog, pg_temp']$$,
	'all run with the caller''s rights and a path of their own');
SELECT set_eq($$SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'amelia_saga'
	WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND pg_describe_object(d.classid, d.objid, 0) NOT LIKE 'function amelia_internal.%'$$,
	$$VALUES ('function amelia_saga.migrate()'), ('function amelia_saga.fts5_query(text,text[],text)'), ('text search parser amelia_saga.unicode61'),
		('text search template amelia_saga.unicode61'), ('text search dictionary amelia_saga.folded'), ('text search dictionary amelia_saga.folding'),
		('text search dictionary amelia_saga.english_stem'), ('text search configuration amelia_saga.exact'), ('text search configuration amelia_saga.english')$$,
	'no table is a member of the extension');
SELECT is_empty($$
	SELECT p.oid::regprocedure FROM pg_proc AS p WHERE obj_description(p.oid, 'pg_proc') IS NULL
		AND (p.pronamespace = 'amelia_saga'::regnamespace OR p.proname LIKE 'saga\_%')
	UNION ALL
	SELECT c.oid FROM pg_class AS c WHERE c.relnamespace = 'amelia_saga'::regnamespace AND c.relkind IN ('r', 'v') AND obj_description(c.oid, 'pg_class') IS NULL$$,
	'everything has a comment');

-- Who may do what.
CREATE TEMP VIEW grants AS
SELECT o.object, a.grantee::regrole::text AS grantee, a.privilege_type
FROM (SELECT c.relname::text, c.relowner, c.relacl FROM pg_class AS c WHERE c.relnamespace = 'amelia_saga'::regnamespace
	UNION ALL
	SELECT p.proname, p.proowner, COALESCE(p.proacl, acldefault('f', p.proowner)) FROM pg_proc AS p
	WHERE p.pronamespace IN ('amelia_saga'::regnamespace, 'amelia_internal'::regnamespace)
	UNION ALL
	SELECT n.nspname, n.nspowner, n.nspacl FROM pg_namespace AS n WHERE n.nspname = 'amelia_saga') AS o (object, owner, acl), aclexplode(o.acl) AS a
WHERE a.grantee <> o.owner;
SELECT is_empty('SELECT * FROM grants', 'nothing is granted to anybody');
CREATE ROLE contract_saga_reader;
CREATE ROLE contract_saga_writer;
SELECT amelia_saga.grant_reader('contract_saga_reader'), amelia_saga.grant_writer('contract_saga_writer') \gset
SELECT set_eq($$SELECT object, grantee, privilege_type FROM grants WHERE object IN ('messages', 'files', 'schema_versions', 'amelia_saga')$$,
	$$SELECT t.name, 'contract_saga_' || k.kind, p.privilege
	FROM (VALUES ('messages'), ('files'), ('schema_versions'), ('amelia_saga')) AS t (name), (VALUES ('reader'), ('writer')) AS k (kind),
		(VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE'), ('USAGE')) AS p (privilege)
	WHERE CASE t.name WHEN 'amelia_saga' THEN p.privilege = 'USAGE' WHEN 'schema_versions' THEN p.privilege = 'SELECT'
		ELSE p.privilege <> 'USAGE' AND (k.kind = 'writer' OR p.privilege = 'SELECT') END$$, 'what readers and writers may do with the tables');
SELECT set_eq($$SELECT f.name FROM functions AS f WHERE NOT has_function_privilege('contract_saga_reader', f.oid, 'EXECUTE')$$,
	$$VALUES ('save_message'), ('save_messages'), ('save_file'), ('save_files'), ('forget_session'), ('index_english'), ('grant_reader'), ('grant_writer'), ('migrate')$$,
	'what readers may not call');
SELECT set_eq($$SELECT f.name FROM functions AS f WHERE NOT has_function_privilege('contract_saga_writer', f.oid, 'EXECUTE')$$,
	$$VALUES ('index_english'), ('grant_reader'), ('grant_writer'), ('migrate')$$, 'what writers may not call');
SELECT * FROM finish();
ROLLBACK;
