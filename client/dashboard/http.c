/*-------------------------------------------------------------------------
 *
 * http.c
 *	  Requests and what is answered to them, with libmicrohttpd.
 *
 * Each connection has a thread: it may wait for the database, and for what an
 * open page is to be told. Each answer says that nothing but this server's own
 * style and script may be loaded, and that no other site may show it in a frame.
 *
 *-------------------------------------------------------------------------
 */
#define _DEFAULT_SOURCE			/* explicit_bzero() */
#include "dashboard/http.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/progress.h"
#include "dashboard/answer.h"
#include "dashboard/shell.h"

#define MAX_BODY (64 * 1024)
#define STACK_SIZE (512 * 1024)
#define SILENCE_SECONDS 60

static struct MHD_Daemon *server;
static const HttpOptions *options;
static char cookie_name[32];

/* Adds what each answer has, sends it, and lets go of it. */
HttpResult
http_respond(Request *request, int status, struct MHD_Response *response)
{
	static const char *const headers[][2] = {
		{"Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self';"
		" form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
		{"X-Content-Type-Options", "nosniff"},
		{"X-Frame-Options", "DENY"},
		{"Referrer-Policy", "same-origin"},
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Cross-Origin-Resource-Policy", "same-origin"}
	};
	HttpResult	sent;

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		MHD_add_response_header(response, headers[i][0], headers[i][1]);
	if (MHD_get_response_header(response, "Cache-Control") == NULL)
		MHD_add_response_header(response, "Cache-Control", "no-store");
	sent = MHD_queue_response(request->connection, (unsigned int) status, response);
	MHD_destroy_response(response);
	return sent;
}

/* Sends a page, whose memory goes over. */
HttpResult
http_send(Request *request, int status, Buffer *page)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(page->len, page->data, MHD_RESPMEM_MUST_FREE);

	MHD_add_response_header(response, "Content-Type", "text/html; charset=utf-8");
	if (status == 503)
		MHD_add_response_header(response, "Retry-After", "5");
	memset(page, 0, sizeof(*page));
	return http_respond(request, status, response);
}

/* To an address of this server; cookie: NULL, or one to set. */
HttpResult
http_redirect(Request *request, const char *address, const char *cookie)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);

	MHD_add_response_header(response, "Location", address);
	if (cookie != NULL)
		MHD_add_response_header(response, "Set-Cookie", cookie);
	return http_respond(request, 303, response);
}

HttpResult
http_failure(Request *request, const Failure *failure, const char *back)
{
	Buffer		page = {0};

	shell_begin(&page, failure->status == 404 ? "There is no such thing" : "This failed", request->session, NULL);
	shell_failure(&page, failure, back);
	shell_end(&page);
	return http_send(request, failure->status, &page);
}

static HttpResult
fail(Request *request, int status, const char *message, const char *hint)
{
	Failure		failure = {0};
	HttpResult	sent;

	failure_set(&failure, status, hint, "%s", message);
	sent = http_failure(request, &failure, "/");
	failure_clear(&failure);
	return sent;
}

/* An address that leads nowhere else: browsers take \ for /, and // for a host. */
bool
http_is_local(const char *address)
{
	if (address[0] != '/' || address[1] == '/')
		return false;
	for (; *address != '\0'; address++)
	{
		if ((unsigned char) *address <= ' ' || *address == '\\')
			return false;
	}
	return true;
}

/* Of several headers of one name, the last. */
static HttpResult
keep_last(void *last, enum MHD_ValueKind kind, const char *name, const char *value)
{
	(void) kind;
	if (value != NULL && strcasecmp(name, "X-Forwarded-For") == 0)
		*(const char **) last = value;
	return MHD_YES;
}

