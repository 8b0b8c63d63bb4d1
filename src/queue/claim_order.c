/*-------------------------------------------------------------------------
 *
 * claim_order.c
 *	  What can be claimed, in the order in which it is taken.
 *
 *	  It lies in one index, in one range for each type and profile, by
 *	  priority, then time. A claim reads the ranges that it may take from
 *	  side by side, as a merge does; in each it takes the rows whose time has
 *	  come, jumping over the rest of a priority when nothing in it is due.
 *
 *-------------------------------------------------------------------------
 */
#include "queue/claim_order.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/execute.h"
#include "base/row.h"
#include "base/sequence.h"
#include "usage/spent_budgets.h"
#include "queue/candidate.h"

/*
 * Where the first row was the last time, if it was a long way there: when many
 * rows have just left the queue and are not vacuumed yet, the index still leads
 * past each of them. For a moment claims then begin there, so that a row of
 * the same priority which comes in before it waits that long. What has a
 * higher priority, or another type or profile, is looked for more often.
 */
typedef struct Mark
{
	TimestampTz until;			/* 0: there is none */
	TimestampTz alone_until;	/* till then nothing else is looked for */
	text	   *type;
	text	   *profile;
	ClaimKey	key;
} Mark;

#define LONG_WAY_BLOCKS 16
#define MARK_LIFE_US USECS_PER_SEC
#define ALONE_LIFE_US (USECS_PER_SEC / 10)

static Mark mark = {0};

/*
 * Stop reading a range.
 */
void
EndRange(Range *range)
{
	range->is_open = false;
	if (range->scan != NULL)
		index_endscan(range->scan);
	range->scan = NULL;
	if (range->slot != NULL)
		ExecDropSingleTupleTableSlot(range->slot);
	range->slot = NULL;
}

/*
 * Begin to read below a priority in the range.
 */
static void
JumpBelow(ClaimSearch *search, Range *range, int16 priority)
{
	ScanKeyData keys[3];

	index_endscan(range->scan);
	range->scan = CompatBeginIndexScan(search->workflows, search->index, search->snapshot,
									   lengthof(keys));
	InitTextKey(&keys[0], 1, search->index, BTEqualStrategyNumber, F_TEXTEQ,
				PointerGetDatum(range->type));
	InitTextKey(&keys[1], 2, search->index, BTEqualStrategyNumber, F_TEXTEQ,
				PointerGetDatum(range->profile));
	InitKey(&keys[2], 3, BTLessStrategyNumber, F_INT2LT, Int16GetDatum(priority));
	index_rescan(range->scan, keys, lengthof(keys), NULL, 0);
}

/*
 * Settle on the row that the scan has come to, or on the next one that is
 * due; the range ends where another one begins.
 */
static void
Settle(ClaimSearch *search, Range *range, bool found)
{
	while (found || range->is_bounded)
	{
		CHECK_FOR_INTERRUPTS();
		if (!found)
		{
			range->is_bounded = false;
			JumpBelow(search, range, range->bound);
			found = index_getnext_slot(range->scan, ForwardScanDirection, range->slot);
			continue;
		}
		if (!TextEquals(DatumGetTextPP(QueueColumn(search, range->slot, COLUMN_TYPE)), range->type) ||
			!TextEquals(QueueText(search, range->slot, COLUMN_PROFILE), range->profile))
			break;
		ReadClaimKey(search, range->slot, &range->key);
		if (range->key.available_at <= search->now)
		{
			range->is_open = true;
			return;
		}
		range->is_bounded = false;
		JumpBelow(search, range, range->key.priority);
		found = index_getnext_slot(range->scan, ForwardScanDirection, range->slot);
	}
	EndRange(range);
}

/*
 * Go on to the next row of a range that is due.
 */
void
NextRow(ClaimSearch *search, Range *range)
{
	Settle(search, range, index_getnext_slot(range->scan, ForwardScanDirection, range->slot));
}

/*
 * Open the first range that the keys lead to; NULL when there is none.
 */
static Range *
OpenRange(ClaimSearch *search, ScanKey keys, int nkeys, bool is_bounded, int16 bound)
{
	Range	   *range = palloc0(sizeof(Range));

	range->is_bounded = is_bounded;
	range->bound = bound;
	range->slot = table_slot_create(search->workflows, NULL);
	range->scan = CompatBeginIndexScan(search->workflows, search->index, search->snapshot, nkeys);
	index_rescan(range->scan, nkeys > 0 ? keys : NULL, nkeys, NULL, 0);
	if (!index_getnext_slot(range->scan, ForwardScanDirection, range->slot))
	{
		EndRange(range);
		return NULL;
	}
	range->type = DatumGetTextPCopy(QueueColumn(search, range->slot, COLUMN_TYPE));
	range->profile = (text *) pg_detoast_datum_copy((struct varlena *) QueueText(search, range->slot, COLUMN_PROFILE));
	Settle(search, range, true);
	return range;
}

/* Note where the first range begins. */
static void
SetMark(const Range *range, TimestampTz now)
{
	if (mark.type != NULL)
		pfree(mark.type);
	if (mark.profile != NULL)
		pfree(mark.profile);
	mark.profile = mark.type = NULL;
	mark.type = memcpy(MemoryContextAlloc(TopMemoryContext, VARSIZE_ANY(range->type)),
					   range->type, VARSIZE_ANY(range->type));
	mark.profile = memcpy(MemoryContextAlloc(TopMemoryContext, VARSIZE_ANY(range->profile)),
						  range->profile, VARSIZE_ANY(range->profile));
	mark.key = range->key;
	mark.until = now + MARK_LIFE_US;
}

