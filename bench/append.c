/*-------------------------------------------------------------------------
 *
 * append.c
 *	  The load of bench/append: clients that append events in one way or
 *	  another, and how many transactions they commit.
 *
 *	  A cell is a number of clients, of workflows, and of rows in a
 *	  transaction. In each round every cell is measured once; in it the ways
 *	  of appending take short turns, so that what else the machine does
 *	  disturbs all of them alike. The tables are emptied before each cell,
 *	  each way has workflows of its own in them, and the numbers that were
 *	  given are checked in the end.
 *
 *	  All clients are connections of this one process, which waits for them
 *	  in poll(). Each sends a prepared statement, one transaction, and the
 *	  next one when it is answered. They share a counter per workflow: that
 *	  is how the baseline knows its numbers beforehand, and it inserts at the
 *	  same end of the index as everybody else.
 *
 *	  Prints a line per way, cell and round: round, clients, workflows, rows,
 *	  way, transactions, seconds, retries, microseconds of server CPU for
 *	  each transaction. Before them, as the way "commit", the seconds that a
 *	  transaction takes that does nothing.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>

#define MAX_CLIENTS 64
#define MAX_WORKFLOWS 200
/* At the end of a turn the clients wait for each other, longer with batches. */
#define TURN_SECONDS(is_batch) ((is_batch) ? 0.3 : 0.1)
/* what a turn begins with and does not count: clients and CPU get going */
#define START_SECONDS 0.01
/* what a cell begins with: sessions plan for the new tables */
#define WARM_UP_SECONDS 0.2
#define BATCH 100
#define MAX_PARAMS 7
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* The parameters of a statement, by letter. */
typedef enum
{
	WORKFLOW = 'w',
	SEQUENCE = 's',				/* the number before the first row's */
	TYPE = 't',
	MESSAGE = 'm',
	LEVEL = 'l',
	AGENT = 'a',
	DATA = 'd',
	EVENTS = 'e',				/* the rows as a JSON array */
} Param;

typedef struct
{
	const char *name;
	bool		is_batch;
	const char *schema;			/* of the tables that the rows go into */
	bool		retries;		/* a unique violation is sent again */
	const char *params;			/* what $1, $2, ... are, as letters */
	const char *sql;
} Way;

#define COLUMNS "event_type, message, level, agent, data"
#define INSERT(schema, columns) \
	"INSERT INTO " schema ".workflow_log (workflow_id, " columns COLUMNS ") "
#define ARRAYS(first, second, third, fourth, fifth) \
	"unnest($" first "::text[], $" second "::text[], $" third "::text[], $" fourth "::text[]," \
	" $" fifth "::jsonb[]) WITH ORDINALITY AS f (" COLUMNS ", place)"
#define LAST "(SELECT COALESCE(max(sequence), 0) FROM twin.workflow_log WHERE workflow_id = $1::uuid)"

#define KNOWN(schema) INSERT(schema, "sequence, ") \
	"VALUES ($1::uuid, $2::int + 1, $3, $4, $5, $6, $7::jsonb)"
#define KNOWN_BATCH(schema) INSERT(schema, "sequence, ") \
	"SELECT $1::uuid, $2::int + f.place, " COLUMNS " FROM " ARRAYS("3", "4", "5", "6", "7")

