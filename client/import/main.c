/*-------------------------------------------------------------------------
 *
 * main.c
 *	  amelia-import: from SQLite to PostgreSQL, with nothing lost.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

#include "import/import.h"

const char	program_name[] = "amelia-import";

static int
act(Source *source)
{
	if (import.action == DO_STATUS)
		return target_open(NULL, false) ? ledger_status() : STATUS_USAGE;
	if (!source_open(source))
		return db_interrupted ? STATUS_STOPPED : STATUS_USAGE;
	switch (import.action)
	{
		case DO_PLAN:
			return do_plan(source);
		case DO_VERIFY:
			return do_verify(source);
		case DO_ROLLBACK:
			return do_rollback(source);
		default:
			return do_load(source);
	}
}

int
main(int argc, char **argv)
{
	Source		source = {0};
	int			status;

	import_options(argc, argv);
	report_init(import.quiet, false, false);
	status = act(&source);
	target_close();
	source_close(&source);
	if (!tell_finish() && status == STATUS_DONE)
		status = STATUS_USAGE;
	return status;
}
