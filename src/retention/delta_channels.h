/*-------------------------------------------------------------------------
 *
 * delta_channels.h
 *	  Channels whose state is made from the writes to earlier checkpoints.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_DELTA_CHANNELS_H
#define AMELIA_DELTA_CHANNELS_H

#include "base/amelia.h"

#include "retention/thread_rows.h"

/* A channel of a graph. */
typedef struct DeltaKey
{
	int			family;
	int			channel;
} DeltaKey;

extern HTAB *FindDeltaChannels(const ThreadImage *image);
extern bool IsDelta(HTAB *deltas, int family, int channel);
extern bool IsMadeFromAncestors(const ThreadImage *image, const ImageRow *row, int channel);
extern int *DeltasOf(const ThreadImage *image, HTAB *deltas, const ImageRow *row, int *count);
extern bool HasWrites(const ThreadImage *image, const ImageRow *row, int channel);
extern bool HoldsValue(const ThreadImage *image, const ImageRow *row, int channel);
extern int	VersionOf(const ImageRow *row, int channel);

#endif							/* AMELIA_DELTA_CHANNELS_H */
