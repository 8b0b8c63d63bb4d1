/*-------------------------------------------------------------------------
 *
 * event_type.h
 *	  What event_types says of events.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_EVENT_TYPE_H
#define AMELIA_EVENT_TYPE_H

#include "base/amelia.h"

#include "log/event_record.h"

extern int	ApplyTypes(Event *events, int count);

#endif							/* AMELIA_EVENT_TYPE_H */
