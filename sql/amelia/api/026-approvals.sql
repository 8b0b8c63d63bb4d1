-- Waiting for a person, the inbox, and the fence on LangGraph's tables.

CREATE OR REPLACE FUNCTION amelia.request_approval(
	workflow_id uuid,
	lease_token bigint,
	question text,
	data jsonb DEFAULT NULL)
RETURNS amelia.workflows
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	blocked amelia.workflows;
BEGIN
	PERFORM amelia_internal.check_given('workflow_id', request_approval.workflow_id),
		amelia_internal.check_given('lease_token', request_approval.lease_token),
		amelia_internal.check_given('question', question),
		amelia_internal.check_container('data', data);
	PERFORM amelia_internal.check_lease(request_approval.workflow_id, request_approval.lease_token);
	UPDATE amelia.workflows AS w SET status = 'blocked'
	WHERE w.id = request_approval.workflow_id
	RETURNING w.* INTO blocked;
	PERFORM amelia_internal.write_event(blocked.id, 'approval_required', question, data => data);
	RETURN blocked;
END
$$;
COMMENT ON FUNCTION amelia.request_approval(uuid, bigint, text, jsonb) IS
'Asks a person: blocks the workflow with an approval_required event whose message is the question, ends the lease, and returns the workflow. decide() goes on from there. Errors: 55000 the lease is lost, P0002 no such workflow, 22023 a NULL, data that is a JSON scalar.';

CREATE OR REPLACE FUNCTION amelia.decide(
	workflow_id uuid,
	question_sequence integer,
	approved boolean,
	comment text DEFAULT NULL)
RETURNS amelia.workflows
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	decided amelia.workflows;
	answer_type text := CASE WHEN approved THEN 'approval_granted' ELSE 'approval_rejected' END;
	answer_message text := COALESCE(comment, CASE WHEN approved THEN 'approved' ELSE 'rejected' END);
	given record;
	later integer;
BEGIN
	PERFORM amelia_internal.check_given('workflow_id', decide.workflow_id),
		amelia_internal.check_given('question_sequence', question_sequence),
		amelia_internal.check_given('approved', approved);
	PERFORM amelia_internal.lock_workflow(decide.workflow_id);
	SELECT w.* INTO decided FROM amelia.workflows AS w WHERE w.id = decide.workflow_id;
	IF NOT EXISTS (SELECT FROM amelia.workflow_log AS e
			WHERE e.workflow_id = decide.workflow_id AND e.sequence = question_sequence
				AND e.event_type = 'approval_required') THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002',
			MESSAGE = format('workflow %s asked no question with sequence %s', decide.workflow_id, question_sequence),
			HINT = 'Give the sequence of the approval_required event that is answered.';
	END IF;

	SELECT e.sequence, e.event_type, e.message INTO given
	FROM amelia.workflow_log AS e
	WHERE e.workflow_id = decide.workflow_id AND e.sequence > question_sequence
		AND e.event_type IN ('approval_granted', 'approval_rejected')
		AND e.data -> 'question' = to_jsonb(question_sequence)
	ORDER BY e.sequence
	LIMIT 1;
	IF FOUND THEN
		-- Sent again.
		IF given.event_type = answer_type AND given.message = answer_message THEN
			RETURN decided;
		END IF;
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('question %s of workflow %s has another answer already', question_sequence, decide.workflow_id),
			DETAIL = format('Event %s: %s, "%s".', given.sequence, given.event_type, given.message);
	END IF;
	IF decided.status <> 'blocked' THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('workflow %s waits for no decision, it is %s', decide.workflow_id, decided.status);
	END IF;
	SELECT max(e.sequence) INTO later
	FROM amelia.workflow_log AS e
	WHERE e.workflow_id = decide.workflow_id AND e.sequence > question_sequence
		AND e.event_type = 'approval_required';
	IF later IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('workflow %s waits for no answer to question %s', decide.workflow_id, question_sequence),
			DETAIL = format('It has asked question %s since.', later),
			HINT = 'Read that one, and answer it.';
	END IF;

	UPDATE amelia.workflows AS w SET status = 'pending'
	WHERE w.id = decide.workflow_id
	RETURNING w.* INTO decided;
	PERFORM amelia_internal.write_event(decided.id, answer_type, answer_message,
		data => jsonb_build_object('from', 'blocked', 'to', 'pending', 'approved', approved,
			'question', question_sequence));
	RETURN decided;
END
$$;
COMMENT ON FUNCTION amelia.decide(uuid, integer, boolean, text) IS
'A person''s answer to a question, which is named by the sequence of its approval_required event: writes approval_granted or approval_rejected, with the comment as message, makes the blocked workflow claimable again, and returns it. The same answer again stores nothing, and returns the workflow as it is now. What follows from a rejection is the worker''s to know. Errors: P0002 no such workflow or question, 55000 it is not blocked, has asked another question since, or has another answer already, 22023 a NULL.';

