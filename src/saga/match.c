/*-------------------------------------------------------------------------
 *
 * match.c
 *	  Whether a row matches a query, and where.
 *
 *	  First each word of the query gets the places where it stands in the
 *	  row, from the tsvector, or from the texts that are split again. Then
 *	  each phrase gets the places where it begins, and those that NEAR rules
 *	  out are taken away. A tsvector does not hold all places (layout.h):
 *	  where one that is missing could matter, it is not sure, and the texts
 *	  are asked.
 *
 *-------------------------------------------------------------------------
 */
#include "saga/match.h"

#include "miscadmin.h"

#include "saga/layout.h"

/* Behind the last place. */
#define NO_PLACE PG_INT64_MAX

/*
 * How the word of a row compares with the first bytes of one of the query,
 * in the order of a tsvector; 0 if it is meant.
 */
static int
CompareWord(const QueryTerm *term, int term_len, const char *text, int len)
{
	int			order = memcmp(text, term->text, Min(len, term_len));

	if (order != 0)
		return order;
	if (term->is_prefix && len >= term_len)
		return 0;
	return len - term_len;
}

/*
 * Whether the query means a word of a text.
 */
bool
IsMeant(const QueryTerm *term, const IndexedWord *word)
{
	return CompareWord(term, term->len, word->text, word->len) == 0;
}

static void
AddPlace(PlaceList *list, int64 place)
{
	if (list->count == list->capacity)
	{
		list->capacity = Max(16, list->capacity * 2);
		list->places = list->places == NULL ?
			MemoryContextAlloc(list->context, sizeof(int64) * list->capacity) :
			repalloc(list->places, sizeof(int64) * list->capacity);
	}
	list->places[list->count++] = place;
}

static PlaceList *
MakePlaceLists(int count)
{
	PlaceList  *lists = palloc0(sizeof(PlaceList) * (count + 1));

	for (int i = 0; i < count; i++)
		lists[i].context = CurrentMemoryContext;
	return lists;
}

static int
ComparePlaces(const void *a, const void *b)
{
	int64		left = *(const int64 *) a;
	int64		right = *(const int64 *) b;

	return left < right ? -1 : left > right;
}

/*
 * Whether it matters where the words of a node stand.
 */
static bool
WantsPlaces(const QueryNode *node)
{
	ListCell   *cell;

	check_stack_depth();
	if (list_length(node->phrases) > 1)
		return true;
	foreach(cell, node->phrases)
	{
		QueryPhrase *phrase = lfirst(cell);

		if (phrase->is_first || list_length(phrase->terms) > 1)
			return true;
	}
	foreach(cell, node->children)
	{
		if (WantsPlaces(lfirst(cell)))
			return true;
	}
	return false;
}

/*
 * Make ready to match rows. To be called in memory that lasts as long.
 */
Matcher *
MakeMatcher(const SearchQuery *query)
{
	Matcher    *matcher = palloc0(sizeof(Matcher));
	ListCell   *cell;

	matcher->query = query;
	matcher->phrases = query->phrases;
	foreach(cell, query->phrases)
	{
		QueryPhrase *phrase = lfirst(cell);
		ListCell   *word;

		foreach(word, phrase->terms)
		{
			matcher->terms = lappend(matcher->terms, lfirst(word));
			matcher->wants_texts |= ((QueryTerm *) lfirst(word))->is_cut;
		}
	}
	matcher->wants_places = WantsPlaces(query->root);
	matcher->term_places = MakePlaceLists(list_length(matcher->terms));
	matcher->phrase_places = MakePlaceLists(list_length(matcher->phrases));
	return matcher;
}

/*
 * Add the places of a lexeme, and say whether they are all.
 */
