-- Prompts, their versions, and what a workflow ran with.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

-- seed_prompts inserts the missing ones, and touches no other.
SELECT amelia.seed_prompts('[
	{"id": "architect.plan", "agent": "architect", "name": "Architect Plan Format", "description": "how plans look"},
	{"id": "reviewer.agentic", "agent": "reviewer", "name": "Reviewer Agentic Prompt"},
	{"id": "evaluator.system", "agent": "evaluator", "name": "Evaluator System Prompt", "description": null}]');
UPDATE amelia.prompts SET name = 'renamed by the operator', description = 'kept' WHERE id = 'reviewer.agentic';
DELETE FROM amelia.prompts WHERE id = 'evaluator.system';
SELECT amelia.seed_prompts('[
	{"id": "architect.plan", "agent": "someone", "name": "else"},
	{"id": "reviewer.agentic", "agent": "reviewer", "name": "Reviewer Agentic Prompt"},
	{"id": "evaluator.system", "agent": "evaluator", "name": "Evaluator System Prompt"},
	{"id": "evaluator.system", "agent": "evaluator", "name": "the same id again"},
	{"id": "x", "agent": "a", "name": ""}]') AS missing_ones;
SELECT * FROM amelia.prompts ORDER BY id COLLATE "C";
SELECT amelia.seed_prompts('[]');
SELECT t.digest() AS before \gset
SELECT v.defaults, t.error(format('SELECT amelia.seed_prompts(%L)', v.defaults))
FROM (VALUES (NULL), ('5'), ('"[]"'), ('null'), ('true'), ('{"id": "y", "agent": "a", "name": "n"}'), ('[5]'), ('["y"]'), ('[null]'), ('[[]]'),
	('[{}]'), ('[{"agent": "a", "name": "n"}]'), ('[{"id": "y", "name": "n"}]'), ('[{"id": "y", "agent": "a"}]'),
	('[{"id": null, "agent": "a", "name": "n"}]'), ('[{"id": "y", "agent": "a", "name": null}]'),
	('[{"id": 5, "agent": "a", "name": "n"}]'), ('[{"id": "y", "agent": ["a"], "name": "n"}]'),
	('[{"id": "y", "agent": "a", "name": {"n": 1}}]'), ('[{"id": "y", "agent": "a", "name": "n", "description": true}]'),
	('[{"id": "y", "agent": "a", "name": "n", "colour": "red"}]'), ('[{"id": "y", "agent": "a", "name": "n", "current_version_id": null}]'),
	('[{"id": "y", "agent": "a", "name": "n"}, {"id": "z", "agent": "a"}]')) AS v (defaults);
SELECT t.digest() = :'before' AS nothing_stored;

-- The default in force: no row.
SELECT count(*) FROM amelia.current_prompt('x');
SELECT count(*) FROM amelia.current_prompt('nowhere');
SELECT count(*) FROM amelia.current_prompt(NULL);
SELECT count(*) FROM amelia.prompt_history('x');
SELECT count(*) FROM amelia.prompt_history('nowhere');
SELECT count(*) FROM amelia.prompt_history(NULL);

-- A new version has the next number and is current at once.
BEGIN;
SELECT prompt_id, version_number, content, change_note, created_at = now() AS now, id <> '' AS has_id
FROM amelia.create_prompt_version('architect.plan', 'one', 'first');
COMMIT;
SELECT prompt_id, version_number, content, change_note FROM amelia.create_prompt_version('architect.plan', 'two');
SELECT prompt_id, version_number, content, change_note FROM amelia.create_prompt_version('architect.plan', 'three', '');
SELECT prompt_id, version_number FROM amelia.create_prompt_version('x', 'one of another');
SELECT version_number, content FROM amelia.current_prompt('architect.plan');
SELECT version_number, content, change_note FROM amelia.prompt_history('architect.plan');
SELECT p.current_version_id = v.id AS current FROM amelia.prompts AS p, amelia.current_prompt('architect.plan') AS v WHERE p.id = 'architect.plan';

-- Back to an earlier one, and to the default; the versions stay.
SELECT id AS v1 FROM amelia.prompt_versions WHERE prompt_id = 'architect.plan' AND version_number = 1 \gset
SELECT id AS v2 FROM amelia.prompt_versions WHERE prompt_id = 'architect.plan' AND version_number = 2 \gset
SELECT id AS x1 FROM amelia.prompt_versions WHERE prompt_id = 'x' \gset
SELECT id, current_version_id = :'v1' AS is_v1 FROM amelia.set_prompt_version('architect.plan', :'v1');
SELECT version_number FROM amelia.current_prompt('architect.plan');
SELECT version_number FROM amelia.create_prompt_version('architect.plan', 'four');
SELECT id, current_version_id FROM amelia.reset_prompt('architect.plan');
SELECT count(*) FROM amelia.current_prompt('architect.plan');
SELECT string_agg(version_number::text, ' ') FROM amelia.prompt_history('architect.plan');
SELECT version_number FROM amelia.create_prompt_version('architect.plan', '');

-- What they refuse.
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT amelia.create_prompt_version(NULL, 'c')$$,
	$$SELECT amelia.create_prompt_version('x', NULL)$$,
	$$SELECT amelia.create_prompt_version('nowhere', 'c')$$,
	$$SELECT amelia.set_prompt_version(NULL, 'v')$$,
	$$SELECT amelia.set_prompt_version('x', NULL)$$,
	$$SELECT amelia.set_prompt_version('nowhere', 'v')$$,
	$$SELECT amelia.set_prompt_version('x', 'no-such-version')$$,
	$$SELECT amelia.reset_prompt(NULL)$$,
	$$SELECT amelia.reset_prompt('nowhere')$$);
