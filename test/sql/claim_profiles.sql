\i test/helpers.psql
-- What a claim reads grows neither with the number of profiles, nor with what waits of those at their limit.
SET client_min_messages = warning;
CREATE FUNCTION t.fill(profiles integer, number integer) RETURNS void LANGUAGE sql AS $$
TRUNCATE amelia.workflows CASCADE;
INSERT INTO amelia.workflows (id, issue_id, profile_id, available_at)
SELECT t.w(n), 'I-' || n, 'p' || n % profiles, now() - interval '1 day' + n * interval '1 s'
FROM generate_series(1, number) AS n
$$;
-- Scans of the claims' indexes and rows that some claims take by them; what was taken first and last.
CREATE FUNCTION t.read(claims integer, profile text DEFAULT NULL, types text[] DEFAULT NULL,
	OUT taken bigint, OUT first uuid, OUT last uuid, OUT scans bigint, OUT rows bigint)
LANGUAGE plpgsql AS $$
DECLARE
	indexes CONSTANT oid[] := ARRAY['amelia.idx_workflows_claim_order', 'amelia.idx_workflows_claim']::regclass[];
	id uuid;
BEGIN
	SELECT -sum(pg_stat_get_xact_numscans(i)), -sum(pg_stat_get_xact_tuples_fetched(i)) INTO scans, rows FROM unnest(indexes) AS i;
	taken := 0;
	FOR n IN 1 .. claims LOOP
		SELECT c.id INTO id FROM amelia.claim_workflow('a', '1 hour', profile, types) AS c;
		CONTINUE WHEN id IS NULL;
		taken := taken + 1;
		first := COALESCE(first, id);
		last := id;
	END LOOP;
	SELECT scans + sum(pg_stat_get_xact_numscans(i)), rows + sum(pg_stat_get_xact_tuples_fetched(i)) INTO scans, rows FROM unnest(indexes) AS i;
END $$;
CREATE TABLE t.costs (kind text, profiles integer, taken bigint, first uuid, last uuid, scans bigint, rows bigint);
CREATE FUNCTION t.compare(kind text) RETURNS TABLE (taken bigint[], first text[], last text[], same_scans boolean, same_rows boolean)
LANGUAGE sql AS $$
SELECT array_agg(c.taken ORDER BY profiles), array_agg(right(c.first::text, 4) ORDER BY profiles),
	array_agg(right(c.last::text, 4) ORDER BY profiles), count(DISTINCT scans) = 1, count(DISTINCT rows) = 1
FROM t.costs AS c WHERE c.kind = compare.kind
$$;
SELECT FROM amelia.update_settings('{"max_concurrent": 100000}');

SELECT t.fill(1, 4000);
INSERT INTO t.costs SELECT 'any', 1, r.* FROM t.read(10) AS r;
INSERT INTO t.costs SELECT 'type', 1, r.* FROM t.read(10, NULL, '{full,review,full}') AS r;
SELECT t.fill(4000, 4000);
INSERT INTO t.costs SELECT 'any', 4000, r.* FROM t.read(10) AS r;
INSERT INTO t.costs SELECT 'type', 4000, r.* FROM t.read(10, NULL, '{full,review,full}') AS r;
SELECT * FROM t.compare('any');
SELECT * FROM t.compare('type');
-- Claims of one profile.
SELECT t.fill(2, 4000);
INSERT INTO t.costs SELECT 'one', 2, r.* FROM t.read(5, 'p1') AS r;
SELECT t.fill(400, 4000);
INSERT INTO t.costs SELECT 'one', 400, r.* FROM t.read(5, 'p1') AS r;
SELECT * FROM t.compare('one');

