/*-------------------------------------------------------------------------
 *
 * claim.h
 *	  The search for what is claimed next.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_CLAIM_H
#define AMELIA_CLAIM_H

#include "base/amelia.h"

#include "executor/tuptable.h"

#include "queue/candidate.h"

extern void BeginSearch(ClaimSearch *search);
extern bool FindCandidate(ClaimSearch *search, Candidate *candidate);
extern void EndSearch(ClaimSearch *search);

#endif							/* AMELIA_CLAIM_H */
