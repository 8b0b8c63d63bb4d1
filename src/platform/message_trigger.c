/*-------------------------------------------------------------------------
 *
 * message_trigger.c
 *	  The trigger of agent_messages.
 *
 *	  Most messages make three moves, as send_message(), receive_messages() and
 *	  ack_message() write them: sent, delivered, acknowledged. These are told
 *	  apart here, and need no more. For any other row the functions in SQL are
 *	  called that hold the rules (platform_new_message() and its neighbours), as
 *	  triggers on the same row. A trigger for each of them, with conditions,
 *	  would have these read and compiled anew for each statement.
 *
 *	  It also notes for whom there is something to be received
 *	  (message_wait.c).
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/history_mode.h"
#include "base/trigger.h"
#include "platform/message_wait.h"

PG_FUNCTION_INFO_V1(amelia_platform_message_trigger);

/*
 * Have a function in SQL look at the row, as a trigger on it, and go on with
 * what it made of it.
 */
static void
CallRule(TriggerData *data, const char *name)
{
	List	   *function = list_make2(makeString(pstrdup(AMELIA_INTERNAL_SCHEMA)), makeString(pstrdup(name)));

	LOCAL_FCINFO(call, 0);
	FmgrInfo	info;
	HeapTuple	row;

	fmgr_info(LookupFuncName(function, 0, NULL, false), &info);
	InitFunctionCallInfoData(*call, &info, 0, InvalidOid, (Node *) data, NULL);
	row = (HeapTuple) DatumGetPointer(FunctionCallInvoke(call));
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		data->tg_newtuple = row;
	else
		data->tg_trigtuple = row;
}

static HeapTuple
NewRow(const TriggerData *data)
{
	return TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
}

static bool
TextIs(const TriggerData *data, HeapTuple row, const char *column, const char *text)
{
	bool		is_null;
	Datum		value = ColumnValue(data->tg_relation, row, column, VARCHAROID, &is_null);
	VarChar    *found;

	if (is_null)
		return false;
	found = DatumGetVarCharPP(value);
	return VARSIZE_ANY_EXHDR(found) == strlen(text) && memcmp(VARDATA_ANY(found), text, strlen(text)) == 0;
}

/* A time; NULL: is_null. */
static TimestampTz
Time(const TriggerData *data, HeapTuple row, const char *column, bool *is_null)
{
	return DatumGetTimestampTz(ColumnValue(data->tg_relation, row, column, TIMESTAMPTZOID, is_null));
}

static bool
SameColumn(const TriggerData *data, const char *column)
{
	TupleDesc	tupdesc = RelationGetDescr(data->tg_relation);

	return SameValue(tupdesc, ColumnNumber(tupdesc, column), data->tg_trigtuple, data->tg_newtuple);
}

/*
 * Whether that is a delivery, or an acknowledgement, with all that belongs to
 * it.
 */
static bool
IsUsualMove(const TriggerData *data)
{
	HeapTuple	row = data->tg_newtuple;
	bool		is_null;
	bool		no_expiry;
	TimestampTz delivered;
	TimestampTz visible;
	TimestampTz expires;

	if (!SameColumn(data, "id") || !SameColumn(data, "message_id"))
		return false;
	if (TextIs(data, row, "status", "acknowledged"))
	{
		if (!TextIs(data, data->tg_trigtuple, "status", "delivered"))
			return false;
		(void) Time(data, row, "acknowledged_at", &is_null);
		(void) Time(data, row, "visible_at", &no_expiry);
		return !is_null && no_expiry;
	}
	if (!TextIs(data, row, "status", "delivered") || !TextIs(data, data->tg_trigtuple, "status", "pending"))
		return false;
	delivered = Time(data, row, "delivered_at", &is_null);
	if (is_null || delivered < GetCurrentTransactionStartTimestamp())
		return false;
	visible = Time(data, row, "visible_at", &is_null);
	if (is_null || visible <= delivered || Time(data, row, "available_at", &is_null) <= visible || is_null)
		return false;
	expires = Time(data, row, "expires_at", &no_expiry);
	return no_expiry || expires > delivered;
}

/*
 * The moves of a row that is there.
 */
static void
CheckMove(TriggerData *data)
{
	int			status = ColumnNumber(RelationGetDescr(data->tg_relation), "status");

	if (IsUsualMove(data))
		return;

	/*
	 * Who says that it is delivered, and not only that it changes, delivers
	 * it.
	 */
	if (bms_is_member(status - FirstLowInvalidHeapAttributeNumber, data->tg_updatedcols) &&
		TextIs(data, data->tg_trigtuple, "status", "delivered") && TextIs(data, data->tg_newtuple, "status", "delivered"))
		CallRule(data, "platform_deliver_again");
	CallRule(data, "platform_move_message");
}

/*
 * platform_message() returns trigger
 */
Datum
amelia_platform_message_trigger(PG_FUNCTION_ARGS)
{
	bool		is_update = CALLED_AS_TRIGGER(fcinfo) &&
	TRIGGER_FIRED_BY_UPDATE(((TriggerData *) fcinfo->context)->tg_event);
	TriggerData data = *GetTriggerData(fcinfo, "platform_message", TRIGGER_EVENT_BEFORE,
									   is_update ? TRIGGER_EVENT_UPDATE : TRIGGER_EVENT_INSERT, true);
	bool		no_sender_type = false;
	bool		no_recipient_type = false;

	if (is_update)
		CheckMove(&data);
	else
	{
		(void) ColumnValue(data.tg_relation, data.tg_trigtuple, "sender_type", VARCHAROID, &no_sender_type);
		(void) ColumnValue(data.tg_relation, data.tg_trigtuple, "recipient_type", VARCHAROID, &no_recipient_type);
	}
	if (no_sender_type || no_recipient_type ||
		(TextIs(&data, NewRow(&data), "message_type", "task_delegation") &&
		 (!is_update || !SameColumn(&data, "message_type") || !SameColumn(&data, "payload"))))
		CallRule(&data, "platform_new_message");
	if ((!is_update || !SameColumn(&data, "status")) &&
		(TextIs(&data, NewRow(&data), "status", "pending") || TextIs(&data, NewRow(&data), "status", "sent")) &&
		!IsHistory(&data))
	{
		bool		is_null;
		Datum		recipient = ColumnValue(data.tg_relation, NewRow(&data), "recipient_id", UUIDOID, &is_null);

		/* NULL is for the table to refuse. */
		if (!is_null)
			NoteRecipient(DatumGetUUIDP(recipient));
	}
	return PointerGetDatum(NewRow(&data));
}
