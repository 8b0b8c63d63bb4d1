/*-------------------------------------------------------------------------
 *
 * recording_send.c
 *	  Storing what other programs recorded, in one transaction.
 *
 * A file may be loaded again when it has grown, and two files may have the
 * same calls of a model: events and usage have ids that follow from what the
 * program called them, and only what is new is added.
 *
 *-------------------------------------------------------------------------
 */
#include "load/recording_send.h"

#include <jansson.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/db.h"
#include "common/json.h"
#include "common/progress.h"
#include "common/util.h"
#include "load/append_event.h"
#include "load/outcome.h"
#include "load/recorded_time.h"
#include "load/recorded_workflows.h"
#include "load/recording.h"

#define NUMBER_TEXT_SIZE 24
#define RECORD_USAGE_PARAMS 15

static const char record_usage_sql[] =
"SELECT amelia.record_usage(workflow_id => $1::uuid, agent => $2::text,"
" model => $3::text, input_tokens => $4::bigint, output_tokens => $5::bigint,"
" cache_read_tokens => $6::bigint, cache_creation_tokens => $7::bigint,"
" cache_creation_1h_tokens => $8::bigint, reasoning_tokens => $9::bigint,"
" cost_usd => $10::double precision, duration_ms => $11::bigint,"
" \"timestamp\" => $12::timestamptz, id => $13::uuid, service_tier => $14::text,"
" input_includes_cached => $15::boolean)";

enum
{
	ANSWER_WORKFLOWS = 1,
	ANSWER_BOOKED,
	ANSWER_APPENDED
};

typedef struct Sending
{
	Recording  *recording;
	Map			usages;			/* id -> number in usages */
	uint64_t	added;
	uint64_t	present;
	uint64_t	not_kept;
	uint64_t	booked;
} Sending;

static void
note_workflows(Recording *recording, const PGresult *result)
{
	for (int i = 0; i < PQntuples(result); i++)
	{
		RecordedWorkflow *workflow;
		Uuid		id;
		bool		found;

		if (!uuid_parse(PQgetvalue(result, i, 0), &id))
			continue;
		workflow = recording_workflow(recording, &id, 0, &found);
		workflow->last_sequence = atol(PQgetvalue(result, i, 1));
		workflow->removed = atol(PQgetvalue(result, i, 2));
		workflow->is_foreign = strcmp(PQgetvalue(result, i, 3), recording->source) != 0;
	}
}

/* What is booked stays; say so where the file has other numbers by now. */
static void
note_booked(Sending *sending, const PGresult *result)
{
	Recording  *recording = sending->recording;

	for (int i = 0; i < PQntuples(result); i++)
	{
		RecordedUsage *usage;
		Uuid		id;
		bool		found;
		long long	output = atoll(PQgetvalue(result, i, 1));

		if (!uuid_parse(PQgetvalue(result, i, 0), &id))
			continue;
		usage = &recording->usages[*map_find_or_add(&sending->usages, id.bytes, &found)];
		usage->is_booked = true;
		if (usage->output_tokens != output)
			warn("%s:%lu: a call is booked with %lld output tokens, and has %lld here; it stays as it is booked",
				 recording->input->name, usage->line, output, (long long) usage->output_tokens);
	}
}

static void
on_answer(void *arg, const Tag *tag, const PGresult *result)
{
	Sending    *sending = arg;

	if (tag->kind == ANSWER_WORKFLOWS)
		note_workflows(sending->recording, result);
	else if (tag->kind == ANSWER_BOOKED)
		note_booked(sending, result);
	else if (PQntuples(result) != 1 || PQgetisnull(result, 0, 0))
		sending->not_kept++;
	else
	{
		RecordedWorkflow *workflow = &sending->recording->workflows[tag->number];
		long		sequence = atol(PQgetvalue(result, 0, 0));

		if (sequence > workflow->last_sequence)
		{
			workflow->last_sequence = sequence;
			workflow->added++;
			sending->added++;
		}
		else
			sending->present++;
	}
}

static void
create_workflows(const Recording *recording, Db *db)
{
	Buffer		list = {0};

	for (size_t i = 0; i < recording->nworkflows; i++)
	{
		const RecordedWorkflow *workflow = &recording->workflows[i];
		Buffer		issue_cache = {0};
		json_t	   *title = workflow->title != NULL ? json_string(workflow->title) : json_null();

		buffer_printf(&issue_cache, "{\"source\":\"%s\",\"title\":", recording->source);
		buffer_json(&issue_cache, title);
		buffer_printf(&issue_cache, ",\"details\":%s}", workflow->details != NULL ? workflow->details : "{}");
		json_decref(title);
		add_recorded_workflow(&list, &workflow->id, workflow->issue_id, workflow->worktree,
							  issue_cache.data,
							  workflow->failure_reason == NULL ? "completed" : "failed",
							  workflow->failure_reason);
		buffer_free(&issue_cache);
	}
	create_recorded_workflows(db, &list);
	buffer_free(&list);
}

