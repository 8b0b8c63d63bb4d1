/*-------------------------------------------------------------------------
 *
 * jsonl.c
 *	  Loading JSON Lines: one event per line, in one transaction.
 *
 * The file is read twice, never kept: first to check it and to learn which
 * workflows it names, then to send it. In between the workflows are locked,
 * in the order of their ids, with the lock that an append takes anyway. Two
 * loaders of overlapping files then wait for each other instead of
 * deadlocking, and what was last in each workflow before us is known, so that
 * the events which this load added can be told from those that were there.
 *
 *-------------------------------------------------------------------------
 */#include "load/jsonl.h"

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
#include "load/jsonl_line.h"
#include "load/options.h"
#include "load/outcome.h"
#include "load/recorded_workflows.h"
#include "load/recording.h"

enum
{
	ANSWER_WORKFLOWS = 1,
	ANSWER_APPENDED
};

typedef struct Workflow
{
	Uuid		id;
	unsigned long line;			/* the first that names it */
	bool		found;
	long		last_sequence;	/* before us, then of our last event */
	long		removed;		/* by retention or by hand, before us */
	uint64_t	added;
	const char *ended;			/* status that its events tell; NULL: none */
	char	   *reason;			/* of a failure or cancellation */
} Workflow;

typedef struct Load
{
	Input	   *input;
	const Options *options;
	Db		   *db;
	Map			index;			/* workflow id -> number in workflows */
	Workflow   *workflows;
	size_t		nworkflows;
	size_t		workflows_room;
	uint64_t	bytes;			/* that the first reading saw */
	uint64_t	events;
	uint64_t	added;
	uint64_t	present;
	uint64_t	not_kept;		/* types that the operator switched off */
} Load;

static Workflow *
note_workflow(Load *load, const Uuid *id, unsigned long line)
{
	bool		found;
	uint32_t   *number = map_find_or_add(&load->index, id->bytes, &found);
	Workflow   *workflow;

	if (found)
		return &load->workflows[*number];
	*number = (uint32_t) load->nworkflows;
	if (load->nworkflows == load->workflows_room)
	{
		load->workflows_room = load->workflows_room * 2 + 16;
		load->workflows = reallocate(load->workflows, load->workflows_room *
									 sizeof(*load->workflows));
	}
	workflow = &load->workflows[load->nworkflows++];
	memset(workflow, 0, sizeof(*workflow));
	workflow->id = *id;
	workflow->line = line;
	return workflow;
}

/* How the workflow ended, as far as its events have told. */
static void
note_end(Workflow *workflow, const EventLine *event)
{
	const char *type = event->params[PARAM_EVENT_TYPE];
	const char *ended = NULL;

	if (strcmp(type, "workflow_completed") == 0)
		ended = "completed";
	else if (strcmp(type, "workflow_failed") == 0)
		ended = "failed";
	else if (strcmp(type, "workflow_cancelled") == 0)
		ended = "cancelled";
	else if (strcmp(type, "workflow_started") != 0)
		return;
	workflow->ended = ended;
	free(workflow->reason);
	workflow->reason = NULL;
	if (ended != NULL && strcmp(ended, "completed") != 0)
		workflow->reason = copy_string(event->params[PARAM_MESSAGE]);
}

/* The first reading. */
static bool
check(Load *load, Problem *problem)
{
	EventLine	event = {0};
	Slice		text;
	int			got;

	while ((got = input_next_line(load->input, UINT64_MAX, &text,
								  problem)) == 1)
	{
		progress_add(text.len + 1, 0);
		if (slice_is_blank(text))
			continue;
		if (!event_line_parse(&event, text, load->input->line, problem))
		{
			got = -1;
			break;
		}
		load->events++;
		note_end(note_workflow(load, &event.workflow, load->input->line),
				 &event);
		if (db_interrupted)
		{
			problem_set(problem, 0, "interrupted");
			got = -1;
			break;
		}
	}
	event_line_free(&event);
	load->bytes = load->input->consumed;
	if (got == 0 && load->events == 0)
		return problem_set(problem, 0, load->bytes == 0 ? "is empty" :
						   "holds no event");
	return got == 0;
}

