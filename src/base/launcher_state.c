/*-------------------------------------------------------------------------
 *
 * launcher_state.c
 *	  What the launcher, the maintenance workers and the sessions tell each
 *	  other, in shared memory.
 *
 *	  The launcher has no database, and cannot see which ones have the
 *	  extension. So a maintenance worker looks, and leaves what it found here.
 *	  One LWLock protects it all: it is taken a few times per round and held
 *	  for a moment. Nothing here is older than the last start of the server
 *	  or the last crash of a process; retention_runs has what came before.
 *
 *-------------------------------------------------------------------------
 */
#include "base/launcher_state.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "base/settings.h"

/* How long a database that had no extension is believed to have none. */
#define LOOK_AGAIN_MS (10 * 60 * 1000)

/*
 * Until a database is tried again in which somebody else was at it. The one
 * who wakes us after CREATE EXTENSION may still hold its lock for a moment.
 */
#define BUSY_MS (5 * 1000)

/* After errors the time to the next round doubles, so often at most. */
#define MAX_DOUBLINGS 6

/* The longest such time, unless the naptime is longer. */
#define MAX_DELAY_MS (60 * 60 * 1000)

LauncherState *launcher_state = NULL;

static shmem_request_hook_type next_shmem_request_hook = NULL;
static shmem_startup_hook_type next_shmem_startup_hook = NULL;

/* Whether this transaction changes what the launcher believes, if it commits. */
static bool wake_at_commit = false;

static void
RequestWorkerState(void)
{
	if (next_shmem_request_hook != NULL)
		next_shmem_request_hook();
	RequestAddinShmemSpace(sizeof(LauncherState));
	RequestNamedLWLockTranche("amelia", 1);
}

static void
StartWorkerState(void)
{
	bool		found;

	if (next_shmem_startup_hook != NULL)
		next_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	launcher_state = ShmemInitStruct("amelia", sizeof(LauncherState), &found);
	if (!found)
	{
		memset(launcher_state, 0, sizeof(LauncherState));
		launcher_state->lock = &GetNamedLWLockTranche("amelia")->lock;
	}
	LWLockRelease(AddinShmemInitLock);
}

void
InitLauncherState(void)
{
	next_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = RequestWorkerState;
	next_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = StartWorkerState;
}

/*
 * What is known of a database, or NULL. The caller holds the lock, and for as
 * long as it uses the result.
 */
DatabaseEntry *
FindDatabase(Oid database)
{
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		if (launcher_state->databases[i].database == database)
			return &launcher_state->databases[i];
	}
	return NULL;
}

/*
 * Begin to keep a database in mind. When there is no room left, the one is
 * forgotten that was found without the extension longest ago: at once, or
 * only when it is time to look there again. NULL when there is no such one.
 * The caller holds the lock, exclusively.
 */
DatabaseEntry *
AddDatabase(Oid database, bool at_once)
{
	DatabaseEntry *entry = FindDatabase(InvalidOid);

	if (entry == NULL)
	{
		for (int i = 0; i < MAX_DATABASES; i++)
		{
			DatabaseEntry *other = &launcher_state->databases[i];

			if (other->state == DATABASE_WITHOUT && other->pid == 0 &&
				(entry == NULL || other->finished < entry->finished))
				entry = other;
		}
		if (entry == NULL || (!at_once && NextRound(entry) > GetCurrentTimestamp()))
			return NULL;
	}
	memset(entry, 0, sizeof(DatabaseEntry));
	entry->database = database;
	return entry;
}

/*
 * When a database is due: in the past if it is by now.
 */
TimestampTz
NextRound(const DatabaseEntry *entry)
{
	int64		naptime = amelia_naptime * INT64CONST(1000);
	int64		delay = naptime;

	/* A clock that was set back must not keep it waiting. */
	if (entry->state == DATABASE_UNKNOWN || entry->finished > GetCurrentTimestamp())
		return DT_NOBEGIN;
	if (entry->state == DATABASE_WITHOUT)
		delay = LOOK_AGAIN_MS;
	else if (entry->state == DATABASE_BUSY)
		delay = Min(naptime, BUSY_MS);
	else if (entry->failures > 0)
		delay = Max(naptime, Min(naptime << Min(entry->failures, MAX_DOUBLINGS), MAX_DELAY_MS));
	return entry->finished + delay * INT64CONST(1000);
}

/*
 * Have the launcher look for what there is to do. It cannot fail.
 */
void
NudgeLauncher(void)
{
	if (launcher_state == NULL)
		return;
	LWLockAcquire(launcher_state->lock, LW_SHARED);
	if (launcher_state->launcher_latch != NULL)
		SetLatch(launcher_state->launcher_latch);
	LWLockRelease(launcher_state->lock);
}

/*
 * Tell the launcher to look into this database.
 */
static void
WakeLauncher(void)
{
	DatabaseEntry *entry;

	LWLockAcquire(launcher_state->lock, LW_EXCLUSIVE);
	entry = FindDatabase(MyDatabaseId);
	if (entry == NULL)
		entry = AddDatabase(MyDatabaseId, true);
	if (entry != NULL)
		entry->state = DATABASE_UNKNOWN;
	if (launcher_state->launcher_latch != NULL)
		SetLatch(launcher_state->launcher_latch);
	LWLockRelease(launcher_state->lock);
}

static void
WakeAtEnd(XactEvent event, void *arg)
{
	if (!wake_at_commit)
		return;
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			wake_at_commit = false;
			WakeLauncher();
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			wake_at_commit = false;
			break;
		default:
			break;
	}
}

/*
 * Have the launcher look into this database once the transaction has
 * committed: it may have got the extension.
 */
void
WakeLauncherAtCommit(void)
{
	static bool registered = false;

	if (launcher_state == NULL)
		return;
	if (!registered)
		RegisterXactCallback(WakeAtEnd, NULL);
	registered = true;
	wake_at_commit = true;
}
