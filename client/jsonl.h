/*-------------------------------------------------------------------------
 *
 * jsonl.h
 *	  One line of JSON Lines: an event in the arguments of append_event.
 *
 *-------------------------------------------------------------------------
 */
#ifndef JSONL_H
#define JSONL_H

#include "amelia_load.h"

/* Positions of append_event's arguments in append_event_sql. */
enum
{
	PARAM_WORKFLOW_ID,
	PARAM_EVENT_TYPE,
	PARAM_MESSAGE,
	PARAM_LEVEL,
	PARAM_AGENT,
	PARAM_DATA,
	PARAM_IS_ERROR,
	PARAM_TIMESTAMP,
	PARAM_ID,
	PARAM_CORRELATION_ID,
	PARAM_TOOL_NAME,
	PARAM_TOOL_INPUT,
	PARAM_TRACE_ID,
	PARAM_PARENT_ID
};

typedef struct EventLine
{
	Uuid		workflow;
	const char *params[APPEND_EVENT_PARAMS];
	json_t	   *root;			/* owns the strings */
	char		uuids[APPEND_EVENT_PARAMS][UUID_TEXT_SIZE];
	Buffer		json[APPEND_EVENT_PARAMS];
} EventLine;

extern bool event_line_parse(EventLine *event, Slice text,
							 unsigned long number, Problem *problem);
extern void event_line_derive_id(EventLine *event, Slice text, Map *seen);
extern void event_line_reset(EventLine *event);
extern void event_line_free(EventLine *event);

#endif							/* JSONL_H */
