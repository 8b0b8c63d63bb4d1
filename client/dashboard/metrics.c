/*-------------------------------------------------------------------------
 *
 * metrics.c
 *	  amelia.metrics() in the text format that Prometheus reads.
 *
 * Asked for with --metrics only: whoever gets to the address reads the
 * figures, as the role that reads the feed.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "common/progress.h"
#include "dashboard/answer.h"
#include "dashboard/view.h"

/* Labels as the format wants them, and the kind that a name tells. */
static const char metrics_sql[] =
"SELECT m.name, CASE WHEN m.name LIKE '%\\_total' THEN 'counter' ELSE 'gauge' END,"
" replace(replace(m.help, '\\', '\\\\'), E'\\n', '\\n'),"
" (SELECT '{' || string_agg(l.key || '=\"' || replace(replace(replace(l.value, '\\', '\\\\'), '\"', '\\\"'), E'\\n', '\\n') || '\"', ','"
" ORDER BY l.key) || '}' FROM jsonb_each_text(m.labels) AS l), m.value"
" FROM amelia.metrics() AS m ORDER BY m.name COLLATE \"C\", m.labels::text COLLATE \"C\"";

static void
put_metrics(Buffer *text, const PGresult *rows)
{
	for (int i = 0; i < PQntuples(rows); i++)
	{
		const char *name = value_of(rows, i, 0);

		if (i == 0 || strcmp(name, value_of(rows, i - 1, 0)) != 0)
			buffer_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, value_of(rows, i, 2), name, value_of(rows, i, 1));
		buffer_printf(text, "%s%s %s\n", name, PQgetisnull(rows, i, 3) ? "" : value_of(rows, i, 3), value_of(rows, i, 4));
	}
}

HttpResult
answer_metrics(Request *request)
{
	View		view = {.fields = &request->fields,.path = request->path,.id = "",.token = ""};
	Buffer text = {0};
	PGresult   *rows = NULL;
	int			status = 200;
	struct MHD_Response *response;

	buffer_reset(&text);
	if (view_open(&view, request->session, true))
		rows = view_ask(&view, metrics_sql, 0);
	if (rows != NULL)
		put_metrics(&text, rows);
	PQclear(rows);
	if (!view_close(&view) || view.failure.status != 0)
	{
		/*
		 * Whoever scrapes wants a status; why it is so is the operator's
		 * affair.
		 */
		tell_more("/metrics: %s", view.failure.message);
		buffer_reset(&text);
		buffer_puts(&text, "the figures could not be read\n");
		status = 503;
	}
	failure_clear(&view.failure);
	response = MHD_create_response_from_buffer(text.len, text.data, MHD_RESPMEM_MUST_FREE);
	MHD_add_response_header(response, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
	return http_respond(request, status, response);
}
