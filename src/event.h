/*-------------------------------------------------------------------------
 *
 * event.h
 *	  An event as append_event() and append_events() take it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_EVENT_H
#define AMELIA_EVENT_H

#include "amelia.h"

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

extern const EventFieldInfo event_fields[EVENT_FIELDS];

extern void TellEvent(const pg_uuid_t *workflow, const char *event_type, const char *message,
					  const char *data);
extern void CheckEvent(const Event *event);
extern Event *ReadEvents(Datum events, int *count);

/* event_type.c */
extern int	ApplyTypes(Event *events, int count);

/* insert.c */
typedef struct EventInsert EventInsert;

extern void InitInsert(void);
extern bool MayInsertDirectly(Relation log);
extern bool IsAnyStored(Relation log, const Event *events, int count);
extern EventInsert *BeginInsert(Relation log, const Event *events, int count);
extern void FinishInsert(EventInsert *insert, const Event *events, int count,
						 Datum workflow, int32 first);
extern void EndInsert(EventInsert *insert);

#endif							/* AMELIA_EVENT_H */
