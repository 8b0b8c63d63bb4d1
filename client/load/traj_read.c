/*-------------------------------------------------------------------------
 *
 * traj_read.c
 *	  Reading a recorded run of SWE-agent.
 *
 * Versions of SWE-agent differ in what they write: `state` is an object or
 * the text of one, so is `replay_config`; a message's content is a text or a
 * list of texts; a demonstration has only `history`, no `trajectory`. All of
 * that is taken. What has another type than any of them had is refused by
 * name and line, because a guess would be stored as if it had been recorded.
 *
 *-------------------------------------------------------------------------
 */
#include "load/traj_read.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/util.h"
#include "load/options.h"
#include "load/run.h"
#include "load/traj_meta.h"

/* A member that may be missing or null, and is a string otherwise. */
static bool
text_member(const Run *run, Problem *problem, const json_t *object,
			const char *where, const char *key, const json_t **result)
{
	const json_t *value = json_object_get(object, key);
	char		path[80];

	*result = NULL;
	if (absent(value))
		return true;
	if (!json_is_string(value))
	{
		snprintf(path, sizeof(path), "%s.%s", where, key);
		return wrong_type(run, problem, path, value, "a string");
	}
	*result = value;
	return true;
}

/*
 * The event's message: the thought as it was recorded, and where there is
 * none, what comes nearest.
 */
static const char *
first_text(const json_t *a, const json_t *b, const json_t *c)
{
	const json_t *candidates[] = {a, b, c};

	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++)
	{
		if (json_string_length(candidates[i]) > 0)
			return json_string_value(candidates[i]);
	}
	return "(nothing recorded)";
}

/*
 * SWE-agent's actions are shell commands: the tool is the first word of the
 * first line, or the shell where that line does not begin with a command.
 */
static char *
tool_of_action(const char *action)
{
	size_t		len;
	char	   *word;

	if (is_blank(action))
		return NULL;
	action += strspn(action, " \t\r\n");
	len = strcspn(action, " \t\r\n;|&<>()");
	word = copy_string(action);
	word[len] = '\0';
	if (len == 0 || len > 64 || strpbrk(word, "=\"'`$#{}") != NULL)
	{
		free(word);
		return copy_string("bash");
	}
	return word;
}

/* A tool call as language models return it, {function: {name, arguments}}. */
static void
use_tool_call(Step *step, const json_t *message)
{
	const json_t *call = json_array_get(json_object_get(message,
														"tool_calls"), 0);
	const json_t *function = json_object_get(call, "function");
	const json_t *arguments = json_object_get(function, "arguments");
	const char *name = json_string_value(json_object_get(function, "name"));
	json_t	   *parsed;
	Buffer text = {0};

	if (is_blank(name))
		return;
	free(step->tool_name);
	step->tool_name = copy_string(name);
	if (json_is_string(arguments))
		parsed = parse_text(arguments);
	else
		parsed = json_incref((json_t *) arguments);
	if (json_is_object(parsed))
	{
		buffer_json(&text, parsed);
		step->tool_input = text.data;
	}
	json_decref(parsed);
}

/* What the environment said it was in: remember where it first was. */
static void
look_at_state(Run *run, const json_t *state)
{
	json_t	   *object;
	const char *directory;

	if (run->working_dir != NULL || absent(state))
		return;
	object = json_is_string(state) ? parse_text(state) :
		json_incref((json_t *) state);
	directory = json_string_value(json_object_get(object, "working_dir"));
	if (!is_blank(directory) && strcmp(directory, "n/a") != 0)
	{
		run->working_dir = directory;
		run->first_state = object;
	}
	else
		json_decref(object);
}

static bool
read_trajectory(Run *run, Problem *problem, const json_t *trajectory)
{
	unsigned long *lines;
	char		where[40];

	run->nsteps = json_array_size(trajectory);
	run->steps = allocate(run->nsteps * sizeof(*run->steps));
	lines = run_element_lines(run, "trajectory", run->nsteps);
	for (size_t i = 0; i < run->nsteps; i++)
		run->steps[i].line = lines[i];
	free(lines);

	for (size_t i = 0; i < run->nsteps; i++)
	{
		Step	   *step = &run->steps[i];
		const json_t *element = json_array_get(trajectory, i);
		const json_t *thought;
		const json_t *response;
		const json_t *value;
		char		path[80];

		snprintf(where, sizeof(where), "trajectory[%zu]", i);
		if (!json_is_object(element))
			return wrong_type(run, problem, where, element, "an object");
		if (!text_member(run, problem, element, where, "thought", &thought) ||
			!text_member(run, problem, element, where, "response",
						 &response) ||
			!text_member(run, problem, element, where, "action",
						 &step->action) ||
			!text_member(run, problem, element, where, "observation",
						 &step->observation))
			return false;

		value = json_object_get(element, "execution_time");
		snprintf(path, sizeof(path), "%s.execution_time", where);
		if (!absent(value) && !json_is_number(value))
			return wrong_type(run, problem, path, value, "a number");
		step->execution_time = absent(value) ? NULL : value;

		value = json_object_get(element, "state");
		snprintf(path, sizeof(path), "%s.state", where);
		if (!absent(value) && !json_is_object(value) && !json_is_string(value))
			return wrong_type(run, problem, path, value, "an object");
		step->state = absent(value) ? NULL : value;
		look_at_state(run, step->state);

		step->message = first_text(thought, response, step->action);
		if (response != NULL &&
			strcmp(json_string_value(response), step->message) != 0)
			step->response = response;
		step->tool_name = tool_of_action(json_string_value(step->action));
	}
	return true;
}

