-- What docs/dashboard.png and docs/dashboard-workflow.png show besides the month of
-- report-picture.sql: a morning of a small team, as its agents and people left it.
SET client_min_messages = warning;
UPDATE amelia.server_settings SET max_concurrent = 8;
CREATE TEMP TABLE morning (id uuid, issue text, title text, profile text, ago interval, worker text);
INSERT INTO morning
SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, issue, title, profile, ago * interval '1 minute', 'host-' || 1 + n % 3
FROM (VALUES (1, 'SHOP-512', 'Vouchers are applied before the discount', 'work', 52), (2, 'LIB-88', 'The reader closes the file twice', 'library', 41),
	(3, 'SHOP-518', 'Two buyers get the last item', 'work', 23), (4, 'SHOP-520', 'Totals of a cart in two currencies', 'work', 12),
	(5, 'LIB-90', 'Parse dates without a year', 'library', 6), (6, 'SHOP-521', 'Search forgets the language', 'work', 2)) AS m (n, issue, title, profile, ago);
SELECT amelia.create_workflow(m.issue, '/worktrees/' || lower(m.issue), profile_id => m.profile,
	issue_cache => jsonb_build_object('title', m.title, 'labels', jsonb_build_array('bug')), id => m.id) FROM morning AS m ORDER BY m.id \g /dev/null
SELECT format('SELECT id FROM amelia.claim_workflow(%L)', m.worker) FROM morning AS m WHERE m.issue <> 'SHOP-521' ORDER BY m.id \gexec
UPDATE amelia.workflows AS w SET started_at = now() - m.ago, created_at = now() - m.ago - interval '2 minutes' FROM morning AS m WHERE m.id = w.id AND w.status = 'in_progress';
SELECT amelia.append_event(m.id, e.type, e.message, agent => e.agent, tool_name => e.tool, tool_input => e.input, data => e.data, is_error => e.type = 'task_failed',
	"timestamp" => now() - m.ago + e.n * m.ago / 12)
FROM morning AS m, (VALUES
	(1, 'stage_started', 'Planning', 'architect', NULL, NULL::jsonb, NULL::jsonb),
	(2, 'agent_message', 'The issue names one place; I look for others that do the same.', 'architect', NULL, NULL, NULL),
	(3, 'claude_tool_call', 'grep for the callers', 'architect', 'grep', '{"pattern": "reserve_item", "path": "src/"}', NULL),
	(4, 'claude_tool_result', '4 matches in 3 files', 'architect', 'grep', NULL, '{"matches": [{"file": "src/cart.py", "lines": [41, 97]}, {"file": "src/stock.py", "lines": [12]}]}'),
	(5, 'stage_completed', 'A plan in three steps', 'architect', NULL, NULL, '{"steps": ["test first", "lock the row", "tell the buyer"]}'),
	(6, 'stage_started', 'Implementing', 'developer', NULL, NULL, NULL),
	(7, 'file_modified', 'src/stock.py', 'developer', NULL, NULL, '{"added": 18, "removed": 4}'),
	(8, 'task_failed', '1 of 212 tests failed: test_two_buyers', 'developer', NULL, NULL, '{"test": "test_two_buyers", "seconds": 3.41}'),
	(9, 'file_modified', 'src/stock.py', 'developer', NULL, NULL, '{"added": 3, "removed": 3}'),
	(10, 'review_completed', 'Two remarks, both done', 'reviewer', NULL, NULL, NULL)) AS e (n, type, message, agent, tool, input, data)
WHERE m.issue <> 'SHOP-521' AND e.n <= CASE m.issue WHEN 'LIB-90' THEN 3 WHEN 'SHOP-520' THEN 6 ELSE 10 END ORDER BY m.id, e.n \g /dev/null
SELECT amelia.record_usage(m.id, a.agent, a.model, a.input, a.output, a.input * 5, a.input / 2, duration_ms => a.output * 11)
FROM morning AS m, (VALUES ('architect', 'claude-opus', 24000, 5200), ('developer', 'claude-sonnet', 91000, 22800), ('reviewer', 'claude-haiku', 40000, 3100))
	AS a (agent, model, input, output) WHERE m.issue <> 'SHOP-521' \g /dev/null
SELECT amelia.request_approval(l.workflow_id, l.lease_token, 'The fix locks the item''s row for the whole payment. May it?', '{"files": 3, "added": 21, "removed": 7}')
FROM amelia.workflow_leases AS l JOIN morning AS m ON m.id = l.workflow_id WHERE m.issue = 'SHOP-518' \g /dev/null
