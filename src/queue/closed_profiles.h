/*-------------------------------------------------------------------------
 *
 * closed_profiles.h
 *	  Profiles of which a claim can take nothing more.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_CLOSED_PROFILES_H
#define AMELIA_CLOSED_PROFILES_H

#include "base/amelia.h"

#include "queue/candidate.h"

extern int32 ProfileLimit(const text *profile);
extern bool IsClosed(ClaimSearch *search, text *profile);
extern bool ProfileHasRoom(ClaimSearch *search, text *profile, int32 *limit);

#endif							/* AMELIA_CLOSED_PROFILES_H */
