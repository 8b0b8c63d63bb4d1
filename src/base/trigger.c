/*-------------------------------------------------------------------------
 *
 * trigger.c
 *	  What the trigger functions share, and the one that keeps updated_at.
 *
 *	  Columns are looked up by name for each row: an operator may add some,
 *	  and a loop over a score of names is nothing beside the row's write.
 *
 *-------------------------------------------------------------------------
 */
#include "base/trigger.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/execute.h"
#include "base/history_mode.h"

PG_FUNCTION_INFO_V1(amelia_touch_updated_at);

/*
 * The trigger call's data; 39P01 when the function is called in any other
 * way than the one that it is made for.
 */
TriggerData *
GetTriggerData(FunctionCallInfo fcinfo, const char *function,
			   TriggerEvent timing, TriggerEvent event, bool for_each_row)
{
	TriggerData *data = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", function)));
	if ((data->tg_event & TRIGGER_EVENT_TIMINGMASK) != timing ||
		(data->tg_event & TRIGGER_EVENT_OPMASK) != event ||
		(TRIGGER_FIRED_FOR_ROW(data->tg_event) != 0) != for_each_row)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was fired by a trigger of another kind than it is for",
						function)));
	return data;
}

/*
 * The number of a column; 55000 when the table has none of that name.
 */
AttrNumber
ColumnNumber(TupleDesc tupdesc, const char *name)
{
	int			number = SPI_fnumber(tupdesc, name);

	if (number <= 0)
		RefuseOlderSchema(name);
	return number;
}

/*
 * The number of a column of ours; 39P01 when it has another type, because
 * then the trigger is on a table that it was not made for.
 */
AttrNumber
ColumnOfType(TupleDesc tupdesc, const char *name, Oid type)
{
	AttrNumber	number = ColumnNumber(tupdesc, name);

	if (TupleDescAttr(tupdesc, number - 1)->atttypid != type)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("column \"%s\" must be of type %s for this trigger",
						name, format_type_be(type))));
	return number;
}

/*
 * A column of ours in a trigger's row, of the type that it is made for. is_null
 * NULL: it must have a value, whoever has dropped its NOT NULL.
 */
Datum
ColumnValue(Relation table, HeapTuple row, const char *name, Oid type, bool *is_null)
{
	TupleDesc	tupdesc = RelationGetDescr(table);
	bool		no_value;
	Datum		value = heap_getattr(row, ColumnOfType(tupdesc, name, type), tupdesc, &no_value);

	if (is_null != NULL)
		*is_null = no_value;
	else if (no_value)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("null value in column \"%s\" of relation \"%s\"",
						name, RelationGetRelationName(table))));
	return value;
}

/*
 * Whether two versions of a row have the same value in a column. One that an
 * UPDATE leaves alone has the same bytes, stored out of line or not; only
 * others are fetched to be compared.
 */
bool
SameValue(TupleDesc tupdesc, AttrNumber column, HeapTuple a, HeapTuple b)
{
	Form_pg_attribute attribute = TupleDescAttr(tupdesc, column - 1);
	bool		a_null;
	bool		b_null;
	Datum		a_value = heap_getattr(a, column, tupdesc, &a_null);
	Datum		b_value = heap_getattr(b, column, tupdesc, &b_null);

	if (a_null || b_null)
		return a_null == b_null;
	return datumIsEqual(a_value, b_value, attribute->attbyval, attribute->attlen) ||
		datum_image_eq(a_value, b_value, attribute->attbyval, attribute->attlen);
}

/*
 * Whether an UPDATE changed some of the columns of a list, which ends with
 * NULL, and nothing else.
 */
bool
OnlyChanged(TriggerData *data, const char *const *names)
{
	TupleDesc	tupdesc = RelationGetDescr(data->tg_relation);
	bool		any = false;

	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(tupdesc, i);
		bool		listed = false;

		if (attribute->attisdropped ||
			SameValue(tupdesc, i + 1, data->tg_trigtuple, data->tg_newtuple))
			continue;
		for (const char *const *name = names; *name != NULL && !listed; name++)
			listed = strcmp(NameStr(attribute->attname), *name) == 0;
		if (!listed)
			return false;
		any = true;
	}
	return any;
}

/*
 * Whether an UPDATE changed the counters that sequences are kept by, or the
 * marks of retention and of claims, and nothing else: that is no act of a
 * client's on the row.
 */
bool
OnlyCountersChanged(TriggerData *data)
{
	static const char *const counters[] = {
		"sequence_floor", "events_removed", "traces_removed_to", "parked", NULL
	};

	return OnlyChanged(data, counters);
}

/*
 * Whether a trigger is the one of ours that has this name, and not another one
 * that somebody has put in its place.
 */
bool
IsOurTrigger(const Trigger *trigger, const char *name, const char *function)
{
	char	   *called = strcmp(trigger->tgname, name) == 0 ? get_func_name(trigger->tgfoid) : NULL;

	return called != NULL && strcmp(called, function) == 0 &&
		get_func_namespace(trigger->tgfoid) == get_namespace_oid(AMELIA_INTERNAL_SCHEMA, true);
}

/*
 * touch_updated_at() returns trigger
 */
Datum
amelia_touch_updated_at(PG_FUNCTION_ARGS)
{
	TriggerData *data = GetTriggerData(fcinfo, "touch_updated_at",
									   TRIGGER_EVENT_BEFORE, TRIGGER_EVENT_UPDATE, true);
	TupleDesc	tupdesc = RelationGetDescr(data->tg_relation);
	int			column = ColumnOfType(tupdesc, "updated_at", TIMESTAMPTZOID);
	Datum		now = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	bool		is_null = false;

	/* What happened elsewhere moved there, or did not. */
	if (!SameValue(tupdesc, column, data->tg_trigtuple, data->tg_newtuple) ||
		OnlyCountersChanged(data) || IsHistory(data))
		return PointerGetDatum(data->tg_newtuple);
	return PointerGetDatum(heap_modify_tuple_by_cols(data->tg_newtuple, tupdesc, 1,
													 &column, &now, &is_null));
}
