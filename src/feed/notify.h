/*-------------------------------------------------------------------------
 *
 * notify.h
 *	  What the notifier is to tell, in shared memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_NOTIFY_H
#define AMELIA_NOTIFY_H

#include "base/amelia.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "feed/feed_note.h"

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
	bool		everything;		/* there was no room: anything may have
								 * happened */
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

#endif							/* AMELIA_NOTIFY_H */
