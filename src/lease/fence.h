/*-------------------------------------------------------------------------
 *
 * fence.h
 *	  Fences: what a worker without the lease may not write.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_FENCE_H
#define AMELIA_FENCE_H

#include "base/amelia.h"

#include "access/htup.h"
#include "utils/uuid.h"

extern void FenceWorkflow(const pg_uuid_t *workflow, bool locked);
extern HeapTuple FenceRow(FunctionCallInfo fcinfo, const char *function, const char *name, Oid type,
						  void (*fence) (Datum value));

#endif							/* AMELIA_FENCE_H */
