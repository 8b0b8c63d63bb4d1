/*-------------------------------------------------------------------------
 *
 * traj_meta.c
 *	  What a recorded run says of itself beside its steps: what it was asked,
 *	  who ran it, what it cost, how it ended.
 *
 *-------------------------------------------------------------------------
 */
#include "load/traj_meta.h"

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/json.h"
#include "common/util.h"
#include "load/format.h"
#include "load/options.h"
#include "load/run.h"

/* A count that fits the integer column, also where it is written as 12.0. */
static bool
read_count(const Run *run, Problem *problem, const json_t *stats,
		   const char *key, int absent_is, int *result)
{
	const json_t *value = json_object_get(stats, key);
	double		number = json_number_value(value);
	char		path[60];

	*result = absent_is;
	if (absent(value))
		return true;
	snprintf(path, sizeof(path), "info.model_stats.%s", key);
	if (!json_is_number(value))
		return wrong_type(run, problem, path, value, "a number");
	if (number < 0 || number > INT_MAX || number != (double) (int) number)
		return problem_set(problem,
						   run_line_of(run, path),
						   "%s is %.17g, not a whole number from 0 to %d",
						   path, number, INT_MAX);
	*result = (int) number;
	return true;
}

bool
run_read_usage(Run *run, Problem *problem, const json_t *stats)
{
	/* total_cost goes over all runs of a batch, instance_cost is this one's */
	const char *key = "instance_cost";
	const json_t *cost = json_object_get(stats, key);
	char		path[60];
	Buffer text = {0};

	if (absent(stats))
		return true;
	if (!json_is_object(stats))
		return wrong_type(run, problem, "info.model_stats", stats,
						  "an object");
	if (absent(cost))
	{
		key = "total_cost";
		cost = json_object_get(stats, key);
	}
	snprintf(path, sizeof(path), "info.model_stats.%s", key);
	if (!absent(cost) && !json_is_number(cost))
		return wrong_type(run, problem, path, cost, "a number");
	if (json_number_value(cost) < 0 || json_number_value(cost) >= MAX_COST)
		return problem_set(problem,
						   run_line_of(run, path),
						   "%s is %.17g, not an amount from 0 to 9999.999999",
						   path, json_number_value(cost));
	/* the server rounds it, in decimal */
	if (absent(cost))
		buffer_puts(&text, "0");
	else
		buffer_json(&text, cost);
	run->cost = text.data;

	run->has_usage = true;
	return read_count(run, problem, stats, "tokens_sent", 0,
					  &run->input_tokens) &&
		read_count(run, problem, stats, "tokens_received", 0,
				   &run->output_tokens) &&
		read_count(run, problem, stats, "api_calls",
				   run->nsteps < INT_MAX ? (int) run->nsteps : INT_MAX,
				   &run->calls);
}

/*
 * "submitted", also "submitted (exit_cost)" and the like, is success as the
 * agent saw it. A run without information about its end, a demonstration,
 * ended well when the last thing it did was to submit.
 */
bool
run_read_end(Run *run, Problem *problem, const json_t *info)
{
	const json_t *status = json_object_get(info, "exit_status");
	static const char submitted[] = "submitted";
	Buffer text = {0};

	if (json_is_string(status))
	{
		const char *s = json_string_value(status);

		if (strncmp(s, submitted, strlen(submitted)) == 0 &&
			strchr(" (", s[strlen(submitted)]) != NULL)
			return true;
		buffer_puts(&text, *s != '\0' ? s : "the exit status is empty");
	}
	else if (json_is_integer(status))
		buffer_printf(&text, "exit status %" JSON_INTEGER_FORMAT,
					  json_integer_value(status));
	else if (!absent(status))
		return wrong_type(run, problem, "info.exit_status", status,
						  "a string");
	else if (info == NULL && run->nsteps > 0 &&
			 run->steps[run->nsteps - 1].tool_name != NULL &&
			 strcmp(run->steps[run->nsteps - 1].tool_name, "submit") == 0)
		return true;
	else
		buffer_puts(&text, "the recording ends without an exit status");
	run->failure_reason = text.data;

	return true;
}

