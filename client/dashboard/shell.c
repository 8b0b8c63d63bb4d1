/*-------------------------------------------------------------------------
 *
 * shell.c
 *	  What stands around a view on its page: head, menu, end; the page of a
 *	  failure; and the form to log in.
 *
 *-------------------------------------------------------------------------
 */
#include "dashboard/shell.h"

#include "dashboard/assets.h"
#include "page/page.h"

/* session NULL: nobody is logged in, and there is no menu. */
void
shell_begin(Buffer *page, const char *title, const Session *session, const Route *here)
{
	page_put(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
			 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>%s &middot; Amelia</title>\n"
			 "<meta name=\"token\" content=\"%s\">\n<link rel=\"icon\" href=\"/icon.svg\">\n"
			 "<link rel=\"stylesheet\" href=\"/style.css?v=%r\">\n<script src=\"/dashboard.js?v=%r\" defer></script>\n</head>\n<body>\n"
			 "<a class=\"skip\" href=\"#main\">Skip to the content</a>\n", title, session != NULL ? session->token : "",
			 assets_version, assets_version);
	if (session != NULL)
	{
		page_put(page, "<header><nav aria-label=\"Views\"><ul>");
		for (const Route *route = route_next(NULL); route != NULL; route = route_next(route))
		{
			if (route->in_menu)
				page_put(page, "<li><a href=\"%s\"%r>%s</a></li>", route->path, route == here ? " aria-current=\"page\"" : "", route->title);
		}
		page_put(page, "</ul></nav>");
		if (session->own)
			page_put(page, "<div class=\"who\">%s</div>", session->role);
		else
			page_put(page, "<form class=\"who\" method=\"post\" action=\"/logout\"><input type=\"hidden\" name=\"token\" value=\"%s\">"
					 "%s <button>Log out</button></form>", session->token, session->role);
		page_put(page, "</header>\n");
	}
	page_put(page, "<div id=\"state\" role=\"status\"></div>\n<main id=\"main\" tabindex=\"-1\">\n");
}

void
shell_end(Buffer *page)
{
	page_put(page, "</main>\n</body>\n</html>\n");
}

void
shell_failure(Buffer *page, const Failure *failure, const char *back)
{
	const char *title = failure->status == 403 ? "Your role may not do this" : failure->status == 404 ? "There is no such thing" :
	failure->status == 503 ? "The database does not answer" : failure->status == 409 ? "This cannot be done now" :
	failure->status == 400 ? "This cannot be asked" : "This failed";

	page_put(page, "<h1>%r</h1>\n<p class=\"failure\" role=\"alert\">%s</p>\n", title, failure->message);
	if (failure->detail != NULL)
		page_put(page, "<p>%s</p>\n", failure->detail);
	if (failure->hint != NULL)
		page_put(page, "<p>%s</p>\n", failure->hint);
	if (failure->sqlstate[0] != '\0')
		page_put(page, "<p>SQLSTATE <code>%s</code></p>\n", failure->sqlstate);
	page_put(page, "<p><a href=\"%s\">Back</a></p>\n", back);
}

void
shell_login(Buffer *page, const char *role, const char *next, const char *message)
{
	shell_begin(page, "Log in", NULL, NULL);
	page_put(page, "<h1>Log in</h1>\n<p>With a role of the database and its password.</p>\n");
	if (message != NULL)
		page_put(page, "<p class=\"failure\" role=\"alert\">%s</p>\n", message);
	page_put(page, "<form class=\"login\" method=\"post\" action=\"/login\"><input type=\"hidden\" name=\"next\" value=\"%s\">"
			 "<label>Role <input name=\"role\" value=\"%s\" autocomplete=\"username\" autocapitalize=\"none\" required%r></label>"
			 "<label>Password <input name=\"password\" type=\"password\" autocomplete=\"current-password\" required></label>"
			 "<button>Log in</button></form>\n", next, role, role == NULL ? " autofocus" : "");
	shell_end(page);
}
