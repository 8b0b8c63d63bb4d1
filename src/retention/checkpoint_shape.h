/*-------------------------------------------------------------------------
 *
 * checkpoint_shape.h
 *	  The tables of LangGraph's savers, as far as we know them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_CHECKPOINT_SHAPE_H
#define AMELIA_CHECKPOINT_SHAPE_H

/* LangGraph's tables. */
enum
{
	CHECKPOINTS, BLOBS, WRITES, CHECKPOINT_TABLES
};

/* A field of the metadata of a checkpoint that is only there for others' sake. */
#define ANCHOR_MARK "amelia_anchor"

extern const char *const amelia_checkpoint_tables[CHECKPOINT_TABLES];

extern void CheckCheckpointColumns(int table, Oid relation);
extern bool IsRecentCheckpoint(const char *id);
extern char *PrunedColumnsProblem(int table, Oid relation);

#endif							/* AMELIA_CHECKPOINT_SHAPE_H */
