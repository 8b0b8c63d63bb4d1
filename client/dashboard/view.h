/*-------------------------------------------------------------------------
 *
 * view.h
 *	  A view of the database, in one transaction, as HTML.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_VIEW_H
#define CLIENT_VIEW_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "common/util.h"
#include "dashboard/failure.h"
#include "dashboard/fields.h"
#include "dashboard/session.h"
#include "page/page.h"

#define LENGTH(array) ((int) (sizeof(array) / sizeof((array)[0])))

/* What a list has of items that are whole, in bytes. */
#define LIST_SIZE (512 * 1024)

typedef struct View
{
	Buffer	   *page;			/* what is shown */
	const char *path;
	const Fields *fields;		/* of the address */
	const char *id;				/* of the workflow in the path */
	int			sequence;		/* of the event in the path */
	const char *token;			/* for forms; "": the page has it */
	bool		live;			/* what is on a page already is wanted again */
	PGconn	   *conn;
	Failure		failure;
	/* what the role may do */
	bool		may_decide;
	bool		may_cancel;
	bool		may_requeue;
	bool		may_send;
} View;

extern void view_init(int timeout_seconds);
extern bool view_open(View *view, const Session *session, bool read_only);
extern bool view_close(View *view);
extern PGresult *view_ask(View *view, const char *sql, int nparams,...);
extern PGresult *view_query(void *view, const char *sql, int nparams, const char *const *params);
extern bool view_rights(View *view);
extern bool view_may(View *view, const char *sql);
extern void view_form(View *view, const char *action, const char *what);
extern bool view_table(View *view, const char *head, PGresult *rows, const Column *columns,
					   int ncolumns, const char *nothing);
extern bool is_true(const PGresult *result, int row, int column);
extern const char *value_of(const PGresult *result, int row, int column);

#endif							/* CLIENT_VIEW_H */
