/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  The configuration parameters: what must be known before a database is
 *	  open, or may differ from database to database. All else is a row of
 *	  server_settings.
 *
 *-------------------------------------------------------------------------
 */
#include "base/settings.h"

#include "utils/guc.h"
#include "utils/varlena.h"

#include "base/history_mode.h"

int			amelia_naptime = 60;
bool		amelia_enabled = true;
int			amelia_batch_size = 5000;

static char *maintained_databases = NULL;

/*
 * Accept a list of names as search_path has it.
 */
static bool
CheckDatabases(char **value, void **extra, GucSource source)
{
	char	   *names = pstrdup(*value);
	List	   *list = NIL;
	bool		valid = SplitIdentifierString(names, ',', &list);

	if (!valid)
		GUC_check_errdetail("It is not a list of database names, with commas between them.");
	list_free(list);
	pfree(names);
	return valid;
}

/*
 * Whether amelia.databases lets maintenance workers into a database. An empty
 * list lets them into all.
 */
bool
IsMaintainedDatabase(const char *database)
{
	char	   *names = pstrdup(maintained_databases);
	List	   *list = NIL;
	bool		listed = false;
	ListCell   *cell;

	if (!SplitIdentifierString(names, ',', &list))
		elog(ERROR, "invalid list of databases: \"%s\"", maintained_databases);
	foreach(cell, list)
		listed = listed || strcmp((const char *) lfirst(cell), database) == 0;
	listed = listed || list == NIL;
	list_free(list);
	pfree(names);
	return listed;
}

/*
 * Called once, when the library is loaded.
 */
void
InitSettings(void)
{
	DefineCustomIntVariable("amelia.naptime",
							"Time from the end of a maintenance round in a database to the next one.",
							NULL,
							&amelia_naptime, 60, 1, 24 * 60 * 60,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomStringVariable("amelia.databases",
							   "Databases in which maintenance runs by itself.",
							   "Empty: in every database that has the extension.",
							   &maintained_databases, "",
							   PGC_SIGHUP, GUC_LIST_INPUT, CheckDatabases, NULL, NULL);
	DefineCustomBoolVariable("amelia.enabled",
							 "Whether maintenance runs by itself.",
							 "ALTER DATABASE ... SET switches it off for one database.",
							 &amelia_enabled, true,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("amelia.batch_size",
							"Events that one batch of retention deletes at most.",
							"What else belongs to a deleted workflow goes with them.",
							&amelia_batch_size, 5000, 1, 1000000,
							PGC_SUSET, 0, NULL, NULL, NULL);
	InitHistoryMode();
}
