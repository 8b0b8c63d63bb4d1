-- What maintenance does, a batch at a time.

CREATE FUNCTION amelia_internal.platform_each(of_relation text, ids uuid[], statement text, OUT done integer, OUT faults integer)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	id uuid;
	written bigint;
	message text;
BEGIN
	faults := 0;
	BEGIN
		EXECUTE statement USING ids;
		GET DIAGNOSTICS done = ROW_COUNT;
		PERFORM amelia_internal.platform_check_written(done, cardinality(ids));
		RETURN;
	EXCEPTION WHEN OTHERS THEN
		IF NOT amelia_internal.platform_is_fault(SQLSTATE) THEN
			RAISE;
		END IF;
	END;
	done := 0;
	FOREACH id IN ARRAY ids LOOP
		BEGIN
			EXECUTE statement USING ARRAY[id];
			GET DIAGNOSTICS written = ROW_COUNT;
			PERFORM amelia_internal.platform_check_written(written, 1);
			done := done + 1;
		EXCEPTION WHEN OTHERS THEN
			IF NOT amelia_internal.platform_is_fault(SQLSTATE) THEN
				RAISE;
			END IF;
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
			PERFORM amelia_internal.platform_note_fault(of_relation, id, SQLSTATE, message);
			faults := faults + 1;
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_each(text, uuid[], text) IS
'Runs a statement of Amelia''s, whose only parameter is the ids, and which counts those that it has moved, on rows that are locked: all at once, and one by one if that fails, so that one that refuses does not keep the others.';

