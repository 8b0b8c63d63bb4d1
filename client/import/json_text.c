/*-------------------------------------------------------------------------
 *
 * json_text.c
 *	  JSON as PostgreSQL's jsonb prints it, from any JSON text.
 *
 * The text itself is what is sent, so that numbers keep their digits; this is
 * what the server will say when it is asked for it. jsonb keeps of equal keys
 * the last, sorts keys by length and then byte by byte, writes numbers
 * without an exponent and strings with the fewest escapes. What jsonb refuses
 * is refused here: \u0000, lone surrogates, numbers beyond numeric.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "import/import.h"

/* The server's stack is not deeper either. */
#define MAX_DEPTH 5000

/* Digits that numeric holds before and after the point. */
#define MAX_BEFORE 131072
#define MAX_AFTER 16383

typedef struct Parser
{
	const char *at;
	const char *end;
	int			depth;
	Refusal    *refusal;
} Parser;

typedef struct Member
{
	Buffer		key;			/* not escaped */
	Buffer		value;
	int			number;
} Member;

static bool parse_value(Parser *parser, Buffer *out);

/* Always false, so that a check can end in it; the first reason stays. */
bool
refuse(Refusal *refusal, const char *sqlstate, const char *fmt, ...)
{
	va_list		args;

	refusal->sqlstate = sqlstate;
	va_start(args, fmt);
	vsnprintf(refusal->reason, sizeof(refusal->reason), fmt, args);
	va_end(args);
	return false;
}

static bool
invalid(Parser *parser)
{
	return refuse(parser->refusal, "22P02", "invalid JSON");
}

static void
skip_space(Parser *parser)
{
	while (parser->at < parser->end &&
		   (*parser->at == ' ' || *parser->at == '\t' || *parser->at == '\n' || *parser->at == '\r'))
		parser->at++;
}

/* A string as jsonb prints it. */
void
quote_json(Buffer *out, const char *text, size_t len)
{
	size_t		from = 0;

	buffer_add(out, "\"", 1);
	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) text[i];
		const char *escape = NULL;
		char		control[8];

		if (c == '"')
			escape = "\\\"";
		else if (c == '\\')
			escape = "\\\\";
		else if (c >= 0x20)
			continue;
		else if (c == '\b')
			escape = "\\b";
		else if (c == '\f')
			escape = "\\f";
		else if (c == '\n')
			escape = "\\n";
		else if (c == '\r')
			escape = "\\r";
		else if (c == '\t')
			escape = "\\t";
		else
		{
			snprintf(control, sizeof(control), "\\u%04x", c);
			escape = control;
		}
		buffer_add(out, text + from, i - from);
		buffer_puts(out, escape);
		from = i + 1;
	}
	buffer_add(out, text + from, len - from);
	buffer_add(out, "\"", 1);
}

