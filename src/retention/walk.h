/*-------------------------------------------------------------------------
 *
 * walk.h
 *	  The way of a round through the threads of LangGraph.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_WALK_H
#define AMELIA_WALK_H

#include "base/amelia.h"

#include "datatype/timestamp.h"

#include "retention/checkpoint.h"
#include "retention/round_state.h"

extern CheckpointSource *CurrentSource(RetentionRound *round, List *sources);
extern void NextSource(RetentionRound *round);
extern void ResumeWalk(RetentionRound *round, const CheckpointSource *source);
extern bool PauseWalk(RetentionRound *round, const CheckpointSource *source, TimestampTz begin,
					  bool found);
extern void EndWalk(RetentionRound *round, const CheckpointSource *source);

#endif							/* AMELIA_WALK_H */
