/*-------------------------------------------------------------------------
 *
 * assets.c
 *	  The files that pages need, taken in by the assembler as they are.
 *
 *-------------------------------------------------------------------------
 */
#include "dashboard/assets.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "page/style.h"

__asm__(".section .rodata\n"
		".global dashboard_style\n"
		"dashboard_style:\n"
		".incbin \"dashboard/dashboard.css\"\n"
		".byte 0\n"
		".global dashboard_script\n"
		"dashboard_script:\n"
		".incbin \"dashboard/dashboard.js\"\n"
		".byte 0\n"
		".previous\n");

extern const char dashboard_style[];
extern const char dashboard_script[];

static const char icon[] =
"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\"><path fill=\"#3b6fd4\" d=\"M1 15 8 1l7 14h-3L8 6.5 4 15z\"/></svg>\n";

char		assets_version[17];

static Asset assets[3];

/* The style is that of all pages, and what only these have. */
void
assets_init(void)
{
	uint64_t	hash = UINT64_C(0xcbf29ce484222325);
	Buffer		style = {0};

	buffer_puts(&style, page_style);
	buffer_puts(&style, dashboard_style);
	assets[0] = (Asset)
	{
		"/style.css", "text/css; charset=utf-8", style.data, style.len
	};
	assets[1] = (Asset)
	{
		"/dashboard.js", "text/javascript; charset=utf-8", dashboard_script, strlen(dashboard_script)
	};
	assets[2] = (Asset)
	{
		"/icon.svg", "image/svg+xml", icon, strlen(icon)
	};
	for (int i = 0; i < 3; i++)
	{
		for (size_t at = 0; at < assets[i].len; at++)
			hash = (hash ^ (unsigned char) assets[i].data[at]) * UINT64_C(0x100000001b3);
	}
	snprintf(assets_version, sizeof(assets_version), "%016llx", (unsigned long long) hash);
}

const Asset *
asset_find(const char *path)
{
	for (int i = 0; i < 3; i++)
	{
		if (strcmp(assets[i].path, path) == 0)
			return &assets[i];
	}
	return NULL;
}
