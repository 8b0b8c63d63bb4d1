/*-------------------------------------------------------------------------
 *
 * anchor_marks.c
 *	  Anchors that nobody may go on from.
 *
 *	  An anchor stays because a delta channel of another checkpoint is made from
 *	  it. What it needs itself may go: of another delta channel the ancestors,
 *	  or what a subgraph would load for it. Who goes on from it would then begin with
 *	  a state that never was, and without an error. So such an anchor gets a
 *	  mark in its metadata, and the fence refuses (55000) what would follow it.
 *	  One that others were folded to has writes that are not its own, and is
 *	  marked as well.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/anchor_marks.h"

#include "miscadmin.h"

#include "retention/delta_channels.h"
#include "retention/thread_image.h"

/* What is known of the way from a row to a stored value. */
typedef enum WayBack
{
	WAY_UNKNOWN, WAY_WHOLE, WAY_BROKEN
} WayBack;

/*
 * Whether the way of a channel goes on from a row, up to a stored value or the
 * first checkpoint. What is found is noted for all rows on it.
 */
static WayBack
FollowWay(const ThreadImage *image, int row, int channel, WayBack *ways)
{
	WayBack		found = WAY_WHOLE;
	int			steps = 0;
	int			at;

	for (at = row; at != NO_ROW && steps++ <= image->nrows; at = image->rows[at].parent_row)
	{
		CHECK_FOR_INTERRUPTS();
		if (ways[at] != WAY_UNKNOWN)
		{
			found = ways[at];
			break;
		}
		if (image->rows[at].fate == ROW_GOES)
		{
			found = WAY_BROKEN;
			break;
		}
		if (HoldsValue(image, &image->rows[at], channel))
			break;
	}
	for (int again = row; again != at && again != NO_ROW && ways[again] == WAY_UNKNOWN;
		 again = image->rows[again].parent_row)
		ways[again] = found;
	if (at != NO_ROW)
		ways[at] = found;
	return found;
}

/* Mark those of which a delta channel could not be made any more. */
static void
MarkBroken(ThreadImage *image, int family, int channel)
{
	WayBack    *ways = palloc0(Max(image->nrows, 1) * sizeof(WayBack));

	for (int i = 0; i < image->nrows; i++)
	{
		ImageRow   *row = &image->rows[i];

		if (row->fate != ROW_ANCHORS || image->spaces[row->space].family != family ||
			row->parent_row == NO_ROW || !IsMadeFromAncestors(image, row, channel))
			continue;
		row->to_mark |= FollowWay(image, row->parent_row, channel, ways) == WAY_BROKEN;
	}
	pfree(ways);
}

/* Whether what a subgraph would load for a root is not there any more, or marked. */
static bool
LacksPartner(const ThreadImage *image, const ImageRow *row)
{
	for (int i = 0; i < image->nspaces; i++)
	{
		int			partner;

		if (i == row->space || image->spaces[i].is_task)
			continue;
		partner = PartnerOf(image, i, row->is_fork && row->parent != NO_NAME ? row->parent : row->id);
		if (partner != NO_ROW && (DIES(image->rows[partner].fate) ||
								  image->rows[partner].to_mark || image->rows[partner].is_marked))
			return true;
	}
	return false;
}

/*
 * Find the anchors that are to be marked, once it is known what goes.
 */
void
MarkAnchors(ThreadImage *image, HTAB *deltas)
{
	int			root = FindSpace(image, NameOf(image->names, "", 0));
	HASH_SEQ_STATUS status;
	DeltaKey   *delta;

	for (int i = 0; i < image->nrows; i++)
		image->rows[i].to_mark = image->rows[i].is_target;
	hash_seq_init(&status, deltas);
	while ((delta = hash_seq_search(&status)) != NULL)
		MarkBroken(image, delta->family, delta->channel);
	for (int i = 0; root != NO_ROW && i < image->spaces[root].count; i++)
	{
		ImageRow   *row = &image->rows[image->spaces[root].first + i];

		CHECK_FOR_INTERRUPTS();
		if (row->fate == ROW_ANCHORS && !row->to_mark)
			row->to_mark = LacksPartner(image, row);
	}
	for (int i = 0; i < image->nrows; i++)
		image->rows[i].to_mark &= !image->rows[i].is_marked;
}
