/*-------------------------------------------------------------------------
 *
 * prune_thread.c
 *	  Pruning one LangGraph thread.
 *
 *	  The thread is locked, so that nobody writes to it; read; what is not needed
 *	  is deleted; and it is read again. If what LangGraph would see of any
 *	  checkpoint that is kept is not what it was, all is rolled back, and so it is
 *	  when something else went wrong. A thread that somebody writes to, or
 *	  that a worker holds a lease on, is passed over: it is never waited for.
 *
 *	  The lock is one that the fence's trigger shares. Where there is no fence,
 *	  pruning must be forced, and then keeps all writers off the tables.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/prune_thread.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "base/execute.h"
#include "retention/delta_channels.h"
#include "retention/thread_image.h"
#include "retention/thread_lock.h"
#include "retention/thread_state.h"

/* Rows that one statement deletes. */
#define KEYS_AT_ONCE 10000

/* The keys of some rows, as arrays of text. */
typedef struct Keys
{
	int			columns;
	int			count;
	int			room;
	int64		rows;			/* that they stand for */
	Datum	   *texts[3];
} Keys;

/*
 * Whether all three tables of a source have the fence, and nobody can take it
 * away before the transaction ends.
 */
bool
HasFence(const CheckpointSource *source)
{
	static const Oid types[] = {NAMEOID};
	Datum		schema = DirectFunctionCall1(namein, CStringGetDatum(source->schema));
	RestrictedContext before;
	uint64		fenced;

	EnterSource(source, &before);
	fenced = RunSql("SELECT FROM pg_trigger AS t"
					" JOIN pg_class AS c ON c.oid = t.tgrelid"
					" JOIN pg_namespace AS n ON n.oid = c.relnamespace"
					" JOIN pg_proc AS p ON p.oid = t.tgfoid"
					" JOIN pg_namespace AS f ON f.oid = p.pronamespace"
					" WHERE n.nspname = $1 AND c.relname IN ('checkpoints', 'checkpoint_blobs', 'checkpoint_writes')"
					" AND t.tgname = 'zzz_amelia_fence' AND t.tgenabled IN ('O', 'A')"
					" AND p.proname = 'fence_thread' AND f.nspname = '" AMELIA_INTERNAL_SCHEMA "'",
					lengthof(types), types, &schema, false);
	LeaveRestricted(&before);
	return fenced == CHECKPOINT_TABLES;
}

/*
 * Whether a worker holds a lease on a workflow that the thread belongs to.
 * Read as the owner of Amelia's tables.
 */
static bool
IsUnderLease(const char *thread)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {TEXTOID};
	Datum		value = CStringGetTextDatum(thread);
	RestrictedContext before;

	EnterRestricted(TableOwner("workflow_leases"), &before);
	KeptPlan(&plan,
			 "SELECT FROM (SELECT $1 AS thread_id) AS t CROSS JOIN LATERAL " THREAD_WORKFLOWS " AS o"
			 " JOIN amelia.workflow_leases AS l ON l.workflow_id = o.id"
			 " WHERE l.expires_at > clock_timestamp()", lengthof(types), types);
	if (SPI_execute_plan(plan, &value, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read leases");
	LeaveRestricted(&before);
	return SPI_processed > 0;
}

/*
 * Keep everybody else from writing to the thread, to the end of the
 * (sub)transaction. Returns why that cannot be; NULL when it is done.
 */
static char *
HoldThread(const CheckpointSource *source, const char *thread, const PruneOptions *options,
		   bool *is_in_use)
{
	bool		fenced = HasFence(source);
	RestrictedContext before;

	if (!fenced && !options->force)
		return psprintf("there is no fence on the checkpoint tables in schema %s",
						quote_identifier(source->schema));
	*is_in_use = true;
	if (IsUnderLease(thread))
		return pstrdup("it is under a lease");
	if (options->dry_run)
		return NULL;
	if (!TryHoldThread(get_namespace_oid(source->schema, false), thread))
		return pstrdup("somebody writes to it");
	if (!fenced)
	{
		EnterSource(source, &before);
		RunSql(psprintf("LOCK TABLE ONLY %s, ONLY %s, ONLY %s IN SHARE ROW EXCLUSIVE MODE",
						source->tables[BLOBS], source->tables[CHECKPOINTS], source->tables[WRITES]),
			   0, NULL, NULL, false);
		LeaveRestricted(&before);
	}
	return NULL;
}

static void
AddKey(const ThreadImage *image, Keys *keys, int a, int b, int c, int64 rows)
{
	const int	names[] = {a, b, c};

	if (keys->count == keys->room)
	{
		keys->room = Max(keys->room * 2, 64);
		for (int i = 0; i < keys->columns; i++)
			keys->texts[i] = keys->texts[i] == NULL ? palloc(keys->room * sizeof(Datum)) :
				repalloc_huge(keys->texts[i], keys->room * sizeof(Datum));
	}
	for (int i = 0; i < keys->columns; i++)
		keys->texts[i][keys->count] = NameDatum(image->names, names[i]);
	keys->count++;
	keys->rows += rows;
}

/*
 * Run a statement for the keys, which are its parameters from the second on,
 * some at a time; 55000 unless it does something to as many rows as there
 * should be.
 */
static void
RunForKeys(const ThreadImage *image, const char *query, const Keys *keys)
{
	static const Oid types[] = {TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID};
	Datum		values[lengthof(types)];
	int64		rows = 0;

	values[0] = CStringGetTextDatum(image->thread);
	for (int first = 0; first < keys->count; first += KEYS_AT_ONCE)
	{
		int			count = Min(KEYS_AT_ONCE, keys->count - first);
		RestrictedContext before;

		for (int i = 0; i < keys->columns; i++)
			values[i + 1] = NameArray(&keys->texts[i][first], count);
		EnterSource(image->source, &before);
		rows += RunSqlOnLatest(query, keys->columns + 1, types, values);
		LeaveRestricted(&before);
	}
	if (rows != keys->rows)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%lld rows were to be changed, not %lld",
						(long long) keys->rows, (long long) rows),
				 errdetail("A trigger may have left some out, or somebody wrote past the fence.")));
}

