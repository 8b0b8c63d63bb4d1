/*-------------------------------------------------------------------------
 *
 * launcher.h
 *	  The launcher.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_LAUNCHER_H
#define AMELIA_LAUNCHER_H

#include "base/amelia.h"

extern void TerminateQuietly(SIGNAL_ARGS);
extern void InitBackground(void);

#endif							/* AMELIA_LAUNCHER_H */
