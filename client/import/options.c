/*-------------------------------------------------------------------------
 *
 * options.c
 *	  The command line of amelia-import. Letters mean what they mean in psql.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "common/program.h"
#include "import/import.h"

Import		import;

static const char help_text[] =
"amelia-import moves a SQLite database into one that has Amelia, and proves it.\n"
"\n"
"Usage:\n"
"  amelia-import [OPTION]... SOURCE.db      load; again: go on, add what is new\n"
"  amelia-import --dry-run | --verify | --rollback | --status [OPTION]... SOURCE.db\n"
"\n"
"What to do:\n"
"  -n, --dry-run            say what a load would do, and write nothing\n"
"      --verify             compare the database with the source, row by row\n"
"      --rollback           take back what the last run brought\n"
"      --status             say what was loaded\n"
"      --delta              also update what changed in the source since\n"
"      --delete-gone        and delete what is gone from it\n"
"      --retry-rejects=FILE load rejected rows with the values that FILE gives\n"
"\n"
"How:\n"
"      --system=NAME        amelia, saga or platform (default: by its tables)\n"
"      --batch=ROWS         rows in a transaction (default 1000)\n"
"      --jobs=N             connections that load (default 1)\n"
"      --rejects=FILE       where rejected rows go (default SOURCE.rejects.ndjson)\n"
"      --max-rejects=N      go on with so many rejected rows (default 0; -1: any)\n"
"      --orphans=WHAT       reject, or null where the target allows that\n"
"      --invalid-json=WHAT  reject, or text: keep it as a JSON string\n"
"                           (default of both: as in the load before, else reject)\n"
"      --accept-unmapped    go on without tables and columns that are not mapped\n"
"      --run=N              the run that --rollback takes back\n"
"      --force              take back rows that have changed since, too\n"
"\n"
"Output:\n"
"      --progress=WHAT      auto (default), tty, json or none\n"
"      --report=FILE        write what happened as JSON\n"
"  -q, --quiet              say nothing but errors and warnings\n"
VERSION_AND_HELP_OPTIONS
"\n"
CONNECTION_OPTIONS("")
"\n"
"Exit status: 0 all is there and proved, 1 wrong usage or no connection, 2 done\n"
"with rejects, 3 there are differences, 4 stopped, and can be continued.\n";

static const Program program = {"amelia-import", help_text, STATUS_USAGE};

static long
number_of(const char *name, const char *text, long least, long most)
{
	char	   *end;
	long		number = strtol(text, &end, 10);

	if (end == text ||*end != '\0' || number < least || number > most)
	{
		complain("--%s must be a number from %ld to %ld, not \"%s\"", name, least, most, text);
		usage_error(&program);
	}
	return number;
}

/* The place of a word among those that an option knows, which end with NULL. */
static int
word_of(const char *name, const char *text, const char *const *words)
{
	for (int i = 0; words[i] != NULL; i++)
	{
		if (strcmp(words[i], text) == 0)
			return i;
	}
	complain("--%s does not know \"%s\"", name, text);
	usage_error(&program);
	return 0;
}

/* Whether that word was said for an option, which may not have been given. */
bool
option_is(const char *option, const char *word)
{
	return option != NULL && strcmp(option, word) == 0;
}

static void
set_action(Action action)
{
	if (import.action != DO_LOAD && import.action != action)
	{
		complain("--dry-run, --verify, --rollback and --status exclude each other");
		usage_error(&program);
	}
	import.action = action;
}

static void
check_options(int argc, char **argv)
{
	const char *stop = getenv("AMELIA_IMPORT_STOP_AFTER");

	if (optind < argc)
		import.path = argv[optind++];
	if (optind < argc)
	{
		complain("what is \"%s\"?", argv[optind]);
		usage_error(&program);
	}
	if (import.path == NULL && import.action != DO_STATUS)
	{
		complain("no SQLite database is named");
		usage_error(&program);
	}
	check_connection_options(&program, &import.connection);
	if (import.delete_gone && !import.delta)
	{
		complain("--delete-gone goes with --delta");
		usage_error(&program);
	}
	if (import.action != DO_LOAD && (import.delta || import.retry_path != NULL))
	{
		complain("--delta and --retry-rejects load, so they exclude --dry-run, --verify, --rollback and --status");
		usage_error(&program);
	}
	/* for tests of what is left by an end in the middle */
	if (stop != NULL)
		import.stop_after = number_of("stop-after", stop, 1, 1000000000);
}

