/*-------------------------------------------------------------------------
 *
 * feed_prune.c
 *	  The feed's part of a maintenance round: prune_feed() by the settings.
 *
 *-------------------------------------------------------------------------
 */
#include "feed/feed_prune.h"

#include "catalog/pg_type.h"

#include "base/execute.h"
#include "base/table_owner.h"

/* Rows that one batch deletes at most. */
#define BATCH_ROWS 10000

/*
 * A batch, in the transaction that is open. Returns whether there may be more.
 */
bool
PruneFeed(void)
{
	static const Oid types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(BATCH_ROWS)};
	RestrictedContext before;
	bool		is_null;
	int64		pruned;

	SPI_connect();
	EnterRestricted(TableOwner("workflow_feed"), &before);
	RunSql("SELECT amelia_internal.trim_feed(NULL, $1)", lengthof(types), types, values, false);
	pruned = DatumGetInt64(RowValue(0, 1, INT8OID, &is_null));
	LeaveRestricted(&before);
	SPI_finish();
	return pruned >= BATCH_ROWS;
}
