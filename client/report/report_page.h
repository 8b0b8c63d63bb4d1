/*-------------------------------------------------------------------------
 *
 * report_page.h
 *	  The parts of amelia-report's page.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_REPORT_PAGE_H
#define CLIENT_REPORT_PAGE_H

#include <libpq-fe.h>

#include "common/util.h"

/* A column of a table: its head, and what it holds. */
typedef enum ColumnKind
{
	TEXT,
	NUMBER,
	BARS						/* a line of amelia.sparkline() */
} ColumnKind;

typedef struct Column
{
	const char *head;
	ColumnKind	kind;
} Column;

/* How many parts a bar may have; the style has as many colours. */
#define COLOURS 8

extern void page_text(Buffer *page, const char *text);
extern void page_begin(Buffer *page, const char *title, const char *subtitle);
extern void page_end(Buffer *page);
extern void page_section(Buffer *page, const char *head);
extern void page_tile(Buffer *page, const char *label, const char *value, const char *note);
extern void page_table(Buffer *page, const PGresult *rows, const Column *columns,
					   int ncolumns, const char *nothing);
extern void page_stacked_bars(Buffer *page, const PGresult *rows, const PGresult *names);

#endif							/* CLIENT_REPORT_PAGE_H */
