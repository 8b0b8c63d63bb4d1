-- What may be spent: budgets, budget_status(), what a spent budget refuses, and
-- whom it warns.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

CREATE FUNCTION t.b(n integer) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$SELECT ('bbbbbbbb-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid$$;
CREATE VIEW t.status AS
SELECT right(s.id::text, 2) AS id, s.scope, s.target, s.period, s.action, s.limit_usd, s.spent_usd, s.left_usd, s.is_spent
FROM amelia.budget_status() AS s ORDER BY s.id;
INSERT INTO amelia.workflows (id, issue_id, worktree_path, profile_id) VALUES
	(t.w(1), 'I', '/1', 'work'), (t.w(2), 'I', '/2', 'home'), (t.w(3), 'I', '/3', NULL), (t.w(4), 'I', '/4', 'work');

-- Without a budget nothing is kept, and nothing refused.
SELECT * FROM t.status;
SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 1.5, id => t.u(1)) IS NOT NULL AS recorded;
SELECT count(*) FROM amelia.budget_spending;

-- A budget knows what was spent in its period before it, by deleted workflows too.
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp") VALUES
	(t.w(2), 'a', 'm', 1, 1, 0.25, now()), (t.w(2), 'a', 'm', 1, 1, 100, '2020-01-01Z'), (t.w(4), 'a', 'm', 1, 1, 10, '2020-01-01Z');
DELETE FROM amelia.workflows WHERE id = t.w(4);
INSERT INTO amelia.budgets (id, scope, target, period, limit_usd, action) VALUES
	(t.b(1), 'everything', NULL, 'day', 10, 'block'),
	(t.b(2), 'profile', 'work', 'month', 5, 'block'),
	(t.b(3), 'workflow', t.w(2)::text, 'total', 1000, 'block'),
	(t.b(4), 'everything', NULL, 'total', 112, 'warn'),
	(t.b(5), 'profile', 'work', 'total', 1000, 'warn');
SELECT * FROM t.status;

-- Everybody's writes count: record_usage(), a plain INSERT, COPY. One that is
-- sent again does not, nor one that is rolled back.
SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 1.5, id => t.u(1)) IS NOT NULL AS recorded;
SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 0.5, id => t.u(2)) IS NOT NULL AS recorded;
BEGIN;
SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 77) IS NOT NULL AS recorded;
ROLLBACK;
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd)
VALUES (t.w(1), 'a', 'm', 1, 1, 0.125), (t.w(3), 'a', 'm', 1, 1, 0.0625), (t.w(3), 'a', 'm', 1, 1, 0);
SELECT * FROM t.status;
-- Another day's usage is no spending of today.
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
VALUES (t.w(1), 'a', 'm', 1, 1, 0.25, '2020-01-01Z');
SELECT * FROM t.status;

-- A spent budget refuses new work under it, and no other; spending goes on.
SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 4) IS NOT NULL AS recorded;
SELECT * FROM t.status WHERE is_spent;
SELECT t.digest() AS before \gset
SELECT left(t.error($$SELECT amelia.create_workflow('I', '/9', profile_id => 'work')$$), 62) AS error;
SELECT left(t.error($$SELECT amelia.set_workflow_status(t.w(1), 'in_progress')$$), 62) AS error;
SELECT left(t.error($$UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(1)$$), 62) AS error;
SELECT t.digest() = :'before' AS nothing_stored;
DO $$
DECLARE
	detail text;
BEGIN
	PERFORM amelia.create_workflow('I', '/9', profile_id => 'work');
EXCEPTION WHEN configuration_limit_exceeded THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RAISE WARNING '% %', SQLSTATE, replace(detail, date_trunc('month', now() AT TIME ZONE 'UTC')::date::text, 'the first');
END
$$;
SELECT (amelia.create_workflow('I', '/9', profile_id => 'home', id => t.w(9))).status;
SELECT (amelia.set_workflow_status(t.w(3), 'in_progress')).status;
SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 0.5) IS NOT NULL AS recorded;
-- Other ways remain open: a workflow can still be cancelled.
SELECT (amelia.set_workflow_status(t.w(1), 'cancelled')).status;
-- Raised, it lets them through; what was spent stays.
UPDATE amelia.budgets SET limit_usd = 50 WHERE id = t.b(2);
SELECT * FROM t.status WHERE id = '02';
SELECT (amelia.create_workflow('I', '/10', profile_id => 'work', id => t.w(10))).status;
-- One that existed already is returned as before, spent or not.
UPDATE amelia.budgets SET limit_usd = 0 WHERE id = t.b(1);
SELECT (amelia.create_workflow('I', '/10', profile_id => 'work', id => t.w(10))).status;
SELECT left(t.error($$SELECT amelia.create_workflow('I', '/11')$$), 46) AS error;
DELETE FROM amelia.budgets WHERE id = t.b(1);
SELECT (amelia.create_workflow('I', '/11', id => t.w(11))).status;

