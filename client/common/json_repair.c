/*-------------------------------------------------------------------------
 *
 * json_repair.c
 *	  JSON of programs that write what PostgreSQL cannot store.
 *
 * What a tool printed is kept by agents as it came: with NUL characters, and
 * cut between the halves of a surrogate pair. JSON can say both, text in
 * UTF-8 neither.
 *
 *-------------------------------------------------------------------------
 */
#include "common/json.h"

#include <ctype.h>
#include <string.h>

#include "common/util.h"

#define ESCAPE_LEN 6			/* \uXXXX */

/* The code of an escape \uXXXX at p, or -1 when none stands there. */
static int
escaped_code(const char *p, const char *end)
{
	int			code = 0;

	if (end - p < ESCAPE_LEN || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (int i = 2; i < ESCAPE_LEN; i++)
	{
		unsigned char c = (unsigned char) p[i];

		if (!isxdigit(c))
			return -1;
		code = code * 16 + (isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
	}
	return code;
}

/*
 * The text with U+FFFD for each NUL character and for each half of a
 * surrogate pair that stands alone; how many there were.
 */
size_t
json_make_storable(Buffer *out, Slice text)
{
	const char *p = text.start;
	const char *end = text.start + text.len;
	size_t		replaced = 0;

	buffer_reset(out);
	while (p < end)
	{
		const char *escape = memchr(p, '\\', (size_t) (end - p));
		int			code;
		size_t		len = 2;

		if (escape == NULL)
			break;
		buffer_add(out, p, (size_t) (escape - p));
		p = escape;
		code = escaped_code(p, end);
		if (code >= 0xD800 && code <= 0xDBFF)
		{
			int			low = escaped_code(p + ESCAPE_LEN, end);

			len = low >= 0xDC00 && low <= 0xDFFF ? 2 * ESCAPE_LEN : 0;
		}
		else if (code == 0 || (code >= 0xDC00 && code <= 0xDFFF))
			len = 0;
		if (len == 0)
		{
			buffer_puts(out, "\\ufffd");
			replaced++;
			p += ESCAPE_LEN;
			continue;
		}
		if (len > (size_t) (end - p))
			len = (size_t) (end - p);
		buffer_add(out, p, len);
		p += len;
	}
	buffer_add(out, p, (size_t) (end - p));
	return replaced;
}
