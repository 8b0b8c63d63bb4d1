/*-------------------------------------------------------------------------
 *
 * fence.h
 *	  Fencing: what a worker with a lost lease writes is refused.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_FENCE_H
#define AMELIA_FENCE_H

#include "amelia.h"

extern void FenceWorkflow(const pg_uuid_t *workflow, bool locked);

#endif							/* AMELIA_FENCE_H */
