/*-------------------------------------------------------------------------
 *
 * map_amelia.c
 *	  Where the tables of the orchestrator go. The log was called events
 *	  first and workflow_log later; who upgraded in between has both.
 *
 *-------------------------------------------------------------------------
 */
#include "import/import.h"

/* The latest of a workflow's times: when it was last touched, as far as the source knows. */
#define LAST_TOUCHED \
	"(SELECT v.time FROM (SELECT t.created_at AS time UNION ALL SELECT t.started_at UNION ALL SELECT t.completed_at) AS v" \
	" WHERE v.time IS NOT NULL ORDER BY CASE typeof(v.time) WHEN 'integer' THEN v.time / 86400.0 + 2440587.5" \
	" ELSE julianday(v.time) END DESC LIMIT 1)"

#define IS_ACTIVE(row) "(" row ".is_active IN (1, 'true'))"

static const ColumnMap profiles[] = {
	{"id", "id", AS_TEXT, IS_KEY, "profiles"},
	{"tracker", "tracker", AS_TEXT},
	{"working_dir", "working_dir", AS_TEXT},
	{"plan_output_dir", "plan_output_dir", AS_TEXT},
	{"plan_path_pattern", "plan_path_pattern", AS_TEXT},
	{"agents", "agents", AS_JSON},
	{"is_active", "is_active", AS_BOOLEAN,.expr =
		"CASE WHEN " IS_ACTIVE("t") " AND t.rowid <> (SELECT p.rowid FROM profiles AS p WHERE " IS_ACTIVE("p")
		" ORDER BY julianday(p.created_at) DESC, p.rowid DESC LIMIT 1) THEN 0 ELSE t.is_active END",
	.why = "active profile is active no more, because a newer one is"},
	{"created_at", "created_at", AS_TIME},
	{"updated_at", "updated_at", AS_TIME},
	{0}
};

static const ColumnMap workflows[] = {
	{"id", "id", AS_UUID, IS_KEY, "workflows"},
	{"issue_id", "issue_id", AS_TEXT},
	{"worktree_path", "worktree_path", AS_TEXT},
	{"status", "status", AS_TEXT},
	{"workflow_type", "workflow_type", AS_TEXT},
	{"profile_id", "profile_id", AS_TEXT},
	{"plan_cache", "plan_cache", AS_JSON},
	{"issue_cache", "issue_cache", AS_JSON},
	{"failure_reason", "failure_reason", AS_TEXT},
	{"created_at", "created_at", AS_TIME},
	{"started_at", "started_at", AS_TIME},
	{"completed_at", "completed_at", AS_TIME},
	/* a claim takes what has waited longest */
	{"created_at", "available_at", AS_TIME},
	{NULL, "updated_at", AS_TIME,.expr = LAST_TOUCHED},
	{0}
};

static const ColumnMap events[] = {
	{"id", "id", AS_UUID, IS_KEY, "events"},
	{"workflow_id", "workflow_id", AS_UUID,.refers = "workflows"},
	{"sequence", "sequence", AS_INTEGER},
	{"timestamp", "timestamp", AS_TIME},
	{"agent", "agent", AS_TEXT},
	{"event_type", "event_type", AS_TEXT},
	{"level", "level", AS_TEXT},
	{"message", "message", AS_TEXT},
	{"data_json", "data", AS_JSON},
	{"correlation_id", "correlation_id", AS_TEXT},
	{"tool_name", "tool_name", AS_TEXT},
	{"tool_input_json", "tool_input", AS_JSON},
	{"is_error", "is_error", AS_BOOLEAN},
	{"trace_id", "trace_id", AS_TEXT},
	{"parent_id", "parent_id", AS_UUID, IS_LATE, "events"},
	{0}
};

static const ColumnMap workflow_log[] = {
	{"id", "id", AS_UUID, IS_KEY, "workflow_log"},
	{"workflow_id", "workflow_id", AS_UUID,.refers = "workflows"},
	{"sequence", "sequence", AS_INTEGER,.expr =
		"t.sequence + COALESCE((SELECT e.sequence FROM temp.last_events AS e WHERE e.workflow_id = t.workflow_id), 0)",
	.why = "sequence follows those of the table events"},
	{"timestamp", "timestamp", AS_TIME},
	{"agent", "agent", AS_TEXT},
	{"event_type", "event_type", AS_TEXT},
	{"level", "level", AS_TEXT},
	{"message", "message", AS_TEXT},
	{"data_json", "data", AS_JSON},
	{"correlation_id", "correlation_id", AS_TEXT},
	{"tool_name", "tool_name", AS_TEXT},
	{"tool_input_json", "tool_input", AS_JSON},
	{"is_error", "is_error", AS_BOOLEAN},
	{"trace_id", "trace_id", AS_TEXT},
	{"parent_id", "parent_id", AS_UUID, IS_LATE, "workflow_log"},
	{0}
};

