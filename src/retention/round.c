/*-------------------------------------------------------------------------
 *
 * round.c
 *	  A round of retention: its life, and its row in retention_runs.
 *
 *	  One round at a time runs in a database. That is kept by a lock on an
 *	  object that nobody else locks, which the session holds from one batch's
 *	  transaction to the next; so whoever finds a row in retention_runs that
 *	  is "running" while it holds the lock, knows that its process died.
 *
 *	  A batch runs as the owner of Amelia's tables, in a restricted operation,
 *	  with limits on how long it waits for a lock and how long it takes. One
 *	  that fails is rolled back. If it had several workflows or threads, these
 *	  are then taken one by one, so that a bad one does not keep the others;
 *	  one that fails by itself is left for the next round. When too many fail
 *	  in a row, what the phase needs is not there, and the next one begins.
 *
 *	  What cannot be cancelled ends the process, and with it the round. The one
 *	  after it takes LangGraph's tables last, and begins with another schema
 *	  each time, so that one of them does not keep all the rest.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/round.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/execute.h"
#include "base/table_owner.h"
#include "base/time_limit.h"
#include "retention/batches.h"
#include "retention/checkpoint_batch.h"
#include "retention/older.h"
#include "retention/round_state.h"
#include "retention/rules.h"
#include "retention/second_look.h"
#include "retention/walk.h"

/* Below what a maintenance worker allows a whole transaction. */
#define BATCH_LIMIT_S 20
#define RUNS_KEPT 1000

/* A round of the worker's that found nothing to do. */
#define IDLE(run) \
	"(" run ".worker AND " run ".outcome = 'completed' AND " run ".batches_failed = 0 AND " \
	run ".trace_events + " run ".checkpoint_rows + " run ".events + " run ".workflows" \
	" + " run ".pruned_rows = 0 AND " run ".error IS NULL)"

/* One of the worker's that was held back. */
#define HELD(run) "(" run ".worker AND " run ".outcome = '" HELD_BACK "')"

/* SQL's advisory locks are of kinds 1 and 2. */
#define ROUND_LOCK_KIND 3

/* Failures in a row, each of one workflow or thread, after which a phase gives up. */
#define MAX_FAILURES 100
#define MAX_LOCK_FAILURES 5

/* the limit of the batch at hand, or the last one */
static TimeLimit batch_limit;

/*
 * A transaction of ours reads what is committed and may write, whatever the
 * session's defaults are. Only before its first snapshot.
 */
static void
SetTransaction(void)
{
	if (FirstSnapshotSet)
		return;
	XactIsoLevel = XACT_READ_COMMITTED;
	XactReadOnly = false;
}

/*
 * The lock that lets one round at a time run in a database.
 */
static void
SetRoundLock(LOCKTAG *lock)
{
	Oid			schema = get_namespace_oid(AMELIA_SCHEMA, true);
	Oid			table = OidIsValid(schema) ? get_relname_relid("retention_runs", schema) : InvalidOid;

	if (!OidIsValid(table))
		RefuseOlderSchema("retention_runs");

	/*
	 * An advisory lock, of a kind that no SQL function takes: the session
	 * keeps such a one when a batch fails and its transaction is rolled back.
	 */
	SET_LOCKTAG_ADVISORY(*lock, MyDatabaseId, table, 0, ROUND_LOCK_KIND);
}

/*
 * The process that holds the lock, 0 when none does.
 */
static int
RoundLockHolder(const LOCKTAG *lock)
{
	static const Oid types[] = {OIDOID, OIDOID, OIDOID};
	Datum		values[] = {
		ObjectIdGetDatum(lock->locktag_field1), ObjectIdGetDatum(lock->locktag_field2),
		ObjectIdGetDatum(lock->locktag_field3)
	};
	bool		is_null;

	if (RunSql("SELECT l.pid FROM pg_catalog.pg_locks AS l"
			   " WHERE l.locktype = 'advisory' AND l.granted AND l.database = $1"
			   " AND l.classid = $2 AND l.objid = $3 AND l.objsubid = " CppAsString2(ROUND_LOCK_KIND),
			   lengthof(types), types, values, false) == 0)
		return 0;
	return DatumGetInt32(RowValue(0, 1, INT4OID, &is_null));
}

/*
 * Hold a round back, if it wants a second look. The worker says so once, for
 * as long as that lasts.
 */
