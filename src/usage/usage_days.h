/*-------------------------------------------------------------------------
 *
 * usage_days.h
 *	  Days of usage: which are closed, and which have changed since.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_USAGE_DAYS_H
#define AMELIA_USAGE_DAYS_H

#include "base/amelia.h"

#include "datatype/timestamp.h"
#include "utils/date.h"
#include "utils/timestamp.h"

extern DateADT UsageDay(TimestampTz time);
extern void InitUsage(void);

#endif							/* AMELIA_USAGE_DAYS_H */
