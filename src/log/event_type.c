/*-------------------------------------------------------------------------
 *
 * event_type.c
 *	  What event_types says of a type: the level of events that bring none,
 *	  and whether they are stored.
 *
 *	  Read for every append, because the switch works at once; by the
 *	  primary key and not by a query, which would cost as much as the event.
 *
 *-------------------------------------------------------------------------
 */
#include "log/event_type.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/execute.h"
#include "base/row.h"
#include "base/sequence.h"
#include "log/event_record.h"

typedef struct EventType
{
	Datum		name;			/* 0: none was read yet */
	Datum		level;
	bool		is_stored;
} EventType;

/*
 * Read what is said of a type. One that is not there is level debug and
 * stored.
 */
static void
ReadType(Relation types, Relation index, TupleTableSlot *slot, Datum name, EventType *type)
{
	IndexScanDesc scan = CompatBeginIndexScan(types, index, GetActiveSnapshot(), 1);
	ScanKeyData key;

	ScanKeyEntryInitialize(&key, 0, 1, BTEqualStrategyNumber, InvalidOid,
						   index->rd_indcollation[0], F_TEXTEQ, name);
	index_rescan(scan, &key, 1, NULL, 0);
	type->name = name;
	if (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		Datum		level = RowColumn(types, slot, "level", TEXTOID, NULL);

		type->level = PointerGetDatum(PG_DETOAST_DATUM_COPY(level));
		type->is_stored = DatumGetBool(RowColumn(types, slot, "persisted", BOOLOID, NULL));
	}
	else
	{
		type->level = CStringGetTextDatum("debug");
		type->is_stored = true;
	}
	index_endscan(scan);
}

static bool
SameText(Datum a, Datum b)
{
	return DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID, a, b));
}

/*
 * Give each event the level of its type where it has none, and what follows
 * from it; leave out those whose type is switched off. Returns how many stay.
 */
int
ApplyTypes(Event *events, int count)
{
	Relation	types = OpenTable("event_types", AccessShareLock);
	Oid			key = CompatPrimaryKeyIndex(types);
	AclResult	right = pg_class_aclcheck(RelationGetRelid(types), GetUserId(), ACL_SELECT);
	Datum		error = CStringGetTextDatum("error");
	EventType	type = {0};
	Relation	index;
	TupleTableSlot *slot;
	int			kept = 0;

	if (right != ACLCHECK_OK)
		aclcheck_error(right, OBJECT_TABLE, RelationGetRelationName(types));
	if (!OidIsValid(key))
		RefuseOlderSchema("event_types_pkey");
	index = index_open(key, AccessShareLock);
	/* Its owner can make another column the key. */
	if (index->rd_opcintype[0] != TEXTOID)
		RefuseOlderSchema("event_types_pkey");
	slot = table_slot_create(types, NULL);
	for (int i = 0; i < count; i++)
	{
		Event	   *event = &events[i];

		/* Most batches hold many of one type in a row. */
		if (type.name == 0 || !SameText(type.name, event->values[EVENT_TYPE]))
			ReadType(types, index, slot, event->values[EVENT_TYPE], &type);
		if (!type.is_stored)
			continue;
		if (event->nulls[EVENT_LEVEL])
			event->values[EVENT_LEVEL] = type.level;
		event->nulls[EVENT_LEVEL] = false;
		if (event->nulls[EVENT_IS_ERROR])
			event->values[EVENT_IS_ERROR] = BoolGetDatum(SameText(event->values[EVENT_LEVEL], error));
		event->nulls[EVENT_IS_ERROR] = false;
		events[kept++] = *event;
	}
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	table_close(types, AccessShareLock);
	return kept;
}
