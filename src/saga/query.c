/*-------------------------------------------------------------------------
 *
 * query.c
 *	  A query in the language of FTS5, taken apart.
 *
 *	  From the loosest to the tightest: OR, AND, NOT, the AND that is not
 *	  written, a column's filter. A filter stands before a phrase or a group
 *	  in parentheses; groups and what stands beside them are joined by
 *	  written operators only. A filter within a filter narrows it.
 *
 *	  A string without a single word in it, as "...", matches no row, but
 *	  between others without an operator, or within NEAR and after +, it is
 *	  as if it were not there. FTS5 has it so.
 *
 *-------------------------------------------------------------------------
 */
#include "saga/query.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/check.h"
#include "saga/lexer.h"

#define DEFAULT_DISTANCE 10

/* Every part of the query is looked at for every row. */
#define MAX_QUERY_CHARACTERS 1000

typedef struct QueryParser
{
	QueryLexer	lexer;
	const QueryColumns *columns;
	bool		stem;
} QueryParser;

static QueryNode *ParseOr(QueryParser *parser);

static QueryNode *
MakeNode(QueryNodeKind kind, List *children)
{
	QueryNode  *node = palloc0(sizeof(QueryNode));

	node->kind = kind;
	node->children = children;
	return node;
}

/*
 * Add a node to the children of one that joins, taking in the children of
 * one that joins alike.
 */
static QueryNode *
Join(QueryNodeKind kind, QueryNode *left, QueryNode *right)
{
	List	   *children = left->kind == kind ? left->children : list_make1(left);

	return MakeNode(kind, right->kind == kind ? list_concat(children, right->children) : lappend(children, right));
}

/*
 * Join two without an operator between them.
 */
static QueryNode *
JoinUnwritten(QueryNode *left, QueryNode *right)
{
	if (right->kind == NODE_NOTHING)
		return left;
	if (left->kind == NODE_NOTHING)
		return right;
	return Join (NODE_AND, left, right);
}

/*
 * Put the words of a string behind those that a phrase has.
 */
static void
AddWords(QueryParser *parser, QueryPhrase *phrase)
{
	Splitter	splitter;
	IndexedWord word;
	char	   *text = TokenText(&parser->lexer);

	StartSplitting(&splitter, text, strlen(text));
	while (NextWord(&splitter))
	{
		QueryTerm  *term = palloc0(sizeof(QueryTerm));

		IndexWord(&splitter, parser->stem, &word);
		term->text = pnstrdup(word.text, word.len);
		term->len = word.len;
		term->indexed_len = word.indexed_len;
		term->is_cut = word.is_cut;
		phrase->terms = lappend(phrase->terms, term);
	}
	NextToken(&parser->lexer);
	/* The star says it of the last word so far, whatever string brought it. */
	if (phrase->terms != NIL)
		((QueryTerm *) llast(phrase->terms))->is_prefix = AtSign(&parser->lexer, '*');
	TakeSign(&parser->lexer, '*');
}

/*
 * string [*] { + string [*] }
 */
static QueryPhrase *
ParsePhrase(QueryParser *parser)
{
	QueryPhrase *phrase = palloc0(sizeof(QueryPhrase));

	do
	{
		if (parser->lexer.kind != TOKEN_STRING)
			RefuseToken(&parser->lexer, NULL, NULL);
		AddWords(parser, phrase);
	} while (TakeSign(&parser->lexer, '+'));
	return phrase;
}

/*
 * The number after the comma in NEAR(..., 5).
 */
static int64
ParseDistance(QueryParser *parser)
{
	QueryLexer *lexer = &parser->lexer;
	int64		distance = 0;

	if (lexer->kind != TOKEN_STRING)
		RefuseToken(lexer, NULL, NULL);
	for (int i = 0; i < lexer->len; i++)
	{
		if (lexer->start[i] < '0' || lexer->start[i] > '9')
			RefuseToken(lexer, psprintf("expected a whole number, not %s", pnstrdup(lexer->start, lexer->len)), NULL);
		distance = Min(distance * 10 + (lexer->start[i] - '0'), PG_INT32_MAX);
	}
	NextToken(lexer);
	return distance;
}

/*
 * NEAR( phrase ... [, distance] ), of which the word was read already
 */