/* The name of the agent, and of the model, where the recording has them. */
void
run_read_names(Run *run, const Options *options, const json_t *history)
{
	const json_t *config = json_object_get(run->part, "replay_config");
	const json_t *model;
	size_t		i;
	json_t	   *message;

	run->agent = run->source;
	json_array_foreach((json_t *) history, i, message)
	{
		const char *agent = json_string_value(json_object_get(message,
															  "agent"));

		if (has_role(message, "assistant") && !is_blank(agent) &&
			!json_is_true(json_object_get(message, "is_demo")))
		{
			run->agent = agent;
			break;
		}
	}
	run->replay = json_is_string(config) ? parse_text(config) :
		json_incref((json_t *) config);
	model = json_object_get(json_object_get(run->replay, "agent"), "model");
	run->model = json_string_value(json_object_get(model, "name"));
	if (is_blank(run->model))
		run->model = options->model;
}

/* The length of a file's name without .traj or .traj.json. */
static size_t
stem_length(const char *base)
{
	static const char json[] = ".json";
	size_t		len = strlen(base);

	if (len > strlen(json) && strcasecmp(base + len - strlen(json), json) == 0)
		len -= strlen(json);
	do
		len--;
	while (len > 0 && base[len] != '.');
	return len;
}

/* The issue's name: the recording's, or as SWE-agent names its files. */
static void
name_issue(Run *run, const json_t *file)
{
	const json_t *problem = json_object_get(run->replay, "problem_statement");
	const char *id = run->issue_name != NULL ? run->issue_name :
	json_string_value(json_object_get(problem, "id"));
	const char *base = json_string_value(file);
	char		uuid[UUID_TEXT_SIZE];
	Buffer text = {0};

	uuid_format(&run->id, uuid);
	if (!is_blank(id))
		buffer_puts(&text, id);
	else if (base != NULL && *base != '.' &&
			 is_traj_name(base))
		buffer_add(&text, base, stem_length(base));
	else
		buffer_printf(&text, "recorded-run-%.8s", uuid);
	run->issue_id = text.data;

	/*
	 * The directory is one of a container that is gone. With the id behind
	 * it, it cannot be mistaken for a worktree in which someone works now.
	 */
	memset(&text, 0, sizeof(text));
	buffer_printf(&text, "%s#%.8s", run->working_dir != NULL ?
				  run->working_dir : "recorded", uuid);
	run->worktree = text.data;
}

static void
cache_member(Buffer *buf, const char *key, const json_t *value)
{
	if (absent(value))
		return;
	buffer_printf(buf, ",\"%s\":", key);
	buffer_json(buf, value);
}

/* What was asked for and what came out, for issue_cache. */
static void
cache_issue(Run *run, const json_t *info, const json_t *history,
			const json_t *file)
{
	Buffer		buf = {0};
	size_t		i;
	json_t	   *message;

	buffer_printf(&buf, "{\"source\":\"%s\"", run->source);
	cache_member(&buf, "file", file);
	cache_member(&buf, "environment",
				 json_object_get(run->part, "environment"));
	cache_member(&buf, "problem_statement",
				 json_object_get(run->replay, "problem_statement"));
	json_array_foreach((json_t *) history, i, message)
	{
		Buffer		task = {0};
		json_t	   *text;

		if (!has_role(message, "user") ||
			json_is_true(json_object_get(message, "is_demo")))
			continue;
		buffer_reset(&task);
		add_content(&task, json_object_get(message, "content"));
		text = json_string(task.data);

		cache_member(&buf, "task", text);
		json_decref(text);
		buffer_free(&task);
		break;
	}
	if (json_is_array(json_object_get(run->document, "attempts")))
		buffer_printf(&buf, ",\"attempts\":%zu",
					  json_array_size(json_object_get(run->document, "attempts")));
	cache_member(&buf, "exit_status", json_object_get(info, "exit_status"));
	cache_member(&buf, "submission", json_object_get(info, "submission"));
	cache_member(&buf, "model_stats", json_object_get(info, "model_stats"));
	buffer_puts(&buf, "}");
	run->issue_cache = buf.data;
}

/* What the workflow's own columns say of the run; after run_read_names. */
void
run_describe(Run *run, const json_t *info, const json_t *history)
{
	const char *slash = strrchr(run->name, '/');
	json_t	   *file;

	/* NULL when the name is not UTF-8, which the database could not store */
	file = json_string(slash == NULL ? run->name : slash + 1);
	name_issue(run, file);
	cache_issue(run, info, history, file);
	json_decref(file);
}
