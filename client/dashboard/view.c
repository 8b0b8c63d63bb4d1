/*-------------------------------------------------------------------------
 *
 * view.c
 *	  A view of the database, in one transaction, as HTML.
 *
 * What a view shows is of one state of the database, seen by the role that
 * asks. Its settings are those of the transaction, so that it works behind a
 * pooler too.
 *
 *-------------------------------------------------------------------------
 */
#include "dashboard/view.h"

#include <stdlib.h>
#include <string.h>

#include "dashboard/pool.h"
#include "page/page.h"

static char begin_reading[400];
static char begin_writing[400];

void
view_init(int timeout_seconds)
{
	static const char settings[] = "; SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL timezone = 'UTC';"
	" SET LOCAL datestyle = ISO; SET LOCAL intervalstyle = postgres; SET LOCAL extra_float_digits = 1;"
	" SET LOCAL jit = off; SET LOCAL statement_timeout = ";

	snprintf(begin_reading, sizeof(begin_reading),
			 "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY%s%d", settings, timeout_seconds * 1000);
	snprintf(begin_writing, sizeof(begin_writing),
			 "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE%s%d", settings, timeout_seconds * 1000);
}

static bool
command(View *view, const char *sql)
{
	PGresult   *result = PQexec(view->conn, sql);
	bool		done = PQresultStatus(result) == PGRES_COMMAND_OK;

	if (!done)
		failure_of_result(&view->failure, view->conn, result);
	PQclear(result);
	return done;
}

/* A connection that turns out to be gone has done nothing yet: there is another. */
bool
view_open(View *view, const Session *session, bool read_only)
{
	const char *begin = read_only ? begin_reading : begin_writing;

	view->conn = pool_take(session, &view->failure);
	if (view->conn == NULL)
		return false;
	if (command(view, begin))
		return true;
	if (PQstatus(view->conn) == CONNECTION_OK)
		return false;
	pool_give(view->conn);
	failure_clear(&view->failure);
	view->conn = pool_take(session, &view->failure);
	return view->conn != NULL && command(view, begin);
}

/* Ends the transaction, and says whether all of it went well. */
bool
view_close(View *view)
{
	if (view->conn == NULL)
		return false;
	if (PQstatus(view->conn) == CONNECTION_OK)
		command(view, view->failure.status == 0 ? "COMMIT" : "ROLLBACK");
	pool_give(view->conn);
	view->conn = NULL;
	return view->failure.status == 0;
}

/* The rows of a query; NULL, and the view has failed, when there are none. */
PGresult *
view_query(void *arg, const char *sql, int nparams, const char *const *params)
{
	View	   *view = arg;
	PGresult   *result;

	if (view->failure.status != 0)
		return NULL;
	result = PQexecParams(view->conn, sql, nparams, NULL, params, NULL, NULL, 0);
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return result;
	failure_of_result(&view->failure, view->conn, result);
	PQclear(result);
	return NULL;
}

/* The same with its parameters as strings, NULL among them. */
PGresult *
view_ask(View *view, const char *sql, int nparams,...)
{
	const char *params[8];
	va_list		args;

	va_start(args, nparams);
	for (int i = 0; i < nparams && i < LENGTH(params); i++)
		params[i] = va_arg(args, const char *);
	va_end(args);
	return view_query(view, sql, nparams, params);
}

bool
is_true(const PGresult *result, int row, int column)
{
	return PQgetvalue(result, row, column)[0] == 't';
}

/* A value; NULL is NULL. */
const char *
value_of(const PGresult *result, int row, int column)
{
	return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

/* Which buttons there are; on a standby there is none. */
bool
view_rights(View *view)
{
	PGresult   *rows = view_ask(view, "SELECT NOT pg_is_in_recovery() AND has_function_privilege(to_regprocedure(f.name), 'EXECUTE')"
								" FROM (VALUES (1, 'amelia.decide(uuid, integer, boolean, text)'), (2, 'amelia.request_cancel(uuid)'),"
								" (3, 'amelia.requeue_workflow(uuid, integer)'), (4, 'amelia.send_to_workflow(uuid, text, jsonb)'))"
								" AS f (place, name) ORDER BY f.place", 0);

	if (rows == NULL)
		return false;
	view->may_decide = is_true(rows, 0, 0);
	view->may_cancel = is_true(rows, 1, 0);
	view->may_requeue = is_true(rows, 2, 0);
	view->may_send = is_true(rows, 3, 0);
	PQclear(rows);
	return true;
}

/* The answer to a question with one boolean. */
bool
view_may(View *view, const char *sql)
{
	PGresult   *rows = view_ask(view, sql, 0);
	bool		may = rows != NULL && is_true(rows, 0, 0);

	PQclear(rows);
	return may;
}

/*
 * A section with a table. Where there are no rows and nothing is said of that,
 * there is no section.
 */
bool
view_table(View *view, const char *head, PGresult *rows, const Column *columns, int ncolumns, const char *nothing)
{
	if (rows == NULL)
		return false;
	if (PQntuples(rows) > 0 || nothing != NULL)
	{
		page_section(view->page, head);
		page_table(view->page, rows, columns, ncolumns, nothing);
	}
	PQclear(rows);
	return true;
}

/* The beginning of a form that does something; what: for a screen reader. */
void
view_form(View *view, const char *action, const char *what)
{
	page_put(view->page, "<form method=\"post\" action=\"%s\" aria-label=\"%s\">"
			 "<input type=\"hidden\" name=\"token\" value=\"%s\">", action, what, view->token);
}
