/*-------------------------------------------------------------------------
 *
 * said_lease.h
 *	  Which leases a transaction says that it works under.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_SAID_LEASE_H
#define AMELIA_SAID_LEASE_H

#include "base/amelia.h"

#include "utils/uuid.h"

typedef enum LeaseWord
{
	LEASE_NOT_SAID,
	LEASE_SAID,
	LEASE_NOT_NEEDED			/* this transaction gave or ended it itself */
} LeaseWord;

extern bool amelia_require_lease;
extern void InitSaidLease(void);
extern void SayLease(const pg_uuid_t *workflow, int64 token);
extern void SayBegun(const pg_uuid_t *workflow, int64 token);
extern bool HasBegun(const pg_uuid_t *workflow, int64 token);
extern void ForEachBegun(void (*note) (const pg_uuid_t *workflow, int64 token));
extern void SayUnfenced(const pg_uuid_t *workflow);
extern LeaseWord SaidLeaseOf(const pg_uuid_t *workflow, int64 *token);
extern bool MayBeFenced(void);

#endif							/* AMELIA_SAID_LEASE_H */
