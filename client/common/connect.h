/*-------------------------------------------------------------------------
 *
 * connect.h
 *	  The connection to the server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_CONNECT_H
#define CLIENT_CONNECT_H

#include <stdbool.h>
#include <libpq-fe.h>

/* Whom to connect to, as psql's options say it; NULL: what libpq takes then. */
typedef struct Connection
{
	const char *dbname;
	const char *host;
	const char *port;
	const char *user;
	bool		never_password;
	bool		force_password;
} Connection;

extern PGconn *connect_to_server(const Connection *connection);
extern PGconn *connect_as(const Connection *connection, const char *user, const char *password);

/* Exit status; docs/amelia-load.md promises these numbers. */
#define EXIT_SOME_FAILED 1
#define EXIT_NO_CONNECTION 2
#define EXIT_USAGE 3

#endif							/* CLIENT_CONNECT_H */
