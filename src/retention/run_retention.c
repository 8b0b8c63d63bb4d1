/*-------------------------------------------------------------------------
 *
 * run_retention.c
 *	  The procedure run_retention(): a round of retention in the caller's
 *	  session.
 *
 *	  Each batch runs in a subtransaction, so that one that fails can be
 *	  rolled back and noted, and is committed by itself.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"

#include "base/batch.h"
#include "base/check.h"
#include "base/execute.h"
#include "retention/round.h"
#include "retention/second_look.h"

PG_FUNCTION_INFO_V1(amelia_run_retention);

/* A batch, for TryBatch(). */
static bool
NextBatch(void *round)
{
	return RetentionBatch(round);
}

/*
 * All batches. Raises the error that ends the round before its time.
 */
static void
RunBatches(RetentionRound *round)
{
	ErrorData  *last_error = NULL;
	bool		more = true;

	while (more)
	{
		ErrorData  *error = TryBatch(NextBatch, round, &more);

		if (error == NULL)
			continue;
		more = RetentionBatchFailed(round, error);
		if (!more)
			RetentionRoundEnd(round, error->sqlerrcode == ERRCODE_QUERY_CANCELED ?
							  RETENTION_STOPPED : RETENTION_FAILED, error);
		SPI_commit();
		if (!more)
			ReThrowError(error);
		if (last_error != NULL)
			FreeErrorData(last_error);
		last_error = error;
	}
	RetentionRoundEnd(round, RETENTION_COMPLETED, NULL);
	SPI_commit();
	if (last_error != NULL)
		ereport(WARNING,
				(errcode(last_error->sqlerrcode),
				 errmsg_plural("%lld batch of retention failed and is left for the next run",
							   "%lld batches of retention failed and are left for the next run",
							   (unsigned long) RetentionBatchesFailed(round),
							   (long long) RetentionBatchesFailed(round)),
				 errdetail("The last error: %s", last_error->message),
				 errhint("See amelia.retention_runs.")));
}

/*
 * A notice for each rule.
 */
static void
ShowPreview(void)
{
	SPI_connect();
	RunSql("SELECT p.rule, COALESCE(p.workflows || ' workflows', p.threads || ' threads'),"
		   " p.row_count, p.bytes, p.waits_for"
		   " FROM amelia_internal.preview_retention() AS p", 0, NULL, NULL, true);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	tupdesc = SPI_tuptable->tupdesc;
		const char *waits_for = SPI_getvalue(row, tupdesc, 5);

		ereport(NOTICE,
				(errmsg("would delete %s: %s rows of %s, about %s bytes",
						SPI_getvalue(row, tupdesc, 1), SPI_getvalue(row, tupdesc, 3),
						SPI_getvalue(row, tupdesc, 2), SPI_getvalue(row, tupdesc, 4)),
				 waits_for == NULL ? 0 : errdetail("Waits: %s.", waits_for)));
	}
	SPI_finish();
}

/*
 * run_retention(dry_run boolean, held_back text), a procedure
 */
Datum
amelia_run_retention(PG_FUNCTION_ARGS)
{
	CallContext *call = (CallContext *) fcinfo->context;
	RetentionRound *round;
	int			other_pid;
	bool		confirmed;

	if (PG_ARGISNULL(0))
		RefuseMissing("dry_run");
	if (PG_ARGISNULL(1))
		RefuseMissing("held_back");
	confirmed = IsConfirmed(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	if (PG_GETARG_BOOL(0))
	{
		ShowPreview();
		PG_RETURN_VOID();
	}
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("retention cannot run on a standby")));
	if (call == NULL || !IsA(call, CallContext) || call->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("run_retention() cannot run inside a transaction block"),
				 errdetail("It commits batch by batch.")));

	SPI_connect_ext(SPI_OPT_NONATOMIC);
	/* A transaction that has no snapshot yet can be set up as we need it. */
	SPI_commit();
	round = RetentionRoundBegin(false, true, confirmed, &other_pid);
	if (round == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("retention is running already"),
				 errdetail("In process %d.", other_pid),
				 errhint("See amelia.retention_runs.")));
	PG_TRY();
	{
		SPI_commit();
		if (RetentionHeldBack(round) != NULL)
			ereport(WARNING,
					(errmsg("retention is held back: %s", RetentionHeldBack(round)),
					 errhint(SECOND_LOOK_HINT)));
		RunBatches(round);
	}
	PG_FINALLY();
	{
		RetentionRoundFree(round);
	}
	PG_END_TRY();
	SPI_finish();
	PG_RETURN_VOID();
}
