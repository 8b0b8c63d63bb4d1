/*-------------------------------------------------------------------------
 *
 * candidates.h
 *	  The rows that a query may find.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_CANDIDATES_H
#define AMELIA_CANDIDATES_H

#include "base/amelia.h"

#include "tsearch/ts_type.h"

#include "saga/query.h"

extern TSQuery CandidatesOf(const SearchQuery *search, const QueryColumns *columns);

#endif							/* AMELIA_CANDIDATES_H */
