/*-------------------------------------------------------------------------
 *
 * append_event.h
 *	  The one statement that both formats send most of.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_APPEND_EVENT_H
#define CLIENT_APPEND_EVENT_H

#define APPEND_EVENT_PARAMS 14

extern const char append_event_sql[];

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

#endif							/* CLIENT_APPEND_EVENT_H */