static bool
parse_hex(Parser *parser, unsigned int *code)
{
	*code = 0;
	if (parser->end - parser->at < 4)
		return false;
	for (int i = 0; i < 4; i++, parser->at++)
	{
		char		c = *parser->at;

		if (c >= '0' && c <= '9')
			*code = *code * 16 + (unsigned int) (c - '0');
		else if (c >= 'a' && c <= 'f')
			*code = *code * 16 + (unsigned int) (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			*code = *code * 16 + (unsigned int) (c - 'A' + 10);
		else
			return false;
	}
	return true;
}

static void
add_code(Buffer *out, unsigned int code)
{
	char		bytes[4];
	size_t		len;

	if (code < 0x80)
	{
		bytes[0] = (char) code;
		len = 1;
	}
	else if (code < 0x800)
	{
		bytes[0] = (char) (0xc0 | code >> 6);
		bytes[1] = (char) (0x80 | (code & 0x3f));
		len = 2;
	}
	else if (code < 0x10000)
	{
		bytes[0] = (char) (0xe0 | code >> 12);
		bytes[1] = (char) (0x80 | (code >> 6 & 0x3f));
		bytes[2] = (char) (0x80 | (code & 0x3f));
		len = 3;
	}
	else
	{
		bytes[0] = (char) (0xf0 | code >> 18);
		bytes[1] = (char) (0x80 | (code >> 12 & 0x3f));
		bytes[2] = (char) (0x80 | (code >> 6 & 0x3f));
		bytes[3] = (char) (0x80 | (code & 0x3f));
		len = 4;
	}
	buffer_add(out, bytes, len);
}

/* \uXXXX, and the second half of a pair. */
static bool
parse_code(Parser *parser, Buffer *out)
{
	unsigned int code;
	unsigned int second;

	if (!parse_hex(parser, &code))
		return invalid(parser);
	if (code == 0)
		return refuse(parser->refusal, "22P05", "\\u0000, which PostgreSQL cannot store");
	if (code >= 0xd800 && code <= 0xdbff)
	{
		if (parser->end - parser->at < 6 || parser->at[0] != '\\' || parser->at[1] != 'u')
			return refuse(parser->refusal, "22P02", "half a surrogate pair in JSON");
		parser->at += 2;
		if (!parse_hex(parser, &second))
			return invalid(parser);
		if (second < 0xdc00 || second > 0xdfff)
			return refuse(parser->refusal, "22P02", "half a surrogate pair in JSON");
		code = 0x10000 + ((code & 0x3ff) << 10) + (second & 0x3ff);
	}
	else if (code >= 0xdc00 && code <= 0xdfff)
		return refuse(parser->refusal, "22P02", "half a surrogate pair in JSON");
	add_code(out, code);
	return true;
}

/* The characters of a string, without escapes. */
static bool
parse_string(Parser *parser, Buffer *out)
{
	buffer_reset(out);
	if (parser->at >= parser->end || *parser->at != '"')
		return invalid(parser);
	parser->at++;
	for (;;)
	{
		const char *from = parser->at;
		char		c;

		while (parser->at < parser->end && *parser->at != '"' && *parser->at != '\\' &&
			   (unsigned char) *parser->at >= 0x20)
			parser->at++;
		buffer_add(out, from, (size_t) (parser->at - from));
		if (parser->at >= parser->end)
			return invalid(parser);
		c = *parser->at++;
		if (c == '"')
			return out->len < MAX_JSON_STRING_BYTES ? true :
				refuse(parser->refusal, "54000", "a string of JSON that is longer than jsonb holds");
		if (c != '\\' || parser->at >= parser->end)
			return invalid(parser);
		c = *parser->at++;
		switch (c)
		{
			case '"':
			case '\\':
			case '/':
				buffer_add(out, &c, 1);
				break;
			case 'b':
				buffer_add(out, "\b", 1);
				break;
			case 'f':
				buffer_add(out, "\f", 1);
				break;
			case 'n':
				buffer_add(out, "\n", 1);
				break;
			case 'r':
				buffer_add(out, "\r", 1);
				break;
			case 't':
				buffer_add(out, "\t", 1);
				break;
			case 'u':
				if (!parse_code(parser, out))
					return false;
				break;
			default:
				return invalid(parser);
		}
	}
}

static bool
is_digit(const Parser *parser)
{
	return parser->at < parser->end && *parser->at >= '0' && *parser->at <= '9';
}

/*
 * A number as numeric prints it: the digits as they are, the point moved by
 * the exponent, no zeros before the first digit.
 */
static bool
parse_number(Parser *parser, Buffer *out)
{
	const char *start;
	Buffer		digits = {0};
	bool		negative = *parser->at == '-';
	bool		zero = true;
	long		before;
	long		after;
	long		exponent = 0;
	size_t		lead = 0;

	parser->at += negative;
	start = parser->at;
	while (is_digit(parser))
		parser->at++;
	before = parser->at - start;
	if (before == 0 || (before > 1 && *start == '0'))
		return invalid(parser);
	buffer_add(&digits, start, (size_t) before);
	if (parser->at < parser->end && *parser->at == '.')
	{
		start = ++parser->at;
		while (is_digit(parser))
			parser->at++;
		if (parser->at == start)
		{
			buffer_free(&digits);
			return invalid(parser);
		}
		buffer_add(&digits, start, (size_t) (parser->at - start));
	}
	after = (long) digits.len - before;
	if (parser->at < parser->end && (*parser->at == 'e' || *parser->at == 'E'))
	{
		bool		minus;

		parser->at++;
		minus = parser->at < parser->end && *parser->at == '-';
		if (parser->at < parser->end && (*parser->at == '-' || *parser->at == '+'))
			parser->at++;
		start = parser->at;
		while (is_digit(parser))
		{
			if (exponent < 10000000)
				exponent = exponent * 10 + (*parser->at - '0');
			parser->at++;
		}
		if (parser->at == start)
		{
			buffer_free(&digits);
			return invalid(parser);
		}
		if (minus)
			exponent = -exponent;
	}
	before += exponent;
	after = after - exponent > 0 ? after - exponent : 0;
	for (size_t i = 0; i < digits.len; i++)
		zero = zero && digits.data[i] == '0';
	while (lead < digits.len && digits.data[lead] == '0')
		lead++;
	if (after > MAX_AFTER || (!zero && before - (long) lead > MAX_BEFORE))
	{
		buffer_free(&digits);
		return refuse(parser->refusal, "22003", "a number of JSON that numeric cannot hold");
	}
	if (negative && !zero)
		buffer_add(out, "-", 1);
	if (before <= (long) lead || zero)
		buffer_add(out, "0", 1);
	else
		for (long i = (long) lead; i < before; i++)
			buffer_add(out, i < (long) digits.len ? &digits.data[i] : "0", 1);
	if (after > 0)
	{
		buffer_add(out, ".", 1);
		for (long i = before; i < before + after; i++)
			buffer_add(out, i >= 0 && i < (long) digits.len ? &digits.data[i] : "0", 1);
	}
	buffer_free(&digits);
	return true;
}

static bool
parse_word(Parser *parser, Buffer *out, const char *word)
{
	size_t		len = strlen(word);

	if ((size_t) (parser->end - parser->at) < len || memcmp(parser->at, word, len) != 0)
		return invalid(parser);
	parser->at += len;
	buffer_add(out, word, len);
	return true;
}

static bool
parse_array(Parser *parser, Buffer *out)
{
	bool		first = true;

	parser->at++;
	buffer_add(out, "[", 1);
	skip_space(parser);
	if (parser->at < parser->end && *parser->at == ']')
		first = false;
	else
		for (;; first = false)
		{
			if (!first)
				buffer_add(out, ", ", 2);
			if (!parse_value(parser, out))
				return false;
			skip_space(parser);
			if (parser->at >= parser->end || (*parser->at != ',' && *parser->at != ']'))
				return invalid(parser);
			if (*parser->at == ']')
				break;
			parser->at++;
		}
	parser->at++;
	buffer_add(out, "]", 1);
	return true;
}

/* jsonb's order; of equal keys the last one first, which is the one kept. */
static int
compare_members(const void *a, const void *b)
{
	const Member *x = a;
	const Member *y = b;
	int			order;

	if (x->key.len != y->key.len)
		return x->key.len < y->key.len ? -1 : 1;
	order = memcmp(x->key.data, y->key.data, x->key.len);
	return order != 0 ? order : y->number - x->number;
}

static bool
parse_members(Parser *parser, Member **members, int *nmembers)
{
	int			capacity = 0;

	parser->at++;
	skip_space(parser);
	if (parser->at < parser->end && *parser->at == '}')
	{
		parser->at++;
		return true;
	}
	for (;;)
	{
		Member	   *member;

		if (*nmembers == capacity)
		{
			capacity = capacity == 0 ? 8 : capacity * 2;
			*members = reallocate(*members, (size_t) capacity * sizeof(Member));
		}
		member = &(*members)[*nmembers];
		memset(member, 0, sizeof(*member));
		member->number = (*nmembers)++;
		skip_space(parser);
		if (!parse_string(parser, &member->key))
			return false;
		skip_space(parser);
		if (parser->at >= parser->end || *parser->at != ':')
			return invalid(parser);
		parser->at++;
		buffer_reset(&member->value);
		if (!parse_value(parser, &member->value))
			return false;
		skip_space(parser);
		if (parser->at >= parser->end || (*parser->at != ',' && *parser->at != '}'))
			return invalid(parser);
		if (*parser->at++ == '}')
			return true;
	}
}

static bool
parse_object(Parser *parser, Buffer *out)
{
	Member	   *members = NULL;
	int			nmembers = 0;
	bool		valid = parse_members(parser, &members, &nmembers);

	if (valid)
	{
		const Member *last = NULL;

		if (nmembers > 1)
			qsort(members, (size_t) nmembers, sizeof(Member), compare_members);
		buffer_add(out, "{", 1);
		for (int i = 0; i < nmembers; i++)
		{
			Member	   *member = &members[i];

			if (last != NULL && last->key.len == member->key.len &&
				memcmp(last->key.data, member->key.data, member->key.len) == 0)
				continue;
			if (last != NULL)
				buffer_add(out, ", ", 2);
			quote_json(out, member->key.data, member->key.len);
			buffer_add(out, ": ", 2);
			buffer_add(out, member->value.data, member->value.len);
			last = member;
		}
		buffer_add(out, "}", 1);
	}
	for (int i = 0; i < nmembers; i++)
	{
		buffer_free(&members[i].key);
		buffer_free(&members[i].value);
	}
	free(members);
	return valid;
}

/* Most strings have no escape, and stay as they are. */
static bool
copy_plain_string(Parser *parser, Buffer *out)
{
	const char *p = parser->at + 1;

	while (p < parser->end && *p != '"' && *p != '\\' && (unsigned char) *p >= 0x20)
		p++;
	if (p >= parser->end || *p != '"' || (size_t) (p - parser->at) > MAX_JSON_STRING_BYTES)
		return false;
	buffer_add(out, parser->at, (size_t) (p + 1 - parser->at));
	parser->at = p + 1;
	return true;
}

static bool
parse_value(Parser *parser, Buffer *out)
{
	Buffer		string = {0};
	bool		valid;

	skip_space(parser);
	if (parser->at >= parser->end)
		return invalid(parser);
	switch (*parser->at)
	{
		case '{':
		case '[':
			if (++parser->depth > MAX_DEPTH)
				return refuse(parser->refusal, "54001", "JSON that is nested too deeply");
			valid = *parser->at == '{' ? parse_object(parser, out) : parse_array(parser, out);
			parser->depth--;
			return valid;
		case '"':
			if (copy_plain_string(parser, out))
				return true;
			valid = parse_string(parser, &string);
			if (valid)
				quote_json(out, string.data, string.len);
			buffer_free(&string);
			return valid;
		case 't':
			return parse_word(parser, out, "true");
		case 'f':
			return parse_word(parser, out, "false");
		case 'n':
			return parse_word(parser, out, "null");
		default:
			if (*parser->at == '-' || is_digit(parser))
				return parse_number(parser, out);
			return invalid(parser);
	}
}

/* Append what jsonb prints of a text, which is valid UTF-8 without a NUL. */
bool
json_canonical(const char *text, size_t len, Buffer *out, Refusal *refusal)
{
	Parser		parser = {text, text + len, 0, refusal};

	if (!parse_value(&parser, out))
		return false;
	skip_space(&parser);
	return parser.at == parser.end || invalid(&parser);
}
