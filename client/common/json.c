/*-------------------------------------------------------------------------
 *
 * json.c
 *	  What jansson leaves open: errors in the user's words, the place of a
 *	  value in its file, values exactly as they were written.
 *
 * jansson decides what is JSON. The scanner here runs only over text that
 * jansson has accepted, so it need not check anything but the end.
 *
 *-------------------------------------------------------------------------
 */#include "common/json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/sha256.h"
#include "common/util.h"

/*
 * Parse one whole value. A key that stands there twice is refused, because
 * readers disagree about which of the two counts.
 */
json_t *
json_parse(const char *text, size_t len, unsigned long first_line,
		   Problem *problem)
{
	json_error_t error;
	json_t	   *value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	unsigned long line;

	if (value != NULL)
		return value;
	line = first_line + (error.line > 0 ? (unsigned long) error.line - 1 : 0);
	if (memchr(text, '\0', len) != NULL)
	{
		/* jansson takes it for the end of the text when it says where */
		const char *nul = memchr(text, '\0', len);

		for (line = first_line; text < nul; text++)
			line += (*text == '\n');
		problem_set(problem, line, "contains a NUL byte");
		return NULL;
	}
	switch (json_error_code(&error))
	{
		case json_error_null_character:
		case json_error_null_byte_in_key:
			problem_set(problem, line,
						"a string contains \\u0000, which PostgreSQL cannot store");
			break;
		case json_error_invalid_utf8:
			problem_set(problem, line, "not valid UTF-8: %s", error.text);
			break;
		case json_error_stack_overflow:
			problem_set(problem, line, "nested too deeply: %s", error.text);
			break;
		case json_error_premature_end_of_input:
			problem_set(problem, line,
						"ends in the middle of a value: %s", error.text);
			break;
		case json_error_numeric_overflow:
			problem_set(problem, line, "number out of range: %s", error.text);
			break;
		case json_error_end_of_input_expected:
			problem_set(problem, line,
						"more follows after the end of the value: %s",
						error.text);
			break;
		case json_error_out_of_memory:
			problem_set(problem, line, "out of memory");
			break;
		default:
			problem_set(problem, line, "not valid JSON: %s", error.text);
			break;
	}
	return NULL;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

/* From the opening quote to behind the closing one. */
static const char *
skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
	{
		if (*p == '\\')
			p++;
	}
	return p < end ? p + 1 : end;
}

static const char *
skip_value(const char *p, const char *end)
{
	int			depth = 0;

	while (p < end)
	{
		if (*p == '"')
			p = skip_string(p, end);
		else if (*p == '{' || *p == '[')
		{
			depth++;
			p++;
		}
		else if (depth == 0 && (*p == ',' || *p == '}' || *p == ']' ||
								is_space(*p)))
			return p;
		else if (*p == '}' || *p == ']')
		{
			depth--;
			p++;
		}
		else
		{
			p++;
			continue;
		}
		if (depth == 0)
			return p;
	}
	return end;
}

/* The value of a key that is written without escapes; start NULL: none. */
Slice
json_member(Slice object, const char *key)
{
	const char *end = object.start + object.len;
	const char *p = skip_space(object.start, end);
	size_t		key_len = strlen(key);
	Slice		none = {NULL, 0};

	if (p == end || *p != '{')
		return none;
	p = skip_space(p + 1, end);
	while (p < end && *p == '"')
	{
		const char *name = p + 1;
		Slice		value;

		p = skip_string(p, end);
		value.start = skip_space(skip_space(p, end) + 1, end);
		if (value.start > end)
			return none;
		value.len = (size_t) (skip_value(value.start, end) - value.start);
		if ((size_t) (p - name) == key_len + 1 &&
			memcmp(name, key, key_len) == 0)
			return value;
		p = skip_space(value.start + value.len, end);
		if (p < end && *p == ',')
			p = skip_space(p + 1, end);
	}
	return none;
}

static Slice
json_element(Slice array, unsigned long index)
{
	const char *end = array.start + array.len;
	const char *p = skip_space(array.start, end);
	Slice		value = {NULL, 0};

	if (p == end || *p != '[')
		return value;
	for (p = skip_space(p + 1, end); p < end && *p != ']'; index--)
	{
		const char *after = skip_value(p, end);

		if (index == 0)
		{
			value.start = p;
			value.len = (size_t) (after - p);
			break;
		}
		p = skip_space(after, end);
		if (p < end && *p == ',')
			p = skip_space(p + 1, end);
	}
	return value;
}

/*
 * The value at a path such as `trajectory[3].state`, or what encloses it when
 * it is not there. jansson forgets positions after parsing, so this walks the
 * text again.
 */
Slice
json_find(const char *text, size_t len, const char *path)
{
	Slice		here = {text, len};

	here.start = skip_space(text, text + len);
	here.len = len - (size_t) (here.start - text);
	while (*path != '\0')
	{
		Slice		next;

		if (*path == '[')
		{
			char	   *rest;

			next = json_element(here, strtoul(path + 1, &rest, 10));
			path = rest + 1;
		}
		else
		{
			size_t		key_len;
			char	   *key;

			if (*path == '.')
				path++;
			key_len = strcspn(path, ".[");
			key = copy_string(path);
			key[key_len] = '\0';
			next = json_member(here, key);
			free(key);
			path += key_len;
		}
		if (next.start == NULL)
			break;
		here = next;
	}
	return here;
}

