/*-------------------------------------------------------------------------
 *
 * claude.c
 *	  Reading sessions of Claude Code: JSON Lines, one for each thing that was
 *	  said, in ~/.claude/projects.
 *
 * The format is nowhere described, and grows. What a line of a user, the
 * assistant or the system says becomes events, a block of its content each;
 * lines of other kinds are counted. An answer of the model is written in
 * several lines, a block in each, and each has the usage of the whole as far
 * as it was known: it is booked once, with what its last line says. A session
 * that was taken up again has the lines of the old one once more, which is
 * why a call of the model is booked by its own id and not by the session's.
 *
 *-------------------------------------------------------------------------
 */
#include "load/claude.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/db.h"
#include "common/input.h"
#include "common/json.h"
#include "common/progress.h"
#include "common/util.h"
#include "load/recorded_time.h"
#include "load/recording.h"

#define MAX_TITLE 200
#define MAX_OTHER_KINDS 20

typedef struct Reader
{
	Recording  *recording;
	Map			calls;			/* usage id -> number in usages */
	Map			tools;			/* id of a tool's use -> number in tool_names */
	char	  **tool_names;
	size_t		ntools;
	int64_t		last_time;
	Buffer		other_kinds;	/* names, separated by commas */
	size_t		nother_kinds;
	size_t		nothers;
} Reader;

/* A line that is about a session. */
typedef struct Line
{
	const json_t *root;
	const json_t *message;
	unsigned long number;
	size_t		workflow;
	const char *session;
	const char *uuid;
	int64_t		time;
	const char *agent;
	size_t		nevents;
}			Line;

static void
note_other(Reader *reader, const char *type)
{
	Buffer	   *kinds = &reader->other_kinds;
	const char *known;

	if (type == NULL)
		type = "none";
	reader->nothers++;
	known = kinds->len > 0 ? strstr(kinds->data, type) : NULL;
	if (known != NULL || reader->nother_kinds == MAX_OTHER_KINDS)
		return;
	buffer_printf(kinds, "%s%.40s", kinds->len > 0 ? ", " : "", type);
	reader->nother_kinds++;
}

static RecordedEvent *
add_event(Reader *reader, Line * line, const char *type, const char *message)
{
	RecordedEvent *event = recording_event(reader->recording);
	Buffer text = {0};
	json_t	   *data = json_pack("{s:s}", "uuid", line->uuid);

	buffer_printf(&text, "%s/%s/%zu", line->session, line->uuid, ++line->nevents);
	event->workflow = line->workflow;
	event->line = line->number;
	event->id = uuid_from_name("amelia-load claude event", text.data);
	event->time = line->time;
	event->type = type;
	event->agent = copy_string(line->agent);
	event->message = copy_string(message);
	event->trace_id = copy_string(line->session);

	if (json_is_string(json_object_get(line->root, "parentUuid")))
		json_object_set(data, "parentUuid", json_object_get(line->root, "parentUuid"));
	if (json_is_true(json_object_get(line->root, "isMeta")))
		json_object_set_new(data, "isMeta", json_true());
	event->data = json_text(data);
	json_decref(data);
	buffer_free(&text);
	return event;
}

static void
correlate(RecordedEvent * event, const char *id)
{
	if (id != NULL)
		event->correlation_id = copy_string(id);
}

/* The tool of a use, by the use's id. */
static char **
tool_name(Reader *reader, const char *use)
{
	Uuid		key = uuid_from_name("tool", use);
	bool		found;
	uint32_t   *number = map_find_or_add(&reader->tools, key.bytes, &found);

	if (!found)
	{
		*number = (uint32_t) reader->ntools;
		reader->tool_names = reallocate(reader->tool_names,
										(reader->ntools + 1) * sizeof(*reader->tool_names));
		reader->tool_names[reader->ntools++] = NULL;
	}
	return &reader->tool_names[*number];
}

/* Who reads the log wants to see what was done, not only with what. */
static void
describe_call(Buffer *text, const char *name, const json_t *input)
{
	static const char *const telling[] = {
		"description", "command", "file_path", "path", "pattern", "url", "query", "prompt"
	};

	buffer_puts(text, name);
	for (size_t i = 0; i < sizeof(telling) / sizeof(telling[0]); i++)
	{
		const char *value = text_member_of(input, telling[i]);

		if (value != NULL)
		{
			buffer_printf(text, ": %s", value);
			return;
		}
	}
}

