/*-------------------------------------------------------------------------
 *
 * notify.c
 *	  What a notifier has to tell: marks in shared memory.
 *
 *	  A NOTIFY in each append would make all commits of the cluster wait for
 *	  each other. So an append that has committed leaves a mark, the workflow
 *	  and its highest sequence, and the notifier of the database (notifier.c)
 *	  takes the marks now and then, many appends at once. When there is none,
 *	  the launcher is asked to start one. One LWLock protects all of this.
 *
 *	  A mark for which there is no room becomes one for everything. So does
 *	  whatever was lost when a crash emptied the shared memory: a database
 *	  that is not known begins with that mark.
 *
 *-------------------------------------------------------------------------
 */
#include "feed/notify.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/hsearch.h"

#include "base/launcher_state.h"
#include "feed/feed_note.h"

/* How long a notifier that was asked for may take to come up. */
#define START_MS (5 * 1000)

typedef struct MarkKey
{
	Oid			database;
	pg_uuid_t	workflow;
} MarkKey;

typedef struct MarkEntry
{
	MarkKey		key;
	int32		sequence;
} MarkEntry;

/* A database in which something happened. */
typedef struct NotifyDatabase
{
	Oid			database;		/* InvalidOid: this entry is free */
	int			pid;			/* its notifier, or 0 */
	bool		is_asked;		/* the launcher knows that it needs one */
	TimestampTz not_before;		/* when one may be started */
	int			interval;		/* as the last append had it */
	int			marks;
	bool		everything;
} NotifyDatabase;

typedef struct NotifyState
{
	LWLock	   *lock;			/* protects what follows, and the marks */
	NotifyDatabase databases[MAX_DATABASES];
} NotifyState;

int			amelia_notify_interval = 0;

/* NULL when the library was not preloaded. */
static NotifyState *notify_state = NULL;
static HTAB *all_marks = NULL;

static shmem_request_hook_type next_shmem_request_hook = NULL;
static shmem_startup_hook_type next_shmem_startup_hook = NULL;

static void
RequestNotifyState(void)
{
	if (next_shmem_request_hook != NULL)
		next_shmem_request_hook();
	RequestAddinShmemSpace(add_size(sizeof(NotifyState),
									hash_estimate_size(MAX_MARKS, sizeof(MarkEntry))));
	RequestNamedLWLockTranche("amelia_notify", 1);
}

static void
StartNotifyState(void)
{
	HASHCTL		info = {.keysize = sizeof(MarkKey),.entrysize = sizeof(MarkEntry)};
	bool		found;

	if (next_shmem_startup_hook != NULL)
		next_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	notify_state = ShmemInitStruct("amelia notify", sizeof(NotifyState), &found);
	if (!found)
	{
		memset(notify_state, 0, sizeof(NotifyState));
		notify_state->lock = &GetNamedLWLockTranche("amelia_notify")->lock;
	}
	all_marks = ShmemInitHash("amelia notify marks", MAX_MARKS, MAX_MARKS, &info,
							  HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
	LWLockRelease(AddinShmemInitLock);
}

/*
 * What is known of a database, or NULL. The caller holds the lock, and for as
 * long as it uses the result.
 */
static NotifyDatabase *
FindEntry(Oid database)
{
	static int	last = 0;

	if (notify_state->databases[last].database == database)
		return &notify_state->databases[last];
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		if (notify_state->databases[i].database == database)
		{
			last = i;
			return &notify_state->databases[i];
		}
	}
	return NULL;
}

static bool
HasMarks(const NotifyDatabase *entry)
{
	return entry->everything || entry->marks > 0;
}

/*
 * The same, and make it known; NULL when all entries are in use.
 */
