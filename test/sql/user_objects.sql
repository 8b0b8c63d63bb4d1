-- What users put on the tables is honoured, whichever way a row goes in: their
-- triggers, columns, constraints and row security.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

INSERT INTO amelia.workflows (id, issue_id, worktree_path) SELECT t.w(n), 'I-' || n, '/w' || n FROM generate_series(1, 9) AS n;
CREATE FUNCTION t.array_of(VARIADIC messages text[]) RETURNS jsonb
LANGUAGE sql AS $$
SELECT jsonb_agg(jsonb_build_object('event_type', 'x', 'message', m.message) ORDER BY m.place)
FROM unnest(messages) WITH ORDINALITY AS m (message, place)
$$;
CREATE FUNCTION t.numbers(workflow integer) RETURNS text
LANGUAGE sql AS $$
SELECT string_agg(message || '=' || sequence, ' ' ORDER BY sequence) FROM amelia.workflow_log WHERE workflow_id = t.w(workflow)
$$;

-- A BEFORE trigger that appends to the same workflow: each event gets a number
-- of its own.
CREATE FUNCTION t.announce() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.event_type = 'x' THEN
		PERFORM amelia.append_event(NEW.workflow_id, 'announced', 'before ' || NEW.message);
		INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (NEW.workflow_id, 'announced', 'also');
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER announce BEFORE INSERT ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION t.announce();
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(1), 'x', 'a'), (t.w(1), 'x', 'b');
SELECT amelia.append_event(t.w(1), 'x', 'c');
SELECT amelia.append_events(t.w(1), t.array_of('d', 'e'));
SELECT t.numbers(1);
DROP TRIGGER announce ON amelia.workflow_log;

-- An AFTER trigger that does.
CREATE TRIGGER announce AFTER INSERT ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION t.announce();
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(2), 'x', 'a'), (t.w(2), 'x', 'b');
SELECT amelia.append_event(t.w(2), 'x', 'c');
SELECT amelia.append_events(t.w(2), t.array_of('d', 'e'));
SELECT t.numbers(2);
DROP TRIGGER announce ON amelia.workflow_log;

-- A trigger that leaves rows out: they take no number.
CREATE FUNCTION t.leave_out() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE WHEN NEW.message LIKE 'noise%' THEN NULL ELSE NEW END;
END
$$;
CREATE TRIGGER leave_out BEFORE INSERT ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION t.leave_out();
INSERT INTO amelia.workflow_log (workflow_id, event_type, message)
VALUES (t.w(3), 'x', 'noise'), (t.w(3), 'x', 'a'), (t.w(3), 'x', 'noise'), (t.w(3), 'x', 'b'), (t.w(3), 'x', 'noise');
SELECT amelia.append_event(t.w(3), 'x', 'noise') IS NULL AS left_out;
SELECT amelia.append_event(t.w(3), 'x', 'c');
SELECT amelia.append_events(t.w(3), t.array_of('noise', 'd', 'noise', 'e', 'noise'));
SELECT isempty(amelia.append_events(t.w(3), t.array_of('noise', 'noise'))) AS left_out;
SELECT amelia.append_event(t.w(3), 'x', 'f');
SELECT t.numbers(3);

-- One that sorts behind ours in name sees the number, and what it leaves out is
-- given again.
ALTER TRIGGER leave_out ON amelia.workflow_log RENAME TO zzzz_leave_out;
INSERT INTO amelia.workflow_log (workflow_id, event_type, message)
VALUES (t.w(4), 'x', 'noise'), (t.w(4), 'x', 'a'), (t.w(4), 'x', 'noise'), (t.w(4), 'x', 'b');
SELECT amelia.append_event(t.w(4), 'x', 'noise') IS NULL AS left_out;
SELECT amelia.append_events(t.w(4), t.array_of('noise', 'c', 'noise', 'd', 'noise'));
SELECT amelia.append_event(t.w(4), 'x', 'e');
SELECT t.numbers(4);
DROP TRIGGER zzzz_leave_out ON amelia.workflow_log;

-- A trigger that changes rows, and one that brings the number itself.
CREATE FUNCTION t.change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	NEW.message := upper(NEW.message);
	IF NEW.message = 'TEN' THEN
		NEW.sequence := 10;
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER change BEFORE INSERT ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION t.change();
SELECT amelia.append_event(t.w(5), 'x', 'a');
SELECT amelia.append_events(t.w(5), t.array_of('b', 'ten', 'c'));
SELECT t.numbers(5);
DROP TRIGGER change ON amelia.workflow_log;

-- A trigger that writes the event of a deletion: its number is a new one.
CREATE FUNCTION t.note_deletion() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.event_type <> 'deleted' THEN
		PERFORM amelia.append_event(OLD.workflow_id, 'deleted', 'deleted ' || OLD.sequence);
	END IF;
	RETURN OLD;
