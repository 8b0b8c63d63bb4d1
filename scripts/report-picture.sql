-- The data behind docs/report.png: two months of a small team's agents. The
-- second month is shown, against the first. The same at every run, but for
-- when retention ran.
SET client_min_messages = warning;
SELECT setseed(0.25) \g /dev/null
SELECT amelia.load_prices('{
	"claude-opus": {"input_cost_per_token": 0.000015, "output_cost_per_token": 0.000075,
		"cache_read_input_token_cost": 0.0000015, "cache_creation_input_token_cost": 0.00001875},
	"claude-sonnet": {"input_cost_per_token": 0.000003, "output_cost_per_token": 0.000015,
		"cache_read_input_token_cost": 0.0000003, "cache_creation_input_token_cost": 0.00000375},
	"claude-haiku": {"input_cost_per_token": 0.0000008, "output_cost_per_token": 0.000004,
		"cache_read_input_token_cost": 0.00000008, "cache_creation_input_token_cost": 0.000001},
	"gpt-mini": {"input_cost_per_token": 0.0000004, "output_cost_per_token": 0.0000016,
		"cache_read_input_token_cost": 0.0000001}}') \g /dev/null
INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('work', '/src/shop', '{}'), ('library', '/src/library', '{}');

-- On a working day more than at the weekend, and more from week to week.
CREATE TEMP TABLE run AS
SELECT d.day, n, random() AS luck, random() AS size, d.day + interval '8 hours' + random() * interval '9 hours' AS began
FROM (SELECT '2026-03-31Z'::timestamptz - i * interval '1 day' AS day, 61 - i AS age FROM generate_series(0, 61) AS i) AS d,
	generate_series(1, CASE WHEN extract(isodow FROM d.day AT TIME ZONE 'UTC') > 5 THEN 2 ELSE 5 + d.age / 9 END) AS n;
INSERT INTO amelia.workflows (issue_id, worktree_path, status, profile_id, created_at, started_at, completed_at)
SELECT CASE WHEN n % 3 = 0 THEN 'LIB-' ELSE 'SHOP-' END || 100 + row_number() OVER (ORDER BY began), '/worktrees/' || row_number() OVER (ORDER BY began),
	CASE WHEN luck < 0.84 THEN 'completed' WHEN luck < 0.95 THEN 'failed' ELSE 'cancelled' END,
	CASE WHEN n % 3 = 0 THEN 'library' ELSE 'work' END, began, began, began + (20 + size * 160) * interval '1 minute'
FROM run;
SELECT count(amelia.record_usage(w.id, c.agent, c.model, c.input, c.output, c.cache_read, c.cache_creation,
	duration_ms => c.output * 12, "timestamp" => w.started_at + c.at * (w.completed_at - w.started_at)))
FROM amelia.workflows AS w, LATERAL (
	SELECT a.agent, a.model, (s.size * a.input)::integer AS input, (s.size * a.output)::integer AS output,
		(s.size * a.input * 6)::integer AS cache_read, (s.size * a.input * 0.6)::integer AS cache_creation, r.at
	FROM (VALUES ('architect', 'claude-opus', 2, 9000, 2400), ('developer', 'claude-sonnet', 12, 11000, 2600),
			('reviewer', CASE w.profile_id WHEN 'library' THEN 'gpt-mini' ELSE 'claude-haiku' END, 6, 24000, 1900))
			AS a (agent, model, calls, input, output),
		LATERAL (SELECT random() AS r, random() AS at FROM generate_series(1, a.calls)
			WHERE w.id IS NOT NULL) AS r,
		-- a long one costs more than it takes longer; two in five need no architect
		LATERAL (SELECT (0.3 + r.r) * extract(epoch FROM w.completed_at - w.started_at)::numeric ^ 1.4 / 180000 AS size) AS s
	WHERE a.agent <> 'architect' OR hashtext(w.issue_id) % 5 > -1) AS c \g /dev/null
INSERT INTO amelia.budgets (scope, target, period, limit_usd, action) VALUES
	('everything', NULL, 'total', 1500, 'warn'), ('profile', 'library', 'total', 300, 'block');
CALL amelia.close_days();
SELECT amelia.update_settings('{"log_retention_days": -1}') \g /dev/null
CALL amelia.run_retention();
