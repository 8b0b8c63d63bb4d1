/*-------------------------------------------------------------------------
 *
 * traj_mini.c
 *	  Reading a recorded run of mini-swe-agent 2, a .traj.json whose
 *	  trajectory_format is mini-swe-agent-1.1.
 *
 * A run is the conversation, in the form of the model's API: chat messages,
 * or the answers and outputs of the Responses API. What the agent said until
 * it was answered is a step. Its cost and its calls stand in `info`; tokens
 * stand in each answer of the model as LiteLLM reports them, cached ones
 * among the input. An answer that could not be parsed was paid for as well,
 * and hangs on the message that says so.
 *
 *-------------------------------------------------------------------------
 */
#include "load/traj_mini.h"

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/util.h"
#include "load/options.h"
#include "load/run.h"
#include "load/traj_meta.h"

static const char format_name[] = "mini-swe-agent-1.1";

/* Is this one, or something of its kind that we do not know? */
bool
run_is_mini(const Run *run, Problem *problem)
{
	const json_t *format = json_object_get(run->document, "trajectory_format");

	if (absent(format))
		return false;
	if (!json_is_string(format))
		wrong_type(run, problem, "trajectory_format", format, "a string");
	else if (strcmp(json_string_value(format), format_name) != 0)
		problem_set(problem,
					run_line_of(run, "trajectory_format"),
					"trajectory_format \"%s\" is not known, only \"%s\" is",
					json_string_value(format), format_name);
	return true;
}

/* What the agent says, as opposed to what it is told. */
static bool
is_answer(const json_t *message)
{
	const char *object = json_string_value(json_object_get(message, "object"));

	return has_role(message, "assistant") ||
		(object != NULL && strcmp(object, "response") == 0);
}

/* The texts of a message of either API. */
static void
add_message(Buffer *buf, const json_t *message)
{
	size_t		i;
	json_t	   *item;

	add_content(buf, json_object_get(message, "content"));
	if (json_is_string(json_object_get(message, "output")))
		add_content(buf, json_object_get(message, "output"));
	else
		json_array_foreach(json_object_get(message, "output"), i, item)
			add_content(buf, json_object_get(item, "content"));
}

static bool
check_messages(const Run *run, Problem *problem, const json_t *messages)
{
	static const char *const texts[] = {"role", "reasoning_content"};
	size_t		i;
	json_t	   *message;

	json_array_foreach((json_t *) messages, i, message)
	{
		const json_t *content = json_object_get(message, "content");
		char		where[80];

		snprintf(where, sizeof(where), "messages[%zu]", i);
		if (!json_is_object(message))
			return wrong_type(run, problem, where, message, "an object");
		for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++)
		{
			const json_t *text = json_object_get(message, texts[t]);

			snprintf(where, sizeof(where), "messages[%zu].%s", i, texts[t]);
			if (!absent(text) && !json_is_string(text))
				return wrong_type(run, problem, where, text, "a string");
		}
		snprintf(where, sizeof(where), "messages[%zu].content", i);
		if (!absent(content) && !json_is_string(content) && !json_is_array(content))
			return wrong_type(run, problem, where, content, "a string");
	}
	return true;
}

/* A step's commands: they are for the shell, whatever they are in. */
static void
use_actions(Step *step, const json_t *message)
{
	const json_t *actions = json_object_get(json_object_get(message, "extra"), "actions");
	Buffer		commands = {0};
	Buffer		input = {0};
	size_t		i;
	json_t	   *action;

	json_array_foreach((json_t *) actions, i, action)
	{
		const char *command = json_string_value(json_object_get(action, "command"));

		if (command == NULL)
			continue;
		if (commands.len > 0)
			buffer_puts(&commands, "\n");
		buffer_puts(&commands, command);
	}
	if (commands.len > 0)
	{
		step->own_action = json_stringn(commands.data, commands.len);
		step->action = step->own_action;
		buffer_puts(&input, "{\"command\":");
		buffer_json(&input, step->action);
		buffer_puts(&input, "}");
		step->tool_name = copy_string("bash");
		step->tool_input = input.data;
	}
	buffer_free(&commands);
}

