/*-------------------------------------------------------------------------
 *
 * base.c
 *	  The room that all others stand on: its one init.
 *
 *-------------------------------------------------------------------------
 */
#include "base/base.h"

#include "base/door.h"
#include "base/sequence.h"
#include "base/settings.h"
#include "base/table_owner.h"

/*
 * Called once, when the library is loaded.
 */
void
InitBase(void)
{
	InitSettings();
	InitSequence();
	InitDoor();
	InitTableOwner();
}