static bool
AddLexeme(PlaceList *list, TSVector vector, const WordEntry *entry)
{
	int			of_column[SEARCHED_COLUMNS] = {0};
	int			count = POSDATALEN(vector, entry);
	WordEntryPos *positions = POSDATAPTR(vector, entry);
	bool		is_sure = count > 0;

	for (int i = 0; i < count; i++)
	{
		int			position = WEP_GETPOS(positions[i]);
		SearchedColumn column = ColumnOfPosition(position);
		const ColumnLayout *layout = &column_layouts[column];

		if (++of_column[column] == layout->most || position == layout->before + layout->places)
			is_sure = false;
		AddPlace(list, PLACE(column, Max(position - layout->before - 1, 0)));
	}
	return is_sure;
}

/*
 * Find where a word of the query stands, and say whether that is all.
 */
static bool
FindTerm(PlaceList *list, TSVector vector, const QueryTerm *term)
{
	int			low = 0;
	int			high = vector->size;
	bool		is_sure = true;

	list->count = 0;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		const WordEntry *entry = ARRPTR(vector) + middle;

		if (CompareWord(term, term->indexed_len, STRPTR(vector) + entry->pos, entry->len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < vector->size; low++)
	{
		const WordEntry *entry = ARRPTR(vector) + low;

		if (CompareWord(term, term->indexed_len, STRPTR(vector) + entry->pos, entry->len) != 0)
			break;
		is_sure &= AddLexeme(list, vector, entry);
	}
	return is_sure;
}

/*
 * Bring places of several lexemes in order.
 */
static void
SortPlaces(PlaceList *list)
{
	int			kept = 0;

	qsort(list->places, list->count, sizeof(int64), ComparePlaces);
	for (int i = 0; i < list->count; i++)
	{
		if (kept == 0 || list->places[kept - 1] != list->places[i])
			list->places[kept++] = list->places[i];
	}
	list->count = kept;
}

/*
 * Fill in where a phrase begins within some columns, from where its words
 * stand. terms are the places of its words.
 */
static void
FindPhrase(const QueryPhrase *phrase, const PlaceList *terms, ColumnSet columns, PlaceList *found)
{
	int			words = list_length(phrase->terms);
	int		   *at = palloc0(sizeof(int) * words);

	found->count = 0;
	for (int i = 0; i < terms[0].count; i++)
	{
		int64		place = terms[0].places[i];
		int			word;

		if ((COLUMN_BIT(PLACE_COLUMN(place)) & columns) == 0 ||
			(phrase->is_first && PLACE_IN_COLUMN(place) != 0))
			continue;
		for (word = 1; word < words; word++)
		{
			const PlaceList *list = &terms[word];

			while (at[word] < list->count && list->places[at[word]] < place + word)
				at[word]++;
			if (at[word] == list->count || list->places[at[word]] != place + word)
				break;
		}
		if (word == words)
			AddPlace(found, place);
	}
	pfree(at);
}

static inline int64
PlaceAt(const PlaceList *list, int i)
{
	return i < list->count ? list->places[i] : NO_PLACE;
}

/*
 * Leave of the phrases' places those that stand near one another: that
 * there is one of each phrase with no more than distance words from its end
 * to where the last of them begins. Goes through the places from the left,
 * always moving the phrase whose next place comes first, as FTS5 does.
 */
static bool
KeepNear(const QueryNode *node, PlaceList *lists)
{
	int			count = list_length(node->phrases);
	int		   *at = palloc0(sizeof(int) * count);
	int		   *kept = palloc0(sizeof(int) * count);
	int64		last = lists[0].places[0];
	bool		is_end = false;

	while (!is_end)
	{
		bool		is_match;
		int			next = 0;

		do
		{
			is_match = true;
			for (int i = 0; i < count && !is_end; i++)
			{
				int64		first = last - node->distance -
				list_length(((QueryPhrase *) list_nth(node->phrases, i))->terms);
				int64		place = lists[i].places[at[i]];

				if (place >= first && place <= last)
					continue;
				is_match = false;
				while (place < first && !is_end)
				{
					place = PlaceAt(&lists[i], ++at[i]);
					is_end = place == NO_PLACE;
				}
				last = Max(last, place);
			}
		} while (!is_match && !is_end);
		if (is_end)
			break;
		/* What is kept stands before what is still to be looked at. */
		for (int i = 0; i < count; i++)
		{
			int64		place = lists[i].places[at[i]];

			if (kept[i] == 0 || lists[i].places[kept[i] - 1] != place)
				lists[i].places[kept[i]++] = place;
		}
		for (int i = 1; i < count; i++)
		{
			if (PlaceAt(&lists[i], at[i] + 1) < PlaceAt(&lists[next], at[next] + 1))
				next = i;
		}
		is_end = PlaceAt(&lists[next], ++at[next]) == NO_PLACE;
	}
	for (int i = 0; i < count; i++)
		lists[i].count = kept[i];
	return kept[0] > 0;
}

/*
 * Whether a node matches. Its phrases are the matcher's from *phrase on,
 * their words those from *term on; both are moved behind the node's.
 */
static bool
MatchNode(Matcher *matcher, const QueryNode *node, int *phrase, int *term)
{
	int			first_phrase = *phrase;
	bool		matches = node->kind == NODE_AND || node->kind == NODE_NEAR;
	ListCell   *cell;

	check_stack_depth();
	if (node->kind == NODE_NEAR)
	{
		foreach(cell, node->phrases)
		{
			QueryPhrase *each = lfirst(cell);
			PlaceList  *found = &matcher->phrase_places[(*phrase)++];

			FindPhrase(each, &matcher->term_places[*term], node->columns, found);
			*term += list_length(each->terms);
			matches &= found->count > 0;
		}
		if (matches && *phrase - first_phrase > 1)
			matches = KeepNear(node, &matcher->phrase_places[first_phrase]);
	}
	foreach(cell, node->children)
	{
		bool		child = MatchNode(matcher, lfirst(cell), phrase, term);

		if (node->kind == NODE_AND)
			matches &= child;
		else if (node->kind == NODE_OR)
			matches |= child;
		else if (foreach_current_index(cell) == 0)
			matches = child;
		else
			matches &= !child;
	}
	if (!matches)
	{
		for (int i = first_phrase; i < *phrase; i++)
			matcher->phrase_places[i].count = 0;
	}
	return matches;
}

static bool
MatchPlaces(Matcher *matcher)
{
	int			phrase = 0;
	int			term = 0;

	return MatchNode(matcher, matcher->query->root, &phrase, &term);
}

/*
 * Whether a row with this tsvector matches. is_sure tells whether that is
 * the last word.
 */
bool
MatchVector(Matcher *matcher, TSVector vector, bool *is_sure)
{
	bool		has_all = true;
	ListCell   *cell;

	foreach(cell, matcher->terms)
	{
		QueryTerm  *term = lfirst(cell);
		PlaceList  *list = &matcher->term_places[foreach_current_index(cell)];

		has_all &= FindTerm(list, vector, term);
		if (term->is_prefix)
			SortPlaces(list);
	}
	*is_sure = !matcher->wants_texts && (has_all || !matcher->wants_places);
	return MatchPlaces(matcher);
}

/*
 * Note a word of a text that the query asks for.
 */
static void
NoteWord(SearchedColumn column, int place, const IndexedWord *word, const Splitter *splitter, void *arg)
{
	Matcher    *matcher = (Matcher *) arg;
	ListCell   *cell;

	matcher->words[column] = place + 1;
	foreach(cell, matcher->terms)
	{
		if (IsMeant(lfirst(cell), word))
			AddPlace(&matcher->term_places[foreach_current_index(cell)], PLACE(column, place));
	}
}

/*
 * Whether a row with these texts matches.
 */
bool
MatchTexts(Matcher *matcher, const RowTexts *texts)
{
	for (int i = 0; i < list_length(matcher->terms); i++)
		matcher->term_places[i].count = 0;
	memset(matcher->words, 0, sizeof(matcher->words));
	VisitWords(texts, matcher->query->stem, NoteWord, matcher);
	return MatchPlaces(matcher);
}
