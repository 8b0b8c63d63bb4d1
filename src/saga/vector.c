/*-------------------------------------------------------------------------
 *
 * vector.c
 *	  The tsvector of a row: its words, and where they stand (layout.h).
 *
 *	  It is made without a text search configuration, so that the generated
 *	  column restores in whatever order a dump has its objects, and refuses
 *	  no text for its length. For a text that fits, it is what to_tsvector()
 *	  makes of it with the configuration exact or english.
 *
 *-------------------------------------------------------------------------
 */
#include "saga/vector.h"

#include "saga/layout.h"

PG_FUNCTION_INFO_V1(amelia_saga_vector);
PG_FUNCTION_INFO_V1(amelia_saga_words);

typedef struct PlacedWord
{
	int			start;			/* in the collection's texts */
	uint16		len;
	WordEntryPos position;
} PlacedWord;

typedef struct Collection
{
	StringInfoData texts;
	PlacedWord *words;
	int			count;
	int			capacity;
} Collection;

/*
 * Note a word of a column. Where it stands comes out of its place.
 */
static void
CollectWord(SearchedColumn column, int place, const IndexedWord *word, const Splitter *splitter, void *arg)
{
	Collection *collection = (Collection *) arg;
	const ColumnLayout *layout = &column_layouts[column];
	PlacedWord *placed;

	if (collection->count == collection->capacity)
	{
		collection->capacity *= 2;
		collection->words = repalloc(collection->words, sizeof(PlacedWord) * collection->capacity);
	}
	placed = &collection->words[collection->count++];
	placed->start = collection->texts.len;
	placed->len = word->indexed_len;
	placed->position = layout->before + Min(place + 1, layout->places);
	WEP_SETWEIGHT(placed->position, layout->weight);
	appendBinaryStringInfo(&collection->texts, word->text, word->indexed_len);
}

/*
 * In the order of a tsvector: by bytes, then by position.
 */
static int
ComparePlacedWords(const void *a, const void *b, void *arg)
{
	const PlacedWord *left = (const PlacedWord *) a;
	const PlacedWord *right = (const PlacedWord *) b;
	const char *texts = (const char *) arg;
	int			order = memcmp(texts + left->start, texts + right->start, Min(left->len, right->len));

	if (order == 0)
		order = (int) left->len - (int) right->len;
	if (order == 0)
		order = WEP_GETPOS(left->position) - WEP_GETPOS(right->position);
	return order;
}

static bool
IsSameWord(const Collection *collection, const PlacedWord *a, const PlacedWord *b)
{
	return a->len == b->len &&
		memcmp(collection->texts.data + a->start, collection->texts.data + b->start, a->len) == 0;
}

/*
 * Leave of one word's sorted entries those that are kept, at the front:
 * each position once, and no more of a column than it may have.
 */
static int
KeepPositions(PlacedWord *words, int count)
{
	int			of_column[SEARCHED_COLUMNS] = {0};
	int			kept = 0;

	for (int i = 0; i < count; i++)
	{
		SearchedColumn column = ColumnOfPosition(WEP_GETPOS(words[i].position));

		if (kept > 0 && words[kept - 1].position == words[i].position)
			continue;
		if (of_column[column]++ < column_layouts[column].most)
			words[kept++] = words[i];
	}
	return kept;
}

/*
 * Put together what was collected and sorted. A lexeme's entries stand at
 * starts[], counts[] of them.
 */
static TSVector
BuildVector(const Collection *collection, const int *starts, const int *counts, int lexemes)
{
	size_t		size = 0;
	TSVector	vector;
	char	   *place;

	for (int i = 0; i < lexemes; i++)
		size = SHORTALIGN(size + collection->words[starts[i]].len) + sizeof(uint16) + counts[i] * sizeof(WordEntryPos);
	if (size > MAXSTRPOS)
		elog(ERROR, "the words of a text take %zu bytes", size);
	size = CALCDATASIZE(lexemes, size);
	vector = (TSVector) palloc0(size);
	SET_VARSIZE(vector, size);
	vector->size = lexemes;
	place = STRPTR(vector);
	for (int i = 0; i < lexemes; i++)
	{
		const PlacedWord *words = &collection->words[starts[i]];
		WordEntry  *entry = ARRPTR(vector) + i;
		WordEntryPosVector *positions;

		entry->haspos = 1;
		entry->len = words->len;
		entry->pos = place - STRPTR(vector);
		memcpy(place, collection->texts.data + words->start, words->len);
		positions = _POSVECPTR(vector, entry);
		positions->npos = counts[i];
		for (int j = 0; j < counts[i]; j++)
			positions->pos[j] = words[j].position;
		place = (char *) &positions->pos[counts[i]];
	}
	return vector;
}

/*
 * saga_vector(content text, tags jsonb, filename text, stem boolean)
 * returns tsvector
 */
Datum
amelia_saga_vector(PG_FUNCTION_ARGS)
{
	Collection	collection = {.capacity = 256};
	RowTexts	texts;
	int		   *starts;
	int		   *counts;
	int			lexemes = 0;

	TakeRowTexts(fcinfo, 0, &texts);
	initStringInfo(&collection.texts);
	collection.words = palloc(sizeof(PlacedWord) * collection.capacity);
	VisitWords(&texts, !PG_ARGISNULL(3) && PG_GETARG_BOOL(3), CollectWord, &collection);

	qsort_arg(collection.words, collection.count, sizeof(PlacedWord), ComparePlacedWords, collection.texts.data);
	starts = palloc(sizeof(int) * (collection.count + 1));
	counts = palloc(sizeof(int) * (collection.count + 1));
	for (int first = 0, next; first < collection.count; first = next)
	{
		for (next = first + 1; next < collection.count &&
			 IsSameWord(&collection, &collection.words[first], &collection.words[next]);)
			next++;
		starts[lexemes] = first;
		counts[lexemes++] = KeepPositions(&collection.words[first], next - first);
	}
	PG_RETURN_TSVECTOR(BuildVector(&collection, starts, counts, lexemes));
}

/*
 * How many words a row has, as far as its tsvector tells.
 */
int
CountWords(TSVector vector)
{
	int			words = 0;

	for (int i = 0; i < vector->size; i++)
		words += POSDATALEN(vector, ARRPTR(vector) + i);
	return words;
}

/*
 * saga_words(search tsvector) returns integer
 */
Datum
amelia_saga_words(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(CountWords(PG_GETARG_TSVECTOR(0)));
}
