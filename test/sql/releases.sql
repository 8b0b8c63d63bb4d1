-- An attempt that completes its workflow, and what is in the way of that.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers
CREATE FUNCTION t.fill(n integer) RETURNS void LANGUAGE sql AS $$
DELETE FROM amelia.workflows;
DELETE FROM amelia.workflow_feed;
INSERT INTO amelia.workflows (id, issue_id, worktree_path, available_at)
SELECT t.w(n), 'I-' || n, '/w' || greatest(n, 2), now() - interval '1 hour' + n * interval '1 s'
FROM generate_series(1, n) AS n
$$;
CREATE FUNCTION t.claims(n integer, lease interval DEFAULT '60 s') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	claimed text := '';
BEGIN
	FOR i IN 1..n LOOP
		claimed := claimed || (SELECT right(c.id::text, 1) FROM amelia.claim_workflow('a', lease) AS c);
	END LOOP;
	RETURN claimed;
END
$$;
CREATE VIEW t.state AS
SELECT right(w.id::text, 1) AS workflow, w.status, w.parked, w.completed_at = w.updated_at AS ended,
	l.lease_token, CASE WHEN l.workflow_id IS NOT NULL THEN l.expires_at IS NULL END AS lease_ended, l.slot IS NOT NULL AS slot, l.seen_at > l.claimed_at AS seen,
	l.starts_until IS NULL AS started
FROM amelia.workflows AS w LEFT JOIN amelia.workflow_leases AS l ON l.workflow_id = w.id
ORDER BY w.id;
SET client_min_messages = warning;
SELECT (amelia.update_settings('{"workflow_start_timeout_seconds": 600}')).max_concurrent;

-- 2 waits for the worktree of 1. 3 was not seen since it was claimed.
SELECT t.fill(6);
SELECT t.claims(1), t.claims(1, '1 day');
SELECT * FROM t.state;
SELECT md5(r::text) AS returned FROM amelia.release_workflow(t.w(1), 1, 'completed') AS r \gset
SELECT md5(w::text) = :'returned' AS returns_the_row, failure_reason FROM amelia.workflows AS w WHERE id = t.w(1);
SELECT (amelia.release_workflow(t.w(3), 1, 'completed')).status;
SELECT * FROM t.state;
SELECT * FROM t.log(1);
SELECT data, agent, is_error, sequence_allocated FROM amelia.workflow_log WHERE workflow_id = t.w(1);
SELECT right(workflow_id::text, 1) AS workflow, moved_to, first_sequence, last_sequence
FROM amelia.workflow_feed WHERE workflow_id IN (t.w(1), t.w(3)) ORDER BY lsn, number;

-- What cannot be released: completed, pending, cancelled, under a lease that
-- ran out, with another's token, not there, not said.
SELECT t.claims(2);
SELECT (amelia.request_cancel(t.w(5))).status;
UPDATE amelia.workflow_leases SET expires_at = now() - interval '1 s' WHERE workflow_id = t.w(4);
SELECT error FROM t.errors(
	'SELECT amelia.release_workflow(t.w(1), 1, ''completed'')', 'SELECT amelia.release_workflow(t.w(6), 1, ''completed'')',
	'SELECT amelia.release_workflow(t.w(5), 1, ''completed'')', 'SELECT amelia.release_workflow(t.w(4), 1, ''completed'')',
	'SELECT amelia.release_workflow(t.w(2), 2, ''completed'')', 'SELECT amelia.release_workflow(t.w(99), 1, ''completed'')',
	'SELECT amelia.release_workflow(NULL, 1, ''completed'')', 'SELECT amelia.release_workflow(t.w(2), NULL, ''completed'')');
-- A lease that somebody put in force again by hand is no right to complete it twice.
UPDATE amelia.workflow_leases SET expires_at = 'infinity' WHERE workflow_id IN (t.w(1), t.w(4));
SELECT t.error('SELECT amelia.release_workflow(t.w(1), 1, ''completed'')');
BEGIN READ ONLY;
SELECT t.error('SELECT amelia.release_workflow(t.w(4), 1, ''completed'')') LIKE '25006%' AS read_only;
COMMIT;
SELECT * FROM t.state;

