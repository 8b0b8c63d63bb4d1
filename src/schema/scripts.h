/*-------------------------------------------------------------------------
 *
 * scripts.h
 *	  The scripts that migrate() runs, and whether what they made is intact.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_SCRIPTS_H
#define AMELIA_SCRIPTS_H

#include "base/amelia.h"

#include "nodes/nodes.h"
#include "nodes/pg_list.h"

/* One row of amelia_internal.NAME_scripts(), NAME being the extension's. */
typedef struct Script
{
	bool		is_api;
	int32		version;		/* of the schema; not set for the api layer */
	char	   *name;
	char	   *text;
} Script;

extern List *ReadScripts(const char *extension);
extern bool ApiIsIntact(const char *extension, List *scripts);
extern bool IsThereAlready(Oid schema, Node *statement);
extern bool BudgetsAreIntact(void);

#endif							/* AMELIA_SCRIPTS_H */
