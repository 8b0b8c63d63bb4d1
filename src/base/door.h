/*-------------------------------------------------------------------------
 *
 * door.h
 *	  The one door to rows of our tables without a statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_DOOR_H
#define AMELIA_DOOR_H

#include "base/amelia.h"

#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "utils/relcache.h"

#define DOOR_COLUMNS 20
#define DOOR_TRIGGERS 6
#define DOOR_KEYS 2

/* A column that is written. */
typedef struct DoorColumn
{
	const char *name;
	Oid			type;
	bool		may_be_null;	/* NULL is written to it */
} DoorColumn;

/* A trigger of ours that the write would fire. */
typedef struct DoorTrigger
{
	const char *name;
	const char *function;
} DoorTrigger;

/* A foreign key of one column to the id of a table of ours, whose row is held. */
typedef struct DoorKey
{
	const char *column;
	const char *table;
} DoorKey;

/* What is known of the table; see door.c. */
typedef struct DoorShape DoorShape;

/*
 * A use of the door: one kind of write to one table, which does itself what
 * our triggers would do. Static, and set up once.
 */
typedef struct DoorUse
{
	const char *table;
	CmdType		command;		/* CMD_INSERT or CMD_UPDATE */

	/*
	 * Who writes. The caller: what he may not do, or a policy has a say in,
	 * is his statement's affair. Else the library: no right is asked for, and
	 * with the door shut the table's owner does it.
	 */
	bool		for_caller;
	DoorKey		held_keys[DOOR_KEYS];
	const char *key;			/* column that identifies a row; not for the
								 * caller */
	DoorColumn	columns[DOOR_COLUMNS];	/* up to one without a name */
	DoorTrigger triggers[DOOR_TRIGGERS];	/* likewise */

	/* door.c's own */
	bool		is_known;
	bool		is_valid;
	Oid			relation;
	DoorShape  *shape;
	struct DoorUse *next;
} DoorUse;

/* A write in progress through the door. */
typedef struct DoorWrite
{
	const AttrNumber *columns;	/* of the use, in its order */
	const Oid  *functions;		/* of the use's triggers, in their order */
	TupleTableSlot *slot;		/* for the row that is written */
	EState	   *estate;
	ResultRelInfo *relation;
	bool		has_events;		/* foreign keys may have to be looked at */
	bool		is_query;		/* what they have to look at is being
								 * collected */
} DoorWrite;

extern void InitDoor(void);
extern bool DoorIsOpen(DoorUse *use, Relation table);
extern void RequireOpenDoor(DoorUse *use, Relation table);
extern void HoldDoor(Relation table);
extern DoorWrite *BeginDoorWrite(DoorUse *use, Relation table, int held);
extern void DoorInsert(DoorWrite *write);
extern void DoorUpdate(DoorWrite *write, TupleTableSlot *before);
extern void EndDoorWrite(DoorWrite *write);

#endif							/* AMELIA_DOOR_H */
