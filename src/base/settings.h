/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  What the operator sets in postgresql.conf, and nobody else.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_SETTINGS_H
#define AMELIA_SETTINGS_H

#include "base/amelia.h"

extern int	amelia_naptime;		/* seconds */
extern bool amelia_enabled;
extern int	amelia_batch_size;	/* rows */
extern void InitSettings(void);
extern bool IsMaintainedDatabase(const char *database);

#endif							/* AMELIA_SETTINGS_H */
