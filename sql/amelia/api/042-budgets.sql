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
SELECT s.* FROM amelia_internal.budgets_now() AS s
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
