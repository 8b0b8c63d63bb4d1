/*-------------------------------------------------------------------------
 *
 * usage.h
 *	  What agents used and cost: counting workflows; closed days, as those
 *	  who close them see it, the procedure close_days() and the maintenance
 *	  worker.
 *
 *	  Of those who close days, transactions are the caller's affair:
 *
 *		begin; close = UsageCloseBegin(limit); commit	announces up to limit days
 *		begin; UsageCloseWait(close, timeout); commit	no snapshot may be held
 *		do
 *			begin; more = UsageCloseDay(close); commit	computes one day
 *		while (more)
 *		UsageCloseFree(close)
 *
 *	  Any of them may fail or be left out from there on: a day that was
 *	  announced and not computed is taken up by the next one who closes.
 *	  Each runs with the rights of the tables' owner, and the caller's user
 *	  and settings are as they were when it returns.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_USAGE_H
#define AMELIA_USAGE_H

#include "amelia.h"

#include "utils/date.h"
#include "utils/timestamp.h"

/* how many days one announcement takes at most */
#define USAGE_CLOSE_DAYS 100

/* usage_days.c */
extern DateADT UsageDay(TimestampTz time);

/* usage_count.c */
typedef struct WorkflowCount WorkflowCount;

extern WorkflowCount *BeginCount(int keys);
extern void AddToCount(WorkflowCount *count, int key, Datum ids);
extern void CountSuccess(WorkflowCount *count);
extern int64 WorkflowsOf(const WorkflowCount *count, int key);
extern int64 SuccessfulOf(const WorkflowCount *count, int key);

/* usage_close.c */
typedef struct UsageClose UsageClose;

/*
 * Announce days that are over and not announced yet, oldest first, limit of
 * them at most. The announcement counts once it is committed.
 */
extern UsageClose *UsageCloseBegin(int limit);

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

/* Whether there are days for which writers are to be waited for. */
extern bool UsageCloseWaits(const UsageClose *close);

extern void UsageCloseFree(UsageClose *close);

#endif							/* AMELIA_USAGE_H */
