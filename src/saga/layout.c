/*-------------------------------------------------------------------------
 *
 * layout.c
 *	  Where the words of each column stand in a tsvector.
 *
 *-------------------------------------------------------------------------
 */
#include "saga/layout.h"

const ColumnLayout column_layouts[SEARCHED_COLUMNS] = {
	[COLUMN_TEXT] = {.before = 0,.places = 14336,.most = 191,.weight = 0},
	[COLUMN_TAGS] = {.before = 14336,.places = 1024,.most = 32,.weight = 1},
	[COLUMN_FILENAME] = {.before = 15360,.places = 1023,.most = 32,.weight = 3}
};

/*
 * The column whose stretch a position lies in.
 */
SearchedColumn
ColumnOfPosition(int position)
{
	SearchedColumn column = SEARCHED_COLUMNS - 1;

	while (column > 0 && position <= column_layouts[column].before)
		column--;
	return column;
}
