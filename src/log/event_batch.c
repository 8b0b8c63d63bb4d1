/*-------------------------------------------------------------------------
 *
 * event_batch.c
 *	  Events as the parameters of a query: an array for each field.
 *
 *-------------------------------------------------------------------------
 */
#include "log/event_batch.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "log/event_json.h"

/*
 * Run a plan; SPI's flags for NULLs are letters.
 */
void
RunPlan(SPIPlanPtr plan, int nargs, Datum *values, const bool *nulls, int expected)
{
	char		flags[EVENT_PARAMS + 2] = {0};
	int			result;

	Assert(nargs <= (int) lengthof(flags));
	for (int i = 0; i < nargs; i++)
		flags[i] = nulls[i] ? 'n' : ' ';
	result = SPI_execute_plan(plan, values, flags, false, 0);
	if (result != expected)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
}

/* A column of a row that the last query returned. */
Datum
ResultValue(uint64 row, int column, bool *is_null)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, is_null);
}

/*
 * An array of one field of all events, or only of those that have it.
 */
Datum
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
 * The arguments of the batch queries: arrays of all fields, and the workflow.
 */
void
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

/* The range of the sequences in the first column of the last result. */
void
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
