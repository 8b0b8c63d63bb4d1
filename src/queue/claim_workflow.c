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
#include "base/amelia.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/qunique.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/check.h"
#include "base/execute.h"
#include "base/trigger.h"
#include "base/uuid.h"
#include "usage/spent_budgets.h"
#include "lease/lease.h"
#include "lease/lease_time.h"
#include "lease/said_lease.h"
#include "lease/slot.h"
#include "log/event.h"
#include "queue/candidate.h"
#include "queue/claim.h"
#include "queue/passed_over.h"
#include "queue/takeover.h"
#include "queue/workflow_move.h"

PG_FUNCTION_INFO_V1(amelia_claim_workflow);

/* Lost workflows that one claim puts to rest, before it gives up. */
#define MAX_RESTED 1000

/* Workflows that one claim finds out cannot be moved, likewise. */
#define MAX_REFUSED 100

static const char *const claim_query =
"UPDATE amelia.workflows AS w"
" SET status = 'in_progress', failures = $2, retry_at = NULL"
" WHERE w.id = $1 RETURNING w.*";

static const char *const rest_query =
"UPDATE amelia.workflows AS w"
" SET status = $2, failures = $3, failure_reason = $4, retry_at = NULL"
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
 * Raise 42501 unless a statement has changed the workflow that is claimed.
 */
static void
CheckChanged(const Candidate *candidate)
{
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("workflow %s cannot be claimed by this role", UuidText(&candidate->id)),
				 errdetail("A policy or a trigger left it out.")));
}

/*
 * Append the event that tells of a claim, or of the end of one that was lost.
 */
static void
TellClaim(Claim *claim, const Candidate *candidate, const char *event_type,
		  const char *message, const char *to, const char *worker, int64 token)
{
	StringInfoData data;

	initStringInfo(&data);
	appendStringInfo(&data, "{\"from\": \"%s\", \"to\": \"%s\", \"lease_token\": " INT64_FORMAT ", \"worker\": ",
					 candidate->status, to, token);
	escape_json(&data, worker);
	appendStringInfoChar(&data, '}');
	TellEvent(&candidate->id, event_type, message, data.data);
}

/*
 * Find the slots that the claim needs, for its lease to take. Those of a lease
 * that was lost are kept, unless they were given away. Returns whether there
 * were any left.
 */
