/*-------------------------------------------------------------------------
 *
 * thread_state.c
 *	  What LangGraph would read of the checkpoints that are kept.
 *
 *	  The proof of pruning: it reads each kept checkpoint the way LangGraph does,
 *	  once from the thread as it was and once from what the tables hold
 *	  afterwards, and compares. It shares nothing with the plan but which
 *	  checkpoints are kept and which channels are delta channels.
 *
 *	  Of a checkpoint LangGraph reads its row, the blob of each channel's
 *	  version, the writes to it, in the old format what its parent was to send, of
 *	  delta channels the ancestors up to the nearest stored value with the
 *	  writes to them, and for a root what the subgraphs that last had then.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/thread_state.h"

#include "common/hashfn.h"
#include "miscadmin.h"

#include "retention/delta_channels.h"
#include "retention/thread_image.h"

/* The channel stands for all of them. */
#define ALL_CHANNELS (-2)

/*
 * The writes to a checkpoint, of one channel or all. Reading marks what is to
 * be hashed; only then the result tells something.
 */
static uint64
StateOfWrites(const ThreadImage *image, ImageGroup *group, int channel)
{
	uint64		state = 0;

	if (group == NULL)
		return state;
	group->is_read = true;
	for (int i = group->first; i < group->first + group->count; i++)
	{
		if (channel == ALL_CHANNELS || image->writes[i].channel == channel)
			state = hash_combine64(state, image->writes[i].hash);
	}
	return state;
}

/* The value that a row has of a channel beside it. */
static uint64
StateOfBlob(const ThreadImage *image, int ns, int channel, int version)
{
	ImageBlob  *blob = FindImageBlob(image, ns, channel, version);

	if (blob == NULL)
		return 1;
	blob->is_read = true;
	return hash_combine64(blob->hash, version);
}

/*
 * A delta channel: the nearest value that an ancestor stores, and in their
 * order the writes to that one and to all that follow. To which of these they
 * are does not matter.
 */
static uint64
StateOfDelta(const ThreadImage *image, const ImageRow *row, int channel)
{
	uint64		state = 2;
	int		   *path = palloc(Max(image->nrows, 1) * sizeof(int));
	int			steps = 0;

	for (int at = row->parent_row; at != NO_ROW; at = image->rows[at].parent_row)
	{
		const ImageRow *ancestor = &image->rows[at];

		CHECK_FOR_INTERRUPTS();
		if (steps == image->nrows)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("checkpoint \"%s\" is its own ancestor", image->names->texts[ancestor->id])));
		path[steps++] = at;
		if (HoldsValue(image, ancestor, channel))
		{
			state = hash_combine64(ancestor->checkpoint_hash,
								   StateOfBlob(image, image->spaces[ancestor->space].name, channel,
											   VersionOf(ancestor, channel)));
			break;
		}
	}
	while (steps-- > 0)
	{
		const ImageRow *ancestor = &image->rows[path[steps]];
		ImageGroup *group = FindImageGroup(image, image->spaces[ancestor->space].name, ancestor->id);

		for (int i = 0; group != NULL && i < group->count; i++)
		{
			const ImageWrite *write = &image->writes[group->first + i];

			if (write->channel != channel)
				continue;
			group->is_read = true;
			state = hash_combine64(state, write->value_hash);
		}
	}
	pfree(path);
	return state;
}

/* What a checkpoint of the old format reads of its parent, in whatever namespace. */
static uint64
StateOfSends(const ThreadImage *image, const ImageRow *row)
{
	uint64		state = 3;
	int			sends = NameOf(image->names, SENDS_CHANNEL, strlen(SENDS_CHANNEL));

	for (int i = 0; i < image->ngroups; i++)
	{
		uint64		sent = image->groups[i].id == row->parent ?
		StateOfWrites(image, &image->groups[i], sends) : 0;

		if (sent != 0)
			state = hash_combine64(state, sent);
	}
	return state;
}

/* What subgraphs that last would load for a root. */
static uint64
StateOfPartners(const ThreadImage *image, const ImageRow *row)
{
	uint64		state = 4;
	int			before = row->is_fork && row->parent != NO_NAME ? row->parent : row->id;

	for (int i = 0; i < image->nspaces; i++)
	{
		int			partner;

		if (image->spaces[i].is_task || i == row->space)
			continue;
		partner = PartnerOf(image, i, before);
		if (partner != NO_ROW)
			state = hash_combine64(hash_combine64(state, image->spaces[i].name), image->rows[partner].id);
	}
	return state;
}

/*
 * All that LangGraph reads of a checkpoint, as a hash.
 */
static uint64
StateOf(const ThreadImage *image, HTAB *deltas, const ImageRow *row)
{
	int			ns = image->spaces[row->space].name;
	uint64		state = row->hash;
	int		   *channels;
	int			count;

	for (int i = 0; i < row->nversions; i++)
	{
		int			channel = row->versions[i].channel;

		state = hash_combine64(state, StateOfBlob(image, ns, channel, row->versions[i].version));
	}
	channels = DeltasOf(image, deltas, row, &count);
	for (int i = 0; i < count; i++)
		state = hash_combine64(state, StateOfDelta(image, row, channels[i]));
	pfree(channels);
	state = hash_combine64(state, StateOfWrites(image, FindImageGroup(image, ns, row->id), ALL_CHANNELS));
	if (row->format < FORMAT_WITH_SENDS && row->parent != NO_NAME)
		state = hash_combine64(state, StateOfSends(image, row));
	if (image->names->texts[ns][0] == '\0')
		state = hash_combine64(state, StateOfPartners(image, row));
	return state;
}

/*
 * Read the bytes that the state of the kept checkpoints is made of.
 */
void
ReadStates(ThreadImage *image, HTAB *deltas, Snapshot snapshot)
{
	for (int i = 0; i < image->nrows; i++)
	{
		if (image->rows[i].fate == ROW_KEPT)
			(void) StateOf(image, deltas, &image->rows[i]);
	}
	ReadBytes(image, snapshot);
}

/*
 * Mark those checkpoints as kept that another image of the thread keeps.
 */
void
KeepTheSame(ThreadImage *image, const ThreadImage *other)
{
	for (int i = 0; i < other->nrows; i++)
	{
		int			place = other->rows[i].fate != ROW_KEPT ? NO_ROW :
		FindImageRow(image, other->spaces[other->rows[i].space].name, other->rows[i].id);

		if (place != NO_ROW)
			image->rows[place].fate = ROW_KEPT;
	}
}

/*
 * Compare the state of the checkpoints that are kept in one image with that in
 * another one, of which all bytes are read, too. Returns the id of one that
 * differs; NULL when none does.
 */
const char *
FindDifference(const ThreadImage *before, const ThreadImage *after, HTAB *deltas)
{
	for (int i = 0; i < before->nrows; i++)
	{
		const ImageRow *row = &before->rows[i];
		int			place;

		if (row->fate != ROW_KEPT)
			continue;
		place = FindImageRow(after, before->spaces[row->space].name, row->id);
		if (place == NO_ROW ||
			StateOf(before, deltas, row) != StateOf(after, deltas, &after->rows[place]))
			return before->names->texts[row->id];
	}
	return NULL;
}