static NotifyDatabase *
AddEntry(Oid database)
{
	NotifyDatabase *entry = FindEntry(database);

	if (entry != NULL)
		return entry;
	entry = FindEntry(InvalidOid);
	for (int i = 0; i < MAX_DATABASES && entry == NULL; i++)
	{
		NotifyDatabase *other = &notify_state->databases[i];

		if (other->pid == 0 && !HasMarks(other))
			entry = other;
	}
	if (entry == NULL)
		return NULL;
	memset(entry, 0, sizeof(NotifyDatabase));
	entry->database = database;
	entry->everything = true;
	return entry;
}

/*
 * Leave a mark, unless everything is marked.
 */
static void
AddMark(NotifyDatabase *entry, const pg_uuid_t *workflow, int32 sequence)
{
	MarkKey		key;
	MarkEntry  *mark;
	bool		found;

	if (entry->everything)
		return;
	/* the key is compared byte by byte */
	memset(&key, 0, sizeof(key));
	key.database = entry->database;
	key.workflow = *workflow;
	mark = hash_search(all_marks, &key, HASH_ENTER_NULL, &found);
	if (mark == NULL)
		entry->everything = true;
	else if (found)
		mark->sequence = Max(mark->sequence, sequence);
	else
	{
		mark->sequence = sequence;
		entry->marks++;
	}
}

/*
 * Mark what was committed. Called after the commit: it cannot fail.
 */
void
MarkForNotifier(const FeedNote *notes)
{
	NotifyDatabase *entry;
	bool		needs_notifier = false;

	if (notify_state == NULL)
		return;
	LWLockAcquire(notify_state->lock, LW_EXCLUSIVE);
	entry = AddEntry(MyDatabaseId);
	if (entry != NULL)
	{
		entry->interval = amelia_notify_interval;
		for (; notes != NULL; notes = notes->next)
			AddMark(entry, &notes->workflow, notes->last);
		needs_notifier = entry->pid == 0 && !entry->is_asked;
		entry->is_asked = entry->pid == 0;
	}
	LWLockRelease(notify_state->lock);
	if (needs_notifier)
		NudgeLauncher();
}

/*
 * Remove the marks of a database, and keep them in *taken if that is given.
 */
static void
RemoveMarks(NotifyDatabase *entry, NotifyMarks *taken)
{
	HASH_SEQ_STATUS scan;
	MarkEntry  *mark;

	if (entry->marks > 0)
	{
		hash_seq_init(&scan, all_marks);
		while ((mark = hash_seq_search(&scan)) != NULL)
		{
			if (mark->key.database != entry->database)
				continue;
			if (taken != NULL)
			{
				taken->marks[taken->count].workflow = mark->key.workflow;
				taken->marks[taken->count++].sequence = mark->sequence;
			}
			(void) hash_search(all_marks, &mark->key, HASH_REMOVE, NULL);
		}
	}
	entry->marks = 0;
	entry->everything = false;
}

/*
 * Whether the launcher has something to start, or to wait for.
 */
bool
AnyoneToNotify(void)
{
	bool		found = false;

	LWLockAcquire(notify_state->lock, LW_SHARED);
	for (int i = 0; i < MAX_DATABASES && !found; i++)
		found = notify_state->databases[i].pid == 0 && HasMarks(&notify_state->databases[i]);
	LWLockRelease(notify_state->lock);
	return found;
}

/*
 * The database that needs a notifier now, or InvalidOid and in *due when one
 * will. Those not in the list are gone, or closed, and are forgotten.
 */
Oid
NextToNotify(List *databases, TimestampTz *due)
{
	TimestampTz now = GetCurrentTimestamp();
	Oid			next = InvalidOid;

	*due = DT_NOEND;
	LWLockAcquire(notify_state->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_DATABASES && !OidIsValid(next); i++)
	{
		NotifyDatabase *entry = &notify_state->databases[i];

		if (!OidIsValid(entry->database) || entry->pid != 0)
			continue;
		if (!list_member_oid(databases, entry->database))
		{
			RemoveMarks(entry, NULL);
			entry->database = InvalidOid;
		}
		else if (HasMarks(entry))
		{
			entry->is_asked = true;
			/* A clock that was set back must not keep it waiting. */
			if (entry->not_before > now && !TimestampDifferenceExceeds(now, entry->not_before, START_MS))
				*due = Min(*due, entry->not_before);
			else
			{
				next = entry->database;
				entry->not_before = TimestampTzPlusMilliseconds(now, START_MS);
			}
		}
	}
	LWLockRelease(notify_state->lock);
	return next;
}

