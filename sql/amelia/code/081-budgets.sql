-- What may be spent.

CREATE FUNCTION amelia_internal.spend_budgets() RETURNS trigger
LANGUAGE c
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_spend_budgets';
COMMENT ON FUNCTION amelia_internal.spend_budgets() IS
'AFTER INSERT statement trigger of token_usage, with the new rows as table "booked": adds their cost to the budgets that they come under, with the rights of the table''s owner. It is there as soon as there is a budget; the maintenance worker takes it off after the last one.';

CREATE FUNCTION amelia_internal.begin_budget() RETURNS trigger
LANGUAGE c
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_begin_budget';
COMMENT ON FUNCTION amelia_internal.begin_budget() IS
'AFTER INSERT or UPDATE row trigger of budgets, when id, scope, target or period are new: takes up what was spent in the period that runs, and has spend_budgets() called from now on. Waits for those who are booking usage.';

CREATE FUNCTION amelia.compact_budgets() RETURNS integer
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_compact_budgets';
COMMENT ON FUNCTION amelia.compact_budgets() IS
'Puts the rows of budget_spending together, and writes a system_warning event for each warn budget that is spent, once per period, to a workflow that spent it; returns how many it wrote. The maintenance worker does the same. Runs as the owner of the tables, whoever calls it.';

CREATE FUNCTION amelia_internal.check_workflow_budgets() RETURNS trigger
LANGUAGE c
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_check_workflow_budgets';
COMMENT ON FUNCTION amelia_internal.check_workflow_budgets() IS
'BEFORE UPDATE row trigger of workflows that go to in_progress: check_budgets(), with the rights of the table''s owner.';

REVOKE ALL ON FUNCTION
	amelia_internal.check_workflow_budgets(),
	amelia_internal.spend_budgets(),
	amelia_internal.begin_budget(),
	amelia.compact_budgets()
FROM PUBLIC;