static void
on_answer(void *arg, const Tag *tag, const PGresult *result)
{
	Load	   *load = arg;

	if (tag->kind == ANSWER_WORKFLOWS)
	{
		for (int i = 0; i < PQntuples(result); i++)
		{
			Uuid		id;
			bool		found;
			Workflow   *workflow;

			if (!uuid_parse(PQgetvalue(result, i, 0), &id))
				continue;
			workflow = &load->workflows[*map_find_or_add(&load->index,
														 id.bytes, &found)];
			workflow->found = true;
			workflow->last_sequence = atol(PQgetvalue(result, i, 1));
			workflow->removed = atol(PQgetvalue(result, i, 2));
		}
	}
	else if (PQntuples(result) != 1 || PQgetisnull(result, 0, 0))
		load->not_kept++;
	else
	{
		Workflow   *workflow = &load->workflows[tag->number];
		long		sequence = atol(PQgetvalue(result, 0, 0));

		if (sequence > workflow->last_sequence)
		{
			workflow->last_sequence = sequence;
			workflow->added++;
			load->added++;
		}
		else
			load->present++;
	}
}

/* Make the workflows that are not there, with the status that their events tell. */
static void
create_missing(Load *load)
{
	Buffer		list = {0};

	for (size_t i = 0; i < load->nworkflows; i++)
	{
		const Workflow *workflow = &load->workflows[i];
		char		id[UUID_TEXT_SIZE];
		Buffer		worktree = {0};

		uuid_format(&workflow->id, id);
		buffer_printf(&worktree, "recorded#%s", id);
		add_recorded_workflow(&list, &workflow->id, id, worktree.data, NULL,
							  workflow->ended != NULL ? workflow->ended : "failed",
							  workflow->ended != NULL ? workflow->reason :
							  "the recording ends before the workflow does");
		buffer_free(&worktree);
	}
	create_recorded_workflows(load->db, &list);
	buffer_free(&list);
}

/* Lock the workflows that are there, and learn how far they are. */
static bool
lock_workflows(Load *load, Problem *problem)
{
	Buffer		ids = {0};
	char		text[UUID_TEXT_SIZE];

	for (size_t i = 0; i < load->nworkflows; i++)
	{
		uuid_format(&load->workflows[i].id, text);
		buffer_puts(&ids, i == 0 ? "{" : ",");
		buffer_puts(&ids, text);
	}
	buffer_puts(&ids, "}");
	lock_recorded_workflows(load->db, (Tag) {.kind = ANSWER_WORKFLOWS}, ids.data);
	buffer_free(&ids);
	return db_sync(load->db, problem);
}

/* The first line of a workflow that is not there; true when all are. */
static bool
check_workflows(const Load *load, Problem *problem)
{
	const Workflow *first = NULL;
	char		id[UUID_TEXT_SIZE];

	for (size_t i = 0; i < load->nworkflows; i++)
	{
		const Workflow *workflow = &load->workflows[i];

		if (!workflow->found && (first == NULL || workflow->line < first->line))
			first = workflow;
	}
	if (first == NULL)
		return true;
	uuid_format(&first->id, id);
	problem_set(problem, first->line, "workflow %s does not exist", id);
	problem_hint(problem,
				 "Create it first, or load with --create-workflows.");
	return false;
}

