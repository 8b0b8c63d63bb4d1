/*-------------------------------------------------------------------------
 *
 * usage_days.c
 *	  The writer's side of closed days: who changes usage of a day that is
 *	  closed, or about to be, leaves a mark with the change.
 *
 *	  A row's day is open when it is later than every day that was announced
 *	  (usage_close.c). That border is kept in the session, and a relcache
 *	  invalidation of usage_days makes it look again: a close sends one with
 *	  its announcement. It arrives with the lock on token_usage at the
 *	  latest, and a close waits for all who held that lock before, so what a
 *	  writer takes for open is open until it ends. The border is read with a
 *	  snapshot of its own; the transaction's may be hours old.
 *
 *	  So a row of an open day costs a comparison, no lock and no query. The
 *	  trigger fires before the row is written, which costs a fifth of what
 *	  queuing an event for afterwards does, and last of its kind, by its name:
 *	  it sees what others made of the row. If the row is not written in the
 *	  end, its day is marked for nothing.
 *
 *	  A row of any other day leaves a mark in usage_dirty_days, once per day and transaction,
 *	  which becomes visible together with the row.
 *
 *	  What is deleted along with its workflow is no change: history.c has
 *	  moved it to usage_history in the same transaction, and the sums of its
 *	  days stay.
 *
 *	  Whoever may write usage need not be able to write marks: that is done
 *	  with the rights of the owner of the table that is written.
 *
 *-------------------------------------------------------------------------
 */
#include "usage/usage_days.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/execute.h"
#include "base/table_owner.h"
#include "base/trigger.h"
#include "usage/history.h"

PG_FUNCTION_INFO_V1(amelia_mark_usage_day);
PG_FUNCTION_INFO_V1(amelia_mark_history_day);

/* days that this transaction has marked; when full, some are marked twice */
#define MAX_MARKED 1024

static bool border_is_valid = false;
static TimestampTz border;		/* from here on, days are open */
static Oid	days_table = InvalidOid;
static uint64 days_changes = 0;

static int	marked_count = 0;
static DateADT marked[MAX_MARKED];

/*
 * The UTC day of a finite time.
 */
DateADT
UsageDay(TimestampTz time)
{
	return time >= 0 ? time / USECS_PER_DAY : -((USECS_PER_DAY - 1 - time) / USECS_PER_DAY);
}

/*
 * Relcache callback: forget the border when days were announced.
 */
static void
ForgetBorder(Datum arg, Oid relation)
{
	if (relation == InvalidOid || relation == days_table || days_table == InvalidOid)
	{
		border_is_valid = false;
		days_changes++;
	}
}

/*
 * At the end of a transaction nothing is marked.
 */
static void
ForgetMarks(XactEvent event, void *arg)
{
	marked_count = 0;
}

/*
 * A subtransaction that is rolled back takes its marks with it.
 */
static void
ForgetSubMarks(SubXactEvent event, SubTransactionId self, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		marked_count = 0;
}

/*
 * Called once, when the library is loaded.
 */
void
InitUsage(void)
{
	CacheRegisterRelcacheCallback(ForgetBorder, (Datum) 0);
	RegisterXactCallback(ForgetMarks, NULL);
	RegisterSubXactCallback(ForgetSubMarks, NULL);
}

/*
 * Look up the border: the end of the last day that was announced.
 */
