-- The triggers of messages and of definitions.

CREATE FUNCTION amelia_internal.platform_message() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_platform_message_trigger';
COMMENT ON FUNCTION amelia_internal.platform_message() IS
'BEFORE INSERT or UPDATE row trigger of agent_messages: has platform_new_message(), platform_deliver_again() and platform_move_message() look at what is not a usual move, and wakes who waits for messages, at commit.';

CREATE FUNCTION amelia_internal.platform_new_message() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	task text;
BEGIN
	NEW.sender_type := COALESCE(NEW.sender_type,
		(SELECT a.agent_type FROM amelia_platform.agents AS a WHERE a.id = NEW.sender_id), 'system');
	NEW.recipient_type := COALESCE(NEW.recipient_type,
		-- an unknown one is for the foreign key to refuse
		(SELECT a.agent_type FROM amelia_platform.agents AS a WHERE a.id = NEW.recipient_id), 'unknown');
	IF NEW.message_type = 'task_delegation' AND jsonb_typeof(NEW.payload) = 'object' AND NEW.payload ? 'task_id' THEN
		task := NEW.payload ->> 'task_id';
		IF task !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
			RAISE EXCEPTION USING ERRCODE = '22023',
				MESSAGE = format('the task_id of a task_delegation must be a UUID, not "%s"', left(task, 100));
		ELSIF task IS NULL OR NOT EXISTS (SELECT FROM amelia_platform.tasks AS t WHERE t.id = task::uuid) THEN
			-- A dump brings its messages before its tasks.
			IF NOT amelia_internal.is_restoring() AND NOT amelia_internal.platform_is_history(TG_RELID) THEN
				RAISE EXCEPTION USING ERRCODE = 'P0002',
					MESSAGE = format('no task %s', COALESCE(task, 'null')),
					HINT = 'A task_delegation names a task that is there.';
			END IF;
		END IF;
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_new_message() IS
'Called by platform_message() for new messages, and for updates that make or change a delegation: fills in what kind of agents they are, and refuses (P0002, 22023) a task_delegation whose task is not there.';

CREATE FUNCTION amelia_internal.platform_deliver_again() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF OLD.visible_at > clock_timestamp() AND NOT amelia_internal.platform_is_history(TG_RELID) THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('message %s is delivered already', OLD.id),
			HINT = 'Whoever has it may acknowledge it until its visible_at.';
	ELSIF NEW.retry_count = OLD.retry_count AND OLD.retry_count >= NEW.max_retries THEN
		NEW.status := 'failed';
		NEW.error_message := COALESCE(NEW.error_message, 'not acknowledged, and no retry is left');
		RETURN NEW;
	ELSIF NEW.retry_count = OLD.retry_count THEN
		NEW.retry_count := OLD.retry_count + 1;
	END IF;
	IF NEW.delivered_at IS NOT DISTINCT FROM OLD.delivered_at THEN
		NEW.delivered_at := clock_timestamp();
	END IF;
	IF NEW.visible_at IS NOT DISTINCT FROM OLD.visible_at THEN
		NEW.visible_at := clock_timestamp() + interval '30 seconds';
	END IF;
	IF NEW.available_at IS NOT DISTINCT FROM OLD.available_at THEN
		NEW.available_at := NEW.visible_at + amelia_internal.retry_delay(NEW.retry_count + 1, 2);
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_deliver_again() IS
'Called by platform_message() for messages that are said to be delivered and are: another delivery once visible_at is over, which counts as one that came to nothing; before that somebody has it, and it raises 55000.';

