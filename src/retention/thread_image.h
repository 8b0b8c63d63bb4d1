/*-------------------------------------------------------------------------
 *
 * thread_image.h
 *	  What the tables hold of one LangGraph thread, in memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_THREAD_IMAGE_H
#define AMELIA_THREAD_IMAGE_H

#include "base/amelia.h"

#include "utils/snapshot.h"

#include "retention/thread_rows.h"

extern ThreadImage *ReadThreadImage(const CheckpointSource *source, const char *thread,
									NameTable *names, bool with_tasks, Snapshot snapshot);
extern void ReadBytes(ThreadImage *image, Snapshot snapshot);
extern int	FindImageRow(const ThreadImage *image, int ns, int id);
extern ImageBlob *FindImageBlob(const ThreadImage *image, int ns, int channel, int version);
extern ImageGroup *FindImageGroup(const ThreadImage *image, int ns, int id);
extern int	FindSpace(const ThreadImage *image, int name);
extern int	PartnerOf(const ThreadImage *image, int space, int before);
extern int	CompareIds(const ThreadImage *image, int a, int b);

#endif							/* AMELIA_THREAD_IMAGE_H */
