/*-------------------------------------------------------------------------
 *
 * traj_file.c
 *	  Reading a file that holds a recorded run: of SWE-agent, tried once or
 *	  more often, or of mini-swe-agent.
 *
 *-------------------------------------------------------------------------
 */
#include "load/traj_file.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/input.h"
#include "common/json.h"
#include "common/util.h"
#include "load/options.h"
#include "load/run.h"
#include "load/traj_attempts.h"
#include "load/traj_mini.h"
#include "load/traj_read.h"

static bool
read_document(Run *run, const Options *options, Problem *problem)
{
	bool		cut_off;

	if (!json_is_object(run->document))
		return problem_set(problem, 1, "is %s, not an object",
						   json_kind(run->document));
	if (run_is_mini(run, problem))
		return problem->reason == NULL && run_read_mini(run, options, problem);
	if (!run_read_attempts(run, options, problem, &cut_off))
		return false;
	return cut_off || run_read_part(run, options, run->document, problem);
}

/* Read a file; run_free is due also when this fails. */
bool
run_read(Run *run, Input *input, const Options *options, Problem *problem)
{
	memset(run, 0, sizeof(*run));
	run->name = input->name;
	if (!input_read_all(input, &run->text, problem))
		return false;
	if (is_blank(run->text.data) && strlen(run->text.data) == run->text.len)
		return problem_set(problem, 0, "is empty");
	run->document = json_parse(run->text.data, run->text.len, 1, problem);
	if (run->document == NULL)
		return false;

	run->id = run_identify(run->text.data, run->text.len);
	run->source = "swe-agent";
	run->part = run->document;
	if (!read_document(run, options, problem))
		return false;
	buffer_free(&run->text);
	return true;
}

void
run_free(Run *run)
{
	for (size_t i = 0; run->steps != NULL && i < run->nsteps; i++)
	{
		buffer_free(&run->steps[i].observed);
		free(run->steps[i].tool_name);
		free(run->steps[i].tool_input);
		free(run->steps[i].own_message);
		json_decref(run->steps[i].own_action);
	}
	free(run->steps);
	free(run->issue_id);
	free(run->worktree);
	free(run->issue_cache);
	free(run->failure_reason);
	free(run->cost);
	buffer_free(&run->attempts);
	buffer_free(&run->text);
	json_decref(run->first_state);
	json_decref(run->replay);
	json_decref(run->document);
	memset(run, 0, sizeof(*run));
}
