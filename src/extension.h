/*-------------------------------------------------------------------------
 *
 * extension.h
 *	  Whether the extension is there, and whether maintenance may run now.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_EXTENSION_H
#define AMELIA_EXTENSION_H

typedef enum ExtensionState
{
	EXTENSION_READY,			/* there, and locked until the transaction's end */
	EXTENSION_MISSING,			/* not in this database */
	EXTENSION_CHANGING,			/* somebody creates, updates or drops it */
	EXTENSION_OTHER_VERSION,	/* it is not the version that the library is for */
	DATABASE_WANTED				/* somebody drops, renames or copies the database */
} ExtensionState;

extern ExtensionState LockExtension(void);
extern char *SchemaProblem(void);

#endif							/* AMELIA_EXTENSION_H */
