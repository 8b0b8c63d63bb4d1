/*-------------------------------------------------------------------------
 *
 * get.c
 *	  Pages, the files that they need, and what is saved.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "dashboard/answer.h"
#include "dashboard/assets.h"
#include "dashboard/routes.h"
#include "dashboard/shell.h"
#include "dashboard/view.h"
#include "page/page.h"

/* What of an event can be saved, each with its statement. */
static const char *const saved[][2] = {
	{"/message", "SELECT e.message FROM amelia.workflow_log AS e WHERE e.workflow_id = $1::uuid AND e.sequence = $2::integer"},
	{"/data", "SELECT e.data::text FROM amelia.workflow_log AS e WHERE e.workflow_id = $1::uuid AND e.sequence = $2::integer"},
	{"/tool_input", "SELECT e.tool_input::text FROM amelia.workflow_log AS e WHERE e.workflow_id = $1::uuid AND e.sequence = $2::integer"}
};

static HttpResult
send_asset(Request *request, const Asset *asset)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(asset->len, (void *) asset->data, MHD_RESPMEM_PERSISTENT);

	MHD_add_response_header(response, "Content-Type", asset->type);
	/* Its address changes with it. */
	MHD_add_response_header(response, "Cache-Control", "public, max-age=604800");
	return http_respond(request, 200, response);
}

static void
clear_result(void *result)
{
	PQclear(result);
}

/* Sent from where libpq has put it, for it may be long. */
static HttpResult
send_saved(Request *request, View *view, const char *sql)
{
	char		number[16];
	PGresult   *rows = NULL;
	struct MHD_Response *response;

	snprintf(number, sizeof(number), "%d", view->sequence);
	if (view_open(view, request->session, true))
		rows = view_ask(view, sql, 2, view->id, number);
	if (rows != NULL && (PQntuples(rows) == 0 || PQgetisnull(rows, 0, 0)))
		failure_set(&view->failure, 404, NULL, "workflow %s has no such event, or it has none of this", view->id);
	if (!view_close(view))
	{
		PQclear(rows);
		return MHD_NO;
	}
	response = MHD_create_response_from_buffer_with_free_callback_cls((size_t) PQgetlength(rows, 0, 0), PQgetvalue(rows, 0, 0),
																	  clear_result, rows);
	MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8");
	MHD_add_response_header(response, "Content-Disposition", "attachment; filename=\"event.txt\"");
	return http_respond(request, 200, response);
}

/* The path of an event without what is to be saved of it; NULL where nothing is. */
static const char *
find_saved(char *path)
{
	for (int i = 0; i < LENGTH(saved); i++)
	{
		size_t		len = strlen(path);
		size_t		end = strlen(saved[i][0]);

		if (len > end && strcmp(path + len - end, saved[i][0]) == 0 && strstr(path, "/event/") != NULL)
		{
			path[len - end] = '\0';
			return saved[i][1];
		}
	}
	return NULL;
}

/* What was done, said by an address that a form led to. */
static const char *
said(const char *done)
{
	static const char *const words[][2] = {
		{"approved", "Approved."}, {"rejected", "Rejected."}, {"cancel", "Its end was asked for."},
		{"requeued", "It is in the queue again."}, {"sent", "The message is in its inbox."}
	};

	for (int i = 0; done != NULL && i < LENGTH(words); i++)
	{
		if (strcmp(words[i][0], done) == 0)
			return words[i][1];
	}
	return NULL;
}

static HttpResult
send_page(Request *request, const Route *route, View *view)
{
	Buffer		part = {0};
	Buffer		page = {0};
	char		title[80];
	const char *done = said(field(&request->fields, "done"));
	bool		shown;
	HttpResult	sent;

	buffer_reset(&part);
	view->page = &part;
	shown = view_open(view, request->session, true) && route->show(view);
	if (!view_close(view) || !shown)
	{
		buffer_free(&part);
		return MHD_NO;
	}
	snprintf(title, sizeof(title), "Workflow %s", view->id);
	shell_begin(&page, route->title != NULL ? route->title : title, request->session, route);
	if (done != NULL)
		page_put(&page, "<p class=\"done\" role=\"status\">%s</p>\n", done);
	if (route->title != NULL)
		page_put(&page, "<h1>%s</h1>\n", route->title);
	if (route->lives != LASTS)
		page_put(&page, "<div id=\"live\"%r>\n", route->lives == BY_WORKFLOW ? " data-part=\"head\"" : " data-part=\"live\"");
	buffer_add(&page, part.data, part.len);
	if (route->lives != LASTS)
		page_put(&page, "</div>\n");
	shell_end(&page);
	buffer_free(&part);
	sent = http_send(request, 200, &page);
	return sent;
}

/* To the form, which leads back here; a page that lives is only told. */
static HttpResult
send_to_login(Request *request)
{
	Buffer		address = {0};
	HttpResult	sent;

	if (strcmp(request->path, "/live") == 0)
	{
		Buffer		page = {0};

		shell_login(&page, NULL, NULL, NULL);
		return http_send(request, 401, &page);
	}
	page_put(&address, "/login?next=%a", request->uri);
	sent = http_redirect(request, address.data, NULL);
	buffer_free(&address);
	return sent;
}

static HttpResult
send_login(Request *request)
{
	Buffer		page = {0};

	shell_login(&page, NULL, field(&request->fields, "next"), NULL);
	return http_send(request, 200, &page);
}

HttpResult
answer_get(Request *request)
{
	const Asset *asset = asset_find(request->path);
	char		id[UUID_TEXT_SIZE] = "";
	View		view = {.fields = &request->fields,.id = id};
	const char *sql;
	const Route *route;
	HttpResult	sent;

	if (asset != NULL)
		return send_asset(request, asset);
	if (strcmp(request->path, "/login") == 0 && (request->session == NULL || !request->session->own))
		return send_login(request);
	if (request->session == NULL)
		return send_to_login(request);
	if (strcmp(request->path, "/live") == 0)
		return answer_live(request);
	view.path = request->path;
	view.token = request->session->token;
	sql = find_saved(request->path);
	route = route_find(request->path, id, &view.sequence);
	if (route == NULL)
	{
		failure_set(&view.failure, 404, "A workflow's page is /workflow/ and its id.", "there is no page %s", request->path);
		sent = MHD_NO;
	}
	else
		sent = sql != NULL ? send_saved(request, &view, sql) : send_page(request, route, &view);
	if (view.failure.status == 401 && !request->session->own)
	{
		session_end(request->session);
		sent = send_to_login(request);
	}
	else if (view.failure.status != 0)
		sent = http_failure(request, &view.failure, "/");
	failure_clear(&view.failure);
	return sent;
}
