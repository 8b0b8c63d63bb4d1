/*-------------------------------------------------------------------------
 *
 * feed_reader.c
 *	  What is now, for a reader of the feed: the inside of its cursor.
 *
 *	  A cursor is a snapshot, and a place in the write-ahead log before which
 *	  the reader need not look, but for the transactions that the snapshot
 *	  names as open. That follows from the order in which we look. First the
 *	  place, then the next transaction id: who gets that one or a later one
 *	  writes its rows behind the place. All ids before it that the snapshot
 *	  does not show are named in it as open, those too that were given out
 *	  since it was taken. So feed_after() looks up a few transactions by their
 *	  id, and for the rest reads an index from the place on: what a reader
 *	  left unread is not read again for each page.
 *
 *	  After a crash the server gives out again what was not flushed, ids too.
 *	  So that no id that a cursor has seen the end of comes back, the log is
 *	  flushed before a cursor is given out. What a standby has taken over was
 *	  flushed before. When a standby takes over, or after a recovery to a point
 *	  in time, ids do come back; then the timeline is another one, and the
 *	  cursor is refused.
 *
 *	  A reader may have written in its transaction before it asks. Its own id
 *	  is named as open too, or what it still writes would never be met.
 *
 *	  PostgreSQL's own pg_current_snapshot() shows on a standby no transaction
 *	  as open, so it is of no use here.
 *
 *-------------------------------------------------------------------------
 */
#include "feed/feed_reader.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogrecovery.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/pg_lsn.h"
#include "utils/snapmgr.h"

/* Open transactions that a cursor names at most; more are a slow scan. */
#define MAX_NAMED 10000

PG_FUNCTION_INFO_V1(amelia_feed_now);

/*
 * Which cluster and database transaction ids and places in the log are of.
 */
int64
FeedOrigin(void)
{
	static bool is_known = false;
	static int64 origin;

	if (!is_known)
	{
		uint64		parts[] = {GetSystemIdentifier(), MyDatabaseId};

		origin = (int64) hash_bytes_extended((const unsigned char *) parts, sizeof(parts), 0);
		is_known = true;
	}
	return origin;
}

/*
 * Where the log ends, as XLogFlush() wants it: behind the last record, not
 * behind the header of the page that the next one begins on.
 */
static XLogRecPtr
EndOfLog(void)
{
	XLogRecPtr	end = GetXLogInsertRecPtr();

	if (XLogSegmentOffset(end, wal_segment_size) == SizeOfXLogLongPHD)
		return end - SizeOfXLogLongPHD;
	if (end % XLOG_BLCKSZ == SizeOfXLogShortPHD)
		return end - SizeOfXLogShortPHD;
	return end;
}

/*
 * The id with its epoch, which is the next one's or the one before.
 */
static uint64
FullXid(TransactionId xid, FullTransactionId next)
{
	uint32		epoch = EpochFromFullTransactionId(next);

	if (xid > XidFromFullTransactionId(next))
		epoch--;
	return ((uint64) epoch << 32) | xid;
}

static int
CompareXids(const void *a, const void *b)
{
	uint64		first = *(const uint64 *) a;
	uint64		second = *(const uint64 *) b;

	return first < second ? -1 : first > second;
}

/*
 * The snapshot as a pg_snapshot, whose ids end before the next one. In
 * recovery the open ones are elsewhere, subtransactions among them, which do
 * no harm. *is_exact: it names all that are open.
 */
static Datum
MakeSnapshot(Snapshot snapshot, FullTransactionId next, bool *is_exact)
{
	const TransactionId *open = snapshot->takenDuringRecovery ? snapshot->subxip : snapshot->xip;
	int			count = snapshot->takenDuringRecovery ? snapshot->subxcnt : (int) snapshot->xcnt;
	uint64		xmin = FullXid(snapshot->xmin, next);
	uint64		xmax = FullXid(snapshot->xmax, next);
	uint64		end = U64FromFullTransactionId(next);
	TransactionId mine = GetTopTransactionIdIfAny();
	uint64	   *xids;
	int			named = 0;
	StringInfoData text;

	*is_exact = end >= xmax && end - xmax <= MAX_NAMED;
	if (!*is_exact)
		end = xmax;
	xids = palloc((count + (end - xmax) + 2) * sizeof(uint64));
	for (int i = 0; i < count; i++)
	{
		uint64		xid = FullXid(open[i], next);

		if (xid >= xmin && xid < xmax)
			xids[named++] = xid;
	}
	/* A snapshot leaves out one's own, whose rows are to come. */
	if (TransactionIdIsValid(mine) && FullXid(mine, next) < end)
	{
		xids[named++] = FullXid(mine, next);
		xmin = Min(xmin, FullXid(mine, next));
	}
	for (uint64 xid = xmax; xid < end; xid++)
	{
		if (TransactionIdIsNormal((TransactionId) xid))
			xids[named++] = xid;
	}
	qsort(xids, named, sizeof(uint64), CompareXids);
	initStringInfo(&text);
	appendStringInfo(&text, UINT64_FORMAT ":" UINT64_FORMAT ":", xmin, end);
	for (int i = 0; i < named; i++)
	{
		if (i == 0 || xids[i] != xids[i - 1])
			appendStringInfo(&text, "%s" UINT64_FORMAT, i == 0 ? "" : ",", xids[i]);
	}
	return DirectFunctionCall1(pg_snapshot_in, CStringGetDatum(text.data));
}

/*
 * feed_now(OUT origin bigint, OUT timeline bigint, OUT snapshot pg_snapshot,
 * OUT low pg_lsn, OUT high pg_lsn)
 *
 * high is a place behind all rows that the snapshot shows.
 */
Datum
amelia_feed_now(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	TimeLineID	timeline;
	XLogRecPtr	low;
	XLogRecPtr	high;
	bool		is_exact;
	Datum		values[5];
	bool		nulls[5] = {false};

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (RecoveryInProgress())
		low = high = GetXLogReplayRecPtr(&timeline);
	else
		low = high = GetFlushRecPtr(&timeline);
	values[2] = MakeSnapshot(GetActiveSnapshot(), ReadNextFullTransactionId(), &is_exact);
	if (!RecoveryInProgress())
	{
		high = EndOfLog();
		XLogFlush(high);
	}
	values[0] = Int64GetDatum(FeedOrigin());
	values[1] = Int64GetDatum(timeline);
	values[3] = LSNGetDatum(is_exact ? low : InvalidXLogRecPtr);
	values[4] = LSNGetDatum(high);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}
