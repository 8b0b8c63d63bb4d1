/*-------------------------------------------------------------------------
 *
 * amelia.c
 *	  The library's entry: the magic block, and one init per file that
 *	  needs one.
 *
 *-------------------------------------------------------------------------
 */
#include "amelia.h"

#include "feed.h"
#include "worker.h"

COMPAT_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	InitSequence();
	InitWorker();
	InitFeed();
	InitWait();
}
