/*-------------------------------------------------------------------------
 *
 * claim_workflow.c
 *	  claim_workflow(): a lease on the workflow that comes first.
 *
 *	  The workflow's row is changed with the caller's rights, as everything
 *	  that an application writes; leases and slots are the library's own.
 *
 *-------------------------------------------------------------------------
 */
#include "claim.h"
#include "event.h"
#include "worker.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(amelia_claim_workflow);

/* append_event()'s arguments, and where its data is. */
#define APPEND_EVENT_ARGUMENTS 15
#define APPEND_EVENT_DATA 5

/* Lost workflows that one claim puts to rest, before it gives up. */
#define MAX_RESTED 1000

static const char *const claim_query =
	"UPDATE amelia.workflows AS w"
	" SET status = 'in_progress', failures = w.failures + $2, retry_at = NULL"
	" WHERE w.id = $1 RETURNING w.*";

static const char *const rest_query =
	"UPDATE amelia.workflows AS w"
	" SET status = $2, failures = w.failures + $3, failure_reason = $4, retry_at = NULL"
	" WHERE w.id = $1";

/* What is done with the candidate's lease. */
typedef struct Claim
{
	const char *worker;
	Interval	lease_time;
	int32		max_concurrent;
	Interval	start_timeout;
	TimestampTz now;
	Lease		before;
	bool		had_lease;
	bool		was_held;		/* in_progress under a lease that was lost */
	Lease		lease;
} Claim;

/*
 * Run a plan that changes a workflow, on what is there now, whatever the
 * caller's snapshot is: the row is locked already.
 */
static void
RunOnLatest(SPIPlanPtr plan, Datum *values, const char *nulls, int expected)
{
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	int			result = SPI_execute_snapshot(plan, values, nulls, latest, InvalidSnapshot,
											  false, true, 0);

	UnregisterSnapshot(latest);
	if (result != expected)
		elog(ERROR, "SPI_execute_snapshot failed: %s", SPI_result_code_string(result));
}

/*
 * Append the event that tells of a claim, or of the end of one that was lost.
 */
static void
TellClaim(Claim *claim, const Candidate *candidate, const char *event_type,
		  const char *message, const char *to, const char *worker, int64 token)
{
	LOCAL_FCINFO(fcinfo, APPEND_EVENT_ARGUMENTS);
	StringInfoData data;

	initStringInfo(&data);
	appendStringInfo(&data, "{\"from\": \"%s\", \"to\": \"%s\", \"lease_token\": " INT64_FORMAT ", \"worker\": ",
					 candidate->status, to, token);
	escape_json(&data, worker);
	appendStringInfoChar(&data, '}');

	InitFunctionCallInfoData(*fcinfo, NULL, APPEND_EVENT_ARGUMENTS, InvalidOid, NULL, NULL);
	for (int i = 0; i < APPEND_EVENT_ARGUMENTS; i++)
		fcinfo->args[i].isnull = true;
	fcinfo->args[0] = (NullableDatum) {UUIDPGetDatum(&candidate->id), false};
	fcinfo->args[1] = (NullableDatum) {CStringGetTextDatum(event_type), false};
	fcinfo->args[2] = (NullableDatum) {CStringGetTextDatum(message), false};
	fcinfo->args[APPEND_EVENT_DATA] =
		(NullableDatum) {DirectFunctionCall1(jsonb_in, CStringGetDatum(data.data)), false};
	(void) amelia_append_event(fcinfo);
}

/*
 * Take the slots that the claim needs. Those of a lease that was lost are
 * kept, unless they were given away. Returns whether there were any left.
 */
static bool
TakeSlots(Claim *claim, const Candidate *candidate)
{
	char	   *profile = candidate->profile == NULL ? "" : candidate->profile;

	claim->lease.slot = claim->was_held ? claim->before.slot : 0;
	claim->lease.profile = profile;
	claim->lease.profile_slot = 0;
	if (claim->was_held && claim->before.profile_slot > 0)
	{
		if (candidate->profile_limit > 0 && strcmp(claim->before.profile, profile) == 0)
			claim->lease.profile_slot = claim->before.profile_slot;
		else
			FreeSlot(ProfileScope(claim->before.profile), claim->before.profile_slot, &candidate->id);
	}
	if (claim->lease.slot == 0)
		claim->lease.slot = TakeSlot(ALL_SLOTS, claim->max_concurrent, &candidate->id);
	if (claim->lease.slot == 0)
		return false;
	if (candidate->profile_limit > 0 && claim->lease.profile_slot == 0)
	{
		claim->lease.profile_slot = TakeSlot(ProfileScope(profile), candidate->profile_limit,
											 &candidate->id);
		if (claim->lease.profile_slot == 0)
		{
			if (!claim->was_held || claim->before.slot == 0)
				FreeSlot(ALL_SLOTS, claim->lease.slot, &candidate->id);
			return false;
		}
	}
	return true;
}

