/*-------------------------------------------------------------------------
 *
 * batch.c
 *	  Batches of a procedure, each of which commits.
 *
 *	  A batch works in a subtransaction, so that the procedure can go on
 *	  after an error of one. SPI is connected, and may commit.
 *
 *-------------------------------------------------------------------------
 */
#include "base/batch.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/resowner.h"

/*
 * Run one batch and commit it. Returns the error that it raised, rolled back,
 * or NULL, and then *more is whether there may be more.
 */
ErrorData *
TryBatch(Batch batch, void *arg, bool *more)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool in_subtransaction = false;
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		CHECK_FOR_INTERRUPTS();
		BeginInternalSubTransaction(NULL);
		in_subtransaction = true;
		*more = batch(arg);
		ReleaseCurrentSubTransaction();
		in_subtransaction = false;
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		SPI_commit();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		if (in_subtransaction)
		{
			RollbackAndReleaseCurrentSubTransaction();
			CurrentResourceOwner = owner;
		}
		MemoryContextSwitchTo(context);
	}
	PG_END_TRY();
	return error;
}
