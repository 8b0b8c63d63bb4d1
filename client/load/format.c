/*-------------------------------------------------------------------------
 *
 * format.c
 *	  The formats of files that can be loaded, and how they are told apart.
 *
 * The names of recorded runs tell what they are. Of JSON and JSON Lines, the
 * first members that only one of the formats has decide.
 *
 *-------------------------------------------------------------------------
 */
#include "load/format.h"

#include <jansson.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "common/input.h"
#include "common/json.h"
#include "common/util.h"

/* So many lines may say nothing about what they are in. */
#define LINES_TO_LOOK_AT 50

static const char *const format_names[] = {
	[FORMAT_TRAJ] = "traj",
	[FORMAT_JSONL] = "jsonl",
	[FORMAT_CLAUDE] = "claude",
	[FORMAT_OTLP] = "otlp"
};

/* FORMAT_UNKNOWN when there is none of that name. */
Format
format_called(const char *name)
{
	for (int i = FORMAT_TRAJ; i <= FORMAT_OTLP; i++)
	{
		if (strcmp(name, format_names[i]) == 0)
			return (Format) i;
	}
	return FORMAT_UNKNOWN;
}

static bool
ends_with(const char *path, const char *end)
{
	size_t		len = strlen(path);

	/* a file that is called .jsonl has no other name */
	return len > strlen(end) && path[len - strlen(end) - 1] != '/' &&
		strcasecmp(path + len - strlen(end), end) == 0;
}

bool
is_traj_name(const char *path)
{
	return ends_with(path, ".traj") || ends_with(path, ".traj.json");
}

static Format
format_of_object(const json_t *object)
{
	static const struct
	{
		const char *member;
		Format		format;
	}			telling[] = {
		{"resourceSpans", FORMAT_OTLP},
		{"resourceLogs", FORMAT_OTLP},
		{"resourceMetrics", FORMAT_OTLP},
		{"workflow_id", FORMAT_JSONL},
		{"trajectory", FORMAT_TRAJ},
		{"trajectory_format", FORMAT_TRAJ},
		{"history", FORMAT_TRAJ},
		{"attempts", FORMAT_TRAJ},
		{"sessionId", FORMAT_CLAUDE},
		{"leafUuid", FORMAT_CLAUDE}
	};

	for (size_t i = 0; i < sizeof(telling) / sizeof(telling[0]); i++)
	{
		if (json_object_get(object, telling[i].member) != NULL)
			return telling[i].format;
	}
	return FORMAT_UNKNOWN;
}

static Format
format_of_text(Slice text)
{
	json_t	   *value = json_loadb(text.start, text.len, JSON_ALLOW_NUL, NULL);
	Format		format = format_of_object(value);

	json_decref(value);
	return format;
}

/* What a file holds; it is read from its start again. */
static bool
look_into(Input *input, Format *format, Problem *problem)
{
	Slice		text;
	int			got;

	for (int i = 0; i < LINES_TO_LOOK_AT && *format == FORMAT_UNKNOWN; i++)
	{
		got = input_next_line(input, UINT64_MAX, &text, problem);
		if (got < 0)
			return false;
		if (got == 0)
			break;
		*format = format_of_text(text);
	}
	if (*format == FORMAT_UNKNOWN && input->size <= MAX_DOCUMENT_BYTES)
	{
		Buffer		whole = {0};

		if (!input_rewind(input, problem) || !input_read_all(input, &whole, problem))
		{
			buffer_free(&whole);
			return false;
		}
		*format = format_of_text((Slice) {whole.data, whole.len});
		buffer_free(&whole);
	}
	return input_rewind(input, problem);
}

/*
 * By the end of the name, in either case, and where that says no more than
 * that it is JSON, by what is in it. Lines that do not tell are taken for
 * events, whose reader says what they lack.
 */
bool
format_of_input(Input *input, const char *path, Format *format, Problem *problem)
{
	bool		are_lines = strcmp(path, "-") == 0 || ends_with(path, ".jsonl") ||
		ends_with(path, ".ndjson");

	*format = FORMAT_UNKNOWN;
	if (is_traj_name(path))
		*format = FORMAT_TRAJ;
	else if (are_lines || ends_with(path, ".json"))
	{
		if (!look_into(input, format, problem))
			return false;
		if (*format == FORMAT_UNKNOWN && are_lines)
			*format = FORMAT_JSONL;
		if (*format == FORMAT_UNKNOWN)
		{
			problem_set(problem, 0, "what it holds does not tell its format");
			problem_hint(problem, "Use --format.");
		}
	}
	else
	{
		problem_set(problem, 0, "its name does not tell its format");
		problem_hint(problem, "Use --format.");
	}
	return *format != FORMAT_UNKNOWN;
}
