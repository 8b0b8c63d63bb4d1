/*-------------------------------------------------------------------------
 *
 * trigger.h
 *	  What our trigger functions are called with, and the triggers themselves.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_TRIGGER_H
#define AMELIA_TRIGGER_H

#include "base/amelia.h"

#include "commands/trigger.h"

extern TriggerData *GetTriggerData(FunctionCallInfo fcinfo, const char *function,
								   TriggerEvent timing, TriggerEvent event, bool for_each_row);
extern AttrNumber ColumnNumber(TupleDesc tupdesc, const char *name);
extern AttrNumber ColumnOfType(TupleDesc tupdesc, const char *name, Oid type);
extern Datum ColumnValue(Relation table, HeapTuple row, const char *name, Oid type, bool *is_null);
extern bool SameValue(TupleDesc tupdesc, AttrNumber column, HeapTuple a, HeapTuple b);
extern bool OnlyChanged(TriggerData *data, const char *const *names);
extern bool OnlyCountersChanged(TriggerData *data);
extern bool IsOurTrigger(const Trigger *trigger, const char *name, const char *function);

#endif							/* AMELIA_TRIGGER_H */
