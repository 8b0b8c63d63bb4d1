/*-------------------------------------------------------------------------
 *
 * platform_round.c
 *	  Maintenance of amelia_platform: agents, tasks and messages whose time
 *	  has run out, and what is old.
 *
 *	  What there is to do is SQL, platform_maintain(): a batch of a phase
 *	  each time, in a transaction of its own, as the owner of the tables and
 *	  in a restricted operation, because triggers of users run. A row that
 *	  refuses is passed over there. The maintenance worker does it in its
 *	  round, and whoever calls run_maintenance() in their session.
 *
 *	  What cannot be taken back, deleting and letting messages expire, comes
 *	  behind a second look (platform_look.c), and only if that went well.
 *
 *-------------------------------------------------------------------------
 */
#include "platform/platform_round.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "base/batch.h"
#include "base/check.h"
#include "base/execute.h"
#include "base/uuid.h"
#include "platform/platform_look.h"
#include "platform/platform_owner.h"
#include "retention/second_look.h"

PG_FUNCTION_INFO_V1(amelia_platform_run_maintenance);

/* Rows in a batch, and batches of a phase in a round, lest a trigger that undoes them keeps it for ever. */
#define BATCH_ROWS 500
#define MAX_BATCHES 2000
/* The phases are those of platform_sweep(), but for the second look, and the last one, which ends the round. */
#define LOOK_PHASE 3
#define LAST_PHASE 9

/* A round that somebody called for. */
typedef struct CalledRound
{
	int			phase;
	bool		confirmed;		/* the second look was somebody's own */
} CalledRound;

/*
 * The second look, and what comes of it: whether the round may go on to what
 * cannot be taken back.
 */
static bool
LookAgain(const pg_uuid_t *round, bool by_hand)
{
	static const Oid types[] = {UUIDOID, TEXTOID};
	char	   *reason = PlatformNeedsSecondLook();
	Datum		values[2];
	bool		is_null;

	if (reason == NULL)
		return true;
	values[0] = UUIDPGetDatum(round);
	values[1] = CStringGetTextDatum(reason);
	RunSql("SELECT amelia_internal.platform_hold_back($1, $2)", lengthof(types), types, values, false);
	/* The worker says so once, for as long as that lasts. */
	if (DatumGetBool(RowValue(0, 1, BOOLOID, &is_null)) || by_hand)
		ereport(WARNING,
				(errmsg("maintenance of amelia_platform is held back: %s", reason),
				 errhint(PLATFORM_LOOK_HINT)));
	return false;
}

/*
 * One batch, in the transaction that is open, which should do nothing else.
 * Counts the phase up when there is no more of it; false behind the last one.
 */
static bool
DoBatch(int *phase, bool by_hand, bool confirmed)
{
	static const Oid types[] = {UUIDOID, INT4OID, INT4OID};
	static const Oid end_types[] = {UUIDOID, BOOLOID};
	static pg_uuid_t round;
	static int	in_phase = -1;
	static int	batches;
	static bool may_delete;
	Datum		values[] = {UUIDPGetDatum(&round), Int32GetDatum(*phase), Int32GetDatum(BATCH_ROWS)};
	RestrictedContext before;
	int32		rows = 0;
	bool		is_null;
	bool		is_over = false;

	if (*phase > LAST_PHASE)
	{
		in_phase = -1;
		return false;
	}
	if (*phase != in_phase)
		batches = 0;
	in_phase = *phase;
	if (in_phase == 0 && batches == 0)
	{
		MakeUuidV7(&round);
		may_delete = confirmed;
	}
	if (in_phase > LOOK_PHASE && in_phase < LAST_PHASE && !may_delete)
	{
		*phase = LAST_PHASE;
		return true;
	}

	/* It reads what is committed, whatever the session's default is. */
	if (!FirstSnapshotSet)
	{
		XactIsoLevel = XACT_READ_COMMITTED;
		XactReadOnly = false;
	}
	SPI_connect();
	EnterRestricted(PlatformOwner(), &before);

	/*
	 * A deferred trigger could not fire in here, and at the end not as its
	 * owner.
	 */
	RunSql("SET CONSTRAINTS ALL IMMEDIATE", 0, NULL, NULL, false);
	if (in_phase == LOOK_PHASE)
		may_delete = may_delete || LookAgain(&round, by_hand);
	else if (in_phase == LAST_PHASE)
	{
		values[1] = BoolGetDatum(may_delete);
		RunSql("SELECT amelia_internal.platform_end_round($1, $2)", 2, end_types, values, false);
		is_over = true;
	}
	else
	{
		RunSql("SELECT amelia_internal.platform_maintain($1, $2, $3)", lengthof(types), types, values, false);
		rows = DatumGetInt32(RowValue(0, 1, INT4OID, &is_null));
	}
	LeaveRestricted(&before);
	SPI_finish();

	batches++;
	if (rows == 0 || batches >= MAX_BATCHES)
		(*phase)++;
	if (is_over)
		in_phase = -1;
	return !is_over;
}

/*
 * A batch of the worker's.
 */
bool
PlatformBatch(int *phase)
{
	return DoBatch(phase, false, false);
}

/* A batch of a round that was called for, for TryBatch(). */
static bool
NextBatch(void *round)
{
	CalledRound *called = round;

	return DoBatch(&called->phase, true, called->confirmed);
}

/*
 * Whether only what the batch was about is at fault, so that others can go on.
 */
static bool
CanGoOn(const ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return category != ERRCODE_OPERATOR_INTERVENTION && category != ERRCODE_INSUFFICIENT_RESOURCES &&
		category != ERRCODE_SYSTEM_ERROR;
}

/*
 * run_maintenance(held_back text), a procedure
 */
Datum
amelia_platform_run_maintenance(PG_FUNCTION_ARGS)
{
	CallContext *call = (CallContext *) fcinfo->context;
	ErrorData  *last_error = NULL;
	bool		more = true;
	CalledRound round = {0};

	if (PG_ARGISNULL(0))
		RefuseMissing("held_back");
	round.confirmed = IsConfirmed(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("maintenance cannot run on a standby")));
	if (call == NULL || !IsA(call, CallContext) || call->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("run_maintenance() cannot run inside a transaction block"),
				 errdetail("It commits batch by batch.")));
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	/* A transaction that has no snapshot yet can be set up as we need it. */
	SPI_commit();
	while (more)
	{
		ErrorData  *error = TryBatch(NextBatch, &round, &more);

		if (error == NULL)
			continue;
		if (!CanGoOn(error))
			ReThrowError(error);
		SPI_commit();
		last_error = error;
		round.phase++;
	}
	/* The error is kept where SPI keeps its own, and goes with it. */
	if (last_error != NULL)
		ereport(WARNING,
				(errcode(last_error->sqlerrcode),
				 errmsg("some of the maintenance failed and is left for the next run"),
				 errdetail("The last error: %s", last_error->message)));
	SPI_finish();
	PG_RETURN_VOID();
}
