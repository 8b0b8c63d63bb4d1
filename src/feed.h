/*-------------------------------------------------------------------------
 *
 * feed.h
 *	  The live feed: what a transaction brought, who waits for it, and who is
 *	  told.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_FEED_H
#define AMELIA_FEED_H

#include "amelia.h"

#include "nodes/pg_list.h"
#include "utils/timestamp.h"

/* A run of events, or a new status. */
typedef struct FeedNote
{
	struct FeedNote *next;		/* the one before */
	pg_uuid_t	workflow;
	int32		first;			/* 0: the note is of a status */
	int32		last;
	char		status[16];
	int			level;			/* of the subtransaction that it belongs to */
} FeedNote;

/* feed.c */
extern void InitFeed(void);
extern void NoteEvents(const pg_uuid_t *workflow, int32 first, int32 last);
extern void NoteStatus(const pg_uuid_t *workflow, const char *status);

/* feed_write.c */
extern void InitFeedWrite(void);
extern void WriteFeed(const FeedNote *notes);

/* feed_prune.c */
extern bool PruneFeed(void);

/* feed_reader.c */
extern int64 FeedOrigin(void);

/* wait.c */
extern void InitWait(void);
extern void WakeWaiters(const pg_uuid_t *workflow);
extern bool AnyoneWaits(void);

/* notify.c */

/* Workflows, over all databases, that wait to be told of. */
#define MAX_MARKS 1024

/* Something to tell of a workflow. */
typedef struct NotifyMark
{
	pg_uuid_t	workflow;
	int32		sequence;		/* the highest; 0: only its status changed */
} NotifyMark;

/* What a notifier has taken and not told yet. */
typedef struct NotifyMarks
{
	bool		everything;		/* there was no room: anything may have happened */
	int			count;
	NotifyMark	marks[MAX_MARKS];
} NotifyMarks;

extern int	amelia_notify_interval; /* milliseconds; 0: off */

extern void InitNotify(void);
extern void MarkForNotifier(const FeedNote *notes);
extern bool AnyoneToNotify(void);
extern Oid	NextToNotify(List *databases, TimestampTz *due);
extern bool EnterNotifier(Oid database);
extern void LeaveNotifier(Oid database, int delay);
extern bool LeaveIdleNotifier(void);
extern int	TakeMarks(NotifyMarks *taken);
extern void PutMarksBack(const NotifyMarks *taken);

#endif							/* AMELIA_FEED_H */
