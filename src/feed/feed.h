/*-------------------------------------------------------------------------
 *
 * feed.h
 *	  The live feed: what a transaction brought.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_FEED_H
#define AMELIA_FEED_H

#include "base/amelia.h"

#include "utils/uuid.h"

extern void InitFeed(void);
extern void NoteEvents(const pg_uuid_t *workflow, int32 first, int32 last);
extern void NoteStatus(const pg_uuid_t *workflow, const char *status);

#endif							/* AMELIA_FEED_H */