-- Deleting usage or its workflow gives nothing back.
SELECT spent_usd FROM t.status WHERE id = '04';
DELETE FROM amelia.token_usage WHERE id = t.u(2);
DELETE FROM amelia.workflows WHERE id = t.w(1);
SELECT spent_usd FROM t.status WHERE id = '04';

-- Compacted, the sums are the same, and a warning is left once per period.
SELECT count(*) > count(DISTINCT (budget_id, period_start)) AS several FROM amelia.budget_spending;
CREATE TEMP TABLE before AS SELECT * FROM t.status;
SELECT amelia.compact_budgets();
SELECT count(*) = count(DISTINCT (budget_id, period_start)) AS one_each FROM amelia.budget_spending;
SELECT * FROM before EXCEPT SELECT * FROM t.status;
SELECT e.workflow_id IN (SELECT id FROM amelia.workflows) AS there, e.level, e.message, e.data - 'budget_id' AS data
FROM amelia.workflow_log AS e WHERE e.event_type = 'system_warning';
SELECT amelia.compact_budgets();
SELECT amelia.record_usage(t.w(2), 'a', 'm', 1, 1, cost_usd => 4) IS NOT NULL AS recorded;
SELECT amelia.compact_budgets();

-- Who may: whoever books adds to the budgets, whoever moves workflows is checked,
-- without rights on the budgets.
CREATE ROLE regress_budget_plain;
GRANT USAGE ON SCHEMA amelia, t TO regress_budget_plain;
GRANT INSERT ON amelia.token_usage TO regress_budget_plain;
GRANT SELECT, UPDATE ON amelia.workflows TO regress_budget_plain;
GRANT EXECUTE ON FUNCTION amelia.uuid_v7() TO regress_budget_plain;
UPDATE amelia.budgets SET limit_usd = 1, action = 'block' WHERE id = t.b(4);
SET ROLE regress_budget_plain;
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd) VALUES (t.w(2), 'a', 'm', 1, 1, 0.125);
SELECT left(t.error($$UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(2)$$), 46) AS error;
SELECT * FROM t.errors($$SELECT * FROM amelia.budgets$$, $$INSERT INTO amelia.budget_spending (budget_id, period_start, amount_usd) VALUES (t.b(1), now(), -100)$$,
	$$SELECT amelia.compact_budgets()$$);
RESET ROLE;
SELECT spent_usd FROM t.status WHERE id = '04';
DROP OWNED BY regress_budget_plain;
DROP ROLE regress_budget_plain;

-- What is refused.
SELECT * FROM t.errors(
	$$INSERT INTO amelia.budgets (scope, target, period, limit_usd, action) VALUES ('everything', 'x', 'day', 1, 'warn')$$,
	$$INSERT INTO amelia.budgets (scope, target, period, limit_usd, action) VALUES ('profile', NULL, 'day', 1, 'warn')$$,
	$$INSERT INTO amelia.budgets (scope, target, period, limit_usd, action) VALUES ('team', 'x', 'day', 1, 'warn')$$,
	$$INSERT INTO amelia.budgets (scope, target, period, limit_usd, action) VALUES ('workflow', 'x', 'day', 1, 'warn')$$,
	$$INSERT INTO amelia.budgets (scope, target, period, limit_usd, action) VALUES ('workflow', '01970000-0000-7000-8000-00000000000A', 'day', 1, 'warn')$$,
	$$INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'week', 1, 'warn')$$,
	$$INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'day', -1, 'warn')$$,
	$$INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'day', 'NaN', 'warn')$$,
	$$INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'day', 1, 'stop')$$);

-- A sparkline.
SELECT amelia.sparkline(ARRAY[0, 1, 2, 3, 4, 5, 6, 7, 8]), amelia.sparkline('{}'), amelia.sparkline(NULL) AS nothing,
	amelia.sparkline(ARRAY[0, 0]) AS zeros, amelia.sparkline(ARRAY[5, NULL, 'NaN', -3, 0.000001]) AS odd;

