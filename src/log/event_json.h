/*-------------------------------------------------------------------------
 *
 * event_json.h
 *	  Events as JSON, and what is refused of them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_EVENT_JSON_H
#define AMELIA_EVENT_JSON_H

#include "base/amelia.h"

#include "log/event_record.h"

extern const EventFieldInfo event_fields[EVENT_FIELDS];
extern void CheckEvent(const Event *event);
extern Event *ReadEvents(Datum events, int *count);

#endif							/* AMELIA_EVENT_JSON_H */