/*
 * Read and lock the lease that the candidate had. Its row is locked, so only
 * a late heartbeat can be in the way, and that is short.
 */
static void
ReadBefore(Claim *claim, Leases *leases, const Candidate *candidate)
{
	claim->had_lease = LockLease(leases, &candidate->id, true, &claim->before);
	claim->was_held = claim->had_lease && strcmp(candidate->status, "in_progress") == 0;
}

/*
 * Put a workflow to rest that nobody is to take over: somebody wants it to
 * end, or it has no failures left. Returns whether it is such a one.
 */
static bool
PutToRest(Claim *claim, const Candidate *candidate)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {UUIDOID, TEXTOID, INT4OID, TEXTOID};
	bool		lost = claim->was_held && !claim->before.given_back;
	const char *status;
	char	   *reason;
	Datum		values[4];

	if (candidate->cancel_requested)
	{
		/* There is no way from failed to cancelled: it only stays failed. */
		status = strcmp(candidate->status, "failed") == 0 ? "failed" : "cancelled";
		reason = "its cancellation was requested";
	}
	else if (lost && candidate->failures + 1 >= candidate->max_failures)
	{
		status = "failed";
		reason = psprintf("the lease of worker \"%s\" ran out, and no failure is left",
						  claim->before.worker);
	}
	else
		return false;
	values[0] = UUIDPGetDatum(&candidate->id);
	values[1] = CStringGetTextDatum(status);
	values[2] = Int32GetDatum(lost ? 1 : 0);
	values[3] = CStringGetTextDatum(reason);
	SayUnfenced(&candidate->id);
	RunOnLatest(KeptPlan(&plan, rest_query, lengthof(types), types), values, NULL, SPI_OK_UPDATE);
	if (strcmp(status, candidate->status) != 0)
		TellClaim(claim, candidate, psprintf("workflow_%s", status), reason, status,
				  claim->had_lease ? claim->before.worker : claim->worker,
				  claim->had_lease ? claim->before.token : 0);
	return true;
}

/*
 * Give the worker its lease, and move the workflow. The changed row is SPI's
 * result. false when the caller may not change it.
 */
static void
MoveWorkflow(Claim *claim, Leases *leases, const Candidate *candidate)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {UUIDOID, INT4OID};
	bool		lost = claim->was_held && !claim->before.given_back;
	TimestampTz full = LeaseEnd(claim->now, &claim->lease_time);
	TimestampTz start = LeaseEnd(claim->now, &claim->start_timeout);
	Datum		values[] = {UUIDPGetDatum(&candidate->id), Int32GetDatum(lost ? 1 : 0)};

	claim->lease.worker = unconstify(char *, claim->worker);
	claim->lease.expires_at = Min(full, start);
	claim->lease.starts_until = start < full ? full : DT_NOBEGIN;
	GiveLease(leases, &candidate->id, claim->had_lease ? &claim->before : NULL, &claim->lease,
			  claim->now);
	SayUnfenced(&candidate->id);
	TellClaim(claim, candidate, "workflow_started",
			  lost ? psprintf("claimed by %s, after the lease of %s ran out", claim->worker, claim->before.worker) :
			  psprintf("claimed by %s", claim->worker),
			  "in_progress", claim->worker, claim->lease.token);
	RunOnLatest(KeptPlan(&plan, claim_query, lengthof(types), types), values, NULL,
				SPI_OK_UPDATE_RETURNING);
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("workflow %s cannot be claimed by this role", UuidText(&candidate->id)),
				 errdetail("A policy or a trigger left it out.")));
}

/*
 * Return the workflow with its lease: each column of the result has the name
 * of a column of workflows, but the last two.
 */
