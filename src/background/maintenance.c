/*-------------------------------------------------------------------------
 *
 * maintenance.c
 *	  The maintenance worker: one round in one database.
 *
 *	  A round is a chain of short transactions. Each begins by asking whether
 *	  it may go on (extension.c), holds back neither vacuum nor anybody who
 *	  wants the database, and loses nothing but itself when it fails, is
 *	  cancelled or killed. An error is logged when it is new; while it repeats,
 *	  it is counted, and the rounds become rarer. What is not within a round's
 *	  own reach, such as a kill, ends the process; the launcher starts another.
 *
 *	  The worker connects as the bootstrap superuser, since it must come into
 *	  any database. Everything that reads or deletes rows takes on the rights
 *	  of their owner.
 *
 *-------------------------------------------------------------------------
 */
#include "background/maintenance.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/launcher_state.h"
#include "base/settings.h"
#include "base/time_limit.h"
#include "usage/upkeep.h"
#include "retention/round.h"
#include "feed/feed_prune.h"
#include "background/extension.h"
#include "background/other_rounds.h"

/* How often a round looks again at what it has been through before. */
#define THOROUGH_MS (24 * 60 * 60 * 1000)

/* The longest that a transaction may take; batches have a limit of their own, below. */
#define TRANSACTION_LIMIT_S 60

/* So much of the feed is pruned in a round at most. */
#define MAX_FEED_BATCHES 1000

/* A round, from transaction to transaction. */
typedef struct Round
{
	MemoryContext context;		/* errors are kept here */
	ExtensionState extension;
	char	   *problem;		/* with the schema, or NULL */
	bool		may_begin;		/* there can be a round */
	bool		thorough;
	Upkeep	   *upkeep;
	OtherRounds others;
	int			other_pid;		/* who runs one already */
	RetentionRound *retention;	/* NULL: it was not begun */
	bool		more;
	const ErrorData *error;		/* the last one */
	int			errors;
	int			errors_of_locks;	/* those of them that only mean: not now */
	RetentionOutcome outcome;
	const ErrorData *ended_by;	/* or NULL */
} Round;

typedef void (*RoundStep) (Round *round);

static char *database_name = NULL;

PGDLLEXPORT void AmeliaMaintenanceMain(Datum main_arg);

static void
MaintenanceErrorContext(void *arg)
{
	errcontext("maintenance of database \"%s\" by the extension \"amelia\"",
			   database_name != NULL ? database_name : "?");
}

/*
 * SIGTERM cancels the batch, so that the round can be ended properly; a
 * second one ends the process wherever it is.
 */
static void
HandleTerminate(SIGNAL_ARGS)
{
	if (ShutdownRequestPending)
		die(postgres_signal_arg);
	ShutdownRequestPending = true;
	StatementCancelHandler(postgres_signal_arg);
}

/*
 * What may be set for the database or for all, and must not reach into a
 * round: it would end the process, or make each of its statements fail.
 */
void
UseOwnSettings(void)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"session_replication_role", "origin"},
		{"row_security", "on"},
		{"statement_timeout", "0"},
		{"lock_timeout", "1s"},
		{"transaction_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"zero_damaged_pages", "off"},
		{"exit_on_error", "off"},
		/* A standby that is away must not keep the worker in a database. */
		{"synchronous_commit", "local"}
	};

	for (int i = 0; i < (int) lengthof(settings); i++)
	{
		/* transaction_timeout came with PostgreSQL 17. */
		if (GetConfigOption(settings[i][0], true, false) != NULL)
			SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
	}
}

/*
 * Leave the database's entry to the next worker.
 */
static void
LeaveDatabase(int code, Datum database)
{
	DatabaseEntry *entry;

	LWLockAcquire(launcher_state->lock, LW_EXCLUSIVE);
	entry = FindDatabase(DatumGetObjectId(database));
	if (entry != NULL && entry->pid == MyProcPid)
		entry->pid = 0;
	if (launcher_state->launcher_latch != NULL)
		SetLatch(launcher_state->launcher_latch);
	LWLockRelease(launcher_state->lock);
}

/*
 * What stands there until the round is reported. Should it become unknown again
 * meanwhile, see ReportRound().
 */
