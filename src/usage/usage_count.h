/*-------------------------------------------------------------------------
 *
 * usage_count.h
 *	  How many different workflows there are, by key.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_USAGE_COUNT_H
#define AMELIA_USAGE_COUNT_H

#include "base/amelia.h"

typedef struct WorkflowCount WorkflowCount;

extern WorkflowCount *BeginCount(int keys);
extern void AddToCount(WorkflowCount *count, int key, Datum ids);
extern void CountSuccess(WorkflowCount *count);
extern int64 WorkflowsOf(const WorkflowCount *count, int key);
extern int64 SuccessfulOf(const WorkflowCount *count, int key);

#endif							/* AMELIA_USAGE_COUNT_H */