static void
add_tool_call(Reader *reader, Line * line, const json_t *block)
{
	const char *use = text_member_of(block, "id");
	const char *name = text_member_of(block, "name");
	const json_t *input = json_object_get(block, "input");
	RecordedEvent *event;
	Buffer		message = {0};

	if (name == NULL)
		name = "unknown";
	describe_call(&message, name, input);
	event = add_event(reader, line, "claude_tool_call", message.data);
	event->tool_name = copy_string(name);
	if (json_is_object(input))
		event->tool_input = json_text(input);
	correlate(event, use);
	if (use != NULL)
	{
		char	  **known = tool_name(reader, use);

		free(*known);
		*known = copy_string(name);
	}
	buffer_free(&message);
}

/* A text, or the texts of a list of blocks. */
static void
add_texts(Buffer *text, const json_t *content)
{
	size_t		i;
	json_t	   *block;

	buffer_reset(text);
	if (json_is_string(content))
		buffer_puts(text, json_string_value(content));
	json_array_foreach((json_t *) content, i, block)
	{
		const char *part = text_member_of(block, "text");
		const char *type = text_member_of(block, "type");

		if (text->len > 0)
			buffer_puts(text, "\n");
		if (part != NULL)
			buffer_puts(text, part);
		else
			buffer_printf(text, "(%s)", type != NULL ? type : "no text");
	}
	if (text->len == 0)
		buffer_puts(text, "(nothing)");
}

static void
add_tool_result(Reader *reader, Line * line, const json_t *block)
{
	const char *use = text_member_of(block, "tool_use_id");
	RecordedEvent *event;
	Buffer text = {0};

	add_texts(&text, json_object_get(block, "content"));
	event = add_event(reader, line, "claude_tool_result", text.data);
	event->is_error = json_is_true(json_object_get(block, "is_error"));
	correlate(event, use);
	if (use != NULL && *tool_name(reader, use) != NULL)
		event->tool_name = copy_string(*tool_name(reader, use));
	buffer_free(&text);
}

static void
add_block(Reader *reader, Line * line, const json_t *block)
{
	const char *type = text_member_of(block, "type");
	const char *id = text_member_of(line->message, "id");
	const char *text;

	if (type == NULL)
		recording_pass_over(reader->recording, line->number, "a block of a message has no type");
	else if (strcmp(type, "tool_use") == 0 || strcmp(type, "server_tool_use") == 0)
		add_tool_call(reader, line, block);
	else if (strcmp(type, "tool_result") == 0)
		add_tool_result(reader, line, block);
	else if (strcmp(type, "thinking") == 0)
	{
		text = text_member_of(block, "thinking");

		/* of some only the signature is kept */
		if (text !=NULL)
			correlate(add_event(reader, line, "claude_thinking", text), id);
	}
	else if (strcmp(type, "text") == 0)
	{
		text = text_member_of(block, "text");

		if (text !=NULL)
			correlate(add_event(reader, line, "agent_message", text), id);
	}
	else
	{
		Buffer		what = {0};

		buffer_printf(&what, "(%s)", type);
		correlate(add_event(reader, line, "agent_message", what.data), id);
		buffer_free(&what);
	}
}

static void
add_content(Reader *reader, Line * line)
{
	const json_t *content = json_object_get(line->message, "content");
	size_t		i;
	json_t	   *block;

	if (json_is_string(content))
	{
		if (text_member_of(line->message, "content") != NULL)
			add_event(reader, line, "agent_message", json_string_value(content));
	}
	else if (json_is_array(content))
		json_array_foreach((json_t *) content, i, block)
			add_block(reader, line, block);
	else
		recording_pass_over(reader->recording, line->number, "its message has no content");
}