/* Every message an object with known content: so later code need not ask. */
static bool
check_history(const Run *run, Problem *problem, const json_t *history)
{
	for (size_t i = 0; i < json_array_size(history); i++)
	{
		const json_t *message = json_array_get(history, i);
		const json_t *content = json_object_get(message, "content");
		const json_t *text;
		char		where[60];

		snprintf(where, sizeof(where), "history[%zu]", i);
		if (!json_is_object(message))
			return wrong_type(run, problem, where, message, "an object");
		if (!text_member(run, problem, message, where, "role", &text) ||
			!text_member(run, problem, message, where, "agent", &text) ||
			!text_member(run, problem, message, where, "thought", &text) ||
			!text_member(run, problem, message, where, "action", &text))
			return false;
		if (!absent(content) && !json_is_string(content) &&
			!json_is_array(content))
		{
			snprintf(where, sizeof(where), "history[%zu].content", i);
			return wrong_type(run, problem, where, content, "a string");
		}
	}
	return true;
}

/*
 * Steps of a run that has no trajectory: what the agent said, and what it was
 * answered until it spoke again. Demonstrations that it was shown are not
 * part of the run.
 */
static void
read_history(Run *run, const json_t *history)
{
	size_t		n = json_array_size(history);
	unsigned long *lines = run_element_lines(run, "history", n);
	Step	   *step = NULL;

	run->steps = allocate(n * sizeof(*run->steps));
	for (size_t i = 0; i < n; i++)
	{
		const json_t *message = json_array_get(history, i);
		const json_t *content = json_object_get(message, "content");

		if (json_is_true(json_object_get(message, "is_demo")))
			continue;
		if (has_role(message, "assistant"))
		{
			const json_t *thought = json_object_get(message, "thought");

			step = &run->steps[run->nsteps++];
			step->line = lines[i];
			step->action = json_object_get(message, "action");
			if (absent(step->action))
				step->action = NULL;
			step->message = first_text(thought, content, step->action);
			if (json_is_string(content) &&
				strcmp(json_string_value(content), step->message) != 0)
				step->response = content;
			step->tool_name = tool_of_action(json_string_value(step->action));
			use_tool_call(step, message);
		}
		else if (step != NULL)
		{
			if (step->observed.len > 0)
				buffer_puts(&step->observed, "\n");
			add_content(&step->observed, content);
		}
	}
	free(lines);
}

/* An object that is none of the kinds that are known: say what it has. */
static bool
refuse_part(const Run *run, Problem *problem)
{
	Buffer		members = {0};
	const char *key;
	json_t	   *value;

	buffer_reset(&members);
	json_object_foreach((json_t *) run->part, key, value)
	{
		(void) value;
		buffer_printf(&members, "%s\"%.60s\"", members.len > 0 ? ", " : "", key);
		if (members.len > 300)
		{
			buffer_puts(&members, " and more");
			break;
		}
	}
	problem_set(problem, run_line_of(run, ""),
				"%.*s%shas neither \"trajectory\" nor \"history\", so it is no recorded run",
				(int) strcspn(run->prefix, "."), run->prefix, *run->prefix != '\0' ? " " : "");
	if (problem->detail == NULL)
	{
		Buffer		detail = {0};

		buffer_printf(&detail, "It has %s.", members.len > 0 ? members.data : "no members");
		problem->detail = detail.data;
	}
	buffer_free(&members);
	return false;
}

/* Read a run of SWE-agent, or one of its attempts. */
bool
run_read_part(Run *run, const Options *options, const json_t *part, Problem *problem)
{
	const json_t *trajectory = json_object_get(part, "trajectory");
	const json_t *history = json_object_get(part, "history");
	const json_t *info = json_object_get(part, "info");

	run->part = part;
	if (absent(trajectory) && absent(history))
		return refuse_part(run, problem);
	if (!absent(trajectory) && !json_is_array(trajectory))
		return wrong_type(run, problem, "trajectory", trajectory, "an array");
	if (!absent(history) && !json_is_array(history))
		return wrong_type(run, problem, "history", history, "an array");
	if (!absent(info) && !json_is_object(info))
		return wrong_type(run, problem, "info", info, "an object");
	if (absent(info))
		info = NULL;
	if (absent(history))
		history = NULL;

	if (!check_history(run, problem, history))
		return false;
	if (json_array_size(trajectory) > 0)
	{
		if (!read_trajectory(run, problem, trajectory))
			return false;
	}
	else
		read_history(run, history);
	if (!run_read_usage(run, problem, json_object_get(info, "model_stats")) ||
		!run_read_end(run, problem, info))
		return false;
	run_read_names(run, options, history);
	run_describe(run, info, history);
	return true;
}
