/*-------------------------------------------------------------------------
 *
 * lease_time.h
 *	  How long a lease lasts.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_LEASE_TIME_H
#define AMELIA_LEASE_TIME_H

#include "base/amelia.h"

#include "datatype/timestamp.h"

extern TimestampTz TimeAfter(TimestampTz from, const Interval *time);
extern TimestampTz LeaseEnd(TimestampTz from, const Interval *lease);

#endif							/* AMELIA_LEASE_TIME_H */