/* Book a call of the model, or correct what an earlier line said of it. */
static void
add_usage(Reader *reader, const Line * line)
{
	const json_t *usage = json_object_get(line->message, "usage");
	const json_t *written = json_object_get(usage, "cache_creation");
	const char *model = text_member_of(line->message, "model");
	const char *call = text_member_of(line->message, "id");
	const char *request = text_member_of(line->root, "requestId");
	const char *tier = text_member_of(usage, "service_tier");
	const json_t *cost = json_object_get(line->root, "costUSD");
	RecordedUsage numbers = {0};
	RecordedUsage *booked;
	Buffer		name = {0};
	bool		found;
	uint32_t   *number;

	/* what the program says in the model's place was paid by nobody */
	if (!json_is_object(usage) || model == NULL || strcmp(model, "<synthetic>") == 0)
		return;
	numbers.input_tokens = count_member(usage, "input_tokens");
	numbers.output_tokens = count_member(usage, "output_tokens");
	numbers.cache_read_tokens = count_member(usage, "cache_read_input_tokens");
	numbers.cache_creation_tokens = count_member(usage, "cache_creation_input_tokens");
	numbers.cache_creation_1h_tokens = count_member(written, "ephemeral_1h_input_tokens");
	if (numbers.input_tokens < 0 || numbers.output_tokens < 0 || numbers.cache_read_tokens < 0 ||
		numbers.cache_creation_tokens < 0 || numbers.cache_creation_1h_tokens < 0 ||
		numbers.cache_creation_1h_tokens > numbers.cache_creation_tokens)
	{
		recording_pass_over(reader->recording, line->number, "its usage is no count of tokens");
		return;
	}

	if (call != NULL)
		buffer_printf(&name, "%s/%s", call, request != NULL ? request : "");
	else
		buffer_printf(&name, "%s/%s", line->session, line->uuid);
	numbers.id = uuid_from_name("amelia-load claude call", name.data);
	buffer_free(&name);
	number = map_find_or_add(&reader->calls, numbers.id.bytes, &found);
	if (found)
	{
		booked = &reader->recording->usages[*number];
		if (numbers.output_tokens < booked->output_tokens)
			return;
		booked->input_tokens = numbers.input_tokens;
		booked->output_tokens = numbers.output_tokens;
		booked->cache_read_tokens = numbers.cache_read_tokens;
		booked->cache_creation_tokens = numbers.cache_creation_tokens;
		booked->cache_creation_1h_tokens = numbers.cache_creation_1h_tokens;
		return;
	}
	*number = (uint32_t) reader->recording->nusages;
	booked = recording_usage(reader->recording);
	*booked = numbers;
	booked->workflow = line->workflow;
	booked->line = line->number;
	booked->time = line->time;
	booked->agent = copy_prefix(line->agent, MAX_NAME_BYTES);
	booked->model = copy_prefix(model, MAX_NAME_BYTES);
	if (tier != NULL && (strcmp(tier, "batch") == 0 || strcmp(tier, "priority") == 0))
		booked->service_tier = copy_string(tier);
	if (json_is_number(cost) && json_number_value(cost) >= 0)
		booked->cost = json_text(cost);
}

static void
set_title(RecordedWorkflow * workflow, const char *text)
{
	if (text == NULL)
		return;
	free(workflow->title);
	workflow->title = copy_prefix(text, MAX_TITLE);
}

/* What a session is, by the first line that is about it. */
static RecordedWorkflow *
workflow_of(Reader *reader, const json_t *root, const char *session, unsigned long number)
{
	static const char *const kept[] = {"cwd", "gitBranch", "version"};
	Uuid		id;
	bool		found;
	RecordedWorkflow *workflow;
	const char *cwd = text_member_of(root, "cwd");
	Buffer		details = {0};
	Buffer		worktree = {0};
	char text[	UUID_TEXT_SIZE];
	json_t	   *value;

	if (!uuid_parse(session, &id))
		id = uuid_from_name("amelia-load claude session", session);
	workflow = recording_workflow(reader->recording, &id, number, &found);
	if (found)
		return workflow;

	workflow->issue_id = copy_string(session);
	uuid_format(&id, text);
	buffer_printf(&worktree, "%s#%.8s", cwd != NULL ? cwd : "recorded", text);
	workflow->worktree = worktree.data;
	value = json_string(session);
	buffer_puts(&details, "{\"session\":");
	buffer_json(&details, value);
	json_decref(value);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
	{
		if (text_member_of(root, kept[i]) == NULL)
			continue;
		buffer_printf(&details, ",\"%s\":", kept[i]);
		buffer_json(&details, json_object_get(root, kept[i]));
	}
	buffer_puts(&details, "}");
	workflow->details = details.data;
	return workflow;
}

static void
add_system(Reader *reader, Line * line)
{
	const char *text = text_member_of(line->root, "content");
	const char *level = text_member_of(line->root, "level");
	const char *subtype = text_member_of(line->root, "subtype");
	const char *type = "agent_message";

	if (level != NULL && strcmp(level, "error") == 0)
		type = "system_error";
	else if (level != NULL && strcmp(level, "warning") == 0)
		type = "system_warning";
	if (text == NULL)
		text = subtype != NULL ? subtype : "(nothing)";

	add_event(reader, line, type, text)->is_error = strcmp(type, "system_error") == 0;
}

