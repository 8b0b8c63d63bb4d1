/*-------------------------------------------------------------------------
 *
 * feed.c
 *	  The waiting readers of bench/feed: how long after the commit of an
 *	  event they are back from wait_events().
 *
 *	  A writer appends to a workflow that all readers wait for. The time
 *	  counts from when the writer has the answer, so the commit itself and
 *	  its way to the client are left out; a reader may be faster than that.
 *	  All are connections of this one process.
 *
 *-------------------------------------------------------------------------
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

#define MAX_READERS 64
#define WORKFLOW "00000000-0000-7000-8000-000000000001"

static PGconn *readers[MAX_READERS];

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static PGconn *
connect_to(const char *conninfo)
{
	PGconn	   *conn = PQconnectdb(conninfo);

	if (PQstatus(conn) != CONNECTION_OK)
	{
		fputs(PQerrorMessage(conn), stderr);
		exit(1);
	}
	return conn;
}

static void
must(int ok, PGconn *conn)
{
	if (!ok)
	{
		fprintf(stderr, "feed: %s", PQerrorMessage(conn));
		exit(1);
	}
}

/*
 * Take a statement's answer, all of it.
 */
static int
take_answer(PGconn *conn)
{
	PGresult   *result;
	int			value = 0;

	while ((result = PQgetResult(conn)) != NULL)
	{
		ExecStatusType status = PQresultStatus(result);

		must(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, conn);
		if (PQntuples(result) > 0)
			value = atoi(PQgetvalue(result, 0, 0));
		PQclear(result);
	}
	return value;
}

static int
ask(PGconn *conn, const char *sql)
{
	must(PQsendQuery(conn, sql), conn);
	return take_answer(conn);
}

static int
compare(const void *a, const void *b)
{
	double		first = *(const double *) a;
	double		second = *(const double *) b;

	return first < second ? -1 : first > second;
}

int
main(int argc, char **argv)
{
	int			count = argc == 4 ? atoi(argv[2]) : 0;
	int			wakes = argc == 4 ? atoi(argv[3]) : 0;
	PGconn	   *writer;
	double	   *times;
	double	   *commits;
	int			last;

	if (count < 1 || count > MAX_READERS || wakes < 1)
	{
		fputs("usage: feed CONNINFO READERS WAKES\n", stderr);
		return 2;
	}
	times = malloc(sizeof(double) * count * wakes);
	commits = malloc(sizeof(double) * wakes);
	writer = connect_to(argv[1]);
	for (int i = 0; i < count; i++)
		readers[i] = connect_to(argv[1]);
	last = ask(writer, "SELECT amelia.last_sequence('" WORKFLOW "')");
	for (int wake = 0; wake < wakes; wake++)
	{
		struct pollfd polls[MAX_READERS + 1];
		double		start;
		double		committed = 0;
		int			open = count + 1;
		char		sql[128];

		snprintf(sql, sizeof(sql), "CALL amelia.wait_events('" WORKFLOW "', %d, '1 minute')", last);
		for (int i = 0; i < count; i++)
		{
			must(PQsendQuery(readers[i], sql), readers[i]);
			polls[i].fd = PQsocket(readers[i]);
			polls[i].events = POLLIN;
		}
		/* until they are asleep */
		usleep(3000 + count * 500);
		start = now();
		must(PQsendQuery(writer, "SELECT amelia.append_event('" WORKFLOW "', 'x', 'wake up')"), writer);
		polls[count].fd = PQsocket(writer);
		polls[count].events = POLLIN;
		while (open > 0)
		{
			poll(polls, count + 1, -1);
			for (int i = 0; i <= count; i++)
			{
				if (polls[i].fd < 0 || polls[i].revents == 0)
					continue;
				if (i == count)
				{
					committed = now();
					commits[wake] = (committed - start) * 1000;
				}
				else
					times[wake * count + i] = now();
				polls[i].fd = -1;
				open--;
			}
		}
		for (int i = 0; i < count; i++)
		{
			times[wake * count + i] = (times[wake * count + i] - committed) * 1000;
			take_answer(readers[i]);
		}
		last = take_answer(writer);
	}
	qsort(times, (size_t) count * wakes, sizeof(double), compare);
	qsort(commits, wakes, sizeof(double), compare);
	printf("%d waiting: awake p50 %.3f ms, p99 %.3f ms (%.3f-%.3f) after the commit, which takes p50 %.3f ms\n",
		   count, times[count * wakes / 2], times[count * wakes * 99 / 100], times[0],
		   times[count * wakes - 1], commits[wakes / 2]);
	return 0;
}
