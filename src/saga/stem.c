/*-------------------------------------------------------------------------
 *
 * stem.c
 *	  Words as the index has them: as they were folded, or as English
 *	  stems, by the dictionary that the configuration english ends with.
 *
 *	  No word is a stop word in either: FTS5 has none, and a phrase would
 *	  miss them.
 *
 *-------------------------------------------------------------------------
 */
#include "saga/stem.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "tsearch/ts_cache.h"
#include "tsearch/ts_public.h"

#define MAX_UTF8_BYTES 4

/*
 * The first lexeme that the dictionary makes of a word, or NULL.
 */
static const char *
Stem(const StringInfo word)
{
	Oid			dictionary = get_ts_dict_oid(list_make2(makeString("amelia_saga"), makeString("english_stem")), false);
	TSDictionaryCacheEntry *entry = lookup_ts_dictionary_cache(dictionary);
	DictSubState state = {0};
	TSLexeme   *lexemes;

	lexemes = (TSLexeme *) DatumGetPointer(FunctionCall4(&entry->lexize,
														 PointerGetDatum(entry->dictData),
														 PointerGetDatum(word->data),
														 Int32GetDatum(word->len),
														 PointerGetDatum(&state)));
	return lexemes == NULL ? NULL : lexemes->lexeme;
}

/*
 * The word that was found last as the index has it.
 */
void
IndexWord(Splitter *splitter, bool stem, IndexedWord *word)
{
	const char *stemmed = stem ? Stem(&splitter->word) : NULL;

	word->text = stemmed != NULL ? stemmed : splitter->word.data;
	word->len = stemmed != NULL ? (int) strlen(stemmed) : splitter->word.len;
	word->indexed_len = pg_mbcliplen(word->text, word->len, MAX_INDEXED_BYTES);
	word->is_cut = word->len > MAX_INDEXED_BYTES - MAX_UTF8_BYTES;
}
