/*-------------------------------------------------------------------------
 *
 * http.h
 *	  Requests and what is answered to them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_HTTP_H
#define CLIENT_HTTP_H

#include <stdbool.h>
#include <stdint.h>
#include <microhttpd.h>

#include "common/util.h"
#include "dashboard/fields.h"
#include "dashboard/failure.h"
#include "dashboard/session.h"

typedef struct HttpOptions
{
	const char *listen;			/* ADDRESS:PORT */
	const char *name;			/* of the host, that is served besides
								 * addresses */
	bool		proxy;			/* one that speaks TLS stands before it */
	Session    *own;			/* NULL: everybody logs in */
	Session    *metrics;		/* whose figures /metrics shows; NULL: none */
} HttpOptions;

typedef struct Request
{
	struct MHD_Connection *connection;
	char	   *uri;			/* as it came */
	char	   *path;
	Fields		fields;
	Fields		form;
	Buffer		body;
	bool		begun;
	bool		too_long;
	bool		is_post;
	Session    *session;
} Request;

typedef enum MHD_Result HttpResult;

extern bool http_start(const HttpOptions *options, char *address, size_t size);
extern void http_stop(void);
extern HttpResult http_send(Request *request, int status, Buffer *page);
extern HttpResult http_redirect(Request *request, const char *address, const char *cookie);
extern HttpResult http_failure(Request *request, const Failure *failure, const char *back);
extern HttpResult http_respond(Request *request, int status, struct MHD_Response *response);
extern bool http_is_local(const char *address);
extern void http_client_address(Request *request, char *text, size_t size);
extern const char *http_cookie_name(void);
extern const char *http_cookie_flags(void);

#endif							/* CLIENT_HTTP_H */
