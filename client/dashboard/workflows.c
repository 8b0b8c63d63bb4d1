/*-------------------------------------------------------------------------
 *
 * workflows.c
 *	  The list of workflows, by pages, with filters.
 *
 * A page follows the cursor of amelia.list_workflows(): started_at and id of
 * the last row seen, written as one field. The order is the same: the newest
 * start first, those that never started last.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "dashboard/views.h"
#include "page/page.h"

#define PAGE_ROWS 50

/* $1 status, $2 profile, $3 type, $4 worktree, $5 text, $6 and $7 the cursor. */
#define FILTERS \
	" AND ($1::text IS NULL OR w.status = $1) AND ($2::text IS NULL OR w.profile_id = $2)" \
	" AND ($3::text IS NULL OR w.workflow_type = $3) AND ($4::text IS NULL OR starts_with(w.worktree_path, $4))" \
	" AND ($5::text IS NULL OR strpos(lower(w.issue_id), lower($5)) > 0" \
	" OR strpos(lower(w.issue_cache::text), lower($5)) > 0)" \
	" ORDER BY w.started_at DESC NULLS LAST, w.id DESC LIMIT 51"

static const char list_sql[] =
"SELECT left(p.issue_id, 300), p.id, p.status, NULLIF(p.workflow_type, 'full'), left(p.profile_id, 300), left(p.worktree_path, 300), p.started_at,"
" date_trunc('second', COALESCE(p.completed_at, CASE WHEN p.status IN ('in_progress', 'blocked') THEN now() END) - p.started_at),"
" to_char(u.cost, 'FM999,999,990.00'), to_char(u.tokens, 'FM999,999,999,999,990'), left(e.event_type, 300), e.\"timestamp\","
" COALESCE(p.started_at::text, '-') || ',' || p.id, p.cancel_requested, left(p.issue_cache ->> 'title', 200),"
" left(e.message, 160)"
" FROM (SELECT o.* FROM ((SELECT w.* FROM amelia.workflows AS w"
" WHERE ($7::uuid IS NULL OR $6::timestamptz IS NOT NULL) AND w.started_at IS NOT NULL"
" AND (w.started_at, w.id) <= (COALESCE($6::timestamptz, 'infinity'), COALESCE($7::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))"
" AND w.id IS DISTINCT FROM $7::uuid" FILTERS ")"
" UNION ALL (SELECT w.* FROM amelia.workflows AS w WHERE w.started_at IS NULL"
" AND ($7::uuid IS NULL OR $6::timestamptz IS NOT NULL OR w.id < $7::uuid)" FILTERS ")) AS o"
" ORDER BY o.started_at DESC NULLS LAST, o.id DESC LIMIT 51) AS p"
" LEFT JOIN LATERAL (SELECT l.event_type, l.\"timestamp\", l.message FROM amelia.workflow_log AS l"
" WHERE l.workflow_id = p.id ORDER BY l.sequence DESC LIMIT 1) AS e ON true"
" LEFT JOIN LATERAL (SELECT sum(t.cost_usd) AS cost, sum(t.input_tokens::bigint + t.output_tokens) AS tokens"
" FROM amelia.token_usage AS t WHERE t.workflow_id = p.id) AS u ON true"
" ORDER BY p.started_at DESC NULLS LAST, p.id DESC";

static const char counts_sql[] =
"SELECT s.status, COALESCE(c.number, 0) FROM unnest(ARRAY['in_progress', 'blocked', 'pending', 'failed', 'completed', 'cancelled'])"
" WITH ORDINALITY AS s (status, place) LEFT JOIN (SELECT w.status, count(*) FROM amelia.workflows AS w GROUP BY w.status)"
" AS c (status, number) USING (status) ORDER BY s.place";

static const char profiles_sql[] = "SELECT p.id FROM amelia.profiles AS p ORDER BY p.id LIMIT 200";

static const char *const names[] = {"status", "profile", "type", "worktree", "q"};