static void
FindBorder(Oid owner)
{
	static SPIPlanPtr plan = NULL;
	uint64		before;
	OwnerContext caller;
	bool		is_null;
	Datum		day;

	days_table = get_relname_relid("usage_days", get_namespace_oid(AMELIA_SCHEMA, false));
	if (!OidIsValid(days_table))
		RefuseOlderSchema("usage_days");
	before = days_changes;
	SPI_connect();
	BecomeTablesOwner(owner, &caller);
	KeptPlan(&plan, "SELECT pg_catalog.max(d.day) FROM amelia.usage_days AS d", 0, NULL);
	if (SPI_execute_snapshot(plan, NULL, NULL, GetLatestSnapshot(), InvalidSnapshot,
							 true, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read usage_days");
	BecomeSelf(&caller);
	day = RowValue(0, 1, DATEOID, &is_null);
	border = is_null ? DT_NOBEGIN : (DatumGetDateADT(day) + 1) * USECS_PER_DAY;
	SPI_finish();
	/* An announcement that came while we looked may not be in it. */
	border_is_valid = before == days_changes;
}

/*
 * Leave a mark for a day, unless this transaction has done so.
 */
static void
MarkDay(DateADT day, Oid owner)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {DATEOID};
	Datum		values[] = {DateADTGetDatum(day)};
	OwnerContext caller;

	for (int i = marked_count - 1; i >= 0; i--)
	{
		if (marked[i] == day)
			return;
	}
	SPI_connect();
	BecomeTablesOwner(owner, &caller);
	KeptPlan(&plan, "INSERT INTO amelia.usage_dirty_days (id, day)"
			 " VALUES (amelia_internal.new_uuid(), $1)", lengthof(types), types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not mark a day");
	BecomeSelf(&caller);
	SPI_finish();
	if (marked_count == MAX_MARKED)
		marked_count = 0;
	marked[marked_count++] = day;
}

/*
 * Mark all days that were announced, whatever the transaction's own snapshot
 * shows of them.
 */
static void
MarkAllDays(Oid owner)
{
	static SPIPlanPtr plan = NULL;
	OwnerContext caller;

	SPI_connect();
	BecomeTablesOwner(owner, &caller);
	KeptPlan(&plan, "INSERT INTO amelia.usage_dirty_days (id, day)"
			 " SELECT amelia_internal.new_uuid(), d.day FROM amelia.usage_days AS d", 0, NULL);
	if (SPI_execute_snapshot(plan, NULL, NULL, GetLatestSnapshot(), InvalidSnapshot,
							 false, true, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not mark the days");
	BecomeSelf(&caller);
	SPI_finish();
}

/*
 * Whether a row is deleted by the cascade of its workflow, whose usage is in
 * the history then. One that the statement itself deletes along with its
 * workflow is not.
 */
static bool
IsDeletedWithWorkflow(Relation table, HeapTuple row)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {UUIDOID};
	TupleDesc	tupdesc = RelationGetDescr(table);
	OwnerContext caller;
	bool		is_null;
	Datum		values[] = {heap_getattr(row, ColumnOfType(tupdesc, "workflow_id", UUIDOID), tupdesc, &is_null)};
	bool		is_gone;

	if (is_null || !UsageWasKept(DatumGetUUIDP(values[0])))
		return false;
	SPI_connect();
	BecomeTablesOwner(table->rd_rel->relowner, &caller);
	KeptPlan(&plan, "SELECT FROM amelia.workflows AS w WHERE w.id OPERATOR(pg_catalog.=) $1",
			 lengthof(types), types);
	if (SPI_execute_plan(plan, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read workflows");
	is_gone = SPI_processed == 0;
	BecomeSelf(&caller);
	SPI_finish();
	return is_gone;
}

/*
 * Mark the day of one version of a row, unless it is open.
 */
static void
MarkVersion(TriggerData *data, HeapTuple row)
{
	Relation	table = data->tg_relation;
	TupleDesc	tupdesc = RelationGetDescr(table);
	static AttrNumber column = 1;
	bool		is_null;
	TimestampTz time;

	/* It is mostly where it was for the last row. */
	if (column > tupdesc->natts ||
		TupleDescAttr(tupdesc, column - 1)->atttypid != TIMESTAMPTZOID ||
		strcmp(NameStr(TupleDescAttr(tupdesc, column - 1)->attname), "timestamp") != 0)
		column = ColumnOfType(tupdesc, "timestamp", TIMESTAMPTZOID);
	time = DatumGetTimestampTz(heap_getattr(row, column, tupdesc, &is_null));

	if (!border_is_valid)
		FindBorder(table->rd_rel->relowner);
	/* A day without an end belongs to no range. */
	if (is_null || time >= border || TIMESTAMP_NOT_FINITE(time))
		return;
	if (TRIGGER_FIRED_BY_DELETE(data->tg_event) && IsDeletedWithWorkflow(table, row))
		return;
	MarkDay(UsageDay(time), table->rd_rel->relowner);
}

/*
 * mark_usage_day() returns trigger
 */
Datum
amelia_mark_usage_day(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	TriggerEvent event = CALLED_AS_TRIGGER(fcinfo) ? data->tg_event & TRIGGER_EVENT_OPMASK : 0;

	if (CALLED_AS_TRIGGER(fcinfo) && event == TRIGGER_EVENT_TRUNCATE)
	{
		data = GetTriggerData(fcinfo, "mark_usage_day",
							  TRIGGER_EVENT_BEFORE, TRIGGER_EVENT_TRUNCATE, false);
		MarkAllDays(data->tg_relation->rd_rel->relowner);
		return PointerGetDatum(NULL);
	}
	data = GetTriggerData(fcinfo, "mark_usage_day", TRIGGER_EVENT_BEFORE, event, true);
	MarkVersion(data, data->tg_trigtuple);
	if (event != TRIGGER_EVENT_UPDATE)
		return PointerGetDatum(data->tg_trigtuple);
	MarkVersion(data, data->tg_newtuple);
	return PointerGetDatum(data->tg_newtuple);
}

/*
 * mark_history_day() returns trigger
 *
 * Rows come into the history from token_usage, which changes no sum. What is
 * deleted or changed there does.
 */
Datum
amelia_mark_history_day(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	TupleDesc	tupdesc;
	bool		is_null;
	DateADT		day;

	if (CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_BY_TRUNCATE(data->tg_event))
	{
		data = GetTriggerData(fcinfo, "mark_history_day",
							  TRIGGER_EVENT_BEFORE, TRIGGER_EVENT_TRUNCATE, false);
		MarkAllDays(data->tg_relation->rd_rel->relowner);
		return PointerGetDatum(NULL);
	}
	data = GetTriggerData(fcinfo, "mark_history_day",
						  TRIGGER_EVENT_AFTER, TRIGGER_EVENT_DELETE, true);
	tupdesc = RelationGetDescr(data->tg_relation);
	day = DatumGetDateADT(heap_getattr(data->tg_trigtuple, ColumnOfType(tupdesc, "day", DATEOID),
									   tupdesc, &is_null));
	if (!is_null && !DATE_NOT_FINITE(day))
		MarkDay(day, data->tg_relation->rd_rel->relowner);
	return PointerGetDatum(NULL);
}
