/*-------------------------------------------------------------------------
 *
 * options.c
 *	  The command line.
 *
 * Letters mean what they mean in psql and pg_dump.
 *
 *-------------------------------------------------------------------------
 */
#include "load/options.h"

#include <stdlib.h>
#include <string.h>

#include "common/program.h"
#include "common/progress.h"
#include "load/format.h"

static const char help_text[] =
"amelia-load loads recorded agent runs into a database that has Amelia.\n"
"\n"
"Usage:\n"
"  amelia-load [OPTION]... FILE...\n"
"\n"
"A FILE named - is standard input.\n"
"\n"
"Input:\n"
"  -F, --format=FORMAT      traj (a run of SWE-agent or mini-swe-agent), jsonl\n"
"                           (an event per line), claude (Claude Code's sessions)\n"
"                           or otlp (traces of OpenTelemetry); default: by the\n"
"                           file's name, .traj or .traj.json, and by what is in\n"
"                           .json, .jsonl, .ndjson and standard input\n"
"      --create-workflows   make the workflows that lines name and that are not\n"
"                           there, instead of refusing the file\n"
"      --model=NAME         model of runs and spans that do not name theirs\n"
"                           (default: unknown)\n"
"  -n, --dry-run            only check the files; no database is needed\n"
"\n"
"Output:\n"
"  -P, --progress           show progress, also where there is no terminal\n"
"  -q, --quiet              say nothing but errors and warnings\n"
"  -v, --verbose            say more about each file\n"
VERSION_AND_HELP_OPTIONS
"\n"
CONNECTION_OPTIONS("")
"\n"
"Each file is one transaction. Loading a file again adds nothing. Exit status:\n"
"0 all files are there, 1 some are not, 2 no connection or connection lost,\n"
"3 wrong usage.\n";

static const Program program = {"amelia-load", help_text, EXIT_USAGE};

/* Fill in the options, or show help or what is wrong, and exit. */
void
options_read(Options *options, int argc, char **argv)
{
	enum
	{
		OPT_CREATE_WORKFLOWS = 256,
		OPT_MODEL
	};
	static const struct option long_options[] = {
		{"create-workflows", no_argument, NULL, OPT_CREATE_WORKFLOWS},
		{"dry-run", no_argument, NULL, 'n'},
		{"format", required_argument, NULL, 'F'},
		{"model", required_argument, NULL, OPT_MODEL},
		{"progress", no_argument, NULL, 'P'},
		{"quiet", no_argument, NULL, 'q'},
		{"verbose", no_argument, NULL, 'v'},
		COMMON_LONG_OPTIONS,
		{NULL, 0, NULL, 0}
	};
	int			standard_inputs = 0;
	int			c;

	memset(options, 0, sizeof(*options));
	options->model = "unknown";

	while ((c = getopt_long(argc, argv, "F:nPqv" COMMON_SHORT_OPTIONS,
							long_options, NULL)) != -1)
	{
		switch (c)
		{
			case 'F':
				options->format = format_called(optarg);
				if (options->format == FORMAT_UNKNOWN)
				{
					complain("unknown format \"%s\"; there are traj, jsonl, claude and otlp",
							 optarg);
					usage_error(&program);
				}
				break;
			case 'n':
				options->dry_run = true;
				break;
			case 'P':
				options->progress = true;
				break;
			case 'q':
				options->quiet = true;
				break;
			case 'v':
				options->verbose = true;
				break;
			case OPT_CREATE_WORKFLOWS:
				options->create_workflows = true;
				break;
			case OPT_MODEL:
				if (*optarg == '\0')
				{
					complain("--model needs a name");
					usage_error(&program);
				}
				options->model = optarg;
				break;
			default:
				common_option(&program, &options->connection, c, argc, argv);
		}
	}

	options->files = argv + optind;
	options->nfiles = argc - optind;
	if (options->nfiles == 0)
	{
		complain("no file to load");
		usage_error(&program);
	}
	check_connection_options(&program, &options->connection);
	if (options->quiet && options->verbose)
	{
		complain("-q and -v exclude each other");
		usage_error(&program);
	}
	for (int i = 0; i < options->nfiles; i++)
		standard_inputs += (strcmp(options->files[i], "-") == 0);
	if (standard_inputs > 1)
	{
		complain("standard input can be read once only");
		usage_error(&program);
	}
}
