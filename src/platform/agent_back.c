/*-------------------------------------------------------------------------
 *
 * agent_back.c
 *	  Agents that are heard of again.
 *
 *	  One that was not heard of for stale_after is offline, whether
 *	  maintenance has marked it or not; when it comes back it is idle. A
 *	  statement that sets the status says itself what it is: only C learns
 *	  which columns a statement sets.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "base/execute.h"
#include "base/trigger.h"

PG_FUNCTION_INFO_V1(amelia_platform_agent_back);

/*
 * Whether that is too long ago to be there still.
 */
static bool
IsStale(Datum last_heartbeat)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {TIMESTAMPTZOID};
	bool		is_null;
	bool		is_stale;

	SPI_connect();
	if (SPI_execute_plan(KeptPlan(&plan,
								  "SELECT $1 OPERATOR(pg_catalog.<) (pg_catalog.clock_timestamp()"
								  " OPERATOR(pg_catalog.-) amelia_internal.platform_stale_after())",
								  lengthof(types), types), &last_heartbeat, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not compare a heartbeat");
	is_stale = DatumGetBool(RowValue(0, 1, BOOLOID, &is_null));
	SPI_finish();
	return is_stale;
}

/*
 * platform_agent_back() returns trigger
 */
Datum
amelia_platform_agent_back(PG_FUNCTION_ARGS)
{
	TriggerData *data = GetTriggerData(fcinfo, "platform_agent_back",
									   TRIGGER_EVENT_BEFORE, TRIGGER_EVENT_UPDATE, true);
	TupleDesc	tupdesc = RelationGetDescr(data->tg_relation);
	int			status = ColumnOfType(tupdesc, "status", VARCHAROID);
	Datum		last_heartbeat;
	Datum		idle;
	bool		is_null;

	if (bms_is_member(status - FirstLowInvalidHeapAttributeNumber, data->tg_updatedcols))
		return PointerGetDatum(data->tg_newtuple);
	last_heartbeat = ColumnValue(data->tg_relation, data->tg_trigtuple, "last_heartbeat", TIMESTAMPTZOID, &is_null);
	idle = ColumnValue(data->tg_relation, data->tg_trigtuple, "status", VARCHAROID, NULL);
	if (strcmp(TextDatumGetCString(idle), "offline") != 0 && (is_null || !IsStale(last_heartbeat)))
		return PointerGetDatum(data->tg_newtuple);
	idle = CStringGetTextDatum("idle");
	is_null = false;
	return PointerGetDatum(heap_modify_tuple_by_cols(data->tg_newtuple, tupdesc, 1, &status, &idle, &is_null));
}
