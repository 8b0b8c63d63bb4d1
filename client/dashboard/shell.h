/*-------------------------------------------------------------------------
 *
 * shell.h
 *	  What stands around a view on its page.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_SHELL_H
#define CLIENT_SHELL_H

#include "common/util.h"
#include "dashboard/failure.h"
#include "dashboard/routes.h"
#include "dashboard/session.h"

extern void shell_begin(Buffer *page, const char *title, const Session *session, const Route *here);
extern void shell_end(Buffer *page);
extern void shell_failure(Buffer *page, const Failure *failure, const char *back);
extern void shell_login(Buffer *page, const char *role, const char *next, const char *message);

#endif							/* CLIENT_SHELL_H */
