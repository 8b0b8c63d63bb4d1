/*-------------------------------------------------------------------------
 *
 * traj_attempts.c
 *	  Runs that SWE-agent tried more than once.
 *
 * SWE-agent 1.0 and later writes such a run as INSTANCE/INSTANCE.traj, with
 * the steps of the best attempt, the tokens and the cost of all of them and
 * of choosing, and all attempts under `attempts`; and beside it each attempt
 * as INSTANCE/attempt_N/INSTANCE.traj, which must not be booked again. While
 * it is at work, and so when it was cut off, the first file holds nothing but
 * the attempts that have ended.
 *
 *-------------------------------------------------------------------------
 */
#include "load/traj_attempts.h"

#include <ctype.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "common/progress.h"
#include "common/util.h"
#include "load/options.h"
#include "load/run.h"
#include "load/traj_meta.h"
#include "load/traj_read.h"

/*
 * The run of which a file is an attempt: .../attempt_N/NAME belongs to
 * .../NAME, if that is there. The caller frees it; NULL: it is none.
 */
char *
traj_run_of_attempt(const char *path)
{
	static const char folder[] = "attempt_";
	const char *name = strrchr(path, '/');
	const char *start = name;
	const char *digit;
	Buffer		run = {0};

	if (name == NULL)
		return NULL;
	while (start > path && start[-1] != '/')
		start--;
	if (strncmp(start, folder, strlen(folder)) != 0)
		return NULL;
	digit = start + strlen(folder);
	if (digit == name)
		return NULL;
	for (; digit < name; digit++)
	{
		if (!isdigit((unsigned char) *digit))
			return NULL;
	}
	buffer_add(&run, path, (size_t) (start - path));
	buffer_puts(&run, name + 1);
	if (access(run.data, F_OK) == 0)
		return run.data;
	buffer_free(&run);
	return NULL;
}

/* The ids that the attempts have where they were loaded as runs of their own. */
static void
identify_attempts(Run *run, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		char		path[40];
		char		id[UUID_TEXT_SIZE];
		Slice		attempt;
		Uuid		uuid;

		snprintf(path, sizeof(path), "attempts[%zu]", i);
		attempt = json_find(run->text.data, run->text.len, path);
		uuid = run_identify(attempt.start, attempt.len);
		uuid_format(&uuid, id);
		buffer_printf(&run->attempts, "%s%s", i == 0 ? "{" : ",", id);
	}
	if (n > 0)
		buffer_puts(&run->attempts, "}");
}

/* What all attempts used, where no total was written. */
static bool
sum_attempts(Run *run, Problem *problem, const json_t *attempts)
{
	long long	input = 0;
	long long	output = 0;
	long long	calls = 0;
	double		cost = 0;
	bool		any = false;
	Buffer text = {0};
	json_t	   *sum;

	for (size_t i = 0; i < json_array_size(attempts); i++)
	{
		const json_t *info = json_object_get(json_array_get(attempts, i), "info");

		snprintf(run->prefix, sizeof(run->prefix), "attempts[%zu].", i);
		run->has_usage = false;
		free(run->cost);
		run->cost = NULL;
		if (!run_read_usage(run, problem, json_object_get(info, "model_stats")))
			return false;
		if (!run->has_usage)
			continue;
		any = true;
		input += run->input_tokens;
		output += run->output_tokens;
		calls += run->calls;
		cost += strtod(run->cost, NULL);
	}
	free(run->cost);
	run->cost = NULL;
	run->has_usage = any;
	if (!any)
		return true;
	if (input > INT_MAX || output > INT_MAX || calls > INT_MAX || cost >= MAX_COST)
		return problem_set(problem, 1, "the attempts used more than can be booked as one run");
	run->input_tokens = (int) input;
	run->output_tokens = (int) output;
	run->calls = (int) calls;
	sum = json_real(cost);
	buffer_json(&text, sum);
	json_decref(sum);
	run->cost = text.data;

	return true;
}

/*
 * Look at the attempts of a run. When it was cut off, read it: the last one's
 * steps, and what all of them used.
 */
bool
run_read_attempts(Run *run, const Options *options, Problem *problem, bool *cut_off)
{
	const json_t *attempts = json_object_get(run->document, "attempts");
	size_t		n = json_array_size(attempts);
	Buffer		reason = {0};
	char		where[40];

	*cut_off = false;
	if (absent(attempts))
		return true;
	if (!json_is_array(attempts))
		return wrong_type(run, problem, "attempts", attempts, "an array");
	for (size_t i = 0; i < n; i++)
	{
		snprintf(where, sizeof(where), "attempts[%zu]", i);
		if (!json_is_object(json_array_get(attempts, i)))
			return wrong_type(run, problem, where, json_array_get(attempts, i), "an object");
	}
	identify_attempts(run, n);
	if (!absent(json_object_get(run->document, "trajectory")) ||
		!absent(json_object_get(run->document, "history")))
		return true;

	*cut_off = true;
	if (n > 0)
	{
		snprintf(run->prefix, sizeof(run->prefix), "attempts[%zu].", n - 1);
		if (!run_read_part(run, options, json_array_get(attempts, n - 1), problem) ||
			!sum_attempts(run, problem, attempts))
			return false;
	}
	else
	{
		run_read_names(run, options, NULL);
		run_describe(run, NULL, NULL);
	}
	free(run->failure_reason);
	buffer_printf(&reason, "the recording was cut off after %zu attempt%s", n, PLURAL(n));
	run->failure_reason = reason.data;
	return true;
}
