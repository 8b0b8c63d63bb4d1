/*-------------------------------------------------------------------------
 *
 * recording.h
 *	  What other programs recorded of agents, with its times: workflows, their
 *	  events and what they used.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_RECORDING_H
#define CLIENT_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/input.h"
#include "common/json.h"
#include "common/util.h"

/* What token_usage takes for an agent or a model. */
#define MAX_NAME_BYTES 1000

/* Strings are the recording's own, unless they are constant. */
typedef struct RecordedWorkflow
{
	Uuid		id;
	unsigned long line;			/* the first that is about it */
	char	   *issue_id;
	char	   *worktree;
	char	   *title;			/* NULL: it has none */
	char	   *details;		/* JSON, what follows in its issue_cache */
	char	   *failure_reason; /* NULL: completed */

	/* what the server has */
	bool		is_foreign;		/* a workflow that was not loaded from such a
								 * file */
	long		last_sequence;
	long		removed;
	uint64_t	added;
}			RecordedWorkflow;

typedef struct RecordedEvent
{
	size_t		workflow;
	unsigned long line;
	Uuid		id;
	int64_t		time;			/* microseconds since 1970 */
	const char *type;			/* constant */
	const char *level;			/* constant; NULL: that of the type */
	bool		is_error;
	char	   *agent;
	char	   *message;
	char	   *data;			/* JSON */
	char	   *tool_name;
	char	   *tool_input;		/* JSON */
	char	   *correlation_id;
	char	   *trace_id;
}			RecordedEvent;

typedef struct RecordedUsage
{
	size_t		workflow;
	unsigned long line;
	Uuid		id;
	int64_t		time;
	char	   *agent;
	char	   *model;
	char	   *service_tier;	/* NULL: the ordinary one */
	char	   *cost;			/* US dollars; NULL: by the model's price */
	int64_t		input_tokens;
	int64_t		output_tokens;
	int64_t		cache_read_tokens;
	int64_t		cache_creation_tokens;
	int64_t		cache_creation_1h_tokens;
	int64_t		reasoning_tokens;
	int64_t		duration_ms;
	bool		input_includes_cached;
	bool		is_booked;		/* the server has it */
}			RecordedUsage;

typedef struct Recording
{
	Input	   *input;
	const char *source;			/* of what program; constant */
	RecordedWorkflow *workflows;
	size_t		nworkflows;
	Map			index;			/* workflow id -> number in workflows */
	RecordedEvent *events;
	size_t		nevents;
	RecordedUsage *usages;
	size_t		nusages;
	size_t		replaced;		/* characters that cannot be stored */
	size_t		passed_over;	/* entries, each of them named */
}			Recording;

extern RecordedWorkflow * recording_workflow(Recording * recording, const Uuid *id,
											 unsigned long line, bool *found);
extern RecordedEvent * recording_event(Recording * recording);
extern RecordedUsage * recording_usage(Recording * recording);
extern void recording_free(Recording * recording);
extern json_t *recording_parse(Recording * recording, Slice text, unsigned long line);
extern void recording_pass_over(Recording * recording, unsigned long line,
								const char *fmt,...) PRINTF_LIKE(3, 4);
extern Uuid uuid_from_name(const char *purpose, const char *name);
extern int64_t count_member(const json_t *object, const char *key);
extern const char *text_member_of(const json_t *object, const char *key);
extern char *json_text(const json_t *value);
extern char *copy_prefix(const char *text, size_t len);
extern bool slice_is_blank(Slice text);

#endif							/* CLIENT_RECORDING_H */
