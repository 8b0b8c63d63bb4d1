/*-------------------------------------------------------------------------
 *
 * base.h
 *	  The one init of the room that all others stand on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_BASE_H
#define AMELIA_BASE_H

#include "base/amelia.h"

extern void InitBase(void);

#endif							/* AMELIA_BASE_H */
