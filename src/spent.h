/*-------------------------------------------------------------------------
 *
 * spent.h
 *	  Budgets that are spent, for claims and for workers that are at work.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_SPENT_H
#define AMELIA_SPENT_H

#include "amelia.h"

#include "nodes/pg_list.h"

/* budget.c */
extern bool MayHaveBudgets(Oid *owner);

/* spent.c */
extern List *FindSpentBudgets(const text *profile);
extern bool IsOverBudget(const List *spent, const text *profile, const pg_uuid_t *workflow);
extern char *SpentBudgetOf(const pg_uuid_t *workflow, Datum profile, bool has_profile);

#endif							/* AMELIA_SPENT_H */
