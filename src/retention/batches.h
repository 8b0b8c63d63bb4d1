/*-------------------------------------------------------------------------
 *
 * batches.h
 *	  Batches of rules 1, 3 and 4.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_BATCHES_H
#define AMELIA_BATCHES_H

#include "base/amelia.h"

#include "retention/round_state.h"
#include "retention/rules.h"

extern bool TraceBatch(RetentionRound *round, const Horizons *horizons);
extern bool EventBatch(RetentionRound *round, const Horizons *horizons);

#endif							/* AMELIA_BATCHES_H */