CREATE FUNCTION amelia_internal.platform_faulty(of_relation text, id uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN EXISTS (SELECT FROM amelia_platform.platform_faults AS f
		WHERE f.relation = of_relation AND f.row_id = id AND f.retry_at > clock_timestamp());
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_faulty(text, uuid) IS
'Whether a row is passed over for now.';

CREATE FUNCTION amelia_internal.platform_return_tasks(row_limit integer, OUT done integer, OUT faults integer)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	this_moment CONSTANT timestamptz := clock_timestamp();
	heard_since CONSTANT timestamptz := this_moment - amelia_internal.platform_stale_after();
	ids uuid[];
BEGIN
	ids := ARRAY(SELECT t.id FROM amelia_platform.tasks AS t
		LEFT JOIN amelia_platform.agents AS a ON a.id = t.assigned_agent_id
		WHERE t.status = 'in_progress' AND NOT amelia_internal.platform_faulty('tasks', t.id)
			AND (t.leased_until <= this_moment OR a.status = 'offline'
				OR a.last_heartbeat < heard_since)
		LIMIT row_limit);
	-- Executions first, to leave out what somebody else takes on: neither these nor the tasks are waited for.
	ids := ARRAY(SELECT t.id FROM unnest(ids) AS i (id)
		JOIN amelia_platform.tasks AS t ON t.id = i.id
		WHERE t.execution_id IS NULL OR t.execution_id IN (SELECT e.id FROM amelia_platform.workflow_executions AS e
			WHERE e.id IN (SELECT o.execution_id FROM amelia_platform.tasks AS o WHERE o.id = ANY (ids))
			FOR NO KEY UPDATE SKIP LOCKED));
	ids := ARRAY(SELECT t.id FROM amelia_platform.tasks AS t
		WHERE t.id = ANY (ids) AND t.status = 'in_progress'
			AND (t.leased_until <= this_moment OR EXISTS (SELECT FROM amelia_platform.agents AS a
				WHERE a.id = t.assigned_agent_id AND (a.status = 'offline'
					OR a.last_heartbeat < heard_since)))
		FOR NO KEY UPDATE SKIP LOCKED);
	SELECT * INTO done, faults FROM amelia_internal.platform_each('tasks', ids, $s$
		WITH moved AS (
			UPDATE amelia_platform.tasks AS t
			SET status = 'pending', assigned_agent_id = NULL, available_at = clock_timestamp(),
				error_message = CASE WHEN t.leased_until <= clock_timestamp() THEN 'its lease ran out' ELSE 'its agent was offline' END
			WHERE t.id = ANY ($1) RETURNING t.status)
		SELECT FROM moved AS m WHERE m.status <> 'in_progress'$s$);
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_return_tasks(integer) IS
'Takes tasks back whose lease ran out, or whose agent is offline, so that others may have them; those without an attempt left are failed. Waits for nobody.';

CREATE FUNCTION amelia_internal.platform_old_executions(ended_before timestamptz, look_at integer, row_limit integer) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
	execution uuid;
	locked bigint;
	old uuid[] := '{}';
BEGIN
	FOR execution IN
		SELECT e.id FROM amelia_platform.workflow_executions AS e
		WHERE e.status <> 'running' AND e.completed_at < ended_before
			AND NOT amelia_internal.platform_faulty('workflow_executions', e.id)
		ORDER BY e.completed_at LIMIT look_at
	LOOP
		-- Tasks first, as everybody locks them. Deleting it deletes them, and would wait for who has one.
		PERFORM FROM amelia_platform.tasks AS t WHERE t.execution_id = execution FOR UPDATE SKIP LOCKED;
		GET DIAGNOSTICS locked = ROW_COUNT;
		CONTINUE WHEN locked < (SELECT count(*) FROM amelia_platform.tasks AS t WHERE t.execution_id = execution);
		PERFORM FROM amelia_platform.workflow_executions AS e
		WHERE e.id = execution AND e.status <> 'running' AND e.completed_at < ended_before FOR UPDATE SKIP LOCKED;
		IF FOUND THEN
			old := old || execution;
			EXIT WHEN cardinality(old) >= row_limit;
		END IF;
	END LOOP;
	RETURN old;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_old_executions(timestamptz, integer, integer) IS
'Locks executions that ended before a time, with their tasks, the oldest first, and returns their ids: row_limit of the first look_at that nobody else has to do with.';

CREATE FUNCTION amelia_internal.platform_sweep(phase integer, row_limit integer, OUT done integer, OUT faults integer, OUT counter text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
	ids uuid[];
	swept_relation text;
	statement text;
	this_moment CONSTANT timestamptz := clock_timestamp();
	heard_since CONSTANT timestamptz := this_moment - amelia_internal.platform_stale_after();
	-- What is older is deleted.
	old record;
BEGIN
	old := amelia_internal.platform_horizons();
	IF phase = 0 THEN
		counter := 'agents_offline';
		swept_relation := 'agents';
		ids := ARRAY(SELECT a.id FROM amelia_platform.agents AS a
			WHERE a.status <> 'offline' AND NOT amelia_internal.platform_faulty('agents', a.id)
				AND a.last_heartbeat < heard_since
			LIMIT row_limit FOR NO KEY UPDATE SKIP LOCKED);
		statement := $s$WITH moved AS (
			UPDATE amelia_platform.agents AS a SET status = 'offline' WHERE a.id = ANY ($1) RETURNING a.status)
			SELECT FROM moved AS n WHERE n.status = 'offline'$s$;
	ELSIF phase = 1 THEN
		counter := 'tasks_returned';
		SELECT * INTO done, faults FROM amelia_internal.platform_return_tasks(row_limit);
		RETURN;
	ELSIF phase = 2 THEN
		counter := 'messages_returned';
		swept_relation := 'agent_messages';
		ids := ARRAY(SELECT m.id FROM amelia_platform.agent_messages AS m
			WHERE m.status = 'delivered' AND m.available_at <= this_moment
				-- those are for the next phase
				AND (m.expires_at IS NULL OR m.expires_at > this_moment)
				AND NOT amelia_internal.platform_faulty('agent_messages', m.id)
			ORDER BY m.available_at LIMIT row_limit FOR NO KEY UPDATE SKIP LOCKED);
		statement := $s$WITH moved AS (
			UPDATE amelia_platform.agent_messages AS m SET status = 'pending' WHERE m.id = ANY ($1) RETURNING m.status)
			SELECT FROM moved AS n WHERE n.status <> 'delivered'$s$;
	-- 3 is the second look, which is not taken here. From here on nothing can be taken back.
	ELSIF phase = 4 THEN
		counter := 'messages_expired';
		swept_relation := 'agent_messages';
		ids := ARRAY(SELECT m.id FROM amelia_platform.agent_messages AS m
			WHERE m.expires_at <= this_moment AND m.status IN ('pending', 'sent', 'delivered')
				-- whoever has it may still acknowledge it
				AND (m.status <> 'delivered' OR m.visible_at IS NULL OR m.visible_at <= this_moment)
				AND NOT amelia_internal.platform_faulty('agent_messages', m.id)
			LIMIT row_limit FOR NO KEY UPDATE SKIP LOCKED);
		statement := $s$WITH moved AS (
			UPDATE amelia_platform.agent_messages AS m SET status = 'expired' WHERE m.id = ANY ($1) RETURNING m.status)
			SELECT FROM moved AS n WHERE n.status = 'expired'$s$;
	ELSIF phase = 5 THEN
		counter := 'messages_deleted';
		swept_relation := 'agent_messages';
		ids := ARRAY(SELECT m.id FROM amelia_platform.agent_messages AS m
			WHERE m.status IN ('acknowledged', 'failed', 'expired')
				AND m.created_at < old.messages
				AND NOT amelia_internal.platform_faulty('agent_messages', m.id)
			ORDER BY m.created_at LIMIT row_limit FOR UPDATE SKIP LOCKED);
		statement := $s$DELETE FROM amelia_platform.agent_messages AS m WHERE m.id = ANY ($1)$s$;
	ELSIF phase = 6 THEN
		counter := 'executions_deleted';
		swept_relation := 'workflow_executions';
		-- each has its steps and tasks
		ids := amelia_internal.platform_old_executions(old.tasks, row_limit, GREATEST(row_limit / 100, 1));
		statement := $s$DELETE FROM amelia_platform.workflow_executions AS e WHERE e.id = ANY ($1)$s$;
	ELSIF phase = 7 THEN
		counter := 'tasks_deleted';
		swept_relation := 'tasks';
		ids := ARRAY(SELECT t.id FROM amelia_platform.tasks AS t
			WHERE t.status IN ('completed', 'failed', 'cancelled') AND t.execution_id IS NULL
				AND t.completed_at < old.tasks
				AND NOT amelia_internal.platform_faulty('tasks', t.id)
			ORDER BY t.completed_at LIMIT row_limit FOR UPDATE SKIP LOCKED);
		statement := $s$DELETE FROM amelia_platform.tasks AS t WHERE t.id = ANY ($1)$s$;
	ELSE
		counter := 'metrics_deleted';
		swept_relation := 'agent_performance';
		ids := ARRAY(SELECT p.id FROM amelia_platform.agent_performance AS p
			WHERE p.recorded_at < old.metrics
				AND NOT amelia_internal.platform_faulty('agent_performance', p.id)
			ORDER BY p.recorded_at LIMIT row_limit FOR UPDATE SKIP LOCKED);
		statement := $s$DELETE FROM amelia_platform.agent_performance AS p WHERE p.id = ANY ($1)$s$;
	END IF;
	SELECT * INTO done, faults FROM amelia_internal.platform_each(swept_relation, ids, statement);
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_sweep(integer, integer) IS
'A batch of a kind of maintenance: how many rows it moved or deleted, how many refused, and the column of maintenance_runs that counts them. Waits for nobody.';

REVOKE ALL ON FUNCTION
	amelia_internal.platform_each(text, uuid[], text),
	amelia_internal.platform_faulty(text, uuid),
	amelia_internal.platform_return_tasks(integer),
	amelia_internal.platform_old_executions(timestamptz, integer, integer),
	amelia_internal.platform_sweep(integer, integer)
FROM PUBLIC;
