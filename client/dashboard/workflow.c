/*-------------------------------------------------------------------------
 *
 * workflow.c
 *	  One workflow: what it is and costs, what can be done about it, and its
 *	  events.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "dashboard/events.h"
#include "dashboard/question.h"
#include "dashboard/tree.h"
#include "dashboard/views.h"
#include "page/page.h"

static const char workflow_sql[] =
"SELECT left(w.issue_id, 1000), w.status, w.workflow_type, w.profile_id, left(w.worktree_path, 1000), w.created_at, w.started_at, w.completed_at,"
" date_trunc('second', COALESCE(w.completed_at, CASE WHEN w.status IN ('in_progress', 'blocked') THEN now() END) - w.started_at),"
" left(w.failure_reason, 20000), w.priority, w.failures, w.max_failures, w.retry_at, w.cancel_requested, w.available_at > now(), w.available_at,"
" left(l.worker, 1000), l.lease_token, l.claimed_at, l.expires_at, l.seen_at, l.expires_at <= now(), f.times, f.retry_at, f.sqlstate, left(f.reason, 20000),"
" left(w.issue_cache::text, 20000), left(w.plan_cache::text, 20000), w.events_removed, left(w.issue_cache ->> 'title', 1000), w.parked"
" FROM amelia.get_workflow($1::uuid) AS w LEFT JOIN amelia.workflow_leases AS l ON l.workflow_id = w.id"
" LEFT JOIN amelia.claim_faults AS f ON f.workflow_id = w.id";

static const char usage_sql[] =
"SELECT CASE WHEN grouping(t.agent) = 1 THEN 'all' ELSE left(t.agent, 300) END, left(t.model, 300), to_char(sum(t.cost_usd), 'FM999,999,990.0000'), to_char(sum(t.input_tokens::bigint), 'FM999,999,999,999,990'),"
" to_char(sum(t.output_tokens::bigint), 'FM999,999,999,999,990'), to_char(sum(t.cache_read_tokens::bigint), 'FM999,999,999,999,990'),"
" to_char(sum(t.cache_creation_tokens::bigint), 'FM999,999,999,999,990'), sum(t.num_turns), (sum(t.duration_ms) / 1000)::bigint"
" FROM amelia.token_usage AS t WHERE t.workflow_id = $1::uuid GROUP BY ROLLUP ((t.agent, t.model))"
" HAVING count(*) > 0 ORDER BY grouping(t.agent), sum(t.cost_usd) DESC, t.agent, t.model";

static const char budgets_sql[] =
"SELECT concat_ws(' ', b.scope, b.target), b.period, b.action, round(b.limit_usd, 2), round(b.spent_usd, 2),"
" CASE WHEN b.is_spent THEN 'spent' ELSE round(b.left_usd, 2)::text END FROM amelia.budget_status() AS b"
" WHERE b.scope = 'everything' OR (b.scope = 'profile' AND b.target = $2) OR (b.scope = 'workflow' AND b.target = $1::uuid::text)";

static const char prompts_sql[] =
"SELECT left(p.name, 300), left(p.agent, 300), p.version_number, left(p.content, 20000) FROM amelia.workflow_prompts($1::uuid) AS p";

static const char inbox_sql[] =
"SELECT i.id, left(i.kind, 300), left(i.data::text, 2000), i.sent_at, COALESCE(i.taken_at::text, 'no worker has taken it yet')"
" FROM amelia.workflow_inbox AS i WHERE i.workflow_id = $1::uuid ORDER BY i.id DESC LIMIT 20";

static const char threads_sql[] =
"SELECT left(t.thread_id, 300) FROM amelia.workflow_threads AS t WHERE t.workflow_id = $1::uuid ORDER BY t.thread_id LIMIT 100";

static const char errors_sql[] =
"SELECT e.sequence, left(e.message, 100) FROM amelia.workflow_log AS e WHERE e.workflow_id = $1::uuid AND e.is_error"
" ORDER BY e.sequence DESC LIMIT 20";

/* A term with its value, text or time; nothing where there is no value. */
static void
put_fact(Buffer *page, const char *term, const char *value)
{
	if (value != NULL)
		page_put(page, "<div><dt>%s</dt><dd>%s</dd></div>", term, value);
}

static void
put_time(Buffer *page, const char *term, const char *value)
{
	if (value == NULL)
		return;
	page_put(page, "<div><dt>%s</dt><dd>", term);
	page_time(page, value);
	page_put(page, "</dd></div>");
}