-- A thousand rows of a profile at its limit come first: they are passed over in the index.
INSERT INTO amelia.profiles (id, working_dir, agents, max_concurrent) VALUES ('full', '/', '{}', 1);
SELECT t.fill(4000, 4000);
INSERT INTO amelia.workflows (issue_id, profile_id, available_at)
SELECT 'F-' || n, 'full', now() - interval '2 days' FROM generate_series(1, 1000) AS n;
SELECT taken FROM t.read(1);
INSERT INTO t.costs SELECT 'limit', 1000, r.* FROM t.read(5) AS r;
-- Ten thousand: the other index leaves them out, if there are few profiles besides.
SELECT t.fill(4, 4000);
INSERT INTO amelia.workflows (issue_id, profile_id, available_at)
SELECT 'F-' || n, 'full', now() - interval '2 days' FROM generate_series(1, 10000) AS n;
SELECT taken FROM t.read(1);
INSERT INTO t.costs SELECT 'limit', 10000, r.* FROM t.read(5) AS r;
-- Or all of them are passed over, and the next claims begin behind them.
SELECT t.fill(4000, 4000);
INSERT INTO amelia.workflows (issue_id, profile_id, available_at)
SELECT 'F-' || n, 'full', now() - interval '2 days' FROM generate_series(1, 10000) AS n;
SELECT taken FROM t.read(1);
INSERT INTO t.costs SELECT 'limit', 10001, r.* FROM t.read(5) AS r;
SELECT profiles, taken, right(first::text, 4) AS first, right(last::text, 4) AS last, rows < 600 AS few_rows FROM t.costs WHERE kind = 'limit' ORDER BY profiles;
-- When its workflow ends it is its turn again: what was kept in mind is forgotten when nothing else is there.
DELETE FROM amelia.workflows WHERE profile_id <> 'full' AND status = 'pending';
SELECT taken FROM t.read(1);
SELECT (amelia.release_workflow(l.workflow_id, l.lease_token, 'completed')).status FROM amelia.workflow_leases AS l WHERE l.profile_id = 'full';
SELECT taken FROM t.read(2);
SELECT * FROM amelia.verify();

-- A claim of one type is no reason for one of another to find nothing.
SELECT t.fill(3, 10);
UPDATE amelia.workflows SET workflow_type = 'review' WHERE id = t.w(1);
SELECT taken, right(last::text, 4) AS last FROM t.read(1, NULL, '{full}');
SELECT taken, right(last::text, 4) AS last FROM t.read(1, NULL, '{review}');
SELECT taken, right(last::text, 4) AS last FROM t.read(9);

-- What policies hide costs no query each.
CREATE ROLE regress_amelia_worker;
SELECT amelia.grant_worker('regress_amelia_worker');
GRANT USAGE ON SCHEMA t TO regress_amelia_worker;
SELECT t.fill(2, 3010);
ALTER TABLE amelia.workflows ENABLE ROW LEVEL SECURITY;
-- An uncorrelated sub-query of a policy runs once in each query.
CREATE SEQUENCE t.queries;
GRANT USAGE ON SEQUENCE t.queries TO regress_amelia_worker;
CREATE POLICY mine ON amelia.workflows USING (id > t.w(3000) AND (SELECT nextval('t.queries')) > 0);
SET ROLE regress_amelia_worker;
SELECT taken, right(first::text, 4) AS first, right(last::text, 4) AS last FROM t.read(5);
RESET ROLE;
SELECT last_value < 200 AS few_queries FROM t.queries;
-- Nor do lost leases.
UPDATE amelia.workflow_leases SET expires_at = now() - interval '1 s';
DROP POLICY mine ON amelia.workflows;
CREATE POLICY look ON amelia.workflows FOR SELECT USING (true);
CREATE POLICY mine ON amelia.workflows FOR UPDATE USING (id IN (t.w(3004), t.w(3008)));
SET ROLE regress_amelia_worker;
SELECT taken, right(first::text, 4) AS first, right(last::text, 4) AS last FROM t.read(3);
RESET ROLE;
DROP OWNED BY regress_amelia_worker;
DROP ROLE regress_amelia_worker;
