/*-------------------------------------------------------------------------
 *
 * usage.c
 *	  What agents cost, as sections of a page: budgets, totals, cost per day,
 *	  by model, agent and profile, the dearest workflows, and those that failed.
 *
 *-------------------------------------------------------------------------
 */
#include "page/usage.h"

#include <stdlib.h>

#include "page/page.h"

#define LENGTH(array) ((int) (sizeof(array) / sizeof((array)[0])))

/* $1: the last day or NULL for today; $2: how many days; $3: a profile or NULL. */
#define RANGE \
	"WITH r AS (SELECT l.last - $2::int + 1 AS first, l.last, $3::text AS profile, l.today FROM" \
	" (SELECT COALESCE($1::date, t.today) AS last, t.today FROM" \
	" (SELECT (now() AT TIME ZONE 'UTC')::date AS today) AS t) AS l) "
/* A limit may be as high as somebody likes. */
#define MONEY(value) "to_char(" value ", 'FM999,999,999,999,999,999,999,999,999,990.00')"
#define COUNT(value) "to_char(" value ", 'FM9,999,999,999,999,999,990')"
#define RATE(value) "to_char(100 * " value ", 'FM990.0') || ' %'"

static const char subtitle_sql[] = RANGE
"SELECT r.first, r.last, current_database(), to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') FROM r";

/* Days of their own are asked for only as far as the range reaches. */
#define DAY_COST(day) MONEY("(SELECT d.total_cost_usd FROM amelia.usage_summary(" day ", " day ", r.profile) AS d)")
static const char summary_sql[] = RANGE
"SELECT " MONEY("s.total_cost_usd") ", CASE WHEN s.previous_period_cost_usd > 0 THEN"
" to_char(100 * (s.total_cost_usd / s.previous_period_cost_usd - 1), 'FMSG999,990.0') || ' % against '"
" ELSE 'before: ' END || '$' || " MONEY("s.previous_period_cost_usd") ","
" " COUNT("s.total_workflows") ", " COUNT("s.total_tokens") ","
" " COUNT("s.total_duration_ms / 3600000") ", " RATE("s.success_rate") ","
" " COUNT("s.successful_workflows") " || ' of ' || " COUNT("s.finished_workflows") ","
" " DAY_COST("r.last") ", " DAY_COST("r.last - 1") ","
" CASE WHEN r.last = r.today THEN 'Today' ELSE 'Last day' END,"
" CASE WHEN r.last = r.today THEN 'Yesterday' ELSE 'Day before' END, r.last, r.last - 1, r.last - r.first + 1"
" FROM r, amelia.usage_summary(r.first, r.last, r.profile) AS s";

#define TEXT_OF(number) #number
#define AS_TEXT(number) TEXT_OF(number)

/* The dearest models have a colour each; where there are more, the last is all others'. */
#define PLACES RANGE \
	", p AS MATERIALIZED (SELECT m.model, CASE WHEN m.models > " AS_TEXT(COLOURS) " THEN LEAST(m.n, " AS_TEXT(COLOURS) ") ELSE m.n END AS place," \
	" CASE WHEN m.models > " AS_TEXT(COLOURS) " AND m.n >= " AS_TEXT(COLOURS) " THEN format('%s others', m.models - " AS_TEXT(COLOURS) " + 1) ELSE m.model END AS name" \
	" FROM (SELECT o.model, o.ordinality AS n, count(*) OVER () AS models" \
	" FROM r, amelia.usage_by_model(r.first, r.last, r.profile) WITH ORDINALITY AS o) AS m) "

static const char models_sql[] = PLACES
"SELECT p.name FROM p GROUP BY p.place, p.name ORDER BY p.place";

static const char days_sql[] = PLACES
"SELECT t.date, t.date - r.first, r.last - r.first + 1, p.name, sum(m.value::numeric), t.cost_usd,"
" r.first, r.last, p.place - 1"
" FROM r, amelia.usage_trend(r.first, r.last, r.profile) AS t, jsonb_each_text(t.by_model) AS m"
" JOIN p ON p.model = m.key GROUP BY 1, 2, 3, p.name, t.cost_usd, 7, 8, p.place ORDER BY t.date, p.place";

#define BY(column, function) RANGE \
	"SELECT COALESCE(u." column ", '(none)'), " MONEY("u.cost_usd") ", " COUNT("u.tokens") "," \
	" " COUNT("u.workflows") ", " RATE("u.success_rate") ", amelia.sparkline(u.trend)" \
	" FROM r, amelia." function "(r.first, r.last, r.profile) AS u"

