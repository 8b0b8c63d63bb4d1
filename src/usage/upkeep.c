/*-------------------------------------------------------------------------
 *
 * upkeep.c
 *	  What a round of the maintenance worker does for usage: the events of
 *	  warn budgets, putting together what was spent, closing days.
 *
 *	  A chain of steps, each of one budget or one day, in a transaction of its
 *	  own. Where to go on is noted before a step does its work, so that one
 *	  that fails is left for the next round and keeps none of the others.
 *
 *-------------------------------------------------------------------------
 */
#include "usage/upkeep.h"

#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "usage/budget.h"
#include "usage/usage_close.h"

/*
 * How long writers are waited for. Days that are announced then wait for the
 * next round, and nobody who wants the database or the extension waits long.
 */
#define WRITERS_MS 1000

/* Failures in a row after which the rest is left for the next round. */
#define MAX_FAILURES 10

typedef enum UpkeepPhase
{
	LIST_BUDGETS,
	WARN,						/* a step for each budget */
	COMPACT,					/* and again */
	ANNOUNCE,
	WAIT,
	COMPUTE,					/* a step for each day */
	DONE
} UpkeepPhase;

struct Upkeep
{
	MemoryContext context;
	UpkeepPhase phase;
	int			failures;		/* in a row */
	Datum	   *budgets;
	int			budget_count;
	int			next_budget;
	UsageClose *close;			/* NULL: no days were announced */
	DateADT		announced_to;
	bool		writers_gone;
};

Upkeep *
UpkeepBegin(void)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "amelia upkeep",
												  ALLOCSET_SMALL_SIZES);
	Upkeep	   *upkeep = MemoryContextAllocZero(context, sizeof(Upkeep));

	upkeep->context = context;
	upkeep->announced_to = DATEVAL_NOBEGIN;
	return upkeep;
}

/*
 * The next budget of a phase; after the last one, the next phase is due.
 */
static Datum
TakeBudget(Upkeep *upkeep)
{
	Datum		budget = upkeep->budgets[upkeep->next_budget];

	if (++upkeep->next_budget == upkeep->budget_count)
	{
		upkeep->next_budget = 0;
		upkeep->phase++;
	}
	return budget;
}

static void
FreeClose(Upkeep *upkeep)
{
	if (upkeep->close != NULL)
		UsageCloseFree(upkeep->close);
	upkeep->close = NULL;
}

/*
 * Wait for writers, without a snapshot.
 */
static void
WaitForWriters(Upkeep *upkeep)
{
	PopActiveSnapshot();
	upkeep->writers_gone = UsageCloseWait(upkeep->close, WRITERS_MS);
	PushActiveSnapshot(GetTransactionSnapshot());
}

bool
UpkeepStep(Upkeep *upkeep)
{
	switch (upkeep->phase)
	{
		case LIST_BUDGETS:
			upkeep->phase = ANNOUNCE;
			upkeep->budget_count = ListBudgets(upkeep->context, &upkeep->budgets);
			if (upkeep->budget_count > 0)
				upkeep->phase = WARN;
			else
				RetireBudgets();
			break;
		case WARN:
			(void) WarnOfBudget(TakeBudget(upkeep));
			break;
		case COMPACT:
			CompactBudget(TakeBudget(upkeep));
			break;
		case ANNOUNCE:
			upkeep->phase = DONE;
			upkeep->writers_gone = false;
			upkeep->close = UsageCloseBegin(USAGE_CLOSE_DAYS, upkeep->announced_to);
			upkeep->announced_to = UsageCloseLastDue(upkeep->close);
			upkeep->phase = UsageCloseWaits(upkeep->close) ? WAIT : COMPUTE;
			break;
		case WAIT:
			upkeep->phase = COMPUTE;
			WaitForWriters(upkeep);
			break;
		case COMPUTE:
			if (!UsageCloseDay(upkeep->close))
			{
				upkeep->phase = upkeep->writers_gone && UsageCloseIsFull(upkeep->close) ?
					ANNOUNCE : DONE;
				FreeClose(upkeep);
			}
			break;
		case DONE:
			break;
	}
	upkeep->failures = 0;
	return upkeep->phase != DONE;
}

bool
UpkeepFailed(Upkeep *upkeep)
{
	return ++upkeep->failures < MAX_FAILURES && upkeep->phase != DONE;
}

void
UpkeepFree(Upkeep *upkeep)
{
	FreeClose(upkeep);
	MemoryContextDelete(upkeep->context);
}