static bool
FindSlots(Claim *claim, const Candidate *candidate)
{
	char	   *profile = candidate->profile == NULL ? "" : candidate->profile;
	bool		was_held = claim->was_held;

	claim->lease.slot = was_held ? claim->before.slot : 0;
	claim->lease.profile = profile;
	claim->lease.profile_slot = was_held && candidate->profile_limit > 0 &&
		claim->before.profile_slot > 0 && strcmp(claim->before.profile, profile) == 0 ?
		claim->before.profile_slot : 0;
	if (claim->lease.slot == 0)
		claim->lease.slot = LockFreeSlot(NULL, claim->max_concurrent);
	if (claim->lease.slot == 0)
		return false;
	if (candidate->profile_limit > 0 && claim->lease.profile_slot == 0)
	{
		claim->lease.profile_slot = LockFreeSlot(profile, candidate->profile_limit);
		if (claim->lease.profile_slot == 0)
		{
			if (!was_held || claim->before.slot == 0)
				UnlockSlot(NULL, claim->lease.slot);
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
 * How many failures a workflow has when this attempt was one. The highest
 * number stays what it is.
 */
static int32
MoreFailures(const Candidate *candidate, bool failed)
{
	return candidate->failures + (failed && candidate->failures < PG_INT32_MAX ? 1 : 0);
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
	int			nest_level;

	if (candidate->cancel_requested)
	{
		/* There is no way from failed to cancelled: it only stays failed. */
		status = strcmp(candidate->status, "failed") == 0 ? "failed" : "cancelled";
		reason = "its cancellation was requested";
	}
	else if (lost && MoreFailures(candidate, true) >= candidate->max_failures)
	{
		status = "failed";
		reason = psprintf("the lease of worker \"%s\" ran out, and no failure is left",
						  claim->before.worker);
	}
	else
		return false;
	values[0] = UUIDPGetDatum(&candidate->id);
	values[1] = CStringGetTextDatum(status);
	values[2] = Int32GetDatum(MoreFailures(candidate, lost));
	values[3] = CStringGetTextDatum(reason);
	SayUnfenced(&candidate->id);
	nest_level = EnterSafePath();
	SPI_connect();
	RunOnLatest(KeptPlan(&plan, rest_query, lengthof(types), types), values, NULL, SPI_OK_UPDATE);
	CheckChanged(candidate);
	SPI_finish();
	LeaveSafePath(nest_level);
	if (strcmp(status, candidate->status) != 0)
		TellClaim(claim, candidate, psprintf("workflow_%s", status), reason, status,
				  claim->had_lease ? claim->before.worker : claim->worker,
				  claim->had_lease ? claim->before.token : 0);
	return true;
}

/*
 * Move the workflow, as the caller may, and return its new row; 42501 when
 * the caller may not change it.
 */
static HeapTuple
MoveWorkflow(ClaimSearch *search, const Candidate *candidate, bool lost)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {UUIDOID, INT4OID};
	Datum		values[] = {UUIDPGetDatum(&candidate->id), Int32GetDatum(MoreFailures(candidate, lost))};
	int			nest_level;
	HeapTuple	row;

	if (MayMoveDirectly(search->workflows))
		return MoveToProgress(search->workflows, search->other, MoreFailures(candidate, lost));
	nest_level = EnterSafePath();
	SPI_connect();
	RunOnLatest(KeptPlan(&plan, claim_query, lengthof(types), types), values, NULL,
				SPI_OK_UPDATE_RETURNING);
	CheckChanged(candidate);
	row = SPI_copytuple(SPI_tuptable->vals[0]);
	SPI_finish();
	LeaveSafePath(nest_level);
	return row;
}

/*
 * Give the worker its lease, and move the workflow, whose new row is returned.
 */
static HeapTuple
TakeWorkflow(Claim *claim, ClaimSearch *search, Leases *leases, const Candidate *candidate)
{
	HeapTuple	row;
	bool		lost = claim->was_held && !claim->before.given_back;
	TimestampTz full = LeaseEnd(claim->now, &claim->lease_time);
	TimestampTz start = TimeAfter(claim->now, &claim->start_timeout);

	claim->lease.worker = unconstify(char *, claim->worker);
	claim->lease.expires_at = Min(full, start);
	claim->lease.starts_until = start < full ? full : DT_NOBEGIN;
	GiveLease(leases, &candidate->id, claim->had_lease ? &claim->before : NULL, &claim->lease,
			  claim->now);
	SayUnfenced(&candidate->id);
	row = MoveWorkflow(search, candidate, lost);
	TellClaim(claim, candidate, "workflow_started",
			  lost ? psprintf("claimed by %s, after the lease of %s ran out", claim->worker, claim->before.worker) :
			  psprintf("claimed by %s", claim->worker),
			  "in_progress", claim->worker, claim->lease.token);
	return row;
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
	{
		Form_pg_attribute attribute = TupleDescAttr(wanted, i);

		values[i] = heap_getattr(row, ColumnOfType(tupdesc, NameStr(attribute->attname), attribute->atttypid),
								 tupdesc, &nulls[i]);
	}
	values[columns] = Int64GetDatum(claim->lease.token);
	values[columns + 1] = TimestampTzGetDatum(claim->lease.expires_at);
	tuplestore_putvalues(result->setResult, wanted, values, nulls);
}

/*
 * Claim what comes first, and return its row; NULL when there is nothing, or
 * no slot.
 */
static HeapTuple
ClaimNext(Claim *claim, ClaimSearch *search)
{
	HeapTuple	row = NULL;
	bool		go_on = true;

	for (int rested = 0; go_on && rested < MAX_RESTED; rested++)
	{
		Candidate	candidate;
		Leases		leases;

		CHECK_FOR_INTERRUPTS();
		if (!FindCandidate(search, &candidate))
			break;
		OpenLeases(&leases);
		ReadBefore(claim, &leases, &candidate);
		go_on = PutToRest(claim, &candidate);
		if (!go_on && (FindSlots(claim, &candidate) ||
					   (FreeExpiredSlots(claim->now, &candidate.id) && FindSlots(claim, &candidate))))
			row = TakeWorkflow(claim, search, &leases, &candidate);
		CloseLeases(&leases);
		ExecClearTuple(search->other);
		if (search->was_passed_over && (go_on || row != NULL))
			ForgetFault(&candidate.id);
	}
	return row;
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
		}
		qsort(search->types, search->type_count, sizeof(Datum), CompareTexts);
		search->type_count = qunique(search->types, search->type_count, sizeof(Datum), CompareTexts);
		/* None at all is no wish for any. */
		if (search->types == NULL)
			search->types = palloc0(sizeof(Datum));
	}
}

