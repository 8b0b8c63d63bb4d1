\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers
-- Constraints and triggers of an operator hold for claims and events as they
-- are now, in sessions that have met them before as they were.
CREATE ROLE regress_amelia_worker;
SELECT amelia.grant_worker('regress_amelia_worker');
GRANT USAGE ON SCHEMA t TO regress_amelia_worker;
INSERT INTO amelia.server_settings (id, max_concurrent) VALUES (1, 100);
INSERT INTO amelia.workflows (id, issue_id, worktree_path, priority)
SELECT t.w(n), 'I-' || n, '/w' || n, -n FROM generate_series(1, 9) AS n;
-- Raises what a workflow is passed over for, and so undoes that.
SET client_min_messages = error;
CREATE FUNCTION t.claim() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	claimed text := (SELECT right(c.id::text, 2) FROM amelia.claim_workflow('a') AS c);
	fault amelia.claim_faults;
BEGIN
	SELECT f.* INTO fault FROM amelia.claim_faults AS f ORDER BY f.workflow_id LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING ERRCODE = fault.sqlstate, MESSAGE = fault.reason;
	END IF;
	RETURN claimed;
END
$$;
-- A function, replaced.
CREATE FUNCTION t.allowed(value text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
ALTER TABLE amelia.workflows ADD CONSTRAINT allowed_status CHECK (t.allowed(status));
ALTER TABLE amelia.workflow_log ADD CONSTRAINT allowed_message CHECK (t.allowed(message));
SELECT t.claim();
CREATE OR REPLACE FUNCTION t.allowed(value text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT value <> ''in_progress''';
SELECT t.error('SELECT t.claim()');
CREATE OR REPLACE FUNCTION t.allowed(value text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT value NOT LIKE ''claimed by %''';
SELECT t.error('SELECT t.claim()');
-- One that not everybody may call.
CREATE OR REPLACE FUNCTION t.allowed(value text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
REVOKE ALL ON FUNCTION t.allowed(text) FROM PUBLIC;
SELECT t.claim();
SET ROLE regress_amelia_worker;
SELECT t.error('SELECT t.claim()');
RESET ROLE;
SELECT amelia.append_event(t.w(1), 'x', 'm');
ALTER TABLE amelia.workflows DROP CONSTRAINT allowed_status;
SET ROLE regress_amelia_worker;
SELECT t.error('SELECT t.claim()');
SELECT t.error('SELECT amelia.append_event(t.w(1), ''x'', ''m'')');
RESET ROLE;
ALTER TABLE amelia.workflow_log DROP CONSTRAINT allowed_message;
-- A domain, changed.
CREATE DOMAIN t.short AS text CONSTRAINT short CHECK (length(value) < 100);
ALTER TABLE amelia.workflows ADD CONSTRAINT short_status CHECK (status::t.short IS NOT NULL);
SELECT t.claim();
ALTER DOMAIN t.short ADD CONSTRAINT other CHECK (value <> 'in_progress') NOT VALID;
SELECT t.error('SELECT t.claim()');
ALTER TABLE amelia.workflows DROP CONSTRAINT short_status;
-- Another trigger under the name of one of ours.
SELECT t.claim();
CREATE FUNCTION t.tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% on %', TG_OP, TG_TABLE_NAME;
	RETURN NEW;
END
$$;
SET client_min_messages = notice;
CREATE OR REPLACE TRIGGER zzz_note_status AFTER UPDATE ON amelia.workflows FOR EACH ROW EXECUTE FUNCTION t.tell();
SELECT t.claim();
CREATE OR REPLACE TRIGGER zzz_note_event AFTER INSERT ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION t.tell();
SELECT amelia.append_event(t.w(1), 'x', 'm');
RESET client_min_messages;
DROP OWNED BY regress_amelia_worker;
DROP ROLE regress_amelia_worker;
