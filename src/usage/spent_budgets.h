/*-------------------------------------------------------------------------
 *
 * spent_budgets.h
 *	  Which budgets are spent.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_SPENT_BUDGETS_H
#define AMELIA_SPENT_BUDGETS_H

#include "base/amelia.h"

#include "nodes/pg_list.h"
#include "utils/uuid.h"

extern List *FindSpentBudgets(const text *profile);
extern bool IsOverBudget(const List *spent, const text *profile, const pg_uuid_t *workflow);
extern char *SpentBudgetOf(const pg_uuid_t *workflow, Datum profile, bool has_profile);

#endif							/* AMELIA_SPENT_BUDGETS_H */
