-- uuid_v7(): version and variant, the time in it, the order.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

CREATE TABLE t.made AS
SELECT n, amelia.uuid_v7() AS id, clock_timestamp() AS at FROM generate_series(1, 10000) AS n;
SELECT count(DISTINCT id) AS different,
	bool_and(id::text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$') AS of_version_7,
	array_agg(id ORDER BY n) = array_agg(id ORDER BY id) AS in_order,
	count(DISTINCT right(id::text, 15)) AS different_by_chance
FROM t.made;
-- Its milliseconds are those of the clock.
SELECT bool_and(abs(('x' || replace(left(id::text, 13), '-', ''))::bit(48)::bigint - extract(epoch FROM at) * 1000) < 10000) AS of_now
FROM t.made;

-- Every id of type uuid that is a key has it as its default.
SELECT a.attrelid::regclass AS relation, pg_get_expr(d.adbin, d.adrelid) AS default
FROM pg_attribute AS a
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid IN (SELECT c.oid FROM pg_class AS c WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind = 'r')
	AND a.attname = 'id' AND a.atttypid = 'uuid'::regtype
ORDER BY a.attrelid::regclass::text COLLATE "C";

-- Rows that were made one after the other are found in that order.
INSERT INTO amelia.workflows (issue_id, worktree_path) SELECT 'I-' || n, '/w' FROM generate_series(1, 1000) AS n;
SELECT array_agg(issue_id ORDER BY id) = (SELECT array_agg('I-' || n ORDER BY n) FROM generate_series(1, 1000) AS n) AS in_order
FROM amelia.workflows;

-- A client may bring any UUID.
INSERT INTO amelia.workflows (id, issue_id, worktree_path)
VALUES ('00000000-0000-0000-0000-000000000000', 'nil', '/w'), ('ffffffff-ffff-ffff-ffff-ffffffffffff', 'max', '/w');
SELECT amelia.append_event('00000000-0000-0000-0000-000000000000', 'x', 'm', id => '00000000-0000-0000-0000-000000000000'),
	amelia.append_event('ffffffff-ffff-ffff-ffff-ffffffffffff', 'x', 'm', id => 'ffffffff-ffff-ffff-ffff-ffffffffffff');