/* The second reading. */
static bool
send_events(Load *load, Problem *problem)
{
	EventLine	event = {0};
	Map			seen = {0};
	Slice		text;
	int			got = 0;

	db_prepare(load->db, append_event_sql, APPEND_EVENT_PARAMS);
	while (!db_failed(load->db) &&
		   (got = input_next_line(load->input, load->bytes, &text,
								  problem)) == 1)
	{
		bool		found;
		Tag			tag = {.kind = ANSWER_APPENDED};

		progress_add((text.len + 1) * SEND_WEIGHT, 0);
		if (slice_is_blank(text))
			continue;
		tag.line = load->input->line;
		if (!event_line_parse(&event, text, tag.line, problem))
		{
			got = -1;
			break;
		}
		event_line_derive_id(&event, text, &seen);
		tag.number = *map_find_or_add(&load->index, event.workflow.bytes,
									  &found);
		if (!found)
		{
			got = -1;
			problem_set(problem, tag.line, "changed while it was read");
			break;
		}
		db_execute(load->db, tag, APPEND_EVENT_PARAMS, event.params);
		progress_add(0, 1);
	}
	event_line_free(&event);
	map_free(&seen);
	return got >= 0;
}

static void
report(const Load *load, Outcome outcome)
{
	const char *name = load->input->name;

	if (outcome == OUTCOME_PRESENT)
		tell("%s: %llu event%s, all there already", name,
			 (unsigned long long) load->present, PLURAL(load->present));
	else
	{
		Buffer		text = {0};

		buffer_printf(&text, "%s: %llu event%s added to %zu workflow%s", name,
					  (unsigned long long) load->added, PLURAL(load->added),
					  load->nworkflows, PLURAL(load->nworkflows));
		if (load->present > 0)
			buffer_printf(&text, ", %llu there already",
						  (unsigned long long) load->present);
		if (load->not_kept > 0)
			buffer_printf(&text, ", %llu of types that are not persisted",
						  (unsigned long long) load->not_kept);
		tell("%s", text.data);
		buffer_free(&text);
	}
	for (size_t i = 0; i < load->nworkflows; i++)
	{
		const Workflow *workflow = &load->workflows[i];
		char		id[UUID_TEXT_SIZE];

		uuid_format(&workflow->id, id);
		tell_more("%s: workflow %s: %llu event%s added", name, id,
				  (unsigned long long) workflow->added,
				  PLURAL(workflow->added));
		if (workflow->removed > 0 && workflow->added > 0)
			warn("%s: %ld event%s of workflow %s had been removed; what the file has of them is there again",
				 name, workflow->removed, PLURAL(workflow->removed), id);
	}
}

static Outcome
load_in_transaction(Load *load, Problem *problem)
{
	if (!input_rewind(load->input, problem))
		return OUTCOME_FAILED;

	db_begin(load->db, on_answer, load);
	if (load->options->create_workflows)
		create_missing(load);
	if (!lock_workflows(load, problem) ||
		!check_workflows(load, problem) ||
		!send_events(load, problem) ||
		!db_commit(load->db, problem))
	{
		/* take the answers that are still on their way */
		db_sync(load->db, problem);
		db_rollback(load->db);
		return problem_is_transient(problem) ? OUTCOME_RETRY : OUTCOME_FAILED;
	}
	return load->added == 0 && load->not_kept == 0 ? OUTCOME_PRESENT :
		OUTCOME_LOADED;
}

/* Load a file, or only check it. */
Outcome
jsonl_load(Input *input, const Options *options, Db *db, Problem *problem)
{
	Load		load = {.input = input,.options = options,.db = db};
	Outcome		outcome = OUTCOME_FAILED;

	if (check(&load, problem))
	{
		if (options->dry_run)
		{
			tell("%s: %llu event%s of %zu workflow%s", input->name,
				 (unsigned long long) load.events, PLURAL(load.events),
				 load.nworkflows, PLURAL(load.nworkflows));
			outcome = OUTCOME_LOADED;
		}
		else
			outcome = load_in_transaction(&load, problem);
		if (outcome == OUTCOME_LOADED || outcome == OUTCOME_PRESENT)
		{
			if (!options->dry_run)
				report(&load, outcome);
		}
	}
	for (size_t i = 0; i < load.nworkflows; i++)
		free(load.workflows[i].reason);
	map_free(&load.index);
	free(load.workflows);
	return outcome;
}