/* Deleted workflows have no issue any more. */
static const char dearest_sql[] = RANGE
", c AS MATERIALIZED (SELECT d.day FROM r, amelia.usage_days AS d WHERE d.state = 'closed'"
" AND d.day BETWEEN r.first AND r.last"
" AND NOT EXISTS (SELECT FROM amelia.usage_dirty_days AS m WHERE m.day = d.day))"
" SELECT COALESCE(w.issue_id, '(deleted)'), p.workflow_id, COALESCE(w.status, h.status),"
" COALESCE(w.profile_id, h.profile_id, ''), " MONEY("p.cost") ", " COUNT("p.tokens")
" FROM (SELECT x.workflow_id, sum(x.cost_usd) AS cost, sum(x.tokens) AS tokens FROM ("
"SELECT s.workflow_id, s.cost_usd, s.input_tokens + s.output_tokens AS tokens"
" FROM c JOIN amelia.usage_workflow_days AS s ON s.day = c.day"
" UNION ALL SELECT u.workflow_id, u.cost_usd, u.input_tokens::bigint + u.output_tokens"
" FROM r JOIN amelia.token_usage AS u ON u.\"timestamp\" >= r.first::timestamp AT TIME ZONE 'UTC'"
" AND u.\"timestamp\" < (r.last + 1)::timestamp AT TIME ZONE 'UTC'"
" WHERE (u.\"timestamp\" AT TIME ZONE 'UTC')::date NOT IN (SELECT c.day FROM c)"
" UNION ALL SELECT u.workflow_id, u.cost_usd, u.input_tokens + u.output_tokens"
" FROM r JOIN amelia.kept_usage AS u ON u.day BETWEEN r.first AND r.last"
" WHERE u.day NOT IN (SELECT c.day FROM c)) AS x"
" WHERE (SELECT r.profile FROM r) IS NULL OR (SELECT r.profile FROM r) ="
" COALESCE((SELECT v.profile_id FROM amelia.workflows AS v WHERE v.id = x.workflow_id),"
" (SELECT v.profile_id FROM amelia.workflow_history AS v WHERE v.workflow_id = x.workflow_id))"
" GROUP BY x.workflow_id ORDER BY cost DESC, x.workflow_id LIMIT 10) AS p"
" LEFT JOIN amelia.workflows AS w ON w.id = p.workflow_id"
" LEFT JOIN amelia.workflow_history AS h ON h.workflow_id = p.workflow_id"
" ORDER BY p.cost DESC, p.workflow_id";

/* Why: what was given as the reason, or the last error that the log has. */
static const char failed_sql[] = RANGE
"SELECT f.issue_id, f.id, COALESCE(f.profile_id, ''), f.completed_at, concat_ws(' of ', f.failures, f.max_failures),"
" left(COALESCE(f.failure_reason, (SELECT e.message FROM amelia.workflow_log AS e"
" WHERE e.workflow_id = f.id AND e.is_error ORDER BY e.sequence DESC LIMIT 1), '(no reason was given)'), 300)"
" FROM (SELECT w.* FROM r JOIN amelia.workflows AS w ON w.status = 'failed'"
" AND w.completed_at >= r.first::timestamp AT TIME ZONE 'UTC'"
" AND w.completed_at < (r.last + 1)::timestamp AT TIME ZONE 'UTC'"
" WHERE r.profile IS NULL OR w.profile_id = r.profile"
" ORDER BY w.completed_at DESC, w.id LIMIT 20) AS f ORDER BY f.completed_at DESC, f.id";

static const char budgets_sql[] =
"SELECT concat_ws(' ', b.scope, b.target), b.period, b.action, " MONEY("b.limit_usd") ","
" " MONEY("b.spent_usd") ", CASE WHEN b.is_spent THEN 'spent' ELSE " MONEY("b.left_usd") " END"
" FROM amelia.budget_status() AS b"
" WHERE $1::text IS NULL OR b.scope = 'everything' OR (b.scope = 'profile' AND b.target = $1)";

bool
usage_days_valid(const char *days)
{
	char	   *end;
	long		number = strtol(days, &end, 10);

	return end != days && *end == '\0' && number >= 1 && number <= USAGE_MAX_DAYS;
}

static PGresult *
ask_range(const Usage *usage, const char *sql)
{
	const char *params[] = {usage->until, usage->days, usage->profile};

	return usage->ask(usage->arg, sql, LENGTH(params), params);
}

/* The range, the database and the time, as a line below the title. */
bool
usage_subtitle(const Usage *usage, Buffer *text)
{
	PGresult   *rows = ask_range(usage, subtitle_sql);

	if (rows == NULL)
		return false;
	buffer_printf(text, "%s to %s (UTC days), database %s, as of %s UTC", PQgetvalue(rows, 0, 0),
				  PQgetvalue(rows, 0, 1), PQgetvalue(rows, 0, 2), PQgetvalue(rows, 0, 3));
	if (usage->profile != NULL)
		buffer_printf(text, ", profile %s", usage->profile);
	PQclear(rows);
	return true;
}

