/*-------------------------------------------------------------------------
 *
 * round_state.h
 *	  What a round and its batches know of each other.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_ROUND_STATE_H
#define AMELIA_ROUND_STATE_H

#include "base/amelia.h"

#include "datatype/timestamp.h"
#include "storage/lock.h"
#include "utils/uuid.h"

typedef enum RetentionPhase
{
	PHASE_TRACES,				/* rule 1 */
	PHASE_CHECKPOINTS,			/* rule 2 */
	PHASE_EVENTS,				/* rules 3 and 4 */
	PHASE_ORPHANS,				/* threads of no workflow */
	PHASE_OLDER,				/* older checkpoints of threads that live on */
	PHASE_DONE
} RetentionPhase;

/* A place in the order of idx_workflows_finished; those without an end come last. */
typedef struct WorkflowPlace
{
	bool		undated;
	TimestampTz completed_at;
	pg_uuid_t	id;
} WorkflowPlace;

/* workflows to look at, and threads to delete, in a first batch */
#define FIRST_PEEK 20
#define FIRST_THREAD_LIMIT 200

typedef struct RetentionRound
{
	MemoryContext context;
	LOCKTAG		lock;
	int64		id;				/* in retention_runs */
	bool		thorough;
	bool		by_worker;
	char	   *held_back;		/* why it does nothing, or NULL */
	int64		batches_failed;

	RetentionPhase phase;
	bool		after_crash;	/* a process ended in a round before */
	bool		events_again;	/* in such a round: rules 3 and 4 were there */
	int64		events_touched; /* and touched so many */
	int64		touched;		/* workflows or orphan threads that the phase
								 * changed */
	int			failures_in_row;	/* batches that could not be made smaller */

	/* what the batch at hand has taken, in case that it fails */
	int			taken;
	WorkflowPlace place;		/* the phase has been through those up to here */
	WorkflowPlace next_place;
	char	   *thread;
	char	   *next_thread;
	int			singles;		/* so many are to be taken one by one, to find
								 * the bad one */
	bool		in_source;		/* the batch is at a checkpoint source */
	bool		in_rule_4;		/* the batch is deleting workflows */
	bool		spare_workflows;	/* rule 4 has given up */
	bool		is_changed;		/* something of those that are being taken was
								 * deleted */
	int32		sequence;		/* a workflow with many events has been
								 * deleted up to here */

	int			peek;			/* workflows to look at for one batch */
	int			thread_limit;	/* threads to delete in one batch */
	int			source;			/* checkpoint source, from 0 */
	int64		walked_us;		/* in vain, among its threads */

	/* what the batch at hand has deleted */
	int64		trace_events;
	int64		checkpoint_threads;
	int64		checkpoint_rows;
	int64		events;
	int64		workflows;
	int64		orphan_threads;
	int64		pruned_threads;
	int64		pruned_rows;
	int64		pruned_bytes;
	char	   *left_alone;		/* a thread that could not be pruned, and why */
} RetentionRound;

#endif							/* AMELIA_ROUND_STATE_H */
