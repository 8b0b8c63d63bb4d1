/*-------------------------------------------------------------------------
 *
 * wait.h
 *	  Sessions that wait for events.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_WAIT_H
#define AMELIA_WAIT_H

#include "base/amelia.h"

#include "utils/uuid.h"

extern void InitWait(void);
extern void WakeWaiters(const pg_uuid_t *workflow);
extern bool AnyoneWaits(void);

#endif							/* AMELIA_WAIT_H */
