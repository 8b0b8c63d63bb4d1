/*-------------------------------------------------------------------------
 *
 * notifier.c
 *	  The notifier: tells those who LISTEN on amelia_events what happened in
 *	  one database.
 *
 *	  The launcher starts it when an append has left a mark (notify.c). Every
 *	  amelia.notify_interval it takes all marks and sends a notification for
 *	  each workflow, in one short transaction; after a second without marks
 *	  it ends. Marks are put back when they could not be sent, and when the
 *	  process ends before it has, so the next one sends them.
 *
 *	  Each transaction begins with a lock on the database that it does not
 *	  wait for: who wants to drop, rename or copy the database has it for
 *	  himself at once. While the notifier sleeps it has no transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "access/xact.h"
#include "commands/async.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/uuid.h"
#include "feed/notify.h"
#include "background/extension.h"
#include "background/launcher.h"
#include "background/maintenance.h"

#define CHANNEL "amelia_events"

/* How long it stays with nothing to do. */
#define IDLE_MS 1000

/* How long it sleeps at most before it looks who wants the database. */
#define LOOK_MS 200

/* How long it leaves a database alone that somebody wants, or that it failed in. */
#define DELAY_MS 1000

/* Taken and not sent yet. */
static NotifyMarks taken;

PGDLLEXPORT void AmeliaNotifierMain(Datum main_arg);

/*
 * Leave to the next one what was not sent.
 */
static void
LeaveAtExit(int code, Datum database)
{
	if (taken.everything || taken.count > 0)
		PutMarksBack(&taken);
	LeaveNotifier(DatumGetObjectId(database), DELAY_MS);
}

/*
 * Send what was taken. A workflow's id has no character that JSON would quote.
 */
static void
SendMarks(void)
{
	if (taken.everything)
		Async_Notify(CHANNEL, "{\"workflow_id\": null, \"sequence\": null}");
	for (int i = 0; i < taken.count; i++)
	{
		const NotifyMark *mark = &taken.marks[i];
		const char *id = UuidText(&mark->workflow);

		Async_Notify(CHANNEL, mark->sequence > 0 ?
					 psprintf("{\"workflow_id\": \"%s\", \"sequence\": %d}", id, mark->sequence) :
					 psprintf("{\"workflow_id\": \"%s\", \"sequence\": null}", id));
	}
}

/*
 * Take the marks and send them, in a transaction. false: somebody wants the
 * database.
 */
static bool
Notify(int *interval)
{
	bool		is_ours;

	StartTransactionCommand();
	is_ours = TryLockDatabase();
	if (is_ours)
	{
		*interval = TakeMarks(&taken);
		SendMarks();
	}
	CommitTransactionCommand();
	return is_ours;
}

/*
 * The same, with errors logged, the same one only once; then *interval is how
 * long to wait before it is tried again.
 */
static bool
TryNotify(int *interval, bool *sent)
{
	static int	logged = 0;
	MemoryContext context = CurrentMemoryContext;
	ErrorData  *volatile error = NULL;
	volatile bool is_ours = true;

	*sent = false;
	PG_TRY();
	{
		is_ours = Notify(interval);
		*sent = taken.everything || taken.count > 0;
		taken.everything = false;
		taken.count = 0;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	pgstat_report_stat(false);
	if (error != NULL)
	{
		PutMarksBack(&taken);
		taken.everything = false;
		taken.count = 0;
		*interval = DELAY_MS;
		if (error->sqlerrcode != logged)
		{
			logged = error->sqlerrcode;
			error->elevel = WARNING;
			ThrowErrorData(error);
		}
		FreeErrorData(error);
	}
	return is_ours;
}

/*
 * Notify now and then, until there is nothing to do or somebody wants the
 * database.
 */
static void
NotifyWhileNeeded(uint32 wait_event)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz busy = now;
	TimestampTz next = now;

	for (;;)
	{
		int			interval = 0;
		bool		sent;

		if (ShutdownRequestPending)
			return;
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		now = GetCurrentTimestamp();
		if (now >= next)
		{
			if (!TryNotify(&interval, &sent))
				return;
			if (sent)
				busy = now;
			else if (TimestampDifferenceExceeds(busy, now, IDLE_MS) && LeaveIdleNotifier())
				return;
			next = TimestampTzPlusMilliseconds(now, Max(interval, 1));
		}
		else
		{
			bool		is_ours;

			StartTransactionCommand();
			is_ours = TryLockDatabase();
			CommitTransactionCommand();
			if (!is_ours)
				return;
		}
		now = GetCurrentTimestamp();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Min(TimestampDifferenceMilliseconds(now, next), LOOK_MS), wait_event);
		ResetLatch(MyLatch);
	}
}

/*
 * The notifier's process; the argument is the database.
 */
void
AmeliaNotifierMain(Datum main_arg)
{
	Oid			database = DatumGetObjectId(main_arg);

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	if (!EnterNotifier(database))
		proc_exit(0);
	before_shmem_exit(LeaveAtExit, ObjectIdGetDatum(database));
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	UseOwnSettings();
	/* What it commits need not survive a crash: nobody who listens does. */
	SetConfigOption("synchronous_commit", "off", PGC_SUSET, PGC_S_OVERRIDE);
	pqsignal(SIGTERM, TerminateQuietly);
	pgstat_report_appname("amelia notifier");
	NotifyWhileNeeded(CompatWaitEvent("AmeliaNotifier"));
	proc_exit(0);
}
