/*-------------------------------------------------------------------------
 *
 * batch.h
 *	  Batches of a procedure, each of which commits.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_BATCH_H
#define AMELIA_BATCH_H

#include "base/amelia.h"

/* Does a batch, and returns whether there may be more. */
typedef bool (*Batch) (void *arg);

extern ErrorData *TryBatch(Batch batch, void *arg, bool *more);

#endif							/* AMELIA_BATCH_H */
