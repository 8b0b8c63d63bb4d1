/*-------------------------------------------------------------------------
 *
 * event_store.c
 *	  Storing events that are complete.
 *
 *	  Their workflow is locked, so nobody else allocates numbers in it; but a
 *	  client that counts by itself takes no lock, and may take the number that
 *	  we are about to use. Where such a client is at work, the rows are stored
 *	  in a subtransaction, and again with the next number.
 *
 *-------------------------------------------------------------------------
 */
#include "log/event_store.h"

#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"

#include "base/execute.h"
#include "base/sequence.h"
#include "base/uuid.h"
#include "log/event_batch.h"
#include "log/event_insert.h"

#define EVENT_COLUMNS \
	"event_type, message, level, agent, data, is_error, \"timestamp\", id," \
	" correlation_id, tool_name, tool_input, trace_id, parent_id, workflow_id"

/*
 * $15 is the number before the first; NULL leaves them to the triggers, and
 * ours notes which ones it allocated.
 */
static const char *const append_batch_query =
"INSERT INTO amelia.workflow_log (" EVENT_COLUMNS ", sequence, sequence_allocated)"
" SELECT f.f1, f.f2, f.f3, f.f4, f.f5, f.f6, f.f7, f.f8, f.f9, f.f10, f.f11, f.f12, f.f13,"
" $14, $15 + f.place::integer, $15 IS NOT NULL"
" FROM " EVENT_ARRAYS
" RETURNING sequence";

/*
 * Whether no trigger but ours sees an event before it is inserted. Any other
 * may leave rows out, or add some, and then each row is numbered as it comes.
 */
static bool
OnlyOurInsertTriggers(Relation log)
{
	TriggerDesc *triggers = log->trigdesc;	/* nothing is looked up meanwhile */
	int			count = 0;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		if (TRIGGER_TYPE_MATCHES(triggers->triggers[i].tgtype, TRIGGER_TYPE_ROW,
								 TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_INSERT))
			count++;
	}
	return count == 1;
}

/*
 * Send the events in an INSERT, and get the range of their sequences.
 */
static void
SendInsert(Relation log, const Event *events, int count, Datum workflow,
		   int32 *first, int32 *last)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[EVENT_PARAMS + 1];
	bool		nulls[EVENT_PARAMS + 1] = {false};
	Oid			types[EVENT_PARAMS + 1];

	BatchValues(events, count, workflow, values, types);
	types[EVENT_PARAMS] = INT4OID;
	nulls[EVENT_PARAMS] = !OnlyOurInsertTriggers(log);
	values[EVENT_PARAMS] = nulls[EVENT_PARAMS] ? (Datum) 0 :
		Int32GetDatum(AllocateSequence(EVENT_SEQUENCE, workflow, count) - 1);
	RunPlan(KeptPlan(&plan, append_batch_query, EVENT_PARAMS + 1, types),
			EVENT_PARAMS + 1, values, nulls, SPI_OK_INSERT_RETURNING);
	ResultRange(first, last);
}

/*
 * Store the events in a subtransaction, whose numbers somebody else may take
 * while we are at it; false when that happened, and nothing is stored.
 */
static bool
TryToStore(Relation log, bool directly, const Event *events, int count, Datum workflow,
		   int32 *first, int32 *last)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool is_stored = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		if (directly)
		{
			DoorWrite  *insert = BeginInsert(log, events, count);

			*first = AllocateSequence(EVENT_SEQUENCE, workflow, count);
			*last = *first + count - 1;
			FinishInsert(insert, events, count, workflow, *first);
		}
		else
			SendInsert(log, events, count, workflow, first, last);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (!IsNumberTaken(EVENT_SEQUENCE, error))
			ReThrowError(error);
		is_stored = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return is_stored;
}

/*
 * The same until it succeeds: clients that count by themselves take a number
 * now and then, not each one.
 */
void
StoreContestedEvents(Relation log, bool directly, const Event *events, int count, Datum workflow,
					 int32 *first, int32 *last)
{
	while (!TryToStore(log, directly, events, count, workflow, first, last))
		CHECK_FOR_INTERRUPTS();
}

/*
 * Insert directly. A client that counts by itself for the first time may have
 * taken the number since we looked: 40001, because the caller is to try again.
 */
void
StoreEvents(DoorWrite *insert, const Event *events, int count, Datum workflow, int32 first)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		FinishInsert(insert, events, count, workflow, first);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (!IsNumberTaken(EVENT_SEQUENCE, error))
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("sequence %d of workflow %s was taken by a client that counts by itself",
						first, UuidText(DatumGetUUIDP(workflow))),
				 errhint("Try again.")));
	}
	PG_END_TRY();
}
