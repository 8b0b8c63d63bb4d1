/*-------------------------------------------------------------------------
 *
 * budget.h
 *	  The upkeep of budgets: compact_budgets() does it in one transaction,
 *	  the maintenance worker in one for each budget and part.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_BUDGET_H
#define AMELIA_BUDGET_H

#include "amelia.h"

/* What makes the trigger that adds up what is spent, on token_usage. */
extern const char *const budget_trigger;

/* Whether there are budgets; false also where there is no table for them. SPI is connected. */
extern bool HaveBudgets(void);

/*
 * Which budgets there are, and those that are gone and of which something is
 * left. The array, of the ids, is in the given context. Returns how many.
 */
extern int	ListBudgets(MemoryContext context, Datum **budgets);

/* Write the event of a warn budget that is spent. Returns how many: 0 or more. */
extern int32 WarnOfBudget(Datum budget);

/* Take the trigger off token_usage if there is no budget, and nobody is at that table. */
extern void RetireBudgets(void);

/* Put together what was spent under a budget, and forget what is old. */
extern void CompactBudget(Datum budget);

#endif							/* AMELIA_BUDGET_H */
