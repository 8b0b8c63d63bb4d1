/*-------------------------------------------------------------------------
 *
 * candidate.c
 *	  What a search and a takeover know of the workflows that may be claimed.
 *
 *-------------------------------------------------------------------------
 */
#include "queue/candidate.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/execute.h"
#include "base/row.h"
#include "base/sequence.h"
#include "usage/spent_budgets.h"
#include "queue/passed_over.h"

/* How many workflows policies are asked about at a time. */
#define LOOK_AHEAD_GROWS 8
#define LOOK_AHEAD_MOST 512

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
 * An order of texts by their bytes, to look for one of many.
 */
int
CompareTexts(const void *a, const void *b)
{
	text	   *first = DatumGetTextPP(*(const Datum *) a);
	text	   *second = DatumGetTextPP(*(const Datum *) b);
	int			order = memcmp(VARDATA_ANY(first), VARDATA_ANY(second),
							   Min(VARSIZE_ANY_EXHDR(first), VARSIZE_ANY_EXHDR(second)));

	return order != 0 ? order : (int) VARSIZE_ANY_EXHDR(first) - (int) VARSIZE_ANY_EXHDR(second);
}

/*
 * Whether the caller may take workflows of a type and a profile, or one of
 * them, unless workflow is NULL.
 */
bool
IsWanted(ClaimSearch *search, const text *type, const text *profile, const pg_uuid_t *workflow)
{
	Datum		key = PointerGetDatum(type);
	bool		wanted = search->types == NULL ||
	bsearch(&key, search->types, search->type_count, sizeof(Datum), CompareTexts) != NULL;

	return wanted && (search->profile == NULL || TextEquals(search->profile, profile)) &&
		!IsOverBudget(search->spent, profile, workflow);
}

/*
 * Whether policies are known to keep a workflow from the caller.
 */
bool
IsHidden(ClaimSearch *search, const pg_uuid_t *workflow)
{
	return search->hidden != NULL && hash_search(search->hidden, workflow, HASH_FIND, NULL) != NULL;
}

/* Keep in mind that a workflow is not for the caller. */
static void
Hide(ClaimSearch *search, const pg_uuid_t *workflow)
{
	bool		found;

	if (search->hidden == NULL)
	{
		HASHCTL		control = {
			.keysize = sizeof(pg_uuid_t),
			.entrysize = sizeof(pg_uuid_t),
			.hcxt = CurrentMemoryContext
		};

		search->hidden = hash_create("hidden workflows", 256, &control,
									 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	(void) hash_search(search->hidden, workflow, HASH_ENTER, &found);
}

/*
 * Ask which of some workflows, in the order of claims, is the first that
 * policies let the caller change, and lock its row; those that somebody else
 * has are not for him either. Returns its place, or count when there is none.
 */
static int
FirstAllowed(const pg_uuid_t *workflows, int count)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {UUIDARRAYOID};
	Datum	   *ids = palloc(count * sizeof(Datum));
	Datum		values[1];
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	int			nest_level = EnterSafePath();
	int			place = count;
	int			result;

	for (int i = 0; i < count; i++)
		ids[i] = UUIDPGetDatum(&workflows[i]);
	values[0] = PointerGetDatum(construct_array(ids, count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	SPI_connect();
	KeptPlan(&plan, "SELECT w.id FROM amelia.workflows AS w WHERE w.id = ANY ($1)"
			 " ORDER BY w.priority DESC, w.available_at, w.id FOR NO KEY UPDATE SKIP LOCKED",
			 lengthof(types), types);
	result = SPI_execute_snapshot(plan, values, NULL, latest, InvalidSnapshot, false, false, 1);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_snapshot failed: %s", SPI_result_code_string(result));
	if (SPI_processed == 1)
	{
		bool		is_null;
		pg_uuid_t  *id = DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));

		for (place = 0; place < count - 1; place++)
		{
			if (memcmp(&workflows[place], id, sizeof(pg_uuid_t)) == 0)
				break;
		}
	}
	SPI_finish();
	LeaveSafePath(nest_level);
	UnregisterSnapshot(latest);
	return place;
}

/*
 * Whether policies let the caller change the first of some workflows that are
 * his to come to next. If they hide it, those behind it are asked for too,
 * more of them each time, so that many do not cost a query each.
 */
static bool
PoliciesAllow(ClaimSearch *search, const pg_uuid_t *workflows, int count)
{
	int			first = FirstAllowed(workflows, count);

	for (int i = 0; i < first; i++)
		Hide(search, &workflows[i]);
	search->look_ahead = first < count ? 1 : Min(count * LOOK_AHEAD_GROWS, LOOK_AHEAD_MOST);
	return first == 0;
}

/*
 * Whether MayTake() wants to know what comes behind a workflow.
 */
bool
WantsLookAhead(ClaimSearch *search)
{
	return search->has_policies && search->look_ahead > 1;
}

/*
 * Whether the first of some workflows can be claimed as far as its log and the
 * caller's rights go. The event that tells of the claim would wait for one
 * with a number of its own whose transaction is open.
 */
bool
MayTake(ClaimSearch *search, const pg_uuid_t *workflows, int count)
{
	return !IsSequenceOpen(EVENT_SEQUENCE, UUIDPGetDatum(workflows)) &&
		(!search->has_policies || PoliciesAllow(search, workflows, count));
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
