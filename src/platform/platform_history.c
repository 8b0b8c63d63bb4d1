/*-------------------------------------------------------------------------
 *
 * platform_history.c
 *	  Whether triggers in SQL are about what happened before (amelia.history).
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "catalog/pg_class.h"
#include "utils/syscache.h"

#include "base/history_mode.h"

PG_FUNCTION_INFO_V1(amelia_platform_is_history);

/*
 * platform_is_history(relation oid) returns boolean
 */
Datum
amelia_platform_is_history(PG_FUNCTION_ARGS)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, PG_GETARG_DATUM(0));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		PG_RETURN_NULL();
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	PG_RETURN_BOOL(IsHistoryOf(owner));
}
