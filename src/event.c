/*-------------------------------------------------------------------------
 *
 * event.c
 *	  Appending events, one or an array of them.
 *
 *	  Rows go in through INSERT, so that all holds that holds for one: the
 *	  caller's grants, constraints, other people's triggers, row security.
 *	  A single event is numbered by the table's trigger. An array gets its
 *	  numbers in one allocation, unless somebody else's trigger may leave
 *	  rows out or add some: then each row is numbered as it comes.
 *
 *	  What is sent again is known by its id. The workflow's row is locked
 *	  before we look for it, so that of two who send the same, the second
 *	  sees what the first one stored.
 *
 *-------------------------------------------------------------------------
 */
#include "event.h"
#include "lease.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rangetypes.h"
#include "utils/rel.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(amelia_append_event);
PG_FUNCTION_INFO_V1(amelia_append_events);

/* $1 to $13 are the fields in the order of EventField, $14 the workflow. */
#define WORKFLOW_PARAM EVENT_FIELDS
#define EVENT_PARAMS (EVENT_FIELDS + 1)

#define EVENT_COLUMNS \
	"event_type, message, level, agent, data, is_error, \"timestamp\", id," \
	" correlation_id, tool_name, tool_input, trace_id, parent_id, workflow_id"

/* A type that event_types does not have is level debug and stored. */
static const char *const append_query =
	"INSERT INTO amelia.workflow_log (" EVENT_COLUMNS ")"
	" SELECT $1, $2, l.level, $4, $5, COALESCE($6, l.level = 'error'), COALESCE($7, pg_catalog.now()),"
	" COALESCE($8, amelia.uuid_v7()), $9, $10, $11, $12, $13, $14"
	" FROM (SELECT COALESCE($3, t.level, 'debug') AS level"
	" FROM (VALUES (1)) AS one LEFT JOIN amelia.event_types AS t ON t.event_type = $1"
	" WHERE t.persisted IS NOT FALSE) AS l"
	" ON CONFLICT (id) DO NOTHING RETURNING sequence";

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

static const char *const repeat_query =
	"SELECT e.sequence, e.workflow_id = $14 AND " SAME_EVENT("e", "$")
	" FROM amelia.workflow_log AS e WHERE e.id = $8";

#define EVENT_ARRAYS \
	"ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3)," \
	" pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6)," \
	" pg_catalog.unnest($7), pg_catalog.unnest($8), pg_catalog.unnest($9)," \
	" pg_catalog.unnest($10), pg_catalog.unnest($11), pg_catalog.unnest($12)," \
	" pg_catalog.unnest($13)) WITH ORDINALITY" \
	" AS f (f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, place)"

/* $15 is the number before the first; NULL leaves them to the trigger. */
static const char *const append_batch_query =
	"INSERT INTO amelia.workflow_log (" EVENT_COLUMNS ", sequence, sequence_allocated)"
	" SELECT f.f1, f.f2, f.f3, f.f4, f.f5, f.f6, f.f7, f.f8, f.f9, f.f10, f.f11, f.f12, f.f13,"
	" $14, $15 + f.place::integer, true"
	" FROM " EVENT_ARRAYS
	" RETURNING sequence";

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

static const char *const types_query =
	"SELECT t.event_type, t.level, t.persisted FROM amelia.event_types AS t"
	" WHERE t.event_type = ANY ($1)";

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
 * Run a plan; SPI's flags for NULLs are letters.
 */
static void
RunPlan(SPIPlanPtr plan, int nargs, Datum *values, const bool *nulls, int expected)
{
	char		flags[EVENT_PARAMS + 2];
	int			result;

	Assert(nargs <= (int) lengthof(flags));
	for (int i = 0; i < nargs; i++)
		flags[i] = nulls[i] ? 'n' : ' ';
	result = SPI_execute_plan(plan, values, flags, false, 0);
	if (result != expected)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
}

/* A column of a row that the last query returned. */
static Datum
ResultValue(uint64 row, int column, bool *is_null)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, is_null);
}

/*
 * An array of one field of all events, or only of those that have it.
 */
