/*-------------------------------------------------------------------------
 *
 * closed_profiles.c
 *	  Profiles of which a claim can take nothing more: as many of their
 *	  workflows are held as may be, or their budget is spent.
 *
 *	  A claim finds that out at the first workflow of a profile that it
 *	  comes to, and keeps it in mind for those that follow.
 *
 *-------------------------------------------------------------------------
 */
#include "queue/closed_profiles.h"

#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/rel.h"

#include "base/row.h"
#include "base/sequence.h"
#include "lease/slot.h"
#include "usage/spent_budgets.h"

/*
 * How many workflows of a profile may be held at the same time; 0 when it has
 * no limit, or is none of profiles.
 */
int32
ProfileLimit(const text *profile)
{
	Relation	table;
	Relation	index;
	TupleTableSlot *slot;
	ScanKeyData key;
	int32		limit = 0;

	if (VARSIZE_ANY_EXHDR(profile) == 0)
		return 0;
	table = OpenTable("profiles", AccessShareLock);
	index = OpenIndex(table, "profiles_pkey", AccessShareLock);
	slot = table_slot_create(table, NULL);
	InitTextKey(&key, 1, index, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(profile));
	if (FindLatestRow(table, index, &key, 1, slot))
	{
		bool		is_null;
		Datum		value = RowColumn(table, slot, "max_concurrent", INT4OID, &is_null);

		limit = is_null ? 0 : DatumGetInt32(value);
	}
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	table_close(table, NoLock);
	return limit;
}

/* The table of closed profiles has texts, by pointers, as its keys. */
static uint32
HashProfile(const void *key, Size size)
{
	const text *profile = *(text *const *) key;

	return hash_bytes((const unsigned char *) VARDATA_ANY(profile), VARSIZE_ANY_EXHDR(profile));
}

static int
CompareProfiles(const void *a, const void *b, Size size)
{
	return TextEquals(*(text *const *) a, *(text *const *) b) ? 0 : 1;
}

/* Keep in mind that a profile is closed. */
static void
Close(ClaimSearch *search, const text *profile)
{
	text	   *copy = (text *) pg_detoast_datum_copy(unconstify(struct varlena *, profile));
	bool		found;

	if (search->closed == NULL)
	{
		HASHCTL		control = {
			.keysize = sizeof(text *),
			.entrysize = sizeof(text *),
			.hash = HashProfile,
			.match = CompareProfiles,
			.hcxt = CurrentMemoryContext
		};

		search->closed = hash_create("closed profiles", 64, &control,
									 HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	}
	(void) hash_search(search->closed, &copy, HASH_ENTER, &found);
}

/*
 * Whether a profile is known to be closed.
 */
bool
IsClosed(ClaimSearch *search, text *profile)
{
	return search->closed != NULL && hash_search(search->closed, &profile, HASH_FIND, NULL) != NULL;
}

/*
 * Whether a workflow of a profile, which is empty for none, may be taken, as
 * far as the profile goes; and how many of it may be held.
 */
bool
ProfileHasRoom(ClaimSearch *search, text *profile, int32 *limit)
{
	if (IsClosed(search, profile))
		return false;
	if (search->with_room == NULL || !TextEquals(search->with_room, profile))
	{
		*limit = ProfileLimit(profile);
		if (IsOverBudget(search->spent, profile, NULL) ||
			(*limit > 0 && !HasFreeSlot(text_to_cstring(profile), *limit)))
		{
			Close(search, profile);
			return false;
		}
		search->with_room = (text *) pg_detoast_datum_copy((struct varlena *) profile);
		search->room_limit = *limit;
	}
	*limit = search->room_limit;
	return true;
}
