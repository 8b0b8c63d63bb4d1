/*-------------------------------------------------------------------------
 *
 * prune_execute.h
 *	  Doing to a LangGraph thread what was planned.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_PRUNE_EXECUTE_H
#define AMELIA_PRUNE_EXECUTE_H

#include "base/amelia.h"

#include "retention/thread_rows.h"

extern void ExecutePlan(const ThreadImage *image, HTAB *deltas);

#endif							/* AMELIA_PRUNE_EXECUTE_H */
