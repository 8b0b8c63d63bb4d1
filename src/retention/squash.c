/*-------------------------------------------------------------------------
 *
 * squash.c
 *	  Folding the checkpoints that delta channels are made from.
 *
 *	  Where a delta channel hardly ever stores a snapshot, a thread has a long
 *	  chain of anchors, of which nothing is needed but what was written to the
 *	  channel, in its order. Each anchor that has one child only, and stores no
 *	  value of a delta channel itself, can be taken out: what was written to it goes
 *	  to its nearest ancestor that stays, the target, and its child follows that
 *	  one.
 *
 *	  What is written to one checkpoint is read in the order of task ids. So all
 *	  that was written to delta channels there, the target's own writes
 *	  first, gets the place in the order as the first eight digits of its task id,
 *	  which is how LangGraph itself stores a run whose durability is "exit". The
 *	  target's other writes go: who went on from it would take some of its
 *	  tasks' work for all. For the same reason the target is marked (anchor_marks.c),
 *	  and the fence keeps everybody from it.
 *
 *	  What was made lately is left alone: a run that is under way may
 *	  still write to it.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/squash.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "retention/checkpoint_shape.h"
#include "retention/delta_channels.h"
#include "retention/thread_image.h"

/* Digits that tell the order, and the most that they can. */
#define RANK_DIGITS 8
#define MAX_RANK 99999999

/* Whether a row stores a value of any delta channel of its graph. */
static bool
HoldsAny(const ThreadImage *image, HTAB *deltas, const ImageRow *row)
{
	HASH_SEQ_STATUS status;
	DeltaKey   *delta;
	bool		holds = false;

	hash_seq_init(&status, deltas);
	while ((delta = hash_seq_search(&status)) != NULL)
		holds |= delta->family == image->spaces[row->space].family &&
			HoldsValue(image, row, delta->channel);
	return holds;
}

/* Whether a row with so many children can take part in folding at all. */
static bool
CanTakePart(const ThreadImage *image, const ImageRow *row, int children)
{
	return row->fate == ROW_ANCHORS && row->format >= FORMAT_WITH_SENDS && children == 1 &&
		!IsRecentCheckpoint(image->names->texts[row->id]);
}

/*
 * Whether a row reads more of its parent than delta channels: in an old format
 * what it was to send; and one that an update or a fork made says by it what its
 * subgraphs load.
 */
static bool
ReadsParent(const ThreadImage *image, const ImageRow *row)
{
	return row->format < FORMAT_WITH_SENDS ||
		(row->is_fork && image->names->texts[image->spaces[row->space].name][0] == '\0');
}

/*
 * Find the rows that can be folded: that nobody reads more of than delta
 * channels, unless who does is folded as well.
 */
static bool *
FindFoldable(const ThreadImage *image, HTAB *deltas)
{
	int		   *children = palloc0(Max(image->nrows, 1) * sizeof(int));
	bool	   *foldable = palloc0(Max(image->nrows, 1) * sizeof(bool));
	bool	   *is_read = palloc0(Max(image->nrows, 1) * sizeof(bool));

	for (int i = 0; i < image->nrows; i++)
	{
		int			parent = image->rows[i].parent_row;

		if (image->rows[i].fate == ROW_GOES || parent == NO_ROW)
			continue;
		children[parent]++;
		/* Children are newer; where they are not, nothing is folded. */
		is_read[parent] |= parent > i;
	}
	for (int i = image->nrows - 1; i >= 0; i--)
	{
		const ImageRow *row = &image->rows[i];
		int			parent = row->parent_row;

		CHECK_FOR_INTERRUPTS();
		if (parent == NO_ROW || row->fate == ROW_GOES)
			continue;
		foldable[i] = parent < i && !is_read[i] &&
			CanTakePart(image, row, children[i]) &&
			CanTakePart(image, &image->rows[parent], children[parent]) &&
			!HoldsAny(image, deltas, row);
		is_read[parent] |= ReadsParent(image, row) && !foldable[i];
	}
	pfree(children);
	pfree(is_read);
	return foldable;
}

/*
 * Of the anchors, fold those that can be, the oldest first. limit: about how
 * many rows may be folded, 0: all. Returns whether there are more.
 */
bool
FoldAnchors(ThreadImage *image, HTAB *deltas, int64 limit)
{
	bool	   *foldable = FindFoldable(image, deltas);
	int64		taken = 0;
	bool		more = false;

	for (int i = 0; i < image->nrows; i++)
	{
		ImageRow   *row = &image->rows[i];
		ImageRow   *parent;
		ImageGroup *group;

		if (!foldable[i])
			continue;
		if (limit > 0 && taken >= limit && !ReadsParent(image, row))
		{
			more = true;
			break;
		}
		parent = &image->rows[row->parent_row];
		group = FindImageGroup(image, image->spaces[row->space].name, row->id);
		taken += 1 + (group == NULL ? 0 : group->count);
		row->fate = ROW_FOLDS;
		row->target = parent->fate == ROW_FOLDS ? parent->target : row->parent_row;
		image->rows[row->target].is_target = true;
	}
	pfree(foldable);
	return more;
}

