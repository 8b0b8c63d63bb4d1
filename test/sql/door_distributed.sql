-- Where Citus has spread a table over nodes, rows are written by statements only,
-- which Citus sends to where the rows are. Citus itself need not be here for
-- that: its catalog, which names those tables, is.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

SET client_min_messages = warning;
SET track_functions = 'all';
SET amelia.door = on;
INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(1), 'I-1', '/w1');

-- How many triggers an event fires: none when it is written without a statement.
CREATE FUNCTION t.fired_by_event(message text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	before bigint := t.fired();
BEGIN
	PERFORM amelia.append_event(t.w(1), 'file_created', message);
	RETURN t.fired() - before;
END
$$;
CREATE FUNCTION t.fired() RETURNS bigint LANGUAGE sql AS $$
	SELECT coalesce(sum(f.calls), 0) FROM pg_stat_xact_user_functions AS f
	WHERE f.funcid IN (SELECT g.tgfoid FROM pg_trigger AS g WHERE g.tgrelid = 'amelia.workflow_log'::regclass)
$$;

SELECT t.fired_by_event('without');

-- What Citus has in its catalog, and what it does when it adds a table.
SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass NOT NULL, partmethod "char");
INSERT INTO pg_catalog.pg_dist_partition VALUES ('amelia.workflow_feed', 'h');
ALTER TABLE amelia.workflow_log ALTER COLUMN message SET STATISTICS 100;
SELECT t.fired_by_event('another table is spread');

INSERT INTO pg_catalog.pg_dist_partition VALUES ('amelia.workflow_log', 'h');
ALTER TABLE amelia.workflow_log ALTER COLUMN message SET STATISTICS -1;
SELECT t.fired_by_event('this one is');

DROP TABLE pg_catalog.pg_dist_partition;
ALTER TABLE amelia.workflow_log ALTER COLUMN message SET STATISTICS 100;
ALTER TABLE amelia.workflow_log ALTER COLUMN message SET STATISTICS -1;
RESET allow_system_table_mods;
SELECT t.fired_by_event('without again');
SELECT sequence, message FROM amelia.workflow_log ORDER BY sequence;
SELECT * FROM amelia.verify();
