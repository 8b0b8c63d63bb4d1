/*-------------------------------------------------------------------------
 *
 * layout.h
 *	  Where the words of each column stand in a tsvector.
 *
 *	  A tsvector has one row of positions, up to 16383, and 255 of a lexeme.
 *	  FTS5 counts the words of each column. So each column has a stretch of
 *	  the positions of its own, and a share of the 255. The last position of
 *	  a stretch stands for itself and all that come after it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_LAYOUT_H
#define AMELIA_LAYOUT_H

#include "base/amelia.h"

#include "tsearch/ts_type.h"

#include "saga/texts.h"

typedef struct ColumnLayout
{
	int			before;			/* the position before its first one */
	int			places;			/* how many positions it has */
	int			most;			/* positions of one lexeme */
	int			weight;			/* as setweight() has it: 0 is D */
} ColumnLayout;

extern const ColumnLayout column_layouts[SEARCHED_COLUMNS];

extern SearchedColumn ColumnOfPosition(int position);

#endif							/* AMELIA_LAYOUT_H */