/* Behind a proxy, whom that one saw: what stands before, in the header or in others of its name, anybody can write. */
void
http_client_address(Request *request, char *text, size_t size)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const char *forwarded = NULL;

	if (options->proxy)
		MHD_get_connection_values(request->connection, MHD_HEADER_KIND, keep_last, &forwarded);
	snprintf(text, size, "?");
	if (forwarded != NULL)
	{
		const char *last = strrchr(forwarded, ',');

		last = last != NULL ? last + 1 : forwarded;
		snprintf(text, size, "%s", last + strspn(last, " "));
	}
	else if (info != NULL && info->client_addr != NULL)
		getnameinfo(info->client_addr, info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) :
					sizeof(struct sockaddr_in), text, (socklen_t) size, NULL, 0, NI_NUMERICHOST);
}

const char *
http_cookie_name(void)
{
	return cookie_name;
}

const char *
http_cookie_flags(void)
{
	return options->proxy ? "Path=/; HttpOnly; SameSite=Lax; Secure" : "Path=/; HttpOnly; SameSite=Lax";
}

/*
 * Where nobody logs in, a page of another site must not get here under a name
 * of its own (DNS rebinding): only addresses are served, and the name that the
 * operator gave.
 */
static bool
host_is_ours(Request *request)
{
	const char *host = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Host");
	size_t		len;

	if (options->own == NULL)
		return true;
	if (host == NULL)
		return false;
	if (host[0] == '[')
		return true;
	len = strcspn(host, ":");
	return strspn(host, "0123456789.") == len || strncasecmp(host, "localhost", len > 9 ? len : 9) == 0 ||
		(options->name != NULL && strlen(options->name) == len && strncasecmp(host, options->name, len) == 0);
}

/*
 * Whether a page of another site has sent a form. Browsers that do not say so
 * say from where it comes; behind a proxy the port may be another.
 */
static bool
is_foreign(Request *request)
{
	const char *site = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Sec-Fetch-Site");
	const char *origin = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Origin");
	const char *host = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Host");
	size_t		len;

	if (site != NULL)
		return strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0;
	if (origin == NULL)
		return false;
	origin = strstr(origin, "://");
	if (origin == NULL || host == NULL)
		return true;
	origin += 3;
	/* [::1]:80 has colons within. */
	len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
	return strlen(origin) < len || strncasecmp(origin, host, len) != 0 || (origin[len] != '\0' && origin[len] != ':');
}

static HttpResult
answer(Request *request)
{
	const char *cookie = MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, http_cookie_name());

	if (request->path == NULL)
		return fail(request, 400, "the address is malformed", NULL);
	if (!host_is_ours(request))
		return fail(request, 403, "this name is not served", "Start amelia-dashboard with --name=NAME to have it served under a name.");
	if (request->too_long)
		return fail(request, 413, "what was sent is too long", "A comment or a message has 64 kilobytes at most.");
	if (request->is_post && is_foreign(request))
		return fail(request, 403, "another site has sent this", NULL);
	if (request->is_post && !fields_parse(&request->form, request->body.len > 0 ? request->body.data : "", request->body.len))
		return fail(request, 400, "the form is malformed", NULL);

	if (options->own != NULL)
		request->session = session_hold(options->own);
	else if (cookie != NULL)
		request->session = session_find(cookie, strcmp(request->path, "/live") != 0);
	return request->is_post ? answer_post(request) : answer_get(request);
}

/* The address as it came: libmicrohttpd takes it apart otherwise. */
static void *
begin_request(void *cls, const char *uri, struct MHD_Connection *connection)
{
	Request    *request = allocate(sizeof(*request));
	size_t		len = strcspn(uri, "?");

	(void) cls;
	request->connection = connection;
	request->uri = copy_string(uri);
	if (uri[0] == '/' &&
		fields_parse(&request->fields, uri + len + (uri[len] == '?'), strlen(uri + len) - (uri[len] == '?')))
	{
		request->path = copy_string(uri);
		request->path[len] = '\0';
	}
	return request;
}