static void
HoldBack(RetentionRound *round, bool by_worker)
{
	Horizons	horizons;
	char	   *reason;

	GetHorizons(&horizons);
	reason = NeedsSecondLook(&horizons);
	if (reason == NULL)
		return;
	round->held_back = MemoryContextStrdup(round->context, reason);
	round->phase = PHASE_DONE;
	if (by_worker && RunSql("SELECT FROM (SELECT * FROM amelia.retention_runs AS n WHERE n.worker"
							" ORDER BY n.id DESC LIMIT 1) AS r WHERE " HELD("r"), 0, NULL, NULL, true) == 0)
		ereport(WARNING,
				(errmsg("retention is held back: %s", reason),
				 errhint(SECOND_LOOK_HINT)));
}

/*
 * Write the round's row.
 */
static void
NoteRound(RetentionRound *round, const char *requested_by, bool by_worker)
{
	static const Oid types[] = {TEXTOID, BOOLOID, INT4OID, BOOLOID, TEXTOID};
	Datum		values[] = {
		CStringGetTextDatum(requested_by), BoolGetDatum(by_worker),
		Int32GetDatum(MyProcPid), BoolGetDatum(round->thorough),
		CStringGetTextDatum(round->held_back == NULL ? "" : round->held_back)
	};
	bool		is_null;

	/* Rows that replication brought have not moved the sequence. */
	RunSql("INSERT INTO amelia.retention_runs"
		   " (id, requested_by, worker, pid, thorough, outcome, finished_at, error)"
		   " OVERRIDING SYSTEM VALUE SELECT GREATEST("
		   "nextval(pg_get_serial_sequence('amelia.retention_runs', 'id')::regclass),"
		   " (SELECT max(r.id) + 1 FROM amelia.retention_runs AS r)),"
		   " $1, $2, $3, $4, CASE WHEN $5 = '' THEN 'running' ELSE '" HELD_BACK "' END,"
		   " CASE WHEN $5 <> '' THEN clock_timestamp() END, NULLIF($5, '') RETURNING id",
		   lengthof(types), types, values, false);
	round->id = DatumGetInt64(RowValue(0, 1, INT8OID, &is_null));
}

RetentionRound *
RetentionRoundBegin(bool by_worker, bool thorough, bool confirmed, int *other_pid)
{
	const char *requested_by = GetUserNameFromId(GetUserId(), false);
	Oid			owner = TableOwner("retention_runs");
	RestrictedContext before;
	MemoryContext context;
	RetentionRound *round;
	LOCKTAG		lock;

	SetTransaction();
	SetRoundLock(&lock);
	SPI_connect();
	if (LockAcquire(&lock, ExclusiveLock, true, true) != LOCKACQUIRE_OK)
	{
		*other_pid = RoundLockHolder(&lock);
		SPI_finish();
		return NULL;
	}

	context = AllocSetContextCreate(TopMemoryContext, "amelia retention", ALLOCSET_SMALL_SIZES);
	round = MemoryContextAllocZero(context, sizeof(RetentionRound));
	round->context = context;
	round->lock = lock;
	round->thorough = thorough;
	round->by_worker = by_worker;
	round->place.completed_at = DT_NOBEGIN;
	round->peek = FIRST_PEEK;
	round->thread_limit = FIRST_THREAD_LIMIT;

	PG_TRY();
	{
		EnterRestricted(owner, &before);
		round->after_crash =
			RunSql("UPDATE amelia.retention_runs AS r SET outcome = 'crashed',"
				   " finished_at = clock_timestamp() WHERE r.outcome = 'running'",
				   0, NULL, NULL, false) > 0;
		if (!confirmed)
			HoldBack(round, by_worker);
		NoteRound(round, requested_by, by_worker);
		LeaveRestricted(&before);
	}
	PG_CATCH();
	{
		RetentionRoundFree(round);
		PG_RE_THROW();
	}
	PG_END_TRY();
	SPI_finish();
	return round;
}

/*
 * Add what the batch did to the round's row.
 */
