/*-------------------------------------------------------------------------
 *
 * upkeep.c
 *	  What the database does by itself: retention, and the server's state.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "dashboard/views.h"
#include "page/page.h"

static const char preview_sql[] =
"SELECT p.rule, p.workflows, p.threads, p.row_count, pg_size_pretty(p.bytes), COALESCE(p.waits_for, '') FROM amelia.retention_preview() AS p";

static const char settings_sql[] =
"SELECT s.key, s.value #>> '{}' FROM jsonb_each(to_jsonb(amelia.settings())) AS s"
" WHERE s.key NOT IN ('id', 'created_at', 'updated_at') ORDER BY s.key";

static const char runs_sql[] =
"SELECT x.started_at, x.finished_at, x.outcome, x.requested_by, x.workflows, x.events + x.trace_events, x.checkpoint_rows,"
" x.batches_failed, COALESCE(x.error, '') FROM amelia.retention_runs AS x ORDER BY x.id DESC LIMIT 20";

static const char checkpoints_sql[] =
"SELECT s.schema_name, s.threads, s.checkpoints, pg_size_pretty(s.bytes), COALESCE(s.problem, '') FROM amelia.checkpoint_stats() AS s";

static const char maintenance_sql[] =
"SELECT m.state, m.reason, m.last_round, m.last_round_outcome, m.next_round, m.errors_in_a_row, m.last_error, m.last_error_at,"
" m.schema_version, m.code_version, array_to_string(m.checkpoint_problems, '; '), m.vacuum_held_by, m.vacuum_held_since,"
" current_database(), current_setting('server_version'), pg_is_in_recovery(), pg_size_pretty(pg_database_size(current_database())),"
" current_user, (SELECT e.extversion FROM pg_extension AS e WHERE e.extname = 'amelia'), current_setting('amelia.feed', true)"
" FROM amelia.maintenance_status() AS m";

static const char verify_sql[] = "SELECT v.problem, v.object, v.detail FROM amelia.verify() AS v LIMIT 500";

/* What the next run would delete is read through: a view of it is asked for. */
bool
view_retention(View *view)
{
	static const Column preview[] = {{.head = "Rule"}, {"Workflows", NUMBER, NULL}, {"Threads", NUMBER, NULL}, {"Rows", NUMBER, NULL},
	{"Size", NUMBER, NULL}, {.head = "Waits for"}};
	static const Column runs[] = {{"Began", TIME, NULL}, {"Ended", TIME, NULL}, {.head = "Outcome"}, {.head = "By"}, {"Workflows", NUMBER, NULL},
	{"Events", NUMBER, NULL}, {"Checkpoint rows", NUMBER, NULL}, {"Failed batches", NUMBER, NULL}, {.head = "Error"}};
	static const Column checkpoints[] = {{.head = "Schema"}, {"Threads", NUMBER, NULL}, {"Checkpoints", NUMBER, NULL},
	{"Size", NUMBER, NULL}, {.head = "Problem"}};
	static const Column settings[] = {{.head = "Setting"}, {"Value", NUMBER, NULL}};

	if (!view_table(view, "What the next run would delete", view_ask(view, preview_sql, 0), preview, LENGTH(preview), "Nothing."))
		return false;
	if (view_may(view, "SELECT has_table_privilege(to_regclass('amelia.retention_runs'), 'SELECT')") &&
		!view_table(view, "Runs", view_ask(view, runs_sql, 0), runs, LENGTH(runs),
					"Retention has not run yet. The maintenance worker does it by itself; the server's page says whether it may."))
		return false;
	if (view_may(view, "SELECT has_function_privilege(to_regprocedure('amelia.checkpoint_stats()'), 'EXECUTE')") &&
		!view_table(view, "Checkpoints", view_ask(view, checkpoints_sql, 0), checkpoints, LENGTH(checkpoints), "There are no checkpoint tables."))
		return false;
	return view->failure.status == 0 &&
		view_table(view, "Settings", view_ask(view, settings_sql, 0), settings, LENGTH(settings), "");
}

static void
put_fact(Buffer *page, const char *term, const char *value, bool is_time)
{
	if (value == NULL || *value == '\0')
		return;
	page_put(page, "<div><dt>%s</dt><dd>", term);
	if (is_time)
		page_time(page, value);
	else
		page_text(page, value);
	page_put(page, "</dd></div>");
}

bool
view_server(View *view)
{
	static const struct
	{
		int			column;
		const char *term;
		bool		is_time;
	}			facts[] = {
		{0, "Maintenance", false}, {1, "Why", false}, {2, "Last round", true}, {3, "Its outcome", false}, {4, "Next round", true},
		{5, "Errors in a row", false}, {6, "Last error", false}, {7, "Last error at", true}, {8, "Schema's version", false},
		{9, "Code's version", false}, {10, "Checkpoints", false}, {11, "Vacuum is held by", false}, {12, "Held since", true},
		{13, "Database", false}, {14, "PostgreSQL", false}, {16, "Database's size", false}, {17, "You are", false}, {18, "Extension", false},
		{19, "Feed", false}
	};
	PGresult   *row = view_ask(view, maintenance_sql, 0);

	if (row == NULL)
		return false;
	page_put(view->page, "<dl class=\"facts\">");
	for (int i = 0; i < LENGTH(facts); i++)
		put_fact(view->page, facts[i].term, value_of(row, 0, facts[i].column), facts[i].is_time);
	page_put(view->page, "<div><dt>Role of the server</dt><dd>%r</dd></div></dl>\n", is_true(row, 0, 15) ? "standby" : "primary");
	PQclear(row);
	page_section(view->page, "Verify");
	page_put(view->page, "<p><code>amelia.verify()</code> looks for what is wrong. It reads every table once.</p>");
	view_form(view, "/server/verify", "Verify");
	page_put(view->page, "<button>Verify now</button></form>\n");
	return true;
}

/* On demand, because it reads every table. */
bool
view_verify(View *view)
{
	static const Column columns[] = {{.head = "Problem"}, {.head = "Object"}, {.head = "Detail"}};

	return view_table(view, "What verify() found", view_ask(view, verify_sql, 0), columns, LENGTH(columns), "Nothing is wrong.");
}
