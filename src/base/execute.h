/*-------------------------------------------------------------------------
 *
 * execute.h
 *	  Running SQL: with whose rights, and with plans that are kept.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_EXECUTE_H
#define AMELIA_EXECUTE_H

#include "base/amelia.h"

#include "executor/spi.h"
#include "utils/uuid.h"

typedef struct OwnerContext
{
	Oid			user;
	int			security;
} OwnerContext;

typedef struct RestrictedContext
{
	OwnerContext owner;
	int			guc_level;
} RestrictedContext;

extern void BecomeOwner(Oid owner, OwnerContext *before);
extern void BecomeSelf(const OwnerContext *before);
extern int	EnterSafePath(void);
extern void LeaveSafePath(int nest_level);
extern void EnterRestrictedPatiently(Oid owner, RestrictedContext *before);
extern void EnterRestricted(Oid owner, RestrictedContext *before);
extern void LeaveRestricted(const RestrictedContext *before);
extern Oid	RelationOwner(Oid relation);
extern uint64 RunPlanOnLatest(SPIPlanPtr plan, const Datum *values);
extern uint64 RunSqlOnLatest(const char *query, int nargs, const Oid *types,
							 const Datum *values);
extern uint64 RunSqlOnSnapshot(const char *query, int nargs, const Oid *types,
							   const Datum *values, Snapshot snapshot);
extern uint64 RunSql(const char *query, int nargs, const Oid *types, const Datum *values,
					 bool read_only);
extern Datum RowValue(uint64 row, int column, Oid type, bool *is_null);
extern SPIPlanPtr KeptPlan(SPIPlanPtr *plan, const char *query, int nargs, const Oid *types);
pg_noreturn extern void RefuseNoWorkflow(const pg_uuid_t *workflow);
pg_noreturn extern void RefuseOlderSchema(const char *missing);

#endif							/* AMELIA_EXECUTE_H */