static const ColumnMap token_usage[] = {
	{"id", "id", AS_UUID, IS_KEY, "token_usage"},
	{"workflow_id", "workflow_id", AS_UUID,.refers = "workflows"},
	{"agent", "agent", AS_TEXT},
	{"model", "model", AS_TEXT},
	{"input_tokens", "input_tokens", AS_INTEGER},
	{"output_tokens", "output_tokens", AS_INTEGER},
	{"cache_read_tokens", "cache_read_tokens", AS_INTEGER},
	{"cache_creation_tokens", "cache_creation_tokens", AS_INTEGER},
	{"cost_usd", "cost_usd", AS_MONEY},
	{"duration_ms", "duration_ms", AS_INTEGER},
	{"num_turns", "num_turns", AS_INTEGER},
	{"timestamp", "timestamp", AS_TIME},
	{0}
};

static const ColumnMap prompts[] = {
	{"id", "id", AS_TEXT, IS_KEY, "prompts"},
	{"agent", "agent", AS_TEXT},
	{"name", "name", AS_TEXT},
	{"description", "description", AS_TEXT},
	{"current_version_id", "current_version_id", AS_TEXT, IS_LATE, "prompt_versions"},
	{0}
};

static const ColumnMap prompt_versions[] = {
	{"id", "id", AS_TEXT, IS_KEY, "prompt_versions"},
	{"prompt_id", "prompt_id", AS_TEXT,.refers = "prompts"},
	{"version_number", "version_number", AS_INTEGER},
	{"content", "content", AS_TEXT},
	{"change_note", "change_note", AS_TEXT},
	{"created_at", "created_at", AS_TIME},
	{0}
};

static const ColumnMap workflow_prompt_versions[] = {
	{"workflow_id", "workflow_id", AS_UUID, IS_KEY, "workflows"},
	{"prompt_id", "prompt_id", AS_TEXT, IS_KEY, "prompts"},
	{"version_id", "version_id", AS_TEXT,.refers = "prompt_versions"},
	{0}
};

static const ColumnMap brainstorm_sessions[] = {
	{"id", "id", AS_TEXT, IS_KEY, "brainstorm_sessions"},
	{"profile_id", "profile_id", AS_TEXT,.refers = "profiles"},
	{"driver_session_id", "driver_session_id", AS_TEXT},
	{"driver_type", "driver_type", AS_TEXT},
	{"topic", "topic", AS_TEXT},
	{"output_artifact_path", "output_artifact_path", AS_TEXT},
	{"status", "status", AS_TEXT},
	{"created_at", "created_at", AS_TIME},
	{"updated_at", "updated_at", AS_TIME},
	{0}
};

static const ColumnMap brainstorm_messages[] = {
	{"id", "id", AS_TEXT, IS_KEY, "brainstorm_messages"},
	{"session_id", "session_id", AS_TEXT,.refers = "brainstorm_sessions"},
	{"sequence", "sequence", AS_INTEGER},
	{"role", "role", AS_TEXT},
	{"content", "content", AS_TEXT},
	{"parts_json", "parts", AS_JSON},
	{"created_at", "created_at", AS_TIME},
	{"input_tokens", "input_tokens", AS_INTEGER},
	{"output_tokens", "output_tokens", AS_INTEGER},
	{"cost_usd", "cost_usd", AS_MONEY},
	{"is_system", "is_system", AS_BOOLEAN},
	{0}
};

static const ColumnMap brainstorm_artifacts[] = {
	{"id", "id", AS_TEXT, IS_KEY, "brainstorm_artifacts"},
	{"session_id", "session_id", AS_TEXT,.refers = "brainstorm_sessions"},
	{"type", "type", AS_TEXT},
	{"path", "path", AS_TEXT},
	{"title", "title", AS_TEXT},
	{"created_at", "created_at", AS_TIME},
	{0}
};