static QueryNode *
ParseNear(QueryParser *parser, const QueryLexer *word)
{
	QueryNode  *node = MakeNode(NODE_NEAR, NIL);

	if (word->len != 4 || memcmp(word->start, "NEAR", 4) != 0)
		RefuseToken(word, NULL, "Before a parenthesis stands NEAR, AND, OR, NOT or a column's name with a colon.");
	NextToken(&parser->lexer);
	do
	{
		QueryPhrase *phrase = ParsePhrase(parser);
		QueryPhrase *last = node->phrases == NIL ? NULL : llast(node->phrases);

		/* One without words only stays if there is no other. */
		if (last != NULL && last->terms == NIL)
			node->phrases = list_delete_last(node->phrases);
		else if (last != NULL && phrase->terms == NIL)
			continue;
		node->phrases = lappend(node->phrases, phrase);
	} while (!AtSign(&parser->lexer, ',') && !AtSign(&parser->lexer, ')'));
	node->distance = DEFAULT_DISTANCE;
	if (TakeSign(&parser->lexer, ','))
		node->distance = ParseDistance(parser);
	if (!TakeSign(&parser->lexer, ')'))
		RefuseToken(&parser->lexer, NULL, NULL);
	return node;
}

/*
 * phrase | ^ phrase | NEAR(...)
 */
static QueryNode *
ParseNearSet(QueryParser *parser)
{
	bool		is_first = TakeSign(&parser->lexer, '^');
	QueryLexer	word = parser->lexer;
	QueryLexer	after = parser->lexer;
	QueryNode  *node;

	if (word.kind != TOKEN_STRING)
		RefuseToken(&word, NULL, NULL);
	NextToken(&after);
	if (AtSign(&after, '('))
	{
		if (is_first)
			RefuseToken(&after, NULL, NULL);
		parser->lexer = after;
		node = ParseNear(parser, &word);
	}
	else
	{
		QueryPhrase *phrase = ParsePhrase(parser);

		phrase->is_first = is_first;
		node = MakeNode(NODE_NEAR, NIL);
		node->phrases = list_make1(phrase);
	}
	node->columns = parser->columns->all;
	if (((QueryPhrase *) linitial(node->phrases))->terms == NIL)
		node->kind = NODE_NOTHING;
	return node;
}

/*
 * The column that the token names.
 */
static ColumnSet
ParseColumn(QueryParser *parser)
{
	char	   *name;
	StringInfoData known;

	if (parser->lexer.kind != TOKEN_STRING)
		RefuseToken(&parser->lexer, NULL, NULL);
	name = TokenText(&parser->lexer);
	initStringInfo(&known);
	for (int i = 0; i < SEARCHED_COLUMNS; i++)
	{
		const char *column = parser->columns->names[i];

		if (column == NULL)
			continue;
		if (pg_strcasecmp(column, name) == 0)
		{
			NextToken(&parser->lexer);
			return COLUMN_BIT(i);
		}
		appendStringInfo(&known, "%s%s", known.len > 0 ? ", " : "", column);
	}
	RefuseToken(&parser->lexer, psprintf("no such column: %s", name),
				psprintf("Columns that can be searched: %s.", known.data));
}

/*
 * [-] column : | [-] { column ... } :
 */
static ColumnSet
ParseFilter(QueryParser *parser)
{
	bool		is_inverted = TakeSign(&parser->lexer, '-');
	ColumnSet	columns = 0;

	if (TakeSign(&parser->lexer, '{'))
	{
		do
			columns |= ParseColumn(parser);
		while (!TakeSign(&parser->lexer, '}'));
	}
	else
		columns = ParseColumn(parser);
	if (!TakeSign(&parser->lexer, ':'))
		RefuseToken(&parser->lexer, NULL, "A column's name is followed by a colon.");
	return is_inverted ? parser->columns->all & ~columns : columns;
}

/*
 * Whether a filter begins here.
 */
static bool
AtFilter(const QueryParser *parser)
{
	QueryLexer	after = parser->lexer;

	if (AtSign(&after, '-') || AtSign(&after, '{'))
		return true;
	if (after.kind != TOKEN_STRING)
		return false;
	NextToken(&after);
	return AtSign(&after, ':');
}

/*
 * Narrow a node to some columns.
 */
static void
NarrowNode(QueryNode *node, ColumnSet columns)
{
	ListCell   *cell;

	check_stack_depth();
	node->columns &= columns;
	foreach(cell, node->children)
		NarrowNode(lfirst(cell), columns);
}

/*
 * ( query ), of which the parenthesis is the token
 */
static QueryNode *
ParseGroup(QueryParser *parser)
{
	QueryNode  *node;

	check_stack_depth();
	NextToken(&parser->lexer);
	node = ParseOr(parser);
	if (!TakeSign(&parser->lexer, ')'))
		RefuseToken(&parser->lexer, NULL, NULL);
	return node;
}

/*
 * A group with or without a filter, or what stands side by side without an
 * operator.
 */
