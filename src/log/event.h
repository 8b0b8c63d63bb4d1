/*-------------------------------------------------------------------------
 *
 * event.h
 *	  Appending events.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_EVENT_H
#define AMELIA_EVENT_H

#include "base/amelia.h"

#include "utils/uuid.h"

extern void TellEvent(const pg_uuid_t *workflow, const char *event_type, const char *message,
					  const char *data);

#endif							/* AMELIA_EVENT_H */
