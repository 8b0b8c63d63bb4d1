/*-------------------------------------------------------------------------
 *
 * texts.h
 *	  What of a row is searched: its texts, by column.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_TEXTS_H
#define AMELIA_TEXTS_H

#include "base/amelia.h"

#include "saga/stem.h"

/* The searched columns of messages and files alike. */
typedef enum SearchedColumn
{
	COLUMN_TEXT,				/* content, extracted_text */
	COLUMN_TAGS,
	COLUMN_FILENAME,
	SEARCHED_COLUMNS
} SearchedColumn;

/* A row's texts, which may be out of line and compressed. */
typedef struct RowTexts
{
	NullableDatum columns[SEARCHED_COLUMNS];
} RowTexts;

/* Called for each word; place counts the words of the column from 0. */
typedef void (*WordVisitor) (SearchedColumn column, int place, const IndexedWord *word,
							 const Splitter *splitter, void *arg);

extern void TakeRowTexts(FunctionCallInfo fcinfo, int first, RowTexts *texts);
extern void FetchRowTexts(RowTexts *texts);
extern const char *ColumnText(const RowTexts *texts, SearchedColumn column, int *len, bool *is_cut);
extern void VisitWords(const RowTexts *texts, bool stem, WordVisitor visit, void *arg);

#endif							/* AMELIA_TEXTS_H */
