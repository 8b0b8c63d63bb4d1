/*-------------------------------------------------------------------------
 *
 * events.c
 *	  Events of a workflow, as items of a list, and one of them as a page.
 *
 * What a list shows of an event is bounded: the server cuts messages, and of
 * documents that are stored in more than a few kilobytes it sends nothing but
 * their size. The event's own page shows more, and all of it can be saved. A
 * list as a whole is bounded too: of many long events the newest are whole.
 *
 *-------------------------------------------------------------------------
 */
#include "dashboard/events.h"

#include <stdlib.h>
#include <string.h>

#include "dashboard/tree.h"
#include "dashboard/views.h"
#include "page/page.h"

/* What a list has of the message of an event that is not whole, in bytes. */
#define BRIEF 200

/* Field numbers of COLUMNS. */
enum
{
	SEQUENCE, TIMESTAMP, LEVEL, TYPE, AGENT, MESSAGE, MESSAGE_SIZE, IS_ERROR, TOOL, DATA, DATA_SIZE,
	INPUT, INPUT_SIZE, CORRELATION, TRACE, PARENT
};

/*
 * pg_column_size() of what is stored out of line reads none of it. A document
 * of that size compressed may be long: what is sent is cut as well.
 */
#define DOCUMENT(column, stored, shown) \
	"CASE WHEN pg_column_size(e." column ") <= " stored " THEN left(e." column "::text, " shown ") END," \
	" pg_size_pretty(pg_column_size(e." column ")::bigint)"
#define COLUMNS(stored, shown) \
	"SELECT e.sequence, e.\"timestamp\", e.level, left(e.event_type, 300), left(e.agent, 300), left(e.message, " shown ")," \
	" CASE WHEN octet_length(e.message) > " shown " THEN pg_size_pretty(octet_length(e.message)::bigint) END," \
	" e.is_error, left(e.tool_name, 300), " DOCUMENT("data", stored, shown) ", " DOCUMENT("tool_input", stored, shown) "," \
	" left(e.correlation_id::text, 300), left(e.trace_id::text, 300), (SELECT p.sequence FROM amelia.workflow_log AS p WHERE p.id = e.parent_id)" \
	" FROM amelia.workflow_log AS e WHERE e.workflow_id = $1::uuid"
#define IN_LIST COLUMNS("8192", "8000")
#define ON_PAGE COLUMNS("4000000", "1000000")

/* $3: a level; errors have an index of their own. */
#define OF_LEVEL \
	" AND ($3::text IS NULL OR array_position(ARRAY['trace', 'debug', 'info', 'warning', 'error'], e.level)" \
	" >= array_position(ARRAY['trace', 'debug', 'info', 'warning', 'error'], $3) OR e.is_error)"
#define BEFORE " AND ($2::integer IS NULL OR e.sequence < $2)"
#define BACKWARDS " ORDER BY e.sequence DESC LIMIT 201"
#define FORWARDS " ORDER BY e.sequence LIMIT 200"

bool
events_level_valid(const char *level)
{
	static const char *const levels[] = {"trace", "debug", "info", "warning", "error"};

	for (int i = 0; i < LENGTH(levels); i++)
	{
		if (level == NULL || strcmp(level, levels[i]) == 0)
			return true;
	}
	return false;
}

/* One more than a page, the newest first. sequence NULL: from the end. */
PGresult *
events_before(View *view, const char *sequence, const char *level)
{
	if (level != NULL && strcmp(level, "error") == 0)
		return view_ask(view, IN_LIST BEFORE " AND e.is_error" BACKWARDS, 2, view->id, sequence);
	return view_ask(view, IN_LIST BEFORE OF_LEVEL BACKWARDS, 3, view->id, sequence, level);
}

PGresult *
events_after(View *view, int sequence, const char *level)
{
	char text[	16];

	snprintf(text, sizeof(text), "%d", sequence);
	if (level != NULL && strcmp(level, "error") == 0)
		return view_ask(view, IN_LIST " AND e.sequence > $2::integer AND e.is_error" FORWARDS, 2, view->id, text);
	return view_ask(view, IN_LIST " AND e.sequence > $2::integer" OF_LEVEL FORWARDS, 3, view->id, text, level);
}

static void
put_document(Buffer *page, const PGresult *rows, int row, int column, const char *what,
			 const char *field_name, const char *workflow_id)
{
	const char *document = value_of(rows, row, column);
	const char *size = value_of(rows, row, column + 1);

	if (size == NULL)
		return;
	if (document == NULL)
	{
		page_put(page, "<p>%s: %s stored. <a href=\"/workflow/%a/event/%s\">Look at the event</a> or <a download "
				 "href=\"/workflow/%a/event/%s/%s\">save it</a>.</p>", what, size, workflow_id,
				 PQgetvalue(rows, row, SEQUENCE), workflow_id, PQgetvalue(rows, row, SEQUENCE), field_name);
		return;
	}
	page_put(page, "<details><summary>%s</summary>", what);
	tree_put(page, document);
	page_put(page, "</details>");
}

static void
put_badges(Buffer *page, const PGresult *rows, int row)
{
	static const struct
	{
		int			column;
		const char *title;
	}			badges[] = {{AGENT, "agent"}, {TOOL, "tool"}, {CORRELATION, "correlation"}, {TRACE, "trace"}};

	for (int i = 0; i < LENGTH(badges); i++)
	{
		const char *value = value_of(rows, row, badges[i].column);

		if (value != NULL)
			page_put(page, " <span class=\"badge\">%s %s</span>", badges[i].title, value);
	}
}

