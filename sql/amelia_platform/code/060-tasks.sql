-- What claims and those who hold a task call.

CREATE FUNCTION amelia_internal.platform_next_task(agent uuid, mine text[], tried uuid[], OUT task uuid)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
SET enable_bitmapscan = off
AS $$
DECLARE
	level text;
	candidate uuid;
	candidates uuid[];
BEGIN
	FOREACH level IN ARRAY amelia_internal.platform_values('task priority') LOOP
		LOOP
			-- One range of the index for each list of capabilities that somebody asks for, whether the task is ours
			-- or nobody's: a claim walks past nothing that it cannot do.
			candidates := ARRAY(
				WITH RECURSIVE needs (holder, list) AS (
					SELECT h.id, (SELECT t.required_capabilities FROM amelia_platform.tasks AS t
						WHERE t.status = 'pending' AND t.priority = level
							AND COALESCE(t.assigned_agent_id, '00000000-0000-0000-0000-000000000000') = h.id
						ORDER BY t.required_capabilities LIMIT 1)
					FROM (VALUES (agent), ('00000000-0000-0000-0000-000000000000'::uuid)) AS h (id)
					UNION ALL
					SELECT n.holder, (SELECT t.required_capabilities FROM amelia_platform.tasks AS t
						WHERE t.status = 'pending' AND t.priority = level
							AND COALESCE(t.assigned_agent_id, '00000000-0000-0000-0000-000000000000') = n.holder
							AND t.required_capabilities > n.list
						ORDER BY t.required_capabilities LIMIT 1)
					FROM needs AS n WHERE n.list IS NOT NULL)
				SELECT c.id FROM needs AS n, LATERAL (SELECT t.id, t.deadline, t.created_at
					FROM amelia_platform.tasks AS t
					WHERE t.status = 'pending' AND t.priority = level
						AND COALESCE(t.assigned_agent_id, '00000000-0000-0000-0000-000000000000') = n.holder
						AND t.required_capabilities = n.list AND t.available_at <= clock_timestamp() AND t.id <> ALL (tried)
						AND NOT EXISTS (SELECT FROM amelia_platform.platform_faults AS f
							WHERE f.relation = 'tasks' AND f.row_id = t.id AND f.retry_at > clock_timestamp())
					ORDER BY t.deadline, t.created_at, t.id LIMIT 32) AS c
				WHERE n.list IS NOT NULL AND n.list <@ mine
				ORDER BY c.deadline, c.created_at, c.id LIMIT 32);
			EXIT WHEN cardinality(candidates) = 0;
			FOREACH candidate IN ARRAY candidates LOOP
				SELECT t.id INTO task FROM amelia_platform.tasks AS t
				WHERE t.id = candidate AND t.status = 'pending' AND t.available_at <= clock_timestamp()
					AND (t.assigned_agent_id IS NULL OR t.assigned_agent_id = agent) AND t.required_capabilities <@ mine
				FOR NO KEY UPDATE SKIP LOCKED;
				IF FOUND THEN
					RETURN;
				END IF;
			END LOOP;
			-- Others have them: look behind.
			tried := tried || candidates;
		END LOOP;
	END LOOP;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_next_task(uuid, text[], uuid[]) IS
'Locks the first task that an agent with these capabilities may claim, but for those that were tried, and returns its id; NULL when there is none. Waits for nobody.';

CREATE FUNCTION amelia_internal.platform_claim(agent uuid, lease interval) RETURNS uuid
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	mine CONSTANT text[] := ARRAY(SELECT c.capability_name::text FROM amelia_platform.agent_capabilities AS c
		WHERE c.agent_id = agent);
	tried uuid[] := '{}';
	task uuid;
	new_status text;
	message text;
BEGIN
	FOR pass IN 1 .. 2 LOOP
		LOOP
			task := amelia_internal.platform_next_task(agent, mine, tried);
			EXIT WHEN task IS NULL;
			BEGIN
				UPDATE amelia_platform.tasks AS t
				SET status = 'in_progress', assigned_agent_id = agent, leased_until = clock_timestamp() + lease
				WHERE t.id = task
				RETURNING t.status INTO new_status;
				IF new_status = 'in_progress' THEN
					RETURN task;
				END IF;
				PERFORM amelia_internal.platform_check_written(((new_status <> 'pending') IS TRUE)::integer, 1);
				-- Its execution is over: it was cancelled.
				tried := tried || task;
			EXCEPTION WHEN OTHERS THEN
				IF NOT amelia_internal.platform_is_fault(SQLSTATE) THEN
					RAISE;
				END IF;
				GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
				PERFORM amelia_internal.platform_note_fault('tasks', task, SQLSTATE, message);
				tried := tried || task;
			END;
		END LOOP;
		-- Nothing waits: perhaps somebody has left what it had.
		EXIT WHEN pass = 2 OR (SELECT r.done FROM amelia_internal.platform_return_tasks(100) AS r) = 0;
	END LOOP;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_claim(uuid, interval) IS
'Gives an agent the first task that it may have, and returns its id; NULL when there is none. A task that refuses to be written is passed over, with a row in platform_faults.';

CREATE FUNCTION amelia_internal.platform_touch_agent(agent uuid) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- Not each time: nobody looks so closely.
	UPDATE amelia_platform.agents AS a
	SET last_heartbeat = clock_timestamp(), status = CASE WHEN a.status = 'offline'
		OR a.last_heartbeat < clock_timestamp() - amelia_internal.platform_stale_after() THEN 'idle' ELSE a.status END
	WHERE a.id = agent AND (a.status = 'offline' OR a.last_heartbeat IS NULL
		OR a.last_heartbeat < clock_timestamp() - interval '10 seconds');
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_touch_agent(uuid) IS
'Notes that an agent was heard of, every ten seconds at most; one that was offline becomes idle.';