/* The list's address with the filters as they are, but for one of them. */
static void
put_address(View *view, const char *other, const char *value)
{
	const char *separator = "?";

	page_put(view->page, "/");
	for (int i = 0; i < LENGTH(names); i++)
	{
		const char *is = strcmp(names[i], other) == 0 ? value : field(view->fields, names[i]);

		if (is == NULL)
			continue;
		page_put(view->page, "%s%s=%a", separator, names[i], is);
		separator = "&";
	}
	if (strcmp(other, "after") == 0)
		page_put(view->page, "%safter=%a", separator, value);
}

static bool
put_statuses(View *view)
{
	PGresult   *counts = view_ask(view, counts_sql, 0);
	const char *chosen = field(view->fields, "status");

	if (counts == NULL)
		return false;
	page_put(view->page, "<nav class=\"tabs\" aria-label=\"Status\"><a href=\"");
	put_address(view, "status", NULL);
	page_put(view->page, "\"%r>all</a>", chosen == NULL ? " aria-current=\"true\"" : "");
	for (int row = 0; row < PQntuples(counts); row++)
	{
		const char *status = PQgetvalue(counts, row, 0);

		page_put(view->page, " <a href=\"");
		put_address(view, "status", status);
		page_put(view->page, "\"%r>%s <b>%s</b></a>",
				 chosen != NULL && strcmp(chosen, status) == 0 ? " aria-current=\"true\"" : "",
				 status, PQgetvalue(counts, row, 1));
	}
	page_put(view->page, "</nav>\n");
	PQclear(counts);
	return true;
}

static bool
put_filters(View *view)
{
	static const char *const types[] = {"full", "review"};
	const char *type = field(view->fields, "type");
	PGresult   *profiles = view_ask(view, profiles_sql, 0);

	if (profiles == NULL)
		return false;
	page_put(view->page, "<form class=\"filters\" method=\"get\" action=\"/\" role=\"search\" aria-label=\"Filters\">"
			 "<input type=\"hidden\" name=\"status\" value=\"%s\">"
			 "<label>Issue <input name=\"q\" type=\"search\" value=\"%s\"></label>"
			 "<label>Profile <input name=\"profile\" list=\"profiles\" value=\"%s\"></label><datalist id=\"profiles\">",
			 field(view->fields, "status"), field(view->fields, "q"), field(view->fields, "profile"));
	for (int row = 0; row < PQntuples(profiles); row++)
		page_put(view->page, "<option value=\"%s\"></option>", PQgetvalue(profiles, row, 0));
	page_put(view->page, "</datalist><label>Type <select name=\"type\"><option value=\"\">any</option>");
	for (int i = 0; i < LENGTH(types); i++)
		page_put(view->page, "<option%r>%s</option>",
				 type != NULL && strcmp(type, types[i]) == 0 ? " selected" : "", types[i]);
	page_put(view->page, "</select></label><label>Worktree begins with <input name=\"worktree\" value=\"%s\"></label>"
			 "<button>Filter</button></form>\n", field(view->fields, "worktree"));
	PQclear(profiles);
	return true;
}

