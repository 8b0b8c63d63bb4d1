/*-------------------------------------------------------------------------
 *
 * pool.h
 *	  Connections, each as the role that asks.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_POOL_H
#define CLIENT_POOL_H

#include <libpq-fe.h>

#include "common/connect.h"
#include "dashboard/failure.h"
#include "dashboard/session.h"

extern void pool_init(const Connection *connection, int size);
extern PGconn *pool_connect(const char *role, const char *password);
extern PGconn *pool_take(const Session *session, Failure *failure);
extern void pool_give(PGconn *conn);
extern void pool_tidy(void);
extern void pool_close(void);

#endif							/* CLIENT_POOL_H */
