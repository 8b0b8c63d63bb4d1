/*-------------------------------------------------------------------------
 *
 * views.h
 *	  Each view writes its part of a page; false when a query failed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_VIEWS_H
#define CLIENT_VIEWS_H

#include "dashboard/view.h"

extern bool view_workflows(View *view);
extern bool view_workflow(View *view);
extern bool view_event(View *view);
extern bool view_decisions(View *view);
extern bool view_queue(View *view);
extern bool view_cost(View *view);
extern bool view_retention(View *view);
extern bool view_server(View *view);

extern bool view_verify(View *view);

#endif							/* CLIENT_VIEWS_H */
