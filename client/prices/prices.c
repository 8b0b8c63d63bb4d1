/*-------------------------------------------------------------------------
 *
 * prices.c
 *	  amelia-prices: a published price list into a database with Amelia.
 *
 * The list goes to load_prices() as it was written, digit by digit: the
 * server knows the formats, reads the numbers exactly, and says what it could
 * not use and why. All of the list is stored, or nothing.
 *
 *-------------------------------------------------------------------------
 */
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "common/input.h"
#include "common/program.h"
#include "common/progress.h"
#include "common/util.h"

/* Names of models that are shown without --verbose. */
#define NAMES_SHOWN 3

const char program_name[] = "amelia-prices";

static const char help_text[] =
	"amelia-prices loads a published list of model prices into a database that has\n"
	"Amelia.\n"
	"\n"
	"Usage:\n"
	"  amelia-prices [OPTION]... FILE\n"
	"\n"
	"FILE is LiteLLM's model_prices_and_context_window.json, models.dev's api.json or\n"
	"OpenRouter's answer to /api/v1/models; - is standard input.\n"
	"\n"
	"Options:\n"
	"      --valid-from=TIME    since when the prices hold (default: from now on, and\n"
	"                           for models that have none yet, for all time)\n"
	"  -q, --quiet              say nothing but errors and warnings\n"
	"  -v, --verbose            name every entry that was passed over\n"
	VERSION_AND_HELP_OPTIONS
	"\n"
	CONNECTION_OPTIONS("")
	"\n"
	"Loading a list again changes nothing. Exit status: 0 the prices are there, 1 they\n"
	"are not, 2 no connection or connection lost, 3 wrong usage.\n";

typedef struct Options
{
	Connection	connection;
	const char *file;
	const char *valid_from;		/* NULL: not given */
	bool		quiet;
	bool		verbose;
} Options;

/* A row for each reason why entries were passed over, or one without. */
static const char load_sql[] =
	"SELECT l.stored, l.unchanged, o.key, pg_catalog.jsonb_array_length(o.value), n.few, n.names"
	" FROM amelia.load_prices($1::pg_catalog.jsonb, $2::pg_catalog.timestamptz) AS l"
	" LEFT JOIN LATERAL pg_catalog.jsonb_each(l.passed_over) AS o ON true"
	" LEFT JOIN LATERAL (SELECT pg_catalog.string_agg(e.name, ', ' ORDER BY e.place)"
	" FILTER (WHERE e.place OPERATOR(pg_catalog.<=) $3::pg_catalog.int8),"
	" pg_catalog.string_agg(e.name, ', ' ORDER BY e.place)"
	" FROM pg_catalog.jsonb_array_elements_text(o.value) WITH ORDINALITY AS e (name, place)) AS n (few, names)"
	" ON true ORDER BY o.key";

static const Program program = {"amelia-prices", help_text, EXIT_USAGE};

/* Fill in the options, or show help or what is wrong, and exit. */
static void
read_options(Options *options, int argc, char **argv)
{
	enum
	{
		OPT_VALID_FROM = 256
	};
	static const struct option long_options[] = {
		{"quiet", no_argument, NULL, 'q'},
		{"valid-from", required_argument, NULL, OPT_VALID_FROM},
		{"verbose", no_argument, NULL, 'v'},
		COMMON_LONG_OPTIONS,
		{NULL, 0, NULL, 0}
	};
	int			c;

	memset(options, 0, sizeof(*options));
	while ((c = getopt_long(argc, argv, "qv" COMMON_SHORT_OPTIONS, long_options, NULL)) != -1)
	{
		switch (c)
		{
			case 'q':
				options->quiet = true;
				break;
			case 'v':
				options->verbose = true;
				break;
			case OPT_VALID_FROM:
				options->valid_from = optarg;
				break;
			default:
				common_option(&program, &options->connection, c, argc, argv);
		}
	}
	options->file = argv[optind];
	if (argc - optind != 1)
	{
		complain(optind == argc ? "no file to load" : "one list at a time");
		usage_error(&program);
	}
	check_connection_options(&program, &options->connection);
	if (options->quiet && options->verbose)
	{
		complain("-q and -v exclude each other");
		usage_error(&program);
	}
}

/* What the server says against the list; where in the file, if it knows. */
static void
take_refusal(Problem *problem, const PGresult *result, PGconn *conn)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
	unsigned long line = 0;

	if (context != NULL && sscanf(context, "JSON data, line %lu:", &line) != 1)
		line = 0;
	problem_set(problem, line, "%s", message != NULL ? message : PQerrorMessage(conn));
	if (detail != NULL)
		problem->detail = copy_string(detail);
	if (hint != NULL)
		problem_hint(problem, hint);
}

static void
report_loaded(const char *name, const PGresult *result)
{
	tell("%s: %s new price%s, %s known already", name, PQgetvalue(result, 0, 0),
		 PLURAL(atol(PQgetvalue(result, 0, 0))), PQgetvalue(result, 0, 1));
	for (int i = 0; i < PQntuples(result); i++)
	{
		long		count = PQgetisnull(result, i, 3) ? 0 : atol(PQgetvalue(result, i, 3));

		if (count == 0)
			continue;
		if (count > NAMES_SHOWN)
			tell("%s: %ld passed over, %s: %s and %ld more", name, count,
				 PQgetvalue(result, i, 2), PQgetvalue(result, i, 4), count - NAMES_SHOWN);
		else
			tell("%s: %ld passed over, %s: %s", name, count,
				 PQgetvalue(result, i, 2), PQgetvalue(result, i, 4));
		tell_more("%s: %s: %s", name, PQgetvalue(result, i, 2), PQgetvalue(result, i, 5));
	}
}

/* Load the list; false when it is not stored, with the reason said. */
static bool
load_list(PGconn *conn, Input *input, const char *valid_from)
{
	Problem		problem = {0};
	Buffer		text = {0};
	char		shown[12];
	PGresult   *result = NULL;
	bool		done = false;

	snprintf(shown, sizeof(shown), "%d", NAMES_SHOWN);
	if (input_read_all(input, &text, &problem))
	{
		if (strlen(text.data) != text.len)
			problem_set(&problem, 0, "contains a NUL byte");
		else
		{
			result = PQexecParams(conn, load_sql, 3, NULL,
								  (const char *[]) {text.data, valid_from, shown}, NULL, NULL, 0);
			done = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0;
			if (!done)
				take_refusal(&problem, result, conn);
		}
	}
	if (done)
		report_loaded(input->name, result);
	else
		complain_problem(input->name, &problem);
	PQclear(result);
	buffer_free(&text);
	problem_clear(&problem);
	return done;
}

int
main(int argc, char **argv)
{
	Options		options;
	Problem		problem = {0};
	Input		input = {0};
	PGconn	   *conn;
	bool		done;
	bool		lost;

	read_options(&options, argc, argv);
	report_init(options.quiet, options.verbose, false);
	if (!input_open(&input, options.file, &problem))
	{
		complain_problem(input.name, &problem);
		problem_clear(&problem);
		input_close(&input);
		return EXIT_SOME_FAILED;
	}
	conn = connect_to_server(&options.connection);
	if (conn == NULL)
	{
		input_close(&input);
		return EXIT_NO_CONNECTION;
	}
	done = load_list(conn, &input, options.valid_from);
	lost = PQstatus(conn) == CONNECTION_BAD;
	input_close(&input);
	PQfinish(conn);
	if (lost)
		return EXIT_NO_CONNECTION;
	return tell_finish() && done ? EXIT_SUCCESS : EXIT_SOME_FAILED;
}
