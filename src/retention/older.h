/*-------------------------------------------------------------------------
 *
 * older.h
 *	  Older checkpoints of LangGraph threads that live on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_OLDER_H
#define AMELIA_OLDER_H

#include "base/amelia.h"

#include "retention/checkpoint.h"
#include "retention/round_state.h"
#include "retention/rules.h"

extern Datum IdleThreads(const CheckpointSource *source, Datum threads, const Horizons *horizons,
						 Datum *squash);
extern bool OlderBatch(RetentionRound *round, const Horizons *horizons);


#endif							/* AMELIA_OLDER_H */
