/*-------------------------------------------------------------------------
 *
 * events.h
 *	  Events of a workflow, as items of a list.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_EVENTS_H
#define CLIENT_EVENTS_H

#include <libpq-fe.h>

#include "dashboard/view.h"

#define EVENTS_OF_PAGE 200

/* A level, by its place among the levels; NULL: all. */
extern bool events_level_valid(const char *level);
extern PGresult *events_before(View *view, const char *sequence, const char *level);
extern PGresult *events_after(View *view, int sequence, const char *level);
extern void events_put(Buffer *page, const PGresult *rows, int n, bool newest_first, const char *workflow_id);

#endif							/* CLIENT_EVENTS_H */
