/*-------------------------------------------------------------------------
 *
 * otlp_span.h
 *	  One span of OpenTelemetry.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_OTLP_SPAN_H
#define CLIENT_OTLP_SPAN_H

#include "load/recording.h"

typedef struct Span
{
	unsigned long line;
	const json_t *root;			/* belongs to the document */
	json_t	   *attributes;		/* own: names and plain values */
	const char *service;		/* NULL: it has no name */
	const char *trace;
	const char *id;
	const char *parent_id;		/* NULL: none */
	struct Span *parent;		/* NULL: not in this file */
	int64_t		start;			/* microseconds since 1970 */
	int64_t		end;
	bool		is_genai;
	bool		has_usage;
	bool		has_usage_within;	/* a span below it has */
}			Span;

extern json_t *otlp_attributes(const json_t *list);
extern bool span_failed(const Span * span);
extern const char *span_failure(const Span * span);
extern bool span_names_usage(const Span * span);
extern bool span_has_usage(const Span * span);
extern void span_add_events(Recording * recording, size_t workflow, const Span * span);
extern void span_add_usage(Recording * recording, size_t workflow, const Span * span,
						   const char *default_model);

#endif							/* CLIENT_OTLP_SPAN_H */
