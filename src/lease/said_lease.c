/*-------------------------------------------------------------------------
 *
 * said_lease.c
 *	  Which leases a transaction says that it works under.
 *
 *	  They are said once, by set_worker() or with a function's lease_token,
 *	  and hold to the end of the transaction, never of the session: behind a
 *	  pooler the next transaction is somebody else's. What a subtransaction
 *	  said goes when it is rolled back, and so does the row lock that it took.
 *
 *	  amelia.lease says it for a session with a connection of its own, for
 *	  clients that commit each statement by itself and cannot say it in each.
 *
 *-------------------------------------------------------------------------
 */
#include "lease/said_lease.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/uuid.h"

/* A lease that the transaction works under. */
typedef struct SaidLease
{
	struct SaidLease *next;
	pg_uuid_t	workflow;
	int64		token;
	bool		is_free;		/* this transaction may write as it likes */
	bool		begins;			/* it writes the first thing under that lease */
	int			level;			/* of the subtransaction that said it */
} SaidLease;

/* amelia.lease, as it was parsed */
typedef struct SessionLease
{
	bool		is_set;
	pg_uuid_t	workflow;
	int64		token;
} SessionLease;

bool		amelia_require_lease = false;

static char *lease_setting = NULL;
static SessionLease session_lease = {false};

/* lives in TopTransactionContext */
static SaidLease *said_leases = NULL;

/*
 * Parse "workflow-id token", or nothing.
 */
static bool
CheckLeaseSetting(char **value, void **extra, GucSource source)
{
	char		id[UUID_TEXT_SIZE];
	char		end;
	long long	token;
	SessionLease *parsed;

	parsed = CompatGucAlloc(sizeof(SessionLease));
	if (parsed == NULL)
		return false;
	memset(parsed, 0, sizeof(SessionLease));
	if (**value != '\0')
	{
		if (sscanf(*value, "%36s %lld%c", id, &token, &end) != 2 || strlen(id) != UUID_TEXT_SIZE - 1 ||
			strspn(id, "0123456789abcdefABCDEF-") != UUID_TEXT_SIZE - 1 ||
			id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-')
		{
			CompatGucFree(parsed);
			GUC_check_errdetail("It is not a workflow's id and a lease_token with a space between them.");
			return false;
		}
		for (int i = 0, digit = 0; id[i] != '\0'; i++)
		{
			int			nibble;

			if (id[i] == '-')
				continue;
			nibble = id[i] <= '9' ? id[i] - '0' : (id[i] | 0x20) - 'a' + 10;
			parsed->workflow.data[digit / 2] |= digit % 2 == 0 ? nibble << 4 : nibble;
			digit++;
		}
		parsed->token = token;
		parsed->is_set = true;
	}
	*extra = parsed;
	return true;
}

static void
AssignLeaseSetting(const char *value, void *extra)
{
	session_lease = *(SessionLease *) extra;
}

static SaidLease *
FindSaid(const pg_uuid_t *workflow)
{
	for (SaidLease *said = said_leases; said != NULL; said = said->next)
	{
		if (memcmp(&said->workflow, workflow, sizeof(pg_uuid_t)) == 0)
			return said;
	}
	return NULL;
}

static SaidLease *
AddSaid(const pg_uuid_t *workflow, int64 token, bool is_free)
{
	SaidLease  *said = MemoryContextAlloc(TopTransactionContext, sizeof(SaidLease));

	said->workflow = *workflow;
	said->token = token;
	said->is_free = is_free;
	said->begins = false;
	said->level = GetCurrentTransactionNestLevel();
	said->next = said_leases;
	said_leases = said;
	return said;
}

/*
 * From now on, what this transaction writes to the workflow is under this
 * lease.
 */
void
SayLease(const pg_uuid_t *workflow, int64 token)
{
	SaidLease  *said = FindSaid(workflow);

	if (said == NULL || said->token != token || said->is_free)
		(void) AddSaid(workflow, token, false);
}

/*
 * This transaction holds the workflow's row and writes the first thing under
 * this lease.
 */
void
SayBegun(const pg_uuid_t *workflow, int64 token)
{
	if (!HasBegun(workflow, token))
		AddSaid(workflow, token, false)->begins = true;
}

/*
 * Whether it does.
 */
bool
HasBegun(const pg_uuid_t *workflow, int64 token)
{
	for (SaidLease *said = said_leases; said != NULL; said = said->next)
	{
		if (said->begins && said->token == token &&
			memcmp(&said->workflow, workflow, sizeof(pg_uuid_t)) == 0)
			return true;
	}
	return false;
}

/*
 * Call a function for each lease that this transaction writes the first thing
 * under.
 */
void
ForEachBegun(void (*note) (const pg_uuid_t *workflow, int64 token))
{
	for (SaidLease *said = said_leases; said != NULL; said = said->next)
	{
		if (said->begins)
			note(&said->workflow, said->token);
	}
}

/*
 * This transaction has given or ended the workflow's lease itself, and holds
 * its row: what it still writes there is no late write.
 */
void
SayUnfenced(const pg_uuid_t *workflow)
{
	if (MayBeFenced())
		(void) AddSaid(workflow, 0, true);
}

/*
 * What was said about the workflow, and the token.
 */
LeaseWord
SaidLeaseOf(const pg_uuid_t *workflow, int64 *token)
{
	SaidLease  *said = said_leases == NULL ? NULL : FindSaid(workflow);

	if (said != NULL)
	{
		*token = said->token;
		return said->is_free ? LEASE_NOT_NEEDED : LEASE_SAID;
	}
	if (session_lease.is_set &&
		memcmp(&session_lease.workflow, workflow, sizeof(pg_uuid_t)) == 0)
	{
		*token = session_lease.token;
		return LEASE_SAID;
	}
	return LEASE_NOT_SAID;
}

/*
 * Whether anything could be fenced in this transaction: nothing else is
 * looked at when it could not.
 */
bool
MayBeFenced(void)
{
	return said_leases != NULL || session_lease.is_set || amelia_require_lease;
}

static void
ForgetAtEnd(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
			said_leases = NULL;
			break;
		default:
			break;
	}
}

static void
ForgetAtSubEnd(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	/* The newest come first, so that all of this level do. */
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		while (said_leases != NULL && said_leases->level >= level)
			said_leases = said_leases->next;
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (SaidLease *said = said_leases; said != NULL && said->level >= level; said = said->next)
			said->level = level - 1;
	}
}

/*
 * Called once, when the library is loaded.
 */
void
InitSaidLease(void)
{
	DefineCustomBoolVariable("amelia.require_lease",
							 "Whether a workflow that a worker holds can be written only under its lease.",
							 NULL,
							 &amelia_require_lease, false,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("amelia.lease",
							   "The lease that this session works under: a workflow's id and a lease_token.",
							   "For connections of one's own; behind a pooler use set_worker().",
							   &lease_setting, "",
							   PGC_USERSET, 0, CheckLeaseSetting, AssignLeaseSetting, NULL);
	RegisterXactCallback(ForgetAtEnd, NULL);
	RegisterSubXactCallback(ForgetAtSubEnd, NULL);
}
