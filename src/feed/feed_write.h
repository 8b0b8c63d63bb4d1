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

extern void InitFeedWrite(void);
extern void WriteFeed(const FeedNote *notes);

#endif							/* AMELIA_FEED_WRITE_H */
