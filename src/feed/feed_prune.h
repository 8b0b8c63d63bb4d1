/*-------------------------------------------------------------------------
 *
 * feed_prune.h
 *	  Old rows of the feed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_FEED_PRUNE_H
#define AMELIA_FEED_PRUNE_H

#include "base/amelia.h"

extern bool PruneFeed(void);

#endif							/* AMELIA_FEED_PRUNE_H */