static Datum
FieldArray(const Event *events, int count, EventField field, bool without_nulls)
{
	Oid			type = event_fields[field].type;
	Datum	   *values = palloc(count * sizeof(Datum));
	bool	   *nulls = palloc(count * sizeof(bool));
	int			dims[] = {0};
	int			bounds[] = {1};
	int16		length;
	bool		by_value;
	char		align;

	for (int i = 0; i < count; i++)
	{
		if (without_nulls && events[i].nulls[field])
			continue;
		values[dims[0]] = events[i].values[field];
		nulls[dims[0]] = events[i].nulls[field];
		dims[0]++;
	}
	get_typlenbyvalalign(type, &length, &by_value, &align);
	return PointerGetDatum(construct_md_array(values, nulls, 1, dims, bounds,
											  type, length, by_value, align));
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

/*
 * The sequence of the event that is stored with the id in values, 0 when
 * there is none; 23505 when it says something else.
 */
static int32
FindRepeatedEvent(Datum *values, const bool *nulls, const Oid *types)
{
	static SPIPlanPtr plan = NULL;
	bool		is_null;

	if (nulls[EVENT_ID])
		return 0;
	RunPlan(KeptPlan(&plan, repeat_query, EVENT_PARAMS, types),
			EVENT_PARAMS, values, nulls, SPI_OK_SELECT);
	if (SPI_processed == 0)
		return 0;
	if (!DatumGetBool(ResultValue(0, 2, &is_null)))
		RefuseOtherContent(DatumGetUUIDP(values[EVENT_ID]));
	return DatumGetInt32(ResultValue(0, 1, &is_null));
}

/*
 * append_event(workflow_id uuid, event_type text, ...) returns integer
 */
Datum
amelia_append_event(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[EVENT_PARAMS];
	Event		event;
	Datum		values[EVENT_PARAMS];
	bool		nulls[EVENT_PARAMS];
	pg_uuid_t	parent;
	bool		is_null;
	int32		sequence;

	if (PG_ARGISNULL(0))
		RefuseMissing("workflow_id");
	for (int i = 0; i < EVENT_FIELDS; i++)
	{
		event.nulls[i] = PG_ARGISNULL(i + 1);
		event.values[i] = event.nulls[i] ? (Datum) 0 : PG_GETARG_DATUM(i + 1);
		types[i] = event_fields[i].type;
	}
	CheckEvent(&event);
	memcpy(values, event.values, sizeof(event.values));
	memcpy(nulls, event.nulls, sizeof(event.nulls));
	values[WORKFLOW_PARAM] = PG_GETARG_DATUM(0);
	nulls[WORKFLOW_PARAM] = false;
	types[WORKFLOW_PARAM] = UUIDOID;

	if (!LockSequence(EVENT_SEQUENCE, PG_GETARG_DATUM(0)))
		RefuseNoWorkflow(PG_GETARG_UUID_P(0));
	if (!PG_ARGISNULL(EVENT_PARAMS))
		UseLease(PG_GETARG_UUID_P(0), PG_GETARG_INT64(EVENT_PARAMS));

	SPI_connect();
	if (FindMissingParent(&event, 1, &parent))
	{
		/* The parent may have gone since this was sent first. */
		sequence = FindRepeatedEvent(values, nulls, types);
		if (sequence == 0)
			RefuseNoParent(&parent);
	}
	else
	{
		RunPlan(KeptPlan(&plan, append_query, EVENT_PARAMS, types),
				EVENT_PARAMS, values, nulls, SPI_OK_INSERT_RETURNING);
		sequence = SPI_processed == 1 ?
			DatumGetInt32(ResultValue(0, 1, &is_null)) :
			FindRepeatedEvent(values, nulls, types);
	}
	SPI_finish();

	/* Its type is switched off, or somebody's trigger left it out. */
	if (sequence == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(sequence);
}

/*
 * Give each event the level of its type where it has none, and what follows
 * from it; leave out those whose type is switched off. Returns how many stay.
 */
static int
ApplyTypes(Event *events, int count)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {TEXTARRAYOID};
	Datum		values[] = {FieldArray(events, count, EVENT_TYPE, false)};
	bool		nulls[] = {false};
	int			kept = 0;

	RunPlan(KeptPlan(&plan, types_query, lengthof(types), types),
			lengthof(values), values, nulls, SPI_OK_SELECT);
	for (int i = 0; i < count; i++)
	{
		Event	   *event = &events[i];
		char	   *event_type = TextDatumGetCString(event->values[EVENT_TYPE]);
		const char *level = "debug";
		bool		is_stored = true;

		for (uint64 row = 0; row < SPI_processed; row++)
		{
			bool		is_null;

			if (strcmp(TextDatumGetCString(ResultValue(row, 1, &is_null)), event_type) != 0)
				continue;
			level = TextDatumGetCString(ResultValue(row, 2, &is_null));
			is_stored = DatumGetBool(ResultValue(row, 3, &is_null));
			break;
		}
		if (!is_stored)
			continue;
		if (event->nulls[EVENT_LEVEL])
			event->values[EVENT_LEVEL] = CStringGetTextDatum(level);
		event->nulls[EVENT_LEVEL] = false;
		if (event->nulls[EVENT_IS_ERROR])
			event->values[EVENT_IS_ERROR] =
				BoolGetDatum(strcmp(TextDatumGetCString(event->values[EVENT_LEVEL]), "error") == 0);
		event->nulls[EVENT_IS_ERROR] = false;
		events[kept++] = *event;
	}
	return kept;
}

/*
 * The arguments of the batch queries: arrays of all fields, and the workflow.
 */
static void
BatchValues(const Event *events, int count, Datum workflow, Datum *values, Oid *types)
{
	for (int i = 0; i < EVENT_FIELDS; i++)
	{
		values[i] = FieldArray(events, count, i, false);
		types[i] = get_array_type(event_fields[i].type);
	}
	values[WORKFLOW_PARAM] = workflow;
	types[WORKFLOW_PARAM] = UUIDOID;
}

/* The numbers from first to last; empty when first is above last. */
static Datum
SequenceRange(int32 first, int32 last)
{
	RangeBound	lower = {.val = Int32GetDatum(first), .inclusive = true, .lower = true};
	RangeBound	upper = {.val = Int32GetDatum(last), .inclusive = true};
	TypeCacheEntry *type = lookup_type_cache(INT4RANGEOID, TYPECACHE_RANGE_INFO);

	if (first > last)
		return RangeTypePGetDatum(make_empty_range(type));
	return RangeTypePGetDatum(CompatMakeRange(type, &lower, &upper));
}

/* The range of the sequences in the first column of the last result. */
static void
ResultRange(int32 *first, int32 *last)
{
	*first = PG_INT32_MAX;
	*last = 0;
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		is_null;
		int32		sequence = DatumGetInt32(ResultValue(row, 1, &is_null));

		*first = Min(*first, sequence);
		*last = Max(*last, sequence);
	}
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
 * Insert the events, and get the range of their sequences.
 */
static void
InsertBatch(Event *events, int count, Datum workflow, int32 *first, int32 *last)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[EVENT_PARAMS + 1];
	bool		nulls[EVENT_PARAMS + 1] = {false};
	Oid			types[EVENT_PARAMS + 1];
	Oid			table = get_relname_relid("workflow_log", get_namespace_oid(AMELIA_SCHEMA, false));
	Relation	log = table_open(table, RowExclusiveLock);

	for (int i = 0; i < count; i++)
	{
		Event	   *event = &events[i];

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
	BatchValues(events, count, workflow, values, types);
	types[EVENT_PARAMS] = INT4OID;
	nulls[EVENT_PARAMS] = !OnlyOurInsertTriggers(log);
	values[EVENT_PARAMS] = nulls[EVENT_PARAMS] ? (Datum) 0 :
		Int32GetDatum(AllocateSequence(EVENT_SEQUENCE, workflow, count) - 1);
	RunPlan(KeptPlan(&plan, append_batch_query, EVENT_PARAMS + 1, types),
			EVENT_PARAMS + 1, values, nulls, SPI_OK_INSERT_RETURNING);
	ResultRange(first, last);
	table_close(log, NoLock);
}

/*
 * append_events(workflow_id uuid, events jsonb) returns int4range
 */
Datum
amelia_append_events(PG_FUNCTION_ARGS)
{
	Datum		workflow;
	Event	   *events;
	int			count;
	int			repeated_count;
	pg_uuid_t	repeated;
	pg_uuid_t	parent;
	int32		first = 1;
	int32		last = 0;

	if (PG_ARGISNULL(0))
		RefuseMissing("workflow_id");
	if (PG_ARGISNULL(1))
		RefuseMissing("events");
	workflow = PG_GETARG_DATUM(0);
	events = ReadEvents(PG_GETARG_DATUM(1), &count);
	if (!LockSequence(EVENT_SEQUENCE, workflow))
		RefuseNoWorkflow(PG_GETARG_UUID_P(0));
	if (!PG_ARGISNULL(2))
		UseLease(PG_GETARG_UUID_P(0), PG_GETARG_INT64(2));
	if (count == 0)
		PG_RETURN_DATUM(SequenceRange(first, last));

	SPI_connect();
	repeated_count = FindRepeated(events, count, workflow, &repeated, &first, &last);
	if (repeated_count < count)
		count = ApplyTypes(events, count);
	if (repeated_count == 0 && FindMissingParent(events, count, &parent))
		RefuseNoParent(&parent);
	if (repeated_count == 0 && count > 0)
		InsertBatch(events, count, workflow, &first, &last);
	else if (repeated_count != count)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("event %s exists already, but not all of its batch",
						UuidText(&repeated)),
				 errhint("Send a batch again as it was sent first."),
				 err_generic_string(PG_DIAG_SCHEMA_NAME, AMELIA_SCHEMA),
				 err_generic_string(PG_DIAG_TABLE_NAME, "workflow_log"),
				 err_generic_string(PG_DIAG_CONSTRAINT_NAME, "workflow_log_pkey")));
	SPI_finish();
	PG_RETURN_DATUM(SequenceRange(first, last));
}
