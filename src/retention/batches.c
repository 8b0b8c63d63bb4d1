/*-------------------------------------------------------------------------
 *
 * batches.c
 *	  Batches of rules 1, 3 and 4: trace events, events, and workflows.
 *
 *	  A batch takes finished workflows in the order of their end, as many as
 *	  have about amelia.batch_size events together, and one at least. Of one
 *	  that has more, it deletes so many, and the next batch goes on with it.
 *	  How many a workflow has is told from its lowest and highest sequence,
 *	  which costs two probes of an index and is at least the number.
 *
 *	  It first looks without a lock, then locks what it chose, skipping what
 *	  somebody else holds, with the rule checked again: a workflow that was
 *	  resumed meanwhile stays whole, and while the lock is held none can be.
 *	  An append that is under way holds the row, so it is never waited for.
 *
 *	  The places in the order are kept in the round, so what was skipped or
 *	  failed is left for the next round. Those with nothing to delete are
 *	  passed by, and do not count as touched.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/batches.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/execute.h"
#include "base/settings.h"
#include "base/uuid.h"
#include "retention/checkpoint.h"
#include "retention/round_state.h"
#include "retention/rules.h"

#define MAX_PEEK 1000

/* Parameters of the queries that look for workflows. */
#define CHOICE_TYPES {TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID}

#define LOOK_AT(condition) \
	"SELECT w.completed_at, w.id," \
	" COALESCE((SELECT max(e.sequence)::bigint FROM amelia.workflow_log AS e WHERE e.workflow_id = w.id)" \
	" - (SELECT min(e.sequence) FROM amelia.workflow_log AS e WHERE e.workflow_id = w.id) + 1, 0)" \
	" FROM amelia.workflows AS w WHERE " condition

/* What rule 3 takes is not taken by rule 1 before: it would be done twice. */
#define TRACES_DUE DUE("$1", "$2") " AND NOT " ENDED_BEFORE("$3")
#define EVENTS_DUE DUE("$1", "$2")

static const char *const look_for_traces =
LOOK_AT(TRACES_DUE " AND w.traces_removed_to IS NULL");
static const char *const look_for_late_traces =
LOOK_AT(TRACES_DUE " AND (w.traces_removed_to IS NULL OR EXISTS"
		" (SELECT FROM amelia.workflow_log AS e"
		" WHERE e.workflow_id = w.id AND e.sequence > w.traces_removed_to))");

/* $3 is used to have the same parameters */
static const char *const look_for_events =
LOOK_AT(EVENTS_DUE " AND $3::timestamptz IS NOT NULL");

/* A workflow that was looked at. */
typedef struct Candidate
{
	WorkflowPlace place;
	int64		events;			/* at most */
} Candidate;

/* The workflows of a batch. */
typedef struct Choice
{
	int			count;
	Datum		ids;			/* uuid[] */
	int64		events;			/* at most */
	bool		is_last;		/* none comes behind them in the phase */
} Choice;

/*
 * Whether a place lies behind another.
 */
static bool
IsBehind(const WorkflowPlace *place, const WorkflowPlace *other)
{
	if (place->undated != other->undated)
		return place->undated;
	if (!place->undated && place->completed_at != other->completed_at)
		return place->completed_at > other->completed_at;
	return memcmp(&place->id, &other->id, UUID_LEN) > 0;
}

/*
 * Read the next candidates of a phase, at most round->peek. Each must lie
 * behind the one before: a round that does not get on would never end.
 */
