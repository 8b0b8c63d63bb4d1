/*-------------------------------------------------------------------------
 *
 * usage_close.c
 *	  Closing days: their usage is summed up once, and trends read the sums.
 *
 *	  The trap is a writer that looks, finds the day open, and commits after
 *	  the sums were computed. So a day is closed in two steps, as an index is
 *	  built concurrently:
 *
 *	  1. Announce: a row in usage_days, state 'closing', and an invalidation
 *		 that makes every session look again (usage_days.c). Committed.
 *	  2. Wait for all transactions that hold a lock on token_usage which lets
 *		 them write: they may have looked before. Prepared ones count too.
 *		 Whoever takes that lock now knows, and marks what it changes.
 *	  3. Compute, with one new snapshot: delete the marks that it shows, sum
 *		 up the rows that it shows, set the state to 'closed'. A row that
 *		 commits later comes with a mark that stays.
 *
 *	  A closed day with a mark is computed anew by step 3 alone.
 *
 *	  Readers see, in one snapshot, either a closed day without a mark, whose
 *	  sums are complete, or they take its rows. Two sessions may close at the
 *	  same time: each waits by itself for what it is going to compute, and the
 *	  row of the day in usage_days is locked while it is computed.
 *
 *-------------------------------------------------------------------------
 */
#include "usage/usage_close.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "base/check.h"
#include "base/execute.h"
#include "base/table_owner.h"

PG_FUNCTION_INFO_V1(amelia_close_days);

/* between two looks at a writer that is waited for with a timeout */
#define WRITER_POLL_MS 20

struct UsageClose
{
	MemoryContext context;
	bool		is_full;		/* more days wait to be announced */
	DateADT		last_due;		/* the last day that was to be announced */
	int			closing_count;	/* waited for by this call */
	DateADT    *closing;
	bool		writers_gone;
	DateADT		after;			/* the last day that was computed */
};

/*
 * The days that are over, for an hour so that most writers have committed,
 * have usage or marks, and are not announced, behind a day. From one day with
 * usage the next is found by the indexes.
 */
static const char *const announce_query =
"WITH RECURSIVE used (day) AS ("
" SELECT LEAST((SELECT (min(u.\"timestamp\") AT TIME ZONE 'UTC')::date FROM amelia.token_usage AS u"
" WHERE u.\"timestamp\" > '-infinity' AND u.\"timestamp\" >= ($3 + 1)::timestamp AT TIME ZONE 'UTC'),"
" (SELECT min(h.day) FROM amelia.usage_history AS h WHERE h.day > $3))"
" UNION ALL"
" SELECT LEAST((SELECT (min(u.\"timestamp\") AT TIME ZONE 'UTC')::date FROM amelia.token_usage AS u"
" WHERE u.\"timestamp\" >= (p.day + 1)::timestamp AT TIME ZONE 'UTC'),"
" (SELECT min(h.day) FROM amelia.usage_history AS h WHERE h.day > p.day))"
" FROM used AS p WHERE p.day < $1),"
" due AS (SELECT p.day FROM used AS p WHERE p.day < $1"
" AND NOT EXISTS (SELECT FROM amelia.usage_days AS d WHERE d.day = p.day) LIMIT $2),"
" announced AS (INSERT INTO amelia.usage_days (day)"
" SELECT p.day FROM due AS p"
" UNION SELECT m.day FROM amelia.usage_dirty_days AS m WHERE m.day < $1 AND (m.day > $3 OR $3 = '-infinity')"
" AND NOT EXISTS (SELECT FROM amelia.usage_days AS d WHERE d.day = m.day)"
" ON CONFLICT (day) DO NOTHING RETURNING 1)"
" SELECT (SELECT count(*) FROM announced), (SELECT count(*) >= $2 FROM due), (SELECT max(p.day) FROM due AS p)";

static const char *const horizon_query =
"SELECT ((now() - interval '1 hour') AT TIME ZONE 'UTC')::date";

static const char *const next_query =
"SELECT min(n.day) FROM ("
"SELECT c.day FROM unnest($2) AS c (day) WHERE c.day > $1"
" UNION ALL"
" SELECT d.day FROM (SELECT DISTINCT m.day FROM amelia.usage_dirty_days AS m WHERE m.day > $1) AS m"
" JOIN amelia.usage_days AS d ON d.day = m.day AND d.state = 'closed') AS n";

