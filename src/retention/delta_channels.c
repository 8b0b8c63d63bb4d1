/*-------------------------------------------------------------------------
 *
 * delta_channels.c
 *	  Channels whose state is made from the writes to earlier checkpoints.
 *
 *	  A DeltaChannel of LangGraph stores a snapshot now and then. In between,
 *	  what a checkpoint holds of it is the nearest value that an ancestor
 *	  stored, and the writes to that ancestor and to all that follow. Nothing in a
 *	  checkpoint says which channels are such: it shows from any of the
 *	  counters, snapshots and marks that the same graph has left in the
 *	  thread. So they are collected over all runs of a graph, which are the
 *	  namespaces of a family.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/delta_channels.h"

#include "retention/thread_image.h"

/* The version that a row names of a channel; NO_NAME when it names none. */
int
VersionOf(const ImageRow *row, int channel)
{
	for (int i = 0; i < row->nversions; i++)
	{
		if (row->versions[i].channel == channel)
			return row->versions[i].version;
	}
	return NO_NAME;
}

/*
 * Whether a row stores a value of a channel itself, beside it as a blob or in
 * it.
 */
bool
HoldsValue(const ThreadImage *image, const ImageRow *row, int channel)
{
	int			version = VersionOf(row, channel);
	ImageBlob  *blob;

	for (int i = 0; i < row->nvalues; i++)
	{
		if (row->values[i].channel == channel && !row->values[i].is_null)
			return true;
	}
	if (version == NO_NAME)
		return false;
	blob = FindImageBlob(image, image->spaces[row->space].name, channel, version);
	return blob != NULL && !blob->is_empty;
}

static void
AddDelta(HTAB *deltas, int family, int channel)
{
	DeltaKey	key = {family, channel};

	(void) hash_search(deltas, &key, HASH_ENTER, NULL);
}

/* Whether a channel is a delta channel in the graphs of a family. */
bool
IsDelta(HTAB *deltas, int family, int channel)
{
	DeltaKey	key = {family, channel};

	return hash_search(deltas, &key, HASH_FIND, NULL) != NULL;
}

/*
 * The delta channels of a thread's graphs, in the current memory context.
 */
HTAB *
FindDeltaChannels(const ThreadImage *image)
{
	HASHCTL		control = {0};
	HTAB	   *deltas;

	control.keysize = sizeof(DeltaKey);
	control.entrysize = sizeof(DeltaKey);
	control.hcxt = CurrentMemoryContext;
	deltas = hash_create("amelia delta channels", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < image->nrows; i++)
	{
		const ImageRow *row = &image->rows[i];
		const ImageSpace *space = &image->spaces[row->space];

		for (int c = 0; c < row->ncounters; c++)
			AddDelta(deltas, space->family, row->counters[c]);
		/* Python puts a mark in the checkpoint beside the snapshot. */
		for (int v = 0; v < row->nvalues; v++)
		{
			int			channel = row->values[v].channel;
			int			version = row->values[v].is_true ? VersionOf(row, channel) : NO_NAME;

			if (version != NO_NAME && FindImageBlob(image, space->name, channel, version) != NULL)
				AddDelta(deltas, space->family, channel);
		}
	}
	for (int i = 0; i < image->nblobs; i++)
	{
		const ImageBlob *blob = &image->blobs[i];
		int			space = blob->is_snapshot ? FindSpace(image, blob->ns) : NO_ROW;

		if (space != NO_ROW)
			AddDelta(deltas, image->spaces[space].family, blob->channel);
	}
	return deltas;
}

/*
 * Whether there are writes of a channel to a row's checkpoint.
 */
bool
HasWrites(const ThreadImage *image, const ImageRow *row, int channel)
{
	ImageGroup *group = FindImageGroup(image, image->spaces[row->space].name, row->id);

	if (group == NULL)
		return false;
	for (int i = group->first; i < group->first + group->count; i++)
	{
		if (image->writes[i].channel == channel)
			return true;
	}
	return false;
}

/*
 * Whether what a row has of a delta channel of its graph is made from its
 * ancestors: it stores no value of it. One without a version has never been
 * written to, where the checkpoint says that this can be told.
 */
bool
IsMadeFromAncestors(const ThreadImage *image, const ImageRow *row, int channel)
{
	return !HoldsValue(image, row, channel) &&
		(!row->is_versioned || VersionOf(row, channel) != NO_NAME);
}

/*
 * The channels of which what a row has is made from its ancestors: the delta
 * channels of its graph that IsMadeFromAncestors() says.
 */
int *
DeltasOf(const ThreadImage *image, HTAB *deltas, const ImageRow *row, int *count)
{
	int		   *channels = palloc(Max(hash_get_num_entries(deltas), 1) * sizeof(int));
	HASH_SEQ_STATUS status;
	DeltaKey   *delta;

	*count = 0;
	hash_seq_init(&status, deltas);
	while ((delta = hash_seq_search(&status)) != NULL)
	{
		if (delta->family == image->spaces[row->space].family &&
			IsMadeFromAncestors(image, row, delta->channel))
			channels[(*count)++] = delta->channel;
	}
	return channels;
}
