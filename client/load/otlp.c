/*-------------------------------------------------------------------------
 *
 * otlp.c
 *	  Reading traces of OpenTelemetry, as its exporters and its collector write
 *	  them to files: OTLP in JSON, one document or one in each line.
 *
 * A trace becomes a workflow. Only spans that have attributes of generative
 * AI become events; the others are counted. A framework may write what an
 * agent used beside what each of its calls used: the sum is not booked when
 * its parts are.
 *
 *-------------------------------------------------------------------------
 */
#include "load/otlp.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/input.h"
#include "common/json.h"
#include "common/progress.h"
#include "common/util.h"
#include "load/otlp_span.h"
#include "load/recorded_time.h"
#include "load/recording.h"

typedef struct Reader
{
	Recording  *recording;
	json_t	   *documents;		/* an array: spans point into them */
	Span	  **spans;
	size_t		nspans;
	Map			index;			/* trace and id of a span -> number in spans */
	size_t		nothers;		/* documents that hold no spans */
} Reader;

/* Nanoseconds since 1970, a text in OTLP's JSON and in some files a number. */
static bool
read_time(const json_t *value, int64_t *time)
{
	const char *text = json_string_value(value);
	char	   *end;
	unsigned long long nanoseconds = (unsigned long long) json_number_value(value);

	if (json_is_integer(value))
		nanoseconds = (unsigned long long) json_integer_value(value);
	else if (text != NULL)
	{
		errno = 0;
		nanoseconds = strtoull(text, &end, 10);
		if (errno != 0 || *text == '-' || *text == '\0' || *end != '\0')
			return false;
	}
	else if (!json_is_number(value))
		return false;
	*time = (int64_t) (nanoseconds / 1000);
	return nanoseconds > 0 && *time <= MAX_RECORDED_TIME;
}

static Uuid
span_key(const char *trace, const char *id)
{
	Buffer		name = {0};
	Uuid		key;

	buffer_printf(&name, "%s/%s", trace, id);
	key = uuid_from_name("span", name.data);
	buffer_free(&name);
	return key;
}

static bool
has_genai(const json_t *attributes)
{
	const char *key;
	json_t	   *value;

	json_object_foreach((json_t *) attributes, key, value)
	{
		(void) value;
		if (strncmp(key, "gen_ai.", 7) == 0)
			return true;
	}
	return false;
}

static void
read_span(Reader *reader, const json_t *root, const char *service, unsigned long line)
{
	Span		span = {.root = root,.service = service,.line = line};
	Uuid		key;
	bool		found;
	uint32_t   *number;

	span.trace = text_member_of(root, "traceId");
	span.id = text_member_of(root, "spanId");
	span.parent_id = text_member_of(root, "parentSpanId");
	if (span.trace == NULL || span.id == NULL)
	{
		recording_pass_over(reader->recording, line, "a span has no traceId or no spanId");
		return;
	}
	if (!read_time(json_object_get(root, "startTimeUnixNano"), &span.start) ||
		!read_time(json_object_get(root, "endTimeUnixNano"), &span.end) || span.end < span.start)
	{
		recording_pass_over(reader->recording, line, "span %s has no start and end", span.id);
		return;
	}
	key = span_key(span.trace, span.id);
	number = map_find_or_add(&reader->index, key.bytes, &found);
	if (found)
		return;
	*number = (uint32_t) reader->nspans;
	span.attributes = otlp_attributes(json_object_get(root, "attributes"));
	span.is_genai = has_genai(span.attributes);
	span.has_usage = span_has_usage(&span);
	reader->spans = reallocate(reader->spans, (reader->nspans + 1) * sizeof(*reader->spans));
	reader->spans[reader->nspans] = allocate(sizeof(span));
	*reader->spans[reader->nspans++] = span;
}

/* The spans of one document, ExportTraceServiceRequest or TracesData. */
static void
read_document(Reader *reader, json_t *document, unsigned long line)
{
	const json_t *resources = json_object_get(document, "resourceSpans");
	size_t		r;
	json_t	   *resource;

	if (!json_is_array(resources))
	{
		reader->nothers++;
		return;
	}
	json_array_append(reader->documents, document);
	json_array_foreach((json_t *) resources, r, resource)
	{
		json_t	   *about = otlp_attributes(json_object_get(json_object_get(resource, "resource"),
															"attributes"));
		const char *service = text_member_of(about, "service.name");
		const json_t *scopes = json_object_get(resource, "scopeSpans");
		size_t		s;
		json_t	   *scope;

		/* spans keep the name of their service */
		json_array_append_new(reader->documents, about);
		/* as it was called before OTLP 1.0 */
		if (scopes == NULL)
			scopes = json_object_get(resource, "instrumentationLibrarySpans");
		json_array_foreach((json_t *) scopes, s, scope)
		{
			size_t		i;
			json_t	   *span;

			json_array_foreach(json_object_get(scope, "spans"), i, span)
				read_span(reader, span, service, line);
		}
	}
}

/* One document in each line, unless the first line is only a part of one. */
static bool
read_documents(Reader *reader, Problem *problem)
{
	Input	   *input = reader->recording->input;
	json_t	   *document;
	Slice		text;
	int			got = 0;
	bool		is_first = true;

	while ((got = input_next_line(input, UINT64_MAX, &text, problem)) == 1)
	{
		if (slice_is_blank(text))
			continue;
		if (is_first)
		{
			json_error_t error;
			Buffer		storable = {0};

			json_make_storable(&storable, text);
			document = json_loadb(storable.data, storable.len, 0, &error);
			buffer_free(&storable);
			if (document == NULL && json_error_code(&error) == json_error_premature_end_of_input)
				break;
			json_decref(document);
			is_first = false;
		}
		document = recording_parse(reader->recording, text, input->line);
		if (document != NULL)
			read_document(reader, document, input->line);
		json_decref(document);
	}
	if (got == 1)
	{
		Buffer		whole = {0};

		if (!input_rewind(input, problem) || !input_read_all(input, &whole, problem))
			got = -1;
		else
		{
			document = recording_parse(reader->recording, (Slice) {whole.data, whole.len}, 1);
			if (document != NULL)
				read_document(reader, document, 1);
			json_decref(document);
			got = 0;
		}
		buffer_free(&whole);
	}
	return got == 0;
}

