/*-------------------------------------------------------------------------
 *
 * stem.h
 *	  Words as the index has them: whole or as English stems.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_STEM_H
#define AMELIA_STEM_H

#include "base/amelia.h"

#include "saga/unicode61.h"

/* What is longer than a lexeme can be is indexed by its first bytes. */
#define MAX_INDEXED_BYTES 2046

typedef struct IndexedWord
{
	const char *text;			/* in the splitter's memory, or allocated */
	int			len;
	int			indexed_len;	/* how much of it the index has */
	bool		is_cut;			/* or may be: the index has as much as it can */
} IndexedWord;

extern void IndexWord(Splitter *splitter, bool stem, IndexedWord *word);

#endif							/* AMELIA_STEM_H */