/* A claim that is tried, and where its row goes. */
typedef struct TriedClaim
{
	Claim	   *claim;
	ClaimSearch *search;
	ReturnSetInfo *result;
	bool		found;
} TriedClaim;

/*
 * Claim what comes first.
 */
static void
ClaimOnce(void *state)
{
	TriedClaim *tried = state;
	HeapTuple	row;

	BeginSearch(tried->search);
	row = ClaimNext(tried->claim, tried->search);
	if (row != NULL)
	{
		PutClaimed(tried->result, tried->claim, row, RelationGetDescr(tried->search->workflows));
		tried->found = true;
	}
	EndSearch(tried->search);
}

/*
 * Claim what comes first and can be moved. Returns whether there is any; a
 * right that the caller has not at one row is an error only if there is no
 * other row for him.
 */
static bool
ClaimPassingOver(TriedClaim *tried)
{
	ErrorData  *denied = NULL;

	while (list_length(tried->search->refused) < MAX_REFUSED)
	{
		ErrorData  *fault = TryWork(ClaimOnce, tried);
		pg_uuid_t  *workflow;

		if (fault == NULL)
			break;
		if (!tried->search->is_at_row)
			ReThrowError(fault);
		workflow = palloc(sizeof(pg_uuid_t));
		*workflow = tried->search->at_row;
		tried->search->refused = lappend(tried->search->refused, workflow);
		if (!IsCallersFault(fault))
			PassOver(workflow, fault);
		else if (denied == NULL)
			denied = fault;
	}
	if (!tried->found && denied != NULL)
		ReThrowError(denied);
	return tried->found;
}

/*
 * claim_workflow(worker text, lease interval, profile_id text,
 * workflow_types text[]) returns table (...)
 */
Datum
amelia_claim_workflow(PG_FUNCTION_ARGS)
{
	static bool met_limit = true;
	Claim		claim = {0};
	ClaimSearch search = {0};
	TriedClaim	tried = {&claim, &search, (ReturnSetInfo *) fcinfo->resultinfo, false};

	PreventCommandIfReadOnly("claim_workflow()");
	ReadArguments(fcinfo, &claim, &search);
	InitMaterializedSRF(fcinfo, 0);
	search.spent = FindSpentBudgets(search.profile);
	ReadLimits(&claim.max_concurrent, &claim.start_timeout);
	/* A session that met the limit asks first, and locks nothing for nothing. */
	if (met_limit && !HasFreeSlot(NULL, claim.max_concurrent) &&
		!(FreeExpiredSlots(claim.now, NULL) && HasFreeSlot(NULL, claim.max_concurrent)))
		return (Datum) 0;
	met_limit = true;
	if (ClaimPassingOver(&tried))
		met_limit = false;
	return (Datum) 0;
}
