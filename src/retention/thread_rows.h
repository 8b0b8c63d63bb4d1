/*-------------------------------------------------------------------------
 *
 * thread_rows.h
 *	  What a LangGraph thread is made of.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_THREAD_ROWS_H
#define AMELIA_THREAD_ROWS_H

#include "base/amelia.h"

#include "utils/hsearch.h"

#include "retention/checkpoint.h"
#include "retention/names.h"

#define NO_ROW (-1)

/* The oldest format of checkpoints that reads what it is to send from its own row. */
#define FORMAT_WITH_SENDS 4
#define SENDS_CHANNEL "__pregel_tasks"

#define DIES(fate) ((fate) == ROW_GOES || (fate) == ROW_FOLDS)

/* A channel and the version of it that a checkpoint names. */
typedef struct ImageVersion
{
	int			channel;
	int			version;
} ImageVersion;

/* A value that stands in the checkpoint itself. */
typedef struct ImageValue
{
	int			channel;
	bool		is_null;
	bool		is_true;
} ImageValue;

typedef struct ImageParent
{
	int			ns;
	int			id;
} ImageParent;

typedef enum RowFate
{
	ROW_GOES,
	ROW_FOLDS,					/* goes; its writes to delta channels stay,
								 * with an ancestor */
	ROW_WAITS,					/* goes later, when there are too many */
	ROW_ANCHORS,				/* a kept one is made from it */
	ROW_KEPT
} RowFate;

typedef struct ImageRow
{
	int			space;			/* place among the namespaces */
	int			id;
	int			parent;
	int			parent_row;
	int			format;
	int			rank;			/* 1: the newest of its namespace */
	bool		is_fork;		/* by an update or a fork */
	bool		is_versioned;	/* no delta channel without a version was
								 * written to */
	bool		is_marked;		/* nobody may go on from it */
	bool		to_mark;
	bool		loses_parent;
	int			run;			/* NO_NAME: none is named */
	bool		is_of_runs;		/* made by a run that is to be forgotten */
	RowFate		fate;
	bool		is_target;		/* others fold to it */
	int			target;			/* of one that folds: the row that gets its
								 * writes */
	int			nversions;
	ImageVersion *versions;
	int			nvalues;
	ImageValue *values;
	int			nparents;
	ImageParent *parents;
	int			ncounters;
	int		   *counters;		/* channels */
	int64		size;
	uint64		hash;
	uint64		checkpoint_hash;	/* without the metadata */
} ImageRow;

/* The rows of a namespace stand together, oldest first. */
typedef struct ImageSpace
{
	int			name;
	int			family;			/* without the ids of tasks and counters */
	bool		is_task;
	int			first;
	int			count;
} ImageSpace;

typedef struct ImageBlob
{
	int			ns;
	int			channel;
	int			version;
	bool		is_empty;
	bool		is_snapshot;	/* of a delta channel */
	bool		is_needed;		/* by a row that stays */
	bool		is_named;		/* by a row that goes */
	bool		is_read;		/* its bytes count for the state of a kept row */
	int64		size;
	uint64		hash;
} ImageBlob;

typedef struct ImageWrite
{
	int			channel;
	int			task;			/* and its place there; only read for
								 * squashing */
	int			place;
	int64		size;
	uint64		hash;
	uint64		value_hash;		/* of what a delta channel takes from it */
} ImageWrite;

/* The writes to one checkpoint. */
typedef struct ImageGroup
{
	int			ns;
	int			id;
	bool		goes;
	bool		spares_sends;	/* all but what is to be sent goes */
	bool		is_read;
	int			first;
	int			count;
} ImageGroup;

typedef struct ThreadImage
{
	const CheckpointSource *source;
	const char *thread;
	NameTable  *names;
	Oid			collation;		/* of checkpoint ids */
	int64		memory_limit;

	int			nrows;
	int			room_rows;
	ImageRow   *rows;
	int			nspaces;
	int			room_spaces;
	ImageSpace *spaces;
	int			nblobs;
	int			room_blobs;
	ImageBlob  *blobs;
	int			ngroups;
	int			room_groups;
	ImageGroup *groups;
	int			nwrites;
	int			room_writes;
	ImageWrite *writes;
	HTAB	   *places;
} ThreadImage;


#endif							/* AMELIA_THREAD_ROWS_H */