-- In a transaction: what was rolled back is to be done still; what the worker
-- writes after it is no late write.
BEGIN;
SELECT amelia.set_worker(t.w(4), 1);
SAVEPOINT here;
SELECT (amelia.release_workflow(t.w(4), 1, 'completed')).status;
ROLLBACK TO here;
SELECT status, lease_ended FROM t.state WHERE workflow = '4';
SELECT (amelia.release_workflow(t.w(4), 1, 'completed')).status;
UPDATE amelia.workflows SET plan_cache = '{}' WHERE id = t.w(4);
INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES (t.w(4), 'x', 'after the end');
COMMIT;
SELECT * FROM t.log(4);
SELECT t.fill(2);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT t.claims(1);
SELECT (amelia.release_workflow(t.w(1), 1, 'completed')).status;
COMMIT;
BEGIN;
SELECT t.claims(1);
SELECT (amelia.release_workflow(t.w(2), 1, 'completed')).status;
COMMIT;
SELECT * FROM t.log(2);
-- No lease is needed for what is over, nor said.
SET amelia.require_lease = on;
UPDATE amelia.workflows SET plan_cache = '{}' WHERE id = t.w(2);
RESET amelia.require_lease;

-- An operator's own objects have their say, in claims too.
CREATE TABLE t.seen (id serial, line text);
CREATE FUNCTION t.see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t.seen (line) VALUES (format('%s: %s to %s', TG_NAME, OLD.status, NEW.status));
	RETURN NEW;