static const ColumnMap server_settings[] = {
	{"id", "id", AS_INTEGER, IS_KEY, "server_settings"},
	{"log_retention_days", "log_retention_days", AS_INTEGER},
	{"trace_retention_days", "trace_retention_days", AS_INTEGER},
	{"checkpoint_retention_days", "checkpoint_retention_days", AS_INTEGER},
	{"websocket_idle_timeout_seconds", "websocket_idle_timeout_seconds", AS_NUMERIC},
	{"workflow_start_timeout_seconds", "workflow_start_timeout_seconds", AS_NUMERIC},
	{"max_concurrent", "max_concurrent", AS_INTEGER},
	{"stream_tool_results", "stream_tool_results", AS_BOOLEAN},
	{"created_at", "created_at", AS_TIME},
	{"updated_at", "updated_at", AS_TIME},
	{0}
};

static const LeftMap old_settings[] = {
	{"log_retention_max_events", "a setting that exists no longer"},
	{"checkpoint_path", "a setting that exists no longer"},
	{0}
};

static const LeftMap left[] = {
	{"schema_version", "how far the application's own migrations had come"},
	{"schema_versions", "how far the application's own migrations had come"},
	{0}
};

/* The history keeps what deleted workflows spent; what was taken back was never spent here. */
#define FORGET_WORKFLOWS \
	"WITH k AS (SELECT k::uuid AS id FROM pg_catalog.unnest($1::text[]) AS k)," \
	" used AS (DELETE FROM amelia.usage_history AS h USING k WHERE h.workflow_id = k.id)" \
	" DELETE FROM amelia.workflow_history AS h USING k WHERE h.workflow_id = k.id"

static const TableMap tables_of_amelia[] = {
	{"profiles", NULL, "profiles", profiles},
	{"server_settings", NULL, "server_settings", server_settings, old_settings},
	{"prompts", NULL, "prompts", prompts},
	{"prompt_versions", NULL, "prompt_versions", prompt_versions},
	{"workflows", NULL, "workflows", workflows,.forget = FORGET_WORKFLOWS},
	{"events", NULL, "workflow_log", events},
	{"workflow_log", NULL, "workflow_log", workflow_log},
	{"token_usage", NULL, "token_usage", token_usage},
	{"workflow_prompt_versions", NULL, "workflow_prompt_versions", workflow_prompt_versions},
	{"brainstorm_sessions", NULL, "brainstorm_sessions", brainstorm_sessions},
	{"brainstorm_messages", NULL, "brainstorm_messages", brainstorm_messages},
	{"brainstorm_artifacts", NULL, "brainstorm_artifacts", brainstorm_artifacts},
	{0}
};

static const char *const signs[] = {"workflows.issue_id", "workflows.worktree_path", NULL};

/* Where the sequences of workflow_log go on; the first fails where there are no events. */
static const char *const prepare[] = {
	"CREATE TEMP TABLE last_events AS SELECT workflow_id, max(sequence) AS sequence FROM main.events GROUP BY workflow_id",
	"CREATE TEMP TABLE IF NOT EXISTS last_events (workflow_id, sequence)",
	"CREATE UNIQUE INDEX temp.last_events_workflow ON last_events (workflow_id)",
	NULL
};

static const char *const proofs[] = {
	"SELECT concat_ws(': ', v.object, v.problem, v.detail) FROM amelia.verify() AS v",
	NULL
};

static const char *const notices[] = {
	"SELECT pg_catalog.format('retention will delete %s workflows that finished more than %s days ago in its next"
	" round; amelia.retention_preview() shows what, log_retention_days of server_settings decides it',"
	" pg_catalog.count(*), s.log_retention_days)"
	" FROM amelia.workflows AS w, amelia.settings() AS s WHERE s.log_retention_days >= 0"
	" AND w.status IN ('completed', 'failed', 'cancelled')"
	" AND COALESCE(w.completed_at, w.updated_at) < pg_catalog.now() - pg_catalog.make_interval(days => s.log_retention_days)"
	" GROUP BY s.log_retention_days",
	NULL
};

const SystemMap amelia_system = {
	.name = "amelia",
	.extension = "amelia",
	.schema = "amelia",
	.signs = signs,
	.refuse = "workflows.state_json",
	.refuse_hint = "start version 0.12 of its application on it once, which brings it up (0.13 and later do not read SQLite)",
	.tables = tables_of_amelia,
	.left = left,
	.prepare = prepare,
	/* a round of retention that finds it locked waits for its next turn */
	.hold = "LOCK TABLE amelia.retention_runs IN SHARE MODE",
	.proofs = proofs,
	.notices = notices
};
