/*-------------------------------------------------------------------------
 *
 * cost.c
 *	  What agents cost, with the report's sections.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "dashboard/views.h"
#include "page/page.h"
#include "page/usage.h"

bool
view_cost(View *view)
{
	const char *days = field(view->fields, "days");
	Usage		usage = {
		.page = view->page,.ask = view_query,.arg = view,
		.until = field(view->fields, "until"),.days = days != NULL ? days : USAGE_DEFAULT_DAYS,
		.profile = field(view->fields, "profile"),.workflow_address = "/workflow/"
	};
	Buffer text = {0};

	if (!usage_days_valid(usage.days))
	{
		failure_set(&view->failure, 400, "A range has from 1 to 366 days.", "\"%s\" is no number of days", usage.days);
		return false;
	}
	if (usage_subtitle(&usage, &text))
		page_put(view->page, "<p>%s</p>", text.data);
	buffer_free(&text);
	page_put(view->page, "<form class=\"filters\" method=\"get\" action=\"/cost\" role=\"search\" aria-label=\"Range\">"
			 "<label>Days <input name=\"days\" type=\"number\" min=\"1\" max=\"366\" value=\"%s\"></label>"
			 "<label>Up to <input name=\"until\" type=\"date\" value=\"%s\"></label>"
			 "<label>Profile <input name=\"profile\" value=\"%s\"></label><button>Show</button></form>\n",
			 usage.days, usage.until, usage.profile);
	return usage_sections(&usage);
}
