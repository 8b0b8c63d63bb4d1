/*-------------------------------------------------------------------------
 *
 * platform.h
 *	  amelia_platform: agents, their tasks and messages.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_PLATFORM_H
#define AMELIA_PLATFORM_H

#include "base/amelia.h"

extern void InitPlatform(void);

#endif							/* AMELIA_PLATFORM_H */
