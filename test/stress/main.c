/*
 * One process of the stress test:
 *
 *	stress ROLE NAME HISTORY CONNINFO [SEED]
 *
 * Each writes down in the file HISTORY what it asks and what it is told, line
 * by line; the test compares that with the database. A line is written at
 * once, so that kill -9 takes none away.
 */
#include "stress.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_PARAMETERS 16

const char *my_name;
volatile bool stop_asked = false;
PGresult   *rows = NULL;
char		sqlstate[6];

static const char *conninfo;
static PGconn *conn = NULL;
static int	history = -1;

int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int
any_below(int limit)
{
	return rand() % limit;
}

void
nap_ms(int ms)
{
	usleep(ms * 1000);
}

void
note(const char *format,...)
{
	char		line[1024];
	va_list		args;
	int			length = snprintf(line, sizeof(line), "%lld\t", (long long) now_us());

	va_start(args, format);
	length += vsnprintf(line + length, sizeof(line) - length - 1, format, args);
	va_end(args);
	line[length++] = '\n';
	if (write(history, line, length) != length)
		exit(3);
}

const char *
text_of(int64_t number)
{
	static char texts[8][24];
	static int	turn = 0;
	char	   *text = texts[turn++ % 8];

	snprintf(text, sizeof(texts[0]), "%lld", (long long) number);
	return text;
}

const char *
new_id(void)
{
	static char ids[8][40];
	static int	turn = 0;
	char	   *id = ids[turn++ % 8];

	snprintf(id, sizeof(ids[0]), "%04x%04x-%04x-4%03x-8%03x-%04x%04x%04x",
			 any_below(0x10000), any_below(0x10000), any_below(0x10000), any_below(0x1000),
			 any_below(0x1000), any_below(0x10000), any_below(0x10000), any_below(0x10000));
	return id;
}

/* Until it is there: a server that was killed takes a while. */
static void
connect_again(void)
{
	for (;;)
	{
		PQfinish(conn);
		conn = PQconnectdb(conninfo);
		if (PQstatus(conn) == CONNECTION_OK)
			return;
		nap_ms(50);
	}
}

Outcome
ask(const char *statement,...)
{
	const char *parameters[MAX_PARAMETERS];
	int			count = 0;
	va_list		args;
	const char *state;

	va_start(args, statement);
	while (count < MAX_PARAMETERS && (parameters[count] = va_arg(args, const char *)) != NULL)
		count++;
	va_end(args);

	PQclear(rows);
	rows = PQexecParams(conn, statement, count, NULL, parameters, NULL, NULL, 0);
	sqlstate[0] = '\0';
	switch (PQresultStatus(rows))
	{
		case PGRES_TUPLES_OK:
		case PGRES_COMMAND_OK:
			return DONE;
		default:
			break;
	}
	if (PQstatus(conn) != CONNECTION_OK)
	{
		connect_again();
		return LOST;
	}
	state = PQresultErrorField(rows, PG_DIAG_SQLSTATE);
	snprintf(sqlstate, sizeof(sqlstate), "%s", state != NULL ? state : "?");
	return REFUSED;
}

const char *
cell(int row, int column)
{
	return PQgetvalue(rows, row, column);
}

const char *
complaint(void)
{
	const char *message = PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY);

	return message != NULL ? message : "";
}

static void
ask_to_stop(int signal_number)
{
	(void) signal_number;
	stop_asked = true;
}

/* Every notice is somebody else's. */
static void
ignore_notice(void *arg, const char *message)
{
	(void) arg;
	(void) message;
}

int
main(int argc, char **argv)
{
	if (argc < 5)
	{
		fprintf(stderr, "usage: stress ROLE NAME HISTORY CONNINFO [SEED]\n");
		return 2;
	}
	my_name = argv[2];
	history = open(argv[3], O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (history < 0)
	{
		perror(argv[3]);
		return 2;
	}
	conninfo = argv[4];
	srand(argc > 5 ? atoi(argv[5]) : getpid());
	signal(SIGTERM, ask_to_stop);
	connect_again();
	PQsetNoticeProcessor(conn, ignore_notice, NULL);

	if (strcmp(argv[1], "worker") == 0)
		work();
	else if (strcmp(argv[1], "finisher") == 0)
		finish();
	else if (strcmp(argv[1], "people") == 0)
		be_people();
	else if (strcmp(argv[1], "observer") == 0)
		observe();
	else if (strcmp(argv[1], "feed") == 0)
		read_feed(500);
	else if (strcmp(argv[1], "narrow-feed") == 0)
		read_feed(7);
	else if (strcmp(argv[1], "events") == 0)
		read_events();
	else if (strcmp(argv[1], "agent") == 0)
		be_agent(false);
	else if (strcmp(argv[1], "last") == 0)
		be_agent(true);
	else
	{
		fprintf(stderr, "no role \"%s\"\n", argv[1]);
		return 2;
	}
	return 0;
}
