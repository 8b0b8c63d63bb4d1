/*-------------------------------------------------------------------------
 *
 * report_page.c
 *	  The parts of amelia-report's page: HTML with its style and its SVG
 *	  in it, and no script.
 *
 * All text that comes from the database goes through page_text().
 *
 *-------------------------------------------------------------------------
 */
#include "report/report_page.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

/* The chart in units of its own; CSS fits it to the page. */
#define CHART_WIDTH 900.0
#define CHART_HEIGHT 220.0
#define CHART_TOP 14.0
#define CHART_BOTTOM 24.0

static const char style[] =
":root{color-scheme:light dark;--bg:#fff;--fg:#1c2024;--dim:#60646c;--line:#d9dde3;--card:#f6f7f9;"
"--c0:#3b6fd4;--c1:#d9822b;--c2:#3c9a5f;--c3:#b04fb5;--c4:#c94f4f;--c5:#2f9aa8;--c6:#8a7a2f;--c7:#7a7f87}\n"
"@media(prefers-color-scheme:dark){:root{--bg:#15181c;--fg:#e6e8eb;--dim:#9ba1a9;--line:#333940;--card:#1e2328;"
"--c0:#7aa5f5;--c1:#f0aa60;--c2:#6cc48d;--c3:#d58ad9;--c4:#ec8787;--c5:#6cc9d6;--c6:#c9b963;--c7:#a5abb4}}\n"
"*{box-sizing:border-box}body{margin:0 auto;max-width:1000px;padding:24px 16px;background:var(--bg);color:var(--fg);"
"font:15px/1.5 system-ui,sans-serif}h1{font-size:1.6em;margin:0}h2{font-size:1.15em;margin:2em 0 .5em}"
"p{color:var(--dim);margin:.2em 0}.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:20px 0}"
".tile{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px;min-width:0;overflow-wrap:anywhere}"
".tile strong{display:block;font-size:1.45em;font-variant-numeric:tabular-nums}.tile span{color:var(--dim);font-size:.87em}\n"
"table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th{text-align:left;color:var(--dim);font-weight:600}"
"th,td{border-bottom:1px solid var(--line);padding:5px 8px 5px 0;overflow-wrap:anywhere;vertical-align:top}"
".n{text-align:right;overflow-wrap:normal}.t{display:inline-block;min-width:24em;font-size:.62em;line-height:1.4;overflow-wrap:anywhere}svg{display:block;width:100%;height:auto}"
"svg text{fill:var(--dim);font:11px system-ui,sans-serif}.axis{stroke:var(--line)}"
".legend{display:flex;flex-wrap:wrap;gap:4px 16px;padding:0;margin:8px 0;list-style:none}.legend li{min-width:0;overflow-wrap:anywhere}"
".legend i{display:inline-block;width:.75em;height:.75em;border-radius:2px;margin-right:.4em}\n"
".c0{fill:var(--c0);background:var(--c0)}.c1{fill:var(--c1);background:var(--c1)}.c2{fill:var(--c2);background:var(--c2)}"
".c3{fill:var(--c3);background:var(--c3)}.c4{fill:var(--c4);background:var(--c4)}.c5{fill:var(--c5);background:var(--c5)}"
".c6{fill:var(--c6);background:var(--c6)}.c7{fill:var(--c7);background:var(--c7)}\n"
"@media(max-width:600px){body{padding:16px 10px;font-size:14px}"
"table,thead,tbody,tr,td{display:block}thead{display:none}tr{border-bottom:1px solid var(--line);padding:6px 0}"
"td{border:0;padding:1px 0;display:flex;justify-content:space-between;gap:12px}td::before{content:attr(data-head);color:var(--dim);flex:none}"
"svg text{font-size:22px}svg{overflow:visible;margin:14px 0}.tile strong{font-size:1.2em}}\n"
"@media print{body{max-width:none;padding:0}.tile,tr,svg{break-inside:avoid}"
"*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}\n";

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
			default:
				buffer_add(page, text, 1);
		}
	}
}

void
page_begin(Buffer *page, const char *title, const char *subtitle)
{
	buffer_puts(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
				"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
				"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>");
	page_text(page, title);
	buffer_puts(page, "</title>\n<style>\n");
	buffer_puts(page, style);
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
		for (int i = 0; i < ncolumns; i++)
		{
			buffer_printf(page, "<td%s data-head=\"", columns[i].kind == NUMBER ? " class=\"n\"" : "");
			page_text(page, columns[i].head);
			buffer_printf(page, "\"><span%s>", columns[i].kind == BARS ? " class=\"t\"" : "");
			page_text(page, PQgetvalue(rows, row, i));
			buffer_puts(page, "</span></td>");
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
