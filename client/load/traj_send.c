/*-------------------------------------------------------------------------
 *
 * traj_send.c
 *	  Storing a recorded run: a workflow, its life, its steps and its cost.
 *
 * The workflow's id follows from the recording, so a workflow of that id is
 * this run, loaded before: since a file is one transaction, all of it. Two
 * loaders of one recording come one after the other by an advisory lock on
 * the id; without it the second would see no workflow and then meet one in a
 * final state.
 *
 * A recording has no times. Its events carry the time of loading.
 *
 *-------------------------------------------------------------------------
 */#include "load/traj_send.h"

#include <jansson.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "common/db.h"
#include "common/json.h"
#include "common/progress.h"
#include "common/util.h"
#include "load/append_event.h"
#include "common/input.h"
#include "load/options.h"
#include "load/outcome.h"
#include "load/run.h"
#include "load/traj_file.h"

enum
{
	ANSWER_EXISTS = 1,
	ANSWER_APPENDED,
	ANSWER_ATTEMPTS
};

typedef struct Sending
{
	const Run  *run;
	bool		exists;
	char		status[20];
	long		removed;		/* events, since it was loaded */
	uint64_t	events;			/* steps that were stored */
	Buffer		attempts;		/* of it that are there as runs of their own */
} Sending;

static void
on_answer(void *arg, const Tag *tag, const PGresult *result)
{
	Sending    *sending = arg;

	if (PQntuples(result) != 1)
		return;
	if (tag->kind == ANSWER_EXISTS)
	{
		sending->exists = true;
		snprintf(sending->status, sizeof(sending->status), "%s",
				 PQgetvalue(result, 0, 0));
		sending->removed = atol(PQgetvalue(result, 0, 1));
	}
	else if (tag->kind == ANSWER_ATTEMPTS)
		buffer_puts(&sending->attempts, PQgetvalue(result, 0, 0));
	else if (!PQgetisnull(result, 0, 0))
		sending->events++;
}

static const char *
final_status(const Run *run)
{
	return run->failure_reason == NULL ? "completed" : "failed";
}

/* Wait for other loaders of this recording, then see what is there. */
static bool
look_for_run(Db *db, const Run *run, const char *id, Problem *problem)
{
	const Uuid *uuid = &run->id;
	uint64_t	key = 0;
	char		key_text[24];
	Tag			look = {.kind = ANSWER_EXISTS};

	for (int i = 0; i < 8; i++)
		key = key << 8 | uuid->bytes[i];
	snprintf(key_text, sizeof(key_text), "%lld", (long long) (int64_t) key);
	db_query(db, (Tag) {0},
			 "SELECT pg_catalog.pg_advisory_xact_lock($1::bigint)",
			 1, (const char *[]) {key_text});
	db_query(db, look,
			 "SELECT status, events_removed FROM amelia.workflows"
			 " WHERE id = $1::uuid",
			 1, (const char *[]) {id});
	if (run->attempts.len > 0)
		db_query(db, (Tag) {.kind = ANSWER_ATTEMPTS},
				 "SELECT pg_catalog.string_agg(w.id::text, ', ') FROM amelia.workflows AS w"
				 " WHERE w.id OPERATOR(pg_catalog.=) ANY ($1::uuid[])",
				 1, (const char *[]) {run->attempts.data});
	return db_sync(db, problem);
}

static void
add_member(Buffer *buf, const char *key, const json_t *value)
{
	if (value == NULL)
		return;
	buffer_printf(buf, ",\"%s\":", key);
	buffer_json(buf, value);
}

/* The step as it was recorded, for the column data. */
static void
describe_step(Buffer *buf, const Step *step, size_t number)
{
	buffer_reset(buf);
	buffer_printf(buf, "{\"step\":%zu", number);
	add_member(buf, "action", step->action);
	add_member(buf, "observation", step->observation);
	if (step->observed.len > 0)
	{
		json_t	   *text = json_stringn(step->observed.data,
										step->observed.len);

		add_member(buf, "observation", text);
		json_decref(text);
	}
	add_member(buf, "response", step->response);
	add_member(buf, "execution_time", step->execution_time);
	if (json_is_string(step->state))
	{
		/* older recordings keep it as the text of an object */
		json_t	   *object = parse_text(step->state);

		add_member(buf, "state", object != NULL ? object : step->state);
		json_decref(object);
	}
	else
		add_member(buf, "state", step->state);
	buffer_puts(buf, "}");
}

static void
send_steps(const Run *run, const Input *input, Db *db, const char *id)
{
	Buffer		data = {0};
	uint64_t	share = run->nsteps > 0 ?
		input->size * SEND_WEIGHT / run->nsteps : 0;

	db_prepare(db, append_event_sql, APPEND_EVENT_PARAMS);
	for (size_t i = 0; i < run->nsteps && !db_failed(db); i++)
	{
		const Step *step = &run->steps[i];
		const char *params[APPEND_EVENT_PARAMS] = {NULL};

		describe_step(&data, step, i + 1);
		params[PARAM_WORKFLOW_ID] = id;
		params[PARAM_EVENT_TYPE] = step->tool_name != NULL ?
			"claude_tool_call" : "agent_message";
		params[PARAM_MESSAGE] = step->message;
		params[PARAM_AGENT] = run->agent;
		params[PARAM_DATA] = data.data;
		params[PARAM_TOOL_NAME] = step->tool_name;
		params[PARAM_TOOL_INPUT] = step->tool_input;
		db_execute(db, (Tag) {.kind = ANSWER_APPENDED, .line = step->line},
				   APPEND_EVENT_PARAMS, params);
		progress_add(share, 1);
	}
	buffer_free(&data);
}

