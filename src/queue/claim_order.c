/*-------------------------------------------------------------------------
 *
 * claim_order.c
 *	  What can be claimed, in the order in which it is taken.
 *
 *	  It lies in two indexes. One has a range for each type, by priority, then
 *	  time, with all profiles one among another: a claim reads those that it may
 *	  take from side by side, as a merge does, so that it costs the same with
 *	  ten thousand profiles as with one. Entries of profiles that are closed to
 *	  it (closed_profiles.c) are passed over without a look at their rows. The other
 *	  index has a range for each type and profile. It is read by claims that ask
 *	  for a profile, and by those that have met many entries of closed profiles,
 *	  if there are not too many others.
 *
 *	  In each range a claim takes the rows whose time has come, jumping over
 *	  the rest of a priority when nothing in it is due.
 *
 *-------------------------------------------------------------------------
 */
#include "queue/claim_order.h"

#include "access/genam.h"
#include "access/itup.h"
#include "access/stratnum.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "base/row.h"
#include "base/sequence.h"
#include "queue/candidate.h"
#include "queue/closed_profiles.h"

/*
 * Where the first row was the last time, if it was a long way there: when many
 * rows have just left the queue and are not vacuumed yet, the index still leads
 * past each of them, and so it does when many are of closed profiles. For a
 * moment claims then begin there, so that a row of the same priority which
 * comes in before it waits that long. What has a higher priority, or another
 * type, is looked for more often. A claim that finds nothing looks everywhere.
 */
typedef struct Mark
{
	TimestampTz until;			/* 0: there is none */
	TimestampTz alone_until;	/* till then nothing else is looked for */
	text	   *type;
	text	   *profile;		/* NULL: all of them */
	ClaimKey	key;
} Mark;

#define LONG_WAY_BLOCKS 16
#define LONG_WAY_ENTRIES 1000
#define MARK_LIFE_US USECS_PER_SEC
#define ALONE_LIFE_US (USECS_PER_SEC / 10)

/*
 * Entries of closed profiles after which a claim tries the other index, and
 * ranges there that are more than it is worth.
 */
#define MANY_ENTRIES 5000
#define MANY_RANGES 256

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

/* Make a range, which is not read yet. profile NULL: all of them. */
static Range *
MakeRange(ClaimSearch *search, text *type, text *profile)
{
	Range	   *range = palloc0(sizeof(Range));

	range->index = profile == NULL ? search->order : search->index;
	range->type = type;
	range->profile = profile;
	range->slot = table_slot_create(search->workflows, NULL);
	return range;
}

/* Begin to read a range where the keys lead to. */
static void
BeginAt(ClaimSearch *search, Range *range, ScanKey keys, int count)
{
	if (range->scan != NULL)
		index_endscan(range->scan);
	range->scan = CompatBeginIndexScan(search->workflows, range->index, search->snapshot, count);
	range->scan->xs_want_itup = range->profile == NULL && search->order_has_profile;
	index_rescan(range->scan, count > 0 ? keys : NULL, count, NULL, 0);
}

/* The keys that a range has in its index; how many there are. */
static int
RangeKeys(const Range *range, ScanKey keys)
{
	InitTextKey(&keys[0], 1, range->index, BTEqualStrategyNumber, F_TEXTEQ,
				PointerGetDatum(range->type));
	if (range->profile == NULL)
		return 1;
	InitTextKey(&keys[1], 2, range->index, BTEqualStrategyNumber, F_TEXTEQ,
				PointerGetDatum(range->profile));
	return 2;
}

/*
 * Whether the entry that a scan has come to is of a closed profile, which the
 * index tells by itself.
 */
static bool
IsClosedEntry(ClaimSearch *search, IndexScanDesc scan)
{
	bool		is_null;
	Datum		profile;

	if (search->closed == NULL || !scan->xs_want_itup)
		return false;
	profile = index_getattr(scan->xs_itup, ORDER_PROFILE, scan->xs_itupdesc, &is_null);
	return !is_null && IsClosed(search, DatumGetTextPP(profile));
}

/*
 * Fetch the next row of a range; false when there is none, or the way there
 * is too long for this kind of search.
 */
static bool
NextEntry(ClaimSearch *search, Range *range)
{
	while (index_getnext_tid(range->scan, ForwardScanDirection) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (!IsClosedEntry(search, range->scan))
		{
			if (index_fetch_heap(range->scan, range->slot))
				return true;
			continue;
		}
		search->skipped++;
		if (search->way == WAY_IN_ORDER && search->skipped > MANY_ENTRIES)
		{
			search->gave_up = true;
			range->is_bounded = false;
			return false;
		}
	}
	return false;
}

