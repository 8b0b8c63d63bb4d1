/*-------------------------------------------------------------------------
 *
 * rules.h
 *	  The rules of retention: their conditions, and the points in time that the
 *	  settings stand for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_RULES_H
#define AMELIA_RULES_H

#include "base/amelia.h"

#include "datatype/timestamp.h"

/*
 * The rules, as conditions on a workflow w. An age is not computed but a
 * point in time compared, because 'infinity' cannot be subtracted from: it is
 * older than nothing. The times come from GetHorizons(); one that lies at
 * -infinity means never.
 */
#define ENDED_BEFORE(time) "(COALESCE(w.completed_at, w.updated_at) < " time ")"

/* A failed workflow can be resumed, for a while and as long as an attempt is due. */
#define NOT_TO_BE_RESUMED(recovery_before) \
	"(w.status <> 'failed' OR (" ENDED_BEFORE(recovery_before) \
	" AND (w.retry_at IS NULL OR w.failures >= w.max_failures)))"

#define FINISHED "w.status IN ('completed', 'failed', 'cancelled')"

#define DUE(horizon, recovery_before) \
	FINISHED " AND " ENDED_BEFORE(horizon) " AND " NOT_TO_BE_RESUMED(recovery_before)

/* The points in time that the settings stand for, at the transaction's start. */
typedef struct Horizons
{
	TimestampTz trace;
	TimestampTz checkpoint;
	TimestampTz log;
	TimestampTz orphan;
	TimestampTz recovery;
	TimestampTz grace;
	TimestampTz latest;
	TimestampTz squash;
	int32		max_workflows;
	int32		keep_latest;
} Horizons;

extern void GetHorizons(Horizons *horizons);

#endif							/* AMELIA_RULES_H */
