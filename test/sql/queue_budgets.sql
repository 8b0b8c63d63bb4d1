\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers
-- Budgets and workers: what is spent is not begun, holds up nothing else, and who
-- is at work is told.
CREATE FUNCTION t.b(n integer) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$SELECT ('bbbbbbbb-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid$$;
CREATE FUNCTION t.claim(profile text DEFAULT NULL) RETURNS TABLE (workflow text, lease_token bigint)
LANGUAGE sql AS $$SELECT right(c.id::text, 2), c.lease_token FROM amelia.claim_workflow('host-1', profile_id => profile) AS c$$;
CREATE FUNCTION t.spend(n integer, usd numeric) RETURNS boolean
LANGUAGE sql AS $$SELECT amelia.record_usage(t.w(n), 'a', 'm', 1, 1, cost_usd => usd) IS NOT NULL$$;
INSERT INTO amelia.workflows (id, issue_id, worktree_path, profile_id, priority)
SELECT t.w(n), 'I-' || n, '/w' || n, CASE WHEN n IN (1, 3, 5) THEN 'work' WHEN n IN (2, 4) THEN 'home' END, -n
FROM generate_series(1, 9) AS n;

-- Without a budget a heartbeat has nothing to tell.
SELECT * FROM t.claim();
SELECT * FROM t.claim();
SELECT budget_spent, budget_message FROM amelia.heartbeat(t.w(1), 1);
-- One with room, one that only warns, and one of another profile: as before.
INSERT INTO amelia.budgets (id, scope, target, period, limit_usd, action) VALUES
	(t.b(1), 'profile', 'work', 'total', 5, 'block'),
	(t.b(2), 'everything', NULL, 'day', 0, 'warn'),
	(t.b(3), 'profile', '', 'total', 0, 'block'),
	(t.b(4), 'workflow', t.w(4)::text, 'total', 1, 'block');
SELECT budget_spent, budget_message FROM amelia.heartbeat(t.w(1), 1);
SELECT t.spend(1, 5);
SELECT budget_spent, budget_message FROM amelia.heartbeat(t.w(1), 1);
SELECT budget_spent, budget_message FROM amelia.heartbeat(t.w(2), 1);
-- It may go on, and what it spends is recorded; it may end, and fail.
SELECT t.spend(1, 0.5);
SELECT status, failures FROM amelia.release_workflow(t.w(1), 1, 'failed', retry_after => '0');

-- Claims pass over what comes under it, an attempt that is due as well as what
-- waits, and over a workflow with a budget of its own; what comes behind is taken.
SELECT t.spend(4, 2);
SELECT * FROM t.claim();
-- Whoever asks for that profile only is told why there is none.
SELECT t.error($$SELECT * FROM t.claim('work')$$);
SELECT * FROM t.claim('home');
DO $$
DECLARE
	detail text;
BEGIN
	PERFORM amelia.claim_workflow('host-1', profile_id => 'work');
EXCEPTION WHEN configuration_limit_exceeded THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RAISE WARNING '% %', SQLSTATE, detail;
END
$$;
-- A lease that was lost is not taken over either, and counts against no limit.
UPDATE amelia.workflow_leases SET expires_at = now() WHERE workflow_id = t.w(2);
INSERT INTO amelia.budgets (id, scope, target, period, limit_usd, action) VALUES (t.b(5), 'profile', 'home', 'total', 0, 'block');
SELECT * FROM t.claim();
SELECT status, failures FROM amelia.workflows WHERE id = t.w(2);
UPDATE amelia.budgets SET target = t.w(2), scope = 'workflow' WHERE id = t.b(5);
SELECT * FROM t.claim();
-- Raised: in their old order.
UPDATE amelia.budgets SET limit_usd = 100;
SELECT * FROM t.claim();
SELECT * FROM t.claim();
SELECT right(workflow_id::text, 2) AS workflow, lease_token FROM amelia.workflow_leases WHERE expires_at > now() ORDER BY 1;

-- One for everything: nothing is claimed by anybody, and all are told.
UPDATE amelia.budgets SET limit_usd = 1, action = 'block' WHERE id = t.b(2);
SELECT t.error($$SELECT * FROM t.claim()$$) LIKE '53400 the budget of 1 US dollars for everything is spent / It holds until the end of %' AS refused;
SELECT t.error($$SELECT * FROM t.claim('home')$$) LIKE '53400%' AS refused;
SELECT budget_spent, budget_message FROM amelia.heartbeat(t.w(6), 1);
-- Nothing changes by that, and a claim that is refused takes no slot.
SELECT count(*) AS held FROM amelia.workflow_leases WHERE slot IS NOT NULL;
SELECT status FROM amelia.release_workflow(t.w(6), 1, 'completed');
DELETE FROM amelia.budgets WHERE id = t.b(2);
SELECT * FROM t.claim();

-- Neither needs the right to see budgets.
UPDATE amelia.budgets SET limit_usd = 0;
CREATE ROLE regress_worker;
SELECT amelia.grant_worker('regress_worker');
GRANT USAGE ON SCHEMA t TO regress_worker;
REVOKE ALL ON amelia.budgets, amelia.budget_spending FROM regress_worker;
REVOKE EXECUTE ON FUNCTION amelia.budget_status(), amelia_internal.check_budgets(uuid, text) FROM regress_worker;
SET ROLE regress_worker;
SELECT t.error('SELECT * FROM amelia.budgets');
SELECT * FROM amelia.claim_workflow('host-2') WHERE id IS NULL;
SELECT t.error('SELECT amelia.claim_workflow(''host-2'', profile_id => ''work'')');
SELECT budget_spent, budget_message FROM amelia.heartbeat(t.w(1), 2);
RESET ROLE;
DROP OWNED BY regress_worker;
DROP ROLE regress_worker;
SELECT * FROM amelia.verify();