void
import_options(int argc, char **argv)
{
	enum
	{
		OPT_BATCH = 256, OPT_DELETE_GONE, OPT_DELTA, OPT_FORCE, OPT_INVALID_JSON, OPT_JOBS, OPT_MAX_REJECTS,
		OPT_ORPHANS, OPT_PROGRESS, OPT_REJECTS, OPT_REPORT, OPT_RETRY, OPT_ROLLBACK, OPT_RUN, OPT_STATUS, OPT_SYSTEM,
		OPT_UNMAPPED, OPT_VERIFY
	};
	static const struct option long_options[] = {
		{"accept-unmapped", no_argument, NULL, OPT_UNMAPPED},
		{"batch", required_argument, NULL, OPT_BATCH},
		{"delete-gone", no_argument, NULL, OPT_DELETE_GONE},
		{"delta", no_argument, NULL, OPT_DELTA},
		{"dry-run", no_argument, NULL, 'n'},
		{"force", no_argument, NULL, OPT_FORCE},
		{"invalid-json", required_argument, NULL, OPT_INVALID_JSON},
		{"jobs", required_argument, NULL, OPT_JOBS},
		{"max-rejects", required_argument, NULL, OPT_MAX_REJECTS},
		{"orphans", required_argument, NULL, OPT_ORPHANS},
		{"progress", required_argument, NULL, OPT_PROGRESS},
		{"quiet", no_argument, NULL, 'q'},
		{"rejects", required_argument, NULL, OPT_REJECTS},
		{"report", required_argument, NULL, OPT_REPORT},
		{"retry-rejects", required_argument, NULL, OPT_RETRY},
		{"rollback", no_argument, NULL, OPT_ROLLBACK},
		{"run", required_argument, NULL, OPT_RUN},
		{"status", no_argument, NULL, OPT_STATUS},
		{"system", required_argument, NULL, OPT_SYSTEM},
		{"verify", no_argument, NULL, OPT_VERIFY},
		COMMON_LONG_OPTIONS,
		{NULL, 0, NULL, 0}
	};
	static const char *const orphans[] = {"reject", "null", NULL};
	static const char *const invalid[] = {"reject", "text", NULL};
	static const char *const progress[] = {"auto", "tty", "json", "none", NULL};
	int			c;

	memset(&import, 0, sizeof(import));
	import.batch = 1000;
	import.jobs = 1;
	while ((c = getopt_long(argc, argv, "nq" COMMON_SHORT_OPTIONS, long_options, NULL)) != -1)
	{
		switch (c)
		{
			case 'n':
				set_action(DO_PLAN);
				break;
			case 'q':
				import.quiet = true;
				break;
			case OPT_BATCH:
				import.batch = number_of("batch", optarg, 1, 1000000);
				break;
			case OPT_DELETE_GONE:
				import.delete_gone = true;
				break;
			case OPT_DELTA:
				import.delta = true;
				break;
			case OPT_FORCE:
				import.force = true;
				break;
			case OPT_INVALID_JSON:
				import.invalid_json = invalid[word_of("invalid-json", optarg, invalid)];
				break;
			case OPT_JOBS:
				import.jobs = number_of("jobs", optarg, 1, 64);
				break;
			case OPT_MAX_REJECTS:
				import.max_rejects = number_of("max-rejects", optarg, -1, 1000000000);
				break;
			case OPT_ORPHANS:
				import.orphans = orphans[word_of("orphans", optarg, orphans)];
				break;
			case OPT_PROGRESS:
				import.progress = (ProgressKind) word_of("progress", optarg, progress);
				break;
			case OPT_REJECTS:
				import.rejects_path = optarg;
				break;
			case OPT_REPORT:
				import.report_path = optarg;
				break;
			case OPT_RETRY:
				import.retry_path = optarg;
				break;
			case OPT_ROLLBACK:
				set_action(DO_ROLLBACK);
				break;
			case OPT_RUN:
				import.run = number_of("run", optarg, 1, 1000000000);
				break;
			case OPT_STATUS:
				set_action(DO_STATUS);
				break;
			case OPT_SYSTEM:
				import.system = optarg;
				break;
			case OPT_UNMAPPED:
				import.accept_unmapped = true;
				break;
			case OPT_VERIFY:
				set_action(DO_VERIFY);
				break;
			default:
				common_option(&program, &import.connection, c, argc, argv);
		}
	}
	check_options(argc, argv);
}