/*
 * Begin to read below a priority in the range.
 */
static void
JumpBelow(ClaimSearch *search, Range *range, int16 priority)
{
	ScanKeyData keys[3];
	int			count = RangeKeys(range, keys);

	InitKey(&keys[count], count + 1, BTLessStrategyNumber, F_INT2LT, Int16GetDatum(priority));
	BeginAt(search, range, keys, count + 1);
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
			found = NextEntry(search, range);
			continue;
		}
		if (!TextEquals(DatumGetTextPP(QueueColumn(search, range->slot, COLUMN_TYPE)), range->type))
			break;
		ReadClaimKey(search, range->slot, &range->key);
		if (range->key.available_at <= search->now)
		{
			range->is_open = true;
			return;
		}
		range->is_bounded = false;
		JumpBelow(search, range, range->key.priority);
		found = NextEntry(search, range);
	}
	EndRange(range);
}

/*
 * Go on to the next row of a range that is due.
 */
void
NextRow(ClaimSearch *search, Range *range)
{
	Settle(search, range, NextEntry(search, range));
}

/* Read a range from a place of its order on. */
static void
OpenBehind(ClaimSearch *search, Range *range, const ClaimKey *place)
{
	ScanKeyData keys[4];
	int			count = RangeKeys(range, keys);

	InitKey(&keys[count], count + 1, BTEqualStrategyNumber, F_INT2EQ, Int16GetDatum(place->priority));
	InitKey(&keys[count + 1], count + 2, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE,
			TimestampTzGetDatum(place->available_at));
	BeginAt(search, range, keys, count + 2);
	range->is_bounded = true;
	range->bound = place->priority;
	Settle(search, range, NextEntry(search, range));
}

/*
 * The ids of rows of a range that are due, from the one on that it has come
 * to; how many there are.
 */
int
LookAhead(ClaimSearch *search, const Range *range, pg_uuid_t *ids, int count)
{
	Range	   *ahead;
	int			found = 0;

	ids[found++] = range->key.id;
	if (count == 1)
		return found;
	ahead = MakeRange(search, range->type, range->profile);
	for (OpenBehind(search, ahead, &range->key); ahead->is_open && found < count; NextRow(search, ahead))
	{
		if (ClaimsBefore(&range->key, &ahead->key))
			ids[found++] = ahead->key.id;
	}
	EndRange(ahead);
	return found;
}

/* Whether a time is to come, within a while: not when the clock was set back. */
static bool
IsNear(TimestampTz time, TimestampTz now, int64 while_us)
{
	return now < time && now >= time - while_us;
}

/* Whether the mark stands in the range of a type and a profile. */
static bool
IsMarked(const ClaimSearch *search, const text *type, const text *profile)
{
	return IsNear(mark.until, search->now, MARK_LIFE_US) && TextEquals(mark.type, type) &&
		(profile == NULL ? mark.profile == NULL :
		 mark.profile != NULL && TextEquals(mark.profile, profile));
}

/* A copy that stays. */
static text *
KeptText(const text *value)
{
	return value == NULL ? NULL :
		memcpy(MemoryContextAlloc(TopMemoryContext, VARSIZE_ANY(value)), value, VARSIZE_ANY(value));
}

/* Note where a range has come to. */
static void
SetMark(const Range *range, TimestampTz now)
{
	text	   *type = KeptText(range->type);
	text	   *profile = KeptText(range->profile);

	if (mark.type != NULL)
		pfree(mark.type);
	if (mark.profile != NULL)
		pfree(mark.profile);
	mark = (Mark)
	{
		.until = now + MARK_LIFE_US,.type = type,.profile = profile,.key = range->key
	};
}

/*
 * Forget it. Returns whether there was one that this search began at.
 */
bool
ForgetMark(ClaimSearch *search)
{
	bool		was_used = search->at_mark;

	search->at_mark = false;
	mark.until = mark.alone_until = 0;
	return was_used;
}

/*
 * A range has led to a workflow that can be taken. If it was a long way past
 * closed profiles, the next claims begin here.
 */
