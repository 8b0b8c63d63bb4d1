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

#define MAX_OTHERS 4

typedef struct OtherExtension
{
	const char *name;
	OtherBatch	batch;
} OtherExtension;

static OtherExtension others[MAX_OTHERS];
static int	count = 0;

/*
 * Have an extension's work done in each round. Called when the library is
 * loaded.
 */
void
AddMaintenance(const char *extension, OtherBatch batch)
{
	Assert(count < MAX_OTHERS);
	others[count].name = extension;
	others[count++].batch = batch;
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
