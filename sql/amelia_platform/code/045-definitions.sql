-- Whether a definition can run.

CREATE FUNCTION amelia_internal.platform_check_definition(definition jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	ids text[];
	types text[];
	-- The edges, in the order of their sources; the first one of each step.
	sources integer[];
	targets integer[];
	firsts integer[] := '{}';
	number integer;
	incoming integer[];
	ready integer[];
	done boolean[];
	-- For each step, those from which it can be reached, a bit each.
	above bit varying[];
	mine bit varying;
	strange record;
	at integer;
	edge integer;
BEGIN
	PERFORM amelia_internal.platform_check_steps(definition);
	SELECT array_agg(s.value ->> 'step_id' ORDER BY s.ordinality), array_agg(s.value ->> 'step_type' ORDER BY s.ordinality)
	INTO ids, types
	FROM jsonb_array_elements(definition -> 'steps') WITH ORDINALITY AS s;
	number := cardinality(ids);

	SELECT s.value ->> 'step_id' AS id, n.value AS target INTO strange
	FROM jsonb_array_elements(definition -> 'steps') WITH ORDINALITY AS s,
		jsonb_array_elements_text(s.value -> 'next_steps') WITH ORDINALITY AS n
	WHERE n.value <> ALL (ids)
	ORDER BY s.ordinality, n.ordinality LIMIT 1;
	IF FOUND THEN
		PERFORM amelia_internal.platform_refuse_step(strange.id, format('leads to "%s", which is no step', left(strange.target, 200)));
	END IF;
	SELECT COALESCE(array_agg(e.source ORDER BY e.source, e.place), '{}'), COALESCE(array_agg(e.target ORDER BY e.source, e.place), '{}')
	INTO sources, targets
	FROM (SELECT s.ordinality::integer, n.ordinality, array_position(ids, n.value)
		FROM jsonb_array_elements(definition -> 'steps') WITH ORDINALITY AS s,
			jsonb_array_elements_text(s.value -> 'next_steps') WITH ORDINALITY AS n) AS e (source, place, target);
	SELECT array_agg(f.place ORDER BY f.step) INTO firsts
	FROM (SELECT n.step, 1 + COALESCE(sum(e.number) OVER (ORDER BY n.step ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::integer
		FROM generate_series(1, number + 1) AS n (step)
		LEFT JOIN (SELECT u.source, count(*) FROM unnest(sources) AS u (source) GROUP BY u.source) AS e (source, number)
			ON e.source = n.step) AS f (step, place);

	-- Steps are taken in an order in which each comes behind those that lead to it.
	incoming := array_fill(0, ARRAY[number]);
	FOREACH edge IN ARRAY targets LOOP
		incoming[edge] := incoming[edge] + 1;
	END LOOP;
	done := array_fill(false, ARRAY[number]);
	above := array_fill(repeat('0', number)::bit varying, ARRAY[number]);
	ready := ARRAY(SELECT i.place FROM unnest(incoming) WITH ORDINALITY AS i (number, place) WHERE i.number = 0);
	WHILE cardinality(ready) > 0 LOOP
		at := ready[1];
		ready := ready[2:];
		done[at] := true;
		mine := set_bit(above[at], at - 1, 1);
		FOREACH edge IN ARRAY targets[firsts[at] : firsts[at + 1] - 1] LOOP
			above[edge] := above[edge] | mine;
			incoming[edge] := incoming[edge] - 1;
			IF incoming[edge] = 0 THEN
				ready := ready || edge;
			END IF;
		END LOOP;
	END LOOP;
	IF false = ANY (done) THEN
		-- To each that is left another such one leads: going back ends in a circle.
		at := array_position(done, false);
		FOR i IN 1 .. number LOOP
			at := (SELECT min(e.source) FROM unnest(sources, targets) AS e (source, target)
				WHERE e.target = at AND NOT done[e.source]);
		END LOOP;
		PERFORM amelia_internal.platform_refuse_step(ids[at], 'stands in a circle');
	END IF;

	SELECT ids[i.place] AS id INTO strange
	FROM generate_subscripts(ids, 1) AS i (place)
	WHERE i.place NOT IN (WITH RECURSIVE reached (place) AS (
			SELECT 1 UNION
			SELECT e.target FROM reached AS r JOIN unnest(sources, targets) AS e (source, target) ON e.source = r.place)
		SELECT r.place FROM reached AS r)
	ORDER BY i.place LIMIT 1;
	IF FOUND THEN
		PERFORM amelia_internal.platform_refuse_step(strange.id, 'cannot be reached',
			format('Steps begin with the first one, "%s", and go on by next_steps.', left(ids[1], 200)));
	END IF;

	-- A join waits for branches: of one parallel step, two at least come to it.
	SELECT ids[j.place] AS id INTO strange
	FROM generate_subscripts(ids, 1) AS j (place)
	WHERE types[j.place] = 'join' AND NOT EXISTS (SELECT
		FROM unnest(sources, targets) AS e (source, target)
		WHERE types[e.source] = 'parallel' AND get_bit(above[j.place], e.source - 1) = 1
			AND (e.target = j.place OR get_bit(above[j.place], e.target - 1) = 1)
		GROUP BY e.source HAVING count(*) > 1)
	ORDER BY j.place LIMIT 1;
	IF FOUND THEN
		PERFORM amelia_internal.platform_refuse_step(strange.id, 'is a join that fewer than two branches of a parallel step come to');
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_check_definition(jsonb) IS
'Raises 22023, with the step''s id, for a definition that cannot run: a step that leads nowhere, to what is no step, in a circle, or cannot be reached; a join that its branches do not come to; conditions and actions that are none; more than 1000 steps.';

REVOKE ALL ON FUNCTION amelia_internal.platform_check_definition(jsonb) FROM PUBLIC;
