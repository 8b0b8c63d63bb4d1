/*-------------------------------------------------------------------------
 *
 * page.c
 *	  The parts of which pages are made: HTML and SVG.
 *
 * All text that comes from the database goes through page_text(); page_put()
 * sends what it is given there, unless it is told otherwise.
 *
 *-------------------------------------------------------------------------
 */
#include "page/page.h"

#include <ctype.h>
#include <libpq-fe.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "page/style.h"

/* The chart in units of its own; CSS fits it to the page. */
#define CHART_WIDTH 900.0
#define CHART_HEIGHT 220.0
#define CHART_TOP 14.0
#define CHART_BOTTOM 24.0

/* Text that stays text, in an element and in an attribute. */
void
page_text(Buffer *page, const char *text)
{
	for (; *text !='\0'; text ++)
	{
		switch (*text)
		{
			case '&':
				buffer_puts(page, "&amp;");
				break;
			case '<':
				buffer_puts(page, "&lt;");
				break;
			case '>':
				buffer_puts(page, "&gt;");
				break;
			case '"':
				buffer_puts(page, "&quot;");
				break;
			case '\'':
				buffer_puts(page, "&#39;");
				break;
			case '\r':
				/* as itself it would be a line's end */
				buffer_puts(page, "&#13;");
				break;
			default:
				buffer_add(page, text, 1);
		}
	}
}

/* Text as a part of an address. */
static void
put_in_address(Buffer *page, const char *text)
{
	for (; *text !='\0'; text ++)
	{
		unsigned char c = (unsigned char) *text;

		if (isalnum(c) || strchr("-._~", c) != NULL)
			buffer_add(page, text, 1);
		else
			buffer_printf(page, "%%%02X", c);
	}
}

/*
 * The format as it is, with %s: text that stays text, %a: the same as a part
 * of an address, %r: HTML, %d: an int. NULL is nothing.
 */
void
page_put(Buffer *page, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	for (const char *percent; (percent = strchr(format, '%')) != NULL; format = percent + 2)
	{
		const char *text;

		buffer_add(page, format, (size_t) (percent - format));
		if (percent[1] == 'd')
		{
			buffer_printf(page, "%d", va_arg(args, int));
			continue;
		}
		text = va_arg(args, const char *);

		if (text == NULL)
			continue;
		if (percent[1] == 'r')
			buffer_puts(page, text);
		else if (percent[1] == 'a')
			put_in_address(page, text);
		else
			page_text(page, text);
	}
	buffer_puts(page, format);
	va_end(args);
}

/*
 * A timestamptz as a session in UTC with DateStyle ISO writes it. What is no
 * date of four digits, as infinity, is shown as it is.
 */
void
page_time(Buffer *page, const char *time)
{
	char		day[11];
	char		second[9];
	char		exact[40];

	if (strlen(time) < 19 || !isdigit((unsigned char) time[0]) || time[10] != ' ' ||
		strstr(time, "BC") != NULL)
	{
		page_text(page, time);
		return;
	}
	memcpy(day, time, 10);
	day[10] = '\0';
	memcpy(second, time + 11, 8);
	second[8] = '\0';
	snprintf(exact, sizeof(exact), "%.*s", (int) strcspn(time, "+"), time);
	page_put(page, "<time datetime=\"%sT%sZ\" title=\"%s UTC\">%s %s UTC</time>",
			 day, second, exact, day, second);
}

void
page_begin(Buffer *page, const char *title, const char *subtitle)
{
	buffer_puts(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
				"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
				"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>");
	page_text(page, title);
	buffer_puts(page, "</title>\n<style>\n");
	buffer_puts(page, page_style);
	buffer_puts(page, "</style>\n</head>\n<body>\n<h1>");
	page_text(page, title);
	buffer_puts(page, "</h1>\n<p>");
	page_text(page, subtitle);
	buffer_puts(page, "</p>\n");
}

void
page_end(Buffer *page)
{
	buffer_puts(page, "</body>\n</html>\n");
}

void
page_section(Buffer *page, const char *head)
{
	buffer_puts(page, "<h2>");
	page_text(page, head);
	buffer_puts(page, "</h2>\n");
}

void
page_tile(Buffer *page, const char *label, const char *value, const char *note)
{
	buffer_puts(page, "<div class=\"tile\"><span>");
	page_text(page, label);
	buffer_puts(page, "</span><strong>");
	page_text(page, value);
	buffer_puts(page, "</strong><span>");
	page_text(page, note);
	buffer_puts(page, "</span></div>\n");
}

