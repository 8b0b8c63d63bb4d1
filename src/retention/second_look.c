/*-------------------------------------------------------------------------
 *
 * second_look.c
 *	  Rounds of retention that would delete most of what there is.
 *
 *	  Ages are counted by the server's clock, and one that jumps ahead makes
 *	  everything old. So a round of which a rule would take more than half of
 *	  the finished workflows that it is about is held back, if they are many and
 *	  no round was there for a week: where rounds come by, what is old goes
 *	  little by little. Trace events and checkpoints that are kept for a week at
 *	  most are old after a week in any case, and tell nothing.
 *	  The same is met by a server that was off for a month, and by the first
 *	  round over a history that came from elsewhere. Somebody who has looked at
 *	  the clock then says once that it is right.
 *
 *	  Whether a workflow has checkpoints is not looked up, since it would take
 *	  the application's tables, and locks on them, before the round has begun:
 *	  the rule is about those that it had not come to when the last round was
 *	  there. Threads of no workflow, and those that live on, cannot be told
 *	  apart that way: where their rules are on and there are many checkpoints,
 *	  by the statistics, all of them may be due.
 *
 *	  A round that was held back does not count as one that was there: nobody
 *	  has looked yet.
 *
 *	  What is counted, and by which rounds, is the caller's: other extensions
 *	  of ours look at their rows in the same way.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/second_look.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "base/execute.h"

/* Fewer are no history. */
#define MANY_ROWS 1000
#define LONG_TIME_US (7 * USECS_PER_DAY)

static const char *const last_round_query =
"SELECT max(r.started_at), now() FROM amelia.retention_runs AS r WHERE r.outcome <> '" HELD_BACK "'";

/* Without a round, what was done last tells the time that it was. */
static const char *const last_work_query =
"SELECT GREATEST((SELECT max(u.\"timestamp\") FROM amelia.token_usage AS u WHERE u.\"timestamp\" <= now()),"
" (SELECT max(w.started_at) FROM amelia.workflows AS w WHERE w.started_at <= now()))";

/*
 * How many workflows a rule would take, and how many it is about. $3: the
 * rule's horizon when the last round was there.
 */
#define DUE_QUERY(about) \
	"SELECT count(*) FILTER (WHERE " DUE("$1", "$2") "), count(*)" \
	" FROM amelia.workflows AS w WHERE " FINISHED about

static const char *const due_of_all =
DUE_QUERY("");
static const char *const due_of_traced =
DUE_QUERY(" AND w.traces_removed_to IS NULL AND EXISTS (SELECT FROM amelia.workflow_log AS e"
		  " WHERE e.workflow_id = w.id AND e.level = 'trace')");
static const char *const due_of_threaded =
DUE_QUERY(" AND NOT " ENDED_BEFORE("$3") " AND EXISTS"
		  " (SELECT FROM amelia_internal.checkpoint_places() AS s)");

/* An empty table may have no statistics, one that was never analyzed has none. */
static const char *const due_of_checkpoints =
"SELECT c.number, c.number FROM (SELECT COALESCE(sum(CASE WHEN t.reltuples >= 0 THEN t.reltuples"
"  ELSE pg_relation_size(t.oid) / 500 END), 0)::bigint AS number"
" FROM amelia_internal.checkpoint_places() AS s JOIN pg_namespace AS n ON n.nspname = s.schema_name"
" JOIN pg_class AS t ON t.relnamespace = n.oid AND t.relname = 'checkpoints'"
" WHERE s.problem IS NULL) AS c";

/*
 * Whether a rule would take most of what it is about.
 */
static bool
TakesMost(const AgeRule *rule, TimestampTz before, int64 *due, int64 *there)
{
	static const Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[] = {
		TimestampTzGetDatum(rule->horizon), TimestampTzGetDatum(rule->recovery), TimestampTzGetDatum(before)
	};
	bool		is_null;

	if (TIMESTAMP_IS_NOBEGIN(rule->horizon))
		return false;
	RunSql(rule->due_query, lengthof(types), types, values, true);
	*due = DatumGetInt64(RowValue(0, 1, INT8OID, &is_null));
	*there = DatumGetInt64(RowValue(0, 2, INT8OID, &is_null));
	return *due > MANY_ROWS && *due > *there / 2;
}

/*
 * Why a round by some rules had better not begin by itself; NULL when it may.
 * last_round_query: when the last one was, and the time now; last_work_query:
 * what tells the time when there was none. The caller runs as the owner of the
 * tables, and is connected to SPI.
 */
char *
LookAtRules(const AgeRule *rules, int count, const char *last_round_query, const char *last_work_query)
{
	int			rule;
	bool		is_null;
	bool		no_round;
	bool		never;
	TimestampTz last;
	TimestampTz now;
	int64		due = 0;
	int64		there = 0;

	RunSql(last_round_query, 0, NULL, NULL, true);
	last = DatumGetTimestampTz(RowValue(0, 1, TIMESTAMPTZOID, &no_round));
	now = DatumGetTimestampTz(RowValue(0, 2, TIMESTAMPTZOID, &is_null));
	if (!no_round && last >= now - LONG_TIME_US)
		return NULL;
	for (rule = 0; rule < count; rule++)
	{
		TimestampTz before = no_round ? DT_NOBEGIN : rules[rule].horizon - (now - last);

		if ((rules[rule].any_age || rules[rule].horizon < now - LONG_TIME_US) &&
			TakesMost(&rules[rule], before, &due, &there))
			break;
	}
	if (rule == count)
		return NULL;
	never = no_round;
	if (no_round)
	{
		RunSql(last_work_query, 0, NULL, NULL, true);
		last = DatumGetTimestampTz(RowValue(0, 1, TIMESTAMPTZOID, &never));
		if (!never && last >= now - LONG_TIME_US)
			return NULL;
	}
	return psprintf("%lld of %lld %s are old all at once by the clock, which says %s, and %s",
					(long long) due, (long long) there, rules[rule].what, pstrdup(timestamptz_to_str(now)),
					never ? "there was no round before" :
					psprintf("the last %s was at %s", no_round ? "work" : "round", timestamptz_to_str(last)));
}

/*
 * The same for a round of retention.
 */
char *
NeedsSecondLook(const Horizons *horizons)
{
	const TimestampTz recovery = horizons->recovery;
	const AgeRule rules[] = {
		{due_of_all, horizons->log, recovery, true, "finished workflows"},
		{due_of_traced, horizons->trace, recovery, false, "finished workflows with trace events"},
		{due_of_threaded, horizons->checkpoint, recovery, false, "finished workflows that may have checkpoints"},
		{due_of_checkpoints, horizons->orphan, recovery, false, "checkpoints, some of which may be of threads of no workflow,"},
		{due_of_checkpoints, horizons->latest, recovery, false, "checkpoints, some of which may be of threads that live on,"}
	};

	return LookAtRules(rules, lengthof(rules), last_round_query, last_work_query);
}

/*
 * Whether a round may delete most of what there is: what the caller wants to
 * be done with one that would be held back.
 */
bool
IsConfirmed(const char *held_back)
{
	if (strcmp(held_back, "delete") == 0)
		return true;
	if (strcmp(held_back, "keep") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid held_back \"%s\"", held_back),
				 errhint("Use keep or delete.")));
	return false;
}
