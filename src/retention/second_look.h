/*-------------------------------------------------------------------------
 *
 * second_look.h
 *	  Rounds of retention that would delete most of what there is.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_SECOND_LOOK_H
#define AMELIA_SECOND_LOOK_H

#include "base/amelia.h"

#include "retention/rules.h"

/* What retention_runs.outcome says of a round that was held back. */
#define HELD_BACK "held back"

#define SECOND_LOOK_HINT \
	"If the clock is right, CALL amelia.run_retention(held_back => 'delete'); retention_preview() shows what goes."

/* What a rule would delete by its age. */
typedef struct AgeRule
{
	/*
	 * How many rows are due, and how many it is about. $3: the horizon when
	 * the last round was there.
	 */
	const char *due_query;
	TimestampTz horizon;		/* $1; -infinity: the rule deletes nothing */
	TimestampTz recovery;		/* $2, where the query has it */
	bool		any_age;		/* also when it keeps for a week at most */
	const char *what;			/* in the plural */
} AgeRule;

extern char *LookAtRules(const AgeRule *rules, int count, const char *last_round_query,
						 const char *last_work_query);
extern char *NeedsSecondLook(const Horizons *horizons);
extern bool IsConfirmed(const char *held_back);

#endif							/* AMELIA_SECOND_LOOK_H */