-- What a budget takes up comes from closed days, marked days and rows alike, and
-- from deleted workflows and such that came back.
DELETE FROM amelia.budgets;
INSERT INTO amelia.workflows (id, issue_id, worktree_path, profile_id) VALUES (t.w(21), 'I', '/21', 'work'), (t.w(22), 'I', '/22', 'work');
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
SELECT t.w(21 + n % 2), 'a', 'm', 1, 1, 0.5 + n, '2021-01-01Z'::timestamptz + n * interval '7 hours' FROM generate_series(0, 20) AS n;
CALL amelia.close_days();
CREATE TEMP TABLE gone AS SELECT * FROM amelia.token_usage WHERE workflow_id = t.w(22);
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
VALUES (t.w(21), 'a', 'm', 1, 1, 1000, '2021-01-02Z'), (t.w(21), 'a', 'm', 1, 1, 2000, now()),
	(t.w(21), 'a', 'm', 1, 1, 4000, '-infinity'), (t.w(21), 'a', 'm', 1, 1, 8000, 'infinity');
DELETE FROM amelia.workflows WHERE id = t.w(22);
CREATE FUNCTION t.spent() RETURNS TABLE (scope text, period text, is_right boolean) LANGUAGE sql AS $$
SELECT s.scope, s.period, s.spent_usd = (SELECT COALESCE(sum(u.cost_usd), 0)
	FROM (SELECT t.workflow_id, t.cost_usd, t."timestamp" FROM amelia.token_usage AS t
		UNION ALL SELECT h.workflow_id, h.cost_usd, h.day FROM amelia.usage_history AS h
		WHERE NOT EXISTS (SELECT FROM amelia.workflows AS w WHERE w.id = h.workflow_id)) AS u
	LEFT JOIN LATERAL (SELECT w.profile_id FROM amelia.workflows AS w WHERE w.id = u.workflow_id
		UNION ALL SELECT h.profile_id FROM amelia.workflow_history AS h WHERE h.workflow_id = u.workflow_id LIMIT 1) AS p ON true
	WHERE (s.scope = 'everything' OR s.target IN (p.profile_id, u.workflow_id::text))
		AND amelia_internal.budget_period(s.period, u."timestamp") = COALESCE(s.period_start, '-infinity'))
FROM amelia.budget_status() AS s ORDER BY s.scope, s.period
$$;
CREATE FUNCTION t.budget_all() RETURNS void LANGUAGE sql AS $$
DELETE FROM amelia.budgets;
INSERT INTO amelia.budgets (scope, target, period, limit_usd, action)
SELECT s, CASE s WHEN 'profile' THEN 'work' WHEN 'workflow' THEN t.w(21)::text END, p, 1000000, 'warn'
FROM unnest(ARRAY['everything', 'profile', 'workflow']) AS s, unnest(ARRAY['day', 'month', 'total']) AS p
$$;
SELECT t.budget_all();
SELECT * FROM t.spent();
INSERT INTO amelia.workflows (id, issue_id, worktree_path, profile_id) VALUES (t.w(22), 'I', '/22', 'work');
INSERT INTO amelia.token_usage SELECT * FROM gone;
SELECT * FROM t.spent() WHERE NOT is_right;
SELECT t.budget_all();
SELECT * FROM t.spent() WHERE NOT is_right;
-- what is undone was not spent, whatever became of the transaction around it
BEGIN;
SAVEPOINT s;
SELECT amelia.record_usage(t.w(21), 'a', 'm', 1, 1, cost_usd => 5) IS NOT NULL AS recorded;
ROLLBACK TO s;
SELECT amelia.record_usage(t.w(21), 'a', 'm', 1, 1, cost_usd => 6) IS NOT NULL AS recorded;
COMMIT;
SELECT * FROM t.spent() WHERE NOT is_right;
SELECT amelia.compact_budgets();
SELECT * FROM t.spent() WHERE NOT is_right;
-- lowering a limit warns of the period that runs, and of none that is over
INSERT INTO amelia.budget_spending (budget_id, period_start, amount_usd)
SELECT b.id, '2021-01-01', 500 FROM amelia.budgets AS b WHERE b.scope = 'everything' AND b.period = 'day';
UPDATE amelia.budgets SET limit_usd = 1 WHERE scope = 'everything' AND period = 'day';
SELECT amelia.compact_budgets();
SELECT count(*), max(period_start) = (now() AT TIME ZONE 'UTC')::date AS today FROM amelia.budget_warnings;
-- A client that sets all columns to what they were changes nothing; a budget
-- with another id is another one, and knows what was spent.
DELETE FROM amelia.budgets;
INSERT INTO amelia.budgets (id, scope, target, period, limit_usd, action) VALUES (t.b(1), 'profile', 'work', 'day', 10, 'block');
SELECT amelia.record_usage(t.w(21), 'a', 'm', 1, 1, cost_usd => 5, id => t.u(9)) IS NOT NULL AS recorded;
CREATE TEMP TABLE then_spent AS SELECT spent_usd FROM t.status;
DELETE FROM amelia.token_usage WHERE id = t.u(9);
UPDATE amelia.budgets SET scope = 'profile', target = 'work', period = 'day', limit_usd = 20;
SELECT s.limit_usd, s.spent_usd - b.spent_usd AS given_back FROM t.status AS s, then_spent AS b;
UPDATE amelia.budgets SET id = t.b(2);
SELECT s.id, s.spent_usd - b.spent_usd AS given_back FROM t.status AS s, then_spent AS b;

