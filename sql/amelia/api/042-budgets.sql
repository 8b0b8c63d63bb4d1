-- What may be spent.

CREATE OR REPLACE FUNCTION amelia.budget_period(period text, at timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN budget_period.period = 'total' THEN '-infinity'::date
	-- the first month there is began before the first day there is
	WHEN budget_period.period = 'month' AND isfinite(budget_period.at) AND budget_period.at < '4714-12-01Z BC' THEN '4714-11-24 BC'
	ELSE date_trunc(budget_period.period, budget_period.at AT TIME ZONE 'UTC')::date END
$$;
COMMENT ON FUNCTION amelia.budget_period(text, timestamptz) IS
'The UTC day on which the period (day, month, total) of a time begins; -infinity for total.';

CREATE OR REPLACE FUNCTION amelia.budget_status()
RETURNS TABLE (
	id uuid,
	scope text,
	target text,
	period text,
	action text,
	period_start date,
	period_end date,
	limit_usd numeric,
	spent_usd numeric,
	left_usd numeric,
	is_spent boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT b.id, b.scope, b.target, b.period, b.action, NULLIF(b.start, '-infinity'),
	CASE b.period WHEN 'day' THEN b.start WHEN 'month' THEN (b.start + interval '1 month' - interval '1 day')::date END,
	b.limit_usd, s.spent, GREATEST(b.limit_usd - s.spent, 0), s.spent >= b.limit_usd
FROM (SELECT a.*, amelia.budget_period(a.period, now()) AS start FROM amelia.budgets AS a) AS b,
	LATERAL (SELECT COALESCE(sum(d.amount_usd), 0) AS spent
		FROM amelia.budget_spending AS d
		WHERE d.budget_id = b.id AND d.period_start = b.start) AS s
ORDER BY s.spent >= b.limit_usd DESC, b.scope, b.target, b.period, b.id
$$;
COMMENT ON FUNCTION amelia.budget_status() IS
'A row per budget, those that are spent first: its period that runs now, with its first UTC day and its last, both NULL for total, its limit, what was spent and what is left of it in US dollars.';

CREATE OR REPLACE FUNCTION amelia.spent_budget(workflow_id uuid, profile_id text)
RETURNS TABLE (message text, detail text, hint text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT format('the budget of %s US dollars for %s is spent', s.limit_usd, concat_ws(' ', s.scope, s.target)),
	format('%s US dollars were spent%s.', s.spent_usd,
		CASE s.period WHEN 'total' THEN ' in total' ELSE format(' from %s to now', s.period_start) END),
	CASE s.period WHEN 'total' THEN 'Raise its limit in budgets.'
		ELSE format('It holds until the end of %s (UTC). Wait, or raise its limit in budgets.', s.period_end) END
FROM amelia.budget_status() AS s
WHERE s.is_spent AND s.action = 'block'
	AND CASE s.scope WHEN 'everything' THEN true WHEN 'profile' THEN s.target = spent_budget.profile_id
		ELSE s.target = spent_budget.workflow_id::text END
LIMIT 1
$$;
COMMENT ON FUNCTION amelia.spent_budget(uuid, text) IS
'A block budget that is spent and under which this workflow of this profile comes, in the words of the error that it raises: what was spent, of what, until when it holds. No row when there is none.';

CREATE OR REPLACE FUNCTION amelia.check_budgets(workflow_id uuid, profile_id text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	spent record;
BEGIN
	IF NOT EXISTS (SELECT FROM amelia.budgets AS b WHERE b.action = 'block') THEN
		RETURN;
	END IF;
	SELECT s.* INTO spent FROM amelia.spent_budget(workflow_id, profile_id) AS s;
	IF FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '53400', MESSAGE = spent.message, DETAIL = spent.detail, HINT = spent.hint;
	END IF;
END
$$;
COMMENT ON FUNCTION amelia.check_budgets(uuid, text) IS
'Raises 53400 when a block budget is spent under which this workflow of this profile comes; its detail says what was spent, its hint until when it holds.';

CREATE OR REPLACE TRIGGER zzz_check_budgets
	BEFORE UPDATE ON amelia.workflows
	FOR EACH ROW
	WHEN (NEW.status = 'in_progress' AND OLD.status IS DISTINCT FROM NEW.status)
	EXECUTE FUNCTION amelia.check_workflow_budgets();
CREATE OR REPLACE TRIGGER zzz_begin_budget
	AFTER INSERT OR UPDATE OF id, scope, target, period ON amelia.budgets
	FOR EACH ROW EXECUTE FUNCTION amelia.begin_budget();

REVOKE ALL ON FUNCTION
	amelia.budget_period(text, timestamptz),
	amelia.budget_status(),
	amelia.spent_budget(uuid, text),
	amelia.check_budgets(uuid, text)
FROM PUBLIC;
