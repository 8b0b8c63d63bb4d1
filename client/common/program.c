/*-------------------------------------------------------------------------
 *
 * program.c
 *	  The options that all client programs take: psql's for the connection,
 *	  the version, and help.
 *
 *-------------------------------------------------------------------------
 */
#include "common/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/progress.h"

/* Point at the help, and exit. */
void
usage_error(const Program * program)
{
	fprintf(stderr, "Try \"%s --help\" for more information.\n", program->name);
	exit(program->usage_status);
}

static noreturn void
show_help(const Program * program)
{
	fputs(program->help, stdout);
	exit(0);
}

/*
 * Take an option that is none of the program's own. Ends the program after the
 * version or help, and when there is no such option, as getopt() said already.
 */
void
common_option(const Program * program, Connection *connection, int option, int argc, char **argv)
{
	switch (option)
	{
		case 'd':
			connection->dbname = optarg;
			break;
		case 'h':
			connection->host = optarg;
			break;
		case 'p':
			connection->port = optarg;
			break;
		case 'U':
			connection->user = optarg;
			break;
		case 'V':
			printf("%s (Amelia) " AMELIA_VERSION "\n", program->name);
			exit(0);
		case 'w':
			connection->never_password = true;
			break;
		case 'W':
			connection->force_password = true;
			break;
		case OPTION_HELP:
			show_help(program);
		default:
			/* getopt says ? for whatever it does not know, too */
			if (optind <= argc && strcmp(argv[optind - 1], "-?") == 0)
				show_help(program);
			usage_error(program);
	}
}

/* To be called when all options are read. */
void
check_connection_options(const Program * program, const Connection *connection)
{
	if (connection->never_password && connection->force_password)
	{
		complain("-w and -W exclude each other");
		usage_error(program);
	}
}
