/*-------------------------------------------------------------------------
 *
 * event_store.h
 *	  Storing events that are complete.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_EVENT_STORE_H
#define AMELIA_EVENT_STORE_H

#include "base/amelia.h"

#include "utils/relcache.h"

#include "base/door.h"
#include "log/event_record.h"

extern void StoreContestedEvents(Relation log, bool directly, const Event *events, int count, Datum workflow,
								 int32 *first, int32 *last);
extern void StoreEvents(DoorWrite *insert, const Event *events, int count, Datum workflow, int32 first);

#endif							/* AMELIA_EVENT_STORE_H */
