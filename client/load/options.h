/*-------------------------------------------------------------------------
 *
 * options.h
 *	  amelia-load's command line.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include <stdbool.h>

#include "common/connect.h"
#include "load/format.h"

typedef struct Options
{
	Connection	connection;
	const char *model;			/* of runs that do not name theirs */
	Format		format;
	bool		create_workflows;
	bool		dry_run;
	bool		quiet;
	bool		verbose;
	bool		progress;
	char	  **files;
	int			nfiles;
} Options;

extern void options_read(Options *options, int argc, char **argv);

#endif							/* CLIENT_OPTIONS_H */
