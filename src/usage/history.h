/*-------------------------------------------------------------------------
 *
 * history.h
 *	  What is kept of workflows that are gone.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_HISTORY_H
#define AMELIA_HISTORY_H

#include "base/amelia.h"

#include "utils/uuid.h"

extern bool UsageWasKept(const pg_uuid_t *workflow);

#endif							/* AMELIA_HISTORY_H */
