/*-------------------------------------------------------------------------
 *
 * queue.c
 *	  The queue, its workers, and what does not get through.
 *
 *-------------------------------------------------------------------------
 */
#include "dashboard/views.h"
#include "page/page.h"

static const char status_sql[] =
"SELECT q.by_status ->> 'pending', q.by_status ->> 'in_progress', q.by_status ->> 'blocked', q.by_status ->> 'failed',"
" q.oldest_waiting, q.claims_per_minute, q.expired_leases, q.held, 'of ' || q.max_concurrent || ' at once',"
" q.workers, q.passed_over FROM amelia.queue_status() AS q";

/* $1, $2: as queue_status() gave them. */
static const char workers_sql[] =
"SELECT left(w.worker, 300), jsonb_array_length(w.workflows), w.seen_at FROM"
" jsonb_to_recordset($1::jsonb) AS w (worker text, workflows jsonb, seen_at timestamptz) ORDER BY w.worker";
static const char passed_sql[] =
"SELECT p.workflow_id, p.workflow_id, left(p.reason, 1000), p.sqlstate, p.times, p.failed_at, p.retry_at FROM jsonb_to_recordset($1::jsonb)"
" AS p (workflow_id uuid, failed_at timestamptz, times integer, retry_at timestamptz, sqlstate text, reason text)";

static const char waiting_sql[] =
"SELECT left(w.issue_id, 300), w.id, left(w.profile_id, 300), w.priority, w.available_at, w.failures FROM amelia.workflows AS w"
" WHERE w.status = 'pending' AND NOT w.parked ORDER BY w.available_at > now(), w.priority DESC, w.available_at, w.id LIMIT 20";

static const char lost_sql[] =
"SELECT left(w.issue_id, 300), w.id, left(l.worker, 300), l.seen_at, l.expires_at FROM amelia.workflow_leases AS l JOIN amelia.workflows AS w"
" ON w.id = l.workflow_id WHERE l.expires_at <= now() AND NOT l.given_back ORDER BY l.expires_at LIMIT 50";

static const char dead_sql[] =
"SELECT left(w.issue_id, 300), w.id, w.completed_at, w.failures, left(w.failure_reason, 300) FROM amelia.dead_workflows(50) AS w";

static const char profiles_sql[] =
"SELECT left(p.id, 300), p.is_active, COALESCE(p.max_concurrent::text, 'no limit'), (SELECT count(*) FROM amelia.workflow_leases AS l"
" WHERE l.profile_id = p.id AND l.expires_at > now()), (SELECT count(*) FROM amelia.workflows AS w"
" WHERE w.profile_id = p.id AND w.status = 'pending') FROM amelia.profiles AS p ORDER BY p.id LIMIT 100";

/* Those that failed as often as they may, with a way back. */
static bool
put_dead(View *view)
{
	PGresult   *rows = view_ask(view, dead_sql, 0);

	if (rows == NULL)
		return false;
	page_section(view->page, "Failed as often as they may");
	if (PQntuples(rows) == 0)
		page_put(view->page, "<p>None.</p>");
	else
		page_put(view->page, "<table><thead><tr><th>Issue</th><th>Failed</th><th>Failures</th><th>Why</th>%r</tr></thead><tbody>",
				 view->may_requeue ? "<th>Another try</th>" : "");
	for (int row = 0; row < PQntuples(rows); row++)
	{
		page_put(view->page, "<tr id=\"d%s\"><td data-head=\"Issue\"><a href=\"/workflow/%a\">%s</a></td><td data-head=\"Failed\">",
				 PQgetvalue(rows, row, 1), PQgetvalue(rows, row, 1), PQgetvalue(rows, row, 0));
		page_time(view->page, PQgetvalue(rows, row, 2));
		page_put(view->page, "</td><td data-head=\"Failures\"><span>%s</span></td><td data-head=\"Why\"><span>%s</span></td>",
				 PQgetvalue(rows, row, 3), PQgetvalue(rows, row, 4));
		if (view->may_requeue)
		{
			Buffer		action = {0};

			buffer_printf(&action, "/workflow/%s/requeue", PQgetvalue(rows, row, 1));
			page_put(view->page, "<td data-head=\"Another try\">");
			view_form(view, action.data, PQgetvalue(rows, row, 0));
			page_put(view->page, "<input type=\"hidden\" name=\"back\" value=\"/queue\"><button>Requeue</button></form></td>");
			buffer_free(&action);
		}
		page_put(view->page, "</tr>\n");
	}
	if (PQntuples(rows) > 0)
		page_put(view->page, "</tbody></table>\n");
	PQclear(rows);
	return true;
}

