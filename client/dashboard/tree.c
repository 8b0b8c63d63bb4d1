/*-------------------------------------------------------------------------
 *
 * tree.c
 *	  JSON as a tree that folds.
 *
 * It reads what jsonb prints, and may have been cut off anywhere: so it goes
 * along the text, writes what is there, and closes what is open. Numbers keep
 * all their digits. Deep and long documents end in an ellipsis.
 *
 *-------------------------------------------------------------------------
 */
#include "dashboard/tree.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "page/page.h"

#define MAX_DEPTH 60
#define MAX_NODES 5000
#define OPEN_DEPTH 2

typedef struct Tree
{
	Buffer	   *page;
	const char *at;
	int			nodes;
} Tree;

static void
skip_space(Tree *tree)
{
	tree->at += strspn(tree->at, " \t\n\r");
}

static void
add_character(Buffer *text, unsigned long c)
{
	char		bytes[4];

	if (c < 0x80)
		bytes[0] = (char) c;
	else if (c < 0x800)
	{
		bytes[0] = (char) (0xC0 | c >> 6);
		bytes[1] = (char) (0x80 | (c & 0x3F));
	}
	else
	{
		bytes[0] = (char) (0xE0 | c >> 12);
		bytes[1] = (char) (0x80 | (c >> 6 & 0x3F));
		bytes[2] = (char) (0x80 | (c & 0x3F));
	}
	buffer_add(text, bytes, c < 0x80 ? 1 : c < 0x800 ? 2 : 3);
}

/* A string, without its quotes and escapes; jsonb escapes control characters alone. */
static void
read_string(Tree *tree, Buffer *text)
{
	static const char escapes[] = "b\bf\fn\nr\rt\t";

	buffer_reset(text);
	for (tree->at++; *tree->at != '"' && *tree->at != '\0'; tree->at++)
	{
		const char *escape;

		if (*tree->at != '\\')
		{
			buffer_add(text, tree->at, 1);
			continue;
		}
		tree->at++;
		if (*tree->at == '\0')
			break;
		if (*tree->at == 'u' && strlen(tree->at) > 4)
		{
			char		digits[5] = {0};

			memcpy(digits, tree->at + 1, 4);
			add_character(text, strtoul(digits, NULL, 16));
			tree->at += 4;
			continue;
		}
		escape = strchr(escapes, *tree->at);
		buffer_add(text, escape != NULL ? escape + 1 : tree->at, 1);
	}
	if (*tree->at == '"')
		tree->at++;
}

static bool
is_container(Tree *tree)
{
	return *tree->at == '{' || *tree->at == '[';
}

static void
put_scalar(Tree *tree)
{
	if (*tree->at == '"')
	{
		Buffer text = {0};

		read_string(tree, &text);
		page_put(tree->page, "<span class=\"text\">%s</span>", text.data);
		buffer_free(&text);
	}
	else
	{
		size_t		len = strcspn(tree->at, ",}] \n");
		Buffer text = {0};

		buffer_add(&text, tree->at, len);
		page_put(tree->page, "<code>%s</code>", text.data);
		buffer_free(&text);
		tree->at += len;
	}
}

/* Goes on until its end, or the end of what there is. */
static void
put_container(Tree *tree, int depth)
{
	bool		object = *tree->at == '{';
	char		end = object ? '}' : ']';
	Buffer		name = {0};
	int			number = 0;

	tree->at++;
	skip_space(tree);
	page_put(tree->page, "<ul class=\"tree\">");
	while (*tree->at != end && *tree->at != '\0' && tree->nodes < MAX_NODES && depth < MAX_DEPTH)
	{
		tree->nodes++;
		buffer_reset(&name);
		if (object && *tree->at == '"')
		{
			read_string(tree, &name);
			tree->at += strspn(tree->at, ": ");
		}
		else
			buffer_printf(&name, "%d", number);
		number++;
		if (is_container(tree))
		{
			bool		list = *tree->at == '[';

			page_put(tree->page, "<li><details%r><summary><b>%s</b> %r</summary>", depth < OPEN_DEPTH ? " open" : "",
					 name.data, list ? "[" ELLIPSIS "]" : "{" ELLIPSIS "}");
			put_container(tree, depth + 1);
			page_put(tree->page, "</details></li>");
		}
		else
		{
			page_put(tree->page, "<li><b>%s</b> ", name.data);
			put_scalar(tree);
			page_put(tree->page, "</li>");
		}
		skip_space(tree);
		if (*tree->at == ',')
			tree->at++;
		skip_space(tree);
	}
	if (*tree->at == end)
		tree->at++;
	else
	{
		page_put(tree->page, "<li>" ELLIPSIS "</li>");
		tree->at += strlen(tree->at);
	}
	page_put(tree->page, "</ul>");
	buffer_free(&name);
}

void
tree_put(Buffer *page, const char *json)
{
	Tree		tree = {page, json, 0};

	skip_space(&tree);
	if (is_container(&tree))
		put_container(&tree, 0);
	else
		put_scalar(&tree);
}