/*
 * Whether a write moves: one to a delta channel, of a row that folds, or of
 * the one that gets its writes.
 */
bool
IsMoved(const ThreadImage *image, HTAB *deltas, const ImageGroup *group, const ImageWrite *write)
{
	int			number = FindImageRow(image, group->ns, group->id);
	const ImageRow *row = number == NO_ROW ? NULL : &image->rows[number];

	return row != NULL && (row->fate == ROW_FOLDS || row->is_target) &&
		IsDelta(deltas, image->spaces[row->space].family, write->channel);
}

/*
 * A task id with its place in the order in front, instead of as many bytes, or a
 * few more where a character would be cut in two.
 */
static int
RankedTask(const ThreadImage *image, int task, int rank)
{
	const char *text = image->names->texts[task];
	int			skipped = 0;
	char	   *ranked;
	int			name;

	while (skipped < RANK_DIGITS && text[skipped] != '\0')
		skipped += pg_mblen(text +skipped);
	ranked = psprintf("%0*d%s", RANK_DIGITS, rank, text +skipped);
	name = NameOf(image->names, ranked, strlen(ranked));
	pfree(ranked);
	return name;
}

/*
 * The highest place that the task ids of a target have in front.
 */
static int
HighestRank(const ThreadImage *image, const ImageGroup *group)
{
	int			highest = 0;

	for (int i = 0; group != NULL && i < group->count; i++)
	{
		const char *task = image->names->texts[image->writes[group->first + i].task];

		if (strspn(task, "0123456789") >= RANK_DIGITS)
			highest = Max(highest, atoi(pnstrdup(task, RANK_DIGITS)));
	}
	return highest;
}

/*
 * Add the moves of a target and all that folds onto it, in order, counting from
 * a rank on. Returns false when one would get the key of another one of the
 * target's.
 */
static bool
AddMoves(const ThreadImage *image, HTAB *deltas, const int *chain, int length, int rank,
		 ImageMove *moves, int *count)
{
	const ImageRow *target = &image->rows[chain[0]];
	int			ns = image->spaces[target->space].name;
	ImageGroup *own = FindImageGroup(image, ns, target->id);
	int			highest = HighestRank(image, own);
	int			last = NO_NAME;

	for (int c = 0; c < length; c++)
	{
		const ImageRow *row = &image->rows[chain[c]];
		ImageGroup *group = FindImageGroup(image, ns, row->id);

		last = NO_NAME;
		for (int i = 0; group != NULL && i < group->count; i++)
		{
			const ImageWrite *write = &image->writes[group->first + i];
			ImageMove  *move = &moves[*count];

			CHECK_FOR_INTERRUPTS();
			if (!IsMoved(image, deltas, group, write))
				continue;
			if (write->task != last && ++rank > MAX_RANK)
				ereport(ERROR,
						(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						 errmsg("more than %d tasks wrote to the checkpoints that would be folded", MAX_RANK)));
			last = write->task;
			move->ns = ns;
			move->id = row->id;
			move->task = write->task;
			move->place = write->place;
			move->target_id = target->id;
			move->target_task = RankedTask(image, write->task, rank);
			if (c == 0 && move->target_task == move->task)
				continue;
			for (int w = 0; rank <= highest && w < own->count; w++)
			{
				if (image->writes[own->first + w].task == move->target_task)
					return false;
			}
			(*count)++;
		}
	}
	return true;
}

/*
 * The writes that get another place, and what place that is.
 */
ImageMove *
PlanMoves(const ThreadImage *image, HTAB *deltas, int *count)
{
	ImageMove  *moves = palloc(Max(image->nwrites, 1) * sizeof(ImageMove));
	int		   *chain = palloc(Max(image->nrows, 1) * sizeof(int));
	int		   *next = palloc(Max(image->nrows, 1) * sizeof(int));

	*count = 0;
	for (int i = 0; i < image->nrows; i++)
		next[i] = NO_ROW;
	for (int i = 0; i < image->nrows; i++)
	{
		if (image->rows[i].fate == ROW_FOLDS)
			next[image->rows[i].parent_row] = i;
	}
	for (int i = 0; i < image->nrows; i++)
	{
		const ImageRow *row = &image->rows[i];
		int			first = *count;
		int			length = 0;

		if (!row->is_target)
			continue;
		for (int at = i; at != NO_ROW; at = next[at])
			chain[length++] = at;
		if (!AddMoves(image, deltas, chain, length, 0, moves, count))
		{
			*count = first;
			(void) AddMoves(image, deltas, chain, length,
							HighestRank(image, FindImageGroup(image, image->spaces[row->space].name, row->id)),
							moves, count);
		}
	}
	pfree(chain);
	pfree(next);
	return moves;
}
