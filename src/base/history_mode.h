/*-------------------------------------------------------------------------
 *
 * history_mode.h
 *	  Sessions that write what happened before.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_HISTORY_MODE_H
#define AMELIA_HISTORY_MODE_H

#include "base/amelia.h"

#include "commands/trigger.h"

extern bool IsHistoryOf(Oid owner);
extern bool IsHistory(const TriggerData *data);
extern void InitHistoryMode(void);

#endif							/* AMELIA_HISTORY_MODE_H */