static void
NoteProgress(const RetentionRound *round)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID,
	INT8OID, INT8OID, INT8OID, TEXTOID};
	Datum		values[] = {
		Int64GetDatum(round->id), Int64GetDatum(round->trace_events),
		Int64GetDatum(round->checkpoint_threads), Int64GetDatum(round->checkpoint_rows),
		Int64GetDatum(round->events), Int64GetDatum(round->workflows),
		Int64GetDatum(round->orphan_threads), Int64GetDatum(round->pruned_threads),
		Int64GetDatum(round->pruned_rows), Int64GetDatum(round->pruned_bytes),
		CStringGetTextDatum(round->left_alone == NULL ? "" : round->left_alone)
	};

	KeptPlan(&plan,
			 "UPDATE amelia.retention_runs AS r SET trace_events = r.trace_events + $2,"
			 " checkpoint_threads = r.checkpoint_threads + $3,"
			 " checkpoint_rows = r.checkpoint_rows + $4, events = r.events + $5,"
			 " workflows = r.workflows + $6, orphan_threads = r.orphan_threads + $7,"
			 " pruned_threads = r.pruned_threads + $8, pruned_rows = r.pruned_rows + $9,"
			 " pruned_bytes = r.pruned_bytes + $10, error = COALESCE(NULLIF($11, ''), r.error),"
			 " batches = r.batches + 1 WHERE r.id = $1", lengthof(types), types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not write retention_runs");
}

/*
 * On to the next phase. After a crash rules 3 and 4 come before LangGraph's
 * tables as well: a trigger there may have ended the process, and would again.
 */
static void
NextPhase(RetentionRound *round)
{
	int64		touched = 0;

	if (round->after_crash && round->phase == PHASE_TRACES)
		round->phase = PHASE_EVENTS;
	else if (round->after_crash && round->phase == PHASE_EVENTS && !round->events_again)
	{
		round->events_again = true;
		round->events_touched = round->touched;
		round->phase = PHASE_CHECKPOINTS;
	}
	else
	{
		round->phase++;
		if (round->phase == PHASE_EVENTS)
			touched = round->events_touched;
	}
	round->touched = touched;
	round->failures_in_row = 0;
	round->singles = 0;
	round->sequence = 0;
	round->is_changed = false;
	memset(&round->place, 0, sizeof(WorkflowPlace));
	round->place.completed_at = DT_NOBEGIN;
	round->peek = FIRST_PEEK;
	round->source = 0;
	round->walked_us = 0;
	round->thread = NULL;
}

/*
 * The batch itself, as the owner of Amelia's tables. Returns whether the
 * phase goes on.
 */
static bool
RunBatch(RetentionRound *round)
{
	RestrictedContext before;
	Horizons	horizons;
	bool		more = false;

	EnterRestricted(TableOwner("workflows"), &before);

	/*
	 * A deferred trigger could not fire in here, and at the end not as its
	 * owner.
	 */
	RunSql("SET CONSTRAINTS ALL IMMEDIATE", 0, NULL, NULL, false);
	GetHorizons(&horizons);
	switch (round->phase)
	{
		case PHASE_TRACES:
			more = TraceBatch(round, &horizons);
			break;
		case PHASE_CHECKPOINTS:
		case PHASE_ORPHANS:
			more = CheckpointBatch(round, &horizons);
			break;
		case PHASE_OLDER:
			more = OlderBatch(round, &horizons);
			break;
		case PHASE_EVENTS:
			more = EventBatch(round, &horizons);
			break;
		case PHASE_DONE:
			break;
	}
	NoteProgress(round);
	LeaveRestricted(&before);
	return more;
}

