/*-------------------------------------------------------------------------
 *
 * prune_plan.c
 *	  Which rows of a LangGraph thread no resume can need.
 *
 *	  Kept are the newest checkpoints of each namespace that lasts, those that
 *	  its subgraphs load for them, and the newest of each task's namespace that
 *	  belongs to a checkpoint that is kept. Where a delta channel of these is
 *	  made from ancestors, the ancestors stay too, whole, as anchors: with half
 *	  of what they hold they would be false states to go on from.
 *
 *	  All else goes: the checkpoints, what was written to them, and the blobs
 *	  that they name and none that stays does. A blob that nobody names is left
 *	  alone. When there is more than the limit, only the newest of what may
 *	  go does, so that what is left of the past is whole.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/prune_plan.h"

#include "miscadmin.h"

#include "retention/anchor_marks.h"
#include "retention/delta_channels.h"
#include "retention/squash.h"
#include "retention/thread_image.h"

/* A walk has been here for this channel. */
typedef struct Step
{
	int			row;
	int			channel;
} Step;

/* Whether a namespace lasts from turn to turn: the root, and subgraphs with memory. */
#define LASTS(space) (!(space)->is_task)

static void
Keep(ThreadImage *image, int row)
{
	if (row != NO_ROW)
		image->rows[row].fate = ROW_KEPT;
}

/*
 * Keep the newest of each namespace that lasts.
 */
static void
KeepNewest(ThreadImage *image, int keep)
{
	for (int i = 0; i < image->nrows; i++)
	{
		if (LASTS(&image->spaces[image->rows[i].space]) && image->rows[i].rank <= keep)
			Keep(image, i);
	}
}

/*
 * Keep what the subgraphs that last load for each root that is kept. For
 * one that an update or a fork made, they load what was there before its
 * parent.
 */
static void
KeepPartners(ThreadImage *image, int root)
{
	const ImageSpace *space = &image->spaces[root];

	for (int i = space->first; i < space->first + space->count; i++)
	{
		const ImageRow *row = &image->rows[i];

		if (row->fate != ROW_KEPT)
			continue;
		for (int other = 0; other < image->nspaces; other++)
		{
			CHECK_FOR_INTERRUPTS();
			if (other == root || !LASTS(&image->spaces[other]))
				continue;
			Keep(image, PartnerOf(image, other, row->id));
			if (row->is_fork && row->parent != NO_NAME)
				Keep(image, PartnerOf(image, other, row->parent));
		}
	}
}

/*
 * Whether a task's namespace belongs to checkpoints that stay: each of those
 * that its newest row names is one of the newest or kept, or newer than all
 * that we know of.
 */
static bool
IsLive(const ThreadImage *image, const ImageSpace *space, int keep)
{
	const ImageRow *newest = &image->rows[space->first + space->count - 1];

	for (int i = 0; i < newest->nparents; i++)
	{
		const ImageParent *parent = &newest->parents[i];
		int			row = FindImageRow(image, parent->ns, parent->id);
		int			other = FindSpace(image, parent->ns);

		if (row != NO_ROW && (image->rows[row].rank <= keep || image->rows[row].fate == ROW_KEPT))
			continue;
		if (other == NO_ROW)
			continue;
		if (CompareIds(image, parent->id,
					   image->rows[image->spaces[other].first + image->spaces[other].count - 1].id) <= 0)
			return false;
	}
	return true;
}

/*
 * Keep the newest of each task's namespace that is live. They are found first,
 * so that one that is kept makes none live.
 */
static void
KeepTasks(ThreadImage *image, int keep)
{
	bool	   *live = palloc0(Max(image->nspaces, 1) * sizeof(bool));

	for (int i = 0; i < image->nspaces; i++)
		live[i] = !LASTS(&image->spaces[i]) && IsLive(image, &image->spaces[i], keep);
	for (int i = 0; i < image->nrows; i++)
	{
		if (live[image->rows[i].space] && image->rows[i].rank <= keep)
			Keep(image, i);
	}
	pfree(live);
}

/*
 * Keep the ancestors of a row from which a delta channel of it is made, up to
 * the one that stores a value of it. Where the row names no version of the
 * channel, most likely nothing was written to it, and none of them is needed.
 */
