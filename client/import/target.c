/*-------------------------------------------------------------------------
 *
 * target.c
 *	  The PostgreSQL side: connections, and statements whose failure is said.
 *
 * There are two connections besides those that load: one keeps the run's
 * books, and one, the guard, holds in an open transaction what keeps a second
 * import, and retention, away. It reads no row, so it holds back no vacuum.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "import/import.h"

/* "amelia_import" */
#define LOCK_KEY "7308332183957530000"

Loader	   *connections = NULL;
PGconn	   *guard = NULL;
PGconn	   *db = NULL;

int			nconnections = 0;
static bool lost = false;

/*
 * What makes a value mean the same in every session. What is loaded has
 * happened already: amelia.history says so to the triggers. Commits need not
 * wait for the disk, because the ledger commits with the rows.
 */
static const char settings[] =
"SET search_path = ''; SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres';"
" SET extra_float_digits = 1; SET bytea_output = 'hex'; SET statement_timeout = 0; SET lock_timeout = 0;"
" SET idle_in_transaction_session_timeout = 0; SET default_transaction_isolation = 'read committed';"
" SET standard_conforming_strings = on; SET row_security = off; SET jit = off; SET work_mem = '64MB'";

/* Errors of the server, in one line each; a lost connection is said once. */
void
sql_failed(PGconn *conn, const PGresult *result)
{
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);

	if (PQstatus(conn) == CONNECTION_BAD)
	{
		if (!lost)
			complain("connection to the server lost");
		lost = true;
	}
	else if (primary != NULL)
		complain("%s (SQLSTATE %s)%s%s", primary, state != NULL ? state : "unknown",
				 hint != NULL ? ". " : "", hint != NULL ? hint : "");
	else
		complain("%s", PQerrorMessage(conn));
}

bool
target_lost(void)
{
	return lost;
}

/* Statements without a result; several may stand in one text. */
bool
sql_do(PGconn *conn, const char *sql)
{
	PGresult   *result = PQexec(conn, sql);
	bool		done = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;

	if (!done)
		sql_failed(conn, result);
	PQclear(result);
	return done;
}

/* The rows of a query, or NULL. */
PGresult *
sql_ask(PGconn *conn, const char *sql, int nparams, const char *const *params)
{
	PGresult   *result = PQexecParams(conn, sql, nparams, NULL, params, NULL, NULL, 0);

	if (PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK)
		return result;
	sql_failed(conn, result);
	PQclear(result);
	return NULL;
}

/* The first value, NULL for none; the query may not fail for another reason than that of the whole. */
char *
sql_value(PGconn *conn, const char *sql, int nparams, const char *const *params)
{
	PGresult   *result = sql_ask(conn, sql, nparams, params);
	char	   *value = NULL;

	if (result != NULL && PQntuples(result) > 0 && !PQgetisnull(result, 0, 0))
		value = copy_string(PQgetvalue(result, 0, 0));
	PQclear(result);
	return value;
}

void
add_identifier(Buffer *buf, const char *name)
{
	buffer_add(buf, "\"", 1);
	for (; *name != '\0'; name++)
		buffer_add(buf, *name == '"' ? "\"\"" : name, *name == '"' ? 2 : 1);
	buffer_add(buf, "\"", 1);
}

void
add_literal(Buffer *buf, const char *text)
{
	buffer_add(buf, "'", 1);
	for (; *text !='\0'; text ++)
		buffer_add(buf, *text == '\'' ? "''" : text, *text == '\'' ? 2 : 1);
	buffer_add(buf, "'", 1);
}

static PGconn *
open_one(bool writes)
{
	PGconn	   *conn = connect_to_server(&import.connection);

	if (conn == NULL)
		return NULL;
	if (!sql_do(conn, settings) ||
		(writes && !sql_do(conn, "SET synchronous_commit = off; SET amelia.history = on")))
	{
		PQfinish(conn);
		return NULL;
	}
	return conn;
}

static bool
is_true(const char *sql, const char *param)
{
	const char *params[] = {param};
	char	   *answer = sql_value(db, sql, param != NULL, params);
	bool		result = answer != NULL && strcmp(answer, "t") == 0;

	free(answer);
	return result;
}

/* The extension, its functions and its tables' owner: each in one clear line. */
static bool
check_target(const SystemMap *system, bool writes)
{
	if (!is_true("SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = $1)", system->extension))
	{
		complain("database \"%s\" has not the extension %s; connect as its owner and run CREATE EXTENSION %s CASCADE",
				 PQdb(db), system->extension, system->extension);
		return false;
	}
	if (!is_true("SELECT pg_catalog.to_regprocedure('amelia.table_checksum(regclass,name,name[])') IS NOT NULL", NULL))
	{
		complain("the schema of Amelia in database \"%s\" is older than this program; install its version on the server,"
				 " then run SELECT amelia.migrate()", PQdb(db));
		return false;
	}
	if (is_true("SELECT pg_catalog.pg_is_in_recovery()", NULL) && writes)
	{
		complain("the server is a standby; load into its primary");
		return false;
	}
	for (const TableMap *map = system->tables; map->source != NULL; map++)
	{
		Buffer		name = {0};
		bool		found;
		bool		may;

		add_identifier(&name, system->schema);
		buffer_puts(&name, ".");
		add_identifier(&name, map->target);
		found = is_true("SELECT pg_catalog.to_regclass($1) IS NOT NULL", name.data);
		may = found && is_true(writes ? "SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class AS c"
							   " WHERE c.oid = $1::regclass" :
							   "SELECT pg_catalog.has_table_privilege($1::regclass, 'SELECT')", name.data);
		if (!found)
			complain("table %s.%s is not there; run SELECT %s.migrate()", system->schema, map->target, system->schema);
		else if (!may)
			complain(writes ? "user \"%s\" does not own table %s.%s, and only its owner may load it" :
					 "user \"%s\" may not read table %s.%s", PQuser(db), system->schema, map->target);
		buffer_free(&name);
		if (!may)
			return false;
	}
	return true;
}

/* One import at a time, and nobody who deletes what is being loaded. */
static bool
take_guard(const SystemMap *system)
{
	char	   *answer;
	bool		taken;

	guard = open_one(true);
	if (guard == NULL || !sql_do(guard, "BEGIN"))
		return false;
	answer = sql_value(guard, "SELECT pg_catalog.pg_try_advisory_xact_lock(" LOCK_KEY ")", 0, NULL);
	taken = answer != NULL && strcmp(answer, "t") == 0;
	if (!taken && answer != NULL)
		complain("another amelia-import works on database \"%s\"", PQdb(guard));
	free(answer);
	return taken && (system->hold == NULL || sql_do(guard, system->hold));
}

bool
target_open(const SystemMap *system, bool writes)
{
	db = open_one(writes);
	if (db == NULL || (system != NULL && !check_target(system, writes)))
		return false;
	if (!writes)
		return true;
	if (system != NULL && !take_guard(system))
		return false;
	connections = allocate((size_t) import.jobs * sizeof(Loader));
	for (nconnections = 0; nconnections < import.jobs; nconnections++)
	{
		connections[nconnections].conn = open_one(true);
		if (connections[nconnections].conn == NULL)
			return false;
	}
	return true;
}

void
target_close(void)
{
	for (int i = 0; i < nconnections; i++)
		PQfinish(connections[i].conn);
	PQfinish(guard);
	PQfinish(db);
}
