/*-------------------------------------------------------------------------
 *
 * connect.c
 *	  Connecting as psql does: connection strings, URIs, services, PG*
 *	  variables and password files by libpq, passwords asked for here.
 *
 *-------------------------------------------------------------------------
 */
#include "common/connect.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/progress.h"
#include "common/util.h"

/* Ask on the terminal, without echo; NULL when there is no terminal. */
static char *
ask_password(const char *user)
{
	FILE	   *terminal = fopen("/dev/tty", "r+");
	struct termios normal;
	struct termios silent;
	char		line[1024];
	char	   *answer = NULL;
	bool		hidden;

	if (terminal == NULL)
		return NULL;
	hidden = tcgetattr(fileno(terminal), &normal) == 0;
	if (user != NULL && *user != '\0')
		fprintf(terminal, "Password for user %s: ", user);
	else
		fputs("Password: ", terminal);
	fflush(terminal);
	if (hidden)
	{
		silent = normal;
		silent.c_lflag &= ~(tcflag_t) ECHO;
		tcsetattr(fileno(terminal), TCSAFLUSH, &silent);
	}
	fseek(terminal, 0, SEEK_CUR);
	if (fgets(line, sizeof(line), terminal) != NULL)
	{
		line[strcspn(line, "\r\n")] = '\0';
		answer = copy_string(line);
	}
	if (hidden)
		tcsetattr(fileno(terminal), TCSAFLUSH, &normal);
	fseek(terminal, 0, SEEK_CUR);
	fputc('\n', terminal);
	fclose(terminal);
	memset(line, 0, sizeof(line));
	return answer;
}

/*
 * One attempt. What stands after dbname overrides what a connection string
 * in it says: the files are UTF-8, so the session is. application_name is a
 * fallback that the user may override.
 */
static PGconn *
connect_once(const Connection *connection, const char *password)
{
	const char *keywords[] = {
		"fallback_application_name", "host", "port", "user", "password",
		"dbname", "client_encoding", NULL
	};
	const char *values[] = {
		program_name, connection->host, connection->port, connection->user, password,
		connection->dbname, "UTF8", NULL
	};

	return PQconnectdbParams(keywords, values, 1);
}

/*
 * The same place as somebody, whoever a connection string names. Nothing is
 * asked for or said; without a password libpq may find one, so who must give
 * one is asked for it before. A network that is gone is noticed within half a
 * minute.
 */
PGconn *
connect_as(const Connection *connection, const char *user, const char *password)
{
	const char *keywords[] = {
		"fallback_application_name", "connect_timeout", "keepalives_idle", "keepalives_interval",
		"keepalives_count", "tcp_user_timeout", "host", "port",
		"dbname", "user", "password", "client_encoding", NULL
	};
	const char *values[] = {
		program_name, "5", "10", "5", "3", "25000", connection->host, connection->port,
		connection->dbname, user, password, "UTF8", NULL
	};

	return PQconnectdbParams(keywords, values, 1);
}

/* What there is to do about a missing extension depends on who asks. */
static const char extension_sql[] =
"SELECT CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_extension AS e"
" WHERE e.extname OPERATOR(pg_catalog.=) 'amelia') THEN NULL"
" WHEN v.name IS NULL THEN 'It is not installed on this server either: its files come with make install or a package.'"
" WHEN pg_catalog.current_setting('is_superuser') OPERATOR(pg_catalog.=) 'on'"
" OR ((v.trusted OR NOT v.superuser)"
" AND pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'))"
" THEN 'Run CREATE EXTENSION amelia in it, or name another database with -d.'"
" WHEN v.trusted OR NOT v.superuser"
" THEN 'Let somebody with CREATE on the database run CREATE EXTENSION amelia in it, or name another one with -d.'"
" ELSE 'Let a superuser run CREATE EXTENSION amelia in it, or name another database with -d.' END"
" FROM (VALUES (1)) AS one (row) LEFT JOIN pg_catalog.pg_available_extension_versions AS v"
" ON v.name OPERATOR(pg_catalog.=) 'amelia' LIMIT 1";

static bool
check_extension(PGconn *conn)
{
	PGresult   *result = PQexec(conn, extension_sql);
	bool		found;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		complain("%s", PQerrorMessage(conn));
		PQclear(result);
		return false;
	}
	found = PQgetisnull(result, 0, 0);
	if (!found)
	{
		Problem		problem = {0};

		problem_set(&problem, 0, "the extension amelia is not there");
		problem_hint(&problem, PQgetvalue(result, 0, 0));
		complain_problem(PQdb(conn), &problem);
		problem_clear(&problem);
	}
	PQclear(result);
	return found;
}

/* NULL, and the reason is said, when there is no usable connection. */
PGconn *
connect_to_server(const Connection *connection)
{
	char	   *password = NULL;
	PGconn	   *conn;

	if (connection->force_password)
		password = ask_password(connection->user);
	conn = connect_once(connection, password);
	if (PQstatus(conn) == CONNECTION_BAD && password == NULL &&
		!connection->never_password && PQconnectionNeedsPassword(conn))
	{
		password = ask_password(PQuser(conn));
		if (password != NULL)
		{
			PQfinish(conn);
			conn = connect_once(connection, password);
		}
	}
	if (password != NULL)
		memset(password, 0, strlen(password));
	free(password);

	if (PQstatus(conn) == CONNECTION_BAD)
	{
		const char *message = PQerrorMessage(conn);
		size_t		len = strlen(message);

		while (len > 0 && message[len - 1] == '\n')
			len--;
		complain("%.*s", (int) len, message);
		PQfinish(conn);
		return NULL;
	}
	PQsetNoticeReceiver(conn, server_notice, NULL);
	if (PQserverVersion(conn) < 150000)
	{
		complain("the server is older than PostgreSQL 15");
		PQfinish(conn);
		return NULL;
	}
	if (!check_extension(conn))
	{
		PQfinish(conn);
		return NULL;
	}
	tell_more("connected to database \"%s\" as user \"%s\"",
			  PQdb(conn), PQuser(conn));
	return conn;
}
