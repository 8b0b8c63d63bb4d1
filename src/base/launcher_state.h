/*-------------------------------------------------------------------------
 *
 * launcher_state.h
 *	  What the launcher and the maintenance workers tell each other, in shared memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_LAUNCHER_STATE_H
#define AMELIA_LAUNCHER_STATE_H

#include "base/amelia.h"

#include "datatype/timestamp.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

/* Databases that are kept in mind, at most. */
#define MAX_DATABASES 512

/* Room for a text, cut off where it is longer. */
#define STATE_TEXT_SIZE 256

/* Different errors of a database that are logged before it works again. */
#define MAX_LOGGED_ERRORS 8

/* What the last look into a database, or the last round there, came to. */
typedef enum DatabaseState
{
	DATABASE_UNKNOWN,			/* not looked into, or not since it changed */
	DATABASE_WITHOUT,			/* it does not have the extension */
	DATABASE_DISABLED,			/* amelia.enabled is off there */
	DATABASE_INCOMPLETE,		/* its schema is not as the code needs it */
	DATABASE_BUSY,				/* somebody else was at it */
	DATABASE_FAILED,			/* the round met an error */
	DATABASE_DONE				/* the round did all there was */
} DatabaseState;

typedef struct DatabaseEntry
{
	Oid			database;		/* InvalidOid: this entry is free */
	DatabaseState state;
	int			pid;			/* the maintenance worker in there, or 0 */
	TimestampTz started;		/* the last look or round, 0 for none yet */
	TimestampTz finished;
	TimestampTz thorough;		/* the last round that was thorough */
	char		reason[STATE_TEXT_SIZE];	/* why there is no round */
	int			failures;		/* rounds with an error, in a row */
	int			sqlstate;		/* of the last of them */
	TimestampTz failed_at;
	char		error[STATE_TEXT_SIZE];
	int			logged_errors;
	uint32		logged[MAX_LOGGED_ERRORS];
} DatabaseEntry;

typedef struct LauncherState
{
	LWLock	   *lock;			/* protects all that follows */
	int			launcher_pid;	/* 0: there is none */
	Latch	   *launcher_latch;
	char		no_worker[STATE_TEXT_SIZE]; /* why no worker can be started */
	DatabaseEntry databases[MAX_DATABASES];
} LauncherState;

/* NULL when the library was not preloaded. */
extern LauncherState *launcher_state;
extern DatabaseEntry *FindDatabase(Oid database);
extern DatabaseEntry *AddDatabase(Oid database, bool at_once);
extern TimestampTz NextRound(const DatabaseEntry *entry);
extern void NudgeLauncher(void);
extern void InitLauncherState(void);
extern void WakeLauncherAtCommit(void);

#endif							/* AMELIA_LAUNCHER_STATE_H */
