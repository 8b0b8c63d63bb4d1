/*-------------------------------------------------------------------------
 *
 * time_limit.c
 *	  Limits on how long something takes in which triggers of users may run.
 *
 *	  A limit that is met cancels what runs, as a user would; so does SIGTERM
 *	  in a maintenance worker, which wants to end its round properly. But a
 *	  trigger can catch a cancel, in a loop for as long as it likes, and would
 *	  keep the process from pg_terminate_backend(), DROP DATABASE and the
 *	  server's shutdown. So if what runs has not stopped some seconds after it
 *	  was cancelled, the process ends at its next interrupt: that cannot be
 *	  caught.
 *
 *-------------------------------------------------------------------------
 */
#include "base/time_limit.h"

#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#define TICK_MS 1000

/* Seconds from a cancel to the end of the process. */
#define GRACE 3

static TimeLimit *innermost = NULL;
static int	ticker = -1;
static int	seconds_since_cancel = 0;

/*
 * Timeout handler, once a second while there is a limit.
 */
static void
Tick(void)
{
	bool		was_cancelled = ShutdownRequestPending;

	for (TimeLimit *limit = innermost; limit != NULL; limit = limit->outer)
	{
		if (!limit->was_met && --limit->seconds_left <= 0)
		{
			limit->was_met = true;
			QueryCancelPending = true;
			InterruptPending = true;
		}
		was_cancelled = was_cancelled || limit->was_met;
	}
	if (was_cancelled && seconds_since_cancel++ >= GRACE)
	{
		ProcDiePending = true;
		InterruptPending = true;
	}
	if (InterruptPending)
		SetLatch(MyLatch);
}

/*
 * Limit what follows, until EndTimeLimit(), which must be called in any case.
 */
void
StartTimeLimit(TimeLimit *limit, int seconds)
{
	limit->outer = innermost;
	limit->seconds_left = seconds;
	limit->was_met = false;
	if (ticker < 0)
		ticker = RegisterTimeout(USER_TIMEOUT, Tick);
	seconds_since_cancel = 0;
	innermost = limit;
	if (limit->outer == NULL)
		enable_timeout_every(ticker, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), TICK_MS), TICK_MS);
}

/*
 * End the innermost limit. A cancel that came too late to be noticed is
 * forgotten: what it was for is done.
 */
void
EndTimeLimit(TimeLimit *limit)
{
	innermost = limit->outer;
	if (innermost == NULL)
		disable_timeout(ticker, false);
	seconds_since_cancel = 0;
	if (limit->was_met)
		QueryCancelPending = false;
}
