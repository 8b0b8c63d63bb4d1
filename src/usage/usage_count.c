/*-------------------------------------------------------------------------
 *
 * usage_count.c
 *	  Counting distinct workflows per key (a model, an agent, ...), and those
 *	  of them that are completed.
 *
 *	  A workflow goes on over days and uses several models, so counts of days
 *	  cannot be added up. Sums of closed days carry arrays of workflows; they
 *	  and the keys go into hash tables here, which takes a tenth of the time
 *	  that the executor takes for the same rows.
 *
 *-------------------------------------------------------------------------
 */
#include "usage/usage_count.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/array.h"

#include "base/execute.h"

/* A workflow, and the key that it is counted for. */
typedef struct KeyedWorkflow
{
	pg_uuid_t	workflow;
	int32		key;
} KeyedWorkflow;

typedef struct CountedWorkflow
{
	KeyedWorkflow id;
	bool		is_successful;
	char		status;			/* of the hash table's entry */
} CountedWorkflow;

#define SH_PREFIX workflows
#define SH_ELEMENT_TYPE CountedWorkflow
#define SH_KEY_TYPE KeyedWorkflow
#define SH_KEY id
#define SH_HASH_KEY(table, key) hash_bytes((const unsigned char *) &(key), sizeof(KeyedWorkflow))
#define SH_EQUAL(table, a, b) (memcmp(&(a), &(b), sizeof(KeyedWorkflow)) == 0)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

StaticAssertDecl(sizeof(KeyedWorkflow) == UUID_LEN + sizeof(int32),
				 "a key of the hash table must have no padding");

/* The key under which a workflow stands in the table of all. */
#define NO_KEY (-1)

struct WorkflowCount
{
	int			keys;
	workflows_hash *by_key;
	workflows_hash *all;		/* each once */
	int64	   *counted;
	int64	   *successful;
};

/*
 * A count for so many keys, in CurrentMemoryContext.
 */
WorkflowCount *
BeginCount(int keys)
{
	WorkflowCount *count = palloc0(sizeof(WorkflowCount));

	count->keys = keys;
	count->by_key = workflows_create(CurrentMemoryContext, 1024, NULL);
	count->all = workflows_create(CurrentMemoryContext, 1024, NULL);
	count->counted = palloc0(Max(keys, 1) * sizeof(int64));
	count->successful = palloc0(Max(keys, 1) * sizeof(int64));
	return count;
}

/*
 * Count an array of workflows for a key.
 */
void
AddToCount(WorkflowCount *count, int key, Datum ids)
{
	ArrayType  *array = DatumGetArrayTypeP(ids);
	Datum	   *elements;
	bool	   *nulls;
	int			length;

	deconstruct_array(array, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &elements, &nulls, &length);
	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < length; i++)
	{
		KeyedWorkflow id;
		bool		found;

		if (nulls[i])
			continue;
		id.workflow = *DatumGetUUIDP(elements[i]);
		id.key = key;
		workflows_insert(count->by_key, id, &found);
		if (found)
			continue;
		count->counted[key]++;
		id.key = NO_KEY;
		workflows_insert(count->all, id, &found)->is_successful = false;
	}
	pfree(elements);
	pfree(nulls);
	if ((Pointer) array != DatumGetPointer(ids))
		pfree(array);
}

static int
CompareIds(const void *a, const void *b)
{
	return memcmp(DatumGetUUIDP(*(const Datum *) a), DatumGetUUIDP(*(const Datum *) b), UUID_LEN);
}

/*
 * Find out which of all workflows are completed. How one ended is looked up by
 * its id when asked, so no sum has to follow when that changes. SPI must be
 * connected.
 */
static void
LookUpSuccess(WorkflowCount *count)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {UUIDARRAYOID};
	Datum	   *ids = palloc(Max(count->all->members, 1) * sizeof(Datum));
	int			length = 0;
	workflows_iterator iterator;
	CountedWorkflow *entry;
	Datum		values[1];

	workflows_start_iterate(count->all, &iterator);
	while ((entry = workflows_iterate(count->all, &iterator)) != NULL)
		ids[length++] = UUIDPGetDatum(&entry->id.workflow);
	/* Neighbours in the index are looked up one after the other. */
	qsort(ids, length, sizeof(Datum), CompareIds);
	values[0] = PointerGetDatum(construct_array(ids, length, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	KeptPlan(&plan, "SELECT i.id FROM unnest($1) AS i (id) WHERE COALESCE("
			 "(SELECT w.status FROM amelia.workflows AS w WHERE w.id = i.id),"
			 " (SELECT h.status FROM amelia.workflow_history AS h WHERE h.workflow_id = i.id)) = 'completed'",
			 lengthof(types), types);
	if (SPI_execute_plan(plan, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look up how workflows ended");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		KeyedWorkflow id = {.workflow = *DatumGetUUIDP(RowValue(i, 1, UUIDOID, NULL)),.key = NO_KEY};

		workflows_lookup(count->all, id)->is_successful = true;
	}
}

/*
 * End a count with how many of each key's workflows are completed.
 */
void
CountSuccess(WorkflowCount *count)
{
	workflows_iterator iterator;
	CountedWorkflow *entry;

	LookUpSuccess(count);
	workflows_start_iterate(count->by_key, &iterator);
	while ((entry = workflows_iterate(count->by_key, &iterator)) != NULL)
	{
		KeyedWorkflow id = {.workflow = entry->id.workflow,.key = NO_KEY};

		if (workflows_lookup(count->all, id)->is_successful)
			count->successful[entry->id.key]++;
	}
}

/*
 * How many workflows a key has.
 */
int64
WorkflowsOf(const WorkflowCount *count, int key)
{
	return count->counted[key];
}

/*
 * How many of them are completed.
 */
int64
SuccessfulOf(const WorkflowCount *count, int key)
{
	return count->successful[key];
}
