/*-------------------------------------------------------------------------
 *
 * recording.c
 *	  What the readers of such recordings share.
 *
 * Their formats belong to others, and change: an entry that is not what it
 * should be is named and passed over, and the rest of the file is loaded.
 *
 *-------------------------------------------------------------------------
 */
#include "load/recording.h"

#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/progress.h"
#include "common/sha256.h"
#include "common/util.h"

/* Room for one more of n elements; arrays grow at powers of two. */
static void *
grow(void *array, size_t n, size_t size)
{
	if (n == 0)
		return allocate(16 * size);
	if (n >= 16 && (n & (n - 1)) == 0)
		return reallocate(array, 2 * n * size);
	return array;
}

/* The workflow of an id; its pointer is good until the next new one. */
RecordedWorkflow *
recording_workflow(Recording * recording, const Uuid *id, unsigned long line, bool *found)
{
	uint32_t   *number = map_find_or_add(&recording->index, id->bytes, found);
	RecordedWorkflow *workflow;

	if (*found)
		return &recording->workflows[*number];
	*number = (uint32_t) recording->nworkflows;
	recording->workflows = grow(recording->workflows, recording->nworkflows, sizeof(*workflow));
	workflow = &recording->workflows[recording->nworkflows++];
	memset(workflow, 0, sizeof(*workflow));
	workflow->id = *id;
	workflow->line = line;
	return workflow;
}

RecordedEvent *
recording_event(Recording * recording)
{
	RecordedEvent *event;

	recording->events = grow(recording->events, recording->nevents, sizeof(*event));
	event = &recording->events[recording->nevents++];
	memset(event, 0, sizeof(*event));
	return event;
}

RecordedUsage *
recording_usage(Recording * recording)
{
	RecordedUsage *usage;

	recording->usages = grow(recording->usages, recording->nusages, sizeof(*usage));
	usage = &recording->usages[recording->nusages++];
	memset(usage, 0, sizeof(*usage));
	return usage;
}

void
recording_free(Recording * recording)
{
	for (size_t i = 0; i < recording->nworkflows; i++)
	{
		RecordedWorkflow *workflow = &recording->workflows[i];

		free(workflow->issue_id);
		free(workflow->worktree);
		free(workflow->title);
		free(workflow->details);
		free(workflow->failure_reason);
	}
	for (size_t i = 0; i < recording->nevents; i++)
	{
		RecordedEvent *event = &recording->events[i];

		free(event->agent);
		free(event->message);
		free(event->data);
		free(event->tool_name);
		free(event->tool_input);
		free(event->correlation_id);
		free(event->trace_id);
	}
	for (size_t i = 0; i < recording->nusages; i++)
	{
		RecordedUsage *usage = &recording->usages[i];

		free(usage->agent);
		free(usage->model);
		free(usage->service_tier);
		free(usage->cost);
	}
	free(recording->workflows);
	free(recording->events);
	free(recording->usages);
	map_free(&recording->index);
	memset(recording, 0, sizeof(*recording));
}

/* An object of the file, with what cannot be stored replaced; or NULL, named. */
json_t *
recording_parse(Recording * recording, Slice text, unsigned long line)
{
	Buffer		storable = {0};
	Problem		problem = {0};
	json_t	   *value;

	recording->replaced += json_make_storable(&storable, text);
	value = json_parse(storable.data, storable.len, line, &problem);
	if (value != NULL && !json_is_object(value))
	{
		problem_set(&problem, line, "is %s, not an object", json_kind(value));
		json_decref(value);
		value = NULL;
	}
	if (value == NULL)
		recording_pass_over(recording, problem.line, "%s", problem.reason);
	problem_clear(&problem);
	buffer_free(&storable);
	return value;
}

/* Name what is left out, and why. */
void
recording_pass_over(Recording * recording, unsigned long line, const char *fmt,...)
{
	Buffer		reason = {0};
	va_list		args;

	va_start(args, fmt);
	buffer_vprintf(&reason, fmt, args);
	va_end(args);
	warn("%s:%lu: passed over: %s", recording->input->name, line, reason.data);
	buffer_free(&reason);
	recording->passed_over++;
}

/* The UUID that a name has wherever it is met for this purpose. */
Uuid
uuid_from_name(const char *purpose, const char *name)
{
	Sha256		sha;

	sha256_start(&sha);
	sha256_add(&sha, purpose, strlen(purpose));
	sha256_add(&sha, "\n", 1);
	sha256_add(&sha, name, strlen(name));
	return uuid_from_sha256(&sha);
}

/* A count of tokens; -1 when it is none that the server can hold, 0 when it is missing. */
int64_t
count_member(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	double		number = json_number_value(value);

	if (value == NULL || json_is_null(value))
		return 0;
	if (!json_is_number(value) || number < 0 || number > INT_MAX || number != (double) (int64_t) number)
		return -1;
	return (int64_t) number;
}

/* A string that says something, or NULL. */
const char *
text_member_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL || text[strspn(text, " \t\r\n")] == '\0' ? NULL : text;
}

/* The text of a value; the caller's. */
char *
json_text(const json_t *value)
{
	Buffer text = {0};

	buffer_json(&text, value);
	return text.data;
}

/* At most so many bytes of a text, whole characters; the caller's. */
char *
copy_prefix(const char *text, size_t len)
{
	char	   *result = copy_string(text);

	if (strlen(result) > len)
	{
		while (len > 0 && ((unsigned char) result[len] & 0xC0) == 0x80)
			len--;
		result[len] = '\0';
	}
	return result;
}

bool
slice_is_blank(Slice text)
{
	for (size_t i = 0; i < text.len; i++)
	{
		if (text.start[i] == '\0' || strchr(" \t\r", text.start[i]) == NULL)
			return false;
	}
	return true;
}