/* Give each span its parent, and those above a usage their mark. */
static void
connect_spans(Reader *reader)
{
	for (size_t i = 0; i < reader->nspans; i++)
	{
		Span	   *span = reader->spans[i];
		bool		found = false;
		Uuid		key;
		uint32_t   *number;

		if (span->parent_id == NULL || strcmp(span->parent_id, span->id) == 0)
			continue;
		key = span_key(span->trace, span->parent_id);
		number = map_find_or_add(&reader->index, key.bytes, &found);
		if (found && *number < reader->nspans)
			span->parent = reader->spans[*number];
		else
			*number = UINT32_MAX;	/* is not in the file */
	}
	for (size_t i = 0; i < reader->nspans; i++)
	{
		Span	   *above = reader->spans[i]->parent;

		if (!reader->spans[i]->has_usage)
			continue;
		while (above != NULL && !above->has_usage_within)
		{
			above->has_usage_within = true;
			above = above->parent;
		}
	}
}

/* The workflow of a span's trace. */
static size_t
workflow_of(Recording *recording, const Span *span)
{
	Uuid		id = uuid_from_name("amelia-load trace", span->trace);
	const char *conversation = text_member_of(span->attributes, "gen_ai.conversation.id");
	bool		found;
	RecordedWorkflow *workflow = recording_workflow(recording, &id, span->line, &found);
	char		text[UUID_TEXT_SIZE];
	Buffer		worktree = {0};
	const char *name = text_member_of(span->root, "name");

	if (!found)
	{
		json_t	   *details = json_pack("{s:s}", "trace_id", span->trace);

		uuid_format(&id, text);
		buffer_printf(&worktree, "recorded#%s", text);
		workflow->worktree = worktree.data;
		if (span->service != NULL)
			json_object_set_new(details, "service", json_string(span->service));
		workflow->details = json_text(details);
		json_decref(details);
		workflow->issue_id = copy_string(conversation != NULL ? conversation : span->trace);
	}
	if (span->parent == NULL)
	{
		if (workflow->title == NULL && name != NULL)
			workflow->title = copy_string(name);
		if (workflow->failure_reason == NULL && span_failed(span))
			workflow->failure_reason = copy_string(span_failure(span));
	}
	return (size_t) (workflow - recording->workflows);
}

static int
compare_starts(const void *a, const void *b)
{
	const Span *left = *(const Span *const *) a;
	const Span *right = *(const Span *const *) b;

	return (left->start > right->start) - (left->start < right->start);
}

static int
compare_events(const void *a, const void *b)
{
	const RecordedEvent *left = a;
	const RecordedEvent *right = b;

	if (left->time != right->time)
		return left->time < right->time ? -1 : 1;
	return memcmp(left->id.bytes, right->id.bytes, sizeof(left->id.bytes));
}

static void
use_spans(Reader *reader, const char *default_model)
{
	Recording  *recording = reader->recording;
	Map			traces = {0};
	size_t		nplain = 0;
	bool		found;

	/* traces without a span of generative AI are none of ours */
	for (size_t i = 0; i < reader->nspans; i++)
	{
		Uuid		trace = uuid_from_name("trace", reader->spans[i]->trace);

		if (reader->spans[i]->is_genai)
			map_find_or_add(&traces, trace.bytes, &found);
	}
	if (reader->nspans > 0)
		qsort(reader->spans, reader->nspans, sizeof(*reader->spans), compare_starts);
	for (size_t i = 0; i < reader->nspans; i++)
	{
		const Span *span = reader->spans[i];
		Uuid		trace = uuid_from_name("trace", span->trace);
		size_t		workflow;

		if (!span->is_genai)
			nplain++;
		if (!map_contains(&traces, trace.bytes))
			continue;
		workflow = workflow_of(recording, span);
		if (!span->is_genai)
			continue;
		span_add_events(recording, workflow, span);
		if (span_names_usage(span) && !span->has_usage_within)
			span_add_usage(recording, workflow, span, default_model);
	}
	if (recording->nevents > 0)
		qsort(recording->events, recording->nevents, sizeof(*recording->events), compare_events);
	if (nplain > 0)
		tell("%s: %zu span%s without attributes of generative AI", recording->input->name,
			 nplain, PLURAL(nplain));
	if (reader->nothers > 0)
		tell("%s: %zu document%s without spans", recording->input->name, reader->nothers,
			 PLURAL(reader->nothers));
	map_free(&traces);
}

/* Read a file; recording_free is due also when this fails. */
bool
otlp_read(Recording *recording, const char *default_model, Problem *problem)
{
	Reader		reader = {.recording = recording,.documents = json_array()};
	bool		done;

	recording->source = "opentelemetry";
	done = read_documents(&reader, problem);
	if (done)
	{
		connect_spans(&reader);
		use_spans(&reader, default_model);
	}
	for (size_t i = 0; i < reader.nspans; i++)
	{
		json_decref(reader.spans[i]->attributes);
		free(reader.spans[i]);
	}
	free(reader.spans);
	json_decref(reader.documents);
	map_free(&reader.index);
	return done;
}
