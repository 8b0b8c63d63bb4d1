/*-------------------------------------------------------------------------
 *
 * kept_queries.h
 *	  Plans of queries about LangGraph's tables, kept across threads.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_KEPT_QUERIES_H
#define AMELIA_KEPT_QUERIES_H

#include "base/amelia.h"

#include "executor/spi.h"

extern SPIPlanPtr PlanOf(const char *query, int nargs, const Oid *types);

#endif							/* AMELIA_KEPT_QUERIES_H */