END
$$;
CREATE TRIGGER note_deletion AFTER DELETE ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION t.note_deletion();
SELECT amelia.append_events(t.w(6), t.array_of('a', 'b', 'c'));
DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(6) AND sequence IN (1, 3);
SELECT message, sequence > 3 AS new_number FROM amelia.workflow_log WHERE workflow_id = t.w(6) ORDER BY sequence;
DROP TRIGGER note_deletion ON amelia.workflow_log;
CREATE TRIGGER note_deletion BEFORE DELETE ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION t.note_deletion();
SELECT amelia.append_events(t.w(7), t.array_of('a', 'b', 'c'));
DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(7) AND sequence IN (1, 3);
SELECT message, sequence > 3 AS new_number FROM amelia.workflow_log WHERE workflow_id = t.w(7) ORDER BY sequence;
DROP TRIGGER note_deletion ON amelia.workflow_log;

-- A trigger of theirs on workflows sees and may change what an UPDATE does; ours
-- comes after it.
CREATE FUNCTION t.redirect() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.failure_reason = 'give up' THEN
		NEW.status := 'cancelled';
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER redirect BEFORE UPDATE ON amelia.workflows FOR EACH ROW EXECUTE FUNCTION t.redirect();
SELECT status, completed_at IS NOT NULL AS ended FROM amelia.set_workflow_status(t.w(8), 'failed', 'give up');
SELECT event_type, message FROM amelia.workflow_log WHERE workflow_id = t.w(8);
SELECT * FROM t.errors($$UPDATE amelia.workflows SET failure_reason = 'give up' WHERE id = t.w(8)$$,
	$$UPDATE amelia.workflows SET status = 'in_progress', failure_reason = 'give up' WHERE id = t.w(8)$$);
DROP TRIGGER redirect ON amelia.workflows;
SELECT v.problem, v.object FROM amelia.verify() AS v;

-- Columns and constraints of their own.
ALTER TABLE amelia.workflow_log
	ADD COLUMN tenant text NOT NULL DEFAULT 'nobody',
	ADD COLUMN shout text GENERATED ALWAYS AS (upper(message)) STORED,
	ADD CONSTRAINT short_message CHECK (length(message) < 10);
CREATE UNIQUE INDEX one_of_a_kind ON amelia.workflow_log (workflow_id, message) WHERE event_type = 'unique';
SELECT amelia.append_event(t.w(9), 'x', 'a');
SELECT amelia.append_events(t.w(9), t.array_of('b', 'c'));
SELECT sequence, tenant, shout FROM amelia.events_after(t.w(9));
SELECT amelia.append_event(t.w(9), 'unique', 'd');
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT amelia.append_event(t.w(9), 'x', 'much too long')$$,
	$$SELECT amelia.append_events(t.w(9), t.array_of('short', 'much too long'))$$,
	$$SELECT amelia.append_event(t.w(9), 'unique', 'd')$$,
	$$SELECT amelia.append_events(t.w(9), '[{"event_type": "unique", "message": "e"}, {"event_type": "unique", "message": "d"}]')$$);
SELECT t.digest() = :'before' AS nothing_stored;
SELECT amelia.append_event(t.w(9), 'x', 'e');
ALTER TABLE amelia.workflow_log DROP COLUMN tenant, DROP COLUMN shout, DROP CONSTRAINT short_message;
SELECT amelia.append_event(t.w(9), 'x', 'as it was before');
SELECT count(*) FROM amelia.events_after(t.w(9));

-- Row security. Each of two workers has events of its own agent, and sees only
-- workflows of its own profile.
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_amelia_ann, regress_amelia_bob, regress_amelia_admin, regress_amelia_owner;
RESET client_min_messages;
CREATE ROLE regress_amelia_ann;
CREATE ROLE regress_amelia_bob;
CREATE ROLE regress_amelia_admin;
CREATE ROLE regress_amelia_owner;
SELECT amelia.grant_worker('regress_amelia_ann'), amelia.grant_worker('regress_amelia_bob'),
	amelia.grant_admin('regress_amelia_admin');
GRANT USAGE ON SCHEMA t TO regress_amelia_ann, regress_amelia_bob, regress_amelia_admin, regress_amelia_owner;
GRANT USAGE ON SCHEMA amelia TO regress_amelia_owner;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA amelia TO regress_amelia_owner;
TRUNCATE amelia.workflow_log;
UPDATE amelia.workflows SET profile_id = CASE WHEN id < t.w(5) THEN 'regress_amelia_ann' ELSE 'regress_amelia_bob' END;
ALTER TABLE amelia.workflow_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_agent ON amelia.workflow_log TO regress_amelia_ann, regress_amelia_bob
	USING (agent = CURRENT_USER) WITH CHECK (agent = CURRENT_USER);
