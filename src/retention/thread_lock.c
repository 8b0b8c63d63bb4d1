/*-------------------------------------------------------------------------
 *
 * thread_lock.c
 *	  Locks on LangGraph's threads: shared by who writes, alone by who prunes.
 *
 *	  A saver inserts a checkpoint's blobs with ON CONFLICT DO NOTHING, which
 *	  takes no lock on a blob that is there. Were it pruned before the
 *	  checkpoint is stored, that would point at nothing. So the fence's trigger
 *	  shares a lock on the thread to the end of the transaction, and pruning
 *	  wants it alone, and passes over a thread that it does not get at once.
 *
 *	  A transaction that writes many threads would fill the server's table of
 *	  locks. From its MAX_THREADS_LOCKED-th thread on it shares one lock on all
 *	  threads of the schema, which pruning takes in a mode of its own too. One
 *	  that prunes many threads cannot do that, without being in the way of all
 *	  who write: it may hold only a part of what that table has room for.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/thread_lock.h"

#include "access/twophase.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"

#include "base/row.h"

#define MAX_THREADS_LOCKED 64

/* What one transaction that prunes leaves to all others of the table of locks. */
#define PART_OF_LOCKS 4

/* threads that this transaction has locked, or a few less */
static int	threads_locked = 0;

/* threads that this transaction has pruned, and holds alone */
static int	threads_held = 0;
static bool is_registered = false;

/* what is written now is Amelia's own */
static bool trusts_rows = false;

static void
ForgetLocks(XactEvent event, void *arg)
{
	threads_locked = 0;
	threads_held = 0;
}

/* Have the counts begin anew with each transaction. */
static void
CountInTransaction(void)
{
	if (!is_registered)
		RegisterXactCallback(ForgetLocks, NULL);
	is_registered = true;
}

/* The tag of a thread's lock. */
static void
SetThreadTag(LOCKTAG *tag, Oid schema, const char *thread)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, schema,
						 hash_bytes((const unsigned char *) thread, strlen(thread)), LOCK_THREAD);
}

/*
 * Share the lock on a thread with others who write to it; waits for one who
 * prunes. Who prunes it has more than that.
 */
void
ShareThread(Oid schema, const char *thread)
{
	LOCKTAG		tag;

	CountInTransaction();
	SetThreadTag(&tag, schema, thread);
	if (CompatLockHeldByMe(&tag, ExclusiveLock))
		return;
	if (threads_locked >= MAX_THREADS_LOCKED)
	{
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, schema, 0, LOCK_ALL_THREADS);
		(void) LockAcquire(&tag, ShareLock, false, false);
		return;
	}
	if (LockAcquire(&tag, ShareLock, false, false) == LOCKACQUIRE_OK)
		threads_locked++;
}

/*
 * Whether the fence is to let through what refers to a checkpoint that is not
 * there, or that nobody may go on from: who prunes or copies only repeats what is
 * there.
 */
void
TrustRows(bool trust)
{
	trusts_rows = trust;
}

bool
AreRowsTrusted(void)
{
	return trusts_rows;
}

/*
 * Take the lock on a thread alone, to the end of the (sub)transaction, unless
 * somebody writes to it.
 */
bool
TryHoldThread(Oid schema, const char *thread)
{
	LOCKTAG		all;
	LOCKTAG		one;

	/* Two who prune are in nobody's way. */
	SET_LOCKTAG_ADVISORY(all, MyDatabaseId, schema, 0, LOCK_ALL_THREADS);
	SetThreadTag(&one, schema, thread);
	return LockAcquire(&all, RowExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL &&
		LockAcquire(&one, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Whether this transaction may hold one more thread alone.
 */
bool
CanHoldThread(void)
{
	return threads_held < Max((int64) max_locks_per_xact * (MaxBackends + max_prepared_xacts) / PART_OF_LOCKS, 1);
}

/*
 * A thread stays held to the end of the transaction.
 */
void
NoteHeldThread(void)
{
	CountInTransaction();
	threads_held++;
}