/* The line on which that begins; only for a message. */
unsigned long
json_line_of(const char *text, size_t len, const char *path)
{
	Slice		here = json_find(text, len, path);
	unsigned long line = 1;

	for (const char *p = text; p < here.start; p++)
	{
		if (*p == '\n')
			line++;
	}
	return line;
}

/*
 * The lines on which the first n elements of the array at a path begin, in
 * one walk.
 */
void
json_element_lines(const char *text, size_t len, const char *path,
				   unsigned long *lines, size_t n)
{
	Slice		array = json_find(text, len, path);
	const char *end = array.start + array.len;
	const char *p = text;
	const char *next;
	unsigned long line = 1;

	memset(lines, 0, n * sizeof(*lines));
	if (array.len == 0 || *array.start != '[')
		return;
	next = skip_space(array.start + 1, end);
	for (size_t i = 0; i < n && next < end && *next != ']'; i++)
	{
		for (; p < next; p++)
			line += (*p == '\n');
		lines[i] = line;
		next = skip_space(skip_value(next, end), end);
		if (next < end && *next == ',')
			next = skip_space(next + 1, end);
	}
}

/* The text without the white space between its tokens. */
void
sha256_add_json(Sha256 *sha, const char *text, size_t len)
{
	const char *end = text + len;
	const char *p = skip_space(text, end);

	while (p < end)
	{
		const char *run = p;

		while (p < end && !is_space(*p))
			p = (*p == '"') ? skip_string(p, end) : p + 1;
		sha256_add(sha, run, (size_t) (p - run));
		p = skip_space(p, end);
	}
}

static void
buffer_json_string(Buffer *buf, const char *s, size_t len)
{
	const char *end = s + len;

	buffer_add(buf, "\"", 1);
	while (s < end)
	{
		const char *run = s;

		while (s < end && (unsigned char) *s >= 0x20 && *s != '"' &&
			   *s != '\\')
			s++;
		buffer_add(buf, run, (size_t) (s - run));
		if (s == end)
			break;
		if (*s == '"' || *s == '\\')
			buffer_printf(buf, "\\%c", *s);
		else
			buffer_printf(buf, "\\u%04x", (unsigned int) (unsigned char) *s);
		s++;
	}
	buffer_add(buf, "\"", 1);
}

/*
 * Append a value. jansson writes 0.1 as 0.10000000000000001; jsonb would keep
 * that, so numbers are written with as few digits as give them back.
 */
void
buffer_json(Buffer *buf, const json_t *value)
{
	switch (json_typeof(value))
	{
		case JSON_OBJECT:
			{
				const char *key;
				json_t	   *member;
				const char *between = "{";

				json_object_foreach((json_t *) value, key, member)
				{
					buffer_puts(buf, between);
					buffer_json_string(buf, key, strlen(key));
					buffer_puts(buf, ":");
					buffer_json(buf, member);
					between = ",";
				}
				buffer_puts(buf, *between == '{' ? "{}" : "}");
				break;
			}
		case JSON_ARRAY:
			buffer_puts(buf, "[");
			for (size_t i = 0; i < json_array_size(value); i++)
			{
				if (i > 0)
					buffer_puts(buf, ",");
				buffer_json(buf, json_array_get(value, i));
			}
			buffer_puts(buf, "]");
			break;
		case JSON_STRING:
			buffer_json_string(buf, json_string_value(value),
							   json_string_length(value));
			break;
		case JSON_INTEGER:
			buffer_printf(buf, "%" JSON_INTEGER_FORMAT,
						  json_integer_value(value));
			break;
		case JSON_REAL:
			{
				char		text[40];
				double		real = json_real_value(value);

				for (int digits = 15; digits <= 17; digits++)
				{
					snprintf(text, sizeof(text), "%.*g", digits, real);
					if (strtod(text, NULL) == real)
						break;
				}
				buffer_puts(buf, text);
				break;
			}
		case JSON_TRUE:
			buffer_puts(buf, "true");
			break;
		case JSON_FALSE:
			buffer_puts(buf, "false");
			break;
		case JSON_NULL:
			buffer_puts(buf, "null");
			break;
	}
}

/* What a value is, for messages. */
const char *
json_kind(const json_t *value)
{
	if (value == NULL)
		return "nothing";
	switch (json_typeof(value))
	{
		case JSON_OBJECT:
			return "an object";
		case JSON_ARRAY:
			return "an array";
		case JSON_STRING:
			return "a string";
		case JSON_INTEGER:
		case JSON_REAL:
			return "a number";
		case JSON_TRUE:
		case JSON_FALSE:
			return "a boolean";
		case JSON_NULL:
			break;
	}
	return "null";
}
