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

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/execute.h"
#include "base/table_owner.h"
#include "retention/delta_channels.h"
#include "retention/prune_execute.h"
#include "retention/thread_image.h"
#include "retention/thread_lock.h"
#include "retention/thread_state.h"

/* Whether a trigger of a table is the fence, and fires for all rows. */
static bool
IsFence(const Trigger *trigger, Oid function)
{
	return strcmp(trigger->tgname, "zzz_amelia_fence") == 0 && trigger->tgfoid == function &&
		(trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN || trigger->tgenabled == TRIGGER_FIRES_ALWAYS) &&
		trigger->tgtype == (TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT |
							TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE) &&
		trigger->tgnattr == 0 && trigger->tgqual == NULL;
}

/*
 * Whether all three tables of a source have the fence. hold: as now, so to the
 * end of the (sub)transaction, because nobody can switch a trigger off.
 */
bool
HasFence(const CheckpointSource *source, bool hold)
{
	RestrictedContext before;
	Oid			schema;
	Oid			function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum("fence_thread"),
										   PointerGetDatum(buildoidvector(NULL, 0)),
										   ObjectIdGetDatum(get_namespace_oid(AMELIA_INTERNAL_SCHEMA, true)));
	int			fenced = 0;

	EnterSource(source, &before);
	schema = get_namespace_oid(source->schema, false);
	for (int i = 0; i < CHECKPOINT_TABLES; i++)
	{
		Relation	table = table_open(get_relname_relid(amelia_checkpoint_tables[i], schema),
									   hold ? RowExclusiveLock : AccessShareLock);
		bool		found = false;

		for (int t = 0; table->trigdesc != NULL && t < table->trigdesc->numtriggers; t++)
			found |= IsFence(&table->trigdesc->triggers[t], function);
		fenced += found ? 1 : 0;
		table_close(table, NoLock);
	}
	LeaveRestricted(&before);
	return OidIsValid(function) && fenced == CHECKPOINT_TABLES;
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
	uint64		leases;

	EnterRestricted(TableOwner("workflow_leases"), &before);
	KeptPlan(&plan,
			 "SELECT FROM (SELECT $1 AS thread_id) AS t CROSS JOIN LATERAL " THREAD_WORKFLOWS " AS o"
			 " JOIN amelia.workflow_leases AS l ON l.workflow_id = o.id"
			 " WHERE l.expires_at > clock_timestamp()", lengthof(types), types);
	leases = RunPlanOnLatest(plan, &value);
	SPI_freetuptable(SPI_tuptable);
	LeaveRestricted(&before);
	return leases > 0;
}

/*
 * Keep everybody else from writing to the thread, to the end of the
 * (sub)transaction. Returns why that cannot be; NULL when it is done.
 */
static char *
HoldThread(const CheckpointSource *source, const char *thread, const PruneOptions *options,
		   bool *is_in_use)
{
	bool		fenced = HasFence(source, !options->dry_run);
	RestrictedContext before;

	if (!fenced && !options->force)
		return psprintf("there is no fence on the checkpoint tables in schema %s",
						quote_identifier(source->schema));
	*is_in_use = true;
	if (IsUnderLease(thread))
		return pstrdup("it is under a lease");
	if (options->dry_run)
		return NULL;
	if (!CanHoldThread())
		return pstrdup("this transaction holds the locks of too many threads: prune it in another one");
	if (!fenced)
	{
		EnterSource(source, &before);
		RunSql(psprintf("LOCK TABLE ONLY %s, ONLY %s, ONLY %s IN SHARE ROW EXCLUSIVE MODE",
						source->tables[BLOBS], source->tables[CHECKPOINTS], source->tables[WRITES]),
			   0, NULL, NULL, false);
		LeaveRestricted(&before);
	}
	if (!TryHoldThread(get_namespace_oid(source->schema, false), thread))
		return pstrdup("somebody writes to it");
	return NULL;
}

/*
 * Read the thread again, and raise XX000 unless what is kept reads as before.
 */
static void
Prove(const ThreadImage *before, HTAB *deltas, const PrunePlan *done)
{
	Snapshot	snapshot;
	ThreadImage *after;
	const char *id;

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	after = ReadThreadImage(before->source, before->thread, before->names, false, snapshot);
	/* Who prunes step by step would never be through. */
	if (after->nrows + done->checkpoints > before->nrows)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("of %lld checkpoints that were deleted, %lld came back",
						(long long) done->checkpoints,
						(long long) (after->nrows + done->checkpoints - before->nrows)),
				 errdetail("A trigger may have put them back.")));
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
 * Find what the runs made.
 */