static void
AnchorChannel(ThreadImage *image, HTAB *steps, int row, int channel)
{
	int			last = NO_ROW;
	bool		all = VersionOf(&image->rows[row], channel) != NO_NAME;
	int			taken = 0;

	for (int at = image->rows[row].parent_row; at != NO_ROW && !all && taken <= image->nrows;
		 at = image->rows[at].parent_row, taken++)
	{
		CHECK_FOR_INTERRUPTS();
		if (HasWrites(image, &image->rows[at], channel))
			last = at;
		if (!HoldsValue(image, &image->rows[at], channel))
			continue;
		last = at;
		break;
	}
	if (!all && last == NO_ROW)
		return;
	for (int at = image->rows[row].parent_row; at != NO_ROW; at = image->rows[at].parent_row)
	{
		Step		step = {at, channel};
		bool		found;

		CHECK_FOR_INTERRUPTS();
		(void) hash_search(steps, &step, HASH_ENTER, &found);
		if (found && all)
			break;
		if (image->rows[at].fate != ROW_KEPT)
			image->rows[at].fate = ROW_ANCHORS;
		if (at == last || HoldsValue(image, &image->rows[at], channel))
			break;
	}
}

static void
KeepAnchors(ThreadImage *image, HTAB *deltas)
{
	HASHCTL		control = {0};
	HTAB	   *steps;

	control.keysize = sizeof(Step);
	control.entrysize = sizeof(Step);
	control.hcxt = CurrentMemoryContext;
	steps = hash_create("amelia steps", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < image->nrows; i++)
	{
		const ImageRow *row = &image->rows[i];
		int		   *channels;
		int			count;

		if (row->fate != ROW_KEPT)
			continue;
		channels = DeltasOf(image, deltas, row, &count);
		for (int c = 0; c < count; c++)
			AnchorChannel(image, steps, i, channels[c]);
		pfree(channels);
	}
	hash_destroy(steps);
}

/* Newest first. */
static int
CompareRows(const void *a, const void *b, void *arg)
{
	const ThreadImage *image = arg;
	int			one = *(const int *) a;
	int			other = *(const int *) b;
	int			order = CompareIds(image, image->rows[other].id, image->rows[one].id);

	return order != 0 ? order : other - one;
}

/*
 * Of what may go, let all but the newest wait. The ancestors of what waits do
 * too.
 */
static void
LetWait(ThreadImage *image, int64 limit, PrunePlan *plan)
{
	int		   *rows = palloc(Max(image->nrows, 1) * sizeof(int));
	int			count = 0;
	int64		taken = 0;

	for (int i = 0; i < image->nrows; i++)
	{
		if (image->rows[i].fate == ROW_GOES)
			rows[count++] = i;
	}
	qsort_arg(rows, count, sizeof(int), CompareRows, image);
	for (int i = 0; i < count; i++)
	{
		ImageRow   *row = &image->rows[rows[i]];
		ImageGroup *group = FindImageGroup(image, image->spaces[row->space].name, row->id);

		if (taken >= limit)
		{
			plan->more = true;
			for (int at = rows[i]; at != NO_ROW && image->rows[at].fate == ROW_GOES;
				 at = image->rows[at].parent_row)
				image->rows[at].fate = ROW_WAITS;
		}
		taken += 1 + row->nversions + (group == NULL ? 0 : group->count);
	}
	pfree(rows);
}

/*
 * Whether a kept root can do without the id of its parent: where that says
 * what a subgraph loads for it, it cannot.
 */
static bool
NeedsParent(const ThreadImage *image, int root, const ImageRow *row)
{
	if (row->space != root || !row->is_fork)
		return false;
	for (int other = 0; other < image->nspaces; other++)
	{
		if (other != root && LASTS(&image->spaces[other]) &&
			PartnerOf(image, other, row->id) != PartnerOf(image, other, row->parent))
			return true;
	}
	return false;
}

/*
 * What follows for the rows that stay, and for those that go.
 */
static void
CountRows(ThreadImage *image, int root, bool *survives, PrunePlan *plan)
{
	for (int i = 0; i < image->nrows; i++)
	{
		ImageRow   *row = &image->rows[i];
		bool		goes = DIES(row->fate);

		if (goes)
		{
			plan->checkpoints++;
			plan->bytes += row->size;
		}
		else
			survives[row->space] = true;
		if (row->fate == ROW_ANCHORS)
		{
			plan->anchors++;
			plan->anchor_bytes += row->size;
		}
		row->loses_parent = !goes && row->parent_row != NO_ROW &&
			image->rows[row->parent_row].fate == ROW_GOES &&
			row->format >= FORMAT_WITH_SENDS && !NeedsParent(image, root, row);
		for (int v = 0; v < row->nversions; v++)
		{
			ImageBlob  *blob = FindImageBlob(image, image->spaces[row->space].name,
											 row->versions[v].channel, row->versions[v].version);

			if (blob == NULL)
				continue;
			blob->is_named |= goes;
			blob->is_needed |= !goes;
		}
	}
}

