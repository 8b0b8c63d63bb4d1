/*-------------------------------------------------------------------------
 *
 * feed_write.h
 *	  The rows of workflow_feed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_FEED_WRITE_H
#define AMELIA_FEED_WRITE_H

#include "base/amelia.h"

#include "feed/feed_note.h"

/* How the notes of a transaction get into the feed. */
typedef enum FeedWay
{
	FEED_UNDECIDED,
	FEED_NOWHERE,				/* there is no table */
	FEED_AT_COMMIT,
	FEED_AT_ONCE
} FeedWay;

extern FeedWay ChooseFeedWay(void);
extern void WriteNote(const FeedNote *note);
extern void WriteFeed(const FeedNote *notes);

#endif							/* AMELIA_FEED_WRITE_H */