static const Way ways[] = {
	{"known sequence", false, "twin", false, "wstmlad", KNOWN("twin")},
	{"append_event", false, "amelia", false, "wtmad",
	"SELECT amelia.append_event($1::uuid, $2, $3, agent => $4, data => $5::jsonb)"},
	{"append_events", false, "amelia", false, "we",
	"SELECT amelia.append_events($1::uuid, $2::jsonb)"},
	{"plain INSERT", false, "amelia", false, "wtmlad",
	INSERT("amelia", "") "VALUES ($1::uuid, $2, $3, $4, $5, $6::jsonb)"},
	{"known, same table", false, "amelia", false, "wstmlad", KNOWN("amelia")},
	{"max + 1, retry", false, "twin", true, "wtmlad",
	INSERT("twin", "sequence, ") "VALUES ($1::uuid, " LAST " + 1, $2, $3, $4, $5, $6::jsonb)"},

	{"known sequence", true, "twin", false, "wstmlad", KNOWN_BATCH("twin")},
	{"append_event", true, "amelia", false, "wtmad",
		"SELECT amelia.append_event($1::uuid, f.event_type, f.message, agent => f.agent, data => f.data)"
		" FROM unnest($2::text[], $3::text[], $4::text[], $5::jsonb[])"
	" AS f (event_type, message, agent, data)"},
	{"append_events", true, "amelia", false, "we",
	"SELECT amelia.append_events($1::uuid, $2::jsonb)"},
	{"plain INSERT", true, "amelia", false, "wtmlad",
	INSERT("amelia", "") "SELECT $1::uuid, " COLUMNS " FROM " ARRAYS("2", "3", "4", "5", "6")},
	{"known, same table", true, "amelia", false, "wstmlad", KNOWN_BATCH("amelia")},
	{"max + 1, retry", true, "twin", true, "wtmlad",
		INSERT("twin", "sequence, ") "SELECT $1::uuid, l.last + f.place, " COLUMNS
	" FROM " LAST " AS l (last), " ARRAYS("2", "3", "4", "5", "6")},
};

typedef struct
{
	PGconn	   *conn;
	char		cpu_file[64];	/* where the system counts its backend's time */
	bool		is_prepared[LENGTH(ways)];
	uint64_t	random;
	char		sequence[12];
	const char *params[MAX_PARAMS];
	bool		has_failed;		/* with a unique violation */
} Client;

/* What a way did in a cell. */
typedef struct
{
	long		committed;		/* in the time that counts */
	long		total;
	long		retried;
	double		seconds;
	double		cpu;			/* of the backends, for cpu_total transactions */
	long		cpu_total;
	int			next_sequence[MAX_WORKFLOWS];
	char		workflow_ids[MAX_WORKFLOWS][37];
} Score;

static Client clients[MAX_CLIENTS];
static PGconn *admin;
static Score scores[LENGTH(ways)];

/* The values of the parameters that stay the same, for one row and for many. */
static char *contents[2][128];

