-- Version-7 UUIDs: their layout, their order, and that every id has one.
BEGIN;
-- pgTAP may live in any schema. Ours stays off the path.
SELECT set_config('search_path', 'pg_catalog, ' || quote_ident(n.nspname), true) AS path
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pgtap' \gset
SELECT no_plan();

-- Milliseconds since 1970, from the first 48 bits.
CREATE FUNCTION pg_temp.milliseconds(id uuid) RETURNS bigint LANGUAGE sql AS $$
	SELECT ('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint
$$;
CREATE FUNCTION pg_temp.clock() RETURNS bigint LANGUAGE sql VOLATILE AS $$
	SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;

CREATE TEMP TABLE made (place integer, before bigint, id uuid, after bigint);
DO $$
BEGIN
	FOR i IN 1 .. 10000 LOOP
		INSERT INTO made VALUES (i, pg_temp.clock(), amelia.uuid_v7(), pg_temp.clock());
	END LOOP;
END
$$;
SELECT is(count(*), 10000::bigint, 'ten thousand of them') FROM made;
SELECT is((SELECT count(*) FROM made AS m WHERE m.id::text !~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'),
	0::bigint, 'version 7, variant 10');
-- A second either way, for a clock that is set while the test runs.
SELECT is((SELECT count(*) FROM made AS m WHERE pg_temp.milliseconds(m.id) NOT BETWEEN m.before - 1000 AND m.after + 1000),
	0::bigint, 'the time is that of the clock');
SELECT is((SELECT count(DISTINCT m.id) FROM made AS m), 10000::bigint, 'no two are equal');
SELECT is((SELECT count(*) FROM (SELECT m.id <= lag(m.id) OVER (ORDER BY m.place) AS back FROM made AS m) AS o WHERE o.back),
	0::bigint, 'each is greater than the one before');
SELECT is((SELECT count(DISTINCT right(m.id::text, 16)) FROM made AS m), 10000::bigint,
	'the last 62 bits differ as well: two sessions do not meet');
-- Each of these bits is one in about half of all.
SELECT is_empty($$
	SELECT b.place, count(*)
	FROM made AS m, generate_series(66, 127) AS b (place)
	WHERE substr(('x' || replace(m.id::text, '-', ''))::bit(128)::text, b.place + 1, 1) = '1'
	GROUP BY b.place HAVING count(*) NOT BETWEEN 4500 AND 5500
$$, 'the last 62 bits are random');
SELECT cmp_ok((SELECT count(DISTINCT substr(m.id::text, 16, 3)) FROM made AS m), '>', 100::bigint,
	'12 bits of the fraction tell those of one millisecond apart');

-- Each process counts for itself, so it stays with the leader of a parallel plan.
SELECT is((SELECT p.proparallel::text FROM pg_proc AS p WHERE p.oid = 'amelia.uuid_v7'::regproc), 'r',
	'uuid_v7() is not called by parallel workers');

-- In one statement, and as the default of a column, it is the same.
SELECT is((SELECT count(*) FROM (SELECT o.id <= lag(o.id) OVER (ORDER BY o.place) AS back
		FROM (SELECT g AS place, amelia.uuid_v7() AS id FROM generate_series(1, 10000) AS g) AS o) AS p WHERE p.back),
	0::bigint, 'in the rows of one statement');
SELECT is_empty($$
	SELECT c.oid::regclass
	FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
	LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
	WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind IN ('r', 'p')
		AND a.attname = 'id' AND a.atttypid = 'uuid'::regtype
		-- a trigger makes these rows
		AND c.relname <> 'usage_dirty_days'
		AND pg_get_expr(d.adbin, d.adrelid) IS DISTINCT FROM 'amelia.uuid_v7()'
$$, 'every id of type uuid has it as default');

INSERT INTO amelia.workflows (issue_id, worktree_path)
SELECT 'A-' || g, '/w' || g FROM generate_series(1, 100) AS g;
INSERT INTO amelia.workflow_log (workflow_id, event_type, message)
SELECT w.id, 'agent_message', g::text FROM generate_series(1, 100) AS g, amelia.workflows AS w WHERE w.issue_id = 'A-1';
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd)
SELECT w.id, 'a', 'm', g, g, 0 FROM generate_series(1, 100) AS g, amelia.workflows AS w WHERE w.issue_id = 'A-1';
SELECT results_eq('SELECT w.issue_id FROM amelia.workflows AS w ORDER BY w.id',
	$$SELECT 'A-' || g FROM generate_series(1, 100) AS g$$, 'workflows, by id, in the order of their INSERT');
SELECT results_eq('SELECT l.message FROM amelia.workflow_log AS l ORDER BY l.id',
	'SELECT g::text FROM generate_series(1, 100) AS g', 'events, too');
SELECT results_eq('SELECT u.input_tokens FROM amelia.token_usage AS u ORDER BY u.id',
	'SELECT g FROM generate_series(1, 100) AS g', 'usage, too');

-- What the functions make is no different, and is newer than what was there.
SELECT max(id::text) AS last FROM made \gset
SELECT id AS workflow FROM amelia.create_workflow('B-1', '/b') \gset
SELECT amelia.append_event(:'workflow', 'file_created', 'one'),
	amelia.append_events(:'workflow', '[{"event_type": "file_created", "message": "two"},
		{"event_type": "file_created", "message": "three"}]'),
	amelia.record_usage(:'workflow', 'a', 'm', 1, 1, cost_usd => 0) AS usage \gset
SELECT ok(:'workflow'::uuid > :'last'::uuid AND :'usage'::uuid > :'workflow'::uuid, 'create_workflow(), record_usage()');
SELECT results_eq(format('SELECT l.sequence FROM amelia.workflow_log AS l WHERE l.workflow_id = %L AND l.id > %L ORDER BY l.id',
		:'workflow', :'workflow'),
	'SELECT generate_series(1, 4)', 'append_event(), append_events(): the order of the ids is that of the sequence');
SELECT is((SELECT count(*) FROM amelia.workflow_log AS l WHERE substr(l.id::text, 15, 1) <> '7'), 0::bigint,
	'the ids of all events are version 7');

-- Any UUID that a client brings is taken.
INSERT INTO amelia.workflows (id, issue_id, worktree_path)
VALUES ('00000000-0000-0000-0000-000000000000', 'nil', '/n'), ('ffffffff-ffff-ffff-ffff-ffffffffffff', 'max', '/m'),
	('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'v1', '/1'), (gen_random_uuid(), 'v4', '/4');
SELECT is((SELECT count(*) FROM amelia.workflows AS w WHERE w.issue_id IN ('nil', 'max', 'v1', 'v4')), 4::bigint,
	'a client''s own ids');
-- Ids of type text stay text: a name, or a UUID.
INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('p', '/', '{}');
INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('a chat', 'p');
SELECT matches((SELECT m.id FROM amelia.add_brainstorm_message('a chat', 'user', 'hello') AS m),
	'^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$', 'the id of a message, as text');

SELECT * FROM finish();
ROLLBACK;
