/*-------------------------------------------------------------------------
 *
 * prune_execute.c
 *	  Doing to a LangGraph thread what was planned.
 *
 *	  Rows are found by their keys, which go to the statements as arrays. Each
 *	  statement must do something to as many rows as were planned.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/prune_execute.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "base/execute.h"
#include "retention/checkpoint.h"
#include "retention/delta_channels.h"
#include "retention/kept_queries.h"
#include "retention/squash.h"
#include "retention/thread_lock.h"

/*
 * How long somebody's lock on a row is waited for: less than what
 * deadlock_timeout mostly is, after which the others would look for a deadlock.
 */
#define LOCK_MS "100"

/* Rows that one statement changes. */
#define KEYS_AT_ONCE 10000
#define KEY_COLUMNS 6

/* The keys of some rows, as arrays of text. */
typedef struct Keys
{
	int			columns;
	int			count;
	int			room;
	int64		rows;			/* that they stand for */
	Datum	   *texts[KEY_COLUMNS];
} Keys;

/*
 * Add a key that stands for some rows. As many names follow as the keys have
 * columns.
 */
static void
AddKey(const ThreadImage *image, Keys *keys, int64 rows,...)
{
	va_list		names;

	if (keys->count == keys->room)
	{
		keys->room = Max(keys->room * 2, 64);
		for (int i = 0; i < keys->columns; i++)
			keys->texts[i] = keys->texts[i] == NULL ? palloc(keys->room * sizeof(Datum)) :
				repalloc_huge(keys->texts[i], keys->room * sizeof(Datum));
	}
	va_start(names, rows);
	for (int i = 0; i < keys->columns; i++)
		keys->texts[i][keys->count] = NameDatum(image->names, va_arg(names, int));
	va_end(names);
	keys->count++;
	keys->rows += rows;
}

/*
 * Run a statement, to which the table's name is yet to be put, for the keys,
 * which are its parameters from the second on, some at a time; 55000 unless it
 * does something to as many rows as there should be.
 */
static void
RunForKeys(const ThreadImage *image, const char *query, int table, const Keys *keys)
{
	static const Oid types[] = {
		TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID
	};
	Datum		values[lengthof(types)];
	char	   *statement = psprintf(query, image->source->tables[table]);
	int64		rows = 0;

	values[0] = CStringGetTextDatum(image->thread);
	for (int first = 0; first < keys->count; first += KEYS_AT_ONCE)
	{
		int			count = Min(KEYS_AT_ONCE, keys->count - first);
		RestrictedContext before;

		for (int i = 0; i < keys->columns; i++)
			values[i + 1] = NameArray(&keys->texts[i][first], count);
		EnterSource(image->source, &before);
		/* Whoever waits for us must not find that we wait for him. */
		(void) set_config_option("lock_timeout", LOCK_MS, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
		rows += RunPlanOnLatest(PlanOf(statement, keys->columns + 1, types), values);
		LeaveRestricted(&before);
	}
	if (rows != keys->rows)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%lld rows were to be changed, not %lld",
						(long long) keys->rows, (long long) rows),
				 errdetail("A trigger may have left some out, or somebody wrote past the fence.")));
}

#define CHECKPOINT_KEYS \
	" unnest($2, $3) AS k (ns, id) WHERE a.thread_id = $1 AND a.checkpoint_ns = k.ns AND a.checkpoint_id = k.id"
#define TARGET_KEYS \
	" unnest($2, $3, $4) AS k (ns, id, target) WHERE a.thread_id = $1 AND a.checkpoint_ns = k.ns" \
	" AND a.checkpoint_id = k.id"
#define WRITE_KEYS \
	" WHERE a.thread_id = $1 AND a.checkpoint_ns = k.ns AND a.checkpoint_id = k.id" \
	" AND a.task_id = k.task AND a.idx = k.place::integer"

/* What becomes of checkpoints. */
static void
ChangeCheckpoints(const ThreadImage *image)
{
	Keys		rows = {.columns = 2};
	Keys		orphans = {.columns = 2};
	Keys		adopted = {.columns = 3};
	Keys		marked = {.columns = 2};

	for (int i = 0; i < image->nrows; i++)
	{
		const ImageRow *row = &image->rows[i];
		const ImageRow *parent = row->parent_row == NO_ROW ? NULL : &image->rows[row->parent_row];
		int			ns = image->spaces[row->space].name;

		if (DIES(row->fate))
			AddKey(image, &rows, 1, ns, row->id);
		else if (row->loses_parent)
			AddKey(image, &orphans, 1, ns, row->id);
		else if (parent != NULL && parent->fate == ROW_FOLDS)
			AddKey(image, &adopted, 1, ns, row->id, image->rows[parent->target].id);
		if (row->to_mark)
			AddKey(image, &marked, 1, ns, row->id);
	}
	RunForKeys(image, "UPDATE ONLY %s AS a SET parent_checkpoint_id = NULL FROM" CHECKPOINT_KEYS,
			   CHECKPOINTS, &orphans);
	RunForKeys(image, "UPDATE ONLY %s AS a SET parent_checkpoint_id = k.target FROM" TARGET_KEYS,
			   CHECKPOINTS, &adopted);
	RunForKeys(image, "DELETE FROM ONLY %s AS a USING" CHECKPOINT_KEYS, CHECKPOINTS, &rows);
	RunForKeys(image, "UPDATE ONLY %s AS a SET metadata = a.metadata || '{\"" ANCHOR_MARK "\": true}' FROM"
			   CHECKPOINT_KEYS, CHECKPOINTS, &marked);
}

