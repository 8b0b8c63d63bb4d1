-- Prompts and their versions.

CREATE OR REPLACE FUNCTION amelia.seed_prompts(defaults jsonb) RETURNS integer
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	seeded integer;
BEGIN
	PERFORM amelia_internal.check_objects('defaults', defaults,
		ARRAY['id', 'agent', 'name', 'description'], ARRAY['id', 'agent', 'name']);
	INSERT INTO amelia.prompts (id, agent, name, description)
	SELECT d ->> 'id', d ->> 'agent', d ->> 'name', d ->> 'description'
	FROM jsonb_array_elements(defaults) WITH ORDINALITY AS e (d, place)
	ORDER BY e.d ->> 'id', e.place
	ON CONFLICT (id) DO NOTHING;
	GET DIAGNOSTICS seeded = ROW_COUNT;
	RETURN seeded;
END
$$;
COMMENT ON FUNCTION amelia.seed_prompts(jsonb) IS
'Inserts those prompts of an array of {id, agent, name, description} that are missing, touches no other, and returns how many it inserted. Errors: 22023 anything but such an array, naming place and key.';

CREATE OR REPLACE FUNCTION amelia.create_prompt_version(
	prompt_id text,
	content text,
	change_note text DEFAULT NULL)
RETURNS amelia.prompt_versions
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	created amelia.prompt_versions;
	changed amelia.prompts;
BEGIN
	PERFORM amelia_internal.check_given('content', create_prompt_version.content);
	PERFORM amelia_internal.lock_prompt(create_prompt_version.prompt_id);
	INSERT INTO amelia.prompt_versions (prompt_id, version_number, content, change_note)
	SELECT create_prompt_version.prompt_id, COALESCE(max(v.version_number), 0) + 1,
		create_prompt_version.content, create_prompt_version.change_note
	FROM amelia.prompt_versions AS v
	WHERE v.prompt_id = create_prompt_version.prompt_id
	RETURNING * INTO created;
	changed.current_version_id := created.id;
	UPDATE amelia.prompts AS p SET current_version_id = changed.current_version_id WHERE p.id = created.prompt_id;
	RETURN created;
END
$$;
COMMENT ON FUNCTION amelia.create_prompt_version(text, text, text) IS
'Makes the next version of a prompt, puts it in force, and returns it. Two callers at the same time get two numbers. Errors: P0002 no such prompt, 22023 a NULL.';

CREATE OR REPLACE FUNCTION amelia.set_prompt_version(prompt_id text, version_id text)
RETURNS amelia.prompts
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	changed amelia.prompts;
BEGIN
	PERFORM amelia_internal.check_given('version_id', set_prompt_version.version_id);
	PERFORM amelia_internal.lock_prompt(set_prompt_version.prompt_id);
	-- A row's column takes the text as whatever type the table has now.
	changed.current_version_id := set_prompt_version.version_id;
	PERFORM amelia_internal.check_prompt_version(set_prompt_version.prompt_id, changed.current_version_id::text);
	UPDATE amelia.prompts AS p SET current_version_id = changed.current_version_id
	WHERE p.id = set_prompt_version.prompt_id
	RETURNING p.* INTO changed;
	RETURN changed;
END
$$;
COMMENT ON FUNCTION amelia.set_prompt_version(text, text) IS
'Puts a version of a prompt in force, and returns the prompt. Errors: P0002 no such prompt, or it has no such version, 22023 a NULL.';

CREATE OR REPLACE FUNCTION amelia.reset_prompt(prompt_id text) RETURNS amelia.prompts
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	changed amelia.prompts;
BEGIN
	PERFORM amelia_internal.lock_prompt(reset_prompt.prompt_id);
	UPDATE amelia.prompts AS p SET current_version_id = NULL
	WHERE p.id = reset_prompt.prompt_id
	RETURNING p.* INTO changed;
	RETURN changed;
END
$$;
COMMENT ON FUNCTION amelia.reset_prompt(text) IS
'Puts the application''s built-in default in force again, and returns the prompt; its versions stay. Errors: P0002 no such prompt, 22023 NULL.';

REVOKE ALL ON FUNCTION
	amelia.seed_prompts(jsonb),
	amelia.create_prompt_version(text, text, text),
	amelia.set_prompt_version(text, text),
	amelia.reset_prompt(text)
FROM PUBLIC;