static QueryNode *
ParseBeside(QueryParser *parser)
{
	QueryNode  *joined = NULL;

	if (AtSign(&parser->lexer, '('))
		return ParseGroup(parser);
	while (joined == NULL || parser->lexer.kind == TOKEN_STRING ||
		   AtSign(&parser->lexer, '-') || AtSign(&parser->lexer, '{') || AtSign(&parser->lexer, '^'))
	{
		QueryNode  *node;

		if (AtFilter(parser))
		{
			ColumnSet	columns = ParseFilter(parser);

			if (AtSign(&parser->lexer, '(') && joined == NULL)
			{
				node = ParseGroup(parser);
				NarrowNode(node, columns);
				return node;
			}
			node = ParseNearSet(parser);
			NarrowNode(node, columns);
		}
		else
			node = ParseNearSet(parser);
		joined = joined == NULL ? node : JoinUnwritten(joined, node);
	}
	return joined;
}

static QueryNode *
ParseNot(QueryParser *parser)
{
	QueryNode  *node = ParseBeside(parser);

	while (parser->lexer.kind == TOKEN_NOT)
	{
		NextToken(&parser->lexer);
		node = MakeNode(NODE_NOT, list_make2(node, ParseBeside(parser)));
	}
	return node;
}

static QueryNode *
ParseAnd(QueryParser *parser)
{
	QueryNode  *node = ParseNot(parser);

	while (parser->lexer.kind == TOKEN_AND)
	{
		NextToken(&parser->lexer);
		node = Join (NODE_AND, node, ParseNot(parser));
	}
	return node;
}

static QueryNode *
ParseOr(QueryParser *parser)
{
	QueryNode  *node = ParseAnd(parser);

	while (parser->lexer.kind == TOKEN_OR)
	{
		NextToken(&parser->lexer);
		node = Join (NODE_OR, node, ParseAnd(parser));
	}
	return node;
}

/*
 * Collect the phrases of the nodes that can match.
 */
static List *
CollectPhrases(const QueryNode *node, List *phrases)
{
	ListCell   *cell;

	check_stack_depth();
	if (node->kind == NODE_NEAR)
		phrases = list_concat(phrases, node->phrases);
	foreach(cell, node->children)
		phrases = CollectPhrases(lfirst(cell), phrases);
	return phrases;
}

/*
 * Whether a node matches just the rows that have its words in any column,
 * joined as it says.
 */
bool
NodeIsExact(const QueryNode *node, ColumnSet all)
{
	ListCell   *cell;

	check_stack_depth();
	if (node->kind == NODE_NEAR)
	{
		QueryPhrase *phrase = linitial(node->phrases);

		return list_length(node->phrases) == 1 && list_length(phrase->terms) == 1 &&
			!phrase->is_first && node->columns == all &&
			!((QueryTerm *) linitial(phrase->terms))->is_cut;
	}
	foreach(cell, node->children)
	{
		if (!NodeIsExact(lfirst(cell), all))
			return false;
	}
	return true;
}

/*
 * Take apart a query. Errors: 42601, 22023 for one that is too long.
 */
SearchQuery *
ParseQuery(const char *text, const QueryColumns *columns, bool stem)
{
	QueryParser parser = {.columns = columns,.stem = stem};
	SearchQuery *query = palloc0(sizeof(SearchQuery));
	int			characters = pg_mbstrlen(text);

	if (characters > MAX_QUERY_CHARACTERS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("query must have %d characters at most, not %d", MAX_QUERY_CHARACTERS, characters)));
	StartQuery(&parser.lexer, text);
	query->root = ParseOr(&parser);
	if (parser.lexer.kind != TOKEN_END)
		RefuseToken(&parser.lexer, NULL, NULL);
	query->phrases = CollectPhrases(query->root, NIL);
	query->stem = stem;
	return query;
}

/*
 * The columns that a query may name. Errors: 22023.
 */
void
TakeQueryColumns(ArrayType *names, QueryColumns *columns)
{
	Datum	   *values;
	bool	   *nulls;
	int			count;

	memset(columns, 0, sizeof(QueryColumns));
	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *name;
		SearchedColumn column;

		if (nulls[i])
			RefuseMissing("a column");
		name = TextDatumGetCString(values[i]);
		if (strcmp(name, "tags") == 0)
			column = COLUMN_TAGS;
		else if (strcmp(name, "filename") == 0)
			column = COLUMN_FILENAME;
		else if (strcmp(name, "content") == 0 || strcmp(name, "extracted_text") == 0)
			column = COLUMN_TEXT;
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("no column \"%s\" can be searched", name),
					 errhint("Allowed: content, extracted_text, tags, filename.")));
		columns->names[column] = name;
		columns->all |= COLUMN_BIT(column);
	}
	if (columns->all == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("columns must not be empty")));
}
