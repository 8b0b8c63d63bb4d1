/*-------------------------------------------------------------------------
 *
 * event_record.h
 *	  An event, as functions hand it to one another.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_EVENT_RECORD_H
#define AMELIA_EVENT_RECORD_H

#include "base/amelia.h"

/* The arguments of append_event() behind workflow_id, in its order. */
typedef enum EventField
{
	EVENT_TYPE,
	EVENT_MESSAGE,
	EVENT_LEVEL,
	EVENT_AGENT,
	EVENT_DATA,
	EVENT_IS_ERROR,
	EVENT_TIMESTAMP,
	EVENT_ID,
	EVENT_CORRELATION_ID,
	EVENT_TOOL_NAME,
	EVENT_TOOL_INPUT,
	EVENT_TRACE_ID,
	EVENT_PARENT_ID
} EventField;

#define EVENT_FIELDS (EVENT_PARENT_ID + 1)

typedef struct EventFieldInfo
{
	const char *name;
	Oid			type;
} EventFieldInfo;

typedef struct Event
{
	Datum		values[EVENT_FIELDS];
	bool		nulls[EVENT_FIELDS];
} Event;

#endif							/* AMELIA_EVENT_RECORD_H */