/*
 * The same, with a query to which the table's name is yet to be put.
 */
#define RUN_FOR_KEYS(image, query, table, keys) \
	RunForKeys((image), psprintf((query), (image)->source->tables[table]), (keys))

#define CHECKPOINT_KEYS \
	" unnest($2, $3) AS k (ns, id) WHERE a.thread_id = $1 AND a.checkpoint_ns = k.ns AND a.checkpoint_id = k.id"

/*
 * Do what the plan says.
 */
static void
ExecutePlan(const ThreadImage *image)
{
	Keys		rows = {.columns = 2};
	Keys		orphans = {.columns = 2};
	Keys		blobs = {.columns = 3};
	Keys		writes = {.columns = 2};
	Keys		most_writes = {.columns = 2};
	int			sends = NameOf(image->names, SENDS_CHANNEL, strlen(SENDS_CHANNEL));

	for (int i = 0; i < image->nrows; i++)
	{
		const ImageRow *row = &image->rows[i];
		int			ns = image->spaces[row->space].name;

		if (row->fate == ROW_GOES)
			AddKey(image, &rows, ns, row->id, NO_NAME, 1);
		else if (row->loses_parent)
			AddKey(image, &orphans, ns, row->id, NO_NAME, 1);
	}
	for (int i = 0; i < image->nblobs; i++)
	{
		const ImageBlob *blob = &image->blobs[i];

		if (blob->is_named && !blob->is_needed)
			AddKey(image, &blobs, blob->ns, blob->channel, blob->version, 1);
	}
	for (int i = 0; i < image->ngroups; i++)
	{
		const ImageGroup *group = &image->groups[i];
		int			spared = 0;

		if (!group->goes)
			continue;
		for (int w = group->first; w < group->first + group->count; w++)
			spared += group->spares_sends && image->writes[w].channel == sends ? 1 : 0;
		AddKey(image, group->spares_sends ? &most_writes : &writes, group->ns, group->id, NO_NAME,
			   group->count - spared);
	}
	RUN_FOR_KEYS(image, "UPDATE ONLY %s AS a SET parent_checkpoint_id = NULL FROM" CHECKPOINT_KEYS,
				 CHECKPOINTS, &orphans);
	RUN_FOR_KEYS(image, "DELETE FROM ONLY %s AS a USING" CHECKPOINT_KEYS, CHECKPOINTS, &rows);
	RUN_FOR_KEYS(image, "DELETE FROM ONLY %s AS a USING unnest($2, $3, $4) AS k (ns, channel, version)"
				 " WHERE a.thread_id = $1 AND a.checkpoint_ns = k.ns AND a.channel = k.channel"
				 " AND a.version = k.version", BLOBS, &blobs);
	RUN_FOR_KEYS(image, "DELETE FROM ONLY %s AS a USING" CHECKPOINT_KEYS, WRITES, &writes);
	RUN_FOR_KEYS(image, "DELETE FROM ONLY %s AS a USING" CHECKPOINT_KEYS
				 " AND a.channel <> '" SENDS_CHANNEL "'", WRITES, &most_writes);
}