static bool
add_table(const Usage *usage, const char *head, PGresult *rows, const Column *columns,
		  int ncolumns, const char *nothing)
{
	if (rows == NULL)
		return false;
	page_section(usage->page, head);
	page_table(usage->page, rows, columns, ncolumns, nothing);
	PQclear(rows);
	return true;
}

static bool
add_budgets(const Usage *usage)
{
	static const Column columns[] = {{.head = "For"}, {.head = "Per"}, {.head = "Action"},
	{"Limit $", NUMBER, NULL}, {"Spent $", NUMBER, NULL}, {"Left $", NUMBER, NULL}};

	return add_table(usage, "Budgets", usage->ask(usage->arg, budgets_sql, 1, &usage->profile),
					 columns, LENGTH(columns), "There is no budget. INSERT INTO amelia.budgets makes one.");
}

static void
money_tile(Buffer *page, const PGresult *row, const char *label, int value, int note)
{
	Buffer text = {0};

	buffer_printf(&text, "$%s", PQgetvalue(row, 0, value));
	page_tile(page, label, text.data, PQgetvalue(row, 0, note));
	buffer_free(&text);
}

static bool
add_totals(const Usage *usage)
{
	Buffer	   *page = usage->page;
	PGresult   *summary = ask_range(usage, summary_sql);
	Buffer text = {0};

	if (summary == NULL)
		return false;
	buffer_printf(&text, "Cost, %s days", PQgetvalue(summary, 0, 13));
	buffer_puts(page, "<div class=\"tiles\">\n");
	money_tile(page, summary, PQgetvalue(summary, 0, 9), 7, 11);
	money_tile(page, summary, PQgetvalue(summary, 0, 10), 8, 12);
	money_tile(page, summary, text.data, 0, 1);
	page_tile(page, "Workflows", PQgetvalue(summary, 0, 2), "with usage");
	page_tile(page, "Tokens", PQgetvalue(summary, 0, 3), "input and output");
	page_tile(page, "Hours", PQgetvalue(summary, 0, 4), "of model time");
	page_tile(page, "Success", PQgetvalue(summary, 0, 5), PQgetvalue(summary, 0, 6));
	buffer_puts(page, "</div>\n");
	buffer_free(&text);
	PQclear(summary);
	return true;
}

static bool
add_chart(const Usage *usage)
{
	PGresult   *models = ask_range(usage, models_sql);
	PGresult   *days = models != NULL ? ask_range(usage, days_sql) : NULL;
	bool		there = days != NULL;

	if (there)
	{
		page_section(usage->page, "Cost per day");
		page_stacked_bars(usage->page, days, models);
	}
	PQclear(models);
	PQclear(days);
	return there;
}

/* False when a query failed; what came before it is on the page. */
bool
usage_sections(const Usage *usage)
{
	static const char *const by[][3] = {
		{"By model", "Model", BY("model", "usage_by_model")},
		{"By agent", "Agent", BY("agent", "usage_by_agent")},
		{"By profile", "Profile", BY("profile", "usage_by_profile")}
	};
	static const Column dearest[] = {{.head = "Issue"}, {.head = "Workflow"}, {"Status", STATUS, NULL},
	{.head = "Profile"}, {"Cost $", NUMBER, NULL}, {"Tokens", NUMBER, NULL}};
	static const Column failed[] = {{.head = "Issue"}, {.head = "Workflow"}, {.head = "Profile"},
	{"Failed", TIME, NULL}, {"Failures", NUMBER, NULL}, {.head = "Why"}};
	const char *nothing = "Nothing was used in this time.";
	Column		columns[LENGTH(dearest)];
	int			linked = usage->workflow_address != NULL;

	if (!add_budgets(usage) || !add_totals(usage) || !add_chart(usage))
		return false;
	for (int i = 0; i < LENGTH(by); i++)
	{
		const Column of[] = {{.head = by[i][1]}, {"Cost $", NUMBER, NULL}, {"Tokens", NUMBER, NULL},
		{"Workflows", NUMBER, NULL}, {"Success", NUMBER, NULL}, {"Trend", BARS, NULL}};

		if ((i < 2 || usage->profile == NULL) &&
			!add_table(usage, by[i][0], ask_range(usage, by[i][2]), of, LENGTH(of), nothing))
			return false;
	}

	/* Where there are links, the issue is one and the id is in it. */
	for (int pass = 0; pass < 2; pass++)
	{
		const Column *of = pass == 0 ? dearest : failed;

		columns[0] = (Column)
		{
			.head = of[0].head,.kind = linked ? LINK : TEXT,.address = usage->workflow_address
		};
		for (int i = 1; i < LENGTH(columns) - linked; i++)
			columns[i] = of[i + linked];
		if (!add_table(usage, pass == 0 ? "The ten dearest workflows" : "What failed, and why",
					   ask_range(usage, pass == 0 ? dearest_sql : failed_sql), columns, LENGTH(columns) - linked,
					   pass == 0 ? nothing : "Nothing failed in this time."))
			return false;
	}
	return true;
}
