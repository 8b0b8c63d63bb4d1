/*-------------------------------------------------------------------------
 *
 * unicode61.h
 *	  Splitting text into words as FTS5's tokenizer unicode61 does.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_UNICODE61_H
#define AMELIA_UNICODE61_H

#include "base/amelia.h"

#include "lib/stringinfo.h"

typedef struct Splitter
{
	const char *next;			/* where to look for the next word */
	const char *end;
	/* the word that was found last */
	const char *start;
	const char *stop;
	StringInfoData word;		/* folded */
} Splitter;

extern void StartSplitting(Splitter *splitter, const char *text, int len);
extern bool NextWord(Splitter *splitter);

#endif							/* AMELIA_UNICODE61_H */
