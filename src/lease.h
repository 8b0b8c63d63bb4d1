/*-------------------------------------------------------------------------
 *
 * lease.h
 *	  Leases, and the slots that limit how many there are.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_LEASE_H
#define AMELIA_LEASE_H

#include "row.h"

#include "datatype/timestamp.h"

/* The leases, open; and one of them, in slot. */
typedef struct Leases
{
	Relation	table;
	Relation	index;
	TupleTableSlot *slot;
} Leases;

typedef struct Lease
{
	int64		token;
	TimestampTz expires_at;
	TimestampTz starts_until;	/* DT_NOBEGIN: it was seen */
	bool		given_back;
	int32		slot;			/* 0: none */
	int32		profile_slot;
	char	   *profile;
	char	   *worker;
} Lease;

/* lease.c */
extern void InitLease(void);
extern void OpenLeases(Leases *leases);
extern void CloseLeases(Leases *leases);
extern bool FindLease(Leases *leases, const pg_uuid_t *workflow, Lease *lease);
extern bool LockLease(Leases *leases, const pg_uuid_t *workflow, bool wait, Lease *lease);
extern void InitExpiredKeys(ScanKey keys, TimestampTz now);
extern bool FreeExpiredSlots(TimestampTz now, const pg_uuid_t *except);
extern void EndLease(const pg_uuid_t *workflow);
extern void FinishLease(const pg_uuid_t *workflow, int64 token);
extern void GetLeaseArguments(FunctionCallInfo fcinfo, pg_uuid_t **workflow, int64 *token);
extern void UseLease(const pg_uuid_t *workflow, int64 token);
extern void CheckLease(const pg_uuid_t *workflow, int64 token);
extern void GiveLease(Leases *leases, const pg_uuid_t *workflow, const Lease *before, Lease *lease,
					  TimestampTz now);
extern bool HasLease(const pg_uuid_t *workflow);
extern TimestampTz LeaseEnd(TimestampTz from, const Interval *lease);
extern TimestampTz LeaseExpiry(const pg_uuid_t *workflow);

/* slot.c */
extern bool HasFreeSlot(const char *profile, int32 limit);
extern int32 LockFreeSlot(const char *profile, int32 limit);
extern void UnlockSlot(const char *profile, int32 slot);

#endif							/* AMELIA_LEASE_H */
