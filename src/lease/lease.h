/*-------------------------------------------------------------------------
 *
 * lease.h
 *	  Leases: a worker's right to a workflow until a time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_LEASE_H
#define AMELIA_LEASE_H

#include "base/amelia.h"

#include "access/skey.h"
#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"
#include "utils/uuid.h"

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
extern bool InForce(const Lease *lease, int64 token, TimestampTz now);
pg_noreturn extern void RefuseLostLease(const pg_uuid_t *workflow, int64 token, bool found,
										const Lease *lease);
extern void NoteSeen(Leases *leases, Lease *lease, TimestampTz now, TimestampTz expires_at);
extern void CheckLease(const pg_uuid_t *workflow, int64 token);
extern void GiveLease(Leases *leases, const pg_uuid_t *workflow, const Lease *before, Lease *lease,
					  TimestampTz now);
extern bool HasLease(const pg_uuid_t *workflow);
extern TimestampTz LeaseExpiry(const pg_uuid_t *workflow);

#endif							/* AMELIA_LEASE_H */
