/*-------------------------------------------------------------------------
 *
 * candidates.c
 *	  fts5_query(): a tsquery that every row matches which a query in the
 *	  language of FTS5 matches.
 *
 *	  It asks for words only. Where they stand, a tsvector may not know
 *	  (layout.h), and a tsquery that asked for it would miss rows. What is
 *	  left to be looked at is exact's to say.
 *
 *-------------------------------------------------------------------------
 */
#include "saga/candidates.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "tsearch/ts_utils.h"
#include "utils/builtins.h"
#include "utils/pg_crc.h"

#include "base/check.h"

PG_FUNCTION_INFO_V1(amelia_saga_fts5_query);

/*
 * Two parts that are joined, in the order of a tsquery: the operator before
 * its operands, the right one first. Either may be missing.
 */
static List *
Joined(int8 operator, List *left, List *right)
{
	QueryItem  *item;

	if (left == NIL || right == NIL)
		return left != NIL ? left : right;
	item = palloc0(sizeof(QueryItem));
	item->qoperator.type = QI_OPR;
	item->qoperator.oper = operator;
	item->qoperator.left = list_length(right) + 1;
	return list_concat(list_concat(list_make1(item), right), left);
}

/*
 * The operand for a term of the query. Its lexeme is added to the others.
 */
static List *
Operand(const QueryTerm *term, StringInfo lexemes)
{
	QueryItem  *item = palloc0(sizeof(QueryItem));
	pg_crc32	crc;

	INIT_LEGACY_CRC32(crc);
	COMP_LEGACY_CRC32(crc, term->text, term->indexed_len);
	FIN_LEGACY_CRC32(crc);
	item->qoperand.type = QI_VAL;
	item->qoperand.prefix = term->is_prefix;
	item->qoperand.valcrc = (int32) crc;
	item->qoperand.length = term->indexed_len;
	item->qoperand.distance = lexemes->len;
	appendBinaryStringInfo(lexemes, term->text, term->indexed_len);
	appendStringInfoChar(lexemes, '\0');
	return list_make1(item);
}

/*
 * What a matching row must have of a node's words; NIL when no row matches.
 */
static List *
NodeItems(const QueryNode *node, ColumnSet all, StringInfo lexemes)
{
	List	   *items = NIL;
	ListCell   *cell;

	check_stack_depth();
	switch (node->kind)
	{
		case NODE_NOTHING:
			return NIL;
		case NODE_NEAR:
			if (node->columns == 0)
				return NIL;
			foreach(cell, node->phrases)
			{
				ListCell   *word;

				foreach(word, ((QueryPhrase *) lfirst(cell))->terms)
					items = Joined(OP_AND, items, Operand(lfirst(word), lexemes));
			}
			return items;
		case NODE_AND:
		case NODE_OR:
			foreach(cell, node->children)
			{
				List	   *child = NodeItems(lfirst(cell), all, lexemes);

				if (child == NIL && node->kind == NODE_AND)
					return NIL;
				items = Joined(node->kind == NODE_AND ? OP_AND : OP_OR, items, child);
			}
			return items;
		case NODE_NOT:
			items = NodeItems(linitial(node->children), all, lexemes);
			if (items != NIL && NodeIsExact(lsecond(node->children), all))
			{
				List	   *without = NodeItems(lsecond(node->children), all, lexemes);

				if (without != NIL)
				{
					QueryItem  *item = palloc0(sizeof(QueryItem));

					item->qoperator.type = QI_OPR;
					item->qoperator.oper = OP_NOT;
					item->qoperator.left = 1;
					items = Joined(OP_AND, items, lcons(item, without));
				}
			}
			return items;
	}
	return NIL;
}

/*
 * The tsquery that every row matches which the query finds.
 */
TSQuery
CandidatesOf(const SearchQuery *search, const QueryColumns *columns)
{
	StringInfoData lexemes;
	List	   *items;
	TSQuery		query;
	ListCell   *cell;
	int			size;

	initStringInfo(&lexemes);
	items = NodeItems(search->root, columns->all, &lexemes);
	/* What was left out again may have left lexemes behind. */
	if (items == NIL)
		lexemes.len = 0;
	size = COMPUTESIZE(list_length(items), lexemes.len);
	query = palloc0(size);
	SET_VARSIZE(query, size);
	query->size = list_length(items);
	foreach(cell, items)
		GETQUERY(query)[foreach_current_index(cell)] = *(QueryItem *) lfirst(cell);
	memcpy(GETOPERAND(query), lexemes.data, lexemes.len);
	return query;
}

/*
 * fts5_query(query text, columns text[], mode text,
 * OUT candidates tsquery, OUT exact boolean) returns record
 */
Datum
amelia_saga_fts5_query(PG_FUNCTION_ARGS)
{
	static const char *const arguments[] = {"query", "columns", "mode"};
	QueryColumns columns;
	SearchQuery *query;
	TupleDesc	tupdesc;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	for (int i = 0; i < (int) lengthof(arguments); i++)
	{
		if (PG_ARGISNULL(i))
			RefuseMissing(arguments[i]);
	}
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "fts5_query() must return a row");
	CheckChoice("search_mode", text_to_cstring(PG_GETARG_TEXT_PP(2)));
	TakeQueryColumns(PG_GETARG_ARRAYTYPE_P(1), &columns);
	query = ParseQuery(text_to_cstring(PG_GETARG_TEXT_PP(0)), &columns,
					   strcmp(text_to_cstring(PG_GETARG_TEXT_PP(2)), "english") == 0);
	values[0] = TSQueryGetDatum(CandidatesOf(query, &columns));
	values[1] = BoolGetDatum(NodeIsExact(query->root, columns.all));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}
