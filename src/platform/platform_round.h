/*-------------------------------------------------------------------------
 *
 * platform_round.h
 *	  Maintenance of amelia_platform.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_PLATFORM_ROUND_H
#define AMELIA_PLATFORM_ROUND_H

#include "base/amelia.h"

extern bool PlatformBatch(int *phase);

#endif							/* AMELIA_PLATFORM_ROUND_H */