static void
SetUnreported(DatabaseEntry *entry)
{
	entry->state = DATABASE_DONE;
	entry->reason[0] = '\0';
}

/*
 * Be the database's only maintenance worker; false when there is one. That
 * happens when the launcher was started anew meanwhile.
 */
static bool
EnterDatabase(Oid database, bool *thorough)
{
	DatabaseEntry *entry;
	bool		entered;

	LWLockAcquire(launcher_state->lock, LW_EXCLUSIVE);
	entry = FindDatabase(database);
	entered = entry != NULL && entry->pid == 0;
	if (entered)
	{
		entry->pid = MyProcPid;
		entry->started = GetCurrentTimestamp();
		if (entry->state != DATABASE_DISABLED)
			SetUnreported(entry);
		*thorough = TimestampDifferenceExceeds(entry->thorough, entry->started, THOROUGH_MS);
	}
	LWLockRelease(launcher_state->lock);
	if (entered)
		before_shmem_exit(LeaveDatabase, ObjectIdGetDatum(database));
	return entered;
}

/*
 * Maintenance is enabled here, if it was not before.
 */
static void
NoteEnabled(void)
{
	DatabaseEntry *entry;

	LWLockAcquire(launcher_state->lock, LW_EXCLUSIVE);
	entry = FindDatabase(MyDatabaseId);
	if (entry != NULL && entry->state == DATABASE_DISABLED)
		SetUnreported(entry);
	LWLockRelease(launcher_state->lock);
}

/*
 * Write down an error, and log it when the same was not logged since the last
 * round without any.
 */
static void
NoteError(Round *round, ErrorData *error)
{
	const char *message = error->message != NULL ? error->message : "";
	uint32		hash = hash_combine(hash_bytes((const unsigned char *) &error->sqlerrcode,
											   sizeof(error->sqlerrcode)),
									hash_bytes((const unsigned char *) message, strlen(message)));
	DatabaseEntry *entry;
	bool		is_new = false;

	round->error = error;
	round->errors++;
	round->errors_of_locks += error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;

	LWLockAcquire(launcher_state->lock, LW_EXCLUSIVE);
	entry = FindDatabase(MyDatabaseId);
	if (entry != NULL)
	{
		is_new = entry->logged_errors < MAX_LOGGED_ERRORS;
		for (int i = 0; i < entry->logged_errors; i++)
			is_new = is_new && entry->logged[i] != hash;
		if (is_new)
			entry->logged[entry->logged_errors++] = hash;
		entry->sqlstate = error->sqlerrcode;
		entry->failed_at = GetCurrentTimestamp();
		strlcpy(entry->error, message, sizeof(entry->error));
	}
	LWLockRelease(launcher_state->lock);

	if (is_new)
	{
		ErrorData	logged = *error;
		ErrorContextCallback *callbacks = error_context_stack;

		/* The context was noted when the error happened. */
		error_context_stack = NULL;
		logged.elevel = WARNING;
		ThrowErrorData(&logged);
		error_context_stack = callbacks;
	}
}

/*
 * Do one step of a round in a transaction. An error rolls it back, is noted,
 * and makes the result false. So does SIGTERM, which is no error.
 */
