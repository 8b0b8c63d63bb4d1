/*-------------------------------------------------------------------------
 *
 * main.c
 *	  amelia-dashboard: what runs, what it says and costs, as pages that live.
 *
 * Threads: this one waits for signals and tidies up; the reader of the feed;
 * and one for each connection of a browser.
 *
 *-------------------------------------------------------------------------
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/program.h"
#include "common/progress.h"
#include "dashboard/assets.h"
#include "dashboard/http.h"
#include "dashboard/hub.h"
#include "dashboard/pool.h"
#include "dashboard/reader.h"
#include "dashboard/view.h"

#define DEFAULT_LISTEN "127.0.0.1:5488"
#define TIDY_SECONDS 5

const char	program_name[] = "amelia-dashboard";

static const char help_text[] =
"amelia-dashboard shows what agents do and cost, live, to whoever may see it.\n"
"\n"
"Usage:\n"
"  amelia-dashboard [OPTION]... [DBNAME]\n"
"\n"
"      --listen=ADDRESS:PORT  where browsers find it (default: " DEFAULT_LISTEN "; port 0: a free one)\n"
"      --role=NAME          nobody logs in: everybody who gets there is this role\n"
"      --proxy              a proxy that speaks TLS stands before it\n"
"      --name=HOST          with --role: the name under which it is served\n"
"      --idle=MINUTES       a session ends that nobody used for so long (default: 60)\n"
"      --connections=NUMBER to the database at most, besides the one that reads the feed (default: 10)\n"
"      --timeout=SECONDS    that a statement may take (default: 30)\n"
"  -v, --verbose            say more\n"
VERSION_AND_HELP_OPTIONS
"\n"
CONNECTION_OPTIONS("; DBNAME without -d")
"\n"
"The connection is what reads the feed; its role needs amelia.grant_reader(). People\n"
"log in with roles of their own, which the server must ask for a password.\n"
"\n"
"Exit status: 0 it was stopped, 1 it cannot listen, 2 no connection, 3 wrong usage.\n";

typedef struct Dashboard
{
	Connection	connection;
	HttpOptions http;
	const char *role;
	int			idle_minutes;
	int			connections;
	int			timeout_seconds;
	bool		verbose;
} Dashboard;

static const Program program = {"amelia-dashboard", help_text, EXIT_USAGE};

/* The number of an option, within its bounds; wrong usage otherwise. */
static int
read_number(const char *option, int lowest, int highest)
{
	char	   *end;
	long		number = strtol(optarg, &end, 10);

	if (end == optarg || *end != '\0' || number < lowest || number > highest)
	{
		complain("--%s must be a number from %d to %d, not \"%s\"", option, lowest, highest, optarg);
		usage_error(&program);
	}
	return (int) number;
}

