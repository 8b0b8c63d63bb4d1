/*-------------------------------------------------------------------------
 *
 * fields.c
 *	  Names and values of a query string or a form
 *	  (application/x-www-form-urlencoded).
 *
 *-------------------------------------------------------------------------
 */
#define _DEFAULT_SOURCE			/* explicit_bzero() */
#include "dashboard/fields.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

static int
hex_digit(char c)
{
	if (isdigit((unsigned char) c))
		return c - '0';
	return isxdigit((unsigned char) c) ? tolower((unsigned char) c) - 'a' + 10 : -1;
}

/* NULL where it is malformed, or holds a zero, which text has not. */
static char *
decode(const char *text, size_t len)
{
	char	   *result = allocate(len + 1);
	char	   *out = result;

	for (size_t i = 0; i < len; i++)
	{
		char		c = text[i];

		if (c == '+')
			c = ' ';
		else if (c == '%')
		{
			int			high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
			int			low = i + 2 < len ? hex_digit(text[i + 2]) : -1;

			if (high < 0 || low < 0)
			{
				free(result);
				return NULL;
			}
			c = (char) (high * 16 + low);
			i += 2;
		}
		if (c == '\0')
		{
			free(result);
			return NULL;
		}
		*out++ = c;
	}
	return result;
}

/* False when there are too many of them, or one is malformed. */
bool
fields_parse(Fields *fields, const char *text, size_t len)
{
	const char *end = text +len;

	memset(fields, 0, sizeof(*fields));
	while (text <end)
	{
		const char *stop = memchr(text, '&', (size_t) (end - text));
		const char *equals;
		char	   *name;
		char	   *value;

		if (stop == NULL)
			stop = end;
		equals = memchr(text, '=', (size_t) (stop - text));
		if (stop > text)
		{
			name = decode(text, (size_t) ((equals != NULL ? equals : stop) - text));
			value = equals != NULL ? decode(equals + 1, (size_t) (stop - equals - 1)) : copy_string("");
			if (name == NULL || value == NULL || fields->n == MAX_FIELDS)
			{
				free(name);
				free(value);
				fields_free(fields);
				return false;
			}
			fields->names[fields->n] = name;
			fields->values[fields->n++] = value;
		}
		text = stop + 1;
	}
	return true;
}

/* The value of a name; NULL where it is missing or empty. */
const char *
field(const Fields *fields, const char *name)
{
	for (int i = 0; i < fields->n; i++)
	{
		if (strcmp(fields->names[i], name) == 0)
			return *fields->values[i] != '\0' ? fields->values[i] : NULL;
	}
	return NULL;
}

/* A number that is not negative; false where there is something else. */
bool
field_number(const Fields *fields, const char *name, int *number)
{
	const char *value = field(fields, name);
	char	   *end;
	long		n;

	if (value == NULL)
		return true;
	n = strtol(value, &end, 10);
	if (!isdigit((unsigned char) *value) || *end != '\0' || n > 2147483647L)
		return false;
	*number = (int) n;
	return true;
}

void
fields_free(Fields *fields)
{
	for (int i = 0; i < fields->n; i++)
	{
		free(fields->names[i]);
		/* it may be a password */
		explicit_bzero(fields->values[i], strlen(fields->values[i]));
		free(fields->values[i]);
	}
	fields->n = 0;
}
