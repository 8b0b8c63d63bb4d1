-- What the functions of prompts call.

CREATE FUNCTION amelia_internal.check_objects(
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
	PERFORM amelia_internal.check_given(argument, value);
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
COMMENT ON FUNCTION amelia_internal.check_objects(text, jsonb, text[], text[]) IS
'Raises 22023 unless the value is an array of objects whose keys are among the allowed, have strings or null, and hold the required.';

CREATE FUNCTION amelia_internal.lock_prompt(prompt_id text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM amelia_internal.check_given('prompt_id', prompt_id);
	PERFORM FROM amelia.prompts AS p WHERE p.id = lock_prompt.prompt_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002', MESSAGE = format('no prompt "%s"', prompt_id);
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.lock_prompt(text) IS
'Lets one transaction at a time change a prompt. Errors: P0002 no such prompt, 22023 NULL.';

CREATE FUNCTION amelia_internal.check_prompt_version(prompt_id text, version_id text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM amelia.prompt_versions AS v
			WHERE v.id::text = version_id AND v.prompt_id = check_prompt_version.prompt_id) THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002',
			MESSAGE = format('prompt "%s" has no version "%s"', prompt_id, version_id);
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.check_prompt_version(text, text) IS
'Raises P0002 when the version is not one of the prompt''s.';

REVOKE ALL ON FUNCTION
	amelia_internal.check_objects(text, jsonb, text[], text[]),
	amelia_internal.lock_prompt(text),
	amelia_internal.check_prompt_version(text, text)
FROM PUBLIC;