/* What a day is made of: rows that are there, and what deleted workflows left. */
static const char *const workflow_days_query =
"INSERT INTO amelia.usage_workflow_days (day, workflow_id, agent, model,"
" input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens,"
" cost_usd, duration_ms, num_turns)"
" SELECT $1, r.workflow_id, r.agent, r.model, sum(r.input_tokens), sum(r.output_tokens),"
" sum(r.cache_read_tokens), sum(r.cache_creation_tokens), sum(r.cost_usd),"
" sum(r.duration_ms), sum(r.num_turns)"
" FROM (SELECT u.workflow_id, u.agent, u.model, u.input_tokens::bigint, u.output_tokens::bigint,"
" COALESCE(u.cache_read_tokens, 0)::bigint, COALESCE(u.cache_creation_tokens, 0)::bigint,"
" u.cost_usd, u.duration_ms::bigint, u.num_turns::bigint"
" FROM amelia.token_usage AS u"
" WHERE u.\"timestamp\" >= $1::timestamp AT TIME ZONE 'UTC'"
" AND u.\"timestamp\" < ($1 + 1)::timestamp AT TIME ZONE 'UTC'"
" UNION ALL"
" SELECT h.workflow_id, h.agent, h.model, h.input_tokens, h.output_tokens,"
" h.cache_read_tokens, h.cache_creation_tokens, h.cost_usd, h.duration_ms, h.num_turns"
" FROM amelia.kept_usage AS h WHERE h.day = $1)"
" AS r (workflow_id, agent, model, input_tokens, output_tokens, cache_read_tokens,"
" cache_creation_tokens, cost_usd, duration_ms, num_turns)"
" GROUP BY r.workflow_id, r.agent, r.model";

static const char *const day_sums_query =
"INSERT INTO amelia.usage_day_sums (day, agent, model,"
" input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens,"
" cost_usd, duration_ms, num_turns)"
" SELECT $1, w.agent, w.model, sum(w.input_tokens), sum(w.output_tokens),"
" sum(w.cache_read_tokens), sum(w.cache_creation_tokens), sum(w.cost_usd),"
" sum(w.duration_ms), sum(w.num_turns)"
" FROM amelia.usage_workflow_days AS w WHERE w.day = $1"
" GROUP BY w.agent, w.model";

static const char *const closed_query =
"UPDATE amelia.usage_days AS d SET state = 'closed', closed_at = clock_timestamp(),"
" workflows = cardinality(n.ids), workflow_ids = n.ids, workflow_costs = n.costs, workflow_tokens = n.tokens"
" FROM (SELECT COALESCE(array_agg(w.workflow_id), '{}') AS ids, COALESCE(array_agg(w.cost), '{}') AS costs,"
" COALESCE(array_agg(w.tokens), '{}') AS tokens FROM (SELECT s.workflow_id, sum(s.cost_usd) AS cost,"
" sum(s.input_tokens + s.output_tokens)::bigint AS tokens FROM amelia.usage_workflow_days AS s"
" WHERE s.day = $1 GROUP BY s.workflow_id) AS w) AS n"
" WHERE d.day = $1";

static const char *const day_workflows_query =
"INSERT INTO amelia.usage_day_workflows (day, kind, name, workflow_ids)"
" SELECT $1, 'agent', w.agent, array_agg(DISTINCT w.workflow_id)"
" FROM amelia.usage_workflow_days AS w WHERE w.day = $1 GROUP BY w.agent"
" UNION ALL SELECT $1, 'model', w.model, array_agg(DISTINCT w.workflow_id)"
" FROM amelia.usage_workflow_days AS w WHERE w.day = $1 GROUP BY w.model";

/*
 * Begin work as the tables' owner. The snapshots of this transaction must be
 * newer than its locks, so it is READ COMMITTED whatever the session's
 * default; nothing has been read in it.
 */
static void
EnterUsage(RestrictedContext *before)
{
	XactIsoLevel = XACT_READ_COMMITTED;
	SPI_connect();
	EnterRestricted(TableOwner("usage_days"), before);
}

static void
LeaveUsage(const RestrictedContext *before)
{
	LeaveRestricted(before);
	SPI_finish();
}

/*
 * UsageCloseBegin(): see usage_close.h.
 */
