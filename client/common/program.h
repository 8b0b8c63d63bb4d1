/*-------------------------------------------------------------------------
 *
 * program.h
 *	  What the command lines of all client programs have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_PROGRAM_H
#define CLIENT_PROGRAM_H

#include <getopt.h>
#include <stdnoreturn.h>

#include "common/connect.h"

/* A program, by whose name and help it explains itself. */
typedef struct Program
{
	const char *name;
	const char *help;
	int			usage_status;	/* exit status of wrong usage */
}			Program;

/* --help, which has no letter that getopt() would not give for errors too. */
#define OPTION_HELP 255

#define COMMON_SHORT_OPTIONS "d:h:p:U:VwW?"
#define COMMON_LONG_OPTIONS \
	{"dbname", required_argument, NULL, 'd'}, \
	{"help", no_argument, NULL, OPTION_HELP}, \
	{"host", required_argument, NULL, 'h'}, \
	{"no-password", no_argument, NULL, 'w'}, \
	{"password", no_argument, NULL, 'W'}, \
	{"port", required_argument, NULL, 'p'}, \
	{"username", required_argument, NULL, 'U'}, \
	{"version", no_argument, NULL, 'V'}

#define VERSION_AND_HELP_OPTIONS \
"  -V, --version            show the version, then exit\n" \
"  -?, --help               show this help, then exit\n"
#define CONNECTION_OPTIONS(dbname) \
"Connection:\n" \
"  -d, --dbname=DBNAME      database, connection string or URI" dbname "\n" \
"  -h, --host=HOSTNAME      server's host or socket directory\n" \
"  -p, --port=PORT          server's port\n" \
"  -U, --username=NAME      user to connect as\n" \
"  -w, --no-password        never ask for a password\n" \
"  -W, --password           ask for a password before connecting\n"

extern noreturn void usage_error(const Program * program);
extern void common_option(const Program * program, Connection *connection,
						  int option, int argc, char **argv);
extern void check_connection_options(const Program * program, const Connection *connection);

#endif							/* CLIENT_PROGRAM_H */
