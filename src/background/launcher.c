/*-------------------------------------------------------------------------
 *
 * launcher.c
 *	  The launcher: starts a maintenance worker in each database that is due.
 *
 *	  It connects to no database, so that it is in nobody's way, and reads
 *	  the shared catalog of databases. One worker runs at a time; when one
 *	  takes long, others are started beside it, so that a long round in one
 *	  database does not keep the others waiting. A worker does one round and
 *	  exits; being told so by the postmaster, the launcher looks for what is
 *	  due next. Notifiers it starts when an append asks for one.
 *
 *	  Every way in which the launcher ends has exit status 1: the postmaster
 *	  would never start again what exits with 0.
 *
 *-------------------------------------------------------------------------
 */
#include "background/launcher.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/launcher_state.h"
#include "base/settings.h"
#include "feed/notify.h"

/* Maintenance workers at the same time. */
#define MAX_WORKERS 3

/* How long a worker may take before another is started beside it. */
#define PATIENCE_MS (10 * 1000)

/* Before the launcher is started again. */
#define RESTART_S 5

/* pg_database.datconnlimit of one whose DROP was interrupted */
#define INVALID_DATABASE_LIMIT (-2)

/* A worker that the launcher has started; handle NULL: none. */
typedef struct StartedWorker
{
	BackgroundWorkerHandle *handle;
	Oid			database;
	TimestampTz started;
} StartedWorker;

static StartedWorker workers[MAX_WORKERS];

PGDLLEXPORT void AmeliaLauncherMain(Datum main_arg);

/*
 * Fill in what the launcher and the maintenance workers have in common.
 */
static void
DescribeWorker(BackgroundWorker *worker, const char *name, const char *function)
{
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	strlcpy(worker->bgw_library_name, "amelia", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, function, sizeof(worker->bgw_function_name));
	strlcpy(worker->bgw_name, name, sizeof(worker->bgw_name));
	strlcpy(worker->bgw_type, name, sizeof(worker->bgw_type));
}

/*
 * Register the launcher, while libraries are preloaded.
 */
void
InitBackground(void)
{
	BackgroundWorker worker = {0};

	InitLauncherState();
	DescribeWorker(&worker, "amelia launcher", "AmeliaLauncherMain");
	worker.bgw_restart_time = RESTART_S;
	RegisterBackgroundWorker(&worker);
}

/*
 * The databases that can be connected to, in CurrentMemoryContext; or only
 * those in which maintenance may run by itself.
 */
static List *
ReadDatabases(bool only_maintained)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *databases = NIL;
	Relation	catalog;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	catalog = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(catalog, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext before;

		if (!database->datallowconn || database->datconnlimit == INVALID_DATABASE_LIMIT ||
			(only_maintained && !IsMaintainedDatabase(NameStr(database->datname))))
			continue;
		before = MemoryContextSwitchTo(context);
		databases = lappend_oid(databases, database->oid);
		MemoryContextSwitchTo(before);
	}
	table_endscan(scan);
	table_close(catalog, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return databases;
}

/*
 * Note a worker that came to its end before its round did: one that was
 * terminated, or could not connect.
 */
static void
NoteLostWorker(const StartedWorker *worker)
{
	DatabaseEntry *entry;

	LWLockAcquire(launcher_state->lock, LW_EXCLUSIVE);
	entry = FindDatabase(worker->database);
	if (entry != NULL && entry->pid == 0 && entry->finished < worker->started)
	{
		entry->state = DATABASE_FAILED;
		entry->started = worker->started;
		entry->finished = entry->failed_at = GetCurrentTimestamp();
		entry->failures++;
		entry->sqlstate = ERRCODE_ADMIN_SHUTDOWN;
		strlcpy(entry->error, "the maintenance worker ended before its round did; the server log has why",
				sizeof(entry->error));
	}
	LWLockRelease(launcher_state->lock);
}

/*
 * Release the handles of workers that have ended.
 */