-- Where the trigger stands, a budget is an INSERT like any other: no DDL.
CREATE FUNCTION t.no_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no DDL today: %', tg_tag; END$$;
CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION t.no_ddl();
INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'month', 5, 'warn');
UPDATE amelia.budgets SET period = 'day' WHERE scope = 'everything' AND period = 'month';
DROP EVENT TRIGGER no_ddl;
-- One that somebody switched off is put right.
ALTER TABLE amelia.token_usage DISABLE TRIGGER zzz_spend_budgets;
INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'total', 5, 'warn');
SELECT tgenabled FROM pg_trigger WHERE tgrelid = 'amelia.token_usage'::regclass AND tgname = 'zzz_spend_budgets';
-- A client reads NULL where a period has no end.
SELECT s.period, s.period_start IS NULL AS from_ever, s.period_end IS NULL AS for_ever FROM amelia.budget_status() AS s WHERE s.scope = 'everything' ORDER BY 1;

-- Usage of the first month that there is, of which the calendar lacks most days.
INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'month', 5, 'warn');
SELECT amelia.record_usage(t.w(21), 'a', 'm', 1, 1, cost_usd => 0.5, "timestamp" => n.at::timestamptz) IS NOT NULL AS recorded
FROM unnest(ARRAY['4714-11-24Z BC', '4714-11-30 23:59Z BC', '4714-12-01Z BC', '0044-03-15Z BC', '-infinity', 'infinity']) AS n (at);
SELECT d.period_start, sum(d.amount_usd) FROM amelia.budget_spending AS d JOIN amelia.budgets AS b ON b.id = d.budget_id
WHERE b.scope = 'everything' AND b.period = 'month' AND d.period_start NOT BETWEEN '2000-01-01' AND '2200-01-01' GROUP BY 1 ORDER BY 1;
SELECT b.bucket, u.date, u.cost_usd FROM unnest(ARRAY['day', 'week', 'month']) WITH ORDINALITY AS b (bucket, place),
	amelia.usage_trend('4714-11-24 BC', '4713-12-31 BC', bucket => b.bucket) AS u ORDER BY b.place, u.date;
SELECT u.date, u.cost_usd FROM amelia.usage_trend('4714-11-24 BC', '4713-12-31 BC', 'work', 'month') AS u;
SELECT amelia_internal.budget_period('month', p.at::timestamptz) FROM unnest(ARRAY['4714-11-24Z BC', '4714-12-31Z BC', '0001-12-31Z BC', '0001-01-31Z', '-infinity', 'infinity']) AS p (at);

-- With everything published, what is deleted must have a key.
SET client_min_messages = error;
CREATE PUBLICATION everything FOR ALL TABLES;
SET client_min_messages = warning;
INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'day', 5, 'block');
SELECT amelia.record_usage(t.w(21), 'a', 'm', 1, 1, cost_usd => 0.5) IS NOT NULL AS recorded FROM generate_series(1, 2);
SELECT amelia.compact_budgets() > 0 AS warned;
DELETE FROM amelia.budgets;
SELECT amelia.compact_budgets();
SELECT count(*) FROM amelia.budget_spending;
DROP PUBLICATION everything;