static void
read_messages(Run *run, const json_t *messages)
{
	size_t		n = json_array_size(messages);
	unsigned long *lines = run_element_lines(run, "messages", n);
	Step	   *step = NULL;

	run->steps = allocate(n * sizeof(*run->steps));
	for (size_t i = 0; i < n; i++)
	{
		const json_t *message = json_array_get(messages, i);
		Buffer text = {0};

		buffer_reset(&text);
		add_message(&text, message);
		if (is_answer(message))
		{
			const char *reasoning = json_string_value(json_object_get(message, "reasoning_content"));

			step = &run->steps[run->nsteps++];
			step->line = lines[i];
			use_actions(step, message);
			if (text.len == 0 && !is_blank(reasoning))
				buffer_puts(&text, reasoning);
			if (text.len == 0 && step->action != NULL)
				buffer_puts(&text, json_string_value(step->action));
			if (text.len == 0)
				buffer_puts(&text, "(nothing recorded)");
			step->own_message = copy_string(text.data);
			step->message = step->own_message;
		}
		else if (step != NULL && !has_role(message, "exit"))
		{
			if (step->observed.len > 0)
				buffer_puts(&step->observed, "\n");
			buffer_add(&step->observed, text.data, text.len);
		}
		buffer_free(&text);
	}
	free(lines);
}

/* Add a counter of an answer, which has one name in one API and one in the other. */
static bool
add_tokens(int *sum, const json_t *usage, const char *name, const char *other)
{
	const json_t *value = json_object_get(usage, name);
	json_int_t	tokens;

	if (!json_is_integer(value))
		value = json_object_get(usage, other);
	tokens = json_integer_value(value);
	if (tokens < 0 || tokens > INT_MAX - *sum)
		return false;
	*sum += (int) tokens;
	return true;
}

static bool
read_tokens(Run *run, Problem *problem, const json_t *messages)
{
	size_t		i;
	json_t	   *message;

	json_array_foreach((json_t *) messages, i, message)
	{
		const json_t *response = json_object_get(json_object_get(message, "extra"), "response");
		const json_t *usage = json_object_get(response, "usage");
		const json_t *details;

		if (!json_is_object(usage) && is_answer(message))
			usage = json_object_get(message, "usage");
		details = json_object_get(usage, "prompt_tokens_details");
		if (!json_is_object(details))
			details = json_object_get(usage, "input_tokens_details");
		if (!add_tokens(&run->input_tokens, usage, "prompt_tokens", "input_tokens") ||
			!add_tokens(&run->output_tokens, usage, "completion_tokens", "output_tokens") ||
			!add_tokens(&run->cache_read_tokens, details, "cached_tokens", "cached_tokens"))
		{
			char		where[60];

			snprintf(where, sizeof(where), "messages[%zu]", i);
			return problem_set(problem, run_line_of(run, where),
							   "%s: the tokens of a run are not a number from 0 to %d",
							   where, INT_MAX);
		}
	}
	return true;
}

static bool
read_end(Run *run, Problem *problem, const json_t *info)
{
	const json_t *status = json_object_get(info, "exit_status");
	const char *text = json_string_value(status);

	if (!absent(status) && text == NULL)
		return wrong_type(run, problem, "info.exit_status", status, "a string");
	if (text !=NULL && strcmp(text, "Submitted") == 0)
		return true;
	run->failure_reason = copy_string(is_blank(text) ?
									  "the recording ends without an exit status" : text);
	return true;
}

/* Read the document of such a run. */
bool
run_read_mini(Run *run, const Options *options, Problem *problem)
{
	const json_t *messages = json_object_get(run->document, "messages");
	const json_t *info = json_object_get(run->document, "info");
	const json_t *config;

	if (!json_is_array(messages))
		return wrong_type(run, problem, "messages", messages, "an array");
	if (!absent(info) && !json_is_object(info))
		return wrong_type(run, problem, "info", info, "an object");
	if (!check_messages(run, problem, messages))
		return false;
	read_messages(run, messages);
	if (!run_read_usage(run, problem, json_object_get(info, "model_stats")) ||
		!read_tokens(run, problem, messages) ||
		!read_end(run, problem, info))
		return false;

	config = json_object_get(info, "config");
	run->source = "mini-swe-agent";
	run->agent = run->source;
	run->model = json_string_value(json_object_get(json_object_get(config, "model"), "model_name"));
	if (is_blank(run->model))
		run->model = options->model;
	run->working_dir = json_string_value(json_object_get(json_object_get(config, "environment"), "cwd"));
	if (is_blank(run->working_dir))
		run->working_dir = NULL;
	run->issue_name = json_string_value(json_object_get(run->document, "instance_id"));
	run_describe(run, info, messages);
	return true;
}
