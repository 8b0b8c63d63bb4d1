-- Arguments that are refused. What the tables refuse a plain INSERT, the functions
-- refuse by the argument's name.

CREATE FUNCTION amelia_internal.saga_id() RETURNS uuid
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'amelia_uuid_v7';
COMMENT ON FUNCTION amelia_internal.saga_id() IS
'What amelia.uuid_v7() is, in a schema that nobody else can own.';

CREATE FUNCTION amelia_internal.saga_check_text(argument text, value text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF value IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('%s must not be null', argument);
	ELSIF left(value, 1000) !~ '[^[:space:]]' AND value !~ '[^[:space:]]' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('%s must not be blank: "%s"', argument, left(value, 20));
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.saga_check_text(text, text) IS
'Raises 22023 with the argument''s name when a text is NULL or blank.';

CREATE FUNCTION amelia_internal.saga_check_json(prefix text, tags jsonb, metadata jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF jsonb_typeof(tags) <> 'array' OR jsonb_path_exists(tags, 'strict $[*] ? (@.type() != "string")', '{}', true) THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('%stags must be an array of strings, not %s', prefix, left(tags::text, 100));
	ELSIF jsonb_typeof(metadata) <> 'object' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('%smetadata must be a JSON object, not %s', prefix, left(metadata::text, 100)),
			HINT = 'JSON that was encoded twice arrives as a string.';
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.saga_check_json(text, jsonb, jsonb) IS
'Raises 22023 unless tags are an array of strings and metadata is an object. Both may be NULL.';

CREATE FUNCTION amelia_internal.saga_check_search(query text, tags text[], row_limit integer, providers text[], roles text[],
	since timestamptz, until timestamptz, mode text, marks text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM amelia_internal.saga_check_text('query'::text, query),
		amelia_internal.check_given('row_limit'::text, row_limit),
		amelia_internal.check_given('mode'::text, mode),
		amelia_internal.check_choice('search_mode'::text, mode);
	IF length(query) > 1000 THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('query must have 1000 characters at most, not %s', length(query));
	ELSIF row_limit NOT BETWEEN 1 AND 500 THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('row_limit must be from 1 to 500: %s', row_limit);
	ELSIF marks IS NULL OR array_dims(marks) IS DISTINCT FROM '[1:2]' OR array_position(marks, NULL) IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('marks must be two strings, not %s', COALESCE(left(marks::text, 100), 'null'));
	ELSIF array_ndims(tags) > 1 OR array_ndims(providers) > 1 OR array_ndims(roles) > 1 THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('%s must be a list of strings, not %s',
				CASE WHEN array_ndims(tags) > 1 THEN 'tags' WHEN array_ndims(providers) > 1 THEN 'providers' ELSE 'roles' END,
				left(CASE WHEN array_ndims(tags) > 1 THEN tags WHEN array_ndims(providers) > 1 THEN providers ELSE roles END::text, 100));
	ELSIF array_position(tags, NULL) IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'tags must not hold a null';
	ELSIF array_position(providers, NULL) IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'providers must not hold a null';
	ELSIF array_position(roles, NULL) IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'roles must not hold a null';
	ELSIF since > until THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('since must not be after until: %s, %s', since, until);
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.saga_check_search(text, text[], integer, text[], text[], timestamptz, timestamptz, text, text[]) IS
'Raises 22023 for what a search does not take.';

CREATE FUNCTION amelia_internal.saga_check_rows(argument text, elements jsonb, required text[], optional text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	fault record;
BEGIN
	PERFORM amelia_internal.check_given(argument, elements);
	IF jsonb_typeof(elements) <> 'array' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('%s must be a JSON array, not %s', argument, left(elements::text, 100)),
			HINT = 'JSON that was encoded twice arrives as a string.';
	END IF;
	SELECT f.place, f.problem INTO fault
	FROM (SELECT e.place, CASE
			WHEN jsonb_typeof(e.element) <> 'object' THEN format('must be a JSON object, not %s', left(e.element::text, 100))
			ELSE COALESCE(
				(SELECT format('has a field that is not known: "%s"', k.name)
					FROM jsonb_object_keys(e.element) AS k (name)
					WHERE k.name <> ALL (required || optional) LIMIT 1),
				(SELECT format('must have a text that is not blank as "%s", not %s', r.name, COALESCE(left((e.element -> r.name)::text, 100), 'null'))
					FROM (SELECT unnest(required), true UNION ALL SELECT 'id', e.element ? 'id' AND e.element -> 'id' <> 'null') AS r (name, wanted)
					WHERE r.wanted AND (jsonb_typeof(e.element -> r.name) IS DISTINCT FROM 'string'
						OR (e.element ->> r.name) !~ '[^[:space:]]') LIMIT 1),
				(SELECT format('must have a string as "%s", not %s', o.name, left((e.element -> o.name)::text, 100))
					FROM unnest(optional) AS o (name)
					WHERE o.name NOT IN ('tags', 'metadata', 'file_size')
						AND jsonb_typeof(e.element -> o.name) NOT IN ('string', 'null') LIMIT 1)) END
		FROM jsonb_array_elements(elements) WITH ORDINALITY AS e (element, place)) AS f (place, problem)
	WHERE f.problem IS NOT NULL
	ORDER BY f.place
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('%s[%s] %s', argument, fault.place - 1, fault.problem);
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.saga_check_rows(text, jsonb, text[], text[]) IS
'Raises 22023 with the place, counted from 0, and the reason, unless the value is an array of objects with these fields, of which the required ones are texts that are not blank, and the others strings but for tags, metadata and file_size.';

REVOKE ALL ON FUNCTION
	amelia_internal.saga_id(),
	amelia_internal.saga_check_text(text, text),
	amelia_internal.saga_check_json(text, jsonb, jsonb),
	amelia_internal.saga_check_search(text, text[], integer, text[], text[], timestamptz, timestamptz, text, text[]),
	amelia_internal.saga_check_rows(text, jsonb, text[], text[])
FROM PUBLIC;
