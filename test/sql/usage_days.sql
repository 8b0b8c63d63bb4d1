-- Summary, trend, by model, agent and profile: what they answer, from rows and
-- from closed days, is what plain queries answer.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers
\set usage :abs_srcdir '/usage.psql'
\i :usage

-- Nothing there.
SELECT * FROM amelia.usage_summary('2020-01-01', '2020-01-31');
SELECT * FROM amelia.usage_trend('2020-01-01', '2020-01-31');
SELECT * FROM amelia.usage_by_model('2020-01-01', '2020-01-31');
CALL amelia.close_days();
SELECT * FROM t.days();

-- Few enough to reckon by hand: two models on the 1st, one on the 3rd.
BEGIN;
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, profile_id, completed_at) VALUES
	(t.w(1), 'I', '/1', 'completed', 'work', '2020-01-03 23:59:59.999999Z'),
	(t.w(2), 'I', '/2', 'failed', 'home', '2020-01-04 00:00Z'),
	(t.w(3), 'I', '/3', 'completed', NULL, NULL),
	(t.w(4), 'I', '/4', 'cancelled', 'work', '2020-01-01Z');
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, duration_ms, "timestamp") VALUES
	(t.w(1), 'a', 'opus', 100, 10, 1.25, 1000, '2020-01-01Z'),
	(t.w(2), 'b', 'haiku', 10, 1, 0.1, 10, '2020-01-01 23:59:59.999999Z'),
	(t.w(2), 'b', 'opus', 10, 1, 0.05, 10, '2020-01-03 12:00Z'),
	(t.w(3), 'b', 'opus', 1, 1, 7, 10, '2019-12-31 23:59:59.999999Z'),
	(t.w(3), 'b', 'opus', 1, 1, 9, 10, 'infinity'),
	(t.w(3), 'b', 'opus', 1, 1, 9, 10, '-infinity');
SELECT * FROM amelia.usage_summary('2020-01-01', '2020-01-03');
SELECT * FROM amelia.usage_trend('2020-01-01', '2020-01-03');
SELECT * FROM amelia.usage_by_model('2020-01-01', '2020-01-03');
SELECT * FROM amelia.usage_by_agent('2020-01-01', '2020-01-03');
SELECT * FROM amelia.usage_by_profile('2020-01-01', '2020-01-03');
SELECT * FROM amelia.usage_by_profile('2019-12-31', '2020-01-03', 'work');
SELECT * FROM amelia.usage_trend('2020-01-01', '2020-01-03', bucket => 'week');
SELECT * FROM amelia.usage_trend('2019-12-31', '2020-01-03', bucket => 'month');
-- Days are UTC days for everybody.
SET LOCAL timezone = 'Asia/Tokyo';
SELECT date, cost_usd FROM amelia.usage_trend('2020-01-01', '2020-01-03');
ROLLBACK;

-- Rows, then closed days, give the same.
SELECT t.fill();
SELECT * FROM t.differences();
CREATE TEMP TABLE answers AS SELECT * FROM t.answers();
SELECT count(*), count(answer) FROM answers;
CALL amelia.close_days();
SELECT * FROM t.days();
SELECT * FROM t.differences();
SELECT * FROM answers EXCEPT SELECT * FROM t.answers();
CALL amelia.close_days();
SELECT * FROM t.days();
-- They come from the sums: a change that leaves no mark is not seen until all
-- is computed anew.
SET session_replication_role = replica;
UPDATE amelia.token_usage SET cost_usd = cost_usd + 1 WHERE id = t.u(501);
RESET session_replication_role;
SELECT count(*) > 0 AS not_seen FROM t.differences();
CALL amelia.close_days(anew => true);
SELECT * FROM t.days();
SELECT * FROM t.differences();

