/*-------------------------------------------------------------------------
 *
 * reader.c
 *	  The one reader of the feed, for all pages.
 *
 * It reads amelia.feed_after() behind its cursor, and tells the hub in which
 * workflows something happened. While no page is open it rests. Whenever it
 * cannot go on from its cursor it takes a new one, and then lets all pages ask
 * again: each of them knows what it has, so nothing is missed.
 *
 *-------------------------------------------------------------------------
 */
#include "dashboard/reader.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/progress.h"
#include "common/util.h"
#include "dashboard/hub.h"
#include "dashboard/pool.h"

#define EVERY_MS 100
#define RETRY_MS 1000

static pthread_t thread;
static const char *role;
static const char *password;
static bool complained;

/* Once for a series of failures. */
static void
complain_once(const char *message)
{
	if (!complained)
		warn("the feed cannot be read, so pages are slower to change: %s", message);
	complained = true;
}

/*
 * A step: what happened behind the cursor. False when there is no connection
 * any more; a cursor that was refused is gone afterwards.
 */
static bool
read_page(PGconn *conn, char **cursor, bool *full)
{
	const char *params[] = {*cursor};
	PGresult   *result = PQexecParams(conn, "SELECT f.next_cursor, f.workflow_id FROM amelia.feed_after($1, 1000) AS f",
									  1, NULL, params, NULL, NULL, 0);
	bool		done = PQresultStatus(result) == PGRES_TUPLES_OK;
	int			n = PQntuples(result);
	bool		begins = *cursor == NULL;

	*full = false;
	if (done && n > 0)
	{
		free(*cursor);
		*cursor = copy_string(PQgetvalue(result, n - 1, 0));
		*full = !PQgetisnull(result, n - 1, 1);
		if (begins)
			hub_touch(NULL);
		for (int row = 0; row < n; row++)
		{
			if (!PQgetisnull(result, row, 1) &&
				(row == 0 || strcmp(PQgetvalue(result, row, 1), PQgetvalue(result, row - 1, 1)) != 0))
				hub_touch(PQgetvalue(result, row, 1));
		}
		complained = false;
	}
	else if (!done)
	{
		complain_once(PQerrorMessage(conn));
		free(*cursor);
		*cursor = NULL;
	}
	PQclear(result);
	return done || PQstatus(conn) == CONNECTION_OK;
}

static void *
read_feed(void *arg)
{
	PGconn	   *conn = NULL;
	char	   *cursor = NULL;

	(void) arg;
	while (hub_wait_for_listeners())
	{
		bool		full = false;

		if (conn == NULL)
		{
			conn = pool_connect(role, password);

			/*
			 * What happened meanwhile is behind the cursor, where that is
			 * still good.
			 */
			hub_touch(NULL);
		}
		if (PQstatus(conn) != CONNECTION_OK)
			complain_once(PQerrorMessage(conn));
		if (PQstatus(conn) != CONNECTION_OK || !read_page(conn, &cursor, &full))
		{
			PQfinish(conn);
			conn = NULL;
			hub_touch(NULL);
			hub_pause(RETRY_MS);
		}
		else if (cursor == NULL)
			hub_pause(RETRY_MS);
		else if (!full)
			hub_pause(EVERY_MS);
	}
	if (conn != NULL)
		PQfinish(conn);
	free(cursor);
	return NULL;
}

void
reader_start(const char *as, const char *with)
{
	role = as;
	password = with;
	if (pthread_create(&thread, NULL, read_feed, NULL) != 0)
	{
		complain("no thread can be made");
		exit(EXIT_SOME_FAILED);
	}
}

/* hub_stop() comes before. */
void
reader_stop(void)
{
	pthread_join(thread, NULL);
}
