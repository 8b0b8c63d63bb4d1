/*-------------------------------------------------------------------------
 *
 * rules.c
 *	  The settings of retention as points in time.
 *
 *	  The rules themselves stand as conditions in rules.h, so that the
 *	  preview and the batches cannot differ.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/rules.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "base/execute.h"

/*
 * Capped, because a day before the first that PostgreSQL knows is an error
 * and not a time that nothing is older than. In hours, because a day is 23 or
 * 25 of them twice a year.
 */
#define SETTING(name) "(s.value ->> '" name "')::integer"
#define AGO(hours) "now() - make_interval(hours => LEAST(" hours ", 57600000)::integer)"
#define DAYS_AGO(setting) \
	"CASE WHEN " SETTING(setting) " < 0 THEN '-infinity'" \
	" ELSE " AGO(SETTING(setting) "::bigint * 24") " END"

/*
 * Read the settings. They count from the transaction's start.
 */
void
GetHorizons(Horizons *horizons)
{
	TimestampTz *const times[] = {
		&horizons->trace, &horizons->checkpoint, &horizons->log,
		&horizons->orphan, &horizons->recovery, &horizons->grace, &horizons->latest, &horizons->squash
	};
	static SPIPlanPtr plan = NULL;
	bool		is_null;

	KeptPlan(&plan,
			 "SELECT " DAYS_AGO("trace_retention_days") ", "
			 DAYS_AGO("checkpoint_retention_days") ", "
			 DAYS_AGO("log_retention_days") ", "
			 DAYS_AGO("orphan_thread_retention_days") ", "
			 AGO(SETTING("recovery_hours")) ", "
			 "now() - make_interval(mins => LEAST(" SETTING("checkpoint_grace_minutes") ", 2000000000)), "
			 DAYS_AGO("keep_latest_days") ", "
			 DAYS_AGO("squash_idle_days") ", "
			 SETTING("retention_max_workflows") ", " SETTING("keep_latest")
			 " FROM amelia_internal.current_settings() AS s (value)", 0, NULL);
	if (SPI_execute_plan(plan, NULL, NULL, true, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read the settings");
	for (size_t i = 0; i < lengthof(times); i++)
		*times[i] = DatumGetTimestampTz(RowValue(0, i + 1, TIMESTAMPTZOID, &is_null));
	horizons->max_workflows = DatumGetInt32(RowValue(0, lengthof(times) + 1, INT4OID, &is_null));
	horizons->keep_latest = DatumGetInt32(RowValue(0, lengthof(times) + 2, INT4OID, &is_null));
	/* A thread that is being written to belongs to a workflow that comes. */
	horizons->orphan = Min(horizons->orphan, horizons->grace);
	horizons->latest = Min(horizons->latest, horizons->grace);
}