UsageClose *
UsageCloseBegin(int limit, DateADT after)
{
	static const Oid types[] = {DATEOID, INT4OID, DATEOID};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "Amelia closes days",
												  ALLOCSET_SMALL_SIZES);
	UsageClose *close = MemoryContextAllocZero(context, sizeof(UsageClose));
	RestrictedContext before;
	Datum		values[3];
	bool		is_null;

	close->context = context;
	close->after = DATEVAL_NOBEGIN;
	EnterUsage(&before);
	PushActiveSnapshot(GetTransactionSnapshot());
	RunSql(horizon_query, 0, NULL, NULL, true);
	values[0] = RowValue(0, 1, DATEOID, &is_null);
	values[1] = Int32GetDatum(limit);
	values[2] = DateADTGetDatum(after);
	RunSql(announce_query, lengthof(types), types, values, false);
	close->is_full = DatumGetBool(RowValue(0, 2, BOOLOID, NULL));
	values[2] = RowValue(0, 3, DATEOID, &is_null);
	close->last_due = is_null ? after : DatumGetDateADT(values[2]);
	if (DatumGetInt64(RowValue(0, 1, INT8OID, NULL)) > 0)
		CacheInvalidateRelcacheByRelid(get_relname_relid("usage_days",
														 get_namespace_oid(AMELIA_SCHEMA, false)));
	close->closing_count = RunSql("SELECT d.day FROM amelia.usage_days AS d"
								  " WHERE d.state = 'closing' ORDER BY d.day",
								  0, NULL, NULL, false);
	close->closing = MemoryContextAlloc(context, Max(close->closing_count, 1) * sizeof(DateADT));
	for (int i = 0; i < close->closing_count; i++)
		close->closing[i] = DatumGetDateADT(RowValue(i, 1, DATEOID, &is_null));
	PopActiveSnapshot();
	LeaveUsage(&before);
	/* It outlives this transaction, unless that failed before. */
	MemoryContextSetParent(context, TopMemoryContext);
	return close;
}

/*
 * UsageCloseWait(): see usage_close.h.
 *
 * With a timeout it looks again and again instead of waiting for a lock, so
 * that a deadlock can be only as long as that. No snapshot is held meanwhile:
 * who builds an index concurrently waits for old snapshots.
 */
bool
UsageCloseWait(UsageClose *close, int timeout)
{
	TimestampTz until = timeout < 0 ? 0 :
	TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout);
	VirtualTransactionId *writers;
	LOCKTAG		tag;

	close->writers_gone = false;
	if (close->closing_count > 0)
	{
		SET_LOCKTAG_RELATION(tag, MyDatabaseId,
							 get_relname_relid("token_usage", get_namespace_oid(AMELIA_SCHEMA, false)));
		InvalidateCatalogSnapshot();
		/* This mode conflicts with all that write, as in CREATE INDEX. */
		writers = GetLockConflicts(&tag, ShareLock, NULL);
		for (; VirtualTransactionIdIsValid(*writers); writers++)
		{
			if (timeout < 0)
			{
				VirtualXactLock(*writers, true);
				continue;
			}
			while (!VirtualXactLock(*writers, false))
			{
				if (GetCurrentTimestamp() >= until)
					return false;
				CHECK_FOR_INTERRUPTS();
				(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
								 WRITER_POLL_MS, PG_WAIT_EXTENSION);
				ResetLatch(MyLatch);
			}
		}
	}
	close->writers_gone = true;
	return true;
}

/*
 * Run a statement on a day with a snapshot.
 */
static void
RunOnDay(const char *query, DateADT day, Snapshot snapshot)
{
	Oid			types[] = {DATEOID};
	Datum		values[] = {DateADTGetDatum(day)};
	SPIPlanPtr	plan = SPI_prepare(query, lengthof(types), types);
	int			result;

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	result = SPI_execute_snapshot(plan, values, NULL, snapshot, InvalidSnapshot, false, true, 0);
	if (result < 0)
		elog(ERROR, "SPI_execute_snapshot failed: %s", SPI_result_code_string(result));
}

/*
 * Compute the sums of a day, if it was announced and needs it.
 */
static void
ComputeDay(DateADT day)
{
	static const Oid types[] = {DATEOID};
	Datum		values[] = {DateADTGetDatum(day)};
	Snapshot	snapshot;
	bool		is_null;

	if (RunSql("SELECT d.state = 'closed' FROM amelia.usage_days AS d WHERE d.day = $1 FOR UPDATE",
			   lengthof(types), types, values, false) == 0)
		return;
	/* One snapshot for all that follows, newer than the lock on the day. */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	if (DatumGetBool(RowValue(0, 1, BOOLOID, &is_null)))
	{
		RunOnDay("SELECT FROM amelia.usage_dirty_days AS m WHERE m.day = $1", day, snapshot);
		if (SPI_processed == 0)
		{
			UnregisterSnapshot(snapshot);
			return;
		}
	}
	RunOnDay("DELETE FROM amelia.usage_dirty_days AS m WHERE m.day = $1", day, snapshot);
	RunOnDay("DELETE FROM amelia.usage_workflow_days AS w WHERE w.day = $1", day, snapshot);
	RunOnDay("DELETE FROM amelia.usage_day_sums AS s WHERE s.day = $1", day, snapshot);
	RunOnDay("DELETE FROM amelia.usage_day_workflows AS s WHERE s.day = $1", day, snapshot);
	RunOnDay(workflow_days_query, day, snapshot);
	RunOnDay(day_sums_query, day, snapshot);
	RunOnDay(day_workflows_query, day, snapshot);
	RunOnDay(closed_query, day, snapshot);
	UnregisterSnapshot(snapshot);
}

