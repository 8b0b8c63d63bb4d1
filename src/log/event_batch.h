/*-------------------------------------------------------------------------
 *
 * event_batch.h
 *	  Events as the parameters of a query.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_EVENT_BATCH_H
#define AMELIA_EVENT_BATCH_H

#include "base/amelia.h"

#include "executor/spi.h"

#include "log/event_record.h"

/* $1 to $13 are the fields in the order of EventField, $14 the workflow. */
#define WORKFLOW_PARAM EVENT_FIELDS
#define EVENT_PARAMS (EVENT_FIELDS + 1)

#define EVENT_ARRAYS \
	"ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3)," \
	" pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6)," \
	" pg_catalog.unnest($7), pg_catalog.unnest($8), pg_catalog.unnest($9)," \
	" pg_catalog.unnest($10), pg_catalog.unnest($11), pg_catalog.unnest($12)," \
	" pg_catalog.unnest($13)) WITH ORDINALITY" \
	" AS f (f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, place)"

extern void RunPlan(SPIPlanPtr plan, int nargs, Datum *values, const bool *nulls, int expected);
extern Datum ResultValue(uint64 row, int column, bool *is_null);
extern Datum FieldArray(const Event *events, int count, EventField field, bool without_nulls);
extern void BatchValues(const Event *events, int count, Datum workflow, Datum *values, Oid *types);
extern void ResultRange(int32 *first, int32 *last);

#endif							/* AMELIA_EVENT_BATCH_H */