static void
ReapWorkers(void)
{
	for (int i = 0; i < MAX_WORKERS; i++)
	{
		pid_t		pid;

		if (workers[i].handle == NULL ||
			GetBackgroundWorkerPid(workers[i].handle, &pid) != BGWH_STOPPED)
			continue;
		NoteLostWorker(&workers[i]);
		pfree(workers[i].handle);
		workers[i].handle = NULL;
	}
}

static bool
IsStarted(Oid database)
{
	for (int i = 0; i < MAX_WORKERS; i++)
	{
		if (workers[i].handle != NULL && workers[i].database == database)
			return true;
	}
	return false;
}

/*
 * A place for one more worker, or NULL when it is not its turn: while others
 * run that may still end soon, and when there are too many.
 */
static StartedWorker *
FreePlace(TimestampTz now)
{
	StartedWorker *place = NULL;

	for (int i = 0; i < MAX_WORKERS; i++)
	{
		if (workers[i].handle == NULL)
			place = &workers[i];
		else if (!TimestampDifferenceExceeds(workers[i].started, now, PATIENCE_MS))
			return NULL;
	}
	return place;
}

/*
 * Forget databases that are gone or not to be gone into.
 */
static void
ForgetDatabases(List *databases)
{
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		DatabaseEntry *entry = &launcher_state->databases[i];

		if (OidIsValid(entry->database) && entry->pid == 0 &&
			!list_member_oid(databases, entry->database))
			entry->database = InvalidOid;
	}
}

/*
 * The database that is due next and has no worker, and in *due since when or
 * from when on; InvalidOid when there is none.
 */
static Oid
NextDatabase(List *databases, TimestampTz *due)
{
	static bool told_too_many = false;
	bool		too_many = false;
	Oid			next = InvalidOid;
	ListCell   *cell;

	*due = DT_NOEND;
	LWLockAcquire(launcher_state->lock, LW_EXCLUSIVE);
	ForgetDatabases(databases);
	foreach(cell, databases)
	{
		Oid			database = lfirst_oid(cell);
		DatabaseEntry *entry = FindDatabase(database);
		TimestampTz round;

		if (entry == NULL)
			entry = AddDatabase(database, false);
		if (entry == NULL)
		{
			too_many = true;
			continue;
		}
		if (entry->pid != 0 || IsStarted(database))
			continue;
		round = NextRound(entry);
		if (round < *due)
		{
			next = database;
			*due = round;
		}
	}
	LWLockRelease(launcher_state->lock);

	if (too_many && !told_too_many)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("maintenance cannot keep more than %d databases in mind", MAX_DATABASES),
				 errdetail("It comes to the others late, or not at all."),
				 errhint("Name the databases that it shall look after in amelia.databases.")));
	told_too_many = too_many;
	return next;
}

/*
 * Start a maintenance worker; false when the server has no room for one,
 * which is logged once, until there is again.
 */
static bool
StartWorker(Oid database, StartedWorker *place)
{
	static bool told = false;
	const char *problem = "no background worker can be started: max_worker_processes is reached";
	BackgroundWorker worker = {0};
	MemoryContext before = MemoryContextSwitchTo(TopMemoryContext);
	bool		started;

	DescribeWorker(&worker, "amelia maintenance worker", "AmeliaMaintenanceMain");
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	worker.bgw_notify_pid = MyProcPid;
	place->database = database;
	place->started = GetCurrentTimestamp();
	started = RegisterDynamicBackgroundWorker(&worker, &place->handle);
	MemoryContextSwitchTo(before);

	if (started == told)
	{
		LWLockAcquire(launcher_state->lock, LW_EXCLUSIVE);
		strlcpy(launcher_state->no_worker, started ? "" : problem, sizeof(launcher_state->no_worker));
		LWLockRelease(launcher_state->lock);
		if (started)
			ereport(LOG, (errmsg("maintenance workers can be started again")));
		else
			ereport(WARNING,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("no maintenance worker can be started"),
					 errhint("You might need to raise max_worker_processes.")));
	}
	told = !started;
	return started;
}