static void
fail(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fputs("append: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

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
		fail("%s", PQerrorMessage(conn));
	return conn;
}

static PGresult *
run(const char *sql)
{
	PGresult   *result = PQexec(admin, sql);

	if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
		fail("%s: %s", sql, PQerrorMessage(admin));
	return result;
}

/*
 * The events that are written: a tool call with some arguments, as agents
 * have them. As a value for each column, or an array for each, or as JSON.
 */
static void
make_contents(void)
{
	static const char letters[] = {TYPE, MESSAGE, LEVEL, AGENT, DATA, EVENTS};

	for (int batch = 0; batch <= 1; batch++)
	{
		FILE	   *files[LENGTH(letters)];
		char	   *texts[LENGTH(letters)];
		size_t		sizes[LENGTH(letters)];
		int			rows = batch ? BATCH : 1;

		for (size_t i = 0; i < LENGTH(letters); i++)
			files[i] = open_memstream(&texts[i], &sizes[i]);
		for (int row = 0; row < rows; row++)
		{
			char		values[LENGTH(letters)][512];

			snprintf(values[0], sizeof(values[0]), "claude_tool_call");
			snprintf(values[1], sizeof(values[1]),
					 "Reading the module before changing it, to see who calls the function in line %d", row);
			snprintf(values[2], sizeof(values[2]), "trace");
			snprintf(values[3], sizeof(values[3]), "developer");
			snprintf(values[4], sizeof(values[4]),
					 "{\"tool\": \"read_file\", \"path\": \"/srv/worktrees/issue-4711/src/module_%d.py\","
					 " \"lines\": [%d, %d], \"reason\": \"find callers\", \"tokens\": 1532}",
					 row, row, row + 120);
			snprintf(values[5], sizeof(values[5]), "%s", "");
			for (size_t i = 0; i + 1 < LENGTH(letters); i++)
			{
				if (!batch)
					fputs(values[i], files[i]);
				else
				{
					fputs(row == 0 ? "{\"" : ",\"", files[i]);
					for (const char *at = values[i]; *at != '\0'; at++)
						fprintf(files[i], "%s%c", *at == '"' ? "\\" : "", *at);
					fputs(row == rows - 1 ? "\"}" : "\"", files[i]);
				}
			}
			fprintf(files[5], "%s{\"event_type\": \"%s\", \"message\": \"%s\", \"agent\": \"%s\", \"data\": %s}%s",
					row == 0 ? "[" : ", ", values[0], values[1], values[3], values[4],
					row == rows - 1 ? "]" : "");
		}
		for (size_t i = 0; i < LENGTH(letters); i++)
		{
			fclose(files[i]);
			contents[batch][(int) letters[i]] = texts[i];
		}
	}
}

/*
 * Empty tables with fresh workflows. As a replica, so that no trigger runs.
 */
static void
reset_tables(int workflows)
{
	char		sql[1024];
	PGresult   *result;

	snprintf(sql, sizeof(sql),
			 "BEGIN; SET LOCAL session_replication_role = replica;"
			 "TRUNCATE amelia.workflows CASCADE; TRUNCATE twin.workflows CASCADE;"
			 "INSERT INTO amelia.workflows (issue_id, worktree_path, status)"
			 " SELECT 'ISSUE-' || i, '/srv/worktrees/issue-' || i, 'in_progress'"
			 " FROM generate_series(1, %d) AS i;"
			 "INSERT INTO twin.workflows SELECT * FROM amelia.workflows;"
			 "COMMIT", workflows * (int) LENGTH(ways));
	PQclear(run(sql));
	result = run("SELECT id FROM amelia.workflows");
	memset(scores, 0, sizeof(scores));
	for (int i = 0; i < PQntuples(result); i++)
		strcpy(scores[i / workflows].workflow_ids[i % workflows], PQgetvalue(result, i, 0));
	PQclear(result);
}

/*
 * The rows of a way must be as many as were committed, and the numbers of each
 * workflow 1, 2, 3, ...
 */
static void
check_sequences(const Way *way, int workflows)
{
	Score	   *score = &scores[way - ways];
	char		sql[512];
	long		rows = 0;

	snprintf(sql, sizeof(sql),
			 "SELECT count(*), COALESCE(max(sequence), 0), COALESCE(min(sequence), 1)"
			 " FROM %s.workflow_log WHERE workflow_id = $1::uuid", way->schema);
	for (int i = 0; i < workflows; i++)
	{
		const char *params[] = {score->workflow_ids[i]};
		PGresult   *result = PQexecParams(admin, sql, 1, NULL, params, NULL, NULL, 0);

		if (PQresultStatus(result) != PGRES_TUPLES_OK)
			fail("%s: %s", sql, PQerrorMessage(admin));
		if (strcmp(PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 1)) != 0 ||
			strcmp(PQgetvalue(result, 0, 2), "1") != 0)
			fail("%s: workflow %s has gaps", way->name, score->workflow_ids[i]);
		rows += atol(PQgetvalue(result, 0, 0));
		PQclear(result);
	}
	if (rows != score->total * (way->is_batch ? BATCH : 1))
		fail("%s: %ld transactions made %ld rows", way->name, score->total, rows);
}

/*
 * How long a transaction takes just now that does nothing but be flushed.
 */
static double
time_commit(void)
{
	const int	count = 25;
	double		start = now();

	for (int i = 0; i < count; i++)
		PQclear(run("SELECT pg_logical_emit_message(true, 'bench', 'commit')"));
	return (now() - start) / count;
}

/*
 * The seconds that the clients' backends have spent on a processor; 0 where
 * the system does not say.
 */