static void
add_id(Buffer *ids, const Uuid *id)
{
	char		text[UUID_TEXT_SIZE];

	uuid_format(id, text);
	buffer_puts(ids, ids->len == 0 ? "{" : ",");
	buffer_puts(ids, text);
}

/* Lock the workflows, and learn what of the file is there. */
static bool
look(Sending *sending, Db *db, Problem *problem)
{
	Recording  *recording = sending->recording;
	Buffer		workflows = {0};
	Buffer		usages = {0};
	bool		done;
	bool		found;

	for (size_t i = 0; i < recording->nworkflows; i++)
		add_id(&workflows, &recording->workflows[i].id);
	for (size_t i = 0; i < recording->nusages; i++)
	{
		add_id(&usages, &recording->usages[i].id);
		*map_find_or_add(&sending->usages, recording->usages[i].id.bytes, &found) = (uint32_t) i;
	}
	buffer_puts(&workflows, "}");
	buffer_puts(&usages, usages.len == 0 ? "{}" : "}");
	lock_recorded_workflows(db, (Tag) {.kind = ANSWER_WORKFLOWS}, workflows.data);
	db_query(db, (Tag) {.kind = ANSWER_BOOKED},
			 "SELECT id, output_tokens FROM amelia.token_usage WHERE id = ANY ($1::uuid[])",
			 1, (const char *[]) {usages.data});
	done = db_sync(db, problem);
	buffer_free(&workflows);
	buffer_free(&usages);
	for (size_t i = 0; done && i < recording->nworkflows; i++)
	{
		const RecordedWorkflow *workflow = &recording->workflows[i];
		char		id[UUID_TEXT_SIZE];

		if (!workflow->is_foreign)
			continue;
		uuid_format(&workflow->id, id);
		done = problem_set(problem, workflow->line,
						   "workflow %s is there and was not loaded from such a file", id);
	}
	return done;
}

static void
send_events(const Recording *recording, Db *db)
{
	uint64_t	share = recording->nevents > 0 ?
		recording->input->size * SEND_WEIGHT / recording->nevents : 0;

	db_prepare(db, append_event_sql, APPEND_EVENT_PARAMS);
	for (size_t i = 0; i < recording->nevents && !db_failed(db); i++)
	{
		const RecordedEvent *event = &recording->events[i];
		const char *params[APPEND_EVENT_PARAMS] = {NULL};
		char		workflow[UUID_TEXT_SIZE];
		char		id[UUID_TEXT_SIZE];
		char		time[TIME_TEXT_SIZE];

		uuid_format(&recording->workflows[event->workflow].id, workflow);
		uuid_format(&event->id, id);
		format_recorded_time(time, event->time);
		params[PARAM_WORKFLOW_ID] = workflow;
		params[PARAM_EVENT_TYPE] = event->type;
		params[PARAM_MESSAGE] = event->message;
		params[PARAM_LEVEL] = event->level;
		params[PARAM_AGENT] = event->agent;
		params[PARAM_DATA] = event->data;
		params[PARAM_IS_ERROR] = event->is_error ? "true" : "false";
		params[PARAM_TIMESTAMP] = time;
		params[PARAM_ID] = id;
		params[PARAM_CORRELATION_ID] = event->correlation_id;
		params[PARAM_TOOL_NAME] = event->tool_name;
		params[PARAM_TOOL_INPUT] = event->tool_input;
		params[PARAM_TRACE_ID] = event->trace_id;
		db_execute(db, (Tag) {.kind = ANSWER_APPENDED, .line = event->line, .number = event->workflow},
				   APPEND_EVENT_PARAMS, params);
		progress_add(share, 1);
	}
}

