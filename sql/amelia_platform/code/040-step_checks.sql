-- Whether the steps of a definition can run, each by itself.

CREATE FUNCTION amelia_internal.platform_refuse_step(step_id text, problem text, hint text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF hint IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('step "%s" %s', left(step_id, 200), problem);
	END IF;
	RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('step "%s" %s', left(step_id, 200), problem), HINT = hint;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_refuse_step(text, text, text) IS
'Raises 22023 about a step of a definition.';

CREATE FUNCTION amelia_internal.platform_check_conditions(step_id text, conditions jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	condition jsonb;
	ops CONSTANT text[] := amelia_internal.platform_values('op');
BEGIN
	IF jsonb_typeof(conditions) <> 'array' THEN
		PERFORM amelia_internal.platform_refuse_step(step_id, 'has conditions that are no array');
	END IF;
	FOR condition IN SELECT c.value FROM jsonb_array_elements(conditions) AS c LOOP
		IF jsonb_typeof(condition) <> 'object' OR jsonb_typeof(condition -> 'path') IS DISTINCT FROM 'string' THEN
			PERFORM amelia_internal.platform_refuse_step(step_id, format('has a condition without a path: %s', left(condition::text, 200)));
		ELSIF jsonb_typeof(condition -> 'op') IS DISTINCT FROM 'string' OR condition ->> 'op' <> ALL (ops) THEN
			PERFORM amelia_internal.platform_refuse_step(step_id,
				format('has a condition with the unknown op %s', COALESCE(left((condition -> 'op')::text, 200), 'null')),
				format('Allowed: %s.', array_to_string(ops, ', ')));
		ELSIF condition ->> 'op' = 'in' AND jsonb_typeof(condition -> 'value') IS DISTINCT FROM 'array' THEN
			PERFORM amelia_internal.platform_refuse_step(step_id, 'has a condition with op "in" whose value is no array');
		ELSIF NOT condition ? 'value' AND condition ->> 'op' <> 'exists' THEN
			PERFORM amelia_internal.platform_refuse_step(step_id, format('has a condition with op "%s" and no value', condition ->> 'op'));
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_check_conditions(text, jsonb) IS
'Raises 22023 for conditions of a step that are none: each is an object with path, op and, but for exists, value.';

CREATE FUNCTION amelia_internal.platform_check_action(step_id text, action jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	types CONSTANT jsonb := '{"title": "string", "description": "string", "priority": "string", "agent_id": "string",
		"required_capabilities": "array", "max_attempts": "number", "deadline_seconds": "number"}';
	field record;
BEGIN
	FOR field IN SELECT t.key, t.value AS type, action -> t.key AS value FROM jsonb_each_text(types) AS t
		WHERE jsonb_typeof(action -> t.key) <> 'null'
	LOOP
		IF jsonb_typeof(field.value) <> field.type
			OR (field.key = 'priority' AND field.value #>> '{}' <> ALL (amelia_internal.platform_values('task priority')))
			OR (field.key = 'title' AND length(field.value #>> '{}') NOT BETWEEN 1 AND 500)
			OR (field.key = 'agent_id' AND field.value #>> '{}' !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$') THEN
			PERFORM amelia_internal.platform_refuse_step(step_id,
				format('has an action whose %s cannot be %s', field.key, left(field.value::text, 200)));
		ELSIF field.type = 'number' AND (field.value #>> '{}')::numeric NOT BETWEEN 1 AND 2147483647
			OR field.key = 'max_attempts' AND trunc((field.value #>> '{}')::numeric) <> (field.value #>> '{}')::numeric THEN
			PERFORM amelia_internal.platform_refuse_step(step_id,
				format('has an action whose %s is out of range: %s', field.key, left(field.value::text, 200)));
		ELSIF field.key = 'required_capabilities' AND (octet_length(field.value::text) > 2000
			OR EXISTS (SELECT FROM jsonb_array_elements(field.value) AS c WHERE jsonb_typeof(c.value) <> 'string')) THEN
			PERFORM amelia_internal.platform_refuse_step(step_id,
				format('has an action whose required_capabilities are no list of names: %s', left(field.value::text, 200)));
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_check_action(text, jsonb) IS
'Raises 22023 for an action of a task step from which no task can be made.';

CREATE FUNCTION amelia_internal.platform_check_steps(definition jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	most CONSTANT integer := 1000;
	types CONSTANT text[] := amelia_internal.platform_values('step_type');
	step jsonb;
	place bigint;
	id text;
	type text;
	targets jsonb;
	seen jsonb := '{}';
BEGIN
	IF jsonb_typeof(definition) IS DISTINCT FROM 'object' OR jsonb_typeof(definition -> 'steps') IS DISTINCT FROM 'array' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = 'a definition is an object with an array of steps',
			HINT = '{"steps": [{"step_id", "step_type", "conditions", "actions", "next_steps"}]}';
	ELSIF jsonb_array_length(definition -> 'steps') = 0 THEN
		RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'a definition has at least one step';
	END IF;
	FOR step, place IN SELECT s.value, s.ordinality FROM jsonb_array_elements(definition -> 'steps') WITH ORDINALITY AS s LOOP
		IF jsonb_typeof(step) <> 'object' OR jsonb_typeof(step -> 'step_id') IS DISTINCT FROM 'string'
			OR length(step ->> 'step_id') NOT BETWEEN 1 AND 200 THEN
			RAISE EXCEPTION USING ERRCODE = '22023',
				MESSAGE = format('step %s has no step_id, a text of 1 to 200 characters', place);
		END IF;
		id := step ->> 'step_id';
		type := step ->> 'step_type';
		IF place > most THEN
			PERFORM amelia_internal.platform_refuse_step(id, format('is one too many: a definition has at most %s steps', most));
		ELSIF seen ? id THEN
			PERFORM amelia_internal.platform_refuse_step(id, 'is there twice');
		ELSIF jsonb_typeof(step -> 'step_type') IS DISTINCT FROM 'string' OR type <> ALL (types) THEN
			PERFORM amelia_internal.platform_refuse_step(id,
				format('has the unknown step_type %s', COALESCE(left((step -> 'step_type')::text, 200), 'null')),
				format('Allowed: %s.', array_to_string(types, ', ')));
		END IF;
		seen := seen || jsonb_build_object(id, true);
		targets := COALESCE(step -> 'next_steps', '[]');
		IF jsonb_typeof(targets) <> 'array'
			OR EXISTS (SELECT FROM jsonb_array_elements(targets) AS t WHERE jsonb_typeof(t.value) <> 'string') THEN
			PERFORM amelia_internal.platform_refuse_step(id, 'has next_steps that are no array of step ids');
		ELSIF type = 'end' AND jsonb_array_length(targets) > 0 THEN
			PERFORM amelia_internal.platform_refuse_step(id, 'is an end and has next_steps');
		ELSIF type <> 'end' AND jsonb_array_length(targets) = 0 THEN
			PERFORM amelia_internal.platform_refuse_step(id, 'leads to no end', 'Name its next_steps, or make it an end.');
		ELSIF (SELECT count(DISTINCT t.value) FROM jsonb_array_elements(targets) AS t) < jsonb_array_length(targets) THEN
			PERFORM amelia_internal.platform_refuse_step(id, 'names one of its next_steps twice');
		END IF;
		PERFORM amelia_internal.platform_check_conditions(id, COALESCE(step -> 'conditions', '[]'));
		IF jsonb_typeof(COALESCE(step -> 'actions', '[]')) <> 'array'
			OR EXISTS (SELECT FROM jsonb_array_elements(step -> 'actions') AS a WHERE jsonb_typeof(a.value) <> 'object') THEN
			PERFORM amelia_internal.platform_refuse_step(id, 'has actions that are no array of objects');
		ELSIF type = 'task' THEN
			PERFORM amelia_internal.platform_check_action(id, COALESCE(step -> 'actions' -> 0, '{}'));
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_check_steps(jsonb) IS
'The part of platform_check_definition() that looks at each step by itself.';

REVOKE ALL ON FUNCTION
	amelia_internal.platform_refuse_step(text, text, text),
	amelia_internal.platform_check_conditions(text, jsonb),
	amelia_internal.platform_check_action(text, jsonb),
	amelia_internal.platform_check_steps(jsonb)
FROM PUBLIC;
