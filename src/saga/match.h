/*-------------------------------------------------------------------------
 *
 * match.h
 *	  Whether a row matches a query, and where.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_MATCH_H
#define AMELIA_MATCH_H

#include "base/amelia.h"

#include "tsearch/ts_type.h"

#include "saga/query.h"

/* Where a word stands: its column, then its place in it. */
#define PLACE(column, place) (((int64) (column) << 32) | (place))
#define PLACE_COLUMN(at) ((SearchedColumn) ((at) >> 32))
#define PLACE_IN_COLUMN(at) ((int) ((at) & 0x7fffffff))

typedef struct PlaceList
{
	int64	   *places;			/* in order, each once */
	int			count;
	int			capacity;
	MemoryContext context;		/* where it grows */
} PlaceList;

/* A query that rows are matched with one after the other. */
typedef struct Matcher
{
	const SearchQuery *query;
	List	   *terms;			/* of QueryTerm, of all phrases in order */
	List	   *phrases;		/* of QueryPhrase */
	PlaceList  *term_places;	/* of the row that is looked at */
	PlaceList  *phrase_places;
	int			words[SEARCHED_COLUMNS];	/* in the texts that were split
											 * last */
	bool		wants_places;	/* where words stand matters */
	bool		wants_texts;	/* a word is longer than a lexeme */
} Matcher;

extern Matcher *MakeMatcher(const SearchQuery *query);
extern bool MatchVector(Matcher *matcher, TSVector vector, bool *is_sure);
extern bool MatchTexts(Matcher *matcher, const RowTexts *texts);
extern bool IsMeant(const QueryTerm *term, const IndexedWord *word);

#endif							/* AMELIA_MATCH_H */
