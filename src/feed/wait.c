/*-------------------------------------------------------------------------
 *
 * wait.c
 *	  Waiting for what another session commits: a workflow's next event, or
 *	  what another extension of ours has its sessions wait for.
 *
 *	  Sessions that wait enter themselves in shared memory, with the subject
 *	  that they wait for; an append that has committed sets the latches of
 *	  those that wait for its workflow. A subject is a UUID, so no two kinds
 *	  have one in common.
 *	  Nobody waits, usually, and then an append looks at one number. What
 *	  brings no such signal (COMMIT PREPARED, a standby) is found by looking
 *	  once a second. Without the shared memory, because the library was not
 *	  preloaded, it is looked at more often.
 *
 *	  While it sleeps the session has no snapshot, so it holds up no vacuum.
 *
 *-------------------------------------------------------------------------
 */
#include "feed/wait.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "portability/instr_time.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/check.h"
#include "base/execute.h"

PG_FUNCTION_INFO_V1(amelia_wait_events);
PG_FUNCTION_INFO_V1(amelia_waiting_sessions);

/* How long between two looks, with shared memory and without. */
#define LOOK_MS 1000
#define BLIND_LOOK_MS 50

typedef struct Waiter
{
	Latch	   *latch;			/* NULL: this place is free */
	Oid			database;
	pg_uuid_t	subject;
} Waiter;

typedef struct WaitState
{
	LWLock	   *lock;			/* protects the waiters */
	pg_atomic_uint32 count;
	Waiter		waiters[FLEXIBLE_ARRAY_MEMBER];
} WaitState;

static int	max_waiters = 100;

/* NULL when the library was not preloaded. */
static WaitState *wait_state = NULL;

/* our place, while we wait; -1: none */
static int	my_place = -1;

static shmem_request_hook_type next_shmem_request_hook = NULL;
static shmem_startup_hook_type next_shmem_startup_hook = NULL;

static Size
WaitStateSize(void)
{
	return add_size(offsetof(WaitState, waiters), mul_size(max_waiters, sizeof(Waiter)));
}

static void
RequestWaitState(void)
{
	if (next_shmem_request_hook != NULL)
		next_shmem_request_hook();
	RequestAddinShmemSpace(WaitStateSize());
	RequestNamedLWLockTranche("amelia_waiters", 1);
}

static void
StartWaitState(void)
{
	bool		found;

	if (next_shmem_startup_hook != NULL)
		next_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	wait_state = ShmemInitStruct("amelia waiters", WaitStateSize(), &found);
	if (!found)
	{
		memset(wait_state, 0, WaitStateSize());
		wait_state->lock = &GetNamedLWLockTranche("amelia_waiters")->lock;
		pg_atomic_init_u32(&wait_state->count, 0);
	}
	LWLockRelease(AddinShmemInitLock);
}

bool
AnyoneWaits(void)
{
	return wait_state != NULL && pg_atomic_read_u32(&wait_state->count) > 0;
}

/*
 * Wake those who wait for a subject. Called after the commit: it cannot fail.
 */
void
WakeWaiters(const pg_uuid_t *subject)
{
	LWLockAcquire(wait_state->lock, LW_SHARED);
	for (int i = 0; i < max_waiters; i++)
	{
		Waiter	   *waiter = &wait_state->waiters[i];

		if (waiter->latch != NULL && waiter->database == MyDatabaseId &&
			memcmp(&waiter->subject, subject, sizeof(pg_uuid_t)) == 0)
			SetLatch(waiter->latch);
	}
	LWLockRelease(wait_state->lock);
}

static void
LeaveWaiters(int code, Datum arg)
{
	if (my_place < 0)
		return;
	LWLockAcquire(wait_state->lock, LW_EXCLUSIVE);
	wait_state->waiters[my_place].latch = NULL;
	LWLockRelease(wait_state->lock);
	pg_atomic_fetch_sub_u32(&wait_state->count, 1);
	my_place = -1;
}

/*
 * Enter ourselves among the waiters; 53400 when there are too many.
 */
static void
EnterWaiters(const pg_uuid_t *subject)
{
	static bool exit_registered = false;

	if (wait_state == NULL)
		return;
	if (!exit_registered)
		before_shmem_exit(LeaveWaiters, (Datum) 0);
	exit_registered = true;
	LWLockAcquire(wait_state->lock, LW_EXCLUSIVE);
	for (int i = 0; i < max_waiters && my_place < 0; i++)
	{
		Waiter	   *waiter = &wait_state->waiters[i];

		if (waiter->latch != NULL)
			continue;
		waiter->latch = MyLatch;
		waiter->database = MyDatabaseId;
		waiter->subject = *subject;
		my_place = i;
	}
	LWLockRelease(wait_state->lock);
	if (my_place < 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("%d sessions wait for events already", max_waiters),
				 errhint("You might need to raise amelia.max_waiters.")));
	pg_atomic_fetch_add_u32(&wait_state->count, 1);
}

/*
 * Whether the workflow has an event behind a sequence, committed by now. The path is the caller's: a procedure that commits can
 * have none of its own.
 */
