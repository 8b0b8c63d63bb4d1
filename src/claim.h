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

/* A workflow whose lease ran out or was given back. */
typedef struct LostLease
{
	ClaimKey	key;
} LostLease;

/* What is claimed: its row is locked. */
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

/* claim.c */
extern void ReadClaimKey(ClaimSearch *search, TupleTableSlot *slot, ClaimKey *key);
extern bool ClaimsBefore(const ClaimKey *a, const ClaimKey *b);
extern bool FindCandidate(ClaimSearch *search, Candidate *candidate);

/* takeover.c */
extern List *FindLostLeases(ClaimSearch *search);
extern bool TryLostLease(ClaimSearch *search, const LostLease *lost, Candidate *candidate);

/* limits.c */
extern int32 ProfileLimit(const text *profile);
extern void ReadLimits(int32 *max_concurrent, Interval *start_timeout);

#endif							/* AMELIA_CLAIM_H */
