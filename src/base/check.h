/*-------------------------------------------------------------------------
 *
 * check.h
 *	  Arguments that are refused.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_CHECK_H
#define AMELIA_CHECK_H

#include "base/amelia.h"

extern bool IsChoice(const char *name, const char *value);
extern void CheckChoice(const char *name, const char *value);
extern void CheckContainer(const char *argument, Datum value);
pg_noreturn extern void RefuseMissing(const char *argument);

#endif							/* AMELIA_CHECK_H */