/*
 * Start what is due and has its turn. Returns how long to wait until there
 * may be more to do, in milliseconds, unless something happens before.
 */
static long
StartDueWorkers(void)
{
	long		wait = Min(amelia_naptime * 1000L, PATIENCE_MS);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "amelia databases",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	List	   *databases = ReadDatabases(true);

	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();
		StartedWorker *place = FreePlace(now);
		TimestampTz due;
		Oid			database;

		CHECK_FOR_INTERRUPTS();
		if (place == NULL)
			break;
		database = NextDatabase(databases, &due);
		if (!OidIsValid(database) || due > now)
		{
			wait = Min(wait, TimestampDifferenceMilliseconds(now, due) + 1);
			break;
		}
		if (!StartWorker(database, place))
			break;
	}
	MemoryContextSwitchTo(before);
	MemoryContextDelete(context);
	return wait;
}

/*
 * Start a notifier wherever there is something to tell and none. Returns how
 * long to wait until there may be more to do.
 */
static long
StartNotifiers(void)
{
	static bool told = false;
	long		wait = PATIENCE_MS;
	MemoryContext context;
	MemoryContext before;
	List	   *databases;
	TimestampTz due;
	Oid			database;

	if (!AnyoneToNotify())
		return wait;
	context = AllocSetContextCreate(CurrentMemoryContext, "amelia notifiers",
									ALLOCSET_DEFAULT_SIZES);
	before = MemoryContextSwitchTo(context);
	databases = ReadDatabases(false);
	while (OidIsValid(database = NextToNotify(databases, &due)))
	{
		BackgroundWorker worker = {0};
		bool		started;

		CHECK_FOR_INTERRUPTS();
		DescribeWorker(&worker, "amelia notifier", "AmeliaNotifierMain");
		worker.bgw_restart_time = BGW_NEVER_RESTART;
		worker.bgw_main_arg = ObjectIdGetDatum(database);
		started = RegisterDynamicBackgroundWorker(&worker, NULL);
		if (!started && !told)
			ereport(WARNING,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("no notifier can be started"),
					 errhint("You might need to raise max_worker_processes.")));
		told = !started;
	}
	if (!TIMESTAMP_IS_NOEND(due))
		wait = Min(wait, TimestampDifferenceMilliseconds(GetCurrentTimestamp(), due) + 1);
	MemoryContextSwitchTo(before);
	MemoryContextDelete(context);
	return wait;
}

static void
LeaveState(int code, Datum arg)
{
	LWLockAcquire(launcher_state->lock, LW_EXCLUSIVE);
	launcher_state->launcher_pid = 0;
	launcher_state->launcher_latch = NULL;
	launcher_state->no_worker[0] = '\0';
	LWLockRelease(launcher_state->lock);
}

static void
EnterState(void)
{
	before_shmem_exit(LeaveState, (Datum) 0);
	LWLockAcquire(launcher_state->lock, LW_EXCLUSIVE);
	launcher_state->launcher_pid = MyProcPid;
	launcher_state->launcher_latch = MyLatch;
	LWLockRelease(launcher_state->lock);
}

/*
 * SIGTERM. Most of the time the launcher sleeps and can leave quietly, as it
 * should when the server is shut down.
 */
void
TerminateQuietly(SIGNAL_ARGS)
{
	ShutdownRequestPending = true;
	die(postgres_signal_arg);
}

/*
 * The launcher's process.
 */
void
AmeliaLauncherMain(Datum main_arg)
{
	uint32		wait_event;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, TerminateQuietly);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	wait_event = CompatWaitEvent("AmeliaLauncher");
	EnterState();

	for (;;)
	{
		long		wait = PATIENCE_MS;

		if (ShutdownRequestPending)
			proc_exit(1);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		ReapWorkers();
		if (!RecoveryInProgress())
		{
			wait = StartNotifiers();
			wait = Min(wait, StartDueWorkers());
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 wait, wait_event);
		ResetLatch(MyLatch);
	}
}
