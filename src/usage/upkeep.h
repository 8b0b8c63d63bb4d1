/*-------------------------------------------------------------------------
 *
 * upkeep.h
 *	  What the maintenance worker does for usage and budgets.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_UPKEEP_H
#define AMELIA_UPKEEP_H

#include "base/amelia.h"

typedef struct Upkeep Upkeep;

extern Upkeep *UpkeepBegin(void);

/*
 * One step, in a transaction that has a snapshot and has done nothing else
 * but to lock. Returns whether there are more. Raises what goes wrong.
 */
extern bool UpkeepStep(Upkeep *upkeep);

/* After a step failed: whether to go on with the next. */
extern bool UpkeepFailed(Upkeep *upkeep);
extern void UpkeepFree(Upkeep *upkeep);

#endif							/* AMELIA_UPKEEP_H */