static void
FindRuns(ThreadImage *image, const PruneOptions *options)
{
	for (int r = 0; r < options->nruns; r++)
	{
		char	   *id = TextDatumGetCString(options->runs[r]);
		int			run = NameOf(image->names, id, strlen(id));

		for (int i = 0; i < image->nrows; i++)
		{
			CHECK_FOR_INTERRUPTS();
			image->rows[i].is_of_runs |= image->rows[i].run == run;
		}
	}
}

/*
 * Whether a namespace that lasts would end in a checkpoint that nobody may go on
 * from; what to say of it, or NULL.
 */
static char *
FindMarkedEnd(const ThreadImage *image)
{
	for (int s = 0; s < image->nspaces; s++)
	{
		const ImageSpace *space = &image->spaces[s];
		int			at = space->first + space->count - 1;

		while (at >= space->first && DIES(image->rows[at].fate))
			at--;
		if (at >= space->first && !space->is_task && at < space->first + space->count - 1 &&
			(image->rows[at].is_marked || image->rows[at].to_mark))
			return psprintf("checkpoint \"%s\" would be the newest, and is only there for what is to go",
							image->names->texts[image->rows[at].id]);
	}
	return NULL;
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
	Snapshot	snapshot;
	ThreadImage *image;
	HTAB	   *deltas;
	char	   *problem;
	PruneRules	rules = {
		.keep = options->keep,.of_runs = options->runs != NULL,
		.squash = options->squash,.limit = options->limit
	};

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
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	image = ReadThreadImage(source, thread, MakeNames(), options->squash, snapshot);
	deltas = FindDeltaChannels(image);
	if (options->runs != NULL)
		FindRuns(image, options);
	PlanPruning(image, deltas, &rules, done);
	if (options->runs != NULL)
		problem = FindMarkedEnd(image);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("%s", problem)));
	if (!options->dry_run && done->checkpoints + done->blobs + done->writes > 0)
	{
		instr_time	times[4];

		INSTR_TIME_SET_CURRENT(times[0]);
		ReadStates(image, deltas, snapshot);
		UnregisterSnapshot(snapshot);
		INSTR_TIME_SET_CURRENT(times[1]);
		ExecutePlan(image, deltas);
		INSTR_TIME_SET_CURRENT(times[2]);
		Prove(image, deltas, done);
		INSTR_TIME_SET_CURRENT(times[3]);
		for (int i = 3; i > 0; i--)
			INSTR_TIME_SUBTRACT(times[i], times[i - 1]);
		ereport(DEBUG1,
				(errmsg_internal("thread \"%s\": changes took %.3f ms, their proof %.3f ms", thread,
								 INSTR_TIME_GET_MILLISEC(times[2]),
								 INSTR_TIME_GET_MILLISEC(times[1]) + INSTR_TIME_GET_MILLISEC(times[3]))));
	}
	else
		UnregisterSnapshot(snapshot);
	return NULL;
}

/*
 * The same in a subtransaction, and in memory that is given back at its end:
 * an error is why the thread was left alone, unless it is not about the thread.
 * is_in_use: it is only in use for now.
 */
char *
TryPruneThread(const CheckpointSource *source, const char *thread, const PruneOptions *options,
			   PrunePlan *done, bool *is_in_use)
{
	MemoryContext before = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(before, "amelia thread", ALLOCSET_DEFAULT_SIZES);
	ResourceOwner owner = CurrentResourceOwner;
	char	   *volatile problem = NULL;
	bool		changed = false;

	*is_in_use = false;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		problem = PruneThread(source, thread, options, done, is_in_use);
		changed = problem == NULL && !options->dry_run && done->checkpoints + done->blobs + done->writes > 0;
		/* What was locked for nothing is given back. */
		if (changed)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (changed && !options->whole)
			NoteHeldThread();
	}
	PG_CATCH();
	{
		ErrorData  *error;
		int			category;

		TrustRows(false);
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		/* A thread that is too large is no fault of the server's. */
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			(category == ERRCODE_INSUFFICIENT_RESOURCES &&
			 error->sqlerrcode != ERRCODE_CONFIGURATION_LIMIT_EXCEEDED) ||
			category == ERRCODE_OPERATOR_INTERVENTION || category == ERRCODE_SYSTEM_ERROR)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		memset(done, 0, sizeof(PrunePlan));
		*is_in_use = error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
			category == ERRCODE_TRANSACTION_ROLLBACK;
		problem = error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ?
			pstrdup("somebody holds a lock on what is to go") : error->message;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(before);
	if (problem != NULL)
		problem = pstrdup(problem);
	MemoryContextDelete(context);
	return problem;
}
