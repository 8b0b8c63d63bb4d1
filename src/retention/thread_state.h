/*-------------------------------------------------------------------------
 *
 * thread_state.h
 *	  What LangGraph would read of the checkpoints that are kept.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_THREAD_STATE_H
#define AMELIA_THREAD_STATE_H

#include "base/amelia.h"

#include "utils/snapshot.h"

#include "retention/thread_rows.h"

extern void ReadStates(ThreadImage *image, HTAB *deltas, Snapshot snapshot);
extern void KeepTheSame(ThreadImage *image, const ThreadImage *other);
extern const char *FindDifference(const ThreadImage *before, const ThreadImage *after, HTAB *deltas);

#endif							/* AMELIA_THREAD_STATE_H */