CREATE OR REPLACE FUNCTION amelia.send_to_workflow(
	workflow_id uuid,
	kind text,
	data jsonb DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	sent bigint;
	next bigint;
BEGIN
	PERFORM amelia_internal.check_given('workflow_id', send_to_workflow.workflow_id),
		amelia_internal.check_given('kind', send_to_workflow.kind),
		amelia_internal.check_container('data', send_to_workflow.data);
	IF send_to_workflow.kind = '' THEN
		RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'kind must not be empty';
	END IF;
	PERFORM amelia_internal.hold_workflow(send_to_workflow.workflow_id);
	INSERT INTO amelia.workflow_inbox (workflow_id, kind, data, sent_at)
	VALUES (send_to_workflow.workflow_id, send_to_workflow.kind, send_to_workflow.data, clock_timestamp())
	ON CONFLICT (id) DO NOTHING
	RETURNING id INTO sent;
	-- Where rows came by replication, the numbers that it does not bring are behind them.
	WHILE sent IS NULL LOOP
		next := (SELECT COALESCE(max(i.id) + 1, 1) FROM amelia.workflow_inbox AS i);
		INSERT INTO amelia.workflow_inbox (id, workflow_id, kind, data, sent_at)
		VALUES (next, send_to_workflow.workflow_id, send_to_workflow.kind, send_to_workflow.data, clock_timestamp())
		ON CONFLICT (id) DO NOTHING
		RETURNING id INTO sent;
		IF sent IS NULL AND NOT EXISTS (SELECT FROM amelia.workflow_inbox AS i WHERE i.id = next) THEN
			RAISE EXCEPTION USING ERRCODE = '27000',
				MESSAGE = format('a trigger or a policy keeps a message for workflow %s out of workflow_inbox', send_to_workflow.workflow_id);
		END IF;
	END LOOP;
	RETURN sent;
END
$$;
COMMENT ON FUNCTION amelia.send_to_workflow(uuid, text, jsonb) IS
'Puts a message into a workflow''s inbox, where it stays until a worker takes it, and returns its id. Errors: P0002 no such workflow, 22023 a NULL, no kind, data that is a JSON scalar, 27000 a trigger or a policy keeps it out.';

CREATE OR REPLACE FUNCTION amelia.take_inbox(workflow_id uuid, lease_token bigint)
RETURNS TABLE (id bigint, kind text, data jsonb, sent_at timestamptz)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.check_lease(take_inbox.workflow_id, take_inbox.lease_token);
	RETURN QUERY
	WITH taken AS (
		UPDATE amelia.workflow_inbox AS i
		SET taken_at = clock_timestamp(), lease_token = take_inbox.lease_token
		WHERE i.workflow_id = take_inbox.workflow_id AND i.taken_at IS NULL
		RETURNING i.id, i.kind, i.data, i.sent_at)
	SELECT t.id, t.kind, t.data, t.sent_at FROM taken AS t ORDER BY t.sent_at, t.id;
END
$$;
COMMENT ON FUNCTION amelia.take_inbox(uuid, bigint) IS
'The messages in a workflow''s inbox that no worker has had yet, in the order in which they were sent; each is given out once. Errors: 55000 the lease is lost, P0002 no such workflow, 22023 a NULL.';

CREATE OR REPLACE FUNCTION amelia.fence_checkpoints(schema name, enable boolean DEFAULT true)
RETURNS integer
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation record;
	fenced integer := 0;
BEGIN
	PERFORM amelia_internal.check_given('schema', schema), amelia_internal.check_given('enable', enable);
	FOR relation IN
		SELECT c.oid::regclass AS name, c.relowner
		FROM pg_class AS c
		JOIN pg_namespace AS n ON n.oid = c.relnamespace
		JOIN pg_attribute AS a ON a.attrelid = c.oid
		WHERE n.nspname = fence_checkpoints.schema
			AND c.relname IN (SELECT e.relation FROM amelia_internal.checkpoint_columns() AS e)
			AND c.relkind = 'r'
			AND a.attname = 'thread_id' AND a.atttypid = 'text'::regtype AND NOT a.attisdropped
		ORDER BY c.relname
	LOOP
		IF NOT pg_has_role(relation.relowner, 'USAGE') THEN
			RAISE EXCEPTION USING ERRCODE = '42501',
				MESSAGE = format('must be owner of %s to fence it', relation.name);
		END IF;
		IF EXISTS (SELECT FROM pg_trigger AS t
				WHERE t.tgrelid = relation.name AND t.tgname = 'zzz_amelia_fence') THEN
			EXECUTE format('DROP TRIGGER zzz_amelia_fence ON %s', relation.name);
		END IF;
		IF enable THEN
			EXECUTE format('CREATE TRIGGER zzz_amelia_fence BEFORE INSERT OR UPDATE OR DELETE ON %s'
				' FOR EACH ROW EXECUTE FUNCTION amelia_internal.fence_thread()', relation.name);
		END IF;
		fenced := fenced + 1;
	END LOOP;
	IF fenced = 0 THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002',
			MESSAGE = format('schema "%s" has no checkpoint tables of LangGraph', schema);
	END IF;
	RETURN fenced;
END
$$;
COMMENT ON FUNCTION amelia.fence_checkpoints(name, boolean) IS
'Puts the fence on LangGraph''s tables in a schema, or takes it away, and returns how many there are: what is written to a thread under a lease that is lost is refused, and so is a checkpoint whose parent, or a write whose checkpoint, is gone, while newer ones of its namespace are there. Pruning needs it. Their owner calls it, who also needs EXECUTE on fence_thread(). Errors: P0002 no such tables, 42501 not the owner, 22023 NULL.';

REVOKE ALL ON FUNCTION
	amelia.request_approval(uuid, bigint, text, jsonb),
	amelia.decide(uuid, integer, boolean, text),
	amelia.send_to_workflow(uuid, text, jsonb),
	amelia.take_inbox(uuid, bigint),
	amelia.fence_checkpoints(name, boolean)
FROM PUBLIC;
