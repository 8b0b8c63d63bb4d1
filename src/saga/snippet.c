/*-------------------------------------------------------------------------
 *
 * snippet.c
 *	  The passage of a row that shows best why it was found.
 *
 *	  The column with the best passage of SNIPPET_WORDS words: the one with
 *	  most different phrases of the query, then with most of them, then the
 *	  first one. It begins a few words before the first phrase in it, more
 *	  where the text ends soon. What is found is put between two marks, and
 *	  where the text goes on stands an ellipsis.
 *
 *-------------------------------------------------------------------------
 */
#include "saga/ranking.h"

#include "miscadmin.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(amelia_saga_snippet);

#define SNIPPET_WORDS 32
#define WORDS_BEFORE 4
#define ELLIPSIS "\xe2\x80\xa6"

/* A place in a column where a phrase was found. */
typedef struct Found
{
	int			phrase;
	int			first;
	int			words;
} Found;

/* A passage: the places of its words from first on. */
typedef struct Passage
{
	SearchedColumn column;
	int			first;
	int			different;
	int			all;
} Passage;

static int
CompareFound(const void *a, const void *b)
{
	return ((const Found *) a)->first - ((const Found *) b)->first;
}

/*
 * What was found in a column, in order.
 */
static Found *
FoundInColumn(const Matcher *matcher, SearchedColumn column, int *count)
{
	Found	   *found;
	int			total = 0;
	ListCell   *cell;

	*count = 0;
	foreach(cell, matcher->phrases)
		total += matcher->phrase_places[foreach_current_index(cell)].count;
	found = palloc(sizeof(Found) * (total + 1));
	foreach(cell, matcher->phrases)
	{
		int			phrase = foreach_current_index(cell);
		const PlaceList *list = &matcher->phrase_places[phrase];

		for (int i = 0; i < list->count; i++)
		{
			if (PLACE_COLUMN(list->places[i]) != column)
				continue;
			found[*count].phrase = phrase;
			found[*count].first = PLACE_IN_COLUMN(list->places[i]);
			found[(*count)++].words = list_length(((QueryPhrase *) lfirst(cell))->terms);
		}
	}
	qsort(found, *count, sizeof(Found), CompareFound);
	return found;
}

/*
 * Compare the passages of a column with the best one so far. Each begins
 * with something that was found. The window moves along, and what it holds
 * of each phrase is counted as it comes and goes.
 */
static void
FindPassage(const Matcher *matcher, SearchedColumn column, const Found *found, int count, Passage *best)
{
	int		   *of_phrase = palloc0(sizeof(int) * (list_length(matcher->phrases) + 1));
	int			different = 0;
	int			end = 0;

	for (int i = 0; i < count; i++)
	{
		/* One that is longer than the passage is in it all the same. */
		while (end <= i ||
			   (end < count && found[end].first + found[end].words <= found[i].first + SNIPPET_WORDS - WORDS_BEFORE))
			different += of_phrase[found[end++].phrase]++ == 0;
		if (different > best->different || (different == best->different && end - i > best->all))
		{
			best->column = column;
			best->first = found[i].first;
			best->different = different;
			best->all = end - i;
		}
		different -= --of_phrase[found[i].phrase] == 0;
	}
}

/*
 * Put the marks around what was found in the passage.
 */
static text *
ShowPassage(const RowTexts *texts, SearchedColumn column, int first, const Found *found, int count,
			const char *before, const char *after)
{
	StringInfoData shown;
	Splitter	splitter;
	int			len;
	bool		is_cut;
	const char *value = ColumnText(texts, column, &len, &is_cut);
	const char *copied = value;
	int			next = 0;
	int			marked_to = -1; /* the last place of what is marked */
	int			place;

	initStringInfo(&shown);
	if (value == NULL)
		return cstring_to_text("");
	StartSplitting(&splitter, value, len);
	for (place = 0; place < first + SNIPPET_WORDS && NextWord(&splitter); place++)
	{
		bool		was_marked = marked_to >= place;

		if (place < first)
			continue;
		if (place == first && first > 0)
		{
			appendStringInfoString(&shown, ELLIPSIS);
			copied = splitter.start;
		}
		for (; next < count && found[next].first <= place; next++)
		{
			if (found[next].first == place)
				marked_to = Max(marked_to, place + found[next].words - 1);
		}
		if (!was_marked && marked_to >= place)
		{
			appendBinaryStringInfo(&shown, copied, splitter.start - copied);
			appendStringInfoString(&shown, before);
			copied = splitter.start;
		}
		appendBinaryStringInfo(&shown, copied, splitter.stop - copied);
		copied = splitter.stop;
		if (marked_to == place || (marked_to > place && place == first + SNIPPET_WORDS - 1))
			appendStringInfoString(&shown, after);
	}
	if (NextWord(&splitter) || is_cut)
		appendStringInfoString(&shown, ELLIPSIS);
	else
		appendBinaryStringInfo(&shown, copied, value + len - copied);
	return cstring_to_text_with_len(shown.data, shown.len);
}

/*
 * saga_snippet(query text, columns text[], stem boolean, before text,
 * after text, content text, tags jsonb, filename text) returns text
 */
Datum
amelia_saga_snippet(PG_FUNCTION_ARGS)
{
	Matcher    *matcher;
	RowTexts	texts;
	Passage		best = {0};
	Found	   *found;
	int			count;
	int			first;

	for (int i = 0; i < 5; i++)
	{
		if (PG_ARGISNULL(i))
			PG_RETURN_NULL();
	}
	matcher = KeptMatcher(fcinfo);
	TakeRowTexts(fcinfo, 5, &texts);
	FetchRowTexts(&texts);
	MatchTexts(matcher, &texts);
	for (SearchedColumn column = 0; column < SEARCHED_COLUMNS; column++)
	{
		found = FoundInColumn(matcher, column, &count);
		FindPassage(matcher, column, found, count, &best);
	}
	first = Min(best.first - WORDS_BEFORE, matcher->words[best.column] - SNIPPET_WORDS);
	first = Max(first, 0);
	found = FoundInColumn(matcher, best.column, &count);
	PG_RETURN_TEXT_P(ShowPassage(&texts, best.column, first, found, count,
								 text_to_cstring(PG_GETARG_TEXT_PP(3)),
								 text_to_cstring(PG_GETARG_TEXT_PP(4))));
}
