/*-------------------------------------------------------------------------
 *
 * jsonl_line.c
 *	  From a line of text to the parameters of append_event.
 *
 * What can be known without the database is checked here, so that --dry-run
 * finds it and a bad line is found before anything is sent.
 *
 *-------------------------------------------------------------------------
 */
#include "load/jsonl_line.h"

#include <ctype.h>
#include <jansson.h>
#include <string.h>

#include "common/json.h"
#include "common/sha256.h"
#include "common/util.h"
#include "load/append_event.h"

typedef enum FieldType
{
	FIELD_TEXT,
	FIELD_UUID,
	FIELD_LEVEL,
	FIELD_TIME,
	FIELD_BOOLEAN,
	FIELD_JSON
} FieldType;

/* In the order of append_event_sql. */
static const struct
{
	const char *name;
	FieldType	type;
	bool		required;
}			fields[APPEND_EVENT_PARAMS] =

{
	[PARAM_WORKFLOW_ID] = {"workflow_id", FIELD_UUID, true},
	[PARAM_EVENT_TYPE] = {"event_type", FIELD_TEXT, true},
	[PARAM_MESSAGE] = {"message", FIELD_TEXT, true},
	[PARAM_LEVEL] = {"level", FIELD_LEVEL, false},
	[PARAM_AGENT] = {"agent", FIELD_TEXT, false},
	[PARAM_DATA] = {"data", FIELD_JSON, false},
	[PARAM_IS_ERROR] = {"is_error", FIELD_BOOLEAN, false},
	[PARAM_TIMESTAMP] = {"timestamp", FIELD_TIME, false},
	[PARAM_ID] = {"id", FIELD_UUID, false},
	[PARAM_CORRELATION_ID] = {"correlation_id", FIELD_TEXT, false},
	[PARAM_TOOL_NAME] = {"tool_name", FIELD_TEXT, false},
	[PARAM_TOOL_INPUT] = {"tool_input", FIELD_JSON, false},
	[PARAM_TRACE_ID] = {"trace_id", FIELD_TEXT, false},
	[PARAM_PARENT_ID] = {"parent_id", FIELD_UUID, false}
};

/* So many digits, and what follows them; NULL when they are not there. */
static const char *
digits(const char *p, int count)
{
	while (p != NULL && count-- > 0)
		p = isdigit((unsigned char) *p) ? p + 1 : NULL;
	return p;
}

static const char *
one_of(const char *p, const char *set)
{
	return p != NULL && *p != '\0' && strchr(set, *p) != NULL ? p + 1 : NULL;
}

/*
 * RFC 3339, with a blank for the T, without seconds or without a zone too.
 * The server would also take "now" or "infinity": a file that means another
 * thing each time it is loaded.
 */
static bool
is_timestamp(const char *p)
{
	p = digits(one_of(digits(one_of(digits(p, 4), "-"), 2), "-"), 2);
	p = digits(one_of(digits(one_of(p, "Tt "), 2), ":"), 2);
	if (p != NULL && *p == ':')
	{
		p = digits(p + 1, 2);
		if (p != NULL && *p == '.')
		{
			p = digits(p + 1, 1);
			while (p != NULL && isdigit((unsigned char) *p))
				p++;
		}
	}
	if (p != NULL && one_of(p, "Zz") != NULL)
		p++;
	else if (p != NULL && one_of(p, "+-") != NULL)
	{
		p = digits(p + 1, 2);
		if (p != NULL && *p == ':')
			p = digits(p + 1, 2);
		else if (p != NULL && *p != '\0')
			p = digits(p, 2);
	}
	return p != NULL && *p == '\0';
}

static bool
is_level(const char *text)
{
	static const char *const levels[] = {
		"trace", "debug", "info", "warning", "error"
	};

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
	{
		if (strcmp(text, levels[i]) == 0)
			return true;
	}
	return false;
}

