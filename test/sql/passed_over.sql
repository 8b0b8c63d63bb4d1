\i test/helpers.psql
-- A workflow that cannot be moved does not stop the queue.
SET client_min_messages = warning;
CREATE FUNCTION t.pending(n integer, priority integer DEFAULT 0, worktree text DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$
INSERT INTO amelia.workflows (id, issue_id, worktree_path, priority, available_at)
VALUES (t.w(n), 'I-' || n, COALESCE(worktree, '/w' || n), priority, now() - interval '1 hour' + n * interval '1 s')
$$;
CREATE FUNCTION t.claim(worker text DEFAULT 'a')
RETURNS TABLE (workflow text, status text, lease_token bigint, failures integer)
LANGUAGE sql AS $$
SELECT right(c.id::text, 2), c.status, c.lease_token, c.failures FROM amelia.claim_workflow(worker) AS c
$$;
CREATE VIEW t.faults AS
SELECT right(f.workflow_id::text, 2) AS workflow, f.times, f.retry_at > f.failed_at AS later, f.sqlstate, f.reason
FROM amelia.claim_faults AS f ORDER BY f.workflow_id;
CREATE FUNCTION t.again() RETURNS void LANGUAGE sql AS $$
UPDATE amelia.claim_faults SET retry_at = now() - interval '1 s'
$$;
SELECT FROM amelia.update_settings('{"max_concurrent": 100}');

-- The last number is gone: next_sequence() and a plain INSERT refuse to take it, an operator's hand has.
SELECT t.pending(n, 10 - n) FROM generate_series(1, 4) AS n;
SELECT * FROM t.errors(
	'SELECT amelia.next_sequence(t.w(1), 2147483647)',
	'INSERT INTO amelia.workflow_log (workflow_id, sequence, event_type, message) VALUES (t.w(1), 2147483647, ''x'', ''x'')',
	'INSERT INTO amelia.workflow_log (workflow_id, sequence, event_type, message) VALUES (t.w(1), 2000000001, ''x'', ''x'')');
UPDATE amelia.workflows SET sequence_floor = 2147483647 WHERE id = t.w(1);
-- A CHECK and a trigger that refuse one row.
ALTER TABLE amelia.workflows ADD CONSTRAINT mine CHECK (issue_id <> 'I-2' OR status <> 'in_progress');
CREATE FUNCTION t.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.issue_id IN ('I-3', 'I-23') THEN RAISE EXCEPTION 'not this one'; END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER mine BEFORE UPDATE ON amelia.workflows FOR EACH ROW EXECUTE FUNCTION t.refuse();
SELECT * FROM t.claim();
SELECT * FROM t.faults;
SELECT right(p ->> 'workflow_id', 2) AS workflow, p ->> 'sqlstate' AS sqlstate, p ->> 'times' AS times
FROM amelia.queue_status(), jsonb_array_elements(passed_over) AS p ORDER BY 1;
-- Nothing else is there: they are not tried before their time, and no event tells of them.
SELECT * FROM t.claim();
SELECT count(*) FROM amelia.workflow_log WHERE workflow_id <> t.w(4);
SELECT count(*) FROM amelia.workflow_leases WHERE workflow_id <> t.w(4);
-- Again, later: the wait grows.
SELECT t.again();
SELECT * FROM t.claim();
SELECT workflow, times FROM t.faults;
-- When the operator has mended it, it is taken and forgotten.
ALTER TABLE amelia.workflows DROP CONSTRAINT mine;
SELECT t.again();
SELECT * FROM t.claim();
SELECT workflow, times FROM t.faults;
DELETE FROM amelia.claim_faults WHERE workflow_id = t.w(3);
DROP TRIGGER mine ON amelia.workflows;
SELECT * FROM t.claim();
SELECT workflow, times FROM t.faults;

-- The highest number of failures goes on to rest, under a lease that was lost and with release_workflow().
SELECT t.pending(n) FROM generate_series(11, 13) AS n;
UPDATE amelia.workflows SET failures = 2147483647, max_failures = 2147483647 WHERE id IN (t.w(11), t.w(12));
SELECT * FROM t.claim();
SELECT * FROM t.claim();
UPDATE amelia.workflow_leases SET expires_at = now() - interval '1 s' WHERE workflow_id = t.w(11);
SELECT * FROM t.claim();
SELECT status, failures, retry_at FROM amelia.release_workflow(t.w(12), 1, 'failed');
SELECT right(id::text, 2) AS workflow, status, failures FROM amelia.workflows WHERE id IN (t.w(11), t.w(12)) ORDER BY id;

-- One that cannot stand aside, or be let back in, stops neither claims nor the end of the active one.
CREATE TRIGGER mine BEFORE UPDATE ON amelia.workflows FOR EACH ROW EXECUTE FUNCTION t.refuse();
SELECT t.pending(n, 0, '/shared') FROM generate_series(22, 25) AS n;
SELECT t.pending(26);
SELECT * FROM t.claim();
SELECT * FROM t.claim();
SELECT workflow, sqlstate, reason FROM t.faults WHERE workflow > '20';
SELECT right(id::text, 2) AS workflow, status, parked FROM amelia.workflows WHERE worktree_path = '/shared' ORDER BY id;
ALTER TABLE amelia.workflows DISABLE TRIGGER mine;
UPDATE amelia.workflows SET parked = true WHERE id = t.w(23);
ALTER TABLE amelia.workflows ENABLE TRIGGER mine;
DELETE FROM amelia.claim_faults;
SELECT status FROM amelia.release_workflow(t.w(22), 1, 'completed');
SELECT right(id::text, 2) AS workflow, status, parked FROM amelia.workflows WHERE worktree_path = '/shared' ORDER BY id;
SELECT workflow, sqlstate, reason FROM t.faults WHERE workflow > '20';
SELECT * FROM t.claim();

-- What is not the row's own goes on up, and nothing is kept.
DROP TRIGGER mine ON amelia.workflows;
TRUNCATE amelia.workflows CASCADE;
CREATE FUNCTION t.trouble() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION USING ERRCODE = current_setting('t.code'), MESSAGE = 'trouble'; END $$;
SELECT t.pending(31);
CREATE TRIGGER mine BEFORE UPDATE ON amelia.workflows FOR EACH ROW EXECUTE FUNCTION t.trouble();
SET t.code = '40001'; SELECT t.error('SELECT amelia.claim_workflow(''a'')');
SET t.code = '40P01'; SELECT t.error('SELECT amelia.claim_workflow(''a'')');
SET t.code = '53100'; SELECT t.error('SELECT amelia.claim_workflow(''a'')');
SET t.code = '57014'; SELECT amelia.claim_workflow('a');
SET t.code = '55P03'; SELECT t.error('SELECT amelia.claim_workflow(''a'')');
SET t.code = '42501'; SELECT t.error('SELECT amelia.claim_workflow(''a'')');
SELECT * FROM t.faults;
SET t.code = 'XX000'; SELECT * FROM t.claim();
SELECT workflow, sqlstate FROM t.faults;
DROP TRIGGER mine ON amelia.workflows;
SELECT * FROM amelia.verify();