SELECT left(t.error(format('SELECT amelia.set_prompt_version(%L, %L)', 'x', :'v1')), 25) AS version_of_another;
SELECT t.digest() = :'before' AS nothing_stored;

-- What the tables themselves refuse: the current version is this prompt's own.
SELECT v.statement, t.error(replace(replace(v.statement, 'V1', :'v1'), 'X1', :'x1'))
FROM (VALUES ($$UPDATE amelia.prompts SET current_version_id = 'V1' WHERE id = 'x'$$),
	($$UPDATE amelia.prompts SET current_version_id = 'nowhere' WHERE id = 'x'$$),
	($$UPDATE amelia.prompts SET current_version_id = 'X1' WHERE id = 'x'$$),
	($$INSERT INTO amelia.prompts (id, agent, name, current_version_id) VALUES ('y', 'a', 'n', 'X1')$$),
	($$DELETE FROM amelia.prompt_versions WHERE id = 'X1'$$),
	($$DELETE FROM amelia.prompts WHERE id = 'x'$$),
	($$INSERT INTO amelia.prompt_versions (prompt_id, version_number, content) VALUES ('x', 1, 'c')$$),
	($$INSERT INTO amelia.prompt_versions (prompt_id, version_number, content) VALUES ('x', 0, 'c')$$),
	($$INSERT INTO amelia.prompt_versions (prompt_id, version_number, content) VALUES ('nowhere', 1, 'c')$$),
	($$INSERT INTO amelia.prompt_versions (prompt_id, version_number, content) VALUES ('x', 9, NULL)$$),
	($$INSERT INTO amelia.prompt_versions (prompt_id, content) VALUES ('x', 'c')$$),
	($$INSERT INTO amelia.prompts (id, agent) VALUES ('y', 'a')$$),
	($$INSERT INTO amelia.prompts (id, name) VALUES ('y', 'n')$$)) AS v (statement);
-- Both rows in one transaction, in either order; and a plain INSERT of a version.
BEGIN;
INSERT INTO amelia.prompts (id, agent, name, current_version_id) VALUES ('y', 'a', 'n', 'y-1');
INSERT INTO amelia.prompt_versions (id, prompt_id, version_number, content) VALUES ('y-1', 'y', 7, 'c');
COMMIT;
SELECT version_number FROM amelia.current_prompt('y');
SELECT version_number FROM amelia.create_prompt_version('y', 'follows the highest');
INSERT INTO amelia.prompt_versions (prompt_id, version_number, content) VALUES ('y', 9, 'its id has a default');
SELECT count(*) FROM amelia.prompt_versions WHERE id ~ '^[0-9a-f-]{36}$' AND version_number = 9;
BEGIN;
DELETE FROM amelia.prompt_versions WHERE prompt_id = 'y';
DELETE FROM amelia.prompts WHERE id = 'y';
COMMIT;

-- What a workflow ran with; again: replaces.
SELECT id FROM amelia.create_workflow('I-1', '/w1', id => t.w(1));
SELECT count(*) FROM amelia.workflow_prompts(t.w(1));
SELECT amelia.record_workflow_prompt(t.w(1), 'architect.plan', :'v1');
SELECT amelia.record_workflow_prompt(t.w(1), 'x', :'x1');
SELECT prompt_id, agent, name, version_number, content, version_id = :'v1' AS is_v1 FROM amelia.workflow_prompts(t.w(1));
SELECT amelia.record_workflow_prompt(t.w(1), 'architect.plan', :'v2');
SELECT amelia.record_workflow_prompt(t.w(1), 'architect.plan', :'v2');
SELECT prompt_id, version_number, content FROM amelia.workflow_prompts(t.w(1));
SELECT count(*) FROM amelia.workflow_prompts(t.w(99));
SELECT count(*) FROM amelia.workflow_prompts(NULL);
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT amelia.record_workflow_prompt(NULL, 'x', 'v')$$,
	$$SELECT amelia.record_workflow_prompt(t.w(1), NULL, 'v')$$,
	$$SELECT amelia.record_workflow_prompt(t.w(1), 'x', NULL)$$,
	$$SELECT amelia.record_workflow_prompt(t.w(99), 'x', 'v')$$,
	$$SELECT amelia.record_workflow_prompt(t.w(1), 'nowhere', 'v')$$,
	$$SELECT amelia.record_workflow_prompt(t.w(1), 'x', 'no-such-version')$$);
SELECT left(t.error(format('SELECT amelia.record_workflow_prompt(t.w(1), %L, %L)', 'x', :'v1')), 25) AS version_of_another;
SELECT left(t.error(format('INSERT INTO amelia.workflow_prompt_versions VALUES (t.w(1), %L, %L)', 'reviewer.agentic', :'v1')), 5) AS version_of_another;
SELECT left(t.error(format('DELETE FROM amelia.prompt_versions WHERE id = %L', :'v2')), 5) AS version_in_use;
SELECT t.digest() = :'before' AS nothing_stored;
-- A plain client may note that it was the application's default.
INSERT INTO amelia.workflow_prompt_versions (workflow_id, prompt_id) VALUES (t.w(1), 'reviewer.agentic');
SELECT prompt_id, name, version_id, version_number, content IS NULL AS no_content FROM amelia.workflow_prompts(t.w(1)) WHERE version_id IS NULL;
DELETE FROM amelia.workflows;
SELECT t.rows();
