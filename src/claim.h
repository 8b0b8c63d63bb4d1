/*-------------------------------------------------------------------------
 *
 * claim.h
 *	  Finding what to claim, and taking it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_CLAIM_H
#define AMELIA_CLAIM_H

#include "lease.h"
#include "spent.h"

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

/* The leases that ran out or were given back. */
typedef struct LostLeases
{
	Relation	leases;
	Relation	index;
	TupleTableSlot *slot;
	AttrNumber	workflow_column;
	IndexScanDesc scan;
	bool		is_done;
} LostLeases;

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
	Snapshot	snapshot;
	List	   *busy_worktrees;
	int			parked;
	bool		changed;		/* something was not as the snapshot shows it */
} ClaimSearch;

/* A range of the index: one type and one profile. */
typedef struct Range
{
	IndexScanDesc scan;
	TupleTableSlot *slot;
	bool		is_open;		/* it has a row in slot, which is due */
	text	   *type;
	text	   *profile;
	bool		limit_known;
	int32		limit;			/* of the profile; 0: none */
	ClaimKey	key;
	bool		is_bounded;		/* the scan ends before the range does: */
	int16		bound;			/* what follows has lower priorities */
} Range;

/* queue.c */
extern Datum QueueColumn(ClaimSearch *search, TupleTableSlot *slot, ClaimColumn column);
extern text *QueueText(ClaimSearch *search, TupleTableSlot *slot, ClaimColumn column);
extern bool TextEquals(const text *a, const text *b);
extern bool StatusIs(ClaimSearch *search, TupleTableSlot *slot, const char *status);
extern bool IsWanted(ClaimSearch *search, const text *type, const text *profile,
					 const pg_uuid_t *workflow);
extern void ReadClaimKey(ClaimSearch *search, TupleTableSlot *slot, ClaimKey *key);
extern bool ClaimsBefore(const ClaimKey *a, const ClaimKey *b);
extern List *OpenRanges(ClaimSearch *search);
extern void NextRow(ClaimSearch *search, Range *range);
extern void EndRange(Range *range);

/* claim.c */
extern void ReadCandidate(ClaimSearch *search, TupleTableSlot *slot, Candidate *candidate);
extern void BeginSearch(ClaimSearch *search);
extern bool FindCandidate(ClaimSearch *search, Candidate *candidate);
extern void EndSearch(ClaimSearch *search);

/* takeover.c */
extern void BeginLostLeases(ClaimSearch *search, LostLeases *lost);
extern void EndLostLeases(LostLeases *lost);
extern List *NextLostLeases(ClaimSearch *search, LostLeases *lost);
extern bool TryLostLease(ClaimSearch *search, const ClaimKey *lost, Candidate *candidate);
extern int32 ProfileLimit(const text *profile);
extern void ReadLimits(int32 *max_concurrent, Interval *start_timeout);

#endif							/* AMELIA_CLAIM_H */
