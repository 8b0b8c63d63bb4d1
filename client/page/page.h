/*-------------------------------------------------------------------------
 *
 * page.h
 *	  The parts of which pages are made.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_PAGE_H
#define CLIENT_PAGE_H

#include <libpq-fe.h>

#include "common/util.h"

/* A column of a table: its head, and what it holds. */
typedef enum ColumnKind
{
	TEXT,
	NUMBER,
	BARS,						/* a line of amelia.sparkline() */
	TIME,						/* a timestamptz as a session in UTC writes it */
	STATUS,						/* of a workflow */
	LINK						/* takes two fields: the text, and what ends
								 * the address */
} ColumnKind;

typedef struct Column
{
	const char *head;
	ColumnKind	kind;
	const char *address;		/* of LINK: how it begins */
} Column;

/* How many parts a bar may have; the style has as many colours. */
#define COLOURS 8

extern void page_text(Buffer *page, const char *text);
extern void page_put(Buffer *page, const char *format,...);
extern void page_time(Buffer *page, const char *time);
extern void page_begin(Buffer *page, const char *title, const char *subtitle);
extern void page_end(Buffer *page);
extern void page_section(Buffer *page, const char *head);
extern void page_tile(Buffer *page, const char *label, const char *value, const char *note);
extern void page_table(Buffer *page, const PGresult *rows, const Column *columns,
					   int ncolumns, const char *nothing);
extern void page_stacked_bars(Buffer *page, const PGresult *rows, const PGresult *names);

#endif							/* CLIENT_PAGE_H */
