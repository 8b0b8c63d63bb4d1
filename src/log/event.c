/*-------------------------------------------------------------------------
 *
 * event.c
 *	  Appending events, one or an array of them.
 *
 *	  All that holds for an INSERT holds for them: the caller's grants,
 *	  constraints, other people's triggers, row security. Into an ordinary
 *	  table they go without one (event_insert.c), else in one. The numbers come from
 *	  one allocation, unless somebody else's trigger may leave rows out or add
 *	  some: then each row is numbered as it comes.
 *
 *	  What is sent again is known by its id. The workflow's row is locked
 *	  before we look for it, so that of two who send the same, the second
 *	  sees what the first one stored.
 *
 *-------------------------------------------------------------------------
 */
#include "log/event.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "base/check.h"
#include "base/door.h"
#include "base/execute.h"
#include "base/sequence.h"
#include "base/uuid.h"
#include "lease/fence.h"
#include "lease/lease.h"
#include "lease/said_lease.h"
#include "log/event_batch.h"
#include "log/event_insert.h"
#include "log/event_json.h"
#include "log/event_record.h"
#include "log/event_store.h"
#include "log/event_type.h"

PG_FUNCTION_INFO_V1(amelia_append_event);
PG_FUNCTION_INFO_V1(amelia_append_events);

/*
 * Whether a stored event says the same. A level, an is_error or a time that
 * was not given cannot differ; a parent that is gone has left a NULL.
 */
#define SAME_EVENT(e, f) \
	e ".event_type = " f "1 AND " e ".message = " f "2" \
	" AND (" f "3 IS NULL OR " e ".level = " f "3)" \
	" AND " e ".agent IS NOT DISTINCT FROM " f "4" \
	" AND " e ".data IS NOT DISTINCT FROM " f "5" \
	" AND (" f "6 IS NULL OR " e ".is_error = " f "6)" \
	" AND (" f "7 IS NULL OR " e ".\"timestamp\" = " f "7)" \
	" AND " e ".correlation_id IS NOT DISTINCT FROM " f "9" \
	" AND " e ".tool_name IS NOT DISTINCT FROM " f "10" \
	" AND " e ".tool_input IS NOT DISTINCT FROM " f "11" \
	" AND " e ".trace_id IS NOT DISTINCT FROM " f "12" \
	" AND (" e ".parent_id IS NOT DISTINCT FROM " f "13 OR (" e ".parent_id IS NULL" \
	" AND NOT EXISTS (SELECT FROM amelia.workflow_log AS p WHERE p.id = " f "13)))"

/* Those of a batch that are there already, in its order. */
static const char *const repeat_batch_query =
"SELECT e.sequence, e.workflow_id = $14 AND " SAME_EVENT("e", "f.f") ", e.id"
" FROM " EVENT_ARRAYS
" JOIN amelia.workflow_log AS e ON e.id = f.f8"
" ORDER BY f.place";

/* A parent that is neither stored nor in the batch itself. */
static const char *const parent_query =
"SELECT g.parent FROM pg_catalog.unnest($1) AS g (parent)"
" WHERE g.parent IS NOT NULL AND g.parent <> ALL ($2)"
" AND NOT EXISTS (SELECT FROM amelia.workflow_log AS p WHERE p.id = g.parent)"
" LIMIT 1";

/*
 * Raise 23505 because the id stands for another event.
 */
static void
RefuseOtherContent(const pg_uuid_t *id)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("event %s exists already, with other content", UuidText(id)),
			 err_generic_string(PG_DIAG_SCHEMA_NAME, AMELIA_SCHEMA),
			 err_generic_string(PG_DIAG_TABLE_NAME, "workflow_log"),
			 err_generic_string(PG_DIAG_CONSTRAINT_NAME, "workflow_log_pkey")));
}

/*
 * Whether an event's parent is neither stored nor in the batch; the parent.
 */
static bool
FindMissingParent(const Event *events, int count, pg_uuid_t *parent)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {UUIDARRAYOID, UUIDARRAYOID};
	Datum		values[2];
	bool		nulls[] = {false, false};
	bool		has_parent = false;
	bool		is_null;

	for (int i = 0; i < count; i++)
		has_parent = has_parent || !events[i].nulls[EVENT_PARENT_ID];
	if (!has_parent)
		return false;

	values[0] = FieldArray(events, count, EVENT_PARENT_ID, false);
	values[1] = FieldArray(events, count, EVENT_ID, true);
	RunPlan(KeptPlan(&plan, parent_query, lengthof(types), types),
			lengthof(values), values, nulls, SPI_OK_SELECT);
	if (SPI_processed == 0)
		return false;
	*parent = *DatumGetUUIDP(ResultValue(0, 1, &is_null));
	return true;
}

