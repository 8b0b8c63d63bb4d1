/*-------------------------------------------------------------------------
 *
 * candidate.h
 *	  What a search and a takeover know of the workflows that may be claimed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_CANDIDATE_H
#define AMELIA_CANDIDATE_H

#include "base/amelia.h"

#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "nodes/pg_list.h"
#include "utils/hsearch.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

/* The columns of workflows that claims look at. */
typedef enum ClaimColumn
{
	COLUMN_ID,
	COLUMN_STATUS,
	COLUMN_TYPE,
	COLUMN_PROFILE,
	COLUMN_WORKTREE,
	COLUMN_PRIORITY,
	COLUMN_AVAILABLE_AT,
	COLUMN_RETRY_AT,
	COLUMN_FAILURES,
	COLUMN_MAX_FAILURES,
	COLUMN_CANCEL_REQUESTED
} ClaimColumn;

#define CLAIM_COLUMNS (COLUMN_CANCEL_REQUESTED + 1)

/* The place of a workflow in the order of claims. */
typedef struct ClaimKey
{
	int16		priority;
	TimestampTz available_at;
	pg_uuid_t	id;
} ClaimKey;

/* What is claimed: its row is locked, and stands in search->other. */
typedef struct Candidate
{
	pg_uuid_t	id;
	char	   *status;
	char	   *profile;		/* NULL: none */
	int32		profile_limit;	/* 0: none */
	int32		failures;
	int32		max_failures;
	bool		cancel_requested;
} Candidate;

/* How a search goes about closed profiles; see claim_order.c. */
typedef enum SearchWay
{
	WAY_IN_ORDER,				/* past some of their entries */
	WAY_BY_PROFILE,				/* other profiles only, if they are few */
	WAY_TO_THE_END				/* past all of their entries */
}			SearchWay;

typedef struct ClaimSearch
{
	/* what the caller asks for */
	TimestampTz now;
	text	   *profile;		/* NULL: any */
	Datum	   *types;			/* in CompareTexts()' order, each once; NULL:
								 * any */
	int			type_count;
	List	   *spent;			/* budgets */

	/* while it is looked for */
	Relation	workflows;
	Relation	order;			/* index of all profiles, */
	Relation	index;			/* of each type and profile, */
	Relation	active;			/* of worktrees */
	bool		order_has_profile;
	TupleTableSlot *other;
	AttrNumber	columns[CLAIM_COLUMNS];
	bool		has_policies;	/* that hold for the caller */
	Snapshot	snapshot;
	List	   *busy_worktrees;
	int			parked;
	bool		changed;		/* something was not as the snapshot shows it */
	SearchWay	way;
	bool		gave_up;		/* this way is too long */
	bool		at_mark;		/* it did not begin at the start */

	/* profiles */
	HTAB	   *closed;			/* NULL: none is known */
	int64		skipped;		/* their entries */
	text	   *with_room;		/* the last one that is not */
	int32		room_limit;

	/* what policies hide */
	HTAB	   *hidden;			/* ids; NULL: none is known */
	int			look_ahead;		/* how many are asked for at a time */

	/* what cannot be moved */
	List	   *refused;		/* ids that this call has met */
	bool		may_be_passed_over; /* there may be others */
	bool		is_at_row;		/* an error would be this workflow's: */
	pg_uuid_t	at_row;
	bool		was_passed_over;	/* a fault of it is kept */
} ClaimSearch;

extern Datum QueueColumn(ClaimSearch *search, TupleTableSlot *slot, ClaimColumn column);
extern text *QueueText(ClaimSearch *search, TupleTableSlot *slot, ClaimColumn column);
extern int	CompareTexts(const void *a, const void *b);
extern bool TextEquals(const text *a, const text *b);
extern bool StatusIs(ClaimSearch *search, TupleTableSlot *slot, const char *status);
extern bool IsWanted(ClaimSearch *search, const text *type, const text *profile,
					 const pg_uuid_t *workflow);
extern bool IsHidden(ClaimSearch *search, const pg_uuid_t *workflow);
extern bool MayTake(ClaimSearch *search, const pg_uuid_t *workflows, int count);
extern bool WantsLookAhead(ClaimSearch *search);
extern bool ComeTo(ClaimSearch *search, const pg_uuid_t *workflow);
extern void LeaveRow(ClaimSearch *search);
extern void ReadClaimKey(ClaimSearch *search, TupleTableSlot *slot, ClaimKey *key);
extern bool ClaimsBefore(const ClaimKey *a, const ClaimKey *b);
extern void ReadCandidate(ClaimSearch *search, TupleTableSlot *slot, Candidate *candidate);

#endif							/* AMELIA_CANDIDATE_H */
