/*-------------------------------------------------------------------------
 *
 * feed_reader.h
 *	  Readers of the feed, and their cursors.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_FEED_READER_H
#define AMELIA_FEED_READER_H

#include "base/amelia.h"

extern int64 FeedOrigin(void);

#endif							/* AMELIA_FEED_READER_H */
