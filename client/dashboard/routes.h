/*-------------------------------------------------------------------------
 *
 * routes.h
 *	  Which address shows what, and how it lives.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_ROUTES_H
#define CLIENT_ROUTES_H

#include "common/util.h"
#include "dashboard/view.h"

typedef enum Liveness
{
	LASTS,						/* it does not change by itself */
	BY_TIME,					/* the feed does not tell of it */
	BY_ANY,						/* by what happens in any workflow */
	BY_WORKFLOW					/* by what happens in its own, events too */
} Liveness;

typedef struct Route
{
	const char *path;			/* :id and :n stand for an id and a number */
	const char *title;
	bool		in_menu;
	Liveness	lives;
	int			every_ms;		/* asked for again after so long in any case */
	int			least_ms;		/* and not sooner than after so long */
	bool		(*show) (View *view);
} Route;

extern const Route *route_find(const char *path, char id[UUID_TEXT_SIZE], int *number);
extern const Route *route_next(const Route *route);

#endif							/* CLIENT_ROUTES_H */
