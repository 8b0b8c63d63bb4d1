-- Who may do what, whose rights a search has, and how the schema mends itself.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers
\set saga :abs_srcdir '/saga.psql'
\i :saga

SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_saga_reader, regress_saga_writer, regress_saga_nobody;
RESET client_min_messages;
CREATE ROLE regress_saga_reader;
CREATE ROLE regress_saga_writer;
CREATE ROLE regress_saga_nobody;
GRANT USAGE ON SCHEMA t TO PUBLIC;
-- Nothing is granted to anybody, the internal schema's part neither.
SELECT o.object, a.grantee::regrole, a.privilege_type
FROM (SELECT n.nspname::text, n.nspowner, COALESCE(n.nspacl, acldefault('n', n.nspowner)) FROM pg_namespace AS n WHERE n.nspname = 'amelia_saga'
	UNION ALL
	SELECT c.oid::regclass::text, c.relowner, COALESCE(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))
	FROM pg_class AS c WHERE c.relnamespace = 'amelia_saga'::regnamespace AND c.relkind IN ('r', 'S')
	UNION ALL
	SELECT p.oid::regprocedure::text, p.proowner, COALESCE(p.proacl, acldefault('f', p.proowner))
	FROM pg_proc AS p WHERE p.pronamespace IN ('amelia_saga'::regnamespace, 'amelia_internal'::regnamespace)) AS o (object, owner, acl),
	aclexplode(o.acl) AS a
WHERE a.grantee <> o.owner;
SELECT amelia_saga.grant_reader('regress_saga_reader'), amelia_saga.grant_writer('regress_saga_writer');
SELECT amelia_saga.grant_reader(role => 'regress_saga_reader');
SELECT * FROM t.errors(
	$$SELECT amelia_saga.grant_reader(NULL)$$,
	$$SELECT amelia_saga.grant_writer(NULL)$$,
	$$SELECT amelia_saga.grant_reader('regress_saga_none')$$,
	$$SET LOCAL ROLE regress_saga_writer; SELECT amelia_saga.grant_reader('regress_saga_nobody')$$);

-- A writer does all of the application's work, a reader reads.
SET ROLE regress_saga_writer;
SELECT amelia_saga.save_message('p', 'user', 'words of the writer', session_id => 's', id => 'w1'), amelia_saga.save_file('f', '/f', 't', 'words', id => 'f1');
SELECT amelia_saga.save_messages('[{"id": "w2", "provider": "p", "role": "user", "content": "more words", "session_id": "s"}]'),
	amelia_saga.save_files('[{"id": "f2", "filename": "g", "filepath": "/g", "file_type": "t", "extracted_text": "words too"}]');
INSERT INTO amelia_saga.messages (provider, role, content, session_id) VALUES ('p', 'user', 'words without an id', 'gone');
UPDATE amelia_saga.messages SET tags = '["t"]' WHERE id = 'w2';
SELECT amelia_saga.forget_session('gone');
SELECT t.error($$ALTER TABLE amelia_saga.messages ADD COLUMN mine integer$$);
RESET ROLE;
SET ROLE regress_saga_reader;
SELECT id FROM amelia_saga.search_messages('words', ARRAY['t']);
SELECT id FROM amelia_saga.search_files('words') ORDER BY id;
SELECT session_id, messages FROM amelia_saga.list_sessions();
SELECT count(*) FROM amelia_saga.get_session('s');
SELECT count(*) FROM amelia_saga.get_message('w1');
SELECT count(*) FROM amelia_saga.get_file('f1');
SELECT count(*) FROM amelia_saga.recent_messages();
SELECT candidates FROM amelia_saga.fts5_query('words');
SELECT amelia_saga.health_check();
RESET ROLE;
SELECT t.error('SET LOCAL ROLE regress_saga_reader; ' || s.statement)
FROM unnest(ARRAY[$$SELECT amelia_saga.save_message('p', 'r', 'c')$$, $$SELECT amelia_saga.forget_session('s')$$, $$DELETE FROM amelia_saga.messages$$,
	$$INSERT INTO amelia_saga.messages (id, provider, role, content) VALUES ('x', 'p', 'r', 'c')$$, $$SELECT amelia_saga.index_english(true)$$,
	$$SELECT amelia_saga.migrate()$$]) AS s (statement);
SELECT t.error('SET LOCAL ROLE regress_saga_nobody; ' || s.statement)
FROM unnest(ARRAY[$$SELECT amelia_saga.search_messages('words')$$, $$SELECT * FROM amelia_saga.messages$$, $$SELECT amelia_internal.saga_words('')$$]) AS s (statement);

-- What a session makes of backslashes does not change what is blank, nor what the tables are made with.
SET escape_string_warning = off;
SET standard_conforming_strings = off;
SELECT count(*) FROM amelia_saga.search_messages('words');
SELECT amelia_saga.save_message('p', 'r', 'plain', id => 'backslash') IS NOT NULL;
SELECT amelia_saga.save_message('p', 'r', ' ');
RESET standard_conforming_strings;
RESET escape_string_warning;
SELECT count(*) FROM pg_constraint AS c WHERE c.connamespace = 'amelia_saga'::regnamespace AND pg_get_constraintdef(c.oid) LIKE '%~ %'
	AND pg_get_constraintdef(c.oid) NOT LIKE '%[^[:space:]]%';
DELETE FROM amelia_saga.messages WHERE id = 'backslash';

-- Row security binds a search, its snippets and its page.
ALTER TABLE amelia_saga.messages ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON amelia_saga.messages TO regress_saga_reader USING (id = 'w2');
SET ROLE regress_saga_reader;
SELECT id, snippet FROM amelia_saga.search_messages('words');
RESET ROLE;
DROP POLICY own ON amelia_saga.messages;
ALTER TABLE amelia_saga.messages DISABLE ROW LEVEL SECURITY;

