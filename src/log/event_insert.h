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

#include "log/event_record.h"

typedef struct EventInsert EventInsert;

extern void InitLog(void);
extern bool MayInsertDirectly(Relation log);
extern bool IsAnyStored(Relation log, const Event *events, int count);
extern EventInsert *BeginInsert(Relation log, const Event *events, int count);
extern void FinishInsert(EventInsert *insert, const Event *events, int count,
						 Datum workflow, int32 first);
extern void EndInsert(EventInsert *insert);

#endif							/* AMELIA_EVENT_INSERT_H */
