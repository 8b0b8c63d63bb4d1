/*-------------------------------------------------------------------------
 *
 * routes.c
 *	  Which address shows what, and how it lives.
 *
 *-------------------------------------------------------------------------
 */
#include "dashboard/routes.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "dashboard/views.h"

static const Route routes[] = {
	{"/", "Workflows", true, BY_ANY, 10000, 1000, view_workflows},
	{"/decisions", "Decisions", true, BY_ANY, 10000, 1000, view_decisions},
	{"/queue", "Queue", true, BY_ANY, 5000, 1000, view_queue},
	{"/cost", "Cost", true, BY_TIME, 60000, 60000, view_cost},
	{"/retention", "Retention", true, LASTS, 0, 0, view_retention},
	{"/server", "Server", true, BY_TIME, 10000, 10000, view_server},
	{"/workflow/:id", NULL, false, BY_WORKFLOW, 10000, 1000, view_workflow},
	{"/workflow/:id/event/:n", "Event", false, LASTS, 0, 0, view_event}
};

/* Does a path fit a pattern? What stands for an id or a number is taken out. */
static bool
fits(const char *pattern, const char *path, char id[UUID_TEXT_SIZE], int *number)
{
	while (*pattern != '\0')
	{
		size_t		len = strcspn(path, "/");
		Uuid		uuid;

		if (*pattern != ':')
		{
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		if (pattern[1] == 'n')
		{
			if (len < 1 || len > 9 || strspn(path, "0123456789") != len)
				return false;
			*number = atoi(path);
		}
		else
		{
			char text[	64] = "";

			if (len < sizeof(text))
				memcpy(text, path, len);
			if (!uuid_parse(text, &uuid))
				return false;
			uuid_format(&uuid, id);
		}
		path += len;
		pattern += strcspn(pattern, "/");
	}
	return *path == '\0';
}

/* NULL where there is nothing. */
const Route *
route_find(const char *path, char id[UUID_TEXT_SIZE], int *number)
{
	for (int i = 0; i < LENGTH(routes); i++)
	{
		if (fits(routes[i].path, path, id, number))
			return &routes[i];
	}
	return NULL;
}

/* The one behind it, NULL for the first; NULL behind the last. */
const Route *
route_next(const Route *route)
{
	route = route == NULL ? routes : route + 1;
	return route < routes + LENGTH(routes) ? route : NULL;
}
