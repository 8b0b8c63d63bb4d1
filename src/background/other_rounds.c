/*-------------------------------------------------------------------------
 *
 * other_rounds.c
 *	  What the other extensions of ours have done in a round of maintenance.
 *
 *	  Their rooms stand above this one, so each says at the start of the
 *	  library what it has to do. A round goes through them after its own work,
 *	  and leaves out those that the database does not have, that somebody
 *	  creates or drops, or whose schema is not complete.
 *
 *-------------------------------------------------------------------------
 */
#include "background/other_rounds.h"

#include "commands/extension.h"
#include "executor/spi.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(amelia_held_elsewhere);

#define MAX_OTHERS 4

typedef struct OtherExtension
{
	const char *name;
	OtherBatch	batch;
	OtherHeldBack held_back;
} OtherExtension;

static OtherExtension others[MAX_OTHERS];
static int	count = 0;

/*
 * Have an extension's work done in each round. Called when the library is
 * loaded.
 */
void
AddMaintenance(const char *extension, OtherBatch batch, OtherHeldBack held_back)
{
	Assert(count < MAX_OTHERS);
	others[count].name = extension;
	others[count].batch = batch;
	others[count++].held_back = held_back;
}

static void
NextExtension(OtherRounds *rounds)
{
	rounds->extension++;
	rounds->is_entered = false;
	rounds->phase = 0;
}

/*
 * One step, in the transaction that is open. false: there is nothing more to
 * do, or *state says why not.
 */
bool
OtherRoundStep(OtherRounds *rounds, ExtensionState *state)
{
	const OtherExtension *other = &others[rounds->extension];

	if (rounds->extension >= count)
		return false;
	*state = LockExtension("amelia");
	if (*state != EXTENSION_READY)
		return false;
	if (LockExtension(other->name) != EXTENSION_READY ||
		(!rounds->is_entered && SchemaProblem(other->name) != NULL))
		NextExtension(rounds);
	else if (!rounds->is_entered)
		rounds->is_entered = true;
	else if (!other->batch(&rounds->phase))
		NextExtension(rounds);
	return true;
}

/*
 * After a step raised an error: leave that kind of work for the next round.
 */
void
OtherRoundFailed(OtherRounds *rounds)
{
	if (rounds->is_entered)
		rounds->phase++;
	else
		NextExtension(rounds);
}

/*
 * held_elsewhere() returns text
 */
Datum
amelia_held_elsewhere(PG_FUNCTION_ARGS)
{
	text	   *reason = NULL;

	for (int i = 0; i < count && reason == NULL; i++)
	{
		MemoryContext result = CurrentMemoryContext;
		MemoryContext before;
		char	   *found;

		if (!OidIsValid(get_extension_oid(others[i].name, true)))
			continue;
		SPI_connect();
		found = others[i].held_back();
		before = MemoryContextSwitchTo(result);
		if (found != NULL)
			reason = cstring_to_text(found);
		MemoryContextSwitchTo(before);
		SPI_finish();
	}
	if (reason == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(reason);
}
