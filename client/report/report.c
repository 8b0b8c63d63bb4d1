/*-------------------------------------------------------------------------
 *
 * report.c
 *	  amelia-report: what agents cost, as one HTML page.
 *
 * All that the page says is read in one transaction, which sees one state of
 * the database and writes nothing. What a database does not have, or its
 * user may not see, is left out.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "common/output.h"
#include "common/program.h"
#include "common/progress.h"
#include "common/util.h"
#include "page/page.h"
#include "page/usage.h"

#define LENGTH(array) ((int) (sizeof(array) / sizeof((array)[0])))

const char	program_name[] = "amelia-report";

static const char help_text[] =
"amelia-report writes what agents cost as one HTML page.\n"
"\n"
"Usage:\n"
"  amelia-report [OPTION]... [DBNAME]\n"
"\n"
"  -o, --output=FILE        where the page goes (default: standard output)\n"
"      --days=NUMBER        days up to the last one, 1 to 366 (default: 30)\n"
"      --profile=NAME       only workflows of that profile\n"
"      --title=TEXT         the page's title (default: What agents cost)\n"
"      --until=DATE         the last day, in UTC (default: today)\n"
VERSION_AND_HELP_OPTIONS
"\n"
CONNECTION_OPTIONS("; DBNAME without -d")
"  -W, --password           ask for a password before connecting\n"
"\n"
"Exit status: 0 the page is written, 1 it is not, 2 no connection, 3 wrong usage.\n";

typedef struct Report
{
	Connection	connection;
	const char *output;			/* NULL: standard output */
	const char *title;
	Usage		usage;
	PGconn	   *conn;
} Report;

static const char retention_sql[] =
"SELECT to_char(x.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), x.outcome, x.workflows,"
" x.events + x.trace_events, x.checkpoint_rows, x.batches_failed"
" FROM amelia.retention_runs AS x ORDER BY x.id DESC LIMIT 5";

static const char checkpoints_sql[] =
"SELECT s.schema_name, s.threads, s.checkpoints, pg_size_pretty(s.bytes),"
" COALESCE(s.problem, '') FROM amelia.checkpoint_stats() AS s";

static const Program program = {"amelia-report", help_text, EXIT_USAGE};

static void
read_options(Report *report, int argc, char **argv)
{
	enum
	{
		OPT_DAYS = 256,
		OPT_PROFILE,
		OPT_TITLE,
		OPT_UNTIL
	};
	static const struct option long_options[] = {
		{"days", required_argument, NULL, OPT_DAYS},
		{"output", required_argument, NULL, 'o'},
		{"profile", required_argument, NULL, OPT_PROFILE},
		{"title", required_argument, NULL, OPT_TITLE},
		{"until", required_argument, NULL, OPT_UNTIL},
		COMMON_LONG_OPTIONS,
		{NULL, 0, NULL, 0}
	};
	int			c;

	memset(report, 0, sizeof(*report));
	report->title = "What agents cost";
	report->usage.days = USAGE_DEFAULT_DAYS;
	while ((c = getopt_long(argc, argv, "o:" COMMON_SHORT_OPTIONS, long_options, NULL)) != -1)
	{
		switch (c)
		{
			case 'o':
				report->output = optarg;
				break;
			case OPT_DAYS:
				report->usage.days = optarg;
				break;
			case OPT_PROFILE:
				report->usage.profile = optarg;
				break;
			case OPT_TITLE:
				report->title = optarg;
				break;
			case OPT_UNTIL:
				report->usage.until = optarg;
				break;
			default:
				common_option(&program, &report->connection, c, argc, argv);
		}
	}
	if (!usage_days_valid(report->usage.days))
	{
		complain("--days must be a number from 1 to %d, not \"%s\"", USAGE_MAX_DAYS, report->usage.days);
		usage_error(&program);
	}
	if (optind < argc && report->connection.dbname == NULL)
		report->connection.dbname = argv[optind++];
	if (optind < argc)
	{
		complain("one database is enough: what is \"%s\"?", argv[optind]);
		usage_error(&program);
	}
	check_connection_options(&program, &report->connection);
}