static Candidate *
ReadCandidates(const RetentionRound *round, const char *look, TimestampTz horizon,
			   const Horizons *horizons, uint64 *count)
{
	static const Oid types[] = CHOICE_TYPES;
	Datum		values[] = {
		TimestampTzGetDatum(horizon), TimestampTzGetDatum(horizons->recovery),
		TimestampTzGetDatum(horizons->log), TimestampTzGetDatum(round->place.completed_at),
		UUIDPGetDatum(&round->place.id)
	};
	Candidate  *candidates;
	const char *query;
	WorkflowPlace behind;

	/*
	 * The limit as a literal, and a plan for just these values: the planner
	 * takes the index in the order that we want only if it knows that we want
	 * few.
	 */
	query = psprintf("%s AND %s ORDER BY w.completed_at, w.id LIMIT %d", look,
					 round->place.undated ?
					 "w.completed_at IS NULL AND $4::timestamptz IS NOT NULL AND w.id > $5" :
					 "w.completed_at < $1 AND (w.completed_at, w.id) > ($4, $5)",
					 round->peek);
	*count = RunSql(query, lengthof(types), types, values, false);
	behind = round->place;
	candidates = palloc0(Max(*count, 1) * sizeof(Candidate));
	for (uint64 i = 0; i < *count; i++)
	{
		bool		is_null;

		candidates[i].place.completed_at = DatumGetTimestampTz(RowValue(i, 1, TIMESTAMPTZOID, &is_null));
		candidates[i].place.undated = is_null;
		candidates[i].place.id = *DatumGetUUIDP(RowValue(i, 2, UUIDOID, NULL));
		candidates[i].events = DatumGetInt64(RowValue(i, 3, INT8OID, NULL));
		if (!IsBehind(&candidates[i].place, &behind))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("workflow %s is not in the order of completed_at and id",
							UuidText(&candidates[i].place.id))));
		behind = candidates[i].place;
	}
	return candidates;
}

/*
 * The ids of some candidates as uuid[].
 */
