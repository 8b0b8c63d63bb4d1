/*-------------------------------------------------------------------------
 *
 * vector.h
 *	  The tsvector of a row.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_VECTOR_H
#define AMELIA_VECTOR_H

#include "base/amelia.h"

#include "tsearch/ts_type.h"

extern int	CountWords(TSVector vector);

#endif							/* AMELIA_VECTOR_H */
