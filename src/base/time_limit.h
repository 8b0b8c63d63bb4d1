/*-------------------------------------------------------------------------
 *
 * time_limit.h
 *	  Limits on how long something takes in which triggers of users may run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_TIME_LIMIT_H
#define AMELIA_TIME_LIMIT_H

#include "base/amelia.h"

/* One that is in force, in its caller's memory. */
typedef struct TimeLimit
{
	struct TimeLimit *outer;
	int			seconds_left;
	bool		was_met;
} TimeLimit;

extern void StartTimeLimit(TimeLimit *limit, int seconds);
extern void EndTimeLimit(TimeLimit *limit);

#endif							/* AMELIA_TIME_LIMIT_H */
