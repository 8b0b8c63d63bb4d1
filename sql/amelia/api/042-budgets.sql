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
FROM (SELECT a.*, amelia_internal.budget_period(a.period, now()) AS start FROM amelia.budgets AS a) AS b,
	LATERAL (SELECT COALESCE(sum(d.amount_usd), 0) AS spent
		FROM amelia.budget_spending AS d
		WHERE d.budget_id = b.id AND d.period_start = b.start) AS s
ORDER BY s.spent >= b.limit_usd DESC, b.scope, b.target, b.period, b.id
$$;
COMMENT ON FUNCTION amelia.budget_status() IS
'A row per budget, those that are spent first: its period that runs now, with its first UTC day and its last, both NULL for total, its limit, what was spent and what is left of it in US dollars.';

CREATE OR REPLACE TRIGGER zzz_check_budgets
	BEFORE UPDATE ON amelia.workflows
	FOR EACH ROW
	WHEN (NEW.status = 'in_progress' AND OLD.status IS DISTINCT FROM NEW.status)
	EXECUTE FUNCTION amelia_internal.check_workflow_budgets();
CREATE OR REPLACE TRIGGER zzz_begin_budget
	AFTER INSERT OR UPDATE OF id, scope, target, period ON amelia.budgets
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.begin_budget();

REVOKE ALL ON FUNCTION
	amelia.budget_status()
FROM PUBLIC;
