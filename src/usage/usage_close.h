/*-------------------------------------------------------------------------
 *
 * usage_close.h
 *	  Closing days of usage.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_USAGE_CLOSE_H
#define AMELIA_USAGE_CLOSE_H

#include "base/amelia.h"

#include "utils/date.h"

/* how many days one announcement takes at most */
#define USAGE_CLOSE_DAYS 100

typedef struct UsageClose UsageClose;

/*
 * Announce days behind one that are over and not announced yet, oldest first,
 * limit of them at most. The announcement counts once it is committed.
 */
extern UsageClose *UsageCloseBegin(int limit, DateADT after);

/*
 * Wait for the transactions that may have written before they could know of
 * the announcement. timeout in milliseconds, or -1 to wait for as long as
 * lock_timeout allows. Returns whether they are all gone; if not, only days
 * that were closed before and changed since are computed.
 */
extern bool UsageCloseWait(UsageClose *close, int timeout);

/*
 * Compute the sums of the next day. Returns whether there was one.
 */
extern bool UsageCloseDay(UsageClose *close);

/* Whether as many days were announced as may be at once, so that more wait. */
extern bool UsageCloseIsFull(const UsageClose *close);

/*
 * The last day that was to be announced, whatever a trigger made of it: the
 * next call goes on behind it, so that calls come to an end.
 */
extern DateADT UsageCloseLastDue(const UsageClose *close);

/* Whether there are days for which writers are to be waited for. */
extern bool UsageCloseWaits(const UsageClose *close);
extern void UsageCloseFree(UsageClose *close);

#endif							/* AMELIA_USAGE_CLOSE_H */
