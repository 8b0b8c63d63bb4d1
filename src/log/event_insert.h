/*-------------------------------------------------------------------------
 *
 * event_insert.h
 *	  Events into the log without the detour of an INSERT statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_EVENT_INSERT_H
#define AMELIA_EVENT_INSERT_H

#include "base/amelia.h"

#include "utils/relcache.h"

#include "base/door.h"
#include "log/event_record.h"

extern bool MayInsertDirectly(Relation log);
extern bool IsAnyStored(Relation log, const Event *events, int count);
extern DoorWrite *BeginInsert(Relation log, const Event *events, int count);
extern void FinishInsert(DoorWrite *write, const Event *events, int count,
						 Datum workflow, int32 first);

#endif							/* AMELIA_EVENT_INSERT_H */