CREATE FUNCTION amelia_internal.platform_move_message() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	allowed text[];
BEGIN
	IF (NEW.id, NEW.message_id) IS DISTINCT FROM (OLD.id, OLD.message_id) THEN
		RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = format('message %s cannot get another id', OLD.id);
	END IF;
	IF NEW.status = 'delivered' AND OLD.status = 'delivered' AND OLD.visible_at > clock_timestamp()
		AND NEW.delivered_at IS DISTINCT FROM OLD.delivered_at THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('message %s is delivered already', OLD.id),
			HINT = 'Whoever has it may acknowledge it until its visible_at.';
	ELSIF NEW.status = 'delivered' AND NEW.expires_at <= clock_timestamp()
		AND (OLD.status <> 'delivered' OR NEW.delivered_at IS DISTINCT FROM OLD.delivered_at) THEN
		RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = format('message %s has expired', OLD.id);
	ELSIF NEW.status = OLD.status
		OR (current_setting('amelia.history', true) = 'on' AND amelia_internal.platform_is_history(TG_RELID)) THEN
		RETURN NEW;
	END IF;

	allowed := CASE OLD.status
		WHEN 'pending' THEN ARRAY['sent', 'delivered', 'failed', 'expired']
			|| CASE WHEN OLD.delivered_at IS NOT NULL THEN ARRAY['acknowledged'] ELSE ARRAY[]::text[] END
		WHEN 'sent' THEN ARRAY['pending', 'delivered', 'failed', 'expired']
		WHEN 'delivered' THEN ARRAY['pending', 'acknowledged', 'failed', 'expired']
		WHEN 'failed' THEN ARRAY['pending']
		ELSE ARRAY[]::text[] END;
	IF NEW.status <> ALL (allowed) THEN
		PERFORM amelia_internal.platform_check_move('message', OLD.id, OLD.status, NEW.status, allowed);
	END IF;
	IF NEW.status = 'pending' AND NEW.expires_at <= clock_timestamp() THEN
		IF OLD.status = 'failed' THEN
			RAISE EXCEPTION USING ERRCODE = '55000',
				MESSAGE = format('message %s has expired', OLD.id),
				HINT = 'Give it another expires_at with it.';
		END IF;
		NEW.status := 'expired';
	END IF;
	CASE NEW.status
		WHEN 'delivered' THEN
			IF NEW.delivered_at IS NOT DISTINCT FROM OLD.delivered_at THEN
				NEW.delivered_at := clock_timestamp();
			END IF;
			IF NEW.visible_at IS NOT DISTINCT FROM OLD.visible_at THEN
				NEW.visible_at := clock_timestamp() + interval '30 seconds';
			END IF;
			IF NEW.available_at IS NOT DISTINCT FROM OLD.available_at THEN
				NEW.available_at := NEW.visible_at + amelia_internal.retry_delay(NEW.retry_count + 1, 2);
			END IF;
		WHEN 'acknowledged' THEN
			NEW.visible_at := NULL;
			NEW.acknowledged_at := COALESCE(NEW.acknowledged_at, clock_timestamp());
		WHEN 'pending' THEN
			NEW.visible_at := NULL;
			IF OLD.status = 'failed' THEN
				NEW.retry_count := 0;
			ELSIF OLD.status = 'delivered' AND OLD.retry_count >= NEW.max_retries THEN
				NEW.status := 'failed';
				NEW.error_message := COALESCE(NEW.error_message, 'no retry is left');
			ELSIF OLD.status = 'delivered' THEN
				NEW.retry_count := OLD.retry_count + 1;
			END IF;
			IF OLD.status = 'failed' AND NEW.available_at IS NOT DISTINCT FROM OLD.available_at THEN
				NEW.available_at := clock_timestamp();
			END IF;
		ELSE
			NEW.visible_at := NULL;
	END CASE;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_move_message() IS
'Called by platform_message() for updates: the state machine of messages, with its times and retries. A message that has no retry left becomes failed instead of pending, one whose time is over expired. Raises 55000.';

CREATE FUNCTION amelia_internal.platform_check_workflow() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	strange record;
BEGIN
	IF TG_OP = 'UPDATE' AND NEW.definition IS DISTINCT FROM OLD.definition THEN
		NEW.version := GREATEST(NEW.version, OLD.version + 1);
	END IF;
	IF NEW.status <> 'draft'
		AND (TG_OP = 'INSERT' OR OLD.status = 'draft' OR NEW.definition IS DISTINCT FROM OLD.definition) THEN
		PERFORM amelia_internal.platform_check_definition(NEW.definition);
		SELECT left(s.value ->> 'step_id', 200) AS step, g.id AS agent INTO strange
		FROM jsonb_array_elements(NEW.definition -> 'steps') WITH ORDINALITY AS s,
			LATERAL (SELECT (s.value -> 'actions' -> 0 ->> 'agent_id')::uuid WHERE s.value ->> 'step_type' = 'task') AS g (id)
		WHERE g.id IS NOT NULL AND NOT EXISTS (SELECT FROM amelia_platform.agents AS a WHERE a.id = g.id)
		ORDER BY s.ordinality LIMIT 1;
		IF FOUND AND NOT amelia_internal.is_restoring() AND NOT amelia_internal.platform_is_history(TG_RELID) THEN
			RAISE EXCEPTION USING ERRCODE = 'P0002',
				MESSAGE = format('step "%s" has an action for agent %s, which is not there', strange.step, strange.agent);
		END IF;
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION amelia_internal.platform_check_workflow() IS
'BEFORE INSERT or UPDATE row trigger of workflows: counts the version up, and raises 22023 for a definition that cannot run, P0002 for one that names an agent who is not there, unless it is a draft.';

REVOKE ALL ON FUNCTION
	amelia_internal.platform_message(),
	amelia_internal.platform_new_message(),
	amelia_internal.platform_deliver_again(),
	amelia_internal.platform_move_message(),
	amelia_internal.platform_check_workflow()
FROM PUBLIC;
