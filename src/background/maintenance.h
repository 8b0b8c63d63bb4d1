/*-------------------------------------------------------------------------
 *
 * maintenance.h
 *	  The maintenance worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_MAINTENANCE_H
#define AMELIA_MAINTENANCE_H

#include "base/amelia.h"

extern void UseOwnSettings(void);

#endif							/* AMELIA_MAINTENANCE_H */