static void
PutClaimed(ReturnSetInfo *result, const Claim *claim, HeapTuple row, TupleDesc tupdesc)
{
	TupleDesc	wanted = result->setDesc;
	Datum	   *values = palloc0(wanted->natts * sizeof(Datum));
	bool	   *nulls = palloc0(wanted->natts * sizeof(bool));
	int			columns = wanted->natts - 2;

	for (int i = 0; i < columns; i++)
		values[i] = heap_getattr(row, ColumnNumber(tupdesc, NameStr(TupleDescAttr(wanted, i)->attname)),
								 tupdesc, &nulls[i]);
	values[columns] = Int64GetDatum(claim->lease.token);
	values[columns + 1] = TimestampTzGetDatum(claim->lease.expires_at);
	tuplestore_putvalues(result->setResult, wanted, values, nulls);
}

/*
 * Claim what comes first; false when there is nothing, or no slot.
 */
static bool
ClaimNext(Claim *claim, ClaimSearch *search)
{
	for (int rested = 0; rested < MAX_RESTED; rested++)
	{
		Candidate	candidate;
		Leases		leases;
		bool		take;

		CHECK_FOR_INTERRUPTS();
		if (!FindCandidate(search, &candidate))
			return false;
		OpenLeases(&leases);
		ReadBefore(claim, &leases, &candidate);
		take = !PutToRest(claim, &candidate);
		if (take && !TakeSlots(claim, &candidate) &&
			!(FreeExpiredSlots(claim->now, &candidate.id) && TakeSlots(claim, &candidate)))
		{
			CloseLeases(&leases);
			return false;
		}
		if (take)
			MoveWorkflow(claim, &leases, &candidate);
		CloseLeases(&leases);
		if (take)
			return true;
	}
	return false;
}

/* The arguments; 22023 for what nobody may give. */
static void
ReadArguments(FunctionCallInfo fcinfo, Claim *claim, ClaimSearch *search)
{
	if (PG_ARGISNULL(0))
		RefuseMissing("worker");
	if (PG_ARGISNULL(1))
		RefuseMissing("lease");
	claim->worker = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (claim->worker[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("worker must not be empty")));
	claim->lease_time = *PG_GETARG_INTERVAL_P(1);
	claim->now = search->now = GetCurrentTimestamp();
	LeaseEnd(claim->now, &claim->lease_time);
	if (!PG_ARGISNULL(2))
		search->profile = PG_GETARG_TEXT_PP(2);
	if (!PG_ARGISNULL(3))
	{
		bool	   *nulls;

		deconstruct_array(PG_GETARG_ARRAYTYPE_P(3), TEXTOID, -1, false, TYPALIGN_INT,
						  &search->types, &nulls, &search->type_count);
		for (int i = 0; i < search->type_count; i++)
		{
			if (nulls[i])
				RefuseMissing("workflow_types");
			CheckChoice("workflow_type", TextDatumGetCString(search->types[i]));
		}
		/* None at all is no wish for any. */
		if (search->types == NULL)
			search->types = palloc0(sizeof(Datum));
	}
}

/*
 * claim_workflow(worker text, lease interval, profile_id text,
 * workflow_types text[]) returns table (...)
 */
Datum
amelia_claim_workflow(PG_FUNCTION_ARGS)
{
	static bool met_limit = true;
	MemoryContext caller = CurrentMemoryContext;
	Claim		claim = {0};
	ClaimSearch search = {0};

	PreventCommandIfReadOnly("claim_workflow()");
	ReadArguments(fcinfo, &claim, &search);
	InitMaterializedSRF(fcinfo, 0);
	search.spent = FindSpentBudgets(search.profile);
	ReadLimits(&claim.max_concurrent, &claim.start_timeout);
	/* A session that met the limit asks first, and locks nothing for nothing. */
	if (met_limit && !HasFreeSlot(ALL_SLOTS, claim.max_concurrent) &&
		!(FreeExpiredSlots(claim.now, NULL) && HasFreeSlot(ALL_SLOTS, claim.max_concurrent)))
		return (Datum) 0;
	met_limit = true;

	SPI_connect();
	if (ClaimNext(&claim, &search))
	{
		SPITupleTable *table = SPI_tuptable;
		MemoryContext before = MemoryContextSwitchTo(caller);

		met_limit = false;
		PutClaimed((ReturnSetInfo *) fcinfo->resultinfo, &claim, table->vals[0], table->tupdesc);
		MemoryContextSwitchTo(before);
	}
	SPI_finish();
	return (Datum) 0;
}
