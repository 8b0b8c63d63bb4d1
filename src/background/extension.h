/*-------------------------------------------------------------------------
 *
 * extension.h
 *	  Whether an extension of ours in this database can be worked on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_EXTENSION_H
#define AMELIA_EXTENSION_H

#include "base/amelia.h"

typedef enum ExtensionState
{
	EXTENSION_READY,			/* there, and locked until the transaction's
								 * end */
	EXTENSION_MISSING,			/* not in this database */
	EXTENSION_CHANGING,			/* somebody creates, updates or drops it */
	EXTENSION_OTHER_VERSION,	/* it is not the version that the library is
								 * for */
	DATABASE_WANTED				/* somebody drops, renames or copies the
								 * database */
} ExtensionState;

extern bool TryLockDatabase(void);
extern ExtensionState LockExtension(const char *name);
extern char *SchemaProblem(const char *extension);

#endif							/* AMELIA_EXTENSION_H */