/*
 * UsageCloseDay(): see usage_close.h.
 */
bool
UsageCloseDay(UsageClose *close)
{
	static const Oid types[] = {DATEOID, DATEARRAYOID};
	int			count = close->writers_gone ? close->closing_count : 0;
	Datum	   *days = palloc(Max(count, 1) * sizeof(Datum));
	Datum		values[2];
	RestrictedContext before;
	bool		is_null;
	Datum		day;

	for (int i = 0; i < count; i++)
		days[i] = DateADTGetDatum(close->closing[i]);
	EnterUsage(&before);
	values[0] = DateADTGetDatum(close->after);
	values[1] = PointerGetDatum(construct_array(days, count, DATEOID, sizeof(DateADT), true,
												TYPALIGN_INT));
	RunSql(next_query, lengthof(types), types, values, false);
	day = RowValue(0, 1, DATEOID, &is_null);
	if (!is_null)
	{
		close->after = DatumGetDateADT(day);
		ComputeDay(close->after);
	}
	LeaveUsage(&before);
	return !is_null;
}

/*
 * UsageCloseIsFull(): see usage_close.h.
 */
bool
UsageCloseIsFull(const UsageClose *close)
{
	return close->is_full;
}

/*
 * UsageCloseLastDue(): see usage_close.h.
 */
DateADT
UsageCloseLastDue(const UsageClose *close)
{
	return close->last_due;
}

/*
 * UsageCloseWaits(): see usage_close.h.
 */
bool
UsageCloseWaits(const UsageClose *close)
{
	return close->closing_count > 0;
}

/*
 * UsageCloseFree(): see usage_close.h.
 */
void
UsageCloseFree(UsageClose *close)
{
	MemoryContextDelete(close->context);
}

/*
 * Mark all closed days, to have them computed anew.
 */
static void
MarkClosedDays(void)
{
	RestrictedContext before;

	EnterUsage(&before);
	RunSql("INSERT INTO amelia.usage_dirty_days (id, day)"
		   " SELECT amelia_internal.new_uuid(), d.day FROM amelia.usage_days AS d", 0, NULL, NULL, false);
	LeaveUsage(&before);
}

/*
 * All that follows an announcement, a transaction each.
 */
static void
CloseAnnounced(UsageClose *close)
{
	SPI_commit();
	UsageCloseWait(close, -1);
	do
	{
		SPI_commit();
		CHECK_FOR_INTERRUPTS();
	} while (UsageCloseDay(close));
	SPI_commit();
}

/*
 * Announce days behind one, and close them. Returns whether more of them wait.
 */
static bool
CloseSome(DateADT *after)
{
	UsageClose *close = UsageCloseBegin(USAGE_CLOSE_DAYS, *after);
	bool		more = UsageCloseIsFull(close);

	*after = UsageCloseLastDue(close);
	PG_TRY();
	{
		CloseAnnounced(close);
	}
	PG_FINALLY();
	{
		UsageCloseFree(close);
	}
	PG_END_TRY();
	return more;
}

/*
 * close_days(anew boolean), a procedure
 */
Datum
amelia_close_days(PG_FUNCTION_ARGS)
{
	CallContext *call = (CallContext *) fcinfo->context;
	DateADT		after = DATEVAL_NOBEGIN;

	if (PG_ARGISNULL(0))
		RefuseMissing("anew");
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("days cannot be closed on a standby")));
	if (call == NULL || !IsA(call, CallContext) || call->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("close_days() cannot run inside a transaction block"),
				 errdetail("It commits day by day.")));

	SPI_connect_ext(SPI_OPT_NONATOMIC);
	/* A transaction that has no snapshot yet can be set up as we need it. */
	SPI_commit();
	if (PG_GETARG_BOOL(0))
	{
		MarkClosedDays();
		SPI_commit();
	}
	while (CloseSome(&after))
		;
	SPI_finish();
	PG_RETURN_VOID();
}
