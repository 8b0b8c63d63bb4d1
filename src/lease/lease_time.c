/*-------------------------------------------------------------------------
 *
 * lease_time.c
 *	  How long a lease lasts.
 *
 *	  A day at most, so that no slip of a worker keeps a slot for ever, unless
 *	  max_lease_hours of server_settings allows more. That is read only for a
 *	  lease which needs it.
 *
 *-------------------------------------------------------------------------
 */
#include "lease/lease_time.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/sequence.h"

#define DEFAULT_MAX_HOURS 24

/*
 * How many hours a lease may last.
 */
static int32
MaxLeaseHours(void)
{
	Relation	table = OpenTable("server_settings", AccessShareLock);
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(table, NULL);
	TableScanDesc scan = table_beginscan(table, latest, 0, NULL);
	int32		hours = DEFAULT_MAX_HOURS;

	if (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		hours = DatumGetInt32(RowColumn(table, slot, "max_lease_hours", INT4OID, NULL));
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(latest);
	table_close(table, NoLock);
	return hours;
}

/*
 * The end of a time that begins then; 22023 for one that is not longer than
 * nothing.
 */
TimestampTz
TimeAfter(TimestampTz from, const Interval *time)
{
	TimestampTz end = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
															  TimestampTzGetDatum(from),
															  IntervalPGetDatum(time)));

	if (end <= from || TIMESTAMP_NOT_FINITE(end))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lease must be longer than nothing, and end: %s",
						DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(time))))));
	return end;
}

/*
 * The time at which a lease that is given or prolonged now ends; 22023 also
 * for one that lasts too long. A day of the calendar may have 25 hours.
 */
TimestampTz
LeaseEnd(TimestampTz from, const Interval *lease)
{
	TimestampTz end = TimeAfter(from, lease);
	int32		hours;

	if (end - from <= (DEFAULT_MAX_HOURS + 1) * USECS_PER_HOUR)
		return end;
	hours = MaxLeaseHours();
	if (end - from > ((int64) hours + 1) * USECS_PER_HOUR)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lease must not last longer than %d hours: %s", hours,
						DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(lease)))),
				 errhint("Prolong it with heartbeat(), or have max_lease_hours of server_settings raised.")));
	return end;
}
