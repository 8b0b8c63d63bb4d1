/*-------------------------------------------------------------------------
 *
 * unicode_data.h
 *	  Which characters words consist of, and what they are folded to.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_UNICODE_DATA_H
#define AMELIA_UNICODE_DATA_H

#include "base/amelia.h"

#include "mb/pg_wchar.h"

typedef struct CharacterRange
{
	pg_wchar	first;
	pg_wchar	last;
} CharacterRange;

typedef struct CharacterFold
{
	pg_wchar	from;
	pg_wchar	to;
} CharacterFold;

extern const CharacterRange word_characters[];
extern const int word_character_ranges;
extern const CharacterFold folded_characters[];
extern const int folded_character_count;
extern const pg_wchar dropped_marks[];
extern const int dropped_mark_count;

#endif							/* AMELIA_UNICODE_DATA_H */
