/*-------------------------------------------------------------------------
 *
 * util.c
 *	  Memory, growing strings, problems, UUIDs and a small hash map.
 *
 * A command-line program that has no memory left can only say so and stop;
 * the server then rolls back what was open. So nothing here returns NULL.
 *
 *-------------------------------------------------------------------------
 */
#include "common/util.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/connect.h"
#include "common/progress.h"

static void
out_of_memory(void)
{
	fprintf(stderr, "%s: error: out of memory\n", program_name);
	exit(EXIT_SOME_FAILED);
}

void *
allocate(size_t size)
{
	void	   *result = calloc(1, size > 0 ? size : 1);

	if (result == NULL)
		out_of_memory();
	return result;
}

void *
reallocate(void *old, size_t size)
{
	void	   *result = realloc(old, size > 0 ? size : 1);

	if (result == NULL)
		out_of_memory();
	return result;
}

char *
copy_string(const char *s)
{
	size_t		size = strlen(s) + 1;

	return memcpy(allocate(size), s, size);
}

/* Make room for `more` bytes and the NUL after them. */
static void
buffer_reserve(Buffer *buf, size_t more)
{
	size_t		needed = buf->len + more + 1;

	if (needed <= buf->capacity)
		return;
	if (needed < more)
		out_of_memory();
	if (needed < buf->capacity * 2)
		needed = buf->capacity * 2;
	if (needed < 64)
		needed = 64;
	buf->data = reallocate(buf->data, needed);
	buf->capacity = needed;
}

/* Empty it and keep its memory; data is "" afterwards, never NULL. */
void
buffer_reset(Buffer *buf)
{
	buf->len = 0;
	buffer_reserve(buf, 0);
	buf->data[0] = '\0';
}

void
buffer_free(Buffer *buf)
{
	free(buf->data);
	memset(buf, 0, sizeof(*buf));
}

void
buffer_add(Buffer *buf, const char *data, size_t len)
{
	buffer_reserve(buf, len);
	if (len > 0)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void
buffer_puts(Buffer *buf, const char *s)
{
	buffer_add(buf, s, strlen(s));
}

void
buffer_vprintf(Buffer *buf, const char *fmt, va_list args)
{
	va_list		again;
	int			len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, args);
	if (len < 0)
		out_of_memory();
	buffer_reserve(buf, (size_t) len);
	vsnprintf(buf->data + buf->len, (size_t) len + 1, fmt, again);
	va_end(again);
	buf->len += (size_t) len;
}

void
buffer_printf(Buffer *buf, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	buffer_vprintf(buf, fmt, args);
	va_end(args);
}

/*
 * Keep the reason why a file fails; always false, so that a check can end in
 * `return problem_set(...)`. The first reason wins: what follows is its wake.
 */
bool
problem_set(Problem *problem, unsigned long line, const char *fmt,...)
{
	Buffer text = {0};
	va_list		args;

	if (problem->reason != NULL)
		return false;
	va_start(args, fmt);
	buffer_vprintf(&text, fmt, args);
	va_end(args);
	problem->line = line;
	problem->reason = text.data;

	return false;
}

void
problem_hint(Problem *problem, const char *hint)
{
	if (problem->hint == NULL)
		problem->hint = copy_string(hint);
}

/* Whoever lacks a right is told which of the grants has it. */
void
problem_hint_grant(Problem *problem, const char *sqlstate, const char *function,
				   const char *user)
{
	Buffer text = {0};

	if (strcmp(sqlstate, "42501") != 0 || problem->hint != NULL)
		return;
	buffer_printf(&text, "Let the owner of amelia's tables run SELECT amelia.%s('", function);
	for (; *user != '\0'; user++)
	{
		/* as an SQL string has it */
		if (*user == '\'')
			buffer_puts(&text, "'");
		buffer_add(&text, user, 1);
	}
	buffer_puts(&text, "').");
	problem->hint = text.data;
}

void
problem_clear(Problem *problem)
{
	free(problem->reason);
	free(problem->detail);
	free(problem->hint);
	memset(problem, 0, sizeof(*problem));
}

/* As PostgreSQL reads them: dashes after any four digits, braces allowed. */
bool
uuid_parse(const char *text, Uuid *uuid)
{
	bool		braces = (*text == '{');

	if (braces)
		text	  ++;

	for (int i = 0; i < 16; i++)
	{
		unsigned int byte = 0;

		for (int digit = 0; digit < 2; digit++, text ++)
		{
			unsigned char c = (unsigned char) *text;

			if (!isxdigit(c))
				return false;
			byte = byte * 16 + (unsigned int) (isdigit(c) ? c - '0' :
											   tolower(c) - 'a' + 10);
		}
		uuid->bytes[i] = (unsigned char) byte;
		if (i % 2 == 1 && i < 15 && *text == '-')
			text	  ++;
	}
	if (braces && *text ++!= '}')
		return false;
	return *text == '\0';
}

void
uuid_format(const Uuid *uuid, char text[UUID_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	char	   *out = text;

	for (int i = 0; i < 16; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = digits[uuid->bytes[i] >> 4];
		*out++ = digits[uuid->bytes[i] & 15];
	}
	*out = '\0';
}

struct MapSlot
{
	unsigned char key[16];
	uint32_t	value;
	bool		taken;
};

/*
 * Where the key is, or where it belongs. A file brings the keys, so a hash
 * over all 16 bytes: UUIDs made in sequence share most of them.
 */
static struct MapSlot *
map_slot(struct MapSlot *slots, size_t capacity, const unsigned char key[16])
{
	uint64_t	hash = UINT64_C(0xcbf29ce484222325);
	size_t		i;

	for (i = 0; i < 16; i++)
		hash = (hash ^ key[i]) * UINT64_C(0x100000001b3);
	hash ^= hash >> 32;
	i = (size_t) hash & (capacity - 1);
	while (slots[i].taken && memcmp(slots[i].key, key, 16) != 0)
		i = (i + 1) & (capacity - 1);
	return &slots[i];
}

static void
map_grow(Map *map)
{
	size_t		capacity = map->capacity == 0 ? 64 : map->capacity * 2;
	struct MapSlot *slots = allocate(capacity * sizeof(*slots));

	for (size_t i = 0; i < map->capacity; i++)
	{
		if (map->slots[i].taken)
			*map_slot(slots, capacity, map->slots[i].key) = map->slots[i];
	}
	free(map->slots);
	map->slots = slots;
	map->capacity = capacity;
}

/* The value of a key, 0 for a new one; good until the next call. */
uint32_t *
map_find_or_add(Map *map, const unsigned char key[16], bool *found)
{
	struct MapSlot *slot;

	if (map->used * 3 >= map->capacity * 2)
		map_grow(map);
	slot = map_slot(map->slots, map->capacity, key);
	*found = slot->taken;
	if (!slot->taken)
	{
		memcpy(slot->key, key, 16);
		slot->taken = true;
		map->used++;
	}
	return &slot->value;
}

bool
map_contains(const Map *map, const unsigned char key[16])
{
	return map->capacity > 0 && map_slot(map->slots, map->capacity, key)->taken;
}

void
map_free(Map *map)
{
	free(map->slots);
	memset(map, 0, sizeof(*map));
}

/* Does the server say that the same may succeed when it is sent again? */
bool
problem_is_transient(const Problem *problem)
{
	return strcmp(problem->sqlstate, "40001") == 0 ||
		strcmp(problem->sqlstate, "40P01") == 0;
}