bool
RetentionBatch(RetentionRound *round)
{
	volatile bool more = false;

	if (round->phase == PHASE_DONE)
		return false;
	round->taken = 0;
	round->in_source = round->in_rule_4 = false;
	round->trace_events = round->checkpoint_threads = round->checkpoint_rows = 0;
	round->events = round->workflows = round->orphan_threads = 0;
	round->pruned_threads = round->pruned_rows = round->pruned_bytes = 0;
	round->left_alone = NULL;

	SetTransaction();

	/*
	 * A batch that a crash takes back is done again, so its commit need not
	 * wait for the disk, nor make the writers queue behind it. The end of the
	 * round does, and with it all that went before.
	 */
	(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	SPI_connect();
	StartTimeLimit(&batch_limit, BATCH_LIMIT_S);
	PG_TRY();
	{
		more = RunBatch(round);
	}
	PG_FINALLY();
	{
		EndTimeLimit(&batch_limit);
	}
	PG_END_TRY();
	SPI_finish();

	if (!more)
		NextPhase(round);
	return round->phase != PHASE_DONE;
}

/*
 * Whether an error is the end of a round: somebody wants it to end, or the
 * server cannot go on with anything.
 */
static bool
EndsRound(const ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		return !batch_limit.was_met;
	return category == ERRCODE_INSUFFICIENT_RESOURCES ||
		category == ERRCODE_OPERATOR_INTERVENTION ||
		category == ERRCODE_SYSTEM_ERROR;
}

/*
 * Leave what the batch was at for the next round, or take it one by one.
 */
static void
PassBy(RetentionRound *round, bool lock_failure)
{
	bool		give_up = round->taken == 0;

	if (round->taken > 1)
		round->singles = round->taken;
	else if (!give_up)
	{
		round->failures_in_row++;
		give_up = round->failures_in_row >= (lock_failure ? MAX_LOCK_FAILURES : MAX_FAILURES);
		round->place = round->next_place;
		round->thread = round->next_thread;
		round->sequence = 0;
		round->is_changed = false;
		round->singles = Max(round->singles - 1, 0);
	}
	if (give_up && round->in_rule_4)
	{
		/* Rule 3 needs less than rule 4, and goes on alone. */
		round->spare_workflows = true;
		round->failures_in_row = 0;
	}
	else if (give_up && round->in_source)
		NextSource(round);
	else if (give_up)
		NextPhase(round);
}

bool
RetentionBatchFailed(RetentionRound *round, const ErrorData *error)
{
	static const Oid types[] = {INT8OID, TEXTOID, TEXTOID};
	Datum		values[] = {
		Int64GetDatum(round->id), CStringGetTextDatum(unpack_sql_state(error->sqlerrcode)),
		CStringGetTextDatum(batch_limit.was_met ?
							psprintf("a batch took longer than %d s", BATCH_LIMIT_S) :
							error->message ? error->message : "")
	};
	RestrictedContext before;

	if (EndsRound(error))
		return false;
	PassBy(round, error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE);
	round->batches_failed++;

	SetTransaction();
	SPI_connect();
	EnterRestricted(TableOwner("retention_runs"), &before);
	RunSql("UPDATE amelia.retention_runs AS r SET batches = r.batches + 1,"
		   " batches_failed = r.batches_failed + 1, sqlstate = $2, error = $3 WHERE r.id = $1",
		   lengthof(types), types, values, false);
	LeaveRestricted(&before);
	SPI_finish();
	return true;
}

void
RetentionRoundEnd(RetentionRound *round, RetentionOutcome outcome, const ErrorData *error)
{
	static const char *const names[] = {
		[RETENTION_COMPLETED] = "completed",
		[RETENTION_FAILED] = "failed",
		[RETENTION_STOPPED] = "stopped"
	};
	static const Oid types[] = {INT8OID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[] = {
		Int64GetDatum(round->id), CStringGetTextDatum(names[outcome]),
		CStringGetTextDatum(error == NULL ? "" : unpack_sql_state(error->sqlerrcode)),
		CStringGetTextDatum(error == NULL || error->message == NULL ? "" : error->message)
	};
	RestrictedContext before;

	if (round->held_back != NULL)
		values[1] = CStringGetTextDatum(HELD_BACK);

	SetTransaction();
	SPI_connect();
	EnterRestricted(TableOwner("retention_runs"), &before);
	RunSql("UPDATE amelia.retention_runs AS r SET outcome = $2, finished_at = clock_timestamp(),"
		   " sqlstate = COALESCE(NULLIF($3, ''), r.sqlstate),"
		   " error = COALESCE(NULLIF($4, ''), r.error) WHERE r.id = $1",
		   lengthof(types), types, values, false);

	/*
	 * Of the worker's rounds that found nothing, or were held back, the
	 * newest will do.
	 */
	RunSql("DELETE FROM amelia.retention_runs AS r USING amelia.retention_runs AS t"
		   " WHERE t.id = $1 AND r.id < $1 AND"
		   " (" IDLE("t") " AND " IDLE("r") " OR " HELD("t") " AND " HELD("r") ")",
		   1, types, values, false);
	RunSql(psprintf("DELETE FROM amelia.retention_runs AS r WHERE r.id <"
					" (SELECT k.id FROM amelia.retention_runs AS k"
					" ORDER BY k.id DESC OFFSET %d LIMIT 1)", RUNS_KEPT - 1),
		   0, NULL, NULL, false);
	LeaveRestricted(&before);
	SPI_finish();
}

void
RetentionRoundFree(RetentionRound *round)
{
	LockRelease(&round->lock, ExclusiveLock, true);
	MemoryContextDelete(round->context);
}

const char *
RetentionHeldBack(const RetentionRound *round)
{
	return round->held_back;
}

int64
RetentionBatchesFailed(const RetentionRound *round)
{
	return round->batches_failed;
}
