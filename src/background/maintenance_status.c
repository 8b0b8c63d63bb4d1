/*-------------------------------------------------------------------------
 *
 * maintenance_status.c
 *	  What the launcher and the maintenance workers are at, as SQL sees it.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/launcher_state.h"
#include "base/settings.h"

PG_FUNCTION_INFO_V1(amelia_maintenance_state);

/* The columns of the result. */
enum
{
	PRELOADED, STATE, REASON, LAUNCHER_PID, WORKER_PID, LAST_LOOK, NEXT_ROUND,
	FAILURES, SQLSTATE, ERROR_TEXT, FAILED_AT, COLUMNS
};

/*
 * What to do for the library to be preloaded. The line keeps what else is
 * preloaded, as far as the caller may see that.
 */
static const char *
PreloadAdvice(void)
{
	const char *before = NULL;

	if (has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_SETTINGS))
		before = GetConfigOption("shared_preload_libraries", true, false);
	if (before != NULL && before[0] != '\0')
		return psprintf("add to postgresql.conf: shared_preload_libraries = '%s, amelia', and restart the server",
						before);
	return "add to postgresql.conf: shared_preload_libraries = 'amelia', and restart the server";
}

/*
 * What an entry says of its database.
 */
static const char *
StateName(const DatabaseEntry *entry)
{
	if (entry == NULL)
		return "waiting";
	if (entry->pid != 0)
		return "running";
	switch (entry->state)
	{
		case DATABASE_DISABLED:
			return "disabled";
		case DATABASE_INCOMPLETE:
			return "schema not complete";
		case DATABASE_FAILED:
			return "failing";
		default:
			return "waiting";
	}
}

static void
PutText(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL || text[0] == '\0';

	if (!nulls[column])
		values[column] = CStringGetTextDatum(text);
}

static void
PutTime(Datum *values, bool *nulls, int column, TimestampTz time)
{
	nulls[column] = time == 0;
	values[column] = TimestampTzGetDatum(time);
}

static void
PutNumber(Datum *values, bool *nulls, int column, int number)
{
	nulls[column] = number == 0;
	values[column] = Int32GetDatum(number);
}

/*
 * Put what is known of this database, of which the launcher takes care.
 */
static void
PutEntry(Datum *values, bool *nulls, const DatabaseEntry *entry)
{
	PutNumber(values, nulls, WORKER_PID, entry->pid);
	PutTime(values, nulls, LAST_LOOK, entry->finished);
	if (entry->pid == 0)
		PutTime(values, nulls, NEXT_ROUND, Max(NextRound(entry), GetCurrentTimestamp()));
	nulls[FAILURES] = false;
	values[FAILURES] = Int32GetDatum(entry->failures);
	if (entry->error[0] != '\0')
	{
		PutText(values, nulls, SQLSTATE, unpack_sql_state(entry->sqlstate));
		PutText(values, nulls, ERROR_TEXT, entry->error);
		PutTime(values, nulls, FAILED_AT, entry->failed_at);
	}
}

/*
 * maintenance_state() returns record
 */
Datum
amelia_maintenance_state(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	Datum		values[COLUMNS] = {0};
	bool		nulls[COLUMNS];
	const char *state;
	const char *reason = NULL;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE ||
		tupdesc->natts != COLUMNS)
		elog(ERROR, "maintenance_state() returns another type than it should");
	memset(nulls, true, sizeof(nulls));

	nulls[PRELOADED] = false;
	values[PRELOADED] = BoolGetDatum(launcher_state != NULL);
	if (launcher_state == NULL)
	{
		state = "not preloaded";
		reason = PreloadAdvice();
	}
	else if (RecoveryInProgress())
	{
		state = "standby";
		reason = "maintenance runs on the primary server";
	}
	else
	{
		DatabaseEntry *found;
		DatabaseEntry entry;
		char		no_worker[STATE_TEXT_SIZE];
		int			launcher_pid;

		LWLockAcquire(launcher_state->lock, LW_SHARED);
		launcher_pid = launcher_state->launcher_pid;
		strlcpy(no_worker, launcher_state->no_worker, sizeof(no_worker));
		found = FindDatabase(MyDatabaseId);
		if (found != NULL)
			entry = *found;
		/* A worker that is there only looks whether it still is. */
		if (found != NULL && entry.state == DATABASE_DISABLED)
			entry.pid = 0;
		LWLockRelease(launcher_state->lock);

		PutNumber(values, nulls, LAUNCHER_PID, launcher_pid);
		if (found != NULL)
			PutEntry(values, nulls, &entry);
		state = StateName(found != NULL ? &entry : NULL);
		if (launcher_pid == 0)
		{
			state = "no launcher";
			reason = "the launcher does not run: it is started again within seconds, unless max_worker_processes leaves no room for it";
		}
		else if (!IsMaintainedDatabase(get_database_name(MyDatabaseId)))
		{
			state = "not listed";
			reason = "amelia.databases does not name this database";
		}
		else if (no_worker[0] != '\0')
			reason = pstrdup(no_worker);
		else if (found != NULL)
			reason = pstrdup(entry.reason);
	}
	PutText(values, nulls, STATE, state);
	PutText(values, nulls, REASON, reason);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls));
}
