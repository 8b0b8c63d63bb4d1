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
#include <sys/stat.h>
#include <unistd.h>

#include "common/program.h"
#include "common/progress.h"
#include "common/util.h"
#include "report/report_page.h"

#define DEFAULT_DAYS "30"
#define MAX_DAYS 366
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
	const char *days;
	const char *until;			/* NULL: today */
} Report;

/* $1: the last day or NULL for today; $2: how many days. */
#define RANGE \
	"WITH r AS (SELECT l.last - $2::int + 1 AS first, l.last FROM" \
	" (SELECT COALESCE($1::date, (now() AT TIME ZONE 'UTC')::date) AS last) AS l) "
/* A limit may be as high as somebody likes. */
#define MONEY(value) "to_char(" value ", 'FM999,999,999,999,999,999,999,999,999,990.00')"
#define COUNT(value) "to_char(" value ", 'FM9,999,999,999,999,999,990')"
#define RATE(value) "to_char(100 * " value ", 'FM990.0') || ' %'"

static const char summary_sql[] = RANGE
"SELECT " MONEY("s.total_cost_usd") ", CASE WHEN s.previous_period_cost_usd > 0 THEN"
" to_char(100 * (s.total_cost_usd / s.previous_period_cost_usd - 1), 'FMSG999,990.0') || ' % against '"
" ELSE 'before: ' END || '$' || " MONEY("s.previous_period_cost_usd") ","
" " COUNT("s.total_workflows") ", " COUNT("s.total_tokens") ","
" " COUNT("s.total_duration_ms / 3600000") ", " RATE("s.success_rate") ","
" " COUNT("s.successful_workflows") " || ' of ' || " COUNT("s.finished_workflows") ","
" r.first, r.last, current_database(), to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')"
" FROM r, amelia.usage_summary(r.first, r.last) AS s";

#define TEXT_OF(number) #number
#define AS_TEXT(number) TEXT_OF(number)

/* The dearest models have a colour each; where there are more, the last is all others'. */
#define PLACES RANGE \
	", p AS MATERIALIZED (SELECT m.model, CASE WHEN m.models > " AS_TEXT(COLOURS) " THEN LEAST(m.n, " AS_TEXT(COLOURS) ") ELSE m.n END AS place," \
	" CASE WHEN m.models > " AS_TEXT(COLOURS) " AND m.n >= " AS_TEXT(COLOURS) " THEN format('%s others', m.models - " AS_TEXT(COLOURS) " + 1) ELSE m.model END AS name" \
	" FROM (SELECT o.model, o.ordinality AS n, count(*) OVER () AS models" \
	" FROM r, amelia.usage_by_model(r.first, r.last) WITH ORDINALITY AS o) AS m) "

static const char models_sql[] = PLACES
"SELECT p.name FROM p GROUP BY p.place, p.name ORDER BY p.place";

static const char days_sql[] = PLACES
"SELECT t.date, t.date - r.first, r.last - r.first + 1, p.name, sum(m.value::numeric), t.cost_usd,"
" r.first, r.last, p.place - 1"
" FROM r, amelia.usage_trend(r.first, r.last) AS t, jsonb_each_text(t.by_model) AS m"
" JOIN p ON p.model = m.key GROUP BY 1, 2, 3, p.name, t.cost_usd, 7, 8, p.place ORDER BY t.date, p.place";

#define BY(column, function) RANGE \
	"SELECT COALESCE(u." column ", '(none)'), " MONEY("u.cost_usd") ", " COUNT("u.tokens") "," \
	" " COUNT("u.workflows") ", " RATE("u.success_rate") ", amelia.sparkline(u.trend)" \
	" FROM r, amelia." function "(r.first, r.last) AS u"

/* Deleted workflows have no issue any more. */
static const char dearest_sql[] = RANGE
", c AS MATERIALIZED (SELECT d.day FROM r, amelia.usage_days AS d WHERE d.state = 'closed'"
" AND d.day BETWEEN r.first AND r.last"
" AND NOT EXISTS (SELECT FROM amelia.usage_dirty_days AS m WHERE m.day = d.day))"
" SELECT COALESCE(w.issue_id, '(deleted)'), p.workflow_id, COALESCE(w.status, h.status),"
" COALESCE(w.profile_id, h.profile_id, ''), " MONEY("p.cost") ", " COUNT("p.tokens")
" FROM (SELECT x.workflow_id, sum(x.cost_usd) AS cost, sum(x.tokens) AS tokens FROM ("
"SELECT s.workflow_id, s.cost_usd, s.input_tokens + s.output_tokens AS tokens"
" FROM c JOIN amelia.usage_workflow_days AS s ON s.day = c.day"
" UNION ALL SELECT u.workflow_id, u.cost_usd, u.input_tokens::bigint + u.output_tokens"
" FROM r JOIN amelia.token_usage AS u ON u.\"timestamp\" >= r.first::timestamp AT TIME ZONE 'UTC'"
" AND u.\"timestamp\" < (r.last + 1)::timestamp AT TIME ZONE 'UTC'"
" WHERE (u.\"timestamp\" AT TIME ZONE 'UTC')::date NOT IN (SELECT c.day FROM c)"
" UNION ALL SELECT u.workflow_id, u.cost_usd, u.input_tokens + u.output_tokens"
" FROM r JOIN amelia.kept_usage AS u ON u.day BETWEEN r.first AND r.last"
" WHERE u.day NOT IN (SELECT c.day FROM c)) AS x"
" GROUP BY x.workflow_id ORDER BY cost DESC, x.workflow_id LIMIT 10) AS p"
" LEFT JOIN amelia.workflows AS w ON w.id = p.workflow_id"
" LEFT JOIN amelia.workflow_history AS h ON h.workflow_id = p.workflow_id"
" ORDER BY p.cost DESC, p.workflow_id";