void
MarkFound(ClaimSearch *search, const Range *range)
{
	/* What policies hide from one is another's, in this session too. */
	if (search->skipped <= LONG_WAY_ENTRIES || range->profile != NULL || search->has_policies)
		return;
	SetMark(range, search->now);
	mark.alone_until = search->now + ALONE_LIFE_US;
}

/* Blocks that this session has looked at. */
static int64
BlocksSeen(void)
{
	return pgBufferUsage.shared_blks_hit + pgBufferUsage.shared_blks_read;
}

/*
 * Open the range of a type and a profile, NULL: all of them; at the mark, if
 * that stands there, or at what has a higher priority.
 */
static Range *
OpenRange(ClaimSearch *search, text *type, text *profile)
{
	Range	   *range = MakeRange(search, type, profile);
	ScanKeyData keys[3];
	int			count = RangeKeys(range, keys);
	int64		before = BlocksSeen();

	if (IsMarked(search, type, profile))
	{
		search->at_mark = true;
		if (!IsNear(mark.alone_until, search->now, ALONE_LIFE_US) && mark.key.priority < PG_INT16_MAX)
		{
			InitKey(&keys[count], count + 1, BTGreaterStrategyNumber, F_INT2GT,
					Int16GetDatum(mark.key.priority));
			BeginAt(search, range, keys, count + 1);
			range->is_bounded = true;
			range->bound = mark.key.priority + 1;
			if (NextEntry(search, range))
			{
				Settle(search, range, true);
				return range;
			}
		}
		OpenBehind(search, range, &mark.key);
		if (range->is_open)
		{
			mark.key = range->key;
			return range;
		}
		ForgetMark(search);
		range = MakeRange(search, type, profile);
	}
	BeginAt(search, range, keys, count);
	Settle(search, range, NextEntry(search, range));
	if (range->is_open && BlocksSeen() - before > LONG_WAY_BLOCKS)
		SetMark(range, search->now);
	return range;
}