static void
put_facts(View *view, const PGresult *row)
{
	Buffer	   *page = view->page;
	const char *status = PQgetvalue(row, 0, 1);

	page_put(page, "<dl class=\"facts\"><div><dt>Status</dt><dd><span class=\"status %s\">%s</span>%r</dd></div>", status, status,
			 is_true(row, 0, 14) ? " its end was asked for" : "");
	put_fact(page, "Why", value_of(row, 0, 9));
	put_fact(page, "Type", value_of(row, 0, 2));
	put_fact(page, "Profile", value_of(row, 0, 3));
	put_fact(page, "Worktree", value_of(row, 0, 4));
	put_time(page, "Created", value_of(row, 0, 5));
	put_time(page, "Started", value_of(row, 0, 6));
	put_time(page, "Ended", value_of(row, 0, 7));
	put_fact(page, "Ran for", value_of(row, 0, 8));
	put_fact(page, "Priority", strcmp(PQgetvalue(row, 0, 10), "0") != 0 ? PQgetvalue(row, 0, 10) : NULL);
	page_put(page, "<div><dt>Failures</dt><dd>%s of %s</dd></div>", PQgetvalue(row, 0, 11), PQgetvalue(row, 0, 12));
	put_time(page, "Next attempt", value_of(row, 0, 13));
	if (is_true(row, 0, 15))
		put_time(page, "Not claimed before", value_of(row, 0, 16));
	put_fact(page, "Waits", is_true(row, 0, 31) ? "for its worktree, in which another workflow is active" : NULL);
	put_fact(page, "Events removed", strcmp(PQgetvalue(row, 0, 29), "0") != 0 ? PQgetvalue(row, 0, 29) : NULL);
	page_put(page, "</dl>\n");
}

/* Who works on it, and why nobody does. */
static void
put_lease(View *view, const PGresult *row)
{
	Buffer	   *page = view->page;

	if (value_of(row, 0, 17) != NULL)
	{
		page_put(page, "<h2>Lease</h2><dl class=\"facts\">");
		put_fact(page, "Worker", value_of(row, 0, 17));
		put_fact(page, "Token", value_of(row, 0, 18));
		put_time(page, "Claimed", value_of(row, 0, 19));
		put_time(page, "Last seen", value_of(row, 0, 21));
		if (PQgetisnull(row, 0, 20))
			put_fact(page, "Expires", "it has ended");
		else
			put_time(page, is_true(row, 0, 22) ? "Lost since" : "Expires", PQgetvalue(row, 0, 20));
		page_put(page, "</dl>\n");
	}
	if (value_of(row, 0, 23) != NULL)
	{
		page_put(page, "<h2>Passed over by claims</h2><p>%s (%s), %s times; tried again ", PQgetvalue(row, 0, 26),
				 PQgetvalue(row, 0, 25), PQgetvalue(row, 0, 23));
		page_time(page, PQgetvalue(row, 0, 24));
		page_put(page, "</p>\n");
	}
}

/* Forms, each only where the role may do it and it can be done. */
static void
put_actions(View *view, const char *status)
{
	Buffer	   *page = view->page;
	bool		over = strcmp(status, "completed") == 0 || strcmp(status, "cancelled") == 0;
	Buffer		action = {0};

	page_put(page, "<div class=\"actions\" id=\"actions\">");
	if (view->may_cancel && !over)
	{
		buffer_printf(&action, "/workflow/%s/cancel", view->id);
		view_form(view, action.data, "Cancel");
		page_put(page, "<button>Cancel this workflow</button></form>");
	}
	if (view->may_requeue && strcmp(status, "failed") == 0)
	{
		buffer_reset(&action);
		buffer_printf(&action, "/workflow/%s/requeue", view->id);
		view_form(view, action.data, "Requeue");
		page_put(page, "<label>Failures it may have <input name=\"failures\" type=\"number\" min=\"1\" max=\"1000\" value=\"1\"></label>"
				 "<button>Requeue</button></form>");
	}
	if (view->may_send)
	{
		buffer_reset(&action);
		buffer_printf(&action, "/workflow/%s/send", view->id);
		page_put(page, "<details><summary>Send a message</summary>");
		view_form(view, action.data, "Send a message");
		page_put(page, "<label>Kind <input name=\"kind\" required value=\"message\"></label>"
				 "<label>Text or JSON <textarea name=\"data\" rows=\"3\"></textarea></label><button>Send</button></form></details>");
	}
	page_put(page, "</div>\n");
	buffer_free(&action);
}

