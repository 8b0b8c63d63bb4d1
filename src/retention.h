/*-------------------------------------------------------------------------
 *
 * retention.h
 *	  A round of retention, as those who run it see it: the procedure
 *	  run_retention() and the maintenance worker.
 *
 *	  A round is a chain of bounded batches. Transactions are the caller's
 *	  affair, in which the two differ:
 *
 *		round = RetentionRoundBegin(...)	in a transaction; NULL: another runs
 *		commit
 *		do
 *			begin; more = RetentionBatch(round); commit
 *			on error: roll back; begin; RetentionBatchFailed(round, error); commit
 *		while (more)
 *		begin; RetentionRoundEnd(round, ...); commit
 *		RetentionRoundFree(round)			at the latest before the process goes on
 *											to something else; any time, any state
 *
 *	  After an error in a batch, the round goes on for as long as
 *	  RetentionBatchFailed() says so.
 *
 *	  The caller's user, security context and settings are as they were when
 *	  a function here returns. After an error they are once the caller has
 *	  rolled back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_RETENTION_H
#define AMELIA_RETENTION_H

#include "amelia.h"

typedef struct RetentionRound RetentionRound;

/* how a round ended, as retention_runs.outcome has it */
typedef enum RetentionOutcome
{
	RETENTION_COMPLETED,		/* every phase came to its end, maybe with failed batches */
	RETENTION_FAILED,			/* an error ended it */
	RETENTION_STOPPED			/* it made way: cancel, shutdown, DROP DATABASE */
} RetentionOutcome;

/*
 * Begin a round: takes the lock that lets one round at a time run in a
 * database, held by the session until RetentionRoundFree(); marks rounds that
 * a crash ended; writes the round's row in retention_runs. Returns NULL, with
 * the process that holds it in *other_pid (0 if it has just gone), when
 * another round runs. by_worker: started by the maintenance worker. thorough:
 * also look for trace events that were written after rule 1 had been there.
 */
extern RetentionRound *RetentionRoundBegin(bool by_worker, bool thorough, int *other_pid);

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

/* How many batches of the round failed so far. */
extern int64 RetentionBatchesFailed(const RetentionRound *round);

#endif							/* AMELIA_RETENTION_H */
