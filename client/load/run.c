/*-------------------------------------------------------------------------
 *
 * run.c
 *	  What the parts of a recorded run are read with.
 *
 *-------------------------------------------------------------------------
 */
#include "load/run.h"

#include <jansson.h>
#include <string.h>

#include "common/json.h"
#include "common/util.h"

/* `path` is where the value stands, as in `trajectory[3].state`. */
bool
wrong_type(const Run *run, Problem *problem, const char *path,
		   const json_t *value, const char *expected)
{
	return problem_set(problem,
					   json_line_of(run->text.data, run->text.len, path),
					   "%s is %s, not %s", path, json_kind(value), expected);
}

bool
absent(const json_t *value)
{
	return value == NULL || json_is_null(value);
}

bool
is_blank(const char *text)
{
	return text == NULL || text[strspn(text, " \t\r\n")] == '\0';
}

/* The JSON value that a text holds, or NULL. */
json_t *
parse_text(const json_t *text)
{
	return json_loadb(json_string_value(text), json_string_length(text),
					  JSON_REJECT_DUPLICATES, NULL);
}

/* Append a message's text: one string, or a list of parts. */
void
add_content(Buffer *buf, const json_t *content)
{
	size_t		i;
	json_t	   *part;

	if (json_is_string(content))
		buffer_puts(buf, json_string_value(content));
	json_array_foreach((json_t *) content, i, part)
	{
		const char *text = json_string_value(json_object_get(part, "text"));

		/* an image has none */
		if (text != NULL)
			buffer_puts(buf, text);
	}
}

bool
has_role(const json_t *message, const char *role)
{
	const char *is = json_string_value(json_object_get(message, "role"));

	return is != NULL && strcmp(is, role) == 0;
}
