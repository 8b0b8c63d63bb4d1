/*-------------------------------------------------------------------------
 *
 * amelia.h
 *	  What more than one file of the server library needs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_H
#define AMELIA_H

#include "postgres.h"

#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/relcache.h"
#include "utils/uuid.h"

#include "compat.h"

#define AMELIA_VERSION "1.0"
#define AMELIA_SCHEMA "amelia"

/* the longest text of a UUID, with its end */
#define UUID_TEXT_SIZE 37

/* settings.c */
extern int	amelia_naptime;		/* seconds */
extern bool amelia_enabled;
extern int	amelia_batch_size;	/* rows */

extern void InitSettings(void);
extern bool IsMaintainedDatabase(const char *database);

/* check.c */
extern bool IsChoice(const char *name, const char *value);
extern void CheckChoice(const char *name, const char *value);
extern void CheckContainer(const char *argument, Datum value);
pg_noreturn extern void RefuseMissing(const char *argument);

/* uuid.c */
extern void MakeUuidV7(pg_uuid_t *uuid);
extern const char *UuidText(const pg_uuid_t *uuid);

/* trigger.c */
extern TriggerData *GetTriggerData(FunctionCallInfo fcinfo, const char *function,
								   TriggerEvent timing, TriggerEvent event, bool for_each_row);
extern AttrNumber ColumnNumber(TupleDesc tupdesc, const char *name);
extern AttrNumber ColumnOfType(TupleDesc tupdesc, const char *name, Oid type);
extern bool SameValue(TupleDesc tupdesc, AttrNumber column, HeapTuple a, HeapTuple b);
extern bool OnlyChanged(TriggerData *data, const char *const *names);
extern bool OnlyCountersChanged(TriggerData *data);
extern bool IsOurTrigger(const Trigger *trigger, const char *name, const char *function);
extern bool UsesUsersObjects(Node *expression, void *context);

/* execute.c */
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
extern void EnterRestricted(Oid owner, RestrictedContext *before);
extern void LeaveRestricted(const RestrictedContext *before);
extern Oid	RelationOwner(Oid relation);
extern Oid	TableOwner(const char *name);
extern uint64 RunSqlOnLatest(const char *query, int nargs, const Oid *types,
							 const Datum *values);
extern uint64 RunSql(const char *query, int nargs, const Oid *types, const Datum *values,
					 bool read_only);
extern Datum RowValue(uint64 row, int column, bool *is_null);
extern SPIPlanPtr KeptPlan(SPIPlanPtr *plan, const char *query, int nargs, const Oid *types);
pg_noreturn extern void RefuseNoWorkflow(const pg_uuid_t *workflow);
pg_noreturn extern void RefuseOlderSchema(const char *missing);

/* sequence.c */
typedef enum SequenceKind
{
	EVENT_SEQUENCE,
	MESSAGE_SEQUENCE
} SequenceKind;

extern void InitSequence(void);
extern Relation OpenTable(const char *name, LOCKMODE lock);
extern bool LockSequence(SequenceKind kind, Datum parent);
extern int32 AllocateSequence(SequenceKind kind, Datum parent, int32 count);
extern bool IsSequenceOpen(SequenceKind kind, Datum parent);

/* history.c, usage_days.c */
extern bool UsageWasKept(const pg_uuid_t *workflow);
extern void InitUsage(void);

/* worker_state.c, launcher.c */
extern void InitWorkerState(void);
extern void InitLauncher(void);
extern void WakeLauncherAtCommit(void);

#endif							/* AMELIA_H */