-- Somebody who may create in the schema plants functions and operators that fit better.
GRANT CREATE ON SCHEMA amelia_saga TO regress_saga_writer;
SET ROLE regress_saga_writer;
CREATE FUNCTION amelia_saga.trap() RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'trapped'; END$$;
CREATE FUNCTION amelia_saga.fts5_query(text, text[]) RETURNS text LANGUAGE sql AS 'SELECT amelia_saga.trap()';
CREATE FUNCTION amelia_saga.saga_rank(text) RETURNS text LANGUAGE sql AS 'SELECT amelia_saga.trap()';
CREATE FUNCTION amelia_saga.left(text, integer) RETURNS text LANGUAGE sql AS 'SELECT amelia_saga.trap()';
CREATE FUNCTION amelia_saga.matches(tsvector, tsquery) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$trapped$$; END';
CREATE OPERATOR amelia_saga.@@ (LEFTARG = tsvector, RIGHTARG = tsquery, FUNCTION = amelia_saga.matches);
CREATE FUNCTION amelia_saga.equals(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$trapped$$; END';
CREATE OPERATOR amelia_saga.= (LEFTARG = text, RIGHTARG = text, FUNCTION = amelia_saga.equals);
CREATE OPERATOR amelia_saga.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = amelia_saga.equals);
RESET ROLE;
SET search_path = amelia_saga, pg_catalog;
SELECT id FROM amelia_saga.search_messages('words', session_id => 's', providers => '{p}', roles => '{user}') ORDER BY id;
SELECT id FROM amelia_saga.search_files('words', file_types => '{t}') ORDER BY id;
SELECT amelia_saga.save_message('p', 'user', 'words of the writer', session_id => 's', id => 'w1');
SELECT amelia_saga.save_messages('[{"id": "w2", "provider": "p", "role": "user", "content": "more words", "session_id": "s", "tags": ["t"]}]');
SELECT amelia_saga.save_file('f', '/f', 't', 'words', id => 'f1');
SELECT session_id, messages FROM amelia_saga.list_sessions();
SELECT count(*) FROM amelia_saga.recent_messages(5, 'p', 'user');
SELECT count(*) FROM amelia_saga.get_session('s');
SELECT amelia_saga.health_check(), amelia_saga.forget_session('none');
RESET search_path;
DROP OPERATOR amelia_saga.@@ (tsvector, tsquery);
DROP OPERATOR amelia_saga.= (text, text);
DROP OPERATOR amelia_saga.~ (text, text);
DROP FUNCTION amelia_saga.fts5_query(text, text[]), amelia_saga.saga_rank(text), amelia_saga.left(text, integer),
	amelia_saga.matches(tsvector, tsquery), amelia_saga.equals(text, text), amelia_saga.trap();
REVOKE CREATE ON SCHEMA amelia_saga FROM regress_saga_writer;

-- What is broken is named, and mended.
SELECT * FROM amelia_saga.verify();
SELECT amelia_saga.migrate();
DROP FUNCTION amelia_saga.get_message(text);
DROP INDEX amelia_saga.idx_messages_content_fts;
ALTER TABLE amelia_saga.files DROP COLUMN search;
ALTER TABLE amelia_saga.messages ALTER COLUMN id DROP DEFAULT;
DROP STATISTICS amelia_saga.messages_words;
SELECT * FROM amelia_saga.verify() ORDER BY object COLLATE "C";
SELECT t.error('SELECT amelia_saga.health_check()');
SELECT t.error($$SELECT amelia_saga.search_files('words')$$);
SELECT amelia_saga.migrate();
SELECT * FROM amelia_saga.verify();
SELECT amelia_saga.migrate();
SELECT id FROM amelia_saga.search_files('words') ORDER BY id;
-- What an operator set stays.
ALTER TABLE amelia_saga.messages ALTER COLUMN search SET STATISTICS 50;
DROP FUNCTION amelia_saga.get_message(text);
SELECT amelia_saga.migrate();
SELECT attrelid::regclass, attstattarget FROM pg_attribute WHERE attname = 'search' AND attrelid IN ('amelia_saga.messages'::regclass, 'amelia_saga.files'::regclass) ORDER BY 1;
-- Words that an older version split.
ALTER TABLE amelia_saga.files ALTER COLUMN search DROP EXPRESSION;
UPDATE amelia_saga.files SET search = 'other' WHERE id = 'f2';
SELECT * FROM amelia_saga.verify();
ALTER TABLE amelia_saga.files DROP COLUMN search;
SELECT amelia_saga.migrate();

-- DROP EXTENSION takes what depends on its functions, and never a row.
SET client_min_messages = warning;
DROP EXTENSION amelia_saga CASCADE;
SELECT (SELECT count(*) FROM amelia_saga.messages) AS messages, (SELECT count(*) FROM amelia_saga.files) AS files;
CREATE EXTENSION amelia_saga;
SELECT id FROM amelia_saga.search_messages('words') ORDER BY id;
SELECT * FROM amelia_saga.verify();
DROP EXTENSION amelia CASCADE;
SELECT count(*) FROM amelia_saga.messages;
CREATE EXTENSION amelia_saga CASCADE;
INSERT INTO amelia_saga.messages (provider, role, content) VALUES ('p', 'r', 'after all') RETURNING id ~ '-7' AS id_made;
SELECT * FROM amelia_saga.verify();
-- amelia does not need it, and goes nowhere with it.
DROP SCHEMA amelia_saga CASCADE;
SELECT count(*) FROM amelia.verify();
DROP OWNED BY regress_saga_reader, regress_saga_writer;
DROP ROLE regress_saga_reader, regress_saga_writer, regress_saga_nobody;
