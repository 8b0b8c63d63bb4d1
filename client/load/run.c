/*-------------------------------------------------------------------------
 *
 * run.c
 *	  What the parts of a recorded run are read with.
 *
 *-------------------------------------------------------------------------
 */
#include "load/run.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/sha256.h"
#include "common/util.h"

/* The id of the workflow that a recording becomes. */
Uuid
run_identify(const char *text, size_t len)
{
	static const char purpose[] = "amelia-load run\n";
	Sha256		sha;

	sha256_start(&sha);
	sha256_add(&sha, purpose, sizeof(purpose) - 1);
	sha256_add_json(&sha, text, len);
	return uuid_from_sha256(&sha);
}

/* A path in the part of the document that is read, from its top. */
static char *
full_path(const Run *run, const char *path)
{
	Buffer		full = {0};

	buffer_printf(&full, "%s%s", run->prefix, path);
	return full.data;
}

unsigned long
run_line_of(const Run *run, const char *path)
{
	char	   *full = full_path(run, path);
	unsigned long line = json_line_of(run->text.data, run->text.len, full);

	free(full);
	return line;
}

/* The lines on which the elements of an array of the run begin; to be freed. */
unsigned long *
run_element_lines(const Run *run, const char *path, size_t n)
{
	unsigned long *lines = allocate(n * sizeof(*lines));
	char	   *full = full_path(run, path);

	json_element_lines(run->text.data, run->text.len, full, lines, n);
	free(full);
	return lines;
}

/* `path` is where the value stands, as in `trajectory[3].state`. */
bool
wrong_type(const Run *run, Problem *problem, const char *path,
		   const json_t *value, const char *expected)
{
	return problem_set(problem, run_line_of(run, path), "%s%s is %s, not %s",
					   run->prefix, path, json_kind(value), expected);
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
		if (text !=NULL)
			buffer_puts(buf, text);
	}
}

bool
has_role(const json_t *message, const char *role)
{
	const char *is = json_string_value(json_object_get(message, "role"));

	return is != NULL && strcmp(is, role) == 0;
}
