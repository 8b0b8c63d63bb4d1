/*-------------------------------------------------------------------------
 *
 * slot.h
 *	  Slots, which limit how many leases there are.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_SLOT_H
#define AMELIA_SLOT_H

#include "base/amelia.h"

extern bool HasFreeSlot(const char *profile, int32 limit);
extern int32 LockFreeSlot(const char *profile, int32 limit);
extern void UnlockSlot(const char *profile, int32 slot);

#endif							/* AMELIA_SLOT_H */
