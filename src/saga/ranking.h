/*-------------------------------------------------------------------------
 *
 * ranking.h
 *	  A query that is kept between the calls for each row.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_RANKING_H
#define AMELIA_RANKING_H

#include "base/amelia.h"

#include "saga/match.h"

extern Matcher *KeptMatcher(FunctionCallInfo fcinfo);

#endif							/* AMELIA_RANKING_H */
