/*-------------------------------------------------------------------------
 *
 * run.h
 *	  A recorded run, read and not yet sent.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_RUN_H
#define CLIENT_RUN_H

#include <stdbool.h>
#include <jansson.h>

#include "common/util.h"

/* Strings and values belong to the document, unless they say otherwise. */
typedef struct Step
{
	unsigned long line;
	const char *message;		/* what the agent thought */
	const json_t *action;
	const json_t *observation;
	const json_t *response;		/* NULL when it says no more than message */
	const json_t *execution_time;	/* seconds */
	const json_t *state;
	Buffer		observed;		/* own: joined from several messages */
	char	   *own_message;	/* own: where message is made of parts */
	json_t	   *own_action;		/* own, likewise */
	char	   *tool_name;		/* own; NULL: no tool was called */
	char	   *tool_input;		/* own, JSON */
} Step;

typedef struct Run
{
	Uuid		id;				/* the workflow's */
	char	   *issue_id;		/* own, as the three below */
	char	   *worktree;
	char	   *issue_cache;	/* JSON */
	char	   *failure_reason; /* NULL: completed */
	const char *agent;
	const char *model;
	bool		has_usage;
	int			input_tokens;
	int			output_tokens;
	int			cache_read_tokens;
	int			calls;
	char	   *cost;			/* own; US dollars, as recorded */
	Step	   *steps;
	size_t		nsteps;
	Buffer		attempts;		/* ids that its attempts would have alone, as
								 * an array; or empty */

	/* while it is read */
	const char *name;
	const char *source;			/* the program that recorded it */
	const char *issue_name;		/* NULL: as the file is named */
	Buffer text;
	json_t	   *document;
	const json_t *part;			/* what is read of it: all, or one attempt */
	char		prefix[40];		/* the path to that */
	json_t	   *replay;			/* replay_config, own */
	const char *working_dir;
	json_t	   *first_state;	/* own */
} Run;

extern Uuid run_identify(const char *text, size_t len);
extern unsigned long run_line_of(const Run *run, const char *path);
extern unsigned long *run_element_lines(const Run *run, const char *path, size_t n);
extern bool absent(const json_t *value);
extern bool is_blank(const char *text);
extern json_t *parse_text(const json_t *text);
extern bool wrong_type(const Run *run, Problem *problem, const char *path,
					   const json_t *value, const char *expected);
extern void add_content(Buffer *buf, const json_t *content);
extern bool has_role(const json_t *message, const char *role);

#endif							/* CLIENT_RUN_H */