static void
send_usage(const Run *run, Db *db, const char *id)
{
	char		input[16];
	char		output[16];
	char		calls[16];
	char		cached[16];

	if (!run->has_usage)
		return;
	snprintf(input, sizeof(input), "%d", run->input_tokens);
	snprintf(output, sizeof(output), "%d", run->output_tokens);
	snprintf(calls, sizeof(calls), "%d", run->calls);
	snprintf(cached, sizeof(cached), "%d", run->cache_read_tokens);
	db_query(db, (Tag) {0},
			 "SELECT amelia.record_usage(workflow_id => $1::uuid,"
			 " agent => $2::text, model => $3::text,"
			 " input_tokens => $4::integer, output_tokens => $5::integer,"
			 " cost_usd => $6::numeric, num_turns => $7::integer,"
			 " cache_read_tokens => $8::integer)",
			 8, (const char *[]) {id, run->agent, run->model, input, output,
								  run->cost, calls, cached});
}

static void
send_run(const Run *run, const Input *input, Db *db, const char *id)
{
	static const char set_status[] =
		"SELECT FROM amelia.set_workflow_status(id => $1::uuid,"
		" status => $2::text, failure_reason => $3::text)";

	db_query(db, (Tag) {0},
			 "SELECT FROM amelia.create_workflow(issue_id => $1::text,"
			 " worktree_path => $2::text, issue_cache => $3::jsonb,"
			 " id => $4::uuid)",
			 4, (const char *[]) {run->issue_id, run->worktree,
								  run->issue_cache, id});
	db_query(db, (Tag) {0}, set_status, 3,
			 (const char *[]) {id, "in_progress", NULL});
	send_steps(run, input, db, id);
	send_usage(run, db, id);
	db_query(db, (Tag) {0}, set_status, 3,
			 (const char *[]) {id, final_status(run), run->failure_reason});
}

/* It was there: say so, and what is not as it was left. */
static void
report_present(const Sending *sending, const char *id)
{
	const Run  *run = sending->run;

	tell("%s: is there already as workflow %s", run->name, id);
	if (strcmp(sending->status, final_status(run)) != 0)
		warn("%s: workflow %s has become \"%s\" since it was loaded as \"%s\"; nothing was changed",
			 run->name, id, sending->status, final_status(run));
	if (sending->removed > 0)
		warn("%s: %ld event%s of workflow %s %s removed since it was loaded; %s not loaded again",
			 run->name, sending->removed, PLURAL(sending->removed), id,
			 sending->removed == 1 ? "was" : "were",
			 sending->removed == 1 ? "it was" : "they were");
}

static void
report_loaded(const Sending *sending, const char *id)
{
	const Run  *run = sending->run;
	size_t		unkept = run->nsteps - (size_t) sending->events;

	tell("%s: workflow %s, %s, %zu step%s", run->name, id,
		 final_status(run), run->nsteps, PLURAL(run->nsteps));
	if (unkept > 0)
		tell("%s: %zu step%s of a type that is not persisted", run->name,
			 unkept, unkept == 1 ? " is" : "s are");
	tell_more("%s: issue %s, agent %s, model %s", run->name, run->issue_id,
			  run->agent, run->model);
	if (run->has_usage)
		tell_more("%s: %d tokens in, %d out, %s US dollars in %d calls",
				  run->name, run->input_tokens, run->output_tokens,
				  run->cost, run->calls);
	else
		tell_more("%s: no token usage recorded", run->name);
	if (run->failure_reason != NULL)
		tell_more("%s: failed: %s", run->name, run->failure_reason);
}

/* Store a run that was read. */
Outcome
run_send(const Run *run, const Input *input, Db *db, Problem *problem)
{
	Sending		sending = {.run = run};
	char		id[UUID_TEXT_SIZE];
	bool		done;

	uuid_format(&run->id, id);
	db_begin(db, on_answer, &sending);
	done = look_for_run(db, run, id, problem);
	if (done && sending.exists)
	{
		db_rollback(db);
		report_present(&sending, id);
		return OUTCOME_PRESENT;
	}
	if (done && sending.attempts.len > 0)
	{
		problem_set(problem, 1, "attempts of this run are there as workflows of their own: %s",
					sending.attempts.data);
		problem_hint(problem, "Its tokens and its cost are those of all attempts. Delete these workflows, then load it again.");
		done = false;
	}
	buffer_free(&sending.attempts);
	if (done)
	{
		send_run(run, input, db, id);
		done = db_commit(db, problem);
	}
	if (!done)
	{
		db_rollback(db);
		return problem_is_transient(problem) ? OUTCOME_RETRY : OUTCOME_FAILED;
	}
	report_loaded(&sending, id);
	return OUTCOME_LOADED;
}

/* Load a recorded run, or only check it. */
Outcome
traj_load(Input *input, const Options *options, Db *db, Problem *problem)
{
	Run			run;
	Outcome		outcome = OUTCOME_FAILED;

	if (run_read(&run, input, options, problem))
	{
		progress_add(input->size, 0);
		if (options->dry_run)
		{
			Sending		unsent = {.run = &run,.events = run.nsteps};
			char		id[UUID_TEXT_SIZE];

			uuid_format(&run.id, id);
			report_loaded(&unsent, id);
			outcome = OUTCOME_LOADED;
		}
		else
			outcome = run_send(&run, input, db, problem);
	}
	run_free(&run);
	return outcome;
}
