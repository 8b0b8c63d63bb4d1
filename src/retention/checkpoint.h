/*-------------------------------------------------------------------------
 *
 * checkpoint.h
 *	  LangGraph's tables and their threads.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_CHECKPOINT_H
#define AMELIA_CHECKPOINT_H

#include "base/amelia.h"

#include "nodes/pg_list.h"

#include "base/execute.h"
#include "retention/checkpoint_shape.h"
#include "retention/rules.h"

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
	char	   *tables[CHECKPOINT_TABLES];	/* qualified and quoted:
											 * checkpoints, blobs, writes */
} CheckpointSource;

typedef struct ThreadPage
{
	int			count;			/* threads looked at */
	Datum		threads;		/* text[], in order; only if count > 0 */
	char	   *last;			/* the last of them, or of those that were
								 * taken */
} ThreadPage;

extern List *FindCheckpointSources(void);
extern List *UsableSources(void);
extern char *PruningProblem(const CheckpointSource *source);
extern bool CheckpointsAreReadable(List *sources);
extern void EnterSource(const CheckpointSource *source, RestrictedContext *before);
extern void ReadThreadPage(const CheckpointSource *source, const char *after, int limit,
						   ThreadPage *page);
extern Datum EmptyArray(Oid element);
extern int	ArrayCount(Datum array);
extern bool HoldsText(Datum array, Datum wanted);
extern Datum DueThreads(List *sources, ThreadPage *page, const Horizons *horizons,
						int limit, bool lock, Datum *workflows);
extern Datum OrphanThreads(const CheckpointSource *source, ThreadPage *page,
						   const Horizons *horizons, int limit);
extern int64 DeleteThreads(const CheckpointSource *source, Datum threads);
extern void FireTriggersAtOnce(void);
extern Datum WorkflowsWithThreads(List *sources, Datum workflows);

#endif							/* AMELIA_CHECKPOINT_H */
