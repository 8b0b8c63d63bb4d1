-- Views for dashboards. Their columns keep their names; new ones come last.

-- Those that are not there yet begin with no grantee but their owner, whose
-- rights they read with, whatever ALTER DEFAULT PRIVILEGES hand out.
DO $$
DECLARE
	missing name;
	grantee oid;
BEGIN
	FOREACH missing IN ARRAY ARRAY['kept_usage', 'usage_daily', 'active_workflows', 'workflow_overview'] LOOP
		CONTINUE WHEN to_regclass(format('amelia.%I', missing)) IS NOT NULL;
		EXECUTE format('CREATE VIEW amelia.%I AS SELECT', missing);
		FOR grantee IN
			SELECT DISTINCT acl.grantee
			FROM pg_catalog.pg_class AS c, LATERAL pg_catalog.aclexplode(c.relacl) AS acl
			WHERE c.oid = to_regclass(format('amelia.%I', missing)) AND acl.grantee <> c.relowner
		LOOP
			EXECUTE format('REVOKE ALL ON amelia.%I FROM %s', missing,
				CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END);
		END LOOP;
	END LOOP;
END
$$;

CREATE OR REPLACE VIEW amelia.kept_usage
WITH (security_invoker = true) AS
SELECT h.workflow_id, h.day, h.agent, h.model, h.input_tokens, h.output_tokens, h.cache_read_tokens,
	h.cache_creation_tokens, h.cost_usd, h.duration_ms, h.num_turns
FROM amelia.usage_history AS h
-- OFFSET 0 keeps it from becoming a join with all of token_usage.
WHERE NOT EXISTS (SELECT FROM amelia.workflow_history AS k JOIN amelia.token_usage AS u ON u.workflow_id = k.workflow_id
	WHERE k.workflow_id = h.workflow_id AND u."timestamp" <= k.usage_until
		AND (u."timestamp" AT TIME ZONE 'UTC')::date = h.day OFFSET 0);
COMMENT ON VIEW amelia.kept_usage IS
'The rows of usage_history that count: a day of a workflow that came back with its usage of that day counts by its rows in token_usage.';

CREATE OR REPLACE VIEW amelia.usage_daily
WITH (security_invoker = true) AS
WITH closed AS (
	SELECT d.day FROM amelia.usage_days AS d
	WHERE d.state = 'closed'
		AND NOT EXISTS (SELECT FROM amelia.usage_dirty_days AS m WHERE m.day = d.day)),
gap AS (
	SELECT COALESCE(g.after + 1, '4714-11-24 BC'::date) AS first, COALESCE(g.day, 'infinity'::date) AS until
	FROM (SELECT lag(c.day) OVER (ORDER BY c.day) AS after, c.day
		FROM (SELECT day FROM closed UNION ALL SELECT NULL AS day) AS c) AS g
	WHERE g.after IS NULL OR g.day IS NULL OR g.after + 1 < g.day)
SELECT s.day, s.agent, s.model, s.input_tokens, s.output_tokens, s.cache_read_tokens,
	s.cache_creation_tokens, s.cost_usd, s.duration_ms, s.num_turns
FROM closed AS c JOIN amelia.usage_day_sums AS s ON s.day = c.day
UNION ALL
SELECT l.day, l.agent, l.model, sum(l.input_tokens)::bigint, sum(l.output_tokens)::bigint,
	sum(l.cache_read_tokens)::bigint, sum(l.cache_creation_tokens)::bigint, sum(l.cost_usd),
	sum(l.duration_ms)::bigint, sum(l.num_turns)::bigint
FROM (SELECT (u."timestamp" AT TIME ZONE 'UTC')::date AS day, u.agent, u.model,
		u.input_tokens::bigint, u.output_tokens::bigint, COALESCE(u.cache_read_tokens, 0)::bigint AS cache_read_tokens,
		COALESCE(u.cache_creation_tokens, 0)::bigint AS cache_creation_tokens,
		u.cost_usd, u.duration_ms::bigint, u.num_turns::bigint
	FROM gap AS g, LATERAL (SELECT t.* FROM amelia.token_usage AS t
		WHERE t."timestamp" >= g.first::timestamp AT TIME ZONE 'UTC'
			AND t."timestamp" < g.until::timestamp AT TIME ZONE 'UTC' OFFSET 0) AS u
	UNION ALL
	SELECT h.day, h.agent, h.model, h.input_tokens, h.output_tokens, h.cache_read_tokens,
		h.cache_creation_tokens, h.cost_usd, h.duration_ms, h.num_turns
	FROM gap AS g, LATERAL (SELECT t.* FROM amelia.kept_usage AS t
		WHERE t.day >= g.first AND t.day < g.until OFFSET 0) AS h) AS l
GROUP BY l.day, l.agent, l.model;
COMMENT ON VIEW amelia.usage_daily IS
'What was used and cost, deleted workflows included: a row per UTC day, agent and model. Closed days come from their sums. Usage at infinity or -infinity belongs to no day.';

CREATE OR REPLACE VIEW amelia.active_workflows
WITH (security_invoker = true) AS
SELECT w.id, w.issue_id, w.worktree_path, w.workflow_type, w.profile_id, w.status,
	w.created_at, w.started_at, now() - w.started_at AS running_for
FROM amelia.workflows AS w
WHERE w.status IN ('pending', 'in_progress', 'blocked');
COMMENT ON VIEW amelia.active_workflows IS
'The workflows that are pending, in_progress or blocked.';

CREATE OR REPLACE VIEW amelia.workflow_overview
WITH (security_invoker = true) AS
SELECT w.id, w.issue_id, w.worktree_path, w.workflow_type, w.profile_id, w.status, w.failure_reason,
	w.created_at, w.started_at, w.completed_at,
	COALESCE(w.completed_at, CASE WHEN w.status IN ('in_progress', 'blocked') THEN now() END) - w.started_at AS duration,
	e.sequence AS last_sequence, e.event_type AS last_event_type, e.message AS last_message, e."timestamp" AS last_event_at,
	COALESCE(u.cost_usd, 0) AS cost_usd, COALESCE(u.tokens, 0) AS tokens
FROM amelia.workflows AS w
LEFT JOIN LATERAL (SELECT l.sequence, l.event_type, l.message, l."timestamp"
	FROM amelia.workflow_log AS l WHERE l.workflow_id = w.id ORDER BY l.sequence DESC LIMIT 1) AS e ON true
LEFT JOIN LATERAL (SELECT sum(t.cost_usd) AS cost_usd, sum(t.input_tokens::bigint + t.output_tokens)::bigint AS tokens
	FROM amelia.token_usage AS t WHERE t.workflow_id = w.id) AS u ON true;
COMMENT ON VIEW amelia.workflow_overview IS
'A row per workflow: how long it ran or runs, its last event, its cost in US dollars, its input and output tokens.';
