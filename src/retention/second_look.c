/*-------------------------------------------------------------------------
 *
 * second_look.c
 *	  Rounds of retention that would delete most of what there is.
 *
 *	  Ages are counted by the server's clock, and one that jumps ahead makes
 *	  everything old. So a round that would delete more than half of the
 *	  finished workflows is held back, if they are many and no round was there
 *	  for a week: where rounds come by, what is old goes little by little.
 *	  The same is met by a server that was off for a month, and by the first
 *	  round over a history that came from elsewhere. Somebody who has looked at
 *	  the clock then says once that it is right.
 *
 *	  A round that was held back does not count as one that was there: nobody
 *	  has looked yet.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/second_look.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "base/execute.h"

/* Fewer are no history. */
#define MANY_WORKFLOWS 1000
#define LONG_TIME_US (7 * USECS_PER_DAY)

static const char *const last_round_query =
"SELECT max(r.started_at), now() FROM amelia.retention_runs AS r WHERE r.outcome <> '" HELD_BACK "'";

/* Without a round, what was done last tells the time that it was. */
static const char *const last_work_query =
"SELECT GREATEST((SELECT max(u.\"timestamp\") FROM amelia.token_usage AS u WHERE u.\"timestamp\" <= now()),"
" (SELECT max(w.started_at) FROM amelia.workflows AS w WHERE w.started_at <= now()))";

static const char *const due_query =
"SELECT count(*) FILTER (WHERE " DUE("$1", "$2") "), count(*) FROM amelia.workflows AS w WHERE " FINISHED;

/*
 * Why a round had better not begin by itself; NULL when it may. The caller
 * runs as the owner of Amelia's tables, and is connected to SPI.
 */
char *
NeedsSecondLook(const Horizons *horizons)
{
	static const Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[] = {TimestampTzGetDatum(horizons->log), TimestampTzGetDatum(horizons->recovery)};
	bool		is_null;
	bool		no_round;
	bool		never;
	TimestampTz last;
	TimestampTz now;
	int64		due;
	int64		finished;

	if (TIMESTAMP_IS_NOBEGIN(horizons->log))
		return NULL;
	RunSql(last_round_query, 0, NULL, NULL, true);
	last = DatumGetTimestampTz(RowValue(0, 1, TIMESTAMPTZOID, &no_round));
	now = DatumGetTimestampTz(RowValue(0, 2, TIMESTAMPTZOID, &is_null));
	if (!no_round && last >= now - LONG_TIME_US)
		return NULL;
	RunSql(due_query, lengthof(types), types, values, true);
	due = DatumGetInt64(RowValue(0, 1, INT8OID, &is_null));
	finished = DatumGetInt64(RowValue(0, 2, INT8OID, &is_null));
	if (due <= MANY_WORKFLOWS || due <= finished / 2)
		return NULL;
	never = no_round;
	if (no_round)
	{
		RunSql(last_work_query, 0, NULL, NULL, true);
		last = DatumGetTimestampTz(RowValue(0, 1, TIMESTAMPTZOID, &never));
		if (!never && last >= now - LONG_TIME_US)
			return NULL;
	}
	return psprintf("%lld of %lld finished workflows are old all at once by the clock, which says %s, and %s",
					(long long) due, (long long) finished, pstrdup(timestamptz_to_str(now)),
					never ? "there was no round before" :
					psprintf("the last %s was at %s", no_round ? "work" : "round", timestamptz_to_str(last)));
}