static void
read_options(Dashboard *dashboard, int argc, char **argv)
{
	enum
	{
		OPT_LISTEN = 256,
		OPT_ROLE,
		OPT_PROXY,
		OPT_NAME,
		OPT_IDLE,
		OPT_CONNECTIONS,
		OPT_TIMEOUT
	};
	static const struct option long_options[] = {
		{"connections", required_argument, NULL, OPT_CONNECTIONS},
		{"idle", required_argument, NULL, OPT_IDLE},
		{"listen", required_argument, NULL, OPT_LISTEN},
		{"name", required_argument, NULL, OPT_NAME},
		{"proxy", no_argument, NULL, OPT_PROXY},
		{"role", required_argument, NULL, OPT_ROLE},
		{"timeout", required_argument, NULL, OPT_TIMEOUT},
		{"verbose", no_argument, NULL, 'v'},
		COMMON_LONG_OPTIONS,
		{NULL, 0, NULL, 0}
	};
	int			c;

	*dashboard = (Dashboard)
	{
		.http.listen = DEFAULT_LISTEN,.idle_minutes = 60,.connections = 10,.timeout_seconds = 30
	};
	while ((c = getopt_long(argc, argv, "v" COMMON_SHORT_OPTIONS, long_options, NULL)) != -1)
	{
		switch (c)
		{
			case OPT_LISTEN:
				dashboard->http.listen = optarg;
				break;
			case OPT_ROLE:
				dashboard->role = optarg;
				break;
			case OPT_PROXY:
				dashboard->http.proxy = true;
				break;
			case OPT_NAME:
				dashboard->http.name = optarg;
				break;
			case OPT_IDLE:
				dashboard->idle_minutes = read_number("idle", 1, 7 * 24 * 60);
				break;
			case OPT_CONNECTIONS:
				dashboard->connections = read_number("connections", 1, 1000);
				break;
			case OPT_TIMEOUT:
				dashboard->timeout_seconds = read_number("timeout", 1, 3600);
				break;
			case 'v':
				dashboard->verbose = true;
				break;
			default:
				common_option(&program, &dashboard->connection, c, argc, argv);
		}
	}
	if (optind < argc && dashboard->connection.dbname == NULL)
		dashboard->connection.dbname = argv[optind++];
	if (optind < argc)
	{
		complain("one database is enough: what is \"%s\"?", argv[optind]);
		usage_error(&program);
	}
	if (dashboard->role != NULL && dashboard->connection.user != NULL)
	{
		complain("--role and -U exclude each other: all connections are of that role");
		usage_error(&program);
	}
	check_connection_options(&program, &dashboard->connection);
}

/*
 * Who reads the feed, as libpq found it: connecting once tells whether it can,
 * and asks for a password on the terminal where one is needed.
 */
static Session *
own_session(Dashboard *dashboard)
{
	Connection	first = dashboard->connection;
	PGconn	   *conn;
	Session    *session;
	const char *password;

	if (dashboard->role != NULL)
		first.user = dashboard->role;
	conn = connect_to_server(&first);
	if (conn == NULL)
		exit(EXIT_NO_CONNECTION);
	if (dashboard->role != NULL && strcmp(PQuser(conn), dashboard->role) != 0)
	{
		complain("--role is \"%s\", and the connection string names \"%s\"", dashboard->role, PQuser(conn));
		exit(EXIT_USAGE);
	}
	password = PQpass(conn);
	session = session_begin(PQuser(conn), password != NULL && *password != '\0' ? password : NULL, true);
	PQfinish(conn);
	return session;
}

int
main(int argc, char **argv)
{
	Dashboard	dashboard;
	struct rlimit no_core = {0, 0};
	struct timespec pause = {.tv_sec = TIDY_SECONDS};
	sigset_t	signals;
	Session    *own;
	char		address[200];

	read_options(&dashboard, argc, argv);
	report_init(false, dashboard.verbose, false);
	setvbuf(stdout, NULL, _IOLBF, 0);

	/*
	 * Passwords are in memory: none of it goes to the disk, nor to a program
	 * that collects cores, nor to others of the same account.
	 */
	setrlimit(RLIMIT_CORE, &no_core);
	prctl(PR_SET_DUMPABLE, 0);
	own = own_session(&dashboard);
	if (dashboard.role != NULL)
		dashboard.http.own = own;

	/* Threads inherit what is blocked, so that this one gets all signals. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);

	assets_init();
	view_init(dashboard.timeout_seconds);
	pool_init(&dashboard.connection, dashboard.connections);
	hub_init();
	if (!http_start(&dashboard.http, address, sizeof(address)))
		return EXIT_SOME_FAILED;
	reader_start(own->role, own->password);
	tell("listening on %s", address);
	while (sigtimedwait(&signals, NULL, &pause) < 0)
	{
		pool_tidy();
		sessions_tidy((int64_t) dashboard.idle_minutes * 60 * 1000);
	}
	hub_stop();
	reader_stop();
	http_stop();
	sessions_tidy(-1);
	pool_close();
	return 0;
}