/*
 * Read the thread again, and raise XX000 unless what is kept reads as before.
 */
static void
Prove(const ThreadImage *before, HTAB *deltas)
{
	Snapshot	snapshot;
	ThreadImage *after;
	const char *id;

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	after = ReadThreadImage(before->source, before->thread, before->names, snapshot);
	KeepTheSame(after, before);
	ReadStates(after, deltas, snapshot);
	UnregisterSnapshot(snapshot);
	id = FindDifference(before, after, deltas);
	if (id != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("checkpoint \"%s\" would not be what it was", id),
				 errhint("Please report this. Nothing was deleted from the thread.")));
}

/*
 * Delete a thread with all that it has.
 */
static void
DeleteWhole(const CheckpointSource *source, const char *thread, bool dry_run, PrunePlan *done)
{
	static const char *const sizes[] = {CHECKPOINT_SIZE, BLOB_SIZE, WRITE_SIZE};
	static const Oid types[] = {TEXTOID};
	int64	   *const counts[] = {&done->checkpoints, &done->blobs, &done->writes};
	Datum		value = CStringGetTextDatum(thread);
	RestrictedContext before;

	EnterSource(source, &before);
	for (int i = 0; i < CHECKPOINT_TABLES; i++)
	{
		bool		is_null;

		RunSql(psprintf("SELECT count(*), COALESCE(sum(%s), 0)::bigint FROM ONLY %s AS a WHERE a.thread_id = $1",
						sizes[i], source->tables[i]), lengthof(types), types, &value, false);
		*counts[i] = DatumGetInt64(RowValue(0, 1, INT8OID, &is_null));
		done->bytes += DatumGetInt64(RowValue(0, 2, INT8OID, &is_null));
	}
	LeaveRestricted(&before);
	if (!dry_run)
		(void) DeleteThreads(source, NameArray(&value, 1));
}

/*
 * Prune a thread in one source. Returns why it was left alone, or NULL; done is
 * what was deleted, or would be. The caller is connected to SPI, and is ready for
 * an error, which then must roll back what was done.
 */
static char *
PruneThread(const CheckpointSource *source, const char *thread, const PruneOptions *options,
			PrunePlan *done, bool *is_in_use)
{
	MemoryContext context = AllocSetContextCreate(CurTransactionContext, "amelia thread",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext before;
	Snapshot	snapshot;
	ThreadImage *image;
	HTAB	   *deltas;
	char	   *problem;

	memset(done, 0, sizeof(PrunePlan));
	if (options->whole)
	{
		DeleteWhole(source, thread, options->dry_run, done);
		return NULL;
	}
	problem = options->dry_run && !options->exact ? NULL :
		HoldThread(source, thread, options, is_in_use);
	if (problem != NULL)
		return problem;
	*is_in_use = false;
	before = MemoryContextSwitchTo(context);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	image = ReadThreadImage(source, thread, MakeNames(), snapshot);
	deltas = FindDeltaChannels(image);
	PlanPruning(image, deltas, options->keep, options->limit, done);
	if (!options->dry_run && done->checkpoints + done->blobs + done->writes > 0)
	{
		ReadStates(image, deltas, snapshot);
		UnregisterSnapshot(snapshot);
		ExecutePlan(image);
		Prove(image, deltas);
	}
	else
		UnregisterSnapshot(snapshot);
	MemoryContextSwitchTo(before);
	MemoryContextDelete(context);
	return NULL;
}

/*
 * The same in a subtransaction: an error is why the thread was left alone,
 * unless it is not about the thread. is_in_use: it is only in use for now.
 */
char *
TryPruneThread(const CheckpointSource *source, const char *thread, const PruneOptions *options,
			   PrunePlan *done, bool *is_in_use)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	char	   *volatile problem = NULL;

	*is_in_use = false;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		problem = PruneThread(source, thread, options, done, is_in_use);
		/* What was locked for nothing is given back. */
		if (problem != NULL || options->dry_run)
			RollbackAndReleaseCurrentSubTransaction();
		else
			ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData  *error;
		int			category;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			category == ERRCODE_INSUFFICIENT_RESOURCES ||
			category == ERRCODE_OPERATOR_INTERVENTION || category == ERRCODE_SYSTEM_ERROR)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		memset(done, 0, sizeof(PrunePlan));
		problem = error->message;
	}
	PG_END_TRY();
	return problem;
}
