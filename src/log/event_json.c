/*-------------------------------------------------------------------------
 *
 * event_json.c
 *	  Events as a JSON array, the argument of append_events().
 *
 *	  Everything that is not what it should be is refused by event and key:
 *	  a batch comes from a program, and its author wants to know which line
 *	  of it is wrong.
 *
 *-------------------------------------------------------------------------
 */
#include "log/event_json.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/check.h"
#include "log/event_record.h"

const EventFieldInfo event_fields[EVENT_FIELDS] = {
	[EVENT_TYPE] = {"event_type", TEXTOID},
	[EVENT_MESSAGE] = {"message", TEXTOID},
	[EVENT_LEVEL] = {"level", TEXTOID},
	[EVENT_AGENT] = {"agent", TEXTOID},
	[EVENT_DATA] = {"data", JSONBOID},
	[EVENT_IS_ERROR] = {"is_error", BOOLOID},
	[EVENT_TIMESTAMP] = {"timestamp", TIMESTAMPTZOID},
	[EVENT_ID] = {"id", UUIDOID},
	[EVENT_CORRELATION_ID] = {"correlation_id", TEXTOID},
	[EVENT_TOOL_NAME] = {"tool_name", TEXTOID},
	[EVENT_TOOL_INPUT] = {"tool_input", JSONBOID},
	[EVENT_TRACE_ID] = {"trace_id", TEXTOID},
	[EVENT_PARENT_ID] = {"parent_id", UUIDOID},
};

/* Where in the array an error is met; key is NULL between keys. */
typedef struct EventPlace
{
	int			event;
	const char *key;
} EventPlace;

static void
EventErrorContext(void *arg)
{
	EventPlace *place = (EventPlace *) arg;

	if (place->key != NULL)
		errcontext("key \"%s\" of event %d of the array", place->key, place->event);
	else
		errcontext("event %d of the array", place->event);
}

/*
 * Raise 22023 when a required field is missing, the level unknown, or JSON a
 * scalar.
 */
void
CheckEvent(const Event *event)
{
	if (event->nulls[EVENT_TYPE])
		RefuseMissing(event_fields[EVENT_TYPE].name);
	if (event->nulls[EVENT_MESSAGE])
		RefuseMissing(event_fields[EVENT_MESSAGE].name);
	if (!event->nulls[EVENT_LEVEL])
		CheckChoice("level", TextDatumGetCString(event->values[EVENT_LEVEL]));
	for (int i = 0; i < EVENT_FIELDS; i++)
	{
		if (event_fields[i].type == JSONBOID && !event->nulls[i])
			CheckContainer(event_fields[i].name, event->values[i]);
	}
}

/*
 * What kind of JSON value it is, for messages.
 */
static const char *
JsonKind(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return "null";
		case jbvString:
			return "a string";
		case jbvNumeric:
			return "a number";
		case jbvBool:
			return "true or false";
		case jbvBinary:
			return JsonContainerIsArray(value->val.binary.data) ? "an array" : "an object";
		default:
			return "another value";
	}
}

/*
 * The field that a key names; 22023 when it names none.
 */
static EventField
FieldOfKey(const JsonbValue *key)
{
	for (int i = 0; i < EVENT_FIELDS; i++)
	{
		if (strlen(event_fields[i].name) == (size_t) key->val.string.len &&
			memcmp(event_fields[i].name, key->val.string.val, key->val.string.len) == 0)
			return i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown key \"%.*s\"", key->val.string.len, key->val.string.val),
			 errhint("Known keys are the arguments of append_event() behind workflow_id.")));
}

/*
 * Set a field of an event from a JSON value of the kind that it takes.
 */
static void
SetField(Event *event, EventField field, JsonbValue *value)
{
	const EventFieldInfo *info = &event_fields[field];
	JsonbValue	is_wanted = {.type = info->type == BOOLOID ? jbvBool : jbvString};
	char	   *string;

	if (value->type == jbvNull)
		return;
	event->nulls[field] = false;
	if (info->type == JSONBOID)
	{
		event->values[field] = JsonbPGetDatum(JsonbValueToJsonb(value));
		return;
	}
	if (value->type != is_wanted.type)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("key \"%s\" must be %s, not %s",
						info->name, JsonKind(&is_wanted), JsonKind(value))));
	if (info->type == BOOLOID)
	{
		event->values[field] = BoolGetDatum(value->val.boolean);
		return;
	}
	string = pnstrdup(value->val.string.val, value->val.string.len);
	if (info->type == UUIDOID)
		event->values[field] = DirectFunctionCall1(uuid_in, CStringGetDatum(string));
	else if (info->type == TIMESTAMPTZOID)
		event->values[field] = DirectFunctionCall3(timestamptz_in, CStringGetDatum(string),
												   ObjectIdGetDatum(InvalidOid),
												   Int32GetDatum(-1));
	else
		event->values[field] = CStringGetTextDatum(string);
}

/*
 * Read one element of the array.
 */
static void
ReadEvent(Event *event, JsonbValue *element, EventPlace *place)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	EventField	field = EVENT_TYPE;

	memset(event->nulls, true, sizeof(event->nulls));
	if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an event must be a JSON object, not %s", JsonKind(element))));
	iterator = JsonbIteratorInit(element->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			place->key = NULL;
			field = FieldOfKey(&value);
			place->key = event_fields[field].name;
		}
		else if (token == WJB_VALUE)
			SetField(event, field, &value);
	}
	place->key = NULL;
	CheckEvent(event);
}

/*
 * The events of a JSON array, in its order; 22023 for anything else.
 */
Event *
ReadEvents(Datum events, int *count)
{
	Jsonb	   *array = DatumGetJsonbP(events);
	Event	   *result;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	EventPlace	place = {0, NULL};
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = EventErrorContext,
		.arg = &place
	};

	if (!JB_ROOT_IS_ARRAY(array) || JB_ROOT_IS_SCALAR(array))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("events must be a JSON array of objects, not %s",
						JB_ROOT_IS_SCALAR(array) ? "a single value" : "an object"),
				 JB_ROOT_IS_SCALAR(array) ? errhint("JSON that was encoded twice arrives as a string.") : 0));
	result = palloc(Max(JB_ROOT_COUNT(array), 1) * sizeof(Event));

	error_context_stack = &callback;
	iterator = JsonbIteratorInit(&array->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		CHECK_FOR_INTERRUPTS();
		place.event++;
		ReadEvent(&result[place.event - 1], &value, &place);
	}
	error_context_stack = callback.previous;
	*count = place.event;
	return result;
}
