/*-------------------------------------------------------------------------
 *
 * platform_owner.h
 *	  Whose tables amelia_platform's are.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_PLATFORM_OWNER_H
#define AMELIA_PLATFORM_OWNER_H

#include "base/amelia.h"

#define PLATFORM_EXTENSION "amelia_platform"

extern Oid	PlatformOwner(void);

#endif							/* AMELIA_PLATFORM_OWNER_H */