static void
put_row(View *view, const PGresult *rows, int row)
{
	Buffer	   *page = view->page;

	page_put(page, "<tr id=\"w%s\"><td data-head=\"Issue\"><span><a href=\"/workflow/%a\">%s</a>%r%s</span></td>",
			 PQgetvalue(rows, row, 1), PQgetvalue(rows, row, 1), PQgetvalue(rows, row, 0),
			 PQgetisnull(rows, row, 14) ? "" : "<br>", PQgetvalue(rows, row, 14));
	page_put(page, "<td data-head=\"Status\"><span class=\"status %s\">%s%r</span></td>", PQgetvalue(rows, row, 2),
			 PQgetvalue(rows, row, 2), is_true(rows, row, 13) ? ", to be cancelled" : "");
	page_put(page, "<td data-head=\"Profile\"><span>%s%r%s</span></td>", PQgetvalue(rows, row, 4),
			 PQgetisnull(rows, row, 3) ? "" : "<br>", PQgetvalue(rows, row, 3));
	page_put(page, "<td data-head=\"Worktree\"><span>%s</span></td><td data-head=\"Started\"><span class=\"nowrap\">", PQgetvalue(rows, row, 5));
	page_time(page, PQgetisnull(rows, row, 6) ? "not started" : PQgetvalue(rows, row, 6));
	page_put(page, "%r%s</span></td><td data-head=\"Last event\"><span><b>%s</b> %s ",
			 PQgetisnull(rows, row, 7) ? "" : "<br>", PQgetvalue(rows, row, 7),
			 PQgetvalue(rows, row, 10), PQgetvalue(rows, row, 15));
	page_time(page, PQgetvalue(rows, row, 11));
	page_put(page, "</span></td><td class=\"n\" data-head=\"Cost $\"><span>%s</span></td>"
			 "<td class=\"n\" data-head=\"Tokens\"><span>%s</span></td></tr>\n",
			 PQgetvalue(rows, row, 8), PQgetvalue(rows, row, 9));
}

/* Takes the cursor apart; false where it is none. */
static bool
read_cursor(View *view, char started_at[64], const char **id)
{
	const char *after = field(view->fields, "after");
	const char *comma = after != NULL ? strrchr(after, ',') : NULL;
	Uuid		uuid;

	*id = NULL;
	started_at[0] = '\0';
	if (after == NULL)
		return true;
	if (comma == NULL || comma - after >= 64 || !uuid_parse(comma + 1, &uuid))
	{
		failure_set(&view->failure, 400, "Begin with the first page of the list.", "\"%s\" is no cursor of the list", after);
		return false;
	}
	*id = comma + 1;
	if (strncmp(after, "-,", 2) != 0)
	{
		memcpy(started_at, after, (size_t) (comma - after));
		started_at[comma - after] = '\0';
	}
	return true;
}

bool
view_workflows(View *view)
{
	char		started_at[64];
	const char *id;
	PGresult   *rows;
	int			n;

	if (!read_cursor(view, started_at, &id) || !put_statuses(view) || !put_filters(view))
		return false;
	rows = view_ask(view, list_sql, 7, field(view->fields, "status"), field(view->fields, "profile"),
					field(view->fields, "type"), field(view->fields, "worktree"), field(view->fields, "q"),
					started_at[0] != '\0' ? started_at : NULL, id);
	if (rows == NULL)
		return false;
	n = PQntuples(rows);
	if (n == 0)
	{
		bool		filtered = id != NULL;

		for (int i = 0; i < LENGTH(names); i++)
			filtered |= field(view->fields, names[i]) != NULL;
		page_put(view->page, filtered ? "<p class=\"empty\">No workflow is like that. <a href=\"/\">Show all of them</a>.</p>" :
				 "<p class=\"empty\">There is no workflow yet. An orchestrator makes one with"
				 " <code>SELECT amelia.create_workflow('ISSUE-1')</code>; <code>amelia-load</code> loads a run that was recorded.</p>");
	}
	else
	{
		page_put(view->page, "<table><thead><tr><th>Issue</th><th>Status</th><th>Profile</th><th>Worktree</th><th>Started</th>"
				 "<th>Last event</th><th class=\"n\">Cost $</th><th class=\"n\">Tokens</th></tr></thead>\n<tbody>\n");
		for (int row = 0; row < n && row < PAGE_ROWS; row++)
			put_row(view, rows, row);
		page_put(view->page, "</tbody></table>\n<p class=\"pages\">");
		if (id != NULL)
		{
			page_put(view->page, "<a href=\"");
			put_address(view, "", NULL);
			page_put(view->page, "\">First page</a> ");
		}
		if (n > PAGE_ROWS)
		{
			page_put(view->page, "<a rel=\"next\" href=\"");
			put_address(view, "after", PQgetvalue(rows, PAGE_ROWS - 1, 12));
			page_put(view->page, "\">Next page</a>");
		}
		page_put(view->page, "</p>\n");
	}
	PQclear(rows);
	return true;
}
