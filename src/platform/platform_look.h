/*-------------------------------------------------------------------------
 *
 * platform_look.h
 *	  Rounds of maintenance that would take most of what there is.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_PLATFORM_LOOK_H
#define AMELIA_PLATFORM_LOOK_H

#include "base/amelia.h"

#define PLATFORM_LOOK_HINT \
	"If the clock is right, CALL amelia_platform.run_maintenance(held_back => 'delete')."

extern char *PlatformNeedsSecondLook(void);
extern char *PlatformHeldBack(void);

#endif							/* AMELIA_PLATFORM_LOOK_H */