/*
 * Raise P0002 because there is no event that could be the parent.
 */
static void
RefuseNoParent(const pg_uuid_t *parent)
{
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA_FOUND),
			 errmsg("no event %s, which parent_id names", UuidText(parent))));
}

/* The numbers from first to last; empty when first is above last. */
static Datum
SequenceRange(int32 first, int32 last)
{
	RangeBound	lower = {.val = Int32GetDatum(first),.inclusive = true,.lower = true};
	RangeBound	upper = {.val = Int32GetDatum(last),.inclusive = true};
	TypeCacheEntry *type = lookup_type_cache(INT4RANGEOID, TYPECACHE_RANGE_INFO);

	if (first > last)
		return RangeTypePGetDatum(make_empty_range(type));
	return RangeTypePGetDatum(CompatMakeRange(type, &lower, &upper));
}

/*
 * Look for those of a batch that are stored already. Returns how many are,
 * and the range of their sequences; 23505 when one says something else.
 */
static int
FindRepeated(const Event *events, int count, Datum workflow, pg_uuid_t *repeated,
			 int32 *first, int32 *last)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[EVENT_PARAMS];
	bool		nulls[EVENT_PARAMS] = {false};
	Oid			types[EVENT_PARAMS];
	bool		has_id = false;

	for (int i = 0; i < count; i++)
		has_id = has_id || !events[i].nulls[EVENT_ID];
	if (!has_id)
		return 0;

	BatchValues(events, count, workflow, values, types);
	RunPlan(KeptPlan(&plan, repeat_batch_query, EVENT_PARAMS, types),
			EVENT_PARAMS, values, nulls, SPI_OK_SELECT);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		is_null;

		*repeated = *DatumGetUUIDP(ResultValue(row, 3, &is_null));
		if (!DatumGetBool(ResultValue(row, 2, &is_null)))
			RefuseOtherContent(repeated);
	}
	ResultRange(first, last);
	return SPI_processed;
}

/*
 * Copies of the events to be stored, with all that follows from what was
 * given; those whose type is switched off are left out.
 */
static Event *
CompleteEvents(const Event *events, int *count)
{
	Event	   *complete = palloc(Max(*count, 1) * sizeof(Event));

	memcpy(complete, events, *count * sizeof(Event));
	*count = ApplyTypes(complete, *count);
	for (int i = 0; i < *count; i++)
	{
		Event	   *event = &complete[i];

		if (event->nulls[EVENT_ID])
		{
			pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

			MakeUuidV7(id);
			event->values[EVENT_ID] = UUIDPGetDatum(id);
			event->nulls[EVENT_ID] = false;
		}
		if (event->nulls[EVENT_TIMESTAMP])
		{
			event->values[EVENT_TIMESTAMP] =
				TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
			event->nulls[EVENT_TIMESTAMP] = false;
		}
	}
	return complete;
}

/*
 * Raise 23505 because some of a batch are stored, and some are not.
 */
static void
RefusePartOfBatch(const pg_uuid_t *repeated)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("event %s exists already, but not all of its batch",
					UuidText(repeated)),
			 errhint("Send a batch again as it was sent first."),
			 err_generic_string(PG_DIAG_SCHEMA_NAME, AMELIA_SCHEMA),
			 err_generic_string(PG_DIAG_TABLE_NAME, "workflow_log"),
			 err_generic_string(PG_DIAG_CONSTRAINT_NAME, "workflow_log_pkey")));
}

/*
 * Whether an event has a parent.
 */
static bool
HasParent(const Event *events, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (!events[i].nulls[EVENT_PARENT_ID])
			return true;
	}
	return false;
}

/*
 * What has to be asked in SQL: whether the events, some of which may be
 * stored already, are all there, and whether their parents are. Returns
 * whether they are to be inserted; if not, the range of their sequences.
 */
static bool
AreNew(Datum workflow, const Event *events, int count, const Event *stored, int stored_count,
	   int32 *first, int32 *last)
{
	pg_uuid_t	culprit;
	int32		first_repeated;
	int32		last_repeated;
	int			repeated_count = FindRepeated(events, count, workflow, &culprit,
											  &first_repeated, &last_repeated);

	if (repeated_count == 0)
	{
		if (FindMissingParent(stored, stored_count, &culprit))
			RefuseNoParent(&culprit);
		return stored_count > 0;
	}
	if (repeated_count != count && repeated_count != stored_count)
		RefusePartOfBatch(&culprit);
	*first = first_repeated;
	*last = last_repeated;
	return false;
}

/*
 * Append the events, unless they were before, and get the range of their
 * sequences; empty when none is stored. token: of the lease that it is done
 * under; NULL in it: of none that is said here.
 */
