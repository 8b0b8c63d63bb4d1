/*-------------------------------------------------------------------------
 *
 * init.c
 *	  The library's entry: the magic block, and one init for each room.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "miscadmin.h"
#include "utils/guc.h"

#include "base/base.h"
#include "usage/usage_days.h"
#include "lease/lease.h"
#include "feed/feed.h"
#include "background/launcher.h"
#include "platform/platform.h"

COMPAT_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	InitBase();
	InitUsage();
	InitLease();
	InitFeed();
	InitPlatform();
	/* When all are known: what was set before and is not would be dropped. */
	MarkGUCPrefixReserved("amelia");

	/* Nothing may happen by itself while pg_upgrade is at work. */
	if (process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
		InitBackground();
}
