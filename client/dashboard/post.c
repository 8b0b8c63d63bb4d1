/*-------------------------------------------------------------------------
 *
 * post.c
 *	  What people do: log in and out, decide, cancel, requeue, send a message.
 *
 * Each form brings back the token that its page had, which no other site can
 * know. What was done leads to a page by a redirect, so that it is not done
 * again when the page is loaded again.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "common/progress.h"
#include "dashboard/answer.h"
#include "dashboard/pool.h"
#include "dashboard/routes.h"
#include "dashboard/shell.h"
#include "dashboard/view.h"
#include "dashboard/views.h"

/* What somebody sent, for the log: on one line, and not too long. */
static const char *
printable(const char *text, char *line, size_t size)
{
	size_t		len = strlen(text);

	if (len >= size)
		len = size - 1;
	memcpy(line, text, len);
	line[len] = '\0';
	for (char *c = line; *c != '\0'; c++)
	{
		if ((unsigned char) *c < ' ' || *c == 127)
			*c = '?';
	}
	return line;
}

static HttpResult
refuse_login(Request *request, int status, const char *message)
{
	Buffer		page = {0};

	shell_login(&page, field(&request->form, "role"), field(&request->form, "next"), message);
	return http_send(request, status, &page);
}

/* Connecting shows whether the password is right; the connection is kept for the first page. */
static HttpResult
log_in(Request *request)
{
	const char *role = field(&request->form, "role");
	const char *password = field(&request->form, "password");
	const char *next = field(&request->form, "next");
	char		address[128];
	char		line[64];
	char		from[64];
	char		why[300];
	char		cookie[200];
	Session    *session;
	Failure		failure = {0};
	PGconn	   *conn;

	http_client_address(request, address, sizeof(address));
	if (role == NULL || password == NULL)
		return refuse_login(request, 400, "A role and its password are needed.");
	if (!attempt_begin(address, role))
	{
		warn("refused an attempt of %s to log in as \"%s\": there were too many",
			 printable(address, from, sizeof(from)), printable(role, line, sizeof(line)));
		return refuse_login(request, 429, "Too many attempts have failed. Try again in some minutes.");
	}
	session = session_begin(role, password, false);
	conn = pool_take(session, &failure);
	attempt_end(address, role, conn == NULL && failure.status == 401);
	if (conn == NULL)
	{
		HttpResult	sent;

		warn("refused %s to log in as \"%s\": %s", printable(address, from, sizeof(from)), printable(role, line, sizeof(line)),
			 printable(failure.message, why, sizeof(why)));
		session_end(session);
		session_release(session);
		/* Where the server is, nobody need know who is not in. */
		sent = refuse_login(request, failure.status, failure.status == 401 ? failure.message :
							"The database does not answer. Try again in a moment.");
		failure_clear(&failure);
		return sent;
	}
	pool_give(conn);
	tell("%s logged in as \"%s\"", printable(address, from, sizeof(from)), printable(role, line, sizeof(line)));
	snprintf(cookie, sizeof(cookie), "%s=%s; %s", http_cookie_name(), session->id, http_cookie_flags());
	session_release(session);
	return http_redirect(request, next != NULL && http_is_local(next) ? next : "/", cookie);
}

static HttpResult
log_out(Request *request)
{
	char		cookie[200];

	snprintf(cookie, sizeof(cookie), "%s=; Max-Age=0; %s", http_cookie_name(), http_cookie_flags());
	session_end(request->session);
	return http_redirect(request, "/login", cookie);
}

static bool
do_decide(View *view, const Fields *form, const char **done)
{
	const char *answer = field(form, "answer");
	bool		approved = answer != NULL && strcmp(answer, "approve") == 0;
	PGresult   *rows;

	if (answer == NULL || (!approved && strcmp(answer, "reject") != 0))
	{
		failure_set(&view->failure, 400, NULL, "an answer is approve or reject");
		return false;
	}
	*done = approved ? "approved" : "rejected";
	rows = view_ask(view, "SELECT FROM amelia.decide($1::uuid, $2::integer, $3::boolean, $4::text)", 4, view->id,
					field(form, "question"), approved ? "true" : "false", field(form, "comment"));
	PQclear(rows);
	return rows != NULL;
}

static bool
do_cancel(View *view, const Fields *form, const char **done)
{
	PGresult   *rows = view_ask(view, "SELECT FROM amelia.request_cancel($1::uuid)", 1, view->id);

	(void) form;
	*done = "cancel";
	PQclear(rows);
	return rows != NULL;
}