static double
backend_cpu(int count)
{
	double		sum = 0;

	for (int i = 0; i < count; i++)
	{
		FILE	   *file = fopen(clients[i].cpu_file, "r");
		double		nanoseconds;

		if (file == NULL)
			return 0;
		if (fscanf(file, "%lf", &nanoseconds) == 1)
			sum += nanoseconds / 1e9;
		fclose(file);
	}
	return sum;
}

static void
send_prepared(Client *client, const Way *way)
{
	char		name[16];

	snprintf(name, sizeof(name), "way%d", (int) (way - ways));
	if (!PQsendQueryPrepared(client->conn, name, strlen(way->params), client->params,
							 NULL, NULL, 0))
		fail("%s", PQerrorMessage(client->conn));
	client->has_failed = false;
}

/*
 * Send the client's next transaction.
 */
static void
send_next(Client *client, const Way *way, int workflows)
{
	Score	   *score = &scores[way - ways];
	int			workflow;

	client->random ^= client->random << 13;
	client->random ^= client->random >> 7;
	client->random ^= client->random << 17;
	workflow = client->random % workflows;
	for (int i = 0; way->params[i] != '\0'; i++)
	{
		switch (way->params[i])
		{
			case WORKFLOW:
				client->params[i] = score->workflow_ids[workflow];
				break;
			case SEQUENCE:
				snprintf(client->sequence, sizeof(client->sequence), "%d",
						 score->next_sequence[workflow]);
				score->next_sequence[workflow] += way->is_batch ? BATCH : 1;
				client->params[i] = client->sequence;
				break;
			default:
				client->params[i] = contents[way->is_batch][(int) way->params[i]];
		}
	}
	send_prepared(client, way);
}

/*
 * Take what has arrived for a client. Returns whether its transaction ended.
 */
static bool
receive(Client *client, const Way *way)
{
	PGresult   *result;

	if (!PQconsumeInput(client->conn))
		fail("%s", PQerrorMessage(client->conn));
	while (!PQisBusy(client->conn))
	{
		result = PQgetResult(client->conn);
		if (result == NULL)
			return true;
		if (PQresultStatus(result) == PGRES_FATAL_ERROR)
		{
			const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

			if (!way->retries || state == NULL || strcmp(state, "23505") != 0)
				fail("%s: %s", way->name, PQresultErrorMessage(result));
			client->has_failed = true;
		}
		PQclear(result);
	}
	return false;
}

static void
prepare(Client *client, const Way *way)
{
	size_t		place = way - ways;
	char		name[16];
	PGresult   *result;

	if (client->is_prepared[place])
		return;
	snprintf(name, sizeof(name), "way%d", (int) place);
	result = PQprepare(client->conn, name, way->sql, 0, NULL);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fail("%s: %s", way->name, PQerrorMessage(client->conn));
	PQclear(result);
	client->is_prepared[place] = true;
}

/*
 * Let the clients append for so many seconds, and add up what they did after
 * the start.
 */
static void
take_turn(const Way *way, int count, int workflows, double seconds, bool counts)
{
	Score	   *score = &scores[way - ways];
	struct pollfd polls[MAX_CLIENTS];
	double		start;
	double		end;
	double		time;
	int			busy = count;
	double		cpu_before = backend_cpu(count);

	for (int i = 0; i < count; i++)
	{
		prepare(&clients[i], way);
		polls[i] = (struct pollfd)
		{
			.fd = PQsocket(clients[i].conn),.events = POLLIN
		};
	}
	start = now() + START_SECONDS;
	end = start + seconds;
	for (int i = 0; i < count; i++)
		send_next(&clients[i], way, workflows);
	while (busy > 0)
	{
		if (poll(polls, count, -1) < 0 && errno != EINTR)
			fail("poll: %s", strerror(errno));
		time = now();
		for (int i = 0; i < count; i++)
		{
			Client	   *client = &clients[i];

			if (polls[i].revents == 0 || !receive(client, way))
				continue;
			if (client->has_failed)
			{
				score->retried += counts;
				send_prepared(client, way);
				continue;
			}
			score->total++;
			score->cpu_total += counts;
			if (counts && time >= start && time < end)
				score->committed++;
			if (time < end)
				send_next(client, way, workflows);
			else
			{
				busy--;
				polls[i].fd = -1;
			}
		}
	}
	if (counts)
	{
		score->seconds += seconds;
		score->cpu += backend_cpu(count) - cpu_before;
	}
}