/* The order of types in the indexes. */
static int
CompareTypes(text *a, text *b)
{
	return varstr_cmp(VARDATA_ANY(a), VARSIZE_ANY_EXHDR(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(b),
					  C_COLLATION_OID);
}

/*
 * Open the range of the first type behind one, NULL: of the first of all, of
 * which anything waits; NULL when there is none. Where rows have just left it
 * is a long way there, so the mark is not passed.
 */
static Range *
OpenNextType(ClaimSearch *search, text *behind)
{
	bool		to_mark = IsNear(mark.until, search->now, MARK_LIFE_US) &&
	IsMarked(search, mark.type, search->profile) &&
	(behind == NULL || CompareTypes(mark.type, behind) > 0);
	Range	   *range = MakeRange(search, NULL, NULL);
	int64		before = BlocksSeen();
	ScanKeyData keys[2];
	int			count = 0;

	if (behind != NULL)
		InitTextKey(&keys[count++], 1, search->order, BTGreaterStrategyNumber, F_TEXT_GT,
					PointerGetDatum(behind));
	if (to_mark)
		InitTextKey(&keys[count++], 1, search->order, BTLessStrategyNumber, F_TEXT_LT,
					PointerGetDatum(mark.type));
	BeginAt(search, range, keys, count);
	if (NextEntry(search, range))
	{
		range->type = DatumGetTextPCopy(QueueColumn(search, range->slot, COLUMN_TYPE));
		if (search->profile == NULL)
			Settle(search, range, true);
		else
		{
			EndRange(range);
			range = OpenRange(search, range->type, search->profile);
		}
		if (range->is_open && BlocksSeen() - before > LONG_WAY_BLOCKS &&
			!IsMarked(search, range->type, search->profile))
			SetMark(range, search->now);
		return range;
	}
	EndRange(range);
	return to_mark ? OpenRange(search, DatumGetTextPCopy(PointerGetDatum(mark.type)), search->profile) : NULL;
}

/*
 * Whether a type is the last one: it is when the index ends in it.
 */
static bool
IsLastType(ClaimSearch *search, const text *type)
{
	IndexScanDesc scan = CompatBeginIndexScan(search->workflows, search->order, search->snapshot, 0);
	bool		is_last;

	index_rescan(scan, NULL, 0, NULL, 0);
	is_last = index_getnext_slot(scan, BackwardScanDirection, search->other) &&
		TextEquals(DatumGetTextPP(QueueColumn(search, search->other, COLUMN_TYPE)), type);
	ExecClearTuple(search->other);
	index_endscan(scan);
	return is_last;
}

/* Put a range to the others, if there is anything in it. */
static List *
AddRange(List *ranges, Range *range)
{
	if (range->is_open)
		return lappend(ranges, range);
	EndRange(range);
	return ranges;
}

/*
 * Open the ranges of the types that the caller asks for.
 */
static List *
OpenWantedTypes(ClaimSearch *search)
{
	List	   *ranges = NIL;

	for (int i = 0; i < search->type_count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		ranges = AddRange(ranges, OpenRange(search, DatumGetTextPP(search->types[i]), search->profile));
	}
	return ranges;
}

/*
 * Open the ranges of all types.
 */
static List *
OpenAllTypes(ClaimSearch *search)
{
	List	   *ranges = NIL;
	Range	   *range;

	if (IsNear(mark.alone_until, search->now, ALONE_LIFE_US) &&
		IsMarked(search, mark.type, search->profile))
		return AddRange(NIL, OpenRange(search, DatumGetTextPCopy(PointerGetDatum(mark.type)),
									   search->profile));
	range = OpenNextType(search, NULL);
	if (range != NULL && IsLastType(search, range->type))
	{
		if (range->is_open && IsMarked(search, range->type, search->profile))
			mark.alone_until = search->now + ALONE_LIFE_US;
		return AddRange(NIL, range);
	}
	while (range != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		ranges = AddRange(ranges, range);
		range = OpenNextType(search, range->type);
	}
	return ranges;
}

/*
 * Come to the first entry of the other index that the keys lead to, and read
 * its type and profile; false when there is none.
 */
static bool
ReadProfile(ClaimSearch *search, Range *reader, ScanKey keys, int count, text **type, text **profile)
{
	bool		is_null;

	if (reader->scan != NULL)
		index_endscan(reader->scan);
	reader->scan = CompatBeginIndexScan(search->workflows, search->index, search->snapshot, count);
	reader->scan->xs_want_itup = true;
	index_rescan(reader->scan, count > 0 ? keys : NULL, count, NULL, 0);
	if (index_getnext_tid(reader->scan, ForwardScanDirection) == NULL)
		return false;
	*type = DatumGetTextPCopy(index_getattr(reader->scan->xs_itup, 1, reader->scan->xs_itupdesc, &is_null));
	*profile = DatumGetTextPCopy(index_getattr(reader->scan->xs_itup, 2, reader->scan->xs_itupdesc, &is_null));
	return true;
}

/*
 * Come to the type and profile behind those, NULL: to the first of all. false
 * when there is none.
 */
static bool
NextProfile(ClaimSearch *search, Range *reader, text **type, text **profile)
{
	ScanKeyData keys[2];

	if (*type == NULL)
		return ReadProfile(search, reader, NULL, 0, type, profile);
	InitTextKey(&keys[0], 1, search->index, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(*type));
	InitTextKey(&keys[1], 2, search->index, BTGreaterStrategyNumber, F_TEXT_GT, PointerGetDatum(*profile));
	if (ReadProfile(search, reader, keys, 2, type, profile))
		return true;
	InitTextKey(&keys[0], 1, search->index, BTGreaterStrategyNumber, F_TEXT_GT, PointerGetDatum(*type));
	return ReadProfile(search, reader, keys, 1, type, profile);
}

/*
 * Open a range for each type and profile that the caller may take from; none
 * when they are too many.
 */
static List *
OpenByProfile(ClaimSearch *search)
{
	List	   *ranges = NIL;
	Range	   *reader = MakeRange(search, NULL, NULL);
	text	   *type = NULL;
	text	   *profile = NULL;
	ListCell   *cell;

	while (!search->gave_up && NextProfile(search, reader, &type, &profile))
	{
		int32		limit;

		CHECK_FOR_INTERRUPTS();
		if (IsWanted(search, type, profile, NULL) && ProfileHasRoom(search, profile, &limit))
			ranges = AddRange(ranges, OpenRange(search, type, profile));
		search->gave_up = list_length(ranges) > MANY_RANGES;
	}
	EndRange(reader);
	if (!search->gave_up)
		return ranges;
	foreach(cell, ranges)
		EndRange(lfirst(cell));
	return NIL;
}

/*
 * Open all ranges that the caller may take from.
 */
List *
OpenRanges(ClaimSearch *search)
{
	if (search->way == WAY_BY_PROFILE)
		return OpenByProfile(search);
	return search->types != NULL ? OpenWantedTypes(search) : OpenAllTypes(search);
}