static void
DeleteBlobs(const ThreadImage *image)
{
	Keys		blobs = {.columns = 3};

	for (int i = 0; i < image->nblobs; i++)
	{
		const ImageBlob *blob = &image->blobs[i];

		if (blob->is_named && !blob->is_needed)
			AddKey(image, &blobs, 1, blob->ns, blob->channel, blob->version);
	}
	RunForKeys(image, "DELETE FROM ONLY %s AS a USING unnest($2, $3, $4) AS k (ns, channel, version)"
			   " WHERE a.thread_id = $1 AND a.checkpoint_ns = k.ns AND a.channel = k.channel"
			   " AND a.version = k.version", BLOBS, &blobs);
}

/*
 * Delete the writes that go: of most checkpoints all, of some only those that
 * neither move nor are read by somebody else.
 */
static void
DeleteWrites(const ThreadImage *image, HTAB *deltas)
{
	Keys		all = {.columns = 2};
	Keys		most = {.columns = 2};
	Keys		some = {.columns = 4};
	int			sends = NameOf(image->names, SENDS_CHANNEL, strlen(SENDS_CHANNEL));

	for (int i = 0; i < image->ngroups; i++)
	{
		const ImageGroup *group = &image->groups[i];
		int			moved = 0;
		int			spared = 0;

		if (!group->goes)
			continue;
		for (int w = group->first; w < group->first + group->count; w++)
		{
			moved += IsMoved(image, deltas, group, &image->writes[w]) ? 1 : 0;
			spared += group->spares_sends && image->writes[w].channel == sends ? 1 : 0;
		}
		if (moved == 0)
			AddKey(image, group->spares_sends ? &most : &all, group->count - spared, group->ns, group->id);
		for (int w = group->first; moved > 0 && w < group->first + group->count; w++)
		{
			const ImageWrite *write = &image->writes[w];

			if (!IsMoved(image, deltas, group, write) && !(group->spares_sends && write->channel == sends))
				AddKey(image, &some, 1, group->ns, group->id, write->task, write->place);
		}
	}
	RunForKeys(image, "DELETE FROM ONLY %s AS a USING" CHECKPOINT_KEYS, WRITES, &all);
	RunForKeys(image, "DELETE FROM ONLY %s AS a USING" CHECKPOINT_KEYS
			   " AND a.channel <> '" SENDS_CHANNEL "'", WRITES, &most);
	RunForKeys(image, "DELETE FROM ONLY %s AS a USING unnest($2, $3, $4, $5)"
			   " AS k (ns, id, task, place)" WRITE_KEYS, WRITES, &some);
}

/* Whether writes have the path of their task, as those of Python's saver do. */
static bool
HasTaskPath(const CheckpointSource *source)
{
	Oid			table = get_relname_relid(amelia_checkpoint_tables[WRITES],
										  get_namespace_oid(source->schema, false));
	AttrNumber	number = get_attnum(table, "task_path");

	return number != InvalidAttrNumber && get_atttype(table, number) == TEXTOID;
}

/* Fold the writes of some checkpoints to others. */
static void
MoveWrites(const ThreadImage *image, HTAB *deltas)
{
	Keys		moved = {.columns = 6};
	int			count;
	ImageMove  *moves = PlanMoves(image, deltas, &count);

	for (int i = 0; i < count; i++)
		AddKey(image, &moved, 1, moves[i].ns, moves[i].id, moves[i].task, moves[i].place,
			   moves[i].target_id, moves[i].target_task);

	/*
	 * A reader that sorts by the path first is to find them in the same
	 * order.
	 */
	RunForKeys(image, psprintf("UPDATE ONLY %%s AS a SET checkpoint_id = k.target, task_id = k.ranked%s"
							   " FROM unnest($2, $3, $4, $5, $6, $7) AS k (ns, id, task, place, target, ranked)"
							   WRITE_KEYS, HasTaskPath(image->source) ? ", task_path = ''" : ""), WRITES, &moved);
	pfree(moves);
}

/*
 * Do what the plan says. After an error the caller calls TrustRows(false).
 */
void
ExecutePlan(const ThreadImage *image, HTAB *deltas)
{
	TrustRows(true);
	DeleteWrites(image, deltas);
	MoveWrites(image, deltas);
	ChangeCheckpoints(image);
	DeleteBlobs(image);
	TrustRows(false);
}
