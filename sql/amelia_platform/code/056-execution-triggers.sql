-- The triggers of executions and of their steps.

CREATE FUNCTION amelia_internal.platform_start_execution() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	workflow record;
	first jsonb;
BEGIN
	SELECT w.definition, w.version, w.status INTO workflow
	FROM amelia_platform.workflows AS w WHERE w.id = NEW.workflow_id;
	IF NOT FOUND THEN
		RETURN NULL; -- for the foreign key to refuse
	ELSIF workflow.status IN ('draft', 'paused') THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('workflow %s is %s', NEW.workflow_id,
				CASE workflow.status WHEN 'draft' THEN 'a draft' ELSE workflow.status END),
			HINT = 'Set its status to active.';
	END IF;
	UPDATE amelia_platform.workflow_executions AS e
	SET definition = workflow.definition, version = workflow.version
	WHERE e.id = NEW.id;
	INSERT INTO amelia_platform.execution_steps (execution_id, step_id, place, definition, awaits)
	SELECT NEW.id, s.value ->> 'step_id', s.ordinality, s.value, COALESCE(i.number, 0)
	FROM jsonb_array_elements(workflow.definition -> 'steps') WITH ORDINALITY AS s
	LEFT JOIN (SELECT n.value, count(*)
		FROM jsonb_array_elements(workflow.definition -> 'steps') AS f, jsonb_array_elements_text(f.value -> 'next_steps') AS n
		GROUP BY n.value) AS i (step_id, number) ON i.step_id = s.value ->> 'step_id';
	first := workflow.definition -> 'steps' -> 0;
	IF NOT amelia_internal.platform_holds(COALESCE(first -> 'conditions', '[]'), NEW.context_data) THEN
		PERFORM amelia_internal.platform_end_execution(NEW.id, 'failed',
			format('step "%s" cannot begin: its conditions do not hold', first ->> 'step_id'));
		RETURN NULL;
	END IF;
	PERFORM amelia_internal.platform_run(NEW.id, ARRAY[first ->> 'step_id'], '{}');
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_start_execution() IS
'AFTER INSERT row trigger of workflow_executions without a definition: pins that of the workflow, and begins with the first step. Raises 55000 for a draft and for a paused workflow.';

CREATE FUNCTION amelia_internal.platform_move_execution() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NEW.status IS NULL OR amelia_internal.platform_is_history(TG_RELID) THEN
		RETURN NEW;
	ELSIF OLD.status <> 'running' THEN
		PERFORM amelia_internal.platform_check_move('execution', OLD.id, OLD.status, NEW.status, '{}');
	ELSIF NEW.status = 'completed' AND EXISTS (SELECT FROM amelia_platform.execution_steps AS s
		WHERE s.execution_id = OLD.id AND s.status IN ('waiting', 'running')) THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('execution %s has steps that are not over', OLD.id),
			HINT = 'It is completed when the last of them is; cancel or fail it to end it before.';
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_move_execution() IS
'BEFORE UPDATE row trigger of workflow_executions whose status changes: the state machine. Raises 55000.';

CREATE FUNCTION amelia_internal.platform_keep_execution() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF (NEW.id, NEW.workflow_id) IS DISTINCT FROM (OLD.id, OLD.workflow_id)
		OR OLD.definition IS NOT NULL AND (NEW.definition, NEW.version) IS DISTINCT FROM (OLD.definition, OLD.version) THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('execution %s keeps its workflow and its definition', OLD.id);
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_keep_execution() IS
'BEFORE UPDATE row trigger of workflow_executions, for columns that keep what they have: raises 55000.';

CREATE FUNCTION amelia_internal.platform_whole_execution() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	NEW.completed_at := COALESCE(CASE TG_OP WHEN 'UPDATE' THEN OLD.completed_at END, clock_timestamp());
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_whole_execution() IS
'BEFORE INSERT or UPDATE row trigger of workflow_executions that have ended and say not when: gives them now, from which on they are kept.';

CREATE FUNCTION amelia_internal.platform_execution_ended() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE amelia_platform.execution_steps AS s
	SET status = 'skipped', completed_at = clock_timestamp()
	WHERE s.execution_id = NEW.id AND s.status IN ('waiting', 'running');
	-- Whoever holds a task may wait for its execution, which is ours: to wait for them would be a deadlock. They have a
	-- moment. What they have then is cancelled when somebody begins it or gives it back.
	FOR attempt IN 1 .. 20 LOOP
		UPDATE amelia_platform.tasks AS t
		SET status = 'cancelled', error_message = format('its execution was %s', NEW.status)
		WHERE t.id IN (SELECT l.id FROM amelia_platform.tasks AS l
			WHERE l.execution_id = NEW.id AND l.status IN ('pending', 'in_progress')
			FOR NO KEY UPDATE SKIP LOCKED);
		EXIT WHEN NOT EXISTS (SELECT FROM amelia_platform.tasks AS t
			WHERE t.execution_id = NEW.id AND t.status IN ('pending', 'in_progress'));
		PERFORM pg_sleep(0.01);
	END LOOP;
	UPDATE amelia_platform.workflow_executions AS e
	SET current_step = (SELECT count(*) FROM amelia_platform.execution_steps AS s WHERE s.execution_id = NEW.id)
	WHERE e.id = NEW.id;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_execution_ended() IS
'AFTER UPDATE row trigger of workflow_executions that come to an end: skips the steps that are left, and cancels their tasks, but for those that another session holds for longer than a fifth of a second.';

CREATE FUNCTION amelia_internal.platform_keep_step() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF amelia_internal.platform_is_history(TG_RELID) THEN
		RETURN NEW;
	END IF;
	RAISE EXCEPTION USING ERRCODE = '55000',
		MESSAGE = CASE WHEN NEW.status = OLD.status THEN format('step "%s" of execution %s keeps its name and its execution', OLD.step_id, OLD.execution_id)
			ELSE format('step "%s" of execution %s cannot go from %s to %s', OLD.step_id, OLD.execution_id, OLD.status, NEW.status) END,
		HINT = 'See advance_execution().';
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_keep_step() IS
'BEFORE UPDATE row trigger of execution_steps, for moves that no execution makes: raises 55000.';

REVOKE ALL ON FUNCTION
	amelia_internal.platform_start_execution(),
	amelia_internal.platform_move_execution(),
	amelia_internal.platform_keep_execution(),
	amelia_internal.platform_whole_execution(),
	amelia_internal.platform_execution_ended(),
	amelia_internal.platform_keep_step()
FROM PUBLIC;