/* The beginning of a text, which does not end in the middle of a character. */
static void
put_beginning(Buffer *page, const char *text, size_t len, size_t most)
{
	Buffer		begin = {0};

	if (len > most)
		for (len = most; len > 0 && ((unsigned char) text[len] & 0xC0) == 0x80; len--);
	buffer_reset(&begin);
	buffer_add(&begin, text, len);
	page_put(page, "%s%r", begin.data, text[len] != '\0' ? " " ELLIPSIS : "");
	buffer_free(&begin);
}

/* An item of the list. Calls of tools, and what they answer, are folded. */
static void
put_event(Buffer *page, const PGresult *rows, int row, const char *workflow_id, bool brief)
{
	const char *sequence = PQgetvalue(rows, row, SEQUENCE);
	const char *type = PQgetvalue(rows, row, TYPE);
	bool		folded = strstr(type, "tool_call") != NULL || strstr(type, "tool_result") != NULL;
	const char *message = PQgetvalue(rows, row, MESSAGE);

	page_put(page, "<li id=\"e%s\" class=\"event %s%r\"><div><a href=\"/workflow/%a/event/%s\">#%s</a> ", sequence,
			 PQgetvalue(rows, row, LEVEL), is_true(rows, row, IS_ERROR) ? " is-error" : "",
			 workflow_id, sequence, sequence);
	page_time(page, PQgetvalue(rows, row, TIMESTAMP));
	page_put(page, " <span class=\"level\">%s</span> <b>%s</b>", PQgetvalue(rows, row, LEVEL), type);
	put_badges(page, rows, row);
	if (value_of(rows, row, PARENT) != NULL)
		page_put(page, " <a href=\"/workflow/%a?at=%s#e%s\">because of #%s</a>", workflow_id,
				 PQgetvalue(rows, row, PARENT), PQgetvalue(rows, row, PARENT), PQgetvalue(rows, row, PARENT));
	page_put(page, "</div>");
	if (brief)
	{
		page_put(page, "<div class=\"text\">");
		put_beginning(page, message, strlen(message), BRIEF);
		page_put(page, "</div><p>It is too long for a list. <a href=\"/workflow/%a/event/%s\">Look at the event</a>.</p></li>\n",
				 workflow_id, sequence);
		return;
	}
	if (folded)
	{
		size_t		len = strcspn(message, "\n");

		page_put(page, "<details><summary>");
		if (len > 0)
			put_beginning(page, message, len, 120);
		else
			page_put(page, "%s%r", type, *message != '\0' ? " " ELLIPSIS : "");
		page_put(page, "</summary>");
	}
	page_put(page, "<div class=\"text\">%s</div>", message);
	if (value_of(rows, row, MESSAGE_SIZE) != NULL)
		page_put(page, "<p>The message is %s long. <a download href=\"/workflow/%a/event/%s/message\">Save it</a>.</p>",
				 PQgetvalue(rows, row, MESSAGE_SIZE), workflow_id, sequence);
	put_document(page, rows, row, INPUT, "Input of the tool", "tool_input", workflow_id);
	put_document(page, rows, row, DATA, "Data", "data", workflow_id);
	if (folded)
		page_put(page, "</details>");
	page_put(page, "</li>\n");
}

/*
 * n events as items of a list, the oldest first. rows may have the newest
 * first. The newest one is whole in any case.
 */
void
events_put(Buffer *page, const PGresult *rows, int n, bool newest_first, const char *workflow_id)
{
	Buffer	   *items = allocate(sizeof(Buffer) * (size_t) (n > 0 ? n : 1));
	size_t		size = 0;
	bool		is_full = false;

	for (int i = 0; i < n; i++)
	{
		int			row = newest_first ? i : n - 1 - i;

		put_event(&items[i], rows, row, workflow_id, is_full);
		size += items[i].len;
		if (!is_full && i > 0 && size > LIST_SIZE)
		{
			is_full = true;
			buffer_reset(&items[i]);
			put_event(&items[i], rows, row, workflow_id, true);
		}
	}
	for (int i = n - 1; i >= 0; i--)
	{
		buffer_add(page, items[i].data, items[i].len);
		buffer_free(&items[i]);
	}
	free(items);
}

/* One event: more of it than a list shows. */
bool
view_event(View *view)
{
	char text[	16];
	PGresult   *rows;

	snprintf(text, sizeof(text), "%d", view->sequence);
	rows = view_ask(view, ON_PAGE " AND e.sequence = $2::integer", 2, view->id, text);
	if (rows == NULL)
		return false;
	if (PQntuples(rows) == 0)
		failure_set(&view->failure, 404, "It may have been deleted by retention, or hidden from your role by a policy.",
					"workflow %s has no event %d", view->id, view->sequence);
	else
	{
		page_put(view->page, "<p><a href=\"/workflow/%a?at=%s#e%s\">Among its neighbours</a></p><ol class=\"events\">",
				 view->id, text, text);
		events_put(view->page, rows, 1, true, view->id);
		page_put(view->page, "</ol>");
	}
	PQclear(rows);
	return view->failure.status == 0;
}
