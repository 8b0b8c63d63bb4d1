/*-------------------------------------------------------------------------
 *
 * jsonl_line.h
 *	  One line of JSON Lines: an event in the arguments of append_event.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_JSONL_LINE_H
#define CLIENT_JSONL_LINE_H

#include "common/json.h"
#include "load/append_event.h"

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

#endif							/* CLIENT_JSONL_LINE_H */
