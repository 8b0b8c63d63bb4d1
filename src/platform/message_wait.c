/*-------------------------------------------------------------------------
 *
 * message_wait.c
 *	  Agents that wait for messages.
 *
 *	  The trigger notes for whom a transaction brings messages; once it has
 *	  committed, those of them that wait are woken (feed/wait.c). A note of
 *	  a subtransaction that was rolled back wakes somebody for nothing, who
 *	  looks and sleeps again. A message that can be received later only, when
 *	  its time has come or it was not acknowledged, sends no signal: who
 *	  waits sleeps until then at most.
 *
 *-------------------------------------------------------------------------
 */
#include "platform/message_wait.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/check.h"
#include "base/execute.h"
#include "base/uuid.h"
#include "feed/wait.h"

PG_FUNCTION_INFO_V1(amelia_platform_wait_messages);

/* Notes to look through for one of the same agent. */
#define LOOK_BACK 8

/* For whom this transaction brings messages, in its memory; NULL: nobody. */
static pg_uuid_t *recipients = NULL;
static int	recipient_count = 0;
static int	recipient_space = 0;

/*
 * There is a message for an agent once this transaction has committed.
 */
void
NoteRecipient(const pg_uuid_t *recipient)
{
	for (int i = recipient_count - 1; i >= 0 && i >= recipient_count - LOOK_BACK; i--)
	{
		if (memcmp(&recipients[i], recipient, sizeof(pg_uuid_t)) == 0)
			return;
	}
	if (recipients == NULL)
	{
		recipient_space = 16;
		recipients = MemoryContextAlloc(TopTransactionContext, recipient_space * sizeof(pg_uuid_t));
	}
	else if (recipient_count == recipient_space)
	{
		recipient_space *= 2;
		recipients = repalloc_huge(recipients, recipient_space * sizeof(pg_uuid_t));
	}
	recipients[recipient_count++] = *recipient;
}

/*
 * Wake whoever waits for what was committed, which cannot be taken back:
 * nothing here may fail.
 */
static void
WakeAtEnd(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			/* Who begins to wait from here on sees the commit. */
			pg_memory_barrier();
			for (int i = 0; i < recipient_count && AnyoneWaits(); i++)
				WakeWaiters(&recipients[i]);
			/* FALLTHROUGH */
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			recipients = NULL;
			recipient_count = 0;
			break;
		default:
			break;
	}
}

/*
 * Whether an agent can receive a message now: 0, or in how many milliseconds
 * there is one at the earliest that nobody has to send any more. The path is
 * the caller's: a procedure that commits can have none of its own.
 */
static double
LookForMessage(const pg_uuid_t *recipient, void *arg)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {UUIDOID};
	Datum		values[] = {UUIDPGetDatum(recipient)};
	bool		is_null;
	Datum		next;
	double		left;

	if (SPI_execute_plan(KeptPlan(&plan,
								  "SELECT pg_catalog.min(n.available_at)"
								  " FROM pg_catalog.unnest(ARRAY['urgent', 'high', 'normal', 'low']) AS p (level),"
								  " LATERAL (SELECT m.available_at FROM amelia_platform.agent_messages AS m"
								  "  WHERE m.recipient_id OPERATOR(pg_catalog.=) $1"
								  "  AND m.priority::pg_catalog.text OPERATOR(pg_catalog.=) p.level"
								  "  AND m.status::pg_catalog.text OPERATOR(pg_catalog.=)"
								  "   ANY (ARRAY['pending', 'sent', 'delivered'])"
								  "  AND (m.expires_at IS NULL"
								  "   OR m.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp())"
								  "  AND NOT EXISTS (SELECT FROM amelia_platform.platform_faults AS f"
								  "   WHERE f.relation OPERATOR(pg_catalog.=) 'agent_messages'"
								  "   AND f.row_id OPERATOR(pg_catalog.=) m.id"
								  "   AND f.retry_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp())"
								  "  ORDER BY m.available_at LIMIT 1) AS n",
								  lengthof(types), types), values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for messages");
	next = RowValue(0, 1, TIMESTAMPTZOID, &is_null);
	if (is_null)
		return WAIT_LONG;
	left = (DatumGetTimestampTz(next) - GetCurrentTimestamp()) / 1000.0;
	return Max(left, 0);
}

static void
RefuseNoAgent(Datum agent)
{
	static const Oid types[] = {UUIDOID};
	Datum		values[] = {agent};

	SPI_connect();
	RunSql("SELECT amelia_internal.platform_check_agent('recipient_id', $1)", lengthof(types), types, values, true);
	SPI_finish();
}

/*
 * wait_messages(recipient_id uuid, timeout interval), a procedure
 */
Datum
amelia_platform_wait_messages(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		RefuseMissing("recipient_id");
	if (PG_ARGISNULL(1))
		RefuseMissing("timeout");
	RefuseNoAgent(PG_GETARG_DATUM(0));
	WaitFor(fcinfo, "wait_messages", PG_GETARG_DATUM(0), PG_GETARG_INTERVAL_P(1), LookForMessage, NULL);
	return (Datum) 0;
}

/*
 * Called once, when the library is loaded.
 */
void
InitMessageWait(void)
{
	RegisterXactCallback(WakeAtEnd, NULL);
}
