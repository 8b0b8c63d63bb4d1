/*-------------------------------------------------------------------------
 *
 * failure.h
 *	  Why there is no answer.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_FAILURE_H
#define CLIENT_FAILURE_H

#include <libpq-fe.h>

#include "common/util.h"

typedef struct Failure
{
	int			status;			/* of HTTP; 0: there is none */
	char		sqlstate[6];
	char	   *message;
	char	   *detail;
	char	   *hint;
} Failure;

extern void failure_set(Failure *failure, int status, const char *hint, const char *fmt,...)
			PRINTF_LIKE(4, 5);
extern void failure_of_connection(Failure *failure, PGconn *conn);
extern void failure_of_result(Failure *failure, PGconn *conn, const PGresult *result);
extern void failure_clear(Failure *failure);

#endif							/* CLIENT_FAILURE_H */