/* A row of the table for each row of the result; on a phone, a block each. */
void
page_table(Buffer *page, const PGresult *rows, const Column *columns, int ncolumns,
		   const char *nothing)
{
	if (PQntuples(rows) == 0)
	{
		buffer_puts(page, "<p>");
		page_text(page, nothing);
		buffer_puts(page, "</p>\n");
		return;
	}
	buffer_puts(page, "<table><thead><tr>");
	for (int i = 0; i < ncolumns; i++)
	{
		buffer_printf(page, "<th%s>", columns[i].kind == NUMBER ? " class=\"n\"" : "");
		page_text(page, columns[i].head);
		buffer_puts(page, "</th>");
	}
	buffer_puts(page, "</tr></thead>\n<tbody>\n");
	for (int row = 0; row < PQntuples(rows); row++)
	{
		buffer_puts(page, "<tr>");
		for (int i = 0, field = 0; i < ncolumns; i++, field++)
		{
			const char *value = PQgetvalue(rows, row, field);

			page_put(page, "<td%r data-head=\"%s\">", columns[i].kind == NUMBER ? " class=\"n\"" : "",
					 columns[i].head);
			switch (columns[i].kind)
			{
				case TIME:
					page_time(page, value);
					break;
				case STATUS:
					page_put(page, "<span class=\"status %s\">%s</span>", value, value);
					break;
				case LINK:
					field++;
					if (PQgetisnull(rows, row, field))
						page_put(page, "<span>%s</span>", value);
					else
						page_put(page, "<a href=\"%r%a\">%s</a>", columns[i].address,
								 PQgetvalue(rows, row, field), value);
					break;
				default:
					page_put(page, "<span%r>%s</span>",
							 columns[i].kind == BARS ? " class=\"t\"" : "", value);
			}
			buffer_puts(page, "</td>");
		}
		buffer_puts(page, "</tr>\n");
	}
	buffer_puts(page, "</tbody></table>\n");
}

/*
 * Bars over the days, stacked by name. rows: the day, the day's number from
 * 0, of how many, the name, its cost, the cost of the day, the range's first
 * and last day, and the number of the name, from 0; in the order of days and
 * numbers. names: the names by their numbers, COLOURS at most.
 */
void
page_stacked_bars(Buffer *page, const PGresult *rows, const PGresult *names)
{
	double		highest = 0;
	double		plot = CHART_HEIGHT - CHART_TOP - CHART_BOTTOM;
	double		used = 0;
	int			days = PQntuples(rows) > 0 ? atoi(PQgetvalue(rows, 0, 2)) : 1;
	double		step = CHART_WIDTH / days;

	for (int row = 0; row < PQntuples(rows); row++)
	{
		double		cost = strtod(PQgetvalue(rows, row, 5), NULL);

		highest = cost > highest ? cost : highest;
	}
	buffer_printf(page, "<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"Cost per day, stacked by model\">\n"
				  "<line class=\"axis\" x1=\"0\" y1=\"%g\" x2=\"%g\" y2=\"%g\"/>\n",
				  CHART_WIDTH, CHART_HEIGHT, CHART_TOP + plot, CHART_WIDTH, CHART_TOP + plot);
	for (int row = 0; row < PQntuples(rows); row++)
	{
		double		cost = strtod(PQgetvalue(rows, row, 4), NULL);
		double		height = highest > 0 ? cost / highest * plot : 0;
		int			day = atoi(PQgetvalue(rows, row, 1));

		if (row == 0 || day != atoi(PQgetvalue(rows, row - 1, 1)))
			used = 0;
		used += height;
		buffer_printf(page, "<rect class=\"c%s\" x=\"%.2f\" y=\"%.3f\" width=\"%.2f\" height=\"%.3f\" data-cost=\"%s\"><title>",
					  PQgetvalue(rows, row, 8), day * step + step * 0.1,
					  CHART_TOP + plot - used, step * 0.8, height, PQgetvalue(rows, row, 4));
		page_text(page, PQgetvalue(rows, row, 0));
		buffer_puts(page, " ");
		page_text(page, PQgetvalue(rows, row, 3));
		buffer_printf(page, ": $%s</title></rect>\n", PQgetvalue(rows, row, 4));
	}
	buffer_printf(page, "<text x=\"0\" y=\"10\">$%.2f</text>\n", highest);
	if (PQntuples(rows) > 0)
		buffer_printf(page, "<text x=\"0\" y=\"%g\">%s</text>\n<text x=\"%g\" y=\"%g\" text-anchor=\"end\">%s</text>\n",
					  CHART_HEIGHT - 4, PQgetvalue(rows, 0, 6), CHART_WIDTH, CHART_HEIGHT - 4,
					  PQgetvalue(rows, 0, 7));
	buffer_puts(page, "</svg>\n<ul class=\"legend\">\n");
	for (int i = 0; i < PQntuples(names); i++)
	{
		buffer_printf(page, "<li><i class=\"c%d\"></i>", i);
		page_text(page, PQgetvalue(names, i, 0));
		buffer_puts(page, "</li>\n");
	}
	buffer_puts(page, "</ul>\n");
}