static HttpResult
handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
	   const char *version, const char *data, size_t *size, void **state)
{
	Request    *request = *state;

	(void) cls;
	(void) connection;
	(void) url;
	(void) version;
	if (!request->begun)
	{
		request->begun = true;
		request->is_post = strcmp(method, "POST") == 0;
		if (!request->is_post && strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
			return fail(request, 405, "only GET, HEAD and POST are known here", NULL);
		return MHD_YES;
	}
	if (*size > 0)
	{
		request->too_long |= request->body.len + *size > MAX_BODY;
		if (!request->too_long)
			buffer_add(&request->body, data, *size);
		*size = 0;
		return MHD_YES;
	}
	return answer(request);
}

static void
end_request(void *cls, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
	Request    *request = *state;

	(void) cls;
	(void) connection;
	(void) code;
	if (request == NULL)
		return;
	session_release(request->session);
	fields_free(&request->fields);
	fields_free(&request->form);
	if (request->body.data != NULL)
		explicit_bzero(request->body.data, request->body.capacity);
	buffer_free(&request->body);
	free(request->path);
	free(request->uri);
	free(request);
	*state = NULL;
}

/* libmicrohttpd's own words, without what a client sent. */
static void
log_error(void *cls, const char *format, va_list args)
{
	Buffer text = {0};

	(void) cls;
	buffer_vprintf(&text, format, args);
	while (text.len > 0 && text.data[text.len - 1] == '\n')
		text.		data[--text.len] = '\0';

	tell_more("%s", text.data);
	buffer_free(&text);
}

/* False, and the reason is said, when it cannot listen there. */
bool
http_start(const HttpOptions *with, char *address, size_t size)
{
	char	   *host = copy_string(with->listen);
	char	   *port = strrchr(host, ':');
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	const union MHD_DaemonInfo *info;
	char		numeric[128] = "?";
	int			error;

	options = with;
	if (port == NULL)
	{
		complain("--listen must be an address and a port, not \"%s\"", with->listen);
		free(host);
		return false;
	}
	*port++ = '\0';
	if (host[0] == '[' && strlen(host) > 1)
	{
		host[strlen(host) - 1] = '\0';
		error = getaddrinfo(host + 1, port, &hints, &found);
	}
	else
		error = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &found);
	free(host);
	if (error != 0)
	{
		complain("cannot listen on \"%s\": %s", with->listen, gai_strerror(error));
		return false;
	}
	server = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_ERROR_LOG |
							  (found->ai_family == AF_INET6 ? MHD_USE_IPv6 : 0), 0, NULL, NULL, handle, NULL,
							  MHD_OPTION_EXTERNAL_LOGGER, log_error, NULL,
							  MHD_OPTION_SOCK_ADDR, found->ai_addr,
							  MHD_OPTION_URI_LOG_CALLBACK, begin_request, NULL,
							  MHD_OPTION_NOTIFY_COMPLETED, end_request, NULL,
							  MHD_OPTION_CONNECTION_LIMIT, (unsigned int) MAX_CONNECTIONS,
							  MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int) SILENCE_SECONDS,
							  MHD_OPTION_THREAD_STACK_SIZE, (size_t) STACK_SIZE,
							  MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,
							  MHD_OPTION_END);
	if (server == NULL)
	{
		complain("cannot listen on \"%s\"; is something else there?", with->listen);
		freeaddrinfo(found);
		return false;
	}
	info = MHD_get_daemon_info(server, MHD_DAEMON_INFO_BIND_PORT);

	/*
	 * A cookie of this prefix is taken over TLS only, and for this host only.
	 * Ports of one host share their cookies: each has its name.
	 */
	if (options->proxy)
		snprintf(cookie_name, sizeof(cookie_name), "__Host-amelia");
	else
		snprintf(cookie_name, sizeof(cookie_name), "amelia-%d", info != NULL ? info->port : 0);
	getnameinfo(found->ai_addr, found->ai_addrlen, numeric, sizeof(numeric), NULL, 0, NI_NUMERICHOST);
	snprintf(address, size, found->ai_family == AF_INET6 ? "http://[%s]:%d/" : "http://%s:%d/", numeric,
			 info != NULL ? info->port : 0);
	freeaddrinfo(found);
	return true;
}

/* hub_stop() comes before: threads that wait come back then. */
void
http_stop(void)
{
	MHD_stop_daemon(server);
}
