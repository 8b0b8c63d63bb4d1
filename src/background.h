/*-------------------------------------------------------------------------
 *
 * background.h
 *	  What the background workers have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_BACKGROUND_H
#define AMELIA_BACKGROUND_H

#include "amelia.h"

/* extension.c */
extern bool TryLockDatabase(void);

/* maintenance.c */
extern void UseOwnSettings(void);

/* launcher.c */
extern void TerminateQuietly(SIGNAL_ARGS);

#endif							/* AMELIA_BACKGROUND_H */