static bool
do_requeue(View *view, const Fields *form, const char **done)
{
	const char *failures = field(form, "failures");
	PGresult   *rows = view_ask(view, "SELECT FROM amelia.requeue_workflow($1::uuid, $2::integer)", 2, view->id,
								failures != NULL ? failures : "1");

	*done = "requeued";
	PQclear(rows);
	return rows != NULL;
}

/* What looks like a document is one; other text becomes the text of one. */
static bool
do_send(View *view, const Fields *form, const char **done)
{
	const char *data = field(form, "data");
	bool		document = data != NULL && strchr("{[", data[strspn(data, " \t\r\n")]) != NULL && data[strspn(data, " \t\r\n")] != '\0';
	PGresult   *rows = view_ask(view, document ? "SELECT amelia.send_to_workflow($1::uuid, $2::text, $3::jsonb)" :
								"SELECT amelia.send_to_workflow($1::uuid, $2::text, CASE WHEN $3::text IS NOT NULL THEN jsonb_build_object('text', $3::text) END)",
								3, view->id, field(form, "kind"), data);

	*done = "sent";
	PQclear(rows);
	return rows != NULL;
}

static const struct
{
	const char *name;
	bool		(*act) (View *view, const Fields *form, const char **done);
}			actions[] = {
	{"decide", do_decide}, {"cancel", do_cancel}, {"requeue", do_requeue}, {"send", do_send}
};

/* /workflow/ID/ACTION */
static HttpResult
act(Request *request)
{
	char	   *slash = strrchr(request->path, '/');
	char		id[UUID_TEXT_SIZE];
	char		line[64];
	View		view = {.id = id,.fields = &request->fields};
	const Route *route;
	const char *back = field(&request->form, "back");
	const char *done = NULL;
	int			chosen = -1;
	Buffer		address = {0};
	HttpResult	sent;

	for (int i = 0; i < LENGTH(actions); i++)
	{
		if (strcmp(actions[i].name, slash + 1) == 0)
			chosen = i;
	}
	*slash = '\0';
	route = route_find(request->path, id, &view.sequence);
	if (chosen < 0 || route == NULL || route->lives != BY_WORKFLOW)
	{
		failure_set(&view.failure, 404, NULL, "nothing like that can be done");
		sent = http_failure(request, &view.failure, "/");
		failure_clear(&view.failure);
		return sent;
	}
	if (view_open(&view, request->session, false))
		actions[chosen].act(&view, &request->form, &done);
	view_close(&view);
	tell("\"%s\": %s of workflow %s: %s", printable(request->session->role, line, sizeof(line)), actions[chosen].name, id,
		 view.failure.status == 0 ? "done" : view.failure.sqlstate);
	if (view.failure.status == 0)
	{
		if (back != NULL && http_is_local(back))
			buffer_printf(&address, "%s?done=%s", back, done);
		else
			buffer_printf(&address, "/workflow/%s?done=%s", id, done);
		sent = http_redirect(request, address.data, NULL);
	}
	else
	{
		buffer_printf(&address, "/workflow/%s", id);
		sent = http_failure(request, &view.failure, address.data);
	}
	failure_clear(&view.failure);
	buffer_free(&address);
	return sent;
}

static HttpResult
verify(Request *request)
{
	Buffer		page = {0};
	View		view = {.page = &page,.fields = &request->fields};
	HttpResult	sent;

	shell_begin(&page, "Verify", request->session, NULL);
	page_put(&page, "<h1>Verify</h1>\n");
	if (view_open(&view, request->session, true))
		view_verify(&view);
	if (view_close(&view))
	{
		page_put(&page, "<p><a href=\"/server\">Back</a></p>\n");
		shell_end(&page);
		return http_send(request, 200, &page);
	}
	buffer_free(&page);
	sent = http_failure(request, &view.failure, "/server");
	failure_clear(&view.failure);
	return sent;
}

HttpResult
answer_post(Request *request)
{
	const char *token = field(&request->form, "token");
	Failure		failure = {0};
	HttpResult	sent;

	if (strcmp(request->path, "/login") == 0 && (request->session == NULL || !request->session->own))
		return log_in(request);
	if (request->session == NULL)
		return refuse_login(request, 401, "Your session has ended. Log in, and do it again: nothing was done.");
	if (token == NULL || !same_secret(request->session->token, token))
	{
		failure_set(&failure, 403, "Load the page again, and do it from there.", "the form is not of your session, so nothing was done");
		sent = http_failure(request, &failure, "/");
		failure_clear(&failure);
		return sent;
	}
	if (strcmp(request->path, "/logout") == 0)
		return log_out(request);
	if (strcmp(request->path, "/server/verify") == 0)
		return verify(request);
	return act(request);
}
