/*-------------------------------------------------------------------------
 *
 * failure.c
 *	  Why there is no answer: what the server said, and the status of HTTP
 *	  that says the same.
 *
 *-------------------------------------------------------------------------
 */
#include "dashboard/failure.h"

#include <stdlib.h>
#include <string.h>

/* The first failure wins: what follows is its wake. */
void
failure_set(Failure *failure, int status, const char *hint, const char *fmt,...)
{
	Buffer text = {0};
	va_list		args;

	if (failure->status != 0)
		return;
	va_start(args, fmt);
	buffer_vprintf(&text, fmt, args);
	va_end(args);
	while (text.len > 0 && text.data[text.len - 1] == '\n')
		text.		data[--text.len] = '\0';

	failure->status = status;
	failure->message = text.data;

	if (hint != NULL)
		failure->hint = copy_string(hint);
}

void
failure_of_connection(Failure *failure, PGconn *conn)
{
	failure_set(failure, 503, "The page tries again by itself; if that does not help, look whether the server runs.",
				"%s", PQerrorMessage(conn));
}

static int
status_of(const char *sqlstate)
{
	static const struct
	{
		const char *begins;
		int			status;
	}			known[] = {
		{"42501", 403}, {"P0002", 404}, {"22", 400}, {"23", 409}, {"55P03", 503}, {"55", 409},
		{"25006", 409}, {"53400", 409}, {"57", 503}, {"53", 503}, {"40", 503}
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		if (strncmp(sqlstate, known[i].begins, strlen(known[i].begins)) == 0)
			return known[i].status;
	}
	return 500;
}

void
failure_of_result(Failure *failure, PGconn *conn, const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	Problem		problem = {0};

	if (failure->status != 0)
		return;
	if (sqlstate == NULL || PQstatus(conn) == CONNECTION_BAD)
	{
		failure_of_connection(failure, conn);
		return;
	}
	if (hint != NULL)
		problem_hint(&problem, hint);
	else if (strcmp(sqlstate, "57014") == 0)
		problem_hint(&problem, "The server took longer than the dashboard lets it: --timeout says how long.");
	else if (strcmp(sqlstate, "3F000") == 0 || strcmp(sqlstate, "42P01") == 0 || strcmp(sqlstate, "42883") == 0)
		problem_hint(&problem, "Is the extension amelia in this database, and its schema complete? CREATE EXTENSION amelia makes it, SELECT amelia.migrate() repairs it.");
	problem_hint_grant(&problem, sqlstate, "grant_reader", PQuser(conn));
	failure_set(failure, status_of(sqlstate), problem.hint, "%s", message != NULL ? message : "");
	memcpy(failure->sqlstate, sqlstate, 5);
	if (detail != NULL)
		failure->detail = copy_string(detail);
	problem_clear(&problem);
}

void
failure_clear(Failure *failure)
{
	free(failure->message);
	free(failure->detail);
	free(failure->hint);
	memset(failure, 0, sizeof(*failure));
}
