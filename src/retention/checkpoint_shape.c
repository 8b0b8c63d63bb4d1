/*-------------------------------------------------------------------------
 *
 * checkpoint_shape.c
 *	  The tables of LangGraph's savers, as far as we know them.
 *
 *	  Their names and columns stand here and nowhere else. SQL reads them
 *	  through checkpoint_columns().
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/uuid.h"
#include "retention/checkpoint_shape.h"

PG_FUNCTION_INFO_V1(amelia_checkpoint_columns);

/*
 * A run that is under way stores what it wrote to a checkpoint behind its back,
 * and may have stored the next one before. So long it may come late.
 */
#define LATE_US USECS_PER_HOUR

/* 1582 to 1970 in units of 100 ns, and 1970 to 2000 in microseconds. */
#define UUID_EPOCH INT64CONST(122192928000000000)
#define PG_EPOCH ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

const char *const amelia_checkpoint_tables[CHECKPOINT_TABLES] = {
	[CHECKPOINTS] = "checkpoints",[BLOBS] = "checkpoint_blobs",[WRITES] = "checkpoint_writes"
};

/* The columns that we use. */
static const struct
{
	int			table;
	const char *name;
	Oid			type;
}			columns[] =

{
	{0, "thread_id", TEXTOID}, {0, "checkpoint_ns", TEXTOID}, {0, "checkpoint_id", TEXTOID},
	{0, "checkpoint", JSONBOID},
	{1, "thread_id", TEXTOID}, {1, "checkpoint_ns", TEXTOID}, {1, "channel", TEXTOID},
	{1, "version", TEXTOID}, {1, "blob", BYTEAOID},
	{2, "thread_id", TEXTOID}, {2, "checkpoint_ns", TEXTOID}, {2, "checkpoint_id", TEXTOID},
	{2, "task_id", TEXTOID}, {2, "idx", INT4OID}, {2, "blob", BYTEAOID}
};

/* Those that pruning uses besides. */
static const struct
{
	int			table;
	const char *name;
	Oid			type;
}			pruned_columns[] =

{
	{CHECKPOINTS, "parent_checkpoint_id", TEXTOID}, {CHECKPOINTS, "metadata", JSONBOID},
	{BLOBS, "type", TEXTOID}, {WRITES, "channel", TEXTOID}, {WRITES, "type", TEXTOID}
};

/*
 * Raise 55000 unless a table, which the caller holds a lock on, has the columns
 * of the one of that number.
 */
void
CheckCheckpointColumns(int table, Oid relation)
{
	for (size_t i = 0; i < lengthof(columns); i++)
	{
		AttrNumber	number;

		if (columns[i].table != table)
			continue;
		number = get_attnum(relation, columns[i].name);
		if (number == InvalidAttrNumber || get_atttype(relation, number) != columns[i].type)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("%s has no column %s of type %s", amelia_checkpoint_tables[table],
							columns[i].name, format_type_be(columns[i].type)),
					 errdetail("It was changed while it was being looked at.")));
	}
}

/*
 * Pruning tells texts apart by their bytes: which column's collation does not,
 * as a problem, or NULL.
 */
static char *
CollationProblem(int table, Oid relation)
{
	for (size_t i = 0; i < lengthof(columns); i++)
	{
		Oid			type;
		int32		typmod;
		Oid			collation;

		if (columns[i].table != table || columns[i].type != TEXTOID)
			continue;
		get_atttypetypmodcoll(relation, get_attnum(relation, columns[i].name), &type, &typmod, &collation);
		if (!get_collation_isdeterministic(collation))
			return psprintf("the collation of column %s of %s takes some different texts for equal",
							columns[i].name, amelia_checkpoint_tables[table]);
	}
	return NULL;
}

/*
 * What a table lacks of the columns that only pruning uses; NULL when nothing.
 */
char *
PrunedColumnsProblem(int table, Oid relation)
{
	for (size_t i = 0; i < lengthof(pruned_columns); i++)
	{
		AttrNumber	number;

		if (pruned_columns[i].table != table)
			continue;
		number = get_attnum(relation, pruned_columns[i].name);
		if (number == InvalidAttrNumber || get_atttype(relation, number) != pruned_columns[i].type)
			return psprintf("%s has no column %s of type %s", amelia_checkpoint_tables[table],
							pruned_columns[i].name, format_type_be(pruned_columns[i].type));
	}
	return CollationProblem(table, relation);
}

/*
 * Whether a checkpoint was made only lately, by its id: a UUID of version 6, which
 * counts units of 100 ns since 1582. Another id tells nothing.
 */
bool
IsRecentCheckpoint(const char *id)
{
	unsigned	high;
	unsigned	middle;
	unsigned	low;
	int64		units;

	if (strlen(id) != UUID_TEXT_SIZE - 1 ||
		sscanf(id, "%8x-%4x-6%3x-", &high, &middle, &low) != 3)
		return false;
	units = ((int64) high << 28) | ((int64) middle << 12) | low;
	return (units - UUID_EPOCH) / 10 - PG_EPOCH > GetCurrentTimestamp() - LATE_US;
}

/*
 * checkpoint_columns() returns table (relation name, attribute name,
 * type regtype)
 */
Datum
amelia_checkpoint_columns(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (size_t i = 0; i < lengthof(columns); i++)
	{
		Datum		values[] = {
			DirectFunctionCall1(namein, CStringGetDatum(amelia_checkpoint_tables[columns[i].table])),
			DirectFunctionCall1(namein, CStringGetDatum(columns[i].name)),
			ObjectIdGetDatum(columns[i].type)
		};
		bool		nulls[lengthof(values)] = {0};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
