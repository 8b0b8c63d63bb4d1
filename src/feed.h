/*-------------------------------------------------------------------------
 *
 * feed.h
 *	  The live feed: what a transaction brought, and who waits for it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_FEED_H
#define AMELIA_FEED_H

#include "amelia.h"

/* feed.c */
extern void InitFeed(void);
extern void NoteEvents(const pg_uuid_t *workflow, int32 first, int32 last);
extern void NoteStatus(const pg_uuid_t *workflow, const char *status);

/* wait.c */
extern void InitWait(void);
extern void WakeWaiters(const pg_uuid_t *workflow);
extern bool AnyoneWaits(void);

#endif							/* AMELIA_FEED_H */