static void
AppendEvents(Datum workflow, const Event *events, int count, const NullableDatum *token,
			 int32 *first, int32 *last)
{
	Relation	log = OpenTable("workflow_log", RowExclusiveLock);
	int			stored_count = count;
	Event	   *stored = CompleteEvents(events, &stored_count);
	DoorWrite  *insert = NULL;
	bool		is_contested = false;
	bool		may_be_stored = true;
	bool		are_new = true;

	PreventCommandIfReadOnly("INSERT");
	*first = 1;
	*last = 0;
	if (stored_count > 0 && MayInsertDirectly(log))
	{
		insert = BeginInsert(log, stored, stored_count);
		*first = AllocateSequence(EVENT_SEQUENCE, workflow, stored_count);
		is_contested = AllocationIsContested();
	}
	else if (!LockSequence(EVENT_SEQUENCE, workflow))
		*first = 0;
	if (*first == 0)
		RefuseNoWorkflow(DatumGetUUIDP(workflow));
	if (!token->isnull)
		UseLease(DatumGetUUIDP(workflow), DatumGetInt64(token->value));
	else if (MayBeFenced())
		FenceWorkflow(DatumGetUUIDP(workflow), true);

	if (insert != NULL)
		may_be_stored = IsAnyStored(log, events, count);
	if (insert == NULL || may_be_stored || HasParent(stored, stored_count))
	{
		int			nest_level = EnterSafePath();

		SPI_connect();
		are_new = AreNew(workflow, events, count, stored, stored_count, first, last);
		if (are_new && insert == NULL)
			StoreContestedEvents(log, false, stored, stored_count, workflow, first, last);
		SPI_finish();
		LeaveSafePath(nest_level);
	}
	if (insert != NULL && are_new)
	{
		/* There, and not for our snapshot to see. */
		if (may_be_stored && IsolationUsesXactSnapshot())
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent update")));
		*last = *first + stored_count - 1;
		if (is_contested)
		{
			EndDoorWrite(insert);
			StoreContestedEvents(log, true, stored, stored_count, workflow, first, last);
		}
		else
			StoreEvents(insert, stored, stored_count, workflow, *first);
	}
	else if (insert != NULL)
		EndDoorWrite(insert);
	table_close(log, NoLock);
}

/*
 * append_event(workflow_id uuid, event_type text, ...) returns integer
 */
Datum
amelia_append_event(PG_FUNCTION_ARGS)
{
	Event		event;
	int32		first;
	int32		last;

	if (PG_ARGISNULL(0))
		RefuseMissing("workflow_id");
	for (int i = 0; i < EVENT_FIELDS; i++)
	{
		event.nulls[i] = PG_ARGISNULL(i + 1);
		event.values[i] = event.nulls[i] ? (Datum) 0 : PG_GETARG_DATUM(i + 1);
	}
	CheckEvent(&event);
	AppendEvents(PG_GETARG_DATUM(0), &event, 1, &fcinfo->args[EVENT_FIELDS + 1], &first, &last);

	/* Its type is switched off, or somebody's trigger left it out. */
	if (first > last)
		PG_RETURN_NULL();
	PG_RETURN_INT32(first);
}

/*
 * Append an event with a type, a message and data, as JSON, under what the
 * transaction has said.
 */
void
TellEvent(const pg_uuid_t *workflow, const char *event_type, const char *message, const char *data)
{
	NullableDatum token = {.isnull = true};
	Event		event;
	int32		first;
	int32		last;

	memset(event.nulls, true, sizeof(event.nulls));
	event.nulls[EVENT_TYPE] = event.nulls[EVENT_MESSAGE] = event.nulls[EVENT_DATA] = false;
	event.values[EVENT_TYPE] = CStringGetTextDatum(event_type);
	event.values[EVENT_MESSAGE] = CStringGetTextDatum(message);
	event.values[EVENT_DATA] = DirectFunctionCall1(jsonb_in, CStringGetDatum(data));
	AppendEvents(UUIDPGetDatum(workflow), &event, 1, &token, &first, &last);
}

/*
 * append_events(workflow_id uuid, events jsonb) returns int4range
 */
Datum
amelia_append_events(PG_FUNCTION_ARGS)
{
	Event	   *events;
	int			count;
	int32		first;
	int32		last;

	if (PG_ARGISNULL(0))
		RefuseMissing("workflow_id");
	if (PG_ARGISNULL(1))
		RefuseMissing("events");
	events = ReadEvents(PG_GETARG_DATUM(1), &count);
	AppendEvents(PG_GETARG_DATUM(0), events, count, &fcinfo->args[2], &first, &last);
	PG_RETURN_DATUM(SequenceRange(first, last));
}
