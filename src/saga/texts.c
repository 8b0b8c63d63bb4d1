/*-------------------------------------------------------------------------
 *
 * texts.c
 *	  What of a row is searched: its texts, by column.
 *
 *	  A tsvector holds 1 MB at most, so of a text so many characters are
 *	  indexed that all of them fit, whatever they are, and the rest is not.
 *	  A word takes four bytes a character at most, and for what goes with it
 *	  the character that ends it pays.
 *
 *-------------------------------------------------------------------------
 */
#include "saga/texts.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#define MAX_UTF8_BYTES 4
#define WORDS_BETWEEN_INTERRUPTS 1024

static const int indexed_characters[SEARCHED_COLUMNS] = {
	[COLUMN_TEXT] = 200000,
	[COLUMN_TAGS] = 10000,
	[COLUMN_FILENAME] = 10000
};

/*
 * Take content, tags and filename from a function's arguments.
 */
void
TakeRowTexts(FunctionCallInfo fcinfo, int first, RowTexts *texts)
{
	for (int i = 0; i < SEARCHED_COLUMNS; i++)
		texts->columns[i] = fcinfo->args[first + i];
}

/*
 * Fetch what is out of line or compressed, as far as it is indexed, for texts
 * that are read more than once.
 */
void
FetchRowTexts(RowTexts *texts)
{
	for (SearchedColumn column = 0; column < SEARCHED_COLUMNS; column++)
	{
		NullableDatum *given = &texts->columns[column];

		if (!given->isnull && column != COLUMN_TAGS)
			given->value = PointerGetDatum(DatumGetTextPSlice(given->value, 0,
															  indexed_characters[column] * MAX_UTF8_BYTES + 1));
	}
}

/*
 * The tags of a row with a blank between them. What is no string is no tag:
 * the table's CHECK refuses it.
 */
static text *
JoinTags(Jsonb *tags)
{
	StringInfoData joined;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;

	initStringInfo(&joined);
	if (JB_ROOT_IS_ARRAY(tags))
	{
		iterator = JsonbIteratorInit(&tags->root);
		while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
		{
			if (token != WJB_ELEM || value.type != jbvString)
				continue;
			if (joined.len > 0)
				appendStringInfoChar(&joined, ' ');
			appendBinaryStringInfo(&joined, value.val.string.val, value.val.string.len);
		}
	}
	return cstring_to_text_with_len(joined.data, joined.len);
}

/*
 * The text of a column, as far as it is indexed; NULL for none. It is not
 * ended by a zero byte.
 */
const char *
ColumnText(const RowTexts *texts, SearchedColumn column, int *len, bool *is_cut)
{
	const NullableDatum *given = &texts->columns[column];
	int			characters = indexed_characters[column];
	text	   *value;
	int			bytes;

	*len = 0;
	*is_cut = false;
	if (given->isnull)
		return NULL;
	if (column == COLUMN_TAGS)
		value = JoinTags(DatumGetJsonbP(given->value));
	else
		value = DatumGetTextPSlice(given->value, 0, characters * MAX_UTF8_BYTES + 1);
	bytes = VARSIZE_ANY_EXHDR(value);
	*len = bytes <= characters ? bytes : pg_mbcharcliplen(VARDATA_ANY(value), bytes, characters);
	*is_cut = *len < bytes;
	return VARDATA_ANY(value);
}

/*
 * Call a visitor for each word of each column.
 */
void
VisitWords(const RowTexts *texts, bool stem, WordVisitor visit, void *arg)
{
	for (SearchedColumn column = 0; column < SEARCHED_COLUMNS; column++)
	{
		bool		is_cut;
		int			len;
		const char *value = ColumnText(texts, column, &len, &is_cut);
		Splitter	splitter;
		IndexedWord word;

		if (value == NULL)
			continue;
		StartSplitting(&splitter, value, len);
		for (int place = 0; NextWord(&splitter); place++)
		{
			if (place % WORDS_BETWEEN_INTERRUPTS == 0)
				CHECK_FOR_INTERRUPTS();
			IndexWord(&splitter, stem, &word);
			visit(column, place, &word, &splitter, arg);
		}
	}
}
