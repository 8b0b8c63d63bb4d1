-- What may be spent.

CREATE TABLE amelia.budgets (
	id uuid PRIMARY KEY,
	scope text NOT NULL CHECK (scope IN ('everything', 'profile', 'workflow')),
	target text,
	period text NOT NULL CHECK (period IN ('day', 'month', 'total')),
	limit_usd numeric NOT NULL CHECK (limit_usd >= 0 AND limit_usd < 'Infinity'),
	action text NOT NULL CHECK (action IN ('warn', 'block')),
	created_at timestamptz NOT NULL DEFAULT now(),
	CHECK ((scope = 'everything') = (target IS NULL)),
	-- it is compared as text
	CHECK (scope <> 'workflow' OR target ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')
);
COMMENT ON TABLE amelia.budgets IS
'What may be spent by everything, by a profile''s workflows or by one workflow, in a UTC day, a UTC month or in total. Spending is recorded all the same; once a block budget is spent, no work is begun under it.';
COMMENT ON COLUMN amelia.budgets.target IS 'The profile''s name or the workflow''s id, in lower case; NULL for everything.';
COMMENT ON COLUMN amelia.budgets.action IS
'block: create_workflow() and every way to in_progress raise 53400 once it is spent; warn: one system_warning event per period.';

CREATE TABLE amelia.budget_spending (
	-- rows are deleted, and that is replicated, where everything is
	id uuid PRIMARY KEY,
	budget_id uuid NOT NULL,
	period_start date NOT NULL,
	amount_usd numeric NOT NULL,
	workflow_id uuid
);
CREATE INDEX idx_budget_spending_budget ON amelia.budget_spending (budget_id, period_start);
COMMENT ON TABLE amelia.budget_spending IS
'What was spent under each budget: a row per statement that books usage, put together by compact_budgets(). Only inserted into by those who book, with the table owner''s rights, so that they do not wait for each other; no foreign key, whose lock on the budget''s row they would share.';
COMMENT ON COLUMN amelia.budget_spending.period_start IS 'A UTC day; -infinity where the period is total.';
COMMENT ON COLUMN amelia.budget_spending.workflow_id IS 'One that spent it: where a warning goes.';

CREATE TABLE amelia.budget_warnings (
	budget_id uuid NOT NULL REFERENCES amelia.budgets (id) ON DELETE CASCADE,
	period_start date NOT NULL,
	warned_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (budget_id, period_start)
);
COMMENT ON TABLE amelia.budget_warnings IS 'The periods for which a warn budget has left its event.';
COMMENT ON COLUMN amelia.budget_warnings.period_start IS 'A UTC day; -infinity where the period is total.';
