-- What may be spent.

CREATE FUNCTION amelia_internal.budget_period(period text, at timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN budget_period.period = 'total' THEN '-infinity'::date
	-- the first month there is began before the first day there is
	WHEN budget_period.period = 'month' AND isfinite(budget_period.at) AND budget_period.at < '4714-12-01Z BC' THEN '4714-11-24 BC'
	ELSE date_trunc(budget_period.period, budget_period.at AT TIME ZONE 'UTC')::date END
$$;
COMMENT ON FUNCTION amelia_internal.budget_period(text, timestamptz) IS
'The UTC day on which the period (day, month, total) of a time begins; -infinity for total.';

CREATE FUNCTION amelia_internal.budgets_now()
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
FROM (SELECT a.*, amelia_internal.budget_period(a.period, now()) AS start FROM amelia.budgets AS a) AS b,
	LATERAL (SELECT COALESCE(sum(d.amount_usd), 0) AS spent
		FROM amelia.budget_spending AS d
		WHERE d.budget_id = b.id AND d.period_start = b.start) AS s
ORDER BY s.spent >= b.limit_usd DESC, b.scope, b.target, b.period, b.id
$$;
COMMENT ON FUNCTION amelia_internal.budgets_now() IS
'What budget_status() returns.';

CREATE FUNCTION amelia_internal.spent_budget(workflow_id uuid, profile_id text)
RETURNS TABLE (message text, detail text, hint text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT format('the budget of %s US dollars for %s is spent', s.limit_usd, concat_ws(' ', s.scope, s.target)),
	format('%s US dollars were spent%s.', s.spent_usd,
		CASE s.period WHEN 'total' THEN ' in total' ELSE format(' from %s to now', s.period_start) END),
	CASE s.period WHEN 'total' THEN 'Raise its limit in budgets.'
		ELSE format('It holds until the end of %s (UTC). Wait, or raise its limit in budgets.', s.period_end) END
FROM amelia_internal.budgets_now() AS s
WHERE s.is_spent AND s.action = 'block'
	AND CASE s.scope WHEN 'everything' THEN true WHEN 'profile' THEN s.target = spent_budget.profile_id
		ELSE s.target = spent_budget.workflow_id::text END
LIMIT 1
$$;
COMMENT ON FUNCTION amelia_internal.spent_budget(uuid, text) IS
'A block budget that is spent and under which this workflow of this profile comes, in the words of the error that it raises: what was spent, of what, until when it holds. No row when there is none.';

CREATE FUNCTION amelia_internal.check_budgets(workflow_id uuid, profile_id text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	spent record;
BEGIN
	IF NOT EXISTS (SELECT FROM amelia.budgets AS b WHERE b.action = 'block') THEN
		RETURN;
	END IF;
	SELECT s.* INTO spent FROM amelia_internal.spent_budget(workflow_id, profile_id) AS s;
	IF FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '53400', MESSAGE = spent.message, DETAIL = spent.detail, HINT = spent.hint;
	END IF;
END
$$;
COMMENT ON FUNCTION amelia_internal.check_budgets(uuid, text) IS
'Raises 53400 when a block budget is spent under which this workflow of this profile comes; its detail says what was spent, its hint until when it holds.';

REVOKE ALL ON FUNCTION
	amelia_internal.budgets_now(),
	amelia_internal.budget_period(text, timestamptz),
	amelia_internal.spent_budget(uuid, text),
	amelia_internal.check_budgets(uuid, text)
FROM PUBLIC;
