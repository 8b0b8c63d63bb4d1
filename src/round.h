/*-------------------------------------------------------------------------
 *
 * round.h
 *	  The inside of a round of retention: the rules, and where it is.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_ROUND_H
#define AMELIA_ROUND_H

#include "retention.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "storage/lock.h"

/*
 * The rules, as conditions on a workflow w. An age is not computed but a
 * point in time compared, because 'infinity' cannot be subtracted from: it is
 * older than nothing. The times come from GetHorizons(); one that lies at
 * -infinity means never.
 */
#define ENDED_BEFORE(time) "(COALESCE(w.completed_at, w.updated_at) < " time ")"

/* A failed workflow can be resumed, for a while and as long as an attempt is due. */
#define NOT_TO_BE_RESUMED(recovery_before) \
	"(w.status <> 'failed' OR (" ENDED_BEFORE(recovery_before) \
	" AND (w.retry_at IS NULL OR w.failures >= w.max_failures)))"

#define FINISHED "w.status IN ('completed', 'failed', 'cancelled')"

#define DUE(horizon, recovery_before) \
	FINISHED " AND " ENDED_BEFORE(horizon) " AND " NOT_TO_BE_RESUMED(recovery_before)

/* The points in time that the settings stand for, at the transaction's start. */
typedef struct Horizons
{
	TimestampTz trace;
	TimestampTz checkpoint;
	TimestampTz log;
	TimestampTz orphan;
	TimestampTz recovery;
	TimestampTz grace;
	int32		max_workflows;
} Horizons;

typedef enum RetentionPhase
{
	PHASE_TRACES,				/* rule 1 */
	PHASE_CHECKPOINTS,			/* rule 2 */
	PHASE_EVENTS,				/* rules 3 and 4 */
	PHASE_ORPHANS,				/* threads of no workflow */
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

struct RetentionRound
{
	MemoryContext context;
	LOCKTAG		lock;
	int64		id;				/* in retention_runs */
	bool		thorough;
	int64		batches_failed;

	RetentionPhase phase;
	int64		touched;		/* workflows or orphan threads that the phase changed */
	int			failures_in_row;	/* batches that could not be made smaller */

	/* what the batch at hand has taken, in case that it fails */
	int			taken;
	WorkflowPlace place;		/* the phase has been through those up to here */
	WorkflowPlace next_place;
	char	   *thread;
	char	   *next_thread;
	int			singles;		/* so many are to be taken one by one, to find the bad one */
	bool		in_rule_4;		/* the batch is deleting workflows */
	bool		spare_workflows;	/* rule 4 has given up */
	bool		is_changed;		/* something of those that are being taken was deleted */
	int32		sequence;		/* a workflow with many events has been deleted up to here */

	int			peek;			/* workflows to look at for one batch */
	int			thread_limit;	/* threads to delete in one batch */
	int			source;			/* checkpoint source, from 0 */

	/* what the batch at hand has deleted */
	int64		trace_events;
	int64		checkpoint_threads;
	int64		checkpoint_rows;
	int64		events;
	int64		workflows;
	int64		orphan_threads;
};

/* rules.c */
extern void GetHorizons(Horizons *horizons);

/* retention.c */
extern bool TraceBatch(RetentionRound *round, const Horizons *horizons);
extern bool EventBatch(RetentionRound *round, const Horizons *horizons);

/* checkpoint.c */

#define PAGE_THREADS 1000

/* Whose a thread t is: that workflow's whose id is its name, and who linked it. */
#define THREAD_WORKFLOWS \
	"(SELECT CASE WHEN t.thread_id ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'" \
	" THEN t.thread_id::uuid END AS id" \
	" UNION SELECT l.workflow_id FROM amelia.workflow_threads AS l" \
	" WHERE l.thread_id = t.thread_id)"

/*
 * When the checkpoint with that id was made: a version-6 UUID counts units of
 * 100 ns since 1582. NULL for any other id.
 */
#define TIME_OF_ID(id) \
	"CASE WHEN " id " ~ '^[0-9a-f]{8}-[0-9a-f]{4}-6[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'" \
	" THEN to_timestamp(((('x0' || substr(" id ", 1, 8) || substr(" id ", 10, 4)" \
	" || substr(" id ", 16, 3))::bit(64)::bigint - 122192928000000000) / 10000000.0)::float8) END"

/*
 * The time that a checkpoint has as text, rounded up; NULL when it is none.
 * Written so that no text can make it fail: 30 February is 2 March.
 */
#define TIME_OF_TEXT(ts) \
	"CASE WHEN " ts " ~ ('^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])" \
	"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]+)?(Z|[+-][01][0-9]:[0-5][0-9])$')" \
	" THEN ((substr(" ts ", 1, 8) || '01')::date + (substr(" ts ", 9, 2)::integer - 1)" \
	" + substr(" ts ", 12, 8)::time + interval '1 s'" \
	" - CASE WHEN right(" ts ", 1) = 'Z' THEN interval '0'" \
	" ELSE right(" ts ", 6)::interval END) AT TIME ZONE 'UTC' END"

/* About how many bytes a row a of each of the tables takes in heap and TOAST. */
#define CHECKPOINT_SIZE "(200 + pg_column_size(a.checkpoint))"
#define BLOB_SIZE "(150 + COALESCE(pg_column_size(a.blob), 0))"
#define WRITE_SIZE "(200 + COALESCE(pg_column_size(a.blob), 0))"

/* LangGraph's tables in one schema. */
typedef struct CheckpointSource
{
	char	   *schema;
	Oid			owner;
	char	   *problem;		/* why they are left alone, or NULL */
	char	   *tables[3];		/* qualified and quoted: checkpoints, blobs, writes */
} CheckpointSource;

typedef struct ThreadPage
{
	int			count;			/* threads looked at */
	Datum		threads;		/* text[], in order; only if count > 0 */
	char	   *last;			/* the last of them, or of those that were taken */
} ThreadPage;

extern List *FindCheckpointSources(void);
extern bool CheckpointsAreReadable(List *sources);
extern void EnterSource(const CheckpointSource *source, RestrictedContext *before);
extern void ReadThreadPage(const CheckpointSource *source, const char *after, int limit,
						   ThreadPage *page);
extern Datum EmptyArray(Oid element);
extern int	ArrayCount(Datum array);
extern Datum DueThreads(List *sources, ThreadPage *page, const Horizons *horizons,
						int limit, bool lock, Datum *workflows);
extern Datum OrphanThreads(const CheckpointSource *source, ThreadPage *page,
						   const Horizons *horizons, int limit);
extern int64 DeleteThreads(const CheckpointSource *source, Datum threads);
extern Datum WorkflowsWithThreads(List *sources, Datum workflows);
extern void NextSource(RetentionRound *round);
extern bool CheckpointBatch(RetentionRound *round, const Horizons *horizons);

#endif							/* AMELIA_ROUND_H */
