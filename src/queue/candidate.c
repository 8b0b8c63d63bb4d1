/*-------------------------------------------------------------------------
 *
 * candidate.c
 *	  What a search and a takeover know of the workflows that may be claimed.
 *
 *-------------------------------------------------------------------------
 */
#include "queue/candidate.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/execute.h"
#include "base/row.h"
#include "base/sequence.h"
#include "usage/spent_budgets.h"
#include "queue/passed_over.h"

/*
 * A column of the row in a slot, which is not NULL.
 */
Datum
QueueColumn(ClaimSearch *search, TupleTableSlot *slot, ClaimColumn column)
{
	bool		is_null;
	Datum		value = slot_getattr(slot, search->columns[column], &is_null);

	if (is_null)
		RefuseNoValue(search->workflows,
					  NameStr(TupleDescAttr(slot->tts_tupleDescriptor, search->columns[column] - 1)->attname));
	return value;
}

/*
 * A text of the row in a slot; NULL counts as empty, as in the index.
 */
text *
QueueText(ClaimSearch *search, TupleTableSlot *slot, ClaimColumn column)
{
	return slot_attisnull(slot, search->columns[column]) ? cstring_to_text("") :
		DatumGetTextPP(QueueColumn(search, slot, column));
}

bool
TextEquals(const text *a, const text *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/*
 * Whether the row in a slot has a status.
 */
bool
StatusIs(ClaimSearch *search, TupleTableSlot *slot, const char *status)
{
	text	   *value = QueueText(search, slot, COLUMN_STATUS);

	return VARSIZE_ANY_EXHDR(value) == strlen(status) &&
		memcmp(VARDATA_ANY(value), status, strlen(status)) == 0;
}

/*
 * The place in the order of the row in a slot.
 */
void
ReadClaimKey(ClaimSearch *search, TupleTableSlot *slot, ClaimKey *key)
{
	key->priority = DatumGetInt16(QueueColumn(search, slot, COLUMN_PRIORITY));
	key->available_at = DatumGetTimestampTz(QueueColumn(search, slot, COLUMN_AVAILABLE_AT));
	key->id = *DatumGetUUIDP(QueueColumn(search, slot, COLUMN_ID));
}

/*
 * Whether the first is to be taken before the second.
 */
bool
ClaimsBefore(const ClaimKey *a, const ClaimKey *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (a->available_at != b->available_at)
		return a->available_at < b->available_at;
	return memcmp(&a->id, &b->id, sizeof(pg_uuid_t)) < 0;
}

/*
 * Whether the caller may take workflows of a type and a profile, or one of
 * them, unless workflow is NULL.
 */
bool
IsWanted(ClaimSearch *search, const text *type, const text *profile, const pg_uuid_t *workflow)
{
	bool		wanted = search->types == NULL;

	for (int i = 0; i < search->type_count && !wanted; i++)
		wanted = TextEquals(DatumGetTextPP(search->types[i]), type);
	return wanted && (search->profile == NULL || TextEquals(search->profile, profile)) &&
		!IsOverBudget(search->spent, profile, workflow);
}

/*
 * Whether policies let the caller change a workflow. If so, its row is locked;
 * it is not for him either while somebody else has it.
 */
static bool
PoliciesAllow(const pg_uuid_t *workflow)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {UUIDOID};
	Datum		values[] = {UUIDPGetDatum(workflow)};
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	int			nest_level = EnterSafePath();
	int			result;
	bool		allow;

	SPI_connect();
	KeptPlan(&plan, "SELECT FROM amelia.workflows AS w WHERE w.id = $1 FOR NO KEY UPDATE SKIP LOCKED",
			 lengthof(types), types);
	result = SPI_execute_snapshot(plan, values, NULL, latest, InvalidSnapshot, false, false, 1);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_snapshot failed: %s", SPI_result_code_string(result));
	allow = SPI_processed == 1;
	SPI_finish();
	LeaveSafePath(nest_level);
	UnregisterSnapshot(latest);
	return allow;
}

/*
 * Whether a workflow can be claimed as far as its log and the caller's rights
 * go. The event that tells of the claim would wait for one with a number of its
 * own whose transaction is open.
 */
bool
MayTake(ClaimSearch *search, const pg_uuid_t *workflow)
{
	return !IsSequenceOpen(EVENT_SEQUENCE, UUIDPGetDatum(workflow)) &&
		(!search->has_policies || PoliciesAllow(workflow));
}

/*
 * Come to a workflow, whose fault an error is from now on; false when it is
 * passed over.
 */
bool
ComeTo(ClaimSearch *search, const pg_uuid_t *workflow)
{
	ListCell   *cell;

	foreach(cell, search->refused)
	{
		if (memcmp(lfirst(cell), workflow, sizeof(pg_uuid_t)) == 0)
			return false;
	}
	search->was_passed_over = false;
	if (search->may_be_passed_over &&
		IsPassedOver(workflow, search->now, &search->was_passed_over))
		return false;
	search->at_row = *workflow;
	search->is_at_row = true;
	return true;
}

/*
 * Leave the workflow that was come to.
 */
void
LeaveRow(ClaimSearch *search)
{
	search->is_at_row = false;
}

/*
 * What the candidate's row says, for those who take it.
 */
void
ReadCandidate(ClaimSearch *search, TupleTableSlot *slot, Candidate *candidate)
{
	candidate->id = *DatumGetUUIDP(QueueColumn(search, slot, COLUMN_ID));
	candidate->status = TextDatumGetCString(QueueColumn(search, slot, COLUMN_STATUS));
	candidate->profile = slot_attisnull(slot, search->columns[COLUMN_PROFILE]) ? NULL :
		TextDatumGetCString(QueueColumn(search, slot, COLUMN_PROFILE));
	candidate->failures = DatumGetInt32(QueueColumn(search, slot, COLUMN_FAILURES));
	candidate->max_failures = DatumGetInt32(QueueColumn(search, slot, COLUMN_MAX_FAILURES));
	candidate->cancel_requested = DatumGetBool(QueueColumn(search, slot, COLUMN_CANCEL_REQUESTED));
}