/*
 * The blobs that go: named by a row that goes, or of a namespace of which
 * nothing stays.
 */
static void
CountBlobs(ThreadImage *image, const bool *survives, PrunePlan *plan)
{
	for (int i = 0; i < image->nblobs; i++)
	{
		ImageBlob  *blob = &image->blobs[i];
		int			space = FindSpace(image, blob->ns);

		blob->is_named |= space != NO_ROW && !survives[space];
		if (!blob->is_named || blob->is_needed)
			continue;
		plan->blobs++;
		plan->bytes += blob->size;
	}
}

static int
CompareNames(const void *a, const void *b)
{
	int			one = *(const int *) a;
	int			other = *(const int *) b;

	return (one > other) - (one < other);
}

/*
 * The checkpoints of which what was to be sent is read by one that stays, of
 * an old format. Returns their ids, in order.
 */
static int *
FindSenders(const ThreadImage *image, int *count)
{
	int		   *senders = palloc(Max(image->nrows, 1) * sizeof(int));

	*count = 0;
	for (int i = 0; i < image->nrows; i++)
	{
		const ImageRow *row = &image->rows[i];

		if (!DIES(row->fate) && row->format < FORMAT_WITH_SENDS && row->parent != NO_NAME)
			senders[(*count)++] = row->parent;
	}
	qsort(senders, *count, sizeof(int), CompareNames);
	return senders;
}

/*
 * The writes that go: those to checkpoints that do not stay, and that will not
 * come any more.
 */
static void
CountWrites(ThreadImage *image, HTAB *deltas, int root, PrunePlan *plan)
{
	int			sends = NameOf(image->names, SENDS_CHANNEL, strlen(SENDS_CHANNEL));
	int			nsenders;
	int		   *senders = FindSenders(image, &nsenders);

	for (int i = 0; i < image->ngroups; i++)
	{
		ImageGroup *group = &image->groups[i];
		int			row = FindImageRow(image, group->ns, group->id);
		int			space = FindSpace(image, group->ns);

		CHECK_FOR_INTERRUPTS();
		if (space == NO_ROW)
			space = root;
		group->goes = row != NO_ROW ? DIES(image->rows[row].fate) || image->rows[row].is_target :
			space != NO_ROW &&
			CompareIds(image, group->id,
					   image->rows[image->spaces[space].first + image->spaces[space].count - 1].id) <= 0;
		for (int w = group->first; w < group->first + group->count; w++)
		{
			if (row != NO_ROW && image->rows[row].fate == ROW_ANCHORS)
				plan->anchor_bytes += image->writes[w].size;
		}
		if (!group->goes)
			continue;
		group->spares_sends = bsearch(&group->id, senders, nsenders, sizeof(int), CompareNames) != NULL;
		for (int w = group->first; w < group->first + group->count; w++)
		{
			if ((group->spares_sends && image->writes[w].channel == sends) ||
				IsMoved(image, deltas, group, &image->writes[w]))
				continue;
			plan->writes++;
			plan->bytes += image->writes[w].size;
		}
	}
	pfree(senders);
}

/*
 * Keep all but what the runs made, and what subgraphs load for it.
 */
static void
KeepOthers(ThreadImage *image)
{
	for (int i = 0; i < image->nrows; i++)
	{
		if (!image->rows[i].is_of_runs)
			Keep(image, i);
	}
}

/*
 * Decide.
 */
void
PlanPruning(ThreadImage *image, HTAB *deltas, const PruneRules *rules, PrunePlan *plan)
{
	int			root = FindSpace(image, NameOf(image->names, "", 0));
	bool	   *survives = palloc0(Max(image->nspaces, 1) * sizeof(bool));

	memset(plan, 0, sizeof(PrunePlan));
	if (rules->of_runs)
		KeepOthers(image);
	else
		KeepNewest(image, rules->keep);
	if (root != NO_ROW)
		KeepPartners(image, root);
	if (!rules->of_runs)
		KeepTasks(image, rules->keep);
	KeepAnchors(image, deltas);
	if (rules->limit > 0)
		LetWait(image, rules->limit, plan);
	if (rules->squash && !plan->more)
		plan->more = FoldAnchors(image, deltas, rules->limit);
	CountRows(image, root, survives, plan);
	MarkAnchors(image, deltas);
	CountBlobs(image, survives, plan);
	CountWrites(image, deltas, root, plan);
	pfree(survives);
}
