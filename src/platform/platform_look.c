/*-------------------------------------------------------------------------
 *
 * platform_look.c
 *	  Rounds of maintenance that would take most of what there is.
 *
 *	  Agents, leases and messages that were not acknowledged are judged by the
 *	  clock too, but what becomes of them can be taken back: an agent comes back
 *	  with its next heartbeat, a task and a message are there to be had again.
 *	  What is deleted is not, and a message that was marked as expired stays
 *	  so. For these a round has a second look, as retention has
 *	  (retention/second_look.c).
 *
 *	  Messages and metrics that are kept for a week at most, and messages that
 *	  were to be received within one, are over after a week in any case, and
 *	  tell nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "platform/platform_look.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/execute.h"
#include "base/table_owner.h"
#include "platform/platform_owner.h"
#include "retention/second_look.h"

/* A round that lies ahead was there while the clock was wrong. */
static const char *const last_round_query =
"SELECT max(r.started_at), now() FROM amelia_platform.maintenance_runs AS r"
" WHERE r.outcome = 'completed' AND r.started_at <= now()";

static const char *const last_work_query =
"SELECT GREATEST((SELECT max(m.created_at) FROM amelia_platform.agent_messages AS m WHERE m.created_at <= now()),"
" (SELECT max(t.created_at) FROM amelia_platform.tasks AS t WHERE t.created_at <= now()),"
" (SELECT max(e.started_at) FROM amelia_platform.workflow_executions AS e WHERE e.started_at <= now()),"
" (SELECT max(a.last_heartbeat) FROM amelia_platform.agents AS a WHERE a.last_heartbeat <= now()),"
" (SELECT max(p.recorded_at) FROM amelia_platform.agent_performance AS p WHERE p.recorded_at <= now()))";

#define DUE_QUERY(due, about) "SELECT count(*) FILTER (WHERE " due "), count(*) FROM amelia_platform." about

static const char *const due_messages =
DUE_QUERY("m.created_at < $1", "agent_messages AS m WHERE m.status IN ('acknowledged', 'failed', 'expired')");
static const char *const due_executions =
DUE_QUERY("e.completed_at < $1", "workflow_executions AS e WHERE e.status <> 'running'");
static const char *const due_tasks =
DUE_QUERY("t.completed_at < $1", "tasks AS t WHERE t.execution_id IS NULL"
		  " AND t.status IN ('completed', 'failed', 'cancelled')");
static const char *const due_metrics =
DUE_QUERY("p.recorded_at < $1", "agent_performance AS p");
static const char *const due_expired =
DUE_QUERY("m.expires_at <= $1", "agent_messages AS m WHERE m.status IN ('pending', 'sent', 'delivered')"
		  " AND m.expires_at > m.created_at + interval '7 days'");

/*
 * Why a round had better delete nothing; NULL when it may. The caller runs as
 * the owner of the tables, and is connected to SPI.
 */
char *
PlatformNeedsSecondLook(void)
{
	AgeRule		rules[] = {
		{due_messages, 0, 0, false, "messages that are over"},
		{due_executions, 0, 0, true, "executions that are over"},
		{due_tasks, 0, 0, true, "tasks that are over"},
		{due_metrics, 0, 0, false, "metrics"},
		{due_expired, 0, 0, true, "messages that wait and expire"}
	};
	bool		is_null;

	RunSql("SELECT h.messages, h.tasks, h.tasks, h.metrics, now() FROM amelia_internal.platform_horizons() AS h",
		   0, NULL, NULL, true);
	for (int i = 0; i < (int) lengthof(rules); i++)
		rules[i].horizon = DatumGetTimestampTz(RowValue(0, i + 1, TIMESTAMPTZOID, &is_null));
	return LookAtRules(rules, lengthof(rules), last_round_query, last_work_query);
}

/*
 * Why the last round was held back, or there can be none; NULL when neither. For whoever may ask
 * for the status.
 */
char *
PlatformHeldBack(void)
{
	Oid			schema = get_namespace_oid(PLATFORM_EXTENSION, true);
	Oid			table = OidIsValid(schema) ? get_relname_relid("maintenance_runs", schema) : InvalidOid;
	RestrictedContext before;
	Oid			owner;
	char	   *reason;

	if (!OidIsValid(table))
		return NULL;
	owner = RelationOwner(table);
	reason = OwnersProblem(PLATFORM_EXTENSION, owner);
	if (reason != NULL)
		return psprintf("there is no maintenance of amelia_platform: %s", reason);
	EnterRestricted(owner, &before);
	if (RunSql("SELECT COALESCE(r.reason, 'nobody noted why') FROM (SELECT * FROM amelia_platform.maintenance_runs AS n"
			   "  WHERE n.outcome IS NOT NULL AND n.started_at <= now()"
			   "  ORDER BY n.started_at DESC LIMIT 1) AS r WHERE r.outcome = '" HELD_BACK "'",
			   0, NULL, NULL, true) > 0)
		reason = psprintf("maintenance of amelia_platform is held back: %s. %s",
						  TextDatumGetCString(RowValue(0, 1, TEXTOID, NULL)), PLATFORM_LOOK_HINT);
	LeaveRestricted(&before);
	return reason;
}
