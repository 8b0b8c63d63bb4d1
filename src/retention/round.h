/*-------------------------------------------------------------------------
 *
 * round.h
 *	  A round of retention.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_ROUND_H
#define AMELIA_ROUND_H

#include "base/amelia.h"

#include "retention/round_state.h"

/* how a round ended, as retention_runs.outcome has it */
typedef enum RetentionOutcome
{
	RETENTION_COMPLETED,		/* every phase came to its end, maybe with
								 * failed batches */
	RETENTION_FAILED,			/* an error ended it */
	RETENTION_STOPPED			/* it made way: cancel, shutdown, DROP
								 * DATABASE */
} RetentionOutcome;

/*
 * Begin a round: takes the lock that lets one round at a time run in a
 * database, held by the session until RetentionRoundFree(); marks rounds that
 * a crash ended; writes the round's row in retention_runs. Returns NULL, with
 * the process that holds it in *other_pid (0 if it has just gone), when
 * another round runs. by_worker: started by the maintenance worker. thorough:
 * also look for trace events that were written after rule 1 had been there.
 * confirmed: whoever asks knows that it may delete most of what there is;
 * else such a round is held back (second_look.c), and has no batches.
 */
extern RetentionRound *RetentionRoundBegin(bool by_worker, bool thorough, bool confirmed, int *other_pid);

/*
 * One bounded batch, in the caller's transaction, which should do nothing
 * else. Returns whether there may be more to do. Raises what goes wrong.
 */
extern bool RetentionBatch(RetentionRound *round);

/*
 * After a batch raised an error and was rolled back: note it in
 * retention_runs, and leave what the batch was at for the next round.
 * Returns whether the round can go on. In a new transaction.
 */
extern bool RetentionBatchFailed(RetentionRound *round, const ErrorData *error);

/*
 * End a round: its outcome, and the error that ended it or NULL, go to
 * retention_runs, which keeps a bounded number of rounds. In a transaction.
 */
extern void RetentionRoundEnd(RetentionRound *round, RetentionOutcome outcome,
							  const ErrorData *error);

/*
 * Release the lock and the memory. Not in a transaction or in any: after an
 * error, too. A round that was not ended shows as crashed later.
 */
extern void RetentionRoundFree(RetentionRound *round);

/* Why the round was held back; NULL when it was not. */
extern const char *RetentionHeldBack(const RetentionRound *round);

/* How many batches of the round failed so far. */
extern int64 RetentionBatchesFailed(const RetentionRound *round);

#endif							/* AMELIA_ROUND_H */