/*
 * Be the database's only notifier; false when there is one, or need for none.
 */
bool
EnterNotifier(Oid database)
{
	NotifyDatabase *entry;
	bool		entered;

	if (notify_state == NULL)
		return false;
	LWLockAcquire(notify_state->lock, LW_EXCLUSIVE);
	entry = FindEntry(database);
	entered = entry != NULL && entry->pid == 0;
	if (entered)
	{
		entry->pid = MyProcPid;
		entry->is_asked = false;
	}
	LWLockRelease(notify_state->lock);
	return entered;
}

/*
 * End being it. If there are marks left, the launcher is to start another,
 * after a delay in milliseconds.
 */
void
LeaveNotifier(Oid database, int delay)
{
	NotifyDatabase *entry;
	bool		needs_notifier = false;

	LWLockAcquire(notify_state->lock, LW_EXCLUSIVE);
	entry = FindEntry(database);
	if (entry != NULL && entry->pid == MyProcPid)
	{
		entry->pid = 0;
		entry->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay);
		needs_notifier = entry->is_asked = HasMarks(entry);
	}
	LWLockRelease(notify_state->lock);
	if (needs_notifier)
		NudgeLauncher();
}

/*
 * End being it if there is nothing to tell; false when there is.
 */
bool
LeaveIdleNotifier(void)
{
	NotifyDatabase *entry;
	bool		left = true;

	LWLockAcquire(notify_state->lock, LW_EXCLUSIVE);
	entry = FindEntry(MyDatabaseId);
	if (entry != NULL && entry->pid == MyProcPid)
	{
		left = !HasMarks(entry);
		if (left)
		{
			entry->pid = 0;
			entry->not_before = 0;
		}
	}
	LWLockRelease(notify_state->lock);
	return left;
}

/*
 * Take the marks of this database. Returns how many milliseconds are to pass
 * until the next time.
 */
int
TakeMarks(NotifyMarks *taken)
{
	NotifyDatabase *entry;
	int			interval = 0;

	taken->count = 0;
	taken->everything = false;
	LWLockAcquire(notify_state->lock, LW_EXCLUSIVE);
	entry = FindEntry(MyDatabaseId);
	if (entry != NULL)
	{
		interval = entry->interval;
		taken->everything = entry->everything;
		RemoveMarks(entry, taken);
	}
	LWLockRelease(notify_state->lock);
	return interval;
}

/*
 * Put marks back that were not told.
 */
void
PutMarksBack(const NotifyMarks *taken)
{
	NotifyDatabase *entry;

	LWLockAcquire(notify_state->lock, LW_EXCLUSIVE);
	entry = AddEntry(MyDatabaseId);
	if (entry != NULL)
	{
		entry->everything = entry->everything || taken->everything;
		for (int i = 0; i < taken->count; i++)
			AddMark(entry, &taken->marks[i].workflow, taken->marks[i].sequence);
	}
	LWLockRelease(notify_state->lock);
}

/*
 * Called once, when the library is loaded.
 */
void
InitNotify(void)
{
	DefineCustomIntVariable("amelia.notify_interval",
							"Time between notifications on the channel amelia_events of what happened.",
							"0: there are none. ALTER DATABASE ... SET switches them on for one database.",
							&amelia_notify_interval, 0, 0, 60 * 1000,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	next_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = RequestNotifyState;
	next_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = StartNotifyState;
}
