/*-------------------------------------------------------------------------
 *
 * question.c
 *	  What workflows ask a person, with the forms to answer.
 *
 *-------------------------------------------------------------------------
 */
#include "dashboard/question.h"

#include "dashboard/tree.h"
#include "dashboard/views.h"
#include "page/page.h"

/* Any decision before it is about another question: a blocked workflow asked last. */
static const char question_sql[] =
"SELECT e.sequence, left(e.message, 20000), left(e.data::text, 20000), e.\"timestamp\", e.agent FROM amelia.workflow_log AS e"
" WHERE e.workflow_id = $1::uuid AND e.event_type = 'approval_required' ORDER BY e.sequence DESC LIMIT 1";

static const char blocked_sql[] =
"SELECT w.id, left(w.issue_id, 1000), w.profile_id, left(w.issue_cache ->> 'title', 1000) FROM amelia.workflows AS w WHERE w.status = 'blocked'"
" ORDER BY w.updated_at, w.id LIMIT 100";

/* The question of a blocked workflow; back: the view that an answer leads to. */
bool
question_put(View *view, const char *workflow_id, const char *back)
{
	Buffer	   *page = view->page;
	PGresult   *rows = view_ask(view, question_sql, 1, workflow_id);

	if (rows == NULL)
		return false;

	/*
	 * Another question is another element: an open page must not put its text
	 * over the form of the one before.
	 */
	page_put(page, "<section class=\"question\" aria-label=\"Question\" id=\"q%s-%s\">", workflow_id,
			 PQntuples(rows) > 0 ? PQgetvalue(rows, 0, 0) : "none");
	if (PQntuples(rows) == 0)
		page_put(page, "<p>It is blocked, and has asked nothing: <code>set_workflow_status()</code> takes it on.</p>");
	else
	{
		page_put(page, "<p>It asks, since ");
		page_time(page, PQgetvalue(rows, 0, 3));
		page_put(page, " (<a href=\"/workflow/%a?at=%s#e%s\">#%s</a>):</p><div class=\"text\"><strong>%s</strong></div>", workflow_id,
				 PQgetvalue(rows, 0, 0), PQgetvalue(rows, 0, 0), PQgetvalue(rows, 0, 0), PQgetvalue(rows, 0, 1));
		if (value_of(rows, 0, 2) != NULL)
		{
			page_put(page, "<details open><summary>Data</summary>");
			tree_put(page, PQgetvalue(rows, 0, 2));
			page_put(page, "</details>");
		}
		if (view->may_decide)
		{
			Buffer		action = {0};

			buffer_printf(&action, "/workflow/%s/decide", workflow_id);
			view_form(view, action.data, "Decide");
			page_put(page, "<input type=\"hidden\" name=\"question\" value=\"%s\"><input type=\"hidden\" name=\"back\" value=\"%s\">"
					 "<label>Comment <textarea name=\"comment\" rows=\"2\"></textarea></label>"
					 "<button name=\"answer\" value=\"approve\">Approve</button> <button name=\"answer\" value=\"reject\">Reject</button></form>",
					 PQgetvalue(rows, 0, 0), back);
			buffer_free(&action);
		}
		else
			page_put(page, "<p>Your role may not answer: that takes <code>grant_worker()</code>.</p>");
	}
	page_put(page, "</section>\n");
	PQclear(rows);
	return true;
}

/* All that waits for a person, the longest waiting first. */
bool
view_decisions(View *view)
{
	PGresult   *rows;
	bool		done = view_rights(view);

	rows = done ? view_ask(view, blocked_sql, 0) : NULL;
	if (rows == NULL)
		return false;
	if (PQntuples(rows) == 0)
		page_put(view->page, "<p class=\"empty\">Nothing waits for a decision. A worker asks with <code>amelia.request_approval()</code>;"
				 " its question appears here.</p>");
	for (int row = 0; done && row < PQntuples(rows); row++)
	{
		page_put(view->page, "<article id=\"q%s\"><h2><a href=\"/workflow/%a\">%s</a> %s</h2>", PQgetvalue(rows, row, 0),
				 PQgetvalue(rows, row, 0), PQgetvalue(rows, row, 1), PQgetvalue(rows, row, 3));
		if (view->page->len < LIST_SIZE)
			done = question_put(view, PQgetvalue(rows, row, 0), "/decisions");
		else
			page_put(view->page, "<p>This list is full: the question is on the workflow's page.</p>");
		page_put(view->page, "</article>\n");
	}
	PQclear(rows);
	return done;
}
