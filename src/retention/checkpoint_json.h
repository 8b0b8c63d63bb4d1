/*-------------------------------------------------------------------------
 *
 * checkpoint_json.h
 *	  What stands in the JSON of a checkpoint.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_CHECKPOINT_JSON_H
#define AMELIA_CHECKPOINT_JSON_H

#include "base/amelia.h"

#include "retention/thread_rows.h"

extern void ReadCheckpoint(ThreadImage *image, ImageRow *row, uint64 number, int checkpoint, int metadata);


#endif							/* AMELIA_CHECKPOINT_JSON_H */
