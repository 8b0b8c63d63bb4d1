/*-------------------------------------------------------------------------
 *
 * otlp_span.c
 *	  What a span says by the semantic conventions for generative AI.
 *
 * They are in development: names that they had before are taken too, those
 * of today first. Attributes are https://opentelemetry.io/docs/specs/semconv,
 * "Gen AI".
 *
 *-------------------------------------------------------------------------
 */
#include "load/otlp_span.h"

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/util.h"
#include "load/recording.h"

/* As many names as an attribute ever had. */
#define MAX_NAMES 4

static const char *const input_names[MAX_NAMES] = {
	"gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"
};
static const char *const output_names[MAX_NAMES] = {
	"gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"
};
static const char *const cache_read_names[MAX_NAMES] = {
	"gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
	"gen_ai.usage.details.cache_read_tokens"
};
static const char *const cache_creation_names[MAX_NAMES] = {
	"gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens",
	"gen_ai.usage.details.cache_write_tokens"
};
static const char *const reasoning_names[MAX_NAMES] = {
	"gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.details.reasoning_tokens"
};
static const char *const model_names[MAX_NAMES] = {
	"gen_ai.response.model", "gen_ai.request.model"
};
static const char *const tier_names[MAX_NAMES] = {
	"openai.response.service_tier", "gen_ai.openai.response.service_tier"
};
static const char *const arguments_names[MAX_NAMES] = {
	"gen_ai.tool.call.arguments", "tool_arguments", "gen_ai.tool.arguments"
};
static const char *const result_names[MAX_NAMES] = {
	"gen_ai.tool.call.result", "tool_response", "gen_ai.tool.result"
};
static const char *const completion_names[MAX_NAMES] = {
	"gen_ai.completion.0.content", "gen_ai.completion"
};

/* A value of OTLP, {"stringValue": ...}, as plain JSON; the caller's. */
static json_t *
plain_value(const json_t *any)
{
	const json_t *value;
	json_t	   *result;
	size_t		i;
	json_t	   *element;

	if ((value = json_object_get(any, "intValue")) != NULL && json_is_string(value))
		return json_integer(strtoll(json_string_value(value), NULL, 10));
	if ((value = json_object_get(json_object_get(any, "arrayValue"), "values")) != NULL)
	{
		result = json_array();
		json_array_foreach((json_t *) value, i, element)
			json_array_append_new(result, plain_value(element));
		return result;
	}
	if ((value = json_object_get(json_object_get(any, "kvlistValue"), "values")) != NULL)
		return otlp_attributes(value);
	value = json_object_iter_value(json_object_iter((json_t *) any));
	return value != NULL && !json_is_object(value) ? json_incref((json_t *) value) : json_null();
}

/* Attributes as an object; what is not of their form is left out. */
json_t *
otlp_attributes(const json_t *list)
{
	json_t	   *result = json_object();
	size_t		i;
	json_t	   *attribute;

	json_array_foreach((json_t *) list, i, attribute)
	{
		const char *key = json_string_value(json_object_get(attribute, "key"));

		if (key != NULL)
			json_object_set_new(result, key, plain_value(json_object_get(attribute, "value")));
	}
	return result;
}

/* The first of some names that is there. */
static const char *
name_there(const json_t *attributes, const char *const names[MAX_NAMES])
{
	for (int i = 0; i < MAX_NAMES && names[i] != NULL; i++)
	{
		const json_t *value = json_object_get(attributes, names[i]);

		if (value != NULL && !json_is_null(value))
			return names[i];
	}
	return names[0];
}

static int64_t
count_of(const Span * span, const char *const names[MAX_NAMES])
{
	return count_member(span->attributes, name_there(span->attributes, names));
}

static const char *
text_of(const Span * span, const char *const names[MAX_NAMES])
{
	return text_member_of(span->attributes, name_there(span->attributes, names));
}

bool
span_failed(const Span * span)
{
	const json_t *code = json_object_get(json_object_get(span->root, "status"), "code");
	const char *name = json_string_value(code);

	return json_integer_value(code) == 2 || (name != NULL && strcmp(name, "STATUS_CODE_ERROR") == 0);
}

/* Why it failed. */
const char *
span_failure(const Span * span)
{
	const char *message = text_member_of(json_object_get(span->root, "status"), "message");
	const char *type = text_member_of(span->attributes, "error.type");

	if (message != NULL)
		return message;
	return type != NULL ? type : "the trace's status is an error";
}

