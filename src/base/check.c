/*-------------------------------------------------------------------------
 *
 * check.c
 *	  The checks at the door of the functions. Each names the argument and
 *	  its value, and raises what a program can act on: 22023 for a value
 *	  that no caller may give, 22003 for a number that does not fit.
 *
 *	  The tables' CHECK constraints say the same to a plain INSERT.
 *
 *-------------------------------------------------------------------------
 */
#include "base/check.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

PG_FUNCTION_INFO_V1(amelia_check_given);
PG_FUNCTION_INFO_V1(amelia_check_limit);
PG_FUNCTION_INFO_V1(amelia_check_cursor);
PG_FUNCTION_INFO_V1(amelia_check_choice);
PG_FUNCTION_INFO_V1(amelia_check_container);
PG_FUNCTION_INFO_V1(amelia_check_count);
PG_FUNCTION_INFO_V1(amelia_check_cost);

/* A set of allowed values, which ends with NULL, and what arguments have it. */
typedef struct ChoiceSet
{
	const char *name;
	const char *argument;
	const char *values[8];
} ChoiceSet;

static const ChoiceSet choice_sets[] = {
	{"status", "status", {"pending", "in_progress", "blocked", "completed", "failed", "cancelled", NULL}},
	{"level", "level", {"trace", "debug", "info", "warning", "error", NULL}},
	{"role", "role", {"user", "assistant", NULL}},
	{"session_status", "status", {"active", "ready_for_handoff", "completed", "failed", NULL}},
	{"bucket", "bucket", {"day", "week", "month", NULL}},
	{"search_mode", "mode", {"exact", "english", NULL}},
};

/* numeric(10,6): four digits before the point, six after it */
#define COST_SCALE 6
#define COST_LIMIT 10000

/*
 * The set of a name.
 */
static const ChoiceSet *
FindChoiceSet(const char *name)
{
	for (size_t i = 0; i < lengthof(choice_sets); i++)
	{
		if (strcmp(choice_sets[i].name, name) == 0)
			return &choice_sets[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("no set of values is named \"%s\"", name)));
}

/*
 * Whether the value is one of the named set.
 */
bool
IsChoice(const char *name, const char *value)
{
	for (const char *const *choice = FindChoiceSet(name)->values; *choice != NULL; choice++)
	{
		if (strcmp(*choice, value) == 0)
			return true;
	}
	return false;
}

/*
 * Raise 22023 unless the value is one of the named set.
 */
void
CheckChoice(const char *name, const char *value)
{
	const ChoiceSet *set = FindChoiceSet(name);
	StringInfoData allowed;

	if (IsChoice(name, value))
		return;
	initStringInfo(&allowed);
	for (const char *const *choice = set->values; *choice != NULL; choice++)
		appendStringInfo(&allowed, "%s%s", allowed.len > 0 ? ", " : "", *choice);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s \"%s\"", set->argument, value),
			 errhint("Allowed: %s.", allowed.data)));
}

/*
 * Raise 22023 for a required argument that is NULL.
 */
void
RefuseMissing(const char *argument)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s must not be null", argument)));
}

/* The name of the argument that is checked, the first one of each function. */
static char *
ArgumentName(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		RefuseMissing("argument");
	return text_to_cstring(PG_GETARG_TEXT_PP(0));
}

/*
 * check_given(argument text, value anyelement) returns void
 */
Datum
amelia_check_given(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(1))
		RefuseMissing(ArgumentName(fcinfo));
	PG_RETURN_VOID();
}

/*
 * check_limit(row_limit integer) returns integer
 */
Datum
amelia_check_limit(PG_FUNCTION_ARGS)
{
	int32		limit;

	if (PG_ARGISNULL(0))
		RefuseMissing("row_limit");
	limit = PG_GETARG_INT32(0);
	if (limit < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("row_limit must not be negative: %d", limit)));
	PG_RETURN_INT32(limit);
}

/*
 * check_cursor(after_sequence integer) returns integer
 */
Datum
amelia_check_cursor(PG_FUNCTION_ARGS)
{
	int32		cursor;

	if (PG_ARGISNULL(0))
		RefuseMissing("after_sequence");
	cursor = PG_GETARG_INT32(0);
	if (cursor < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("after_sequence must not be negative: %d", cursor),
				 errhint("A reader that has seen nothing starts after 0.")));
	PG_RETURN_INT32(cursor);
}

/*
 * check_choice(name text, value text) returns text
 */
Datum
amelia_check_choice(PG_FUNCTION_ARGS)
{
	text	   *value;

	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	value = PG_GETARG_TEXT_PP(1);
	CheckChoice(ArgumentName(fcinfo), text_to_cstring(value));
	PG_RETURN_TEXT_P(value);
}

/*
 * Raise 22023 for a JSON scalar, where an object or an array belongs.
 */
void
CheckContainer(const char *argument, Datum value)
{
	Jsonb	   *json = DatumGetJsonbP(value);

	if (JB_ROOT_IS_SCALAR(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a JSON object or array, not %s", argument,
						JsonbToCString(NULL, &json->root, VARSIZE(json))),
				 errhint("JSON that was encoded twice arrives as a string.")));
}

/*
 * check_container(argument text, value jsonb) returns jsonb
 */
Datum
amelia_check_container(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	CheckContainer(ArgumentName(fcinfo), PG_GETARG_DATUM(1));
	PG_RETURN_DATUM(PG_GETARG_DATUM(1));
}

/*
 * check_count(argument text, value bigint) returns bigint
 */
Datum
amelia_check_count(PG_FUNCTION_ARGS)
{
	int64		value;

	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	value = PG_GETARG_INT64(1);
	if (value < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative: " INT64_FORMAT,
						ArgumentName(fcinfo), value)));
	PG_RETURN_INT64(value);
}

/*
 * check_cost(argument text, value numeric) returns numeric
 *
 * Rounds as numeric(10,6) does, so that a cost that is sent again compares
 * equal to what was stored.
 */
Datum
amelia_check_cost(PG_FUNCTION_ARGS)
{
	Numeric		value;
	Datum		cost;
	char	   *shown;

	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	value = PG_GETARG_NUMERIC(1);
	shown = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value)));
	if (numeric_is_nan(value) || shown[0] == '-')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a number of US dollars that is not negative: %s",
						ArgumentName(fcinfo), shown)));
	cost = DirectFunctionCall2(numeric_round, NumericGetDatum(value), Int32GetDatum(COST_SCALE));
	if (DatumGetBool(DirectFunctionCall2(numeric_ge, cost,
										 DirectFunctionCall1(int4_numeric, Int32GetDatum(COST_LIMIT)))))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s is out of range: %s", ArgumentName(fcinfo), shown),
				 errdetail("A cost is below %d US dollars.", COST_LIMIT)));
	PG_RETURN_DATUM(cost);
}
