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
FROM amelia.budget_status() AS s
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
	amelia_internal.budget_period(text, timestamptz),
	amelia_internal.spent_budget(uuid, text),
	amelia_internal.check_budgets(uuid, text)
FROM PUBLIC;