/* Numbers with commas between them, ended by 0. */
static int *
parse_list(const char *text, int limit)
{
	static int	lists[3][8];
	static int	used = 0;
	int		   *list = lists[used++];

	for (int i = 0; i < 7; i++)
	{
		char	   *rest;

		list[i] = strtol(text, &rest, 10);
		if (list[i] < 1 || list[i] > limit || (*rest != ',' && *rest != '\0'))
			fail("\"%s\" is not a list of numbers from 1 to %d", text, limit);
		if (*rest == '\0')
			return list;
		text = rest + 1;
	}
	fail("too many numbers");
	return NULL;
}

/*
 * Measure a cell: each way for so many seconds, in turns. Which one comes
 * first changes, so that no way has a place.
 */
static void
run_cell(int round, int count, int workflows, bool is_batch, double seconds)
{
	double		turn_seconds = TURN_SECONDS(is_batch);
	int			turns = seconds > turn_seconds ? seconds / turn_seconds + 0.5 : 1;

	reset_tables(workflows);
	printf("%d\t%d\t%d\t%d\tcommit\t1\t%.6f\t0\t0\n", round, count, workflows,
		   is_batch ? BATCH : 1, time_commit());
	for (int turn = 0; turn <= turns; turn++)
	{
		for (size_t i = 0; i < LENGTH(ways); i++)
		{
			const Way  *way = &ways[(i + turn + round) % LENGTH(ways)];

			if (way->is_batch == is_batch)
				take_turn(way, count, workflows, turn == 0 ? WARM_UP_SECONDS : turn_seconds,
						  turn > 0);
		}
	}
	for (size_t i = 0; i < LENGTH(ways); i++)
	{
		const Score *score = &scores[i];

		if (ways[i].is_batch != is_batch)
			continue;
		check_sequences(&ways[i], workflows);
		printf("%d\t%d\t%d\t%d\t%s\t%ld\t%.3f\t%ld\t%.1f\n", round, count, workflows,
			   is_batch ? BATCH : 1, ways[i].name, score->committed, score->seconds,
			   score->retried, score->cpu / score->cpu_total * 1e6);
	}
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	const char *conninfo;
	int			rounds;
	double		seconds;
	int		   *counts;
	int		   *workflows;
	int		   *rows;

	if (argc != 7)
		fail("usage: append CONNINFO ROUNDS SECONDS CLIENTS,... WORKFLOWS,... ROWS,...");
	conninfo = argv[1];
	rounds = atoi(argv[2]);
	seconds = atof(argv[3]);
	counts = parse_list(argv[4], MAX_CLIENTS);
	workflows = parse_list(argv[5], MAX_WORKFLOWS);
	rows = parse_list(argv[6], BATCH);

	make_contents();
	admin = connect_to(conninfo);
	PQclear(run("SET client_min_messages = warning"));
	for (int i = 0; i < MAX_CLIENTS; i++)
	{
		clients[i].conn = connect_to(conninfo);
		snprintf(clients[i].cpu_file, sizeof(clients[i].cpu_file), "/proc/%d/schedstat",
				 PQbackendPID(clients[i].conn));
		clients[i].random = 88172645463325252ULL + i * 1000003ULL;
	}
	for (int round = 1; round <= rounds; round++)
	{
		for (int *r = rows; *r != 0; r++)
			for (int *w = workflows; *w != 0; w++)
				for (int *c = counts; *c != 0; c++)
					run_cell(round, *c, *w, *r > 1, seconds);
		PQclear(run("CHECKPOINT"));
	}
	return 0;
}
