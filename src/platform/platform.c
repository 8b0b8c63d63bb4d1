/*-------------------------------------------------------------------------
 *
 * platform.c
 *	  What amelia_platform needs in C: sessions that wait for messages, and
 *	  maintenance in batches that commit one by one. The rest is SQL.
 *
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include "background/other_rounds.h"
#include "platform/message_wait.h"
#include "platform/platform_look.h"
#include "platform/platform_owner.h"
#include "platform/platform_round.h"

/*
 * Called once, when the library is loaded.
 */
void
InitPlatform(void)
{
	InitMessageWait();
	AddMaintenance(PLATFORM_EXTENSION, PlatformBatch, PlatformHeldBack);
}
