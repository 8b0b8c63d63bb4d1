/*-------------------------------------------------------------------------
 *
 * query.h
 *	  A query in the language of FTS5, taken apart.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_QUERY_H
#define AMELIA_QUERY_H

#include "base/amelia.h"

#include "nodes/pg_list.h"
#include "utils/array.h"

#include "saga/texts.h"

/* Columns as bits, 1 << SearchedColumn. */
typedef uint8 ColumnSet;

#define COLUMN_BIT(column) ((ColumnSet) (1 << (column)))

typedef struct QueryTerm
{
	const char *text;
	int			len;
	int			indexed_len;	/* how much of it the index has */
	bool		is_prefix;
	bool		is_cut;
} QueryTerm;

/* Words one after the other; none, if the string held no word. */
typedef struct QueryPhrase
{
	List	   *terms;			/* of QueryTerm */
	bool		is_first;		/* must begin its column */
} QueryPhrase;

typedef enum QueryNodeKind
{
	NODE_NOTHING,				/* matches no row */
	NODE_NEAR,					/* one phrase, or several near one another */
	NODE_AND,
	NODE_OR,
	NODE_NOT
} QueryNodeKind;

typedef struct QueryNode
{
	QueryNodeKind kind;
	List	   *children;		/* of QueryNode; of NODE_NOT two */
	List	   *phrases;		/* of QueryPhrase; of NODE_NEAR */
	int64		distance;
	ColumnSet	columns;
} QueryNode;

/* What the columns that a query may name stand for. */
typedef struct QueryColumns
{
	const char *names[SEARCHED_COLUMNS];	/* NULL: is not there */
	ColumnSet	all;
} QueryColumns;

typedef struct SearchQuery
{
	QueryNode  *root;
	List	   *phrases;		/* those that count for the rank, in order */
	bool		stem;
} SearchQuery;

extern void TakeQueryColumns(ArrayType *names, QueryColumns *columns);
extern SearchQuery *ParseQuery(const char *text, const QueryColumns *columns, bool stem);
extern bool NodeIsExact(const QueryNode *node, ColumnSet all);

#endif							/* AMELIA_QUERY_H */
