/*-------------------------------------------------------------------------
 *
 * budget.h
 *	  Budgets: what there is, and what is kept of what was spent.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_BUDGET_H
#define AMELIA_BUDGET_H

#include "base/amelia.h"

/* What makes the trigger that adds up what is spent, on token_usage. */
extern const char *const budget_trigger;

extern bool MayHaveBudgets(Oid *owner);

/* Whether there are budgets; false also where there is no table for them, or none that may be read as its owner. SPI is connected. */
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
