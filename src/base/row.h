/*-------------------------------------------------------------------------
 *
 * row.h
 *	  Single rows of our own tables, found, locked and written without SQL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_ROW_H
#define AMELIA_ROW_H

#include "base/amelia.h"

#include "access/skey.h"
#include "access/tableam.h"

#include "base/door.h"
#include "storage/lockdefs.h"
#include "utils/uuid.h"

/* Values of some columns of a row that the library writes. */
typedef struct RowEdit
{
	int			count;
	const char *names[DOOR_COLUMNS];
	Oid			types[DOOR_COLUMNS];
	Datum		values[DOOR_COLUMNS];
	bool		nulls[DOOR_COLUMNS];
} RowEdit;

/* What a lock of ours is for, most of them on a text. */
typedef enum LockKind
{
	LOCK_WORKTREE = 0xA0,		/* who claims in it */
	LOCK_SLOT,					/* who takes it; 0: who counts them */
	LOCK_THREAD,				/* a schema's oid and a thread's hash: who
								 * writes or prunes it */
	LOCK_ALL_THREADS			/* a schema's oid */
} LockKind;

extern bool IsVisibleWorkflow(Relation workflows, const pg_uuid_t *workflow);
extern bool TryLockText(LockKind kind, const char *text);
extern void UnlockText(LockKind kind, const char *text);
extern Relation OpenIndex(Relation table, const char *name, LOCKMODE lock);
extern void InitTextKey(ScanKey key, AttrNumber column, Relation index, int strategy,
						RegProcedure function, Datum value);
extern void InitKey(ScanKey key, AttrNumber column, int strategy, RegProcedure function,
					Datum value);
extern bool FindRow(Relation table, Relation index, ScanKey keys, int nkeys,
					Snapshot snapshot, TupleTableSlot *slot);
extern bool FindLatestRow(Relation table, Relation index, ScanKey keys, int nkeys,
						  TupleTableSlot *slot);
extern TM_Result LockRow(Relation table, TupleTableSlot *slot, Snapshot snapshot, bool wait);
extern AttrNumber OurColumn(Relation table, const char *name, Oid type);
extern Datum RowColumn(Relation table, TupleTableSlot *slot, const char *name, Oid type, bool *is_null);
pg_noreturn extern void RefuseNoValue(Relation table, const char *name);
extern void EditColumn(RowEdit *edit, const char *name, Oid type, Datum value, bool is_null);
extern void InsertRow(DoorUse *use, Relation table, const RowEdit *row);
extern void UpdateRow(DoorUse *use, Relation table, TupleTableSlot *before, const RowEdit *edit);

#endif							/* AMELIA_ROW_H */