CREATE POLICY all_agents ON amelia.workflow_log TO regress_amelia_admin USING (true);
ALTER TABLE amelia.workflows ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_profile ON amelia.workflows TO regress_amelia_ann, regress_amelia_bob USING (profile_id = CURRENT_USER);
ALTER TABLE amelia.token_usage ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_usage ON amelia.token_usage USING (agent = CURRENT_USER);

SET ROLE regress_amelia_ann;
SELECT amelia.append_event(t.w(1), 'x', 'of ann', agent => 'regress_amelia_ann', id => t.e(100)) > 0 AS stored;
SELECT upper(r) - lower(r) AS stored
FROM amelia.append_events(t.w(2), '[{"event_type": "x", "message": "of ann", "agent": "regress_amelia_ann"}]') AS r;
SELECT * FROM t.errors(
	$$SELECT amelia.append_event(t.w(1), 'x', 'of bob', agent => 'regress_amelia_bob')$$,
	$$SELECT amelia.append_event(t.w(1), 'x', 'of nobody')$$,
	$$SELECT amelia.append_events(t.w(1), '[{"event_type": "x", "message": "of ann", "agent": "regress_amelia_ann"},
		{"event_type": "x", "message": "of bob", "agent": "regress_amelia_bob"}]')$$,
	$$INSERT INTO amelia.workflow_log (workflow_id, event_type, message, agent) VALUES (t.w(1), 'x', 'of bob', 'regress_amelia_bob')$$,
	$$SELECT amelia.record_usage(t.w(1), 'regress_amelia_bob', 'm', 1, 1, cost_usd => 1)$$,
	$$SELECT amelia.create_workflow('I-10', '/w10', profile_id => 'regress_amelia_bob')$$,
	$$SELECT amelia.set_workflow_status(t.w(5), 'cancelled')$$,
	$$SELECT amelia.set_plan_cache(t.w(5), '{}')$$,
	$$SELECT amelia.record_usage(t.w(5), 'regress_amelia_ann', 'm', 1, 1, cost_usd => 1)$$);
SELECT count(*) AS own FROM amelia.list_workflows();
SELECT count(*) AS not_hers FROM amelia.get_workflow(t.w(5));
RESET ROLE;
SELECT amelia.append_event(t.w(1), 'x', 'of bob', agent => 'regress_amelia_bob', id => t.e(101)) > 0 AS stored;
SET ROLE regress_amelia_ann;
SELECT sequence IS NOT NULL AS numbered, message FROM amelia.events_after(t.w(1));
SELECT amelia.event_exists(t.e(100)) AS own, amelia.event_exists(t.e(101)) AS not_hers;
-- The numbers go on above what she cannot see.
SELECT amelia.append_event(t.w(1), 'x', 'of ann', agent => 'regress_amelia_ann') = 1 + max(w.floor + 2) AS follows
FROM (SELECT sequence_floor FROM amelia.workflows WHERE id = t.w(1)) AS w (floor);
RESET ROLE;
SELECT sequence - min(sequence) OVER () + 1 AS place, message FROM amelia.events_after(t.w(1)) ORDER BY sequence;

-- Who may delete events but sees no workflow raises the floor all the same.
SET ROLE regress_amelia_admin;
SELECT count(*) AS seen FROM amelia.workflows;
DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(1);
RESET ROLE;
SELECT sequence_floor - events_removed AS equal FROM amelia.workflows WHERE id = t.w(1);
SELECT amelia.last_sequence(t.w(1)) AS removed;
SELECT amelia.append_event(t.w(1), 'x', 'next') = sequence_floor + 1 AS above FROM amelia.workflows WHERE id = t.w(1);

-- And so it is when the owner of the tables is no superuser, and not excepted
-- from the policies.
ALTER TABLE amelia.workflows OWNER TO regress_amelia_owner;
ALTER TABLE amelia.workflow_log OWNER TO regress_amelia_owner;
ALTER TABLE amelia.workflows FORCE ROW LEVEL SECURITY;
ALTER TABLE amelia.workflow_log FORCE ROW LEVEL SECURITY;
SET ROLE regress_amelia_owner;
SELECT count(*) AS seen FROM amelia.workflows;
SET ROLE regress_amelia_admin;
DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(1);
RESET ROLE;
SELECT amelia.append_event(t.w(1), 'x', 'next') = sequence_floor + 1 AS above FROM amelia.workflows WHERE id = t.w(1);
SET ROLE regress_amelia_ann;
SELECT amelia.next_sequence(t.w(1)) = 2 + sequence_floor AS reserved FROM amelia.workflows WHERE id = t.w(1);
RESET ROLE;
SELECT v.problem, v.object FROM amelia.verify() AS v;

SET client_min_messages = warning;
REASSIGN OWNED BY regress_amelia_owner TO CURRENT_USER;
DROP OWNED BY regress_amelia_ann, regress_amelia_bob, regress_amelia_admin, regress_amelia_owner;
DROP ROLE regress_amelia_ann, regress_amelia_bob, regress_amelia_admin, regress_amelia_owner;