/*
 * Open the mark's range at the mark.
 */
static Range *
OpenBehindMark(ClaimSearch *search)
{
	ScanKeyData keys[4];

	InitTextKey(&keys[0], 1, search->index, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(mark.type));
	InitTextKey(&keys[1], 2, search->index, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(mark.profile));
	InitKey(&keys[2], 3, BTEqualStrategyNumber, F_INT2EQ, Int16GetDatum(mark.key.priority));
	InitKey(&keys[3], 4, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE,
			TimestampTzGetDatum(mark.key.available_at));
	return OpenRange(search, keys, lengthof(keys), true, mark.key.priority);
}

/*
 * Open the first range at the mark, or at what has a higher priority; or
 * another one that has come before it.
 */
static Range *
OpenAtMark(ClaimSearch *search)
{
	ScanKeyData keys[3];
	Range	   *range;

	InitTextKey(&keys[0], 1, search->index, BTLessStrategyNumber, F_TEXT_LT, PointerGetDatum(mark.type));
	range = OpenRange(search, keys, 1, false, 0);
	if (range != NULL)
		return range;
	InitTextKey(&keys[0], 1, search->index, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(mark.type));
	InitTextKey(&keys[1], 2, search->index, BTLessStrategyNumber, F_TEXT_LT, PointerGetDatum(mark.profile));
	range = OpenRange(search, keys, 2, false, 0);
	if (range != NULL)
		return range;
	InitTextKey(&keys[1], 2, search->index, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(mark.profile));
	InitKey(&keys[2], 3, BTGreaterStrategyNumber, F_INT2GT, Int16GetDatum(mark.key.priority));
	range = mark.key.priority == PG_INT16_MAX ? NULL :
		OpenRange(search, keys, 3, true, mark.key.priority + 1);
	if (range != NULL && range->is_open)
		return range;
	return OpenBehindMark(search);
}

/* Whether a time is to come, within a while: not when the clock was set back. */
static bool
IsNear(TimestampTz time, TimestampTz now, int64 while_us)
{
	return now < time && now >= time - while_us;
}

/* Whether a range is the mark's. */
static bool
IsMarked(const Range *range)
{
	return mark.until != 0 && TextEquals(mark.type, range->type) &&
		TextEquals(mark.profile, range->profile);
}

/* Blocks that this session has looked at. */
static int64
BlocksSeen(void)
{
	return pgBufferUsage.shared_blks_hit + pgBufferUsage.shared_blks_read;
}

/*
 * Open the first range of all.
 */
static Range *
OpenFirstRange(ClaimSearch *search)
{
	Range	   *range = NULL;
	int64		before;

	if (IsNear(mark.until, search->now, MARK_LIFE_US))
		range = IsNear(mark.alone_until, search->now, ALONE_LIFE_US) ?
			OpenBehindMark(search) : OpenAtMark(search);
	if (range != NULL && range->is_open)
	{
		if (IsMarked(range))
			mark.key = range->key;
		return range;
	}
	mark.until = mark.alone_until = 0;
	before = BlocksSeen();
	range = OpenRange(search, NULL, 0, false, 0);
	if (range != NULL && range->is_open && BlocksSeen() - before > LONG_WAY_BLOCKS)
		SetMark(range, search->now);
	return range;
}

/*
 * Whether a range is the last one: it is when the index ends in it.
 */
static bool
IsLastRange(ClaimSearch *search, const text *type, const text *profile)
{
	IndexScanDesc scan = CompatBeginIndexScan(search->workflows, search->index, search->snapshot, 0);
	bool		is_last;

	index_rescan(scan, NULL, 0, NULL, 0);
	is_last = index_getnext_slot(scan, BackwardScanDirection, search->other) &&
		TextEquals(DatumGetTextPP(QueueColumn(search, search->other, COLUMN_TYPE)), type) &&
		TextEquals(QueueText(search, search->other, COLUMN_PROFILE), profile);
	ExecClearTuple(search->other);
	index_endscan(scan);
	return is_last;
}

/*
 * Open all ranges that the caller may take from: from the first on, the next
 * profile of its type, then the next type.
 */
List *
OpenRanges(ClaimSearch *search)
{
	List	   *ranges = NIL;
	ScanKeyData keys[2];
	Range	   *range = OpenFirstRange(search);
	text	   *type = NULL;
	bool		is_first = true;

	for (;;)
	{
		text	   *profile;

		if (range == NULL)
		{
			if (type == NULL)
				return ranges;
			InitTextKey(&keys[0], 1, search->index, BTGreaterStrategyNumber, F_TEXT_GT,
						PointerGetDatum(type));
			range = OpenRange(search, keys, 1, false, 0);
			if (range == NULL)
				return ranges;
		}
		type = range->type;
		profile = range->profile;
		if (range->is_open && IsWanted(search, type, profile, NULL))
			ranges = lappend(ranges, range);
		else
			EndRange(range);
		if (is_first && IsNear(mark.alone_until, search->now, ALONE_LIFE_US))
			return ranges;
		if (is_first && IsLastRange(search, type, profile))
		{
			if (IsMarked(range))
				mark.alone_until = search->now + ALONE_LIFE_US;
			return ranges;
		}
		is_first = false;
		InitTextKey(&keys[0], 1, search->index, BTEqualStrategyNumber, F_TEXTEQ,
					PointerGetDatum(type));
		InitTextKey(&keys[1], 2, search->index, BTGreaterStrategyNumber, F_TEXT_GT,
					PointerGetDatum(profile));
		range = OpenRange(search, keys, 2, false, 0);
		CHECK_FOR_INTERRUPTS();
	}
}
