-- The owner of a table puts a CHECK on it that comes to run a function of his by
-- way of PostgreSQL's own: by SQL that one is given, or by the input of a type.
-- Whoever writes a row there, and the library when it writes for itself, lends
-- him no rights: the function runs as the owner.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

SET client_min_messages = warning;
DROP SCHEMA IF EXISTS regress_own CASCADE;
CREATE ROLE regress_check_owner;
CREATE SCHEMA regress_own AUTHORIZATION regress_check_owner;
GRANT USAGE ON SCHEMA amelia, amelia_internal TO regress_check_owner;
ALTER TABLE amelia.workflow_feed OWNER TO regress_check_owner;
ALTER TABLE amelia.workflow_leases OWNER TO regress_check_owner;
SET ROLE regress_check_owner;
CREATE TABLE regress_own.seen (as_whom name, by_way_of text);
CREATE FUNCTION regress_own.note(by_way_of text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO regress_own.seen VALUES (current_user, by_way_of);
	RETURN true;
END
$$;
CREATE DOMAIN regress_own.noted AS text CHECK (regress_own.note('a domain: ' || VALUE));
ALTER TABLE amelia.workflow_feed ADD CONSTRAINT feed_sql CHECK (ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, ''b''::tsquery WHERE regress_own.note(''feed, SQL'')') IS NOT NULL) NOT VALID;
ALTER TABLE amelia.workflow_feed ADD CONSTRAINT feed_domain CHECK (('{feed}'::text || left(number::text, 0))::regress_own.noted[] IS NOT NULL) NOT VALID;
ALTER TABLE amelia.workflow_leases ADD CONSTRAINT leases_sql CHECK (ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, ''b''::tsquery WHERE regress_own.note(''leases, SQL'')') IS NOT NULL) NOT VALID;
ALTER TABLE amelia.workflow_leases ADD CONSTRAINT leases_domain CHECK (('{leases}'::text || left(lease_token::text, 0))::regress_own.noted[] IS NOT NULL) NOT VALID;
RESET ROLE;

-- As a superuser, who appends, claims, prolongs and ends.
INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(1), 'I-1', '/w1');
SELECT amelia.append_event(t.w(1), 'file_created', 'm');
SELECT issue_id FROM amelia.claim_workflow('w');
SELECT cancel_requested FROM amelia.heartbeat(t.w(1), 1);
SELECT status FROM amelia.release_workflow(t.w(1), 1, 'completed');
SELECT DISTINCT as_whom, by_way_of FROM regress_own.seen ORDER BY 1, 2;

ALTER TABLE amelia.workflow_feed DROP CONSTRAINT feed_sql, DROP CONSTRAINT feed_domain;
ALTER TABLE amelia.workflow_leases DROP CONSTRAINT leases_sql, DROP CONSTRAINT leases_domain;
DROP SCHEMA regress_own CASCADE;
REASSIGN OWNED BY regress_check_owner TO CURRENT_USER;
DROP OWNED BY regress_check_owner;
DROP ROLE regress_check_owner;

-- Counters that a worker, who may update workflows, puts near the end.
INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(2), 'I-2', '/w2');
CREATE ROLE regress_counting;
SELECT amelia.grant_worker('regress_counting');
GRANT USAGE ON SCHEMA t TO regress_counting;
SET ROLE regress_counting;
SELECT * FROM t.errors(
	$$UPDATE amelia.workflows SET sequence_floor = 2147483647 WHERE id = t.w(2)$$,
	$$UPDATE amelia.workflows SET sequence_floor = 2000000001 WHERE id = t.w(2)$$,
	$$UPDATE amelia.workflows SET events_removed = 9223372036854775807 WHERE id = t.w(2)$$,
	$$UPDATE amelia.workflows SET sequence_floor = 2000000000, events_removed = 1000 WHERE id = t.w(2)$$);
SELECT amelia.append_event(t.w(2), 'file_created', 'm');
RESET ROLE;
DROP OWNED BY regress_counting;
DROP ROLE regress_counting;

-- What a policy hides is not gone.
CREATE ROLE regress_tenant;
SELECT amelia.grant_reader('regress_tenant');
ALTER TABLE amelia.workflows ENABLE ROW LEVEL SECURITY;
CREATE POLICY regress_tenant ON amelia.workflows TO regress_tenant USING (false);
SET ROLE regress_tenant;
SELECT * FROM amelia.verify() WHERE problem = 'rows without their parent';
RESET ROLE;
DROP POLICY regress_tenant ON amelia.workflows;
ALTER TABLE amelia.workflows DISABLE ROW LEVEL SECURITY;
DROP OWNED BY regress_tenant;
DROP ROLE regress_tenant;
