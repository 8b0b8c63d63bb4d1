/*-------------------------------------------------------------------------
 *
 * history_mode.c
 *	  Sessions that write what happened before: amelia.history.
 *
 *	  Whoever moves rows here from elsewhere brings what is over. It is no
 *	  news for the feed, it spends no budget now, and a workflow's status
 *	  moved as it did there. All else is as for every row: sequences, closed
 *	  days, history, fences.
 *
 *-------------------------------------------------------------------------
 */
#include "base/history_mode.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/rel.h"

static bool amelia_history = false;

/*
 * Whether what is written to a table of that owner happened elsewhere, before:
 * the session says so (amelia.history), and its user has the rights of the
 * owner, who could as well switch the trigger off. What the session came to
 * write with somebody else's rights is not meant: a foreign key's action,
 * maintenance that it called for.
 */
bool
IsHistoryOf(Oid owner)
{
	return amelia_history && !InLocalUserIdChange() && has_privs_of_role(GetUserId(), owner);
}

/*
 * The same of the row of a trigger. Such a row is no news, spends nothing now,
 * and its status moves as it did there.
 */
bool
IsHistory(const TriggerData *data)
{
	return IsHistoryOf(data->tg_relation->rd_rel->relowner);
}

/*
 * Called once, when the library is loaded.
 */
void
InitHistoryMode(void)
{
	DefineCustomBoolVariable("amelia.history",
							 "Whether what this session writes happened elsewhere, before.",
							 "For loading old rows; without effect unless the user owns the tables.",
							 &amelia_history, false,
							 PGC_USERSET, 0, NULL, NULL, NULL);
}