/* One argument; anything but a string is refused here by kind. */
static bool
parse_field(EventLine *event, int i, const json_t *value, Slice text,
			unsigned long number, Problem *problem)
{
	const char *name = fields[i].name;
	const char *string = json_string_value(value);

	if (fields[i].type == FIELD_BOOLEAN)
	{
		if (!json_is_boolean(value))
			return problem_set(problem, number, "%s is %s, not a boolean",
							   name, json_kind(value));
		event->params[i] = json_is_true(value) ? "true" : "false";
		return true;
	}
	if (fields[i].type == FIELD_JSON)
	{
		/* as it was written: no digit of a number is lost on the way */
		Slice		raw = json_member(text, name);

		buffer_reset(&event->json[i]);
		if (raw.start != NULL)
			buffer_add(&event->json[i], raw.start, raw.len);
		else
			buffer_json(&event->json[i], value);
		event->params[i] = event->json[i].data;
		return true;
	}

	if (string == NULL)
		return problem_set(problem, number, "%s is %s, not a string",
						   name, json_kind(value));
	event->params[i] = string;
	switch (fields[i].type)
	{
		case FIELD_UUID:
			{
				Uuid		uuid;

				if (!uuid_parse(string, &uuid))
					return problem_set(problem, number,
									   "%s \"%s\" is not a UUID", name,
									   string);
				uuid_format(&uuid, event->uuids[i]);
				event->params[i] = event->uuids[i];
				if (i == PARAM_WORKFLOW_ID)
					event->workflow = uuid;
				break;
			}
		case FIELD_LEVEL:
			if (!is_level(string))
				return problem_set(problem, number,
								   "level \"%s\" is none of trace, debug, info, warning, error",
								   string);
			break;
		case FIELD_TIME:
			if (!is_timestamp(string))
				return problem_set(problem, number,
								   "timestamp \"%s\" is not of the form 2026-01-31T23:59:59.999Z",
								   string);
			break;
		default:
			if (i == PARAM_EVENT_TYPE && *string == '\0')
				return problem_set(problem, number, "event_type is empty");
			break;
	}
	return true;
}

static bool
looks_like_object(Slice text)
{
	const char *first = text.start;
	const char *last = text.start + text.len;

	while (first < last && strchr(" \t\r", *first) != NULL)
		first++;
	while (last > first && strchr(" \t\r", last[-1]) != NULL)
		last--;
	return first < last && *first == '{' && last[-1] == '}';
}

/* Parse a line; the parameters are good until event_line_reset. */
bool
event_line_parse(EventLine *event, Slice text, unsigned long number,
				 Problem *problem)
{
	const char *key;
	json_t	   *value;

	event_line_reset(event);
	event->root = json_parse(text.start, text.len, number, problem);
	if (event->root != NULL && !json_is_object(event->root))
		problem_set(problem, number, "is %s, not an object",
					json_kind(event->root));
	if (problem->reason != NULL)
	{
		if (!looks_like_object(text))
			problem_hint(problem, "Each line must be one whole JSON object.");
		return false;
	}

	json_object_foreach(event->root, key, value)
	{
		int			i = 0;

		while (i < APPEND_EVENT_PARAMS && strcmp(fields[i].name, key) != 0)
			i++;
		if (i == APPEND_EVENT_PARAMS)
		{
			problem_set(problem, number,
						"\"%s\" is not a field of an event", key);
			problem_hint(problem,
						 "The fields are workflow_id and the other arguments of amelia.append_event.");
			return false;
		}
		if (!json_is_null(value) &&
			!parse_field(event, i, value, text, number, problem))
			return false;
	}
	for (int i = 0; i < APPEND_EVENT_PARAMS; i++)
	{
		if (fields[i].required && event->params[i] == NULL)
			return problem_set(problem, number, "%s is missing",
							   fields[i].name);
	}
	return true;
}

/*
 * Give a line without an id the one that follows from its text and from how
 * many lines of the same text came before it, so that the same file gives the
 * same ids whenever it is loaded, however much was added at its end.
 */
void
event_line_derive_id(EventLine *event, Slice text, Map *seen)
{
	static const char purpose[] = "amelia-load event\n";
	unsigned char digest[SHA256_BYTES];
	unsigned char ordinal[4];
	Sha256		sha;
	uint32_t   *count;
	bool		found;
	Uuid		id;

	if (event->params[PARAM_ID] != NULL)
		return;
	sha256_start(&sha);
	sha256_add_json(&sha, text.start, text.len);
	sha256_end(&sha, digest);

	count = map_find_or_add(seen, digest, &found);
	(*count)++;
	for (int i = 0; i < 4; i++)
		ordinal[i] = (unsigned char) (*count >> (24 - i * 8));

	sha256_start(&sha);
	sha256_add(&sha, purpose, sizeof(purpose) - 1);
	sha256_add(&sha, digest, sizeof(digest));
	sha256_add(&sha, ordinal, sizeof(ordinal));
	id = uuid_from_sha256(&sha);
	uuid_format(&id, event->uuids[PARAM_ID]);
	event->params[PARAM_ID] = event->uuids[PARAM_ID];
}

void
event_line_reset(EventLine *event)
{
	json_decref(event->root);
	event->root = NULL;
	memset(event->params, 0, sizeof(event->params));
}

void
event_line_free(EventLine *event)
{
	event_line_reset(event);
	for (int i = 0; i < APPEND_EVENT_PARAMS; i++)
		buffer_free(&event->json[i]);
}
