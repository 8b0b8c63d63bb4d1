/*-------------------------------------------------------------------------
 *
 * unicode61.c
 *	  Splitting text into words as FTS5's tokenizer unicode61 does with
 *	  remove_diacritics 1, its default.
 *
 *	  A word is a run of letters, digits and characters for private use,
 *	  whatever stands between them. Letters lose their case, and those of
 *	  ASCII with one mark lose the mark, whether it is part of the character
 *	  or follows it. Nothing is stemmed and no word is left out.
 *
 *	  The text is UTF-8: amelia_saga is only created in databases of that
 *	  encoding.
 *
 *-------------------------------------------------------------------------
 */
#include "saga/unicode61.h"

#include "mb/pg_wchar.h"

#include "saga/unicode_data.h"

#define IS_ASCII(c) ((c) < 0x80)
#define MAX_UTF8_BYTES 4

/* The place of the first of sorted entries that is not below the character. */
#define LOWER_BOUND(place, count, entry, c) \
	do { \
		int			bound_ = (count); \
		(place) = 0; \
		while ((place) < bound_) \
		{ \
			int			middle_ = (place) + (bound_ - (place)) / 2; \
			if (entry(middle_) < (c)) \
				(place) = middle_ + 1; \
			else \
				bound_ = middle_; \
		} \
	} while (0)

#define RANGE_LAST(i) word_characters[i].last
#define FOLD_FROM(i) folded_characters[i].from
#define MARK(i) dropped_marks[i]

/*
 * Whether a character above ASCII is part of words.
 */
static bool
IsWordCharacter(pg_wchar c)
{
	int			place;

	LOWER_BOUND(place, word_character_ranges, RANGE_LAST, c);
	return place < word_character_ranges && word_characters[place].first <= c;
}

/*
 * Whether a character is a mark that is left out within a word.
 */
static bool
IsDroppedMark(pg_wchar c)
{
	int			place;

	LOWER_BOUND(place, dropped_mark_count, MARK, c);
	return place < dropped_mark_count && dropped_marks[place] == c;
}

/*
 * What a character above ASCII is folded to.
 */
static pg_wchar
FoldCharacter(pg_wchar c)
{
	int			place;

	LOWER_BOUND(place, folded_character_count, FOLD_FROM, c);
	return place < folded_character_count && folded_characters[place].from == c ?
		folded_characters[place].to : c;
}

static inline bool
IsAsciiWord(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/*
 * Read the character at a place, and say how many bytes it has.
 */
static inline pg_wchar
ReadCharacter(const char *place, const char *end, int *len)
{
	*len = pg_utf_mblen((const unsigned char *) place);
	if (*len > end - place)
		*len = end - place;
	return utf8_to_unicode((const unsigned char *) place);
}

/*
 * Add the character at the splitter's place to the word, if it belongs to it.
 */
static inline bool
TakeCharacter(Splitter *splitter, bool within)
{
	unsigned char c = (unsigned char) *splitter->next;
	unsigned char folded[MAX_UTF8_BYTES + 1];
	pg_wchar	character;
	int			len;

	if (IS_ASCII(c))
	{
		if (!IsAsciiWord(c))
			return false;
		appendStringInfoCharMacro(&splitter->word, c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
		splitter->next++;
		return true;
	}
	character = ReadCharacter(splitter->next, splitter->end, &len);
	if (IsWordCharacter(character))
	{
		unicode_to_utf8(FoldCharacter(character), folded);
		appendBinaryStringInfo(&splitter->word, (char *) folded, pg_utf_mblen(folded));
	}
	else if (!within || !IsDroppedMark(character))
		return false;
	splitter->next += len;
	return true;
}

/*
 * Begin at the start of a text, which must stay where it is.
 */
void
StartSplitting(Splitter *splitter, const char *text, int len)
{
	splitter->next = text;
	splitter->end = text +len;
	splitter->start = splitter->stop = text;

	initStringInfo(&splitter->word);
}

/*
 * Find the next word; false when there is none.
 */
bool
NextWord(Splitter *splitter)
{
	resetStringInfo(&splitter->word);
	for (; splitter->next < splitter->end; splitter->next += pg_utf_mblen((const unsigned char *) splitter->next))
	{
		splitter->start = splitter->next;
		if (!TakeCharacter(splitter, false))
			continue;
		while (splitter->next < splitter->end && TakeCharacter(splitter, true))
			;
		splitter->stop = splitter->next;
		return true;
	}
	return false;
}