static double
LookForEvent(const pg_uuid_t *workflow, void *after)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {UUIDOID, INT4OID};
	Datum		values[] = {UUIDPGetDatum(workflow), Int32GetDatum(*(int32 *) after)};

	if (SPI_execute_plan(KeptPlan(&plan, "SELECT FROM amelia.workflow_log AS e"
								  " WHERE e.workflow_id OPERATOR(pg_catalog.=) $1"
								  " AND e.sequence OPERATOR(pg_catalog.>) $2 LIMIT 1",
								  lengthof(types), types), values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for events");
	return SPI_processed > 0 ? 0 : WAIT_LONG;
}

/* Milliseconds since a time, by a clock that nobody sets. */
static double
ElapsedSince(instr_time start)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return INSTR_TIME_GET_MILLISEC(now);
}

/*
 * Sleep until the latch is set, or for so many milliseconds; and end the
 * session if its client is gone, where the platform tells.
 */
static void
Sleep(long timeout, uint32 wait_event)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout, wait_event);
	if (whereToSendOutput == DestRemote && WaitEventSetCanReportClosed() && !pq_check_connection())
	{
		ClientConnectionLost = true;
		InterruptPending = true;
	}
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Look and sleep until what is waited for is there or the time, in
 * milliseconds, is over.
 */
static void
LookAndSleep(const pg_uuid_t *subject, double timeout, WaitLook look, void *arg)
{
	static uint32 wait_event = 0;
	instr_time	start;

	if (wait_event == 0)
		wait_event = CompatWaitEvent("AmeliaWaitEvents");

	/*
	 * The snapshot that the call came with is older than our place among the
	 * waiters: what was committed in between would neither be seen nor wake
	 * us.
	 */
	INSTR_TIME_SET_CURRENT(start);
	SPI_commit();
	for (;;)
	{
		double		next = look(subject, arg);
		double		left = timeout - ElapsedSince(start);

		/* Lets go of the snapshot, and of the transaction with it. */
		SPI_commit();
		if (next <= 0 || left <= 0)
			break;
		next = Min(next, wait_state != NULL ? LOOK_MS : BLIND_LOOK_MS);
		Sleep((long) ceil(Min(left, next)), wait_event);
	}
}

/* How many milliseconds an interval has; a month has thirty days. */
static double
Milliseconds(const Interval *timeout)
{
	return ((double) timeout->month * DAYS_PER_MONTH + timeout->day) * SECS_PER_DAY * 1000.0 +
		timeout->time / 1000.0;
}

/*
 * Wait for a subject, for as long as the interval says, on behalf of a
 * procedure: only that can let go of its snapshot. look, which SPI is
 * connected for, says whether it is there (0), or after how many milliseconds
 * it may be without anybody's signal.
 */
void
WaitFor(FunctionCallInfo fcinfo, const char *procedure, Datum subject_value, const Interval *timeout,
		WaitLook look, void *arg)
{
	CallContext *context = (CallContext *) fcinfo->context;
	double		milliseconds = Milliseconds(timeout);
	pg_uuid_t	subject;

	if (context == NULL || !IsA(context, CallContext) || context->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s() cannot run inside a transaction block", procedure),
				 errdetail("It would hold a snapshot, and see nothing that commits meanwhile.")));
	/* Arguments do not outlive the first commit. */
	subject = *DatumGetUUIDP(subject_value);
	PG_TRY();
	{
		SPI_connect_ext(SPI_OPT_NONATOMIC);
		EnterWaiters(&subject);
		LookAndSleep(&subject, milliseconds, look, arg);
		SPI_finish();
	}
	PG_FINALLY();
	{
		LeaveWaiters(0, (Datum) 0);
	}
	PG_END_TRY();
}

/*
 * wait_events(workflow_id uuid, after_sequence integer, timeout interval)
 */
Datum
amelia_wait_events(PG_FUNCTION_ARGS)
{
	int32		after;

	if (PG_ARGISNULL(0))
		RefuseMissing("workflow_id");
	if (PG_ARGISNULL(1))
		RefuseMissing("after_sequence");
	if (PG_ARGISNULL(2))
		RefuseMissing("timeout");
	after = PG_GETARG_INT32(1);
	WaitFor(fcinfo, "wait_events", PG_GETARG_DATUM(0), PG_GETARG_INTERVAL_P(2), LookForEvent, &after);
	return (Datum) 0;
}

/*
 * Called once, when the library is loaded.
 */
void
InitWait(void)
{
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	DefineCustomIntVariable("amelia.max_waiters",
							"Sessions that may wait for events or messages at the same time.",
							NULL,
							&max_waiters, 100, 1, 10000,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	next_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = RequestWaitState;
	next_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = StartWaitState;
}

/* waiting_sessions() returns integer */
Datum
amelia_waiting_sessions(PG_FUNCTION_ARGS)
{
	int32		waiting = 0;

	if (wait_state == NULL)
		PG_RETURN_NULL();
	LWLockAcquire(wait_state->lock, LW_SHARED);
	for (int i = 0; i < max_waiters; i++)
	{
		if (wait_state->waiters[i].latch != NULL && wait_state->waiters[i].database == MyDatabaseId)
			waiting++;
	}
	LWLockRelease(wait_state->lock);
	PG_RETURN_INT32(waiting);
}
