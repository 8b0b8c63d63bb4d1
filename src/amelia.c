/*-------------------------------------------------------------------------
 *
 * amelia.c
 *	  The library's entry: the magic block, and one init per file that
 *	  needs one.
 *
 *-------------------------------------------------------------------------
 */
#include "amelia.h"

#include "miscadmin.h"
#include "utils/guc.h"

#include "event.h"
#include "feed.h"
#include "lease.h"
#include "move.h"
#include "worker.h"

COMPAT_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	InitSettings();
	InitSequence();
	InitInsert();
	InitUsage();
	InitWorker();
	InitLease();
	InitFeed();
	InitNotify();
	InitWait();
	InitMove();
	/* When all are known: what was set before and is not would be dropped. */
	MarkGUCPrefixReserved("amelia");

	/* Last: what is set and not defined by now is dropped. */
	MarkGUCPrefixReserved("amelia");

	/* Nothing may happen by itself while pg_upgrade is at work. */
	if (process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
	{
		InitWorkerState();
		InitLauncher();
	}
}