static bool
put_prompts(View *view)
{
	PGresult   *rows = view_ask(view, prompts_sql, 1, view->id);

	if (rows == NULL)
		return false;
	if (PQntuples(rows) > 0)
		page_section(view->page, "Prompts");
	for (int row = 0; row < PQntuples(rows); row++)
		page_put(view->page, "<details><summary>%s of %s, %s%s</summary><div class=\"text\">%s</div></details>\n",
				 PQgetvalue(rows, row, 0), PQgetvalue(rows, row, 1),
				 PQgetisnull(rows, row, 2) ? "the built-in default" : "version ", PQgetvalue(rows, row, 2), PQgetvalue(rows, row, 3));
	PQclear(rows);
	return true;
}

static bool
put_threads(View *view)
{
	PGresult   *rows = view_ask(view, threads_sql, 1, view->id);

	if (rows == NULL)
		return false;
	page_section(view->page, "LangGraph threads");
	page_put(view->page, "<ul><li><code>%s</code></li>", view->id);
	for (int row = 0; row < PQntuples(rows); row++)
		page_put(view->page, "<li><code>%s</code></li>", PQgetvalue(rows, row, 0));
	page_put(view->page, "</ul>\n");
	PQclear(rows);
	return true;
}

static bool
put_errors(View *view)
{
	PGresult   *rows = view_ask(view, errors_sql, 1, view->id);

	if (rows == NULL)
		return false;
	if (PQntuples(rows) > 0)
		page_section(view->page, "The last errors");
	page_put(view->page, "<ol class=\"errors\" id=\"errors\">");
	for (int row = 0; row < PQntuples(rows); row++)
		page_put(view->page, "<li><a href=\"/workflow/%a?at=%s#e%s\">#%s</a> %s</li>", view->id, PQgetvalue(rows, row, 0),
				 PQgetvalue(rows, row, 0), PQgetvalue(rows, row, 0), PQgetvalue(rows, row, 1));
	page_put(view->page, "</ol>\n");
	PQclear(rows);
	return true;
}

/* All but the events: what a page that lives asks for again. */
static bool
put_head(View *view)
{
	static const Column usage[] = {{.head = "Agent"}, {.head = "Model"}, {"Cost $", NUMBER, NULL}, {"Input", NUMBER, NULL},
	{"Output", NUMBER, NULL}, {"Cache read", NUMBER, NULL}, {"Cache written", NUMBER, NULL}, {"Turns", NUMBER, NULL}, {"Seconds", NUMBER, NULL}};
	static const Column budgets[] = {{.head = "For"}, {.head = "Per"}, {.head = "Action"}, {"Limit $", NUMBER, NULL},
	{"Spent $", NUMBER, NULL}, {"Left $", NUMBER, NULL}};
	static const Column inbox[] = {{.head = "Message"}, {.head = "Kind"}, {.head = "Data"}, {"Sent", TIME, NULL}, {"Taken", TIME, NULL}};
	PGresult   *row = view_ask(view, workflow_sql, 1, view->id);
	bool		done;

	if (row == NULL)
		return false;
	if (PQntuples(row) == 0)
	{
		failure_set(&view->failure, 404, "It may have been deleted by retention, or hidden from your role by a policy.",
					"there is no workflow %s", view->id);
		PQclear(row);
		return false;
	}
	page_put(view->page, "<h1>%s</h1><p>%s%r<code>%s</code></p>\n", PQgetvalue(row, 0, 0), PQgetvalue(row, 0, 30),
			 PQgetisnull(row, 0, 30) ? "" : "<br>", view->id);
	put_facts(view, row);
	done = view_rights(view);
	if (done && strcmp(PQgetvalue(row, 0, 1), "blocked") == 0)
		done = question_put(view, view->id, "");
	if (done)
	{
		put_actions(view, PQgetvalue(row, 0, 1));
		put_lease(view, row);
	}
	done = done && put_errors(view) &&
		view_table(view, "Tokens and cost", view_ask(view, usage_sql, 1, view->id), usage, LENGTH(usage), "It has used nothing yet.") &&
		view_table(view, "Budgets that it comes under", view_ask(view, budgets_sql, 2, view->id, value_of(row, 0, 3)),
				   budgets, LENGTH(budgets), NULL) &&
		view_table(view, "Inbox", view_ask(view, inbox_sql, 1, view->id), inbox, LENGTH(inbox), NULL) &&
		put_prompts(view) && put_threads(view);
	for (int i = 27; done && i <= 28; i++)
	{
		if (PQgetisnull(row, 0, i))
			continue;
		page_put(view->page, "<details><summary>%r</summary>", i == 27 ? "The issue, as the tracker gave it" : "The plan");
		tree_put(view->page, PQgetvalue(row, 0, i));
		page_put(view->page, "</details>\n");
	}
	PQclear(row);
	return done;
}

