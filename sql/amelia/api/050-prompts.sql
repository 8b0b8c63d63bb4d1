-- Prompts and their versions.

CREATE OR REPLACE FUNCTION amelia.seed_prompts(defaults jsonb) RETURNS integer
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	seeded integer;
BEGIN
	PERFORM amelia.check_objects('defaults', defaults,
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

CREATE OR REPLACE FUNCTION amelia.check_objects(
	argument text,
	value jsonb,
	allowed text[],
	required text[])
RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	element record;
	member record;
	absent text;
BEGIN
	PERFORM amelia.check_given(argument, value);
	IF jsonb_typeof(value) <> 'array' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('%s must be a JSON array, not %s', argument, jsonb_typeof(value));
	END IF;
	FOR element IN SELECT e.v, e.place FROM jsonb_array_elements(value) WITH ORDINALITY AS e (v, place) LOOP
		IF jsonb_typeof(element.v) <> 'object' THEN
			RAISE EXCEPTION USING ERRCODE = '22023',
				MESSAGE = format('element %s of %s must be a JSON object, not %s',
					element.place, argument, jsonb_typeof(element.v));
		END IF;
		FOR member IN SELECT m.key, jsonb_typeof(m.value) AS type FROM jsonb_each(element.v) AS m LOOP
			IF member.key <> ALL (allowed) THEN
				RAISE EXCEPTION USING ERRCODE = '22023',
					MESSAGE = format('element %s of %s has an unknown key "%s"', element.place, argument, member.key),
					HINT = format('Known keys: %s.', array_to_string(allowed, ', '));
			ELSIF member.type NOT IN ('string', 'null') THEN
				RAISE EXCEPTION USING ERRCODE = '22023',
					MESSAGE = format('key "%s" in element %s of %s must be a string, not %s',
						member.key, element.place, argument, member.type);
			END IF;
		END LOOP;
		SELECT r.key INTO absent FROM unnest(required) AS r (key) WHERE element.v ->> r.key IS NULL LIMIT 1;
		IF FOUND THEN
			RAISE EXCEPTION USING ERRCODE = '22023',
				MESSAGE = format('element %s of %s has no "%s"', element.place, argument, absent);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION amelia.check_objects(text, jsonb, text[], text[]) IS
'Raises 22023 unless the value is an array of objects whose keys are among the allowed, have strings or null, and hold the required.';

CREATE OR REPLACE FUNCTION amelia.lock_prompt(prompt_id text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM amelia.check_given('prompt_id', prompt_id);
	PERFORM FROM amelia.prompts AS p WHERE p.id = lock_prompt.prompt_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002', MESSAGE = format('no prompt "%s"', prompt_id);
	END IF;
END
$$;
COMMENT ON FUNCTION amelia.lock_prompt(text) IS
'Lets one transaction at a time change a prompt. Errors: P0002 no such prompt, 22023 NULL.';

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
BEGIN
	PERFORM amelia.check_given('content', create_prompt_version.content);
	PERFORM amelia.lock_prompt(create_prompt_version.prompt_id);
	INSERT INTO amelia.prompt_versions (prompt_id, version_number, content, change_note)
	SELECT create_prompt_version.prompt_id, COALESCE(max(v.version_number), 0) + 1,
		create_prompt_version.content, create_prompt_version.change_note
	FROM amelia.prompt_versions AS v
	WHERE v.prompt_id = create_prompt_version.prompt_id
	RETURNING * INTO created;
	UPDATE amelia.prompts AS p SET current_version_id = created.id WHERE p.id = created.prompt_id;
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
	PERFORM amelia.check_given('version_id', set_prompt_version.version_id);
	PERFORM amelia.lock_prompt(set_prompt_version.prompt_id);
	PERFORM amelia.check_prompt_version(set_prompt_version.prompt_id, set_prompt_version.version_id);
	UPDATE amelia.prompts AS p SET current_version_id = set_prompt_version.version_id
	WHERE p.id = set_prompt_version.prompt_id
	RETURNING p.* INTO changed;
	RETURN changed;
END
$$;
COMMENT ON FUNCTION amelia.set_prompt_version(text, text) IS
'Puts a version of a prompt in force, and returns the prompt. Errors: P0002 no such prompt, or it has no such version, 22023 a NULL.';

CREATE OR REPLACE FUNCTION amelia.check_prompt_version(prompt_id text, version_id text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM amelia.prompt_versions AS v
			WHERE v.id = version_id AND v.prompt_id = check_prompt_version.prompt_id) THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002',
			MESSAGE = format('prompt "%s" has no version "%s"', prompt_id, version_id);
	END IF;
END
$$;
COMMENT ON FUNCTION amelia.check_prompt_version(text, text) IS
'Raises P0002 when the version is not one of the prompt''s.';

CREATE OR REPLACE FUNCTION amelia.reset_prompt(prompt_id text) RETURNS amelia.prompts
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	changed amelia.prompts;
BEGIN
	PERFORM amelia.lock_prompt(reset_prompt.prompt_id);
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
	amelia.check_objects(text, jsonb, text[], text[]),
	amelia.lock_prompt(text),
	amelia.create_prompt_version(text, text, text),
	amelia.set_prompt_version(text, text),
	amelia.check_prompt_version(text, text),
	amelia.reset_prompt(text)
FROM PUBLIC;