bool
view_queue(View *view)
{
	static const Column workers[] = {{.head = "Worker"}, {"Workflows", NUMBER, NULL}, {"Last seen", TIME, NULL}};
	static const Column passed[] = {{"Workflow", LINK, "/workflow/"}, {.head = "Why"}, {.head = "Error"}, {"Times", NUMBER, NULL},
	{"Last tried", TIME, NULL}, {"Tried again", TIME, NULL}};
	static const Column waiting[] = {{"Issue", LINK, "/workflow/"}, {.head = "Profile"}, {"Priority", NUMBER, NULL},
	{"Available", TIME, NULL}, {"Failures", NUMBER, NULL}};
	static const Column lost[] = {{"Issue", LINK, "/workflow/"}, {.head = "Worker"}, {"Last seen", TIME, NULL}, {"Lost", TIME, NULL}};
	static const Column profiles[] = {{.head = "Profile"}, {.head = "Active"}, {"At once", NUMBER, NULL}, {"Held", NUMBER, NULL},
	{"Pending", NUMBER, NULL}};
	PGresult   *row = view_rights(view) ? view_ask(view, status_sql, 0) : NULL;
	const char *of_status[2];
	bool		done;

	if (row == NULL)
		return false;
	page_put(view->page, "<div class=\"tiles\">\n");
	page_tile(view->page, "Pending", PQgetvalue(row, 0, 0), "wait for a worker");
	page_tile(view->page, "In progress", PQgetvalue(row, 0, 1), "are worked on");
	page_tile(view->page, "Blocked", PQgetvalue(row, 0, 2), "wait for a person");
	page_tile(view->page, "Leases held", PQgetvalue(row, 0, 7), PQgetvalue(row, 0, 8));
	page_tile(view->page, "Claims", PQgetvalue(row, 0, 5), "in the last minute");
	page_tile(view->page, "Leases lost", PQgetvalue(row, 0, 6), "not taken over");
	page_put(view->page, "</div>\n<p>");
	if (!PQgetisnull(row, 0, 4))
	{
		page_put(view->page, "The oldest that waits has been available since ");
		page_time(view->page, PQgetvalue(row, 0, 4));
	}
	page_put(view->page, "</p>\n");
	of_status[0] = PQgetvalue(row, 0, 9);
	of_status[1] = PQgetvalue(row, 0, 10);
	done = view_table(view, "Workers", view_ask(view, workers_sql, 1, of_status[0]), workers, LENGTH(workers),
					  "No worker holds a lease. A worker begins with amelia.claim_workflow().") &&
		view_table(view, "Next in the queue", view_ask(view, waiting_sql, 0), waiting, LENGTH(waiting), "Nothing waits.") &&
		view_table(view, "Leases that were lost", view_ask(view, lost_sql, 0), lost, LENGTH(lost), "None.") &&
		view_table(view, "Passed over by claims", view_ask(view, passed_sql, 1, of_status[1]), passed, LENGTH(passed), "None.") &&
		put_dead(view) &&
		view_table(view, "Profiles", view_ask(view, profiles_sql, 0), profiles, LENGTH(profiles),
				   "There is no profile; a workflow may name one all the same.");
	PQclear(row);
	return done;
}