static bool
DoStep(Round *round, RoundStep step)
{
	ErrorData  *volatile error = NULL;
	TimeLimit	limit;

	/* SIGTERM between two steps cancels none: the round is ended, then. */
	if (ShutdownRequestPending)
		QueryCancelPending = false;

	PG_TRY();
	{
		StartTransactionCommand();
		StartTimeLimit(&limit, TRANSACTION_LIMIT_S);
		PushActiveSnapshot(GetTransactionSnapshot());
		step(round);
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(round->context);
		error = CopyErrorData();
		FlushErrorState();
		QueryCancelPending = false;
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	EndTimeLimit(&limit);

	MemoryContextSwitchTo(round->context);
	pgstat_report_stat(false);
	if (error != NULL && !ShutdownRequestPending)
		NoteError(round, error);
	return error == NULL;
}

/*
 * Look whether there can be a round.
 */
static void
BeginRound(Round *round)
{
	database_name = MemoryContextStrdup(TopMemoryContext, get_database_name(MyDatabaseId));
	round->extension = LockExtension("amelia");
	if (round->extension != EXTENSION_READY && round->extension != EXTENSION_OTHER_VERSION)
		return;
	round->problem = SchemaProblem("amelia");
	if (round->problem != NULL)
	{
		round->problem = MemoryContextStrdup(round->context, round->problem);
		return;
	}
	round->may_begin = true;
}

/*
 * Whether nobody wants us gone.
 */
static bool
MayGoOn(void)
{
	CHECK_FOR_INTERRUPTS();
	/* Else it would keep the server from being started again: it never waits. */
	if (!PostmasterIsAlive())
		proc_exit(1);
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	return !ShutdownRequestPending && amelia_enabled;
}

static void
DoUpkeepStep(Round *round)
{
	round->extension = LockExtension("amelia");
	round->more = round->extension == EXTENSION_READY && UpkeepStep(round->upkeep);
}

/*
 * Do what is to be done for usage and budgets.
 */
static void
DoUpkeep(Round *round)
{
	round->upkeep = UpkeepBegin();
	round->more = true;
	while (round->more && MayGoOn())
	{
		if (!DoStep(round, DoUpkeepStep))
			round->more = !ShutdownRequestPending && UpkeepFailed(round->upkeep);
	}
	UpkeepFree(round->upkeep);
}

static void
BeginRetention(Round *round)
{
	round->extension = LockExtension("amelia");
	if (round->extension == EXTENSION_READY)
		round->retention = RetentionRoundBegin(true, round->thorough, false, &round->other_pid);
}

static void
DoBatch(Round *round)
{
	round->extension = LockExtension("amelia");
	round->more = round->extension == EXTENSION_READY && RetentionBatch(round->retention);
}

static void
NoteFailedBatch(Round *round)
{
	round->more = RetentionBatchFailed(round->retention, round->error);
}

static void
EndRound(Round *round)
{
	RetentionRoundEnd(round->retention, round->outcome, round->ended_by);
}

/*
 * Do batches for as long as there are any and nobody wants us gone.
 */
static void
DoBatches(Round *round)
{
	round->outcome = RETENTION_STOPPED;
	while (MayGoOn())
	{
		if (DoStep(round, DoBatch))
		{
			if (round->more)
				continue;
			if (round->extension == EXTENSION_READY)
				round->outcome = RETENTION_COMPLETED;
			return;
		}
		if (ShutdownRequestPending || (DoStep(round, NoteFailedBatch) && round->more))
			continue;
		round->ended_by = round->error;
		if (round->ended_by->sqlerrcode != ERRCODE_QUERY_CANCELED)
			round->outcome = RETENTION_FAILED;
		return;
	}
}

static void
PruneBatch(Round *round)
{
	round->extension = LockExtension("amelia");
	round->more = round->extension == EXTENSION_READY && PruneFeed();
}

/*
 * Prune the feed, for as long as nobody wants us gone; what is left is the next
 * round's, so that a trigger which makes rows anew does not keep us here.
 */
static void
PruneInBatches(Round *round)
{
	int			batches = 0;

	while (!ShutdownRequestPending && amelia_enabled && PostmasterIsAlive() &&
		   DoStep(round, PruneBatch) && round->more && ++batches < MAX_FEED_BATCHES)
		CHECK_FOR_INTERRUPTS();
}

static void
DoOtherStep(Round *round)
{
	round->more = OtherRoundStep(&round->others, &round->extension);
}

/*
 * Do what the other extensions of ours need.
 */
static void
DoOtherRounds(Round *round)
{
	round->more = true;
	while (round->more && MayGoOn())
	{
		if (!DoStep(round, DoOtherStep) && !ShutdownRequestPending)
			OtherRoundFailed(&round->others);
	}
}

/*
 * What a round, or the look that did not lead to one, came to, and why.
 */
static DatabaseState
RoundState(const Round *round, const char **reason)
{
	*reason = "";
	if (round->errors > round->errors_of_locks)
		return DATABASE_FAILED;
	if (round->problem != NULL)
	{
		*reason = round->problem;
		return DATABASE_INCOMPLETE;
	}
	if (ShutdownRequestPending)
	{
		*reason = "the maintenance worker was told to end";
		return DATABASE_BUSY;
	}
	if (!amelia_enabled)
	{
		*reason = "amelia.enabled is off in this database";
		return DATABASE_DISABLED;
	}
	switch (round->extension)
	{
		case EXTENSION_MISSING:
			return DATABASE_WITHOUT;
		case EXTENSION_CHANGING:
		case EXTENSION_OTHER_VERSION:
			*reason = "the extension was being created, updated or dropped";
			return DATABASE_BUSY;
		case DATABASE_WANTED:
			*reason = "the database was being dropped, renamed or copied";
			return DATABASE_BUSY;
		case EXTENSION_READY:
			break;
	}
	if (round->retention == NULL && round->error != NULL)
	{
		*reason = "somebody held a lock on a table";
		return DATABASE_BUSY;
	}
	if (round->retention == NULL)
	{
		*reason = psprintf("process %d was running retention", round->other_pid);
		return DATABASE_BUSY;
	}
	return DATABASE_DONE;
}

/*
 * Tell the launcher, and whoever asks for the status.
 */
static void
ReportRound(const Round *round)
{
	DatabaseEntry *entry;
	const char *reason;
	DatabaseState state = RoundState(round, &reason);
	int			failures = 0;
	bool		works_again = false;

	LWLockAcquire(launcher_state->lock, LW_EXCLUSIVE);
	entry = FindDatabase(MyDatabaseId);
	if (entry != NULL)
	{
		/* If CREATE EXTENSION came after we had looked, another look is due. */
		if (entry->state != DATABASE_UNKNOWN)
			entry->state = state;
		entry->finished = GetCurrentTimestamp();
		strlcpy(entry->reason, reason, sizeof(entry->reason));
		if (state == DATABASE_DONE && round->thorough)
			entry->thorough = entry->started;
		if (state == DATABASE_FAILED)
			entry->failures++;
		else if (state == DATABASE_DONE)
		{
			failures = entry->failures;
			entry->failures = 0;
			works_again = round->errors == 0 && entry->logged_errors > 0;
			if (round->errors == 0)
				entry->logged_errors = 0;
		}
	}
	LWLockRelease(launcher_state->lock);

	if (works_again)
		ereport(LOG,
				(errmsg("maintenance of database \"%s\" works again", database_name),
				 failures > 0 ? errdetail("Rounds with an error before: %d.", failures) : 0));
}

/*
 * One round, as far as it gets.
 */
static void
DoRound(Round *round)
{
	round->extension = EXTENSION_READY;
	if (!amelia_enabled)
		return;
	NoteEnabled();
	if (!DoStep(round, BeginRound) || !round->may_begin)
		return;
	pgstat_report_activity(STATE_RUNNING, "usage");
	DoUpkeep(round);
	if (round->extension == EXTENSION_READY)
		DoOtherRounds(round);
	if (round->extension != EXTENSION_READY || !MayGoOn() ||
		!DoStep(round, BeginRetention) || round->retention == NULL)
		return;
	pgstat_report_activity(STATE_RUNNING, "retention");
	/* Retention comes last: a trigger of the user's can end the process. */
	PruneInBatches(round);
	DoBatches(round);
	(void) DoStep(round, EndRound);
	RetentionRoundFree(round->retention);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/*
 * The maintenance worker's process; the argument is the database.
 */
void
AmeliaMaintenanceMain(Datum main_arg)
{
	Oid			database = DatumGetObjectId(main_arg);
	ErrorContextCallback callback = {.callback = MaintenanceErrorContext};
	Round		round = {0};

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	if (launcher_state == NULL || !EnterDatabase(database, &round.thorough))
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	UseOwnSettings();
	pqsignal(SIGTERM, HandleTerminate);
	round.context = AllocSetContextCreate(TopMemoryContext, "amelia maintenance",
										  ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(round.context);
	if (!RecoveryInProgress())
	{
		DoRound(&round);
		ReportRound(&round);
	}
	error_context_stack = callback.previous;
	proc_exit(0);
}