/* A line of a user, the assistant or the system. */
static void
read_said(Reader *reader, Line * line, const char *type)
{
	RecordedWorkflow *workflow = &reader->recording->workflows[line->workflow];
	const char *agent_id = text_member_of(line->root, "agentId");
	bool		is_aside = json_is_true(json_object_get(line->root, "isSidechain"));
	size_t		nevents = reader->recording->nevents;
	Buffer		agent = {0};

	line->message = json_object_get(line->root, "message");
	line->agent = type;
	if (strcmp(type, "assistant") == 0)
		line->agent = "claude-code";
	if (is_aside)
	{
		buffer_printf(&agent, "%s/%s", line->agent, agent_id != NULL ? agent_id : "sidechain");
		line->agent = agent.data;
	}

	if (strcmp(type, "system") == 0)
		add_system(reader, line);
	else
		add_content(reader, line);
	if (json_is_true(json_object_get(line->root, "isApiErrorMessage")))
	{
		for (; nevents < reader->recording->nevents; nevents++)
		{
			reader->recording->events[nevents].type = "system_error";
			reader->recording->events[nevents].is_error = true;
		}
	}
	if (strcmp(type, "assistant") == 0)
		add_usage(reader, line);
	else if (strcmp(type, "user") == 0 && workflow->title == NULL && !is_aside &&
			 !json_is_true(json_object_get(line->root, "isMeta")))
		set_title(workflow, text_member_of(line->message, "content"));
	buffer_free(&agent);
}

static void
read_line(Reader *reader, const json_t *root, Slice text, unsigned long number)
{
	const char *type = text_member_of(root, "type");
	const char *time = text_member_of(root, "timestamp");
	Line		line = {.root = root,.number = number};
	char		derived[UUID_TEXT_SIZE];

	line.session = text_member_of(root, "sessionId");
	line.uuid = text_member_of(root, "uuid");
	if (type == NULL || line.session == NULL)
	{
		note_other(reader, type);
		return;
	}
	if (strcmp(type, "ai-title") == 0 || strcmp(type, "custom-title") == 0)
	{
		RecordedWorkflow *workflow = workflow_of(reader, root, line.session, number);
		const char *title = text_member_of(root, "aiTitle");

		set_title(workflow, title != NULL ? title : text_member_of(root, "customTitle"));
		return;
	}
	if (strcmp(type, "user") != 0 && strcmp(type, "assistant") != 0 && strcmp(type, "system") != 0)
	{
		note_other(reader, type);
		return;
	}
	if (time == NULL || !parse_recorded_time(time, &reader->last_time))
	{
		recording_pass_over(reader->recording, number, "it has no timestamp such as 2026-01-31T23:59:59.999Z");
		return;
	}
	line.time = reader->last_time;
	if (line.uuid == NULL)
	{
		Sha256		sha;
		Uuid		id;

		sha256_start(&sha);
		sha256_add_json(&sha, text.start, text.len);
		id = uuid_from_sha256(&sha);
		uuid_format(&id, derived);
		line.uuid = derived;
	}
	line.workflow = (size_t) (workflow_of(reader, root, line.session, number) -
							  reader->recording->workflows);
	read_said(reader, &line, type);
}

/* Read a file; recording_free is due also when this fails. */
bool
claude_read(Recording * recording, Problem *problem)
{
	Reader		reader = {.recording = recording};
	Input	   *input = recording->input;
	Slice text;
	int			got;

	recording->source = "claude-code";
	while ((got = input_next_line(input, UINT64_MAX, &text, problem)) == 1)
	{
		json_t	   *root;

		if (slice_is_blank(text))
			continue;
		root = recording_parse(recording, text, input->line);
		if (root != NULL)
			read_line(&reader, root, text, input->line);
		json_decref(root);
		if (db_interrupted)
		{
			problem_set(problem, 0, "interrupted");
			got = -1;
			break;
		}
	}
	if (reader.nothers > 0)
		tell("%s: %zu line%s of kinds that are not loaded: %s", input->name, reader.nothers,
			 PLURAL(reader.nothers), reader.other_kinds.data);
	for (size_t i = 0; i < reader.ntools; i++)
		free(reader.tool_names[i]);
	free(reader.tool_names);
	buffer_free(&reader.other_kinds);
	map_free(&reader.tools);
	map_free(&reader.calls);
	return got == 0;
}
