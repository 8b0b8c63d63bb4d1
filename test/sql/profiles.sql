-- Profiles: at most one is active.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('work', '/work', '{}') RETURNING id, tracker, working_dir,
	plan_output_dir, plan_path_pattern, agents, is_active, created_at = now() AS created_now, updated_at = now() AS updated_now;
INSERT INTO amelia.profiles (id, tracker, working_dir, plan_output_dir, plan_path_pattern, agents)
VALUES ('home', 'github', '/home', 'p', 'q', '{"architect": {"driver": "api", "model": "opus", "options": {"t": 0.5}}}'),
	('away', 'jira', '/away', 'p', 'q', '{}');
SELECT count(*) FROM amelia.active_profile();

-- Activating, another, the same again.
UPDATE amelia.profiles SET updated_at = '2001-01-01';
CREATE FUNCTION t.profiles() RETURNS TABLE (id text, is_active boolean, updated boolean)
LANGUAGE sql AS $$SELECT p.id, p.is_active, p.updated_at > '2001-01-02' FROM amelia.profiles AS p ORDER BY p.id COLLATE "C"$$;
SELECT id, is_active, agents FROM amelia.set_active_profile('home');
SELECT id FROM amelia.active_profile();
SELECT * FROM t.profiles();
UPDATE amelia.profiles SET updated_at = '2001-01-01';
SELECT id, is_active FROM amelia.set_active_profile('away');
SELECT * FROM t.profiles();
SELECT id, is_active FROM amelia.set_active_profile('away');
SELECT id, is_active FROM amelia.set_active_profile('home');
SELECT id FROM amelia.active_profile();
-- Not among the first rows of the table, not among the last.
UPDATE amelia.profiles SET tracker = tracker WHERE id = 'home';
SELECT id, is_active FROM amelia.set_active_profile('work');
SELECT id, is_active FROM amelia.set_active_profile('home');
SELECT * FROM t.profiles() WHERE is_active;

-- No such profile: nothing is changed.
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT amelia.set_active_profile('nowhere')$$,
	$$SELECT amelia.set_active_profile('')$$,
	$$SELECT amelia.set_active_profile(NULL)$$,
	$$UPDATE amelia.profiles SET is_active = true WHERE id = 'work'$$,
	$$INSERT INTO amelia.profiles (id, working_dir, agents, is_active) VALUES ('x', '/x', '{}', true)$$,
	$$INSERT INTO amelia.profiles (id, working_dir, agents, tracker) VALUES ('x', '/x', '{}', 'bugzilla')$$,
	$$INSERT INTO amelia.profiles (id, working_dir, agents, tracker) VALUES ('x', '/x', '{}', NULL)$$,
	$$INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('x', '/x', '[]')$$,
	$$INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('x', '/x', '"{}"')$$,
	$$INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('x', '/x', 'null')$$,
	$$INSERT INTO amelia.profiles (id, working_dir) VALUES ('x', '/x')$$,
	$$INSERT INTO amelia.profiles (id, agents) VALUES ('x', '{}')$$,
	$$INSERT INTO amelia.profiles (id, working_dir, agents, is_active) VALUES ('x', '/x', '{}', NULL)$$,
	$$INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('work', '/x', '{}')$$);
SELECT t.digest() = :'before' AS nothing_stored;
SELECT id FROM amelia.active_profile();

-- The active one may be deactivated or deleted: then there is none.
UPDATE amelia.profiles SET is_active = false WHERE is_active;
SELECT count(*) FROM amelia.active_profile();
SELECT id FROM amelia.set_active_profile('work');
DELETE FROM amelia.profiles WHERE id = 'work';
SELECT count(*) FROM amelia.active_profile();

-- A workflow's profile is a fact of the past; a chat's is not.
SELECT profile_id FROM amelia.create_workflow('I-1', '/w1', profile_id => 'work', id => t.w(1));
INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s1', 'home');
SELECT * FROM t.errors(
	$$DELETE FROM amelia.profiles WHERE id = 'home'$$,
	$$INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s2', 'work')$$);