-- Late rows, changes and deletions, before and after their days are computed
-- anew, in the transaction itself and after it.
BEGIN;
INSERT INTO amelia.token_usage (id, workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
VALUES (t.u(1), t.w(3), 'late', 'model-x', 5, 5, 3.000003, '2020-01-10 12:00Z'),
	(t.u(2), t.w(3), 'late', 'model-x', 5, 5, 3.000003, '2020-01-10 13:00Z'),
	(t.u(3), t.w(3), 'late', 'model-x', 5, 5, 3.000003, '2020-02-20 13:00Z');
SELECT * FROM t.days();
SELECT * FROM t.differences();
SAVEPOINT s;
-- A mark that is rolled back with its savepoint is made again.
UPDATE amelia.token_usage SET "timestamp" = "timestamp" + interval '5 days' WHERE id = t.u(1);
ROLLBACK TO s;
UPDATE amelia.token_usage SET "timestamp" = "timestamp" + interval '5 days' WHERE id = t.u(2);
SELECT * FROM t.differences();
SELECT * FROM t.days();
COMMIT;
SELECT * FROM t.differences();
CALL amelia.close_days();
SELECT * FROM t.days();
SELECT * FROM t.differences();
DELETE FROM amelia.token_usage WHERE id IN (t.u(1), t.u(2));
SELECT * FROM t.days();
SELECT * FROM t.differences();
CALL amelia.close_days();
SELECT * FROM t.differences();
-- Of one day nothing is left.
DELETE FROM amelia.token_usage WHERE id = t.u(3);
CALL amelia.close_days();
SELECT * FROM t.days();
SELECT * FROM t.differences();
-- Before all closed days, between them, and today.
INSERT INTO amelia.token_usage (id, workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
VALUES (t.u(4), t.w(4), 'early', 'm', 5, 5, 1, '2019-12-02Z'), (t.u(5), t.w(4), 'late', 'm', 5, 5, 1, '2020-02-10Z'),
	(t.u(6), t.w(4), 'now', 'm', 5, 5, 1, now());
SELECT * FROM t.differences();
SELECT dirty FROM t.days();
CALL amelia.close_days();
SELECT * FROM t.days();
SELECT * FROM t.differences();
-- Statuses and profiles that change later, without a mark.
UPDATE amelia.workflows SET status = 'in_progress' WHERE id = t.w(6);
UPDATE amelia.workflows SET profile_id = 'home' WHERE id = t.w(7);
SELECT dirty FROM t.days();
SELECT * FROM t.differences();

-- Many days in one transaction, several times.
BEGIN;
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
SELECT t.w(5), 'bulk', 'm', 1, 1, 0.000001, '2010-01-01 12:00Z'::timestamptz + (n % 300) * interval '1 day'
FROM generate_series(1, 600) AS n;
SELECT dirty FROM t.days();
COMMIT;
CALL amelia.close_days();
SELECT * FROM t.days();
SELECT cost_usd FROM amelia.usage_trend('2005-01-01', '2019-01-01') GROUP BY 1;
SELECT * FROM t.differences();

-- Days that a trigger takes back, or makes others of, are not announced for ever.
BEGIN;
DELETE FROM amelia.usage_days;
CREATE FUNCTION t.gone() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM amelia.usage_days AS d WHERE d.day = NEW.day; RETURN NULL; END';
CREATE FUNCTION t.another_day() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.day := NEW.day - 100000 - floor(random() * 1000000)::integer; RETURN NEW; END';
CREATE TRIGGER gone AFTER INSERT ON amelia.usage_days FOR EACH ROW EXECUTE FUNCTION t.gone();
COMMIT;
SET statement_timeout = '5min';
CALL amelia.close_days();
SELECT count(*) FROM amelia.usage_days;
DROP TRIGGER gone ON amelia.usage_days;
CREATE TRIGGER another_day BEFORE INSERT ON amelia.usage_days FOR EACH ROW EXECUTE FUNCTION t.another_day();
CALL amelia.close_days();
SELECT count(*) > 0 AS others FROM amelia.usage_days;
DROP TRIGGER another_day ON amelia.usage_days;
RESET statement_timeout;
DELETE FROM amelia.usage_days;
CALL amelia.close_days();
SELECT * FROM t.differences();

-- TRUNCATE.
TRUNCATE amelia.token_usage;
SELECT * FROM amelia.usage_by_model('2005-01-01', '2025-01-31');
SELECT * FROM t.differences();
CALL amelia.close_days();
SELECT * FROM t.days();
SELECT count(*) FROM amelia.usage_workflow_days;

-- What is refused.
SELECT * FROM t.errors(
	$$SELECT amelia.usage_summary('2020-01-02', '2020-01-01')$$,
	$$SELECT amelia.usage_summary(NULL, '2020-01-01')$$,
	$$SELECT amelia.usage_trend('2020-01-01', NULL)$$,
	$$SELECT amelia.usage_trend('-infinity', '2020-01-01')$$,
	$$SELECT amelia.usage_by_model('2020-01-01', 'infinity')$$,
	$$SELECT amelia.usage_by_agent('1920-01-01', '2020-01-01')$$,
	$$SELECT count(*) FROM amelia.usage_by_profile('1920-01-02', '2020-01-01')$$,
	$$SELECT amelia.usage_summary('5874897-12-31', '5874897-12-31')$$,
	$$SELECT amelia.usage_trend('2020-01-01', '2020-01-01', bucket => 'year')$$,
	$$SELECT amelia.usage_trend('2020-01-01', '2020-01-01', bucket => NULL)$$,
	$$CALL amelia.close_days(NULL)$$,
	$$CALL amelia.close_days()$$);
-- The first and the last day of the calendar.
SELECT total_cost_usd, previous_period_cost_usd FROM amelia.usage_summary('4714-11-24 BC', '4714-11-24 BC');
SELECT total_cost_usd FROM amelia.usage_summary('294276-12-30', '294276-12-30');
BEGIN;
CALL amelia.close_days();
ROLLBACK;

-- Who may: a reader asks, a worker writes late rows, an admin closes; nobody
-- writes marks or sums.
CREATE ROLE regress_usage_reader;
CREATE ROLE regress_usage_worker;
CREATE ROLE regress_usage_admin;
SELECT amelia.grant_reader('regress_usage_reader'), amelia.grant_worker('regress_usage_worker'), amelia.grant_admin('regress_usage_admin');
GRANT USAGE ON SCHEMA t TO regress_usage_reader, regress_usage_worker, regress_usage_admin;
SET ROLE regress_usage_worker;
SELECT amelia.record_usage(t.w(5), 'a', 'm', 1, 1, cost_usd => 2, "timestamp" => '2020-01-05Z', id => t.u(10));
SELECT * FROM t.errors($$INSERT INTO amelia.usage_dirty_days (day) VALUES ('2020-01-01')$$, $$DELETE FROM amelia.usage_day_sums$$);
CALL amelia.close_days();
SET ROLE regress_usage_reader;
SELECT total_cost_usd FROM amelia.usage_summary('2020-01-01', '2020-01-31');
SET ROLE regress_usage_admin;
SELECT * FROM t.errors($$INSERT INTO amelia.usage_days (day) VALUES ('2020-01-01')$$);
SET default_transaction_isolation = 'repeatable read';
CALL amelia.close_days();
RESET default_transaction_isolation;
RESET ROLE;
SELECT dirty FROM t.days();
SELECT current_setting('transaction_isolation'), current_user = session_user AS myself;
SELECT total_cost_usd FROM amelia.usage_summary('2020-01-01', '2020-01-31');
SELECT * FROM t.differences();
DROP OWNED BY regress_usage_reader, regress_usage_worker, regress_usage_admin;
DROP ROLE regress_usage_reader, regress_usage_worker, regress_usage_admin;