CREATE FUNCTION amelia_internal.platform_lock_task(task uuid, token bigint) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_task record;
BEGIN
	PERFORM amelia_internal.check_given('id', task);
	SELECT t.status, t.lease_token, t.leased_until, t.execution_id INTO found_task
	FROM amelia_platform.tasks AS t WHERE t.id = task FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002', MESSAGE = format('no task %s', task);
	END IF;
	-- Then its execution: the order in which a plain UPDATE takes them.
	IF found_task.execution_id IS NOT NULL THEN
		PERFORM FROM amelia_platform.workflow_executions AS e WHERE e.id = found_task.execution_id FOR NO KEY UPDATE;
	END IF;
	IF token IS NOT NULL AND found_task.lease_token <> token THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('the lease on task %s is lost: its token is %s, not %s', task, found_task.lease_token, token),
			HINT = 'Somebody else may be at it: leave it, and claim another.';
	ELSIF token IS NOT NULL AND found_task.status = 'in_progress' AND found_task.leased_until <= clock_timestamp() THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('the lease on task %s is lost: it has run out', task),
			DETAIL = format('It ended at %s.', found_task.leased_until),
			HINT = 'Leave it, and claim another.';
	END IF;
	RETURN found_task.status;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_lock_task(uuid, bigint) IS
'Locks a task, and its execution behind it, and returns its status. Errors: P0002 no such task, 55000 the lease of that token is lost, 22023 no id.';

CREATE FUNCTION amelia_internal.platform_best_agent(needs text[]) RETURNS uuid
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT m.agent_id FROM amelia_internal.platform_match(needs, 0.5, 1) AS m
$$;
COMMENT ON FUNCTION amelia_internal.platform_best_agent(text[]) IS 'The agent that match_agents() names first.';

CREATE FUNCTION amelia_internal.platform_stale_after() RETURNS interval
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN COALESCE((SELECT s.stale_after FROM amelia_platform.platform_settings AS s), interval '300 seconds');
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_stale_after() IS
'After how long without a word an agent is offline.';

CREATE FUNCTION amelia_internal.platform_match(needs text[], min_confidence numeric, row_limit integer)
RETURNS TABLE (agent_id uuid, confidence numeric, load bigint)
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	heard_since CONSTANT timestamptz := clock_timestamp() - amelia_internal.platform_stale_after();
	number CONSTANT integer := (SELECT count(DISTINCT n.name) FROM unnest(needs) AS n (name));
BEGIN
	IF number = 0 THEN
		RETURN QUERY
		SELECT a.id, NULL::numeric, COALESCE(l.load, 0)
		FROM amelia_platform.agents AS a
		LEFT JOIN (SELECT t.assigned_agent_id, count(*)
			FROM amelia_platform.tasks AS t WHERE t.status IN ('pending', 'in_progress') AND t.assigned_agent_id IS NOT NULL
			GROUP BY t.assigned_agent_id) AS l (id, load) ON l.id = a.id
		WHERE a.status <> 'offline' AND (a.last_heartbeat IS NULL OR a.last_heartbeat >= heard_since)
		ORDER BY COALESCE(l.load, 0), a.id
		LIMIT row_limit;
		RETURN;
	END IF;
	-- Sums of whole hundredths are fast; and only of the best ones it is asked whether they are there, and how busy.
	RETURN QUERY
	WITH able AS MATERIALIZED (
		SELECT m.id, m.total
		FROM (SELECT c.agent_id, sum((c.confidence_score * 100)::integer)
				FROM amelia_platform.agent_capabilities AS c
				WHERE c.capability_name = ANY (needs) AND c.confidence_score >= min_confidence
				GROUP BY c.agent_id
				HAVING count(*) = number
				ORDER BY 2 DESC) AS m (id, total)
		JOIN amelia_platform.agents AS a ON a.id = m.id
		WHERE a.status <> 'offline' AND (a.last_heartbeat IS NULL OR a.last_heartbeat >= heard_since)
		ORDER BY m.total DESC
		FETCH FIRST row_limit ROWS WITH TIES)
	SELECT b.id, round(b.total / (100.0 * number), 4), COALESCE(l.load, 0)
	FROM able AS b
	LEFT JOIN (SELECT t.assigned_agent_id, count(*)
		FROM amelia_platform.tasks AS t WHERE t.status IN ('pending', 'in_progress') AND t.assigned_agent_id IS NOT NULL
		GROUP BY t.assigned_agent_id) AS l (id, load) ON l.id = b.id
	ORDER BY b.total DESC, COALESCE(l.load, 0), b.id
	LIMIT row_limit;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_match(text[], numeric, integer) IS
'What match_agents() returns.';

REVOKE ALL ON FUNCTION
	amelia_internal.platform_next_task(uuid, text[], uuid[]),
	amelia_internal.platform_claim(uuid, interval),
	amelia_internal.platform_touch_agent(uuid),
	amelia_internal.platform_lock_task(uuid, bigint),
	amelia_internal.platform_best_agent(text[]),
	amelia_internal.platform_stale_after(),
	amelia_internal.platform_match(text[], numeric, integer)
FROM PUBLIC;