/* The rows of a query; the program ends when it fails. */
static PGresult *
ask(void *arg, const char *sql, int nparams, const char *const *params)
{
	PGconn	   *conn = arg;
	PGresult   *result = PQexecParams(conn, sql, nparams, NULL, params, NULL, NULL, 0);

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
		const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
		Problem		problem = {0};

		problem_set(&problem, 0, "%s", primary != NULL ? primary : PQerrorMessage(conn));
		if (hint != NULL)
			problem_hint(&problem, hint);
		problem_hint_grant(&problem, state != NULL ? state : "", "grant_reader", PQuser(conn));
		complain_problem(PQdb(conn), &problem);
		exit(EXIT_SOME_FAILED);
	}
	return result;
}

static void
command(PGconn *conn, const char *sql)
{
	PGresult   *result = PQexec(conn, sql);

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
	{
		complain("%s", PQerrorMessage(conn));
		exit(EXIT_SOME_FAILED);
	}
	PQclear(result);
}

/* May this user call a function or read a table, and is it there? */
static bool
may(PGconn *conn, const char *sql)
{
	PGresult   *result = ask(conn, sql, 0, NULL);
	bool		answer = PQntuples(result) > 0 && strcmp(PQgetvalue(result, 0, 0), "t") == 0;

	PQclear(result);
	return answer;
}

static void
add_table(Buffer *page, PGconn *conn, const char *head, const char *sql,
		  const Column *columns, int ncolumns, const char *nothing)
{
	PGresult   *rows = ask(conn, sql, 0, NULL);

	page_section(page, head);
	page_table(page, rows, columns, ncolumns, nothing);
	PQclear(rows);
}

static void
make_page(Buffer *page, PGconn *conn, Report *report)
{
	static const Column runs[] = {{.head = "Run (UTC)"}, {.head = "Outcome"}, {"Workflows", NUMBER, NULL},
	{"Events", NUMBER, NULL}, {"Checkpoint rows", NUMBER, NULL}, {"Failed batches", NUMBER, NULL}};
	static const Column storage[] = {{.head = "Schema"}, {"Threads", NUMBER, NULL}, {"Checkpoints", NUMBER, NULL},
	{"Size", NUMBER, NULL}, {.head = "Problem"}};
	Buffer text = {0};

	command(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
	command(conn, "SET LOCAL search_path = pg_catalog, pg_temp");
	command(conn, "SET LOCAL datestyle = ISO");
	command(conn, "SET LOCAL timezone = 'UTC'");
	report->usage.page = page;
	report->usage.ask = ask;
	report->usage.arg = conn;
	usage_subtitle(&report->usage, &text);
	page_begin(page, report->title, text.data);
	usage_sections(&report->usage);
	if (may(conn, "SELECT has_table_privilege(to_regclass('amelia.retention_runs'), 'SELECT')"))
		add_table(page, conn, "Retention", retention_sql,
				  runs, LENGTH(runs), "Retention has not run yet.");
	if (may(conn, "SELECT has_function_privilege(to_regprocedure('amelia.checkpoint_stats()'), 'EXECUTE')"))
		add_table(page, conn, "Checkpoints", checkpoints_sql,
				  storage, LENGTH(storage), "There are no checkpoint tables.");
	page_end(page);
	command(conn, "COMMIT");
	buffer_free(&text);
}

/*
 * Whether the whole page has arrived. Yesterday's stays until today's is
 * complete.
 */
static bool
write_page(const Buffer *page, const char *path)
{
	Output		output;
	bool		done;

	if (path == NULL)
		done = fwrite(page->data, 1, page->len, stdout) == page->len && fflush(stdout) == 0;
	else
	{
		done = output_open(&output, path, true);
		done = output_close(&output, done && fwrite(page->data, 1, page->len, output.file) == page->len);
	}
	if (!done)
		complain("could not write %s: %s", path != NULL ? path : "the page", strerror(errno));
	return done;
}

int
main(int argc, char **argv)
{
	Report		report;
	Buffer		page = {0};
	PGconn	   *conn;
	bool		written;

	read_options(&report, argc, argv);
	report_init(false, false, false);
	conn = connect_to_server(&report.connection);
	if (conn == NULL)
		return EXIT_NO_CONNECTION;
	make_page(&page, conn, &report);
	written = write_page(&page, report.output);
	buffer_free(&page);
	PQfinish(conn);
	return written ? 0 : EXIT_SOME_FAILED;
}
