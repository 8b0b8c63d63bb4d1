/*-------------------------------------------------------------------------
 *
 * sequence_trigger.c
 *	  The trigger that numbers events and chat messages.
 *
 *-------------------------------------------------------------------------
 */
#include "base/sequence_trigger.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/uuid.h"

#include "base/sequence.h"
#include "base/trigger.h"
#include "base/uuid.h"

PG_FUNCTION_INFO_V1(amelia_allocate_sequence);

/*
 * Raise 22003 for a number behind which too few are left.
 */
void
RefuseHighSequence(int64 sequence)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("sequence is out of range: " INT64_FORMAT, sequence),
			 errdetail("A number that a client chooses is %d at most.", SEQUENCE_LIMIT)));
}

/*
 * Raise the foreign key's error for a child without a parent.
 */
static void
RefuseOrphan(SequenceKind kind, const char *child, const char *key, const char *parent, Datum value)
{
	char	   *constraint = psprintf("%s_%s_fkey", child, key);

	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("insert or update on table \"%s\" violates foreign key constraint \"%s\"",
					child, constraint),
			 errdetail("Key (%s)=(%s) is not present in table \"%s\".", key,
					   KeyIsUuid(kind) ? UuidText(DatumGetUUIDP(value)) : TextDatumGetCString(value),
					   parent),
			 err_generic_string(PG_DIAG_SCHEMA_NAME, AMELIA_SCHEMA),
			 err_generic_string(PG_DIAG_TABLE_NAME, child),
			 err_generic_string(PG_DIAG_CONSTRAINT_NAME, constraint)));
}

/*
 * allocate_sequence() returns trigger
 *
 * A child of a parent that is not there is refused as the foreign key would
 * refuse it. We do not leave it to that key, which may be deferred: there is
 * no number to give.
 */
Datum
amelia_allocate_sequence(PG_FUNCTION_ARGS)
{
	TriggerData *data = GetTriggerData(fcinfo, "allocate_sequence",
									   TRIGGER_EVENT_BEFORE, TRIGGER_EVENT_INSERT, true);
	Relation	child = data->tg_relation;
	TupleDesc	tupdesc = RelationGetDescr(child);
	SequenceKind kind = strcmp(RelationGetRelationName(child), "workflow_log") == 0 ?
	EVENT_SEQUENCE : MESSAGE_SEQUENCE;
	const char *child_name;
	const char *key_name;
	const char *parent_name;
	int			columns[2];
	Datum		values[2];
	bool		nulls[2] = {false, false};
	Datum		parent;
	int32		sequence;
	bool		is_null;

	SequenceNames(kind, &child_name, &key_name, &parent_name);
	if (get_relname_relid(child_name, get_namespace_oid(AMELIA_SCHEMA, true)) !=
		RelationGetRelid(child))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was fired by a table that it is not for",
						"allocate_sequence")));
	columns[0] = ColumnOfType(tupdesc, "sequence", INT4OID);
	columns[1] = ColumnOfType(tupdesc, "sequence_allocated", BOOLOID);
	sequence = DatumGetInt32(heap_getattr(data->tg_trigtuple, columns[0], tupdesc, &is_null));
	if (!is_null)
	{
		bool		is_allocated = DatumGetBool(heap_getattr(data->tg_trigtuple, columns[1], tupdesc, &is_null));

		/* Ours come that way too, where events are written by a statement. */
		if (sequence > SEQUENCE_LIMIT && (is_null || !is_allocated))
			RefuseHighSequence(sequence);
		return PointerGetDatum(data->tg_trigtuple);
	}
	parent = heap_getattr(data->tg_trigtuple,
						  ColumnNumber(tupdesc, key_name),
						  tupdesc, &is_null);
	if (is_null)
		return PointerGetDatum(data->tg_trigtuple);

	sequence = AllocateSequence(kind, parent, 1);
	if (sequence == 0)
		RefuseOrphan(kind, child_name, key_name, parent_name, parent);
	values[0] = Int32GetDatum(sequence);
	values[1] = BoolGetDatum(true);
	return PointerGetDatum(heap_modify_tuple_by_cols(data->tg_trigtuple, tupdesc, 2,
													 columns, values, nulls));
}
