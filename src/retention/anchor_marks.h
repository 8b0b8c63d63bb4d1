/*-------------------------------------------------------------------------
 *
 * anchor_marks.h
 *	  Anchors that nobody may go on from.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_ANCHOR_MARKS_H
#define AMELIA_ANCHOR_MARKS_H

#include "base/amelia.h"

#include "retention/thread_rows.h"

extern void MarkAnchors(ThreadImage *image, HTAB *deltas);

#endif							/* AMELIA_ANCHOR_MARKS_H */