static void
put_levels(View *view, const char *level)
{
	static const char *const levels[][2] = {{NULL, "all"}, {"debug", "no traces"}, {"info", "info and up"},
	{"warning", "warnings"}, {"error", "errors"}};

	page_put(view->page, "<nav class=\"tabs\" aria-label=\"Levels\">");
	for (int i = 0; i < LENGTH(levels); i++)
		page_put(view->page, "<a href=\"/workflow/%a%r%r#events\"%r>%r</a> ", view->id, levels[i][0] != NULL ? "?level=" : "",
				 levels[i][0], (level == NULL ? levels[i][0] == NULL : levels[i][0] != NULL && strcmp(level, levels[i][0]) == 0) ?
				 " aria-current=\"true\"" : "", levels[i][1]);
	page_put(view->page, "</nav>\n");
}

/* A link to other events; the level stays. */
static void
put_more(View *view, const char *name, int sequence, const char *level, const char *text)
{
	page_put(view->page, "<p class=\"pages\"><a id=\"%r\" href=\"/workflow/%a?%r=%d%r%a#events\">%r</a></p>", name, view->id, name,
			 sequence, level != NULL ? "&amp;level=" : "", level, text);
}

static bool
put_events(View *view)
{
	const char *level = field(view->fields, "level");
	int			before = 0;
	int			after = -1;
	int			at = 0;
	PGresult   *rows;
	int			n;
	int			shown;
	bool		from_end;

	if (!events_level_valid(level) || !field_number(view->fields, "before", &before) ||
		!field_number(view->fields, "after", &after) || !field_number(view->fields, "at", &at))
	{
		failure_set(&view->failure, 400, "Levels are trace, debug, info, warning and error; sequences are numbers.",
					"the address names no such events");
		return false;
	}
	if (at > 0)
		after = at > 50 ? at - 50 : 0;
	from_end = after < 0;
	rows = from_end ? events_before(view, field(view->fields, "before"), level) : events_after(view, after, level);
	if (rows == NULL)
		return false;
	n = PQntuples(rows);
	shown = n < EVENTS_OF_PAGE ? n : EVENTS_OF_PAGE;
	page_put(view->page, "<h2 id=\"events\">Events</h2>");
	put_levels(view, level);
	if (n == 0)
		page_put(view->page, "<p class=\"empty\" id=\"no-events\">%r</p>", level != NULL || before > 0 || after > 0 ?
				 "There are no events like that." : "There are no events yet. They appear here as they come.");
	if (n > 0 && (from_end ? n > EVENTS_OF_PAGE : after > 0))
		put_more(view, "before", atoi(PQgetvalue(rows, from_end ? shown - 1 : 0, 0)), level, "Older events");

	/* Those that come are added where the list is at its end. */
	page_put(view->page, "<ol class=\"events\" id=\"log\"%r>\n",
			 before == 0 && (from_end || n < EVENTS_OF_PAGE) ? " data-end=\"true\"" : "");
	events_put(view->page, rows, shown, from_end, view->id);
	page_put(view->page, "</ol>\n");
	if (before > 0 && n > 0)
		put_more(view, "after", atoi(PQgetvalue(rows, 0, 0)), level, "Newer events");
	else if (!from_end && n == EVENTS_OF_PAGE)
		put_more(view, "after", atoi(PQgetvalue(rows, n - 1, 0)), level, "Newer events");
	PQclear(rows);
	return true;
}

bool
view_workflow(View *view)
{
	bool		done;

	if (!view->live)
		page_put(view->page, "<div id=\"head\">");
	done = put_head(view);
	if (view->live)
		return done;
	page_put(view->page, "</div>\n");
	return done && put_events(view);
}
