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

typedef struct ClaimSearch
{
	/* what the caller asks for */
	TimestampTz now;
	text	   *profile;		/* NULL: any */
	Datum	   *types;			/* NULL: any */
	int			type_count;
	List	   *spent;			/* budgets */

	/* while it is looked for */
	Relation	workflows;
	Relation	index;
	Relation	active;
	TupleTableSlot *other;
	AttrNumber	columns[CLAIM_COLUMNS];
	bool		has_policies;	/* that hold for the caller */
	Snapshot	snapshot;
	List	   *busy_worktrees;
	int			parked;
	bool		changed;		/* something was not as the snapshot shows it */

	/* what cannot be moved */
	List	   *refused;		/* ids that this call has met */
	bool		may_be_passed_over; /* there may be others */
	bool		is_at_row;		/* an error would be this workflow's: */
	pg_uuid_t	at_row;
	bool		was_passed_over;	/* a fault of it is kept */
} ClaimSearch;

extern Datum QueueColumn(ClaimSearch *search, TupleTableSlot *slot, ClaimColumn column);
extern text *QueueText(ClaimSearch *search, TupleTableSlot *slot, ClaimColumn column);
extern bool TextEquals(const text *a, const text *b);
extern bool StatusIs(ClaimSearch *search, TupleTableSlot *slot, const char *status);
extern bool IsWanted(ClaimSearch *search, const text *type, const text *profile,
					 const pg_uuid_t *workflow);
extern bool MayTake(ClaimSearch *search, const pg_uuid_t *workflow);
extern bool ComeTo(ClaimSearch *search, const pg_uuid_t *workflow);
extern void LeaveRow(ClaimSearch *search);
extern void ReadClaimKey(ClaimSearch *search, TupleTableSlot *slot, ClaimKey *key);
extern bool ClaimsBefore(const ClaimKey *a, const ClaimKey *b);
extern void ReadCandidate(ClaimSearch *search, TupleTableSlot *slot, Candidate *candidate);

#endif							/* AMELIA_CANDIDATE_H */