static Datum
IdArray(Candidate *const *candidates, int count)
{
	Datum	   *ids = palloc(Max(count, 1) * sizeof(Datum));

	for (int i = 0; i < count; i++)
		ids[i] = UUIDPGetDatum(&candidates[i]->place.id);
	return PointerGetDatum(construct_array(ids, count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

/*
 * Whether an array of ids holds one.
 */
static bool
HoldsId(Datum array, const pg_uuid_t *id)
{
	Datum	   *ids;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(array), UUIDOID, UUID_LEN, false, TYPALIGN_CHAR,
					  &ids, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		if (memcmp(DatumGetUUIDP(ids[i]), id, UUID_LEN) == 0)
			return true;
	}
	return false;
}

/*
 * Choose the workflows of a batch from what lies behind round->place, and
 * note where that leads. empty_too: those without events are wanted, unless
 * their checkpoints are there; sources are where to look for these.
 */
static void
ChooseWorkflows(RetentionRound *round, const char *look, TimestampTz horizon,
				const Horizons *horizons, bool empty_too, List *sources, Choice *choice)
{
	uint64		count;
	uint64		seen;
	Candidate  *candidates = ReadCandidates(round, look, horizon, horizons, &count);
	Candidate **chosen = palloc(Max(count, 1) * sizeof(Candidate *));
	Datum		with_threads = EmptyArray(UUIDOID);

	if (empty_too && sources != NIL)
	{
		int			empty = 0;

		for (uint64 i = 0; i < count; i++)
		{
			if (candidates[i].events == 0)
				chosen[empty++] = &candidates[i];
		}
		if (empty > 0)
			with_threads = WorkflowsWithThreads(sources, IdArray(chosen, empty));
	}

	memset(choice, 0, sizeof(*choice));
	round->next_place = round->place;
	for (seen = 0; seen < count; seen++)
	{
		Candidate  *candidate = &candidates[seen];

		if (candidate->events > 0 || (empty_too && !HoldsId(with_threads, &candidate->place.id)))
		{
			if (round->touched + choice->count >= horizons->max_workflows ||
				(round->singles > 0 && choice->count > 0) ||
				(choice->count > 0 && choice->events + candidate->events > amelia_batch_size))
				break;
			chosen[choice->count++] = candidate;
			choice->events += candidate->events;
		}
		round->next_place = candidate->place;
	}
	choice->ids = IdArray(chosen, choice->count);
	round->taken = choice->count;

	if (seen == count && count < (uint64) round->peek)
	{
		/* Behind the last that has an end come those that have none. */
		choice->is_last = round->place.undated;
		memset(&round->next_place, 0, sizeof(WorkflowPlace));
		round->next_place.undated = true;
	}
	else if (choice->count == 0 && seen < count)
		choice->is_last = true; /* the round may touch no more */
	round->peek = seen == count ?
		Min(round->peek * 2, MAX_PEEK) : Max((int) seen + 2, FIRST_PEEK);
}

/*
 * Lock workflows, skipping those that somebody holds or that the rule does
 * not take any more. Returns their ids.
 */
static Datum
LockWorkflows(Datum ids, TimestampTz horizon, const Horizons *horizons, bool for_delete)
{
	static SPIPlanPtr plans[2] = {NULL, NULL};
	static const Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDARRAYOID};
	Datum		values[] = {
		TimestampTzGetDatum(horizon), TimestampTzGetDatum(horizons->recovery), ids
	};
	bool		is_null;
	Datum		locked;

#define LOCK(strength) \
	"SELECT array_agg(l.id) FROM (SELECT w.id FROM amelia.workflows AS w" \
	" WHERE w.id = ANY ($3) AND " DUE("$1", "$2") \
	" ORDER BY w.id " strength " SKIP LOCKED) AS l"

	KeptPlan(&plans[for_delete], for_delete ? LOCK ("FOR UPDATE") : LOCK ("FOR NO KEY UPDATE"),
			 lengthof(types), types);
	if (SPI_execute_plan(plans[for_delete], values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not lock workflows");
	locked = RowValue(0, 1, UUIDARRAYOID, &is_null);
	return is_null ? EmptyArray(UUIDOID) : locked;
}

/*
 * Delete the events of the workflows, or only their trace events. Returns how
 * many; *is_done is whether that was all. If there may be too many for one
 * batch, which is so for one workflow only, it is a stretch of its sequences.
 */
static int64
DeleteEvents(RetentionRound *round, const Choice *choice, Datum ids, bool traces, bool *is_done)
{
	static SPIPlanPtr all_plans[2] = {NULL, NULL};
	static SPIPlanPtr some_plans[2] = {NULL, NULL};
	static const Oid types[] = {UUIDARRAYOID, INT4OID, INT4OID};
	Datum		values[3] = {ids, Int32GetDatum(round->sequence), 0};
	SPIPlanPtr	plan;
	bool		is_null;

	*is_done = choice->events <= amelia_batch_size;
	if (*is_done)
		plan = KeptPlan(&all_plans[traces], traces ?
						"DELETE FROM amelia.workflow_log AS e"
						" WHERE e.workflow_id = ANY ($1) AND e.level = 'trace'" :
						"DELETE FROM amelia.workflow_log AS e WHERE e.workflow_id = ANY ($1)",
						1, types);
	else
	{
		int32		first;

		RunSql("SELECT min(e.sequence) FROM amelia.workflow_log AS e"
			   " WHERE e.workflow_id = ANY ($1) AND e.sequence > $2", 2, types, values, false);
		first = DatumGetInt32(RowValue(0, 1, INT4OID, &is_null));
		*is_done = is_null;
		if (*is_done)
			return 0;
		round->sequence = first > PG_INT32_MAX - amelia_batch_size ?
			PG_INT32_MAX : first + amelia_batch_size - 1;
		values[1] = Int32GetDatum(first);
		values[2] = Int32GetDatum(round->sequence);
		plan = KeptPlan(&some_plans[traces], traces ?
						"DELETE FROM amelia.workflow_log AS e WHERE e.workflow_id = ANY ($1)"
						" AND e.sequence BETWEEN $2 AND $3 AND e.level = 'trace'" :
						"DELETE FROM amelia.workflow_log AS e WHERE e.workflow_id = ANY ($1)"
						" AND e.sequence BETWEEN $2 AND $3",
						3, types);
	}
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete events");
	return SPI_processed;
}

/*
 * The batch is through with its workflows: on to the next ones.
 */
static void
Advance(RetentionRound *round)
{
	if (round->is_changed)
		round->touched += round->taken;
	round->is_changed = false;
	round->failures_in_row = 0;
	round->place = round->next_place;
	round->sequence = 0;
	if (round->singles > 0)
		round->singles -= round->taken;
}

/*
 * A batch of rule 1. Returns whether the phase goes on.
 */
bool
TraceBatch(RetentionRound *round, const Horizons *horizons)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {UUIDARRAYOID};
	Choice		choice;
	Datum		ids;
	bool		is_done;

	if (TIMESTAMP_IS_NOBEGIN(horizons->trace))
		return false;
	ChooseWorkflows(round, round->thorough ? look_for_late_traces : look_for_traces,
					horizons->trace, horizons, true, NIL, &choice);
	if (choice.count > 0)
	{
		ids = LockWorkflows(choice.ids, horizons->trace, horizons, false);
		round->trace_events = DeleteEvents(round, &choice, ids, true, &is_done);
		round->is_changed |= round->trace_events > 0;
		if (!is_done)
			return true;
		KeptPlan(&plan,
				 "UPDATE amelia.workflows AS w SET traces_removed_to = GREATEST(w.sequence_floor,"
				 " (SELECT max(e.sequence) FROM amelia.workflow_log AS e WHERE e.workflow_id = w.id))"
				 " WHERE w.id = ANY ($1)", lengthof(types), types);
		if (SPI_execute_plan(plan, &ids, NULL, false, 0) != SPI_OK_UPDATE)
			elog(ERROR, "could not mark workflows");
	}
	Advance(round);
	return !choice.is_last;
}

/*
 * Rule 4: delete those of the workflows, which are locked, that have neither
 * events nor checkpoints left. Returns how many.
 */
static int64
DeleteWorkflows(List *sources, Datum ids)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {UUIDARRAYOID, UUIDARRAYOID};
	Datum		values[2] = {ids, 0};

	if (ArrayCount(ids) == 0)
		return 0;
	values[1] = sources == NIL ? EmptyArray(UUIDOID) : WorkflowsWithThreads(sources, ids);
	KeptPlan(&plan,
			 "DELETE FROM amelia.workflows AS w WHERE w.id = ANY ($1) AND w.id <> ALL ($2)"
			 " AND NOT EXISTS (SELECT FROM amelia.workflow_log AS e WHERE e.workflow_id = w.id)",
			 lengthof(types), types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete workflows");
	return SPI_processed;
}

/*
 * A batch of rules 3 and 4. Returns whether the phase goes on.
 */
bool
EventBatch(RetentionRound *round, const Horizons *horizons)
{
	List	   *sources;
	bool		readable;
	Choice		choice;
	Datum		ids;
	bool		is_done;

	if (TIMESTAMP_IS_NOBEGIN(horizons->log))
		return false;
	sources = FindCheckpointSources();
	readable = CheckpointsAreReadable(sources) && !round->spare_workflows;
	ChooseWorkflows(round, look_for_events, horizons->log, horizons, readable, sources, &choice);
	if (choice.count > 0)
	{
		ids = LockWorkflows(choice.ids, horizons->log, horizons, true);
		round->events = DeleteEvents(round, &choice, ids, false, &is_done);
		round->is_changed |= round->events > 0;
		if (!is_done)
			return true;

		/*
		 * What keeps the workflow shall not keep its events, which are taken
		 * once.
		 */
		if (round->singles > 0 && round->events > 0 && readable && round->sequence < PG_INT32_MAX)
		{
			round->sequence = PG_INT32_MAX;
			return true;
		}
		round->in_rule_4 = readable;
		if (readable)
			round->workflows = DeleteWorkflows(sources, ids);
		round->is_changed |= round->workflows > 0;
	}
	Advance(round);
	return !choice.is_last;
}
