-- Which prompts are in force, and which a workflow ran with.

CREATE OR REPLACE FUNCTION amelia.prompt_history(prompt_id text) RETURNS SETOF amelia.prompt_versions
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT v.* FROM amelia.prompt_versions AS v
WHERE v.prompt_id = prompt_history.prompt_id
ORDER BY v.version_number DESC
$$;
COMMENT ON FUNCTION amelia.prompt_history(text) IS 'The versions of a prompt, newest first.';

CREATE OR REPLACE FUNCTION amelia.current_prompt(prompt_id text) RETURNS SETOF amelia.prompt_versions
LANGUAGE sql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
SELECT v.*
FROM amelia.prompts AS p
JOIN amelia.prompt_versions AS v ON v.prompt_id = p.id AND v.id = p.current_version_id
WHERE p.id = current_prompt.prompt_id
$$;
COMMENT ON FUNCTION amelia.current_prompt(text) IS
'The version of a prompt that is in force; no row when that is the application''s built-in default.';

CREATE OR REPLACE FUNCTION amelia.record_workflow_prompt(
	workflow_id uuid,
	prompt_id text,
	version_id text)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	noted amelia.workflow_prompt_versions;
BEGIN
	PERFORM amelia_internal.check_given('workflow_id', record_workflow_prompt.workflow_id),
		amelia_internal.check_given('prompt_id', record_workflow_prompt.prompt_id),
		amelia_internal.check_given('version_id', record_workflow_prompt.version_id);
	PERFORM amelia_internal.hold_workflow(record_workflow_prompt.workflow_id);
	IF NOT EXISTS (SELECT FROM amelia.prompts AS p WHERE p.id = record_workflow_prompt.prompt_id) THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002',
			MESSAGE = format('no prompt "%s"', record_workflow_prompt.prompt_id);
	END IF;
	-- A row's column takes the text as whatever type the table has now.
	noted.version_id := record_workflow_prompt.version_id;
	PERFORM amelia_internal.check_prompt_version(record_workflow_prompt.prompt_id, noted.version_id::text);
	INSERT INTO amelia.workflow_prompt_versions (workflow_id, prompt_id, version_id)
	VALUES (record_workflow_prompt.workflow_id, record_workflow_prompt.prompt_id,
		noted.version_id)
	ON CONFLICT (workflow_id, prompt_id) DO UPDATE SET version_id = EXCLUDED.version_id;
END
$$;
COMMENT ON FUNCTION amelia.record_workflow_prompt(uuid, text, text) IS
'Notes which version of a prompt a workflow runs with; again: replaces. Errors: P0002 no such workflow, prompt, or version of it, 22023 a NULL.';

CREATE OR REPLACE FUNCTION amelia.workflow_prompts(workflow_id uuid)
RETURNS TABLE (
	prompt_id text,
	agent text,
	name text,
	version_id text,
	version_number integer,
	content text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT p.id, p.agent, p.name, v.id::text, v.version_number, v.content
FROM amelia.workflow_prompt_versions AS wp
JOIN amelia.prompts AS p ON p.id = wp.prompt_id
LEFT JOIN amelia.prompt_versions AS v ON v.prompt_id = wp.prompt_id AND v.id = wp.version_id
WHERE wp.workflow_id = workflow_prompts.workflow_id
ORDER BY p.id
$$;
COMMENT ON FUNCTION amelia.workflow_prompts(uuid) IS
'The prompts that a workflow ran with, by prompt; no row when none was noted. A version of NULLs is the application''s built-in default.';

REVOKE ALL ON FUNCTION
	amelia.prompt_history(text),
	amelia.current_prompt(text),
	amelia.record_workflow_prompt(uuid, text, text),
	amelia.workflow_prompts(uuid)
FROM PUBLIC;
