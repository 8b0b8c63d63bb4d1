/*-------------------------------------------------------------------------
 *
 * feed_note.h
 *	  What a transaction notes for the feed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_FEED_NOTE_H
#define AMELIA_FEED_NOTE_H

#include "base/amelia.h"

#include "utils/uuid.h"

/* A run of events, or a new status. */
typedef struct FeedNote
{
	bool		is_history;		/* not for the feed */
	struct FeedNote *next;		/* the one before */
	pg_uuid_t	workflow;
	int32		first;			/* 0: the note is of a status */
	int32		last;
	char		status[16];
	int			level;			/* of the subtransaction that it belongs to */
} FeedNote;

#endif							/* AMELIA_FEED_NOTE_H */
