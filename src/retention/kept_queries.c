/*-------------------------------------------------------------------------
 *
 * kept_queries.c
 *	  Plans of queries about LangGraph's tables, kept across threads.
 *
 *	  The tables' names are part of such a query, so that it cannot have one plan
 *	  for all; but thread after thread is read and changed by the same dozen. They
 *	  are known by their text. With very many schemas, the oldest ones make room.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/kept_queries.h"

#include "utils/memutils.h"

#include "base/execute.h"

#define MAX_QUERIES 64

static struct
{
	char	   *query;
	SPIPlanPtr	plan;
}			kept[MAX_QUERIES];
static int	next = 0;

/*
 * The plan of a query, whose text says of what types its parameters are. SPI
 * must be connected.
 */
SPIPlanPtr
PlanOf(const char *query, int nargs, const Oid *types)
{
	SPIPlanPtr	plan = NULL;
	char	   *text;

	for (int i = 0; i < MAX_QUERIES && kept[i].query != NULL; i++)
	{
		if (strcmp(kept[i].query, query) == 0)
			return kept[i].plan;
	}
	(void) KeptPlan(&plan, query, nargs, types);
	text = MemoryContextStrdup(TopMemoryContext, query);

	if (kept[next].query != NULL)
	{
		SPI_freeplan(kept[next].plan);
		pfree(kept[next].query);
	}
	kept[next].query = text;

	kept[next].plan = plan;
	next = (next + 1) % MAX_QUERIES;
	return plan;
}