static const char budgets_sql[] =
"SELECT concat_ws(' ', b.scope, b.target), b.period, b.action, " MONEY("b.limit_usd") ","
" " MONEY("b.spent_usd") ", CASE WHEN b.is_spent THEN 'spent' ELSE " MONEY("b.left_usd") " END"
" FROM amelia.budget_status() AS b";

static const char retention_sql[] =
"SELECT to_char(x.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), x.outcome, x.workflows,"
" x.events + x.trace_events, x.checkpoint_rows, x.batches_failed"
" FROM amelia.retention_runs AS x ORDER BY x.id DESC LIMIT 5";

static const char checkpoints_sql[] =
"SELECT s.schema_name, " COUNT("s.threads") ", " COUNT("s.checkpoints") ", pg_size_pretty(s.bytes),"
" COALESCE(s.problem, '') FROM amelia.checkpoint_stats() AS s";

static const Program program = {"amelia-report", help_text, EXIT_USAGE};

static void
read_options(Report *report, int argc, char **argv)
{
	enum
	{
		OPT_DAYS = 256,
		OPT_UNTIL
	};
	static const struct option long_options[] = {
		{"days", required_argument, NULL, OPT_DAYS},
		{"output", required_argument, NULL, 'o'},
		{"until", required_argument, NULL, OPT_UNTIL},
		COMMON_LONG_OPTIONS,
		{NULL, 0, NULL, 0}
	};
	int			c;
	char	   *end;
	long		days;

	memset(report, 0, sizeof(*report));
	report->days = DEFAULT_DAYS;
	while ((c = getopt_long(argc, argv, "o:" COMMON_SHORT_OPTIONS, long_options, NULL)) != -1)
	{
		switch (c)
		{
			case 'o':
				report->output = optarg;
				break;
			case OPT_DAYS:
				report->days = optarg;
				break;
			case OPT_UNTIL:
				report->until = optarg;
				break;
			default:
				common_option(&program, &report->connection, c, argc, argv);
		}
	}
	days = strtol(report->days, &end, 10);
	if (end == report->days || *end != '\0' || days < 1 || days > MAX_DAYS)
	{
		complain("--days must be a number from 1 to %d, not \"%s\"", MAX_DAYS, report->days);
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
ask(PGconn *conn, const Report *report, const char *sql, bool of_range)
{
	const char *params[] = {report->until, report->days};
	PGresult   *result = PQexecParams(conn, sql, of_range ? LENGTH(params) : 0, NULL,
									  params, NULL, NULL, 0);

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
may(PGconn *conn, const Report *report, const char *sql)
{
	PGresult   *result = ask(conn, report, sql, false);
	bool		answer = PQntuples(result) > 0 && strcmp(PQgetvalue(result, 0, 0), "t") == 0;

	PQclear(result);
	return answer;
}

static void
add_table(Buffer *page, PGconn *conn, const Report *report, const char *head,
		  const char *sql, bool of_range, const Column *columns, int ncolumns, const char *nothing)
{
	PGresult   *rows = ask(conn, report, sql, of_range);

	page_section(page, head);
	page_table(page, rows, columns, ncolumns, nothing);
	PQclear(rows);
}

static void
add_usage(Buffer *page, PGconn *conn, const Report *report)
{
	PGresult   *summary = ask(conn, report, summary_sql, true);
	PGresult   *models = ask(conn, report, models_sql, true);
	PGresult   *days = ask(conn, report, days_sql, true);
	Buffer text = {0};

	buffer_printf(&text, "%s to %s (UTC days), database %s, as of %s UTC",
				  PQgetvalue(summary, 0, 7), PQgetvalue(summary, 0, 8),
				  PQgetvalue(summary, 0, 9), PQgetvalue(summary, 0, 10));
	page_begin(page, "What agents cost", text.data);
	buffer_reset(&text);
	buffer_printf(&text, "$%s", PQgetvalue(summary, 0, 0));
	buffer_puts(page, "<div class=\"tiles\">\n");
	page_tile(page, "Cost", text.data, PQgetvalue(summary, 0, 1));
	page_tile(page, "Workflows", PQgetvalue(summary, 0, 2), "with usage");
	page_tile(page, "Tokens", PQgetvalue(summary, 0, 3), "input and output");
	page_tile(page, "Hours", PQgetvalue(summary, 0, 4), "of model time");
	page_tile(page, "Success", PQgetvalue(summary, 0, 5), PQgetvalue(summary, 0, 6));
	buffer_puts(page, "</div>\n");
	page_section(page, "Cost per day");
	page_stacked_bars(page, days, models);
	buffer_free(&text);
	PQclear(summary);
	PQclear(models);
	PQclear(days);
}

static void
make_page(Buffer *page, PGconn *conn, const Report *report)
{
	static const Column by[] = {{"Model", TEXT}, {"Cost $", NUMBER}, {"Tokens", NUMBER},
	{"Workflows", NUMBER}, {"Success", NUMBER}, {"Trend", BARS}};
	static const Column dearest[] = {{"Issue", TEXT}, {"Workflow", TEXT}, {"Status", TEXT},
	{"Profile", TEXT}, {"Cost $", NUMBER}, {"Tokens", NUMBER}};
	static const Column budgets[] = {{"For", TEXT}, {"Per", TEXT}, {"Action", TEXT},
	{"Limit $", NUMBER}, {"Spent $", NUMBER}, {"Left $", NUMBER}};
	static const Column runs[] = {{"Run (UTC)", TEXT}, {"Outcome", TEXT}, {"Workflows", NUMBER},
	{"Events", NUMBER}, {"Checkpoint rows", NUMBER}, {"Failed batches", NUMBER}};
	static const Column storage[] = {{"Schema", TEXT}, {"Threads", NUMBER}, {"Checkpoints", NUMBER},
	{"Size", NUMBER}, {"Problem", TEXT}};
	static const char *const sections[][3] = {
		{"By model", "Model", BY("model", "usage_by_model")},
		{"By agent", "Agent", BY("agent", "usage_by_agent")},
		{"By profile", "Profile", BY("profile", "usage_by_profile")}
	};
	const char *nothing = "Nothing was used in this time.";

	command(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
	command(conn, "SET LOCAL search_path = pg_catalog, pg_temp");
	command(conn, "SET LOCAL datestyle = ISO");
	add_usage(page, conn, report);
	for (int i = 0; i < LENGTH(sections); i++)
	{
		Column		columns[LENGTH(by)];

		memcpy(columns, by, sizeof(by));
		columns[0].head = sections[i][1];
		add_table(page, conn, report, sections[i][0], sections[i][2], true,
				  columns, LENGTH(columns), nothing);
	}
	add_table(page, conn, report, "The ten dearest workflows", dearest_sql, true,
			  dearest, LENGTH(dearest), nothing);
	add_table(page, conn, report, "Budgets", budgets_sql, false,
			  budgets, LENGTH(budgets), "There is no budget.");
	if (may(conn, report, "SELECT has_table_privilege(to_regclass('amelia.retention_runs'), 'SELECT')"))
		add_table(page, conn, report, "Retention", retention_sql, false,
				  runs, LENGTH(runs), "Retention has not run yet.");
	if (may(conn, report, "SELECT has_function_privilege(to_regprocedure('amelia.checkpoint_stats()'), 'EXECUTE')"))
		add_table(page, conn, report, "Checkpoints", checkpoints_sql, false,
				  storage, LENGTH(storage), "There are no checkpoint tables.");
	page_end(page);
	command(conn, "COMMIT");
}

/*
 * A file beside the one that is meant, with the rights that it has or would
 * get; NULL, with errno, when there can be none. The new name is returned too.
 */
static FILE *
open_beside(const char *path, const struct stat *old, char **name)
{
	Buffer text = {0};
	mode_t		mask = umask(0);
	int			fd;
	FILE	   *file = NULL;

	umask(mask);
	buffer_printf(&text, "%s.XXXXXX", path);
	*name = text.data;

	fd = mkstemp(*name);
	if (fd >= 0 && fchmod(fd, old != NULL ? old->st_mode & 0777 : 0666 & ~mask) == 0)
		file = fdopen(fd, "w");
	return file;
}

/*
 * Whether the whole page has arrived. Yesterday's stays until today's is
 * complete; what is no file, as a pipe, is written to as it is.
 */
static bool
write_page(const Buffer *page, const char *output)
{
	struct stat old;
	bool		exists = output != NULL && stat(output, &old) == 0;
	bool		beside = output != NULL && (!exists || S_ISREG(old.st_mode));

	/* A symbolic link stays one. */
	char	   *path = exists ? realpath(output, NULL) : NULL;
	const char *target = path != NULL ? path : output;
	char	   *name = NULL;
	FILE	   *file = output == NULL ? stdout :
	beside ? open_beside(target, exists ? &old : NULL, &name) : fopen(output, "w");
	bool		done = file != NULL && fwrite(page->data, 1, page->len, file) == page->len &&
	fflush(file) == 0 && (!beside || fsync(fileno(file)) == 0);

	if (file != NULL && file != stdout)
		done = fclose(file) == 0 && done;
	if (done && beside)
		done = rename(name, target) == 0;
	if (!done)
	{
		complain("could not write %s: %s", output != NULL ? output : "the page", strerror(errno));
		if (name != NULL)
			unlink(name);
	}
	free(name);
	free(path);
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
