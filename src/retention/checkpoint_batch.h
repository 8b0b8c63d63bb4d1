/*-------------------------------------------------------------------------
 *
 * checkpoint_batch.h
 *	  Batches of rule 2, and of threads that belong to no workflow.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_CHECKPOINT_BATCH_H
#define AMELIA_CHECKPOINT_BATCH_H

#include "base/amelia.h"

#include "retention/round_state.h"
#include "retention/rules.h"

extern bool CheckpointBatch(RetentionRound *round, const Horizons *horizons);


#endif							/* AMELIA_CHECKPOINT_BATCH_H */