END
$$;
-- A claim passes over what refuses it, and keeps what it said.
SET client_min_messages = error;
CREATE FUNCTION t.both() RETURNS TABLE (claim text, release text, seen text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.fill(3);
	TRUNCATE t.seen;
	claim := t.error('SELECT * FROM amelia.claim_workflow(''a'')');
	claim := COALESCE((SELECT f.sqlstate || ' ' || f.reason FROM amelia.claim_faults AS f
		ORDER BY f.workflow_id LIMIT 1), claim);
	IF claim = 'no error' THEN
		release := t.error('SELECT amelia.release_workflow(t.w(1), 1, ''completed'')');
	END IF;
	seen := (SELECT string_agg(s.line, ', ' ORDER BY s.id) FROM t.seen AS s);
	RETURN NEXT;
END
$$;
SELECT * FROM t.both();
CREATE TRIGGER before BEFORE UPDATE ON amelia.workflows FOR EACH ROW EXECUTE FUNCTION t.see();
CREATE TRIGGER after AFTER UPDATE OF status ON amelia.workflows FOR EACH ROW EXECUTE FUNCTION t.see();
SELECT * FROM t.both();
DROP TRIGGER before ON amelia.workflows;
DROP TRIGGER after ON amelia.workflows;
CREATE CONSTRAINT TRIGGER constrained AFTER UPDATE ON amelia.workflows DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION t.see();
SELECT * FROM t.both();
DROP TRIGGER constrained ON amelia.workflows;
DELETE FROM amelia.workflows;
ALTER TABLE amelia.workflows ADD CONSTRAINT planned CHECK (status <> 'completed' OR plan_cache IS NOT NULL);
SELECT * FROM t.both();
ALTER TABLE amelia.workflows DROP CONSTRAINT planned;
ALTER TABLE amelia.workflows ADD CONSTRAINT planned CHECK (status <> 'in_progress' OR plan_cache IS NOT NULL) NOT VALID;
SELECT * FROM t.both();
ALTER TABLE amelia.workflows DROP CONSTRAINT planned;
-- One that asks a function, which says something else later.
DELETE FROM amelia.workflows;
CREATE FUNCTION t.may_be(status text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
ALTER TABLE amelia.workflows ADD CONSTRAINT asked CHECK (t.may_be(status));
SELECT * FROM t.both();
CREATE OR REPLACE FUNCTION t.may_be(status text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT status <> ''completed''';
SELECT * FROM t.both();
ALTER TABLE amelia.workflows DROP CONSTRAINT asked;
ALTER TABLE amelia.workflow_log ADD CONSTRAINT asked CHECK (t.may_be(event_type));
SELECT t.error('SELECT amelia.append_event(t.w(1), ''x'', ''m'')');
CREATE OR REPLACE FUNCTION t.may_be(status text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT status <> ''x''';
SELECT t.error('SELECT amelia.append_event(t.w(1), ''x'', ''m'')');
ALTER TABLE amelia.workflow_log DROP CONSTRAINT asked;
-- Foreign keys: in a column that changes, and in one that does not.
DELETE FROM amelia.workflows;
CREATE TABLE t.statuses (status text PRIMARY KEY);
INSERT INTO t.statuses VALUES ('pending'), ('in_progress');
ALTER TABLE amelia.workflows ADD CONSTRAINT known FOREIGN KEY (status) REFERENCES t.statuses;
SELECT * FROM t.both();
DELETE FROM amelia.workflows;
DELETE FROM t.statuses WHERE status = 'in_progress';
SELECT * FROM t.both();
ALTER TABLE amelia.workflows DROP CONSTRAINT known;
ALTER TABLE amelia.workflows ADD CONSTRAINT known FOREIGN KEY (profile_id) REFERENCES amelia.profiles;
SELECT * FROM t.both();
ALTER TABLE amelia.workflows DROP CONSTRAINT known;
-- One that refers to the status.
ALTER TABLE amelia.workflows ADD CONSTRAINT referred UNIQUE (id, status);
CREATE TABLE t.waiting (id uuid, status text, FOREIGN KEY (id, status) REFERENCES amelia.workflows (id, status));
CREATE FUNCTION t.wait_for(status text) RETURNS text LANGUAGE sql AS $$
DELETE FROM t.waiting;
SELECT t.fill(1);
SELECT t.claims(1) WHERE status <> 'pending';
INSERT INTO t.waiting VALUES (t.w(1), status);
SELECT t.error(CASE status WHEN 'pending' THEN 'SELECT * FROM amelia.claim_workflow(''a'')'
	ELSE 'SELECT amelia.release_workflow(t.w(1), 1, ''completed'')' END)
$$;
SELECT t.wait_for('pending');
SELECT sqlstate, reason FROM amelia.claim_faults;
SELECT t.wait_for('in_progress');
DROP TABLE t.waiting;
ALTER TABLE amelia.workflows DROP CONSTRAINT referred;
-- A constraint that is looked at late.
ALTER TABLE amelia.workflows ADD CONSTRAINT one_each EXCLUDE (status WITH =) WHERE (status = 'completed')
	DEFERRABLE INITIALLY DEFERRED;
SELECT * FROM t.both();
SELECT t.claims(1), t.error('SELECT amelia.release_workflow(t.w(2), 1, ''completed'')');
ALTER TABLE amelia.workflows DROP CONSTRAINT one_each;
-- A policy.
CREATE ROLE regress_amelia_worker;
SELECT amelia.grant_worker('regress_amelia_worker');
GRANT USAGE ON SCHEMA t TO regress_amelia_worker;
SELECT t.fill(3);
SELECT t.claims(2);
ALTER TABLE amelia.workflows ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON amelia.workflows USING (worktree_path <> '/w3');
SET ROLE regress_amelia_worker;
SELECT t.error('SELECT amelia.release_workflow(t.w(3), 1, ''completed'')');
SELECT (amelia.release_workflow(t.w(1), 1, 'completed')).status;
RESET ROLE;
DROP POLICY own ON amelia.workflows;
ALTER TABLE amelia.workflows DISABLE ROW LEVEL SECURITY;
-- Who may not change workflows.
REVOKE UPDATE ON amelia.workflows FROM regress_amelia_worker;
SET ROLE regress_amelia_worker;
SELECT t.error('SELECT amelia.release_workflow(t.w(3), 1, ''completed'')');
RESET ROLE;
GRANT UPDATE (status, failure_reason) ON amelia.workflows TO regress_amelia_worker;
SET ROLE regress_amelia_worker;
SELECT (amelia.release_workflow(t.w(3), 1, 'completed')).status;
RESET ROLE;
DROP OWNED BY regress_amelia_worker;
DROP ROLE regress_amelia_worker;
SELECT * FROM amelia.verify();