/* Does it say that it used anything? A broken count is a saying, too. */
bool
span_names_usage(const Span * span)
{
	return count_of(span, input_names) != 0 || count_of(span, output_names) != 0;
}

bool
span_has_usage(const Span * span)
{
	return count_of(span, input_names) > 0 || count_of(span, output_names) > 0;
}

/* Whose span it is: of the agent that is named nearest above, else the service. */
static const char *
agent_of(const Span * span)
{
	const		Span *at = span;

	/* spans that are each other's parents end somewhere, too */
	for (int depth = 0; at != NULL && depth < 1000; depth++, at = at->parent)
	{
		const char *name = text_member_of(at->attributes, "gen_ai.agent.name");

		if (name != NULL)
			return name;
	}
	return span->service != NULL ? span->service : "unknown";
}

/* Append what an attribute says; JSON in a text is taken for JSON. */
static json_t *
structured(const json_t *value)
{
	json_t	   *parsed = NULL;

	if (json_is_string(value))
		parsed = json_loadb(json_string_value(value), json_string_length(value),
							JSON_REJECT_DUPLICATES, NULL);
	return parsed != NULL ? parsed : json_incref((json_t *) value);
}

/* The texts of messages in the form of the conventions, role and parts. */
static void
add_messages(Buffer *text, const json_t *messages)
{
	size_t		i;
	json_t	   *message;

	json_array_foreach((json_t *) messages, i, message)
	{
		const char *content = text_member_of(message, "content");
		size_t		n;
		json_t	   *part;

		if (content != NULL)
			buffer_printf(text, "%s%s", text->len > 0 ? "\n" : "", content);
		json_array_foreach(json_object_get(message, "parts"), n, part)
		{
			const char *type = text_member_of(part, "type");
			const char *said = text_member_of(part, "content");

			if (type != NULL && strcmp(type, "text") == 0 && said != NULL)
				buffer_printf(text, "%s%s", text->len > 0 ? "\n" : "", said);
		}
	}
}

/* What the model said, as far as it was recorded. */
static void
add_said(Buffer *text, const Span * span)
{
	const json_t *events = json_object_get(span->root, "events");
	json_t	   *messages = structured(json_object_get(span->attributes, "gen_ai.output.messages"));
	const char *completion = text_of(span, completion_names);
	size_t		i;
	json_t	   *event;

	add_messages(text, messages);
	json_decref(messages);
	if (text->len == 0 && completion != NULL)
		buffer_puts(text, completion);
	if (text->len > 0)
		return;
	json_array_foreach((json_t *) events, i, event)
	{
		const char *name = text_member_of(event, "name");
		json_t	   *attributes;
		json_t	   *list;

		if (name == NULL || (strcmp(name, "gen_ai.choice") != 0 &&
							 strcmp(name, "gen_ai.content.completion") != 0))
			continue;
		attributes = otlp_attributes(json_object_get(event, "attributes"));
		list = json_array();
		json_array_append_new(list, structured(json_object_get(attributes, "message")));
		json_array_append(list, attributes);
		add_messages(text, list);
		if (text->len == 0 && text_member_of(attributes, "gen_ai.completion") != NULL)
			buffer_puts(text, text_member_of(attributes, "gen_ai.completion"));
		json_decref(list);
		json_decref(attributes);
	}
}

static RecordedEvent *
add_event(Recording * recording, size_t workflow, const Span * span, bool at_end,
		  const char *type, const char *message)
{
	RecordedEvent *event = recording_event(recording);
	Buffer text = {0};
	const char *name = text_member_of(span->root, "name");
	json_t	   *data = json_pack("{s:s, s:s, s:I}", "span", name != NULL ? name : "",
								 "span_id", span->id,
								 "duration_ms", (json_int_t) ((span->end - span->start) / 1000));

	buffer_printf(&text, "%s/%s/%s", span->trace, span->id, at_end ? "end" : "start");
	event->workflow = workflow;
	event->line = span->line;
	event->id = uuid_from_name("amelia-load span event", text.data);
	event->time = at_end ? span->end : span->start;
	event->type = type;
	event->agent = copy_string(agent_of(span));
	event->message = copy_string(message);
	event->correlation_id = copy_string(span->id);
	event->trace_id = copy_string(span->trace);

	if (span->parent_id != NULL)
		json_object_set_new(data, "parent_span_id", json_string(span->parent_id));
	if (span->service != NULL)
		json_object_set_new(data, "service", json_string(span->service));
	if (at_end)
	{
		json_object_set(data, "attributes", span->attributes);
		if (span_failed(span))
		{
			json_object_set_new(data, "error", json_string(span_failure(span)));
			event->is_error = true;
		}
	}
	event->data = json_text(data);
	json_decref(data);
	buffer_free(&text);
	return event;
}

