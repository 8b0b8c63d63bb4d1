-- table_checksum() and row_checksums(): equal for the same rows, in any order
-- of rows and columns and in any session; amelia.history.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers
CREATE SCHEMA sums;
CREATE TABLE sums.a (id integer PRIMARY KEY, t text, at timestamptz, n numeric(10,2), f float8, b boolean, j jsonb, y bytea);
INSERT INTO sums.a VALUES
	(1, 'x', '2026-01-02 03:04:05.5+00', 1.5, 0.1::float8 + 0.2, true, '{"bb": 1.50, "a": 2}', '\xff00'),
	(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(3, '', 'infinity', 'NaN', '-0', false, 'null', '');
CREATE TABLE sums.b AS SELECT j, y, b, f, n, at, t, id FROM sums.a ORDER BY id DESC;

-- the rule, by hand
SELECT c.key, c.hash = pg_catalog.md5('24:2026-01-02 03:04:05.5+00' || '1:t' || '1:1' || '1:x')::uuid AS same
FROM amelia.row_checksums('sums.a', '{id}', '{t, at, b, id}') AS c WHERE c.key = '1';
SELECT c.key, c.hash = pg_catalog.md5('--1:2-')::uuid AS same
FROM amelia.row_checksums('sums.a', '{id}', '{b, at, t, id}') AS c WHERE c.key = '2';
SELECT c.key, c.hash = pg_catalog.md5('0:1:3')::uuid AS wrong_order, c.hash = pg_catalog.md5('1:30:')::uuid AS same
FROM amelia.row_checksums('sums.a', '{id}', '{t, id}') AS c WHERE c.key = '3';
-- the sums, by hand
CREATE VIEW sums.c AS SELECT * FROM sums.a WHERE id = 2;
SELECT c.rows, c.xor = pg_catalog.replace((SELECT h.hash FROM amelia.row_checksums('sums.a', '{id}') AS h WHERE h.key = '2')::text, '-', '') AS same,
	c.sum = c.xor AS one_row
FROM amelia.table_checksum('sums.c', 'id') AS c;

-- the order of rows and columns does not matter, nor the session's settings
SELECT amelia.table_checksum('sums.a', 'id') = amelia.table_checksum('sums.b', 'id') AS same;
SELECT amelia.table_checksum('sums.a', 'id')::text AS before \gset
SET timezone = 'Asia/Tokyo'; SET datestyle = 'German'; SET extra_float_digits = -10; SET bytea_output = 'escape';
SELECT amelia.table_checksum('sums.a', 'id')::text = :'before' AS same;
RESET timezone; RESET datestyle; RESET extra_float_digits; RESET bytea_output;
-- any change does
UPDATE sums.b SET j = '{"a": 2, "bb": 1.5}' WHERE id = 1;
SELECT amelia.table_checksum('sums.a', 'id') = amelia.table_checksum('sums.b', 'id') AS same;
SELECT key FROM amelia.row_checksums('sums.a', '{id}') AS a FULL JOIN amelia.row_checksums('sums.b', '{id}') AS b USING (key, hash) ORDER BY 1;
-- keys of several columns; no row; no column
SELECT key FROM amelia.row_checksums('sums.a', '{id, id}') ORDER BY key;
DELETE FROM sums.b;
SELECT * FROM amelia.table_checksum('sums.b', 'id');
SELECT * FROM amelia.table_checksum('sums.a', 'id', '{}');

-- what is refused
\set VERBOSITY sqlstate
SELECT * FROM amelia.table_checksum(NULL, 'id');
SELECT * FROM amelia.table_checksum('sums.a', NULL);
SELECT * FROM amelia.table_checksum('sums.a', 'none');
SELECT * FROM amelia.table_checksum('sums.a', 't');
SELECT * FROM amelia.table_checksum('sums.a', 'id', '{id, none}');
SELECT * FROM amelia.table_checksum('sums.a', 'id', '{id, NULL}');
SELECT * FROM amelia.table_checksum(0, 'id');
SELECT * FROM amelia.row_checksums('sums.a', '{}');
SELECT * FROM amelia.row_checksums('sums.a', '{NULL}');
SELECT * FROM amelia.row_checksums('sums.a', '{t}');
-- with the caller's rights
CREATE ROLE regress_sums_reader;
SELECT amelia.grant_reader('regress_sums_reader');
GRANT USAGE ON SCHEMA sums TO regress_sums_reader;
SET ROLE regress_sums_reader;
SELECT * FROM amelia.table_checksum('sums.a', 'id');
SELECT rows > 0 AS rows FROM amelia.table_checksum('amelia.event_types', 'event_type');
RESET ROLE;
\set VERBOSITY default

-- amelia.history: what is written happened before. No feed, no budget, and
-- statuses move as they did elsewhere; numbers and days are kept as ever.
INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'total', 10, 'block');
SELECT amelia.prune_feed('0');
SET amelia.history = on;
INSERT INTO amelia.workflows (id, issue_id, worktree_path, updated_at) VALUES ('dddddddd-0000-4000-8000-000000000001', 'H-1', '/h1', '2020-01-01');
INSERT INTO amelia.workflow_log (workflow_id, sequence, event_type, message) SELECT id, n, 'x', 'm' FROM amelia.workflows, unnest(ARRAY[7, 3]) AS n WHERE issue_id = 'H-1';
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd) SELECT id, 'a', 'm', 1, 1, 5000 FROM amelia.workflows WHERE issue_id = 'H-1';
UPDATE amelia.workflows SET status = 'completed' WHERE issue_id = 'H-1' RETURNING status, completed_at IS NULL AS open, updated_at;
SELECT count(*) FROM amelia.workflow_feed AS f JOIN amelia.workflows AS w ON w.id = f.workflow_id WHERE w.issue_id = 'H-1';
SELECT spent_usd FROM amelia.budget_status();
SELECT total_cost_usd FROM amelia.usage_summary((now() AT TIME ZONE 'UTC')::date, (now() AT TIME ZONE 'UTC')::date);
SET amelia.history = off;
SELECT amelia.append_event('dddddddd-0000-4000-8000-000000000001', 'x', 'after them');
SELECT first_sequence, last_sequence FROM amelia.workflow_feed AS f JOIN amelia.workflows AS w ON w.id = f.workflow_id WHERE w.issue_id = 'H-1';
-- a role that does not own the tables may set it, and nothing changes for it
CREATE ROLE regress_history_worker;
SELECT amelia.grant_worker('regress_history_worker');
SET ROLE regress_history_worker;
SET amelia.history = on;
\set VERBOSITY sqlstate
UPDATE amelia.workflows SET status = 'in_progress' WHERE issue_id = 'H-1';
\set VERBOSITY default
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd) SELECT id, 'a', 'm', 1, 1, 1 FROM amelia.workflows WHERE issue_id = 'H-1';
SELECT spent_usd FROM amelia.budget_status();
RESET ROLE;
RESET amelia.history;
DROP SCHEMA sums CASCADE;
DROP OWNED BY regress_sums_reader, regress_history_worker;
DROP ROLE regress_sums_reader, regress_history_worker;