static void
send_usages(Sending *sending, Db *db)
{
	const Recording *recording = sending->recording;

	db_prepare(db, record_usage_sql, RECORD_USAGE_PARAMS);
	for (size_t i = 0; i < recording->nusages && !db_failed(db); i++)
	{
		const RecordedUsage *usage = &recording->usages[i];
		const int64_t numbers[] = {usage->input_tokens, usage->output_tokens,
			usage->cache_read_tokens, usage->cache_creation_tokens,
		usage->cache_creation_1h_tokens, usage->reasoning_tokens, usage->duration_ms};
		char		texts[sizeof(numbers) / sizeof(numbers[0])][NUMBER_TEXT_SIZE];
		char		workflow[UUID_TEXT_SIZE];
		char		id[UUID_TEXT_SIZE];
		char		time[TIME_TEXT_SIZE];

		if (usage->is_booked)
			continue;
		for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++)
			snprintf(texts[n], NUMBER_TEXT_SIZE, "%lld", (long long) numbers[n]);
		uuid_format(&recording->workflows[usage->workflow].id, workflow);
		uuid_format(&usage->id, id);
		format_recorded_time(time, usage->time);
		db_execute(db, (Tag) {.line = usage->line}, RECORD_USAGE_PARAMS,
				   (const char *[]) {workflow, usage->agent, usage->model, texts[0], texts[1],
									 texts[2], texts[3], texts[4], texts[5], usage->cost, texts[6],
									 time, id, usage->service_tier,
									 usage->input_includes_cached ? "true" : "false"});
		sending->booked++;
	}
}

static void
report(const Sending *sending, Outcome outcome)
{
	const Recording *recording = sending->recording;
	const char *name = recording->input->name;
	Buffer		text = {0};

	if (outcome == OUTCOME_PRESENT)
		buffer_printf(&text, "%llu event%s, all there already",
					  (unsigned long long) sending->present, PLURAL(sending->present));
	else
	{
		buffer_printf(&text, "%llu event%s added to %zu workflow%s, %llu call%s booked",
					  (unsigned long long) sending->added, PLURAL(sending->added),
					  recording->nworkflows, PLURAL(recording->nworkflows),
					  (unsigned long long) sending->booked, PLURAL(sending->booked));
		if (sending->present > 0)
			buffer_printf(&text, ", %llu event%s there already",
						  (unsigned long long) sending->present, PLURAL(sending->present));
		if (sending->not_kept > 0)
			buffer_printf(&text, ", %llu of types that are not persisted",
						  (unsigned long long) sending->not_kept);
	}
	tell("%s: %s", name, text.data);
	buffer_free(&text);
	for (size_t i = 0; i < recording->nworkflows; i++)
	{
		const RecordedWorkflow *workflow = &recording->workflows[i];
		char		id[UUID_TEXT_SIZE];

		uuid_format(&workflow->id, id);
		tell_more("%s: workflow %s: %llu event%s added", name, id,
				  (unsigned long long) workflow->added, PLURAL(workflow->added));
		if (workflow->removed > 0 && workflow->added > 0)
			warn("%s: %ld event%s of workflow %s had been removed; what the file has of them is there again",
				 name, workflow->removed, PLURAL(workflow->removed), id);
	}
}

static Outcome
send_recording(Sending *sending, Db *db, Problem *problem)
{
	db_begin(db, on_answer, sending);
	create_workflows(sending->recording, db);
	if (look(sending, db, problem))
	{
		send_events(sending->recording, db);
		send_usages(sending, db);
		if (db_commit(db, problem))
			return sending->added == 0 && sending->not_kept == 0 && sending->booked == 0 ?
				OUTCOME_PRESENT : OUTCOME_LOADED;
	}
	db_sync(db, problem);
	db_rollback(db);
	return problem_is_transient(problem) ? OUTCOME_RETRY : OUTCOME_FAILED;
}

/* Store what was read, or, in a dry run, say what it is. */
Outcome
recording_load(Recording *recording, const Options *options, Db *db, Problem *problem)
{
	Sending		sending = {.recording = recording};
	const char *name = recording->input->name;
	Outcome		outcome = OUTCOME_LOADED;

	if (recording->nworkflows == 0)
	{
		problem_set(problem, 0, "holds nothing that can be loaded");
		return OUTCOME_FAILED;
	}
	progress_add(recording->input->size, 0);
	if (options->dry_run)
		tell("%s: %zu event%s of %zu workflow%s, %zu call%s of a model", name, recording->nevents,
			 PLURAL(recording->nevents), recording->nworkflows, PLURAL(recording->nworkflows),
			 recording->nusages, PLURAL(recording->nusages));
	else
		outcome = send_recording(&sending, db, problem);
	if (outcome == OUTCOME_LOADED || outcome == OUTCOME_PRESENT)
	{
		if (!options->dry_run)
			report(&sending, outcome);
		if (recording->replaced > 0)
			warn("%s: %zu character%s that PostgreSQL cannot store %s replaced by U+FFFD", name,
				 recording->replaced, PLURAL(recording->replaced),
				 recording->replaced == 1 ? "was" : "were");
	}
	map_free(&sending.usages);
	return outcome;
}
