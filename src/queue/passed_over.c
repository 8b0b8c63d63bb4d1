/*-------------------------------------------------------------------------
 *
 * passed_over.c
 *	  Workflows that cannot be moved.
 *
 *	  A row may refuse to be claimed, to be put to rest, or to be let back in
 *	  behind its worktree: by a CHECK or a trigger of an operator, or because a
 *	  number in it is at its end. Then it is passed over, so that it does not
 *	  stop those behind it. What it said is kept in claim_faults, and it
 *	  is looked at again after a while, which grows with each time.
 *
 *	  What is tried is tried in a subtransaction. A claim has one for all that
 *	  it does, and begins again when a row spoiled it.
 *
 *-------------------------------------------------------------------------
 */
#include "queue/passed_over.h"

#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "base/execute.h"
#include "base/row.h"
#include "base/sequence.h"
#include "base/table_owner.h"
#include "base/uuid.h"

/* Whoever else keeps it in mind at the moment is not waited for. */
static const char *const keep_query =
"INSERT INTO amelia.claim_faults AS f (workflow_id, failed_at, times, retry_at, sqlstate, reason)"
" SELECT w.id, clock_timestamp(), 1,"
"  clock_timestamp() + amelia_internal.retry_delay(1), $2, $3"
" FROM amelia.workflows AS w WHERE w.id = $1 FOR NO KEY UPDATE SKIP LOCKED"
" ON CONFLICT (workflow_id) DO UPDATE"
" SET failed_at = excluded.failed_at,"
"  times = CASE WHEN f.times < 1000 THEN f.times + 1 ELSE f.times END,"
"  retry_at = clock_timestamp() +"
"   amelia_internal.retry_delay(f.times + 1),"
"  sqlstate = excluded.sqlstate, reason = excluded.reason";

static const char *const forget_query =
"DELETE FROM amelia.claim_faults AS f WHERE f.workflow_id = $1";

/*
 * Whether what was raised may be the row's own fault. It is not when it is the
 * connection's, the server's or another session's: those would meet the
 * next row just so, and go away by themselves or with the operator's help.
 */
static bool
MayBeRowsFault(const ErrorData *fault)
{
	if (fault->elevel != ERROR)
		return false;
	switch (ERRCODE_TO_CATEGORY(fault->sqlerrcode))
	{
		case MAKE_SQLSTATE('0', '8', '0', '0', '0'):	/* connection */
		case MAKE_SQLSTATE('2', '5', '0', '0', '0'):	/* state of the
														 * transaction */
		case MAKE_SQLSTATE('4', '0', '0', '0', '0'):	/* serialization,
														 * deadlock */
		case MAKE_SQLSTATE('5', '3', '0', '0', '0'):	/* disk, memory, limits */
		case MAKE_SQLSTATE('5', '7', '0', '0', '0'):	/* cancel, shutdown */
		case MAKE_SQLSTATE('5', '8', '0', '0', '0'):	/* files */
			return false;
	}
	/* Our tables are not as they must be, which base/ says with their schema. */
	if (fault->sqlerrcode == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE &&
		fault->schema_name != NULL && strcmp(fault->schema_name, AMELIA_SCHEMA) == 0)
		return false;
	return fault->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE &&
		fault->sqlerrcode != ERRCODE_DATA_CORRUPTED &&
		fault->sqlerrcode != ERRCODE_INDEX_CORRUPTED;
}

/*
 * Whether it is a right that this caller has not: somebody else may have it.
 */
bool
IsCallersFault(const ErrorData *fault)
{
	return fault->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE;
}

/*
 * Do something to a row. NULL: it is done. What may be the row's own fault is
 * undone and returned, any other error goes on up.
 */
ErrorData *
TryWork(void (*work) (void *state), void *state)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile fault = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		work(state);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		fault = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
		if (!MayBeRowsFault(fault))
			ReThrowError(fault);
	}
	PG_END_TRY();
	return fault;
}

/*
 * Whether there may be workflows that are passed over: mostly the table has
 * not a single block.
 */
bool
MayBePassedOver(void)
{
	Relation	table = OpenTable("claim_faults", AccessShareLock);
	bool		result = RelationGetNumberOfBlocks(table) > 0;

	table_close(table, AccessShareLock);
	return result;
}

/*
 * Whether a workflow is passed over for now. is_kept: a fault of it is kept.
 */
bool
IsPassedOver(const pg_uuid_t *workflow, TimestampTz now, bool *is_kept)
{
	Relation	table = OpenTable("claim_faults", AccessShareLock);
	Relation	index = OpenIndex(table, "claim_faults_pkey", AccessShareLock);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	ScanKeyData key;
	bool		result = false;

	InitKey(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(workflow));
	*is_kept = FindLatestRow(table, index, &key, 1, slot);
	if (*is_kept)
		result = DatumGetTimestampTz(RowColumn(table, slot, "retry_at", TIMESTAMPTZOID, NULL)) > now;
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	table_close(table, AccessShareLock);
	return result;
}

/*
 * Run a statement on claim_faults as its owner: whoever may claim need not be
 * able to write it.
 */
static void
RunAsOwner(const char *query, int nargs, const Datum *values)
{
	static const Oid types[] = {UUIDOID, TEXTOID, TEXTOID};
	RestrictedContext before;

	SPI_connect();
	EnterRestricted(OneTableOwner(AMELIA_SCHEMA, OurTable("claim_faults")), &before);
	(void) RunSqlOnLatest(query, nargs, types, values);
	LeaveRestricted(&before);
	SPI_finish();
}

/*
 * Keep in mind why a workflow could not be moved, and say so.
 */
void
PassOver(const pg_uuid_t *workflow, const ErrorData *fault)
{
	const char *reason = fault->message != NULL ? fault->message : "no message";
	Datum		values[] = {
		UUIDPGetDatum(workflow),
		CStringGetTextDatum(unpack_sql_state(fault->sqlerrcode)),
		CStringGetTextDatum(reason)
	};

	RunAsOwner(keep_query, lengthof(values), values);
	ereport(WARNING,
			(errcode(fault->sqlerrcode),
			 errmsg("workflow %s is passed over: %s", UuidText(workflow), reason),
			 errhint("queue_status() shows it; it is looked at again later.")));
}

/*
 * A workflow that was passed over could be moved.
 */
void
ForgetFault(const pg_uuid_t *workflow)
{
	Datum		values[] = {UUIDPGetDatum(workflow)};

	RunAsOwner(forget_query, lengthof(values), values);
}
