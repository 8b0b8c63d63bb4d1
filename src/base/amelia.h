/*-------------------------------------------------------------------------
 *
 * amelia.h
 *	  What every file of the server library needs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_H
#define AMELIA_H

#include "postgres.h"

#include "fmgr.h"

#include "base/compat.h"

#define AMELIA_VERSION "1.0"
#define AMELIA_SCHEMA "amelia"

/* where what nobody calls by hand stands, members of the extensions all of it */
#define AMELIA_INTERNAL_SCHEMA "amelia_internal"

#endif							/* AMELIA_H */