static void
add_tool_events(Recording * recording, size_t workflow, const Span * span, const char *name)
{
	const char *tool = text_member_of(span->attributes, "gen_ai.tool.name");
	json_t	   *arguments = structured(json_object_get(span->attributes,
													   name_there(span->attributes, arguments_names)));
	const json_t *result = json_object_get(span->attributes, name_there(span->attributes, result_names));
	char	   *said = result == NULL || json_is_string(result) ? NULL : json_text(result);
	RecordedEvent *event = add_event(recording, workflow, span, false, "claude_tool_call", name);

	if (tool == NULL)
		tool = name;
	event->tool_name = copy_string(tool);
	if (arguments != NULL)
		event->tool_input = json_text(arguments);
	json_decref(arguments);

	if (json_is_string(result) && json_string_length(result) > 0)
		name = json_string_value(result);
	event = add_event(recording, workflow, span, true, "claude_tool_result", said != NULL ? said : name);
	event->tool_name = copy_string(tool);
	free(said);
}

/* The events of a span that is about generative AI. */
void
span_add_events(Recording * recording, size_t workflow, const Span * span)
{
	const char *operation = text_member_of(span->attributes, "gen_ai.operation.name");
	const char *name = text_member_of(span->root, "name");
	Buffer		said = {0};

	if (operation == NULL)
		operation = text_member_of(span->attributes, "gen_ai.tool.name") != NULL ? "execute_tool" : "chat";
	if (name == NULL)
		name = operation;
	if (strcmp(operation, "execute_tool") == 0)
		add_tool_events(recording, workflow, span, name);
	else if (strcmp(operation, "invoke_agent") == 0 || strcmp(operation, "create_agent") == 0 ||
			 strcmp(operation, "invoke_workflow") == 0)
	{
		add_event(recording, workflow, span, false, "stage_started", name);
		add_event(recording, workflow, span, true, "stage_completed", name);
	}
	else
	{
		add_said(&said, span);
		add_event(recording, workflow, span, true, "agent_message", said.len > 0 ? said.data : name);
	}
	buffer_free(&said);
}

/* Book what a span used. */
void
span_add_usage(Recording * recording, size_t workflow, const Span * span, const char *default_model)
{
	const char *model = text_of(span, model_names);
	const char *tier = text_of(span, tier_names);
	const json_t *cost = json_object_get(span->attributes, "gen_ai.usage.cost");
	int64_t		input = count_of(span, input_names);
	int64_t		output = count_of(span, output_names);
	int64_t		cache_read = count_of(span, cache_read_names);
	int64_t		cache_creation = count_of(span, cache_creation_names);
	int64_t		reasoning = count_of(span, reasoning_names);
	int64_t		duration = (span->end - span->start) / 1000;
	RecordedUsage *usage;
	Buffer		name = {0};

	if (input < 0 || output < 0 || cache_read < 0 || cache_creation < 0 || reasoning < 0)
	{
		recording_pass_over(recording, span->line, "the usage of span %s is no count of tokens", span->id);
		return;
	}
	usage = recording_usage(recording);
	buffer_printf(&name, "%s/%s", span->trace, span->id);
	usage->workflow = workflow;
	usage->line = span->line;
	usage->id = uuid_from_name("amelia-load span usage", name.data);
	usage->time = span->end;
	usage->agent = copy_prefix(agent_of(span), MAX_NAME_BYTES);
	usage->model = copy_prefix(model != NULL ? model : default_model, MAX_NAME_BYTES);
	usage->input_tokens = input;
	usage->output_tokens = output;
	usage->cache_read_tokens = cache_read;
	usage->cache_creation_tokens = cache_creation;
	usage->reasoning_tokens = reasoning <= output ? reasoning : 0;
	usage->duration_ms = duration > INT_MAX ? INT_MAX : duration;
	/* the conventions say so; where it cannot be, it was not followed */
	usage->input_includes_cached = cache_read + cache_creation <= input;
	if (tier != NULL && (strcmp(tier, "batch") == 0 || strcmp(tier, "flex") == 0 ||
						 strcmp(tier, "priority") == 0))
		usage->service_tier = copy_string(tier);
	if (json_is_number(cost) && json_number_value(cost) >= 0)
		usage->cost = json_text(cost);
	buffer_free(&name);
}
